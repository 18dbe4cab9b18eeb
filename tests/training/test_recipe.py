"""The recipes: the paper's numbers, JSON there and back, and what is refused."""

import dataclasses

import pytest
from conftest import TINY
from training import make_recipe

from depthpro.config import DepthProConfig
from depthpro.data.augmentation import Augmentation
from depthpro.training.recipe import PRESETS, Phase, Recipe, paper, small


def test_paper_is_table_16() -> None:
    recipe = paper()
    assert recipe.config == DepthProConfig()
    assert recipe.freeze_norms
    assert recipe.pretrained is not None
    stage1, stage2 = recipe.phase("stage1"), recipe.phase("stage2")
    # 250 and 100 epochs of 72,000 pictures in batches of 128.
    assert stage1.steps == 250 * 72_000 // 128
    assert stage2.steps == 100 * 72_000 // 128
    for phase in (stage1, stage2):
        # Rates are batch x 1e-7 and batch x 1e-6.
        assert (phase.encoder_lr, phase.decoder_lr) == pytest.approx((128e-7, 128e-6))
        assert (phase.batch, phase.clip, phase.weight_decay) == (128, 0.2, 0)
        assert (phase.warmup, phase.constant, phase.final_lr) == (0.01, 0.80, 0.1)
        assert (phase.decay, phase.ssi, phase.weight_by_mean_depth) == ("step", "own", False)
    chances = recipe.augmentation
    assert (chances.colour, chances.blur, chances.crop, chances.flip) == (0.75, 0.3, 0.5, 0)


@pytest.mark.parametrize("recipe", [*(make() for make in PRESETS.values()), make_recipe(TINY)])
def test_json_there_and_back(recipe: Recipe) -> None:
    assert Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{", "no recipe"),
        ("[]", "no recipe"),
        ("{}", "'config'"),
        (small().to_json().replace('"clip"', '"clop"'), "clop"),
        (small().to_json().replace('"flip"', '"flop"'), "flop"),
        (small().to_json().replace('"window": 128', '"window": 100'), "window"),
    ],
)
def test_what_is_no_recipe_is_refused(text: str, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        Recipe.from_json(text)


def test_a_phase_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="the recipe has the phases stage1, stage2, fov; got 'en"):
        paper().phase("encoders")


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"steps": 0}, "steps"), ({"batch": 0}, "batch"), ({"accumulation": 3}, "accumulation"),
        ({"warmup": 0.5, "constant": 0.6}, "warmup"), ({"clip": 0.0}, "clip"),
        ({"ema": 1.0}, "ema"), ({"finest": 5}, "finest"), ({"crop": 1.5}, "crop"),
        ({"name": "stage3"}, "stage3"),
        ({"encoder_lr": -1e-3}, "encoder_lr"),
        ({"name": "encoders", "encoder_lr": 0.0}, "encoder_lr"), ({"ssi": "none"}, "ssi"),
        ({"decoder_lr": 0.0}, "decoder_lr"),
        ({"reuse": 4}, "reuse"), ({"name": "fov", "encoder_lr": 0.0, "reuse": 4}, "reuse"),
        ({"encoder_lr": 0.0, "reuse": 0}, "reuse"),
    ],
)  # fmt: skip
def test_impossible_phases_are_refused(changes: dict, part: str, unchecked: None) -> None:
    with pytest.raises(ValueError, match=part):
        dataclasses.replace(Phase("stage1", steps=2), **changes)


@pytest.mark.parametrize("changes", [{"colour": 1.5}, {"smallest_crop": 0.0}, {"jitter": -1.0}])
def test_impossible_shares_are_refused(changes: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        Augmentation(**changes)
