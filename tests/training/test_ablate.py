"""The ablations: each condition differs in what it says, and in nothing else."""

import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from conftest import TINY, make_model
from depthpro.training.variants import (
    FovReads,
    FovVariant,
    OneScale,
    Setting,
    Target,
    coarsest_picture,
    fov_task,
    from_target,
    halved,
    measure_depth,
    measure_focal,
    measure_ranges,
    one_scale_task,
    survey,
    target_task,
    to_target,
)
from torch import nn
from torch.testing import assert_close
from training import make_samples

from depthpro import DepthPro, DepthProConfig
from depthpro.__main__ import main
from depthpro.data.batches import Batch, as_item
from depthpro.data.sample import Sample
from depthpro.data.shards import write_shard
from depthpro.encoder import resize
from depthpro.fov import FieldOfView
from depthpro.training import ablate, variants
from depthpro.training.ablate import (
    AUGMENTATION,
    CONDITIONS,
    EXPERIMENTS,
    Plan,
    read_results,
    train_condition,
)
from depthpro.training.phases import (
    DepthNetwork,
    Estimate,
    Task,
    shrink_truth,
)
from depthpro.training.recipe import Phase, Recipe

SIDE = TINY.image_size
HYBRID = replace(TINY, stem="efficientnet_lite0", decoder_dim=32)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_shard(folder / "a.tar", make_samples(2), lossless=True)
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_model().save_pretrained(tmp_path_factory.mktemp("weights") / "w.safetensors"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all conditions learn from two pictures a step."""
    for name, condition in CONDITIONS.items():
        small = condition._replace(phase=replace(condition.phase, batch=2))
        monkeypatch.setitem(CONDITIONS, name, small)


def setting(name: str = "fov", config: DepthProConfig = TINY) -> Setting:
    phase = Phase(name, steps=1, batch=2, decoder_lr=1e-3)  # pyright: ignore[reportArgumentType]
    recipe = Recipe(config, (phase,), AUGMENTATION, layer_scale=1.0)
    return Setting(make_model(config), recipe, phase, make_samples(2))


def make_batch(side: int) -> Batch:
    items = [as_item(sample, side) for sample in make_samples(2)]
    return Batch(*(torch.stack(field) for field in zip(*items, strict=True)))


def test_conditions_of_an_experiment_share_their_budget() -> None:
    for experiment in EXPERIMENTS.values():
        weights = {"mae": 1, "mse": 1, "mage": 1, "male": 1, "msge": 1}
        chosen = [CONDITIONS[name] for name in experiment.rows]
        assert len({replace(condition.phase, **weights) for condition in chosen}) == 1
        assert len({condition.start for condition in chosen}) == 1
        assert all(len(row) == len(experiment.published) for row in experiment.rows.values())
    assert {name for experiment in EXPERIMENTS.values() for name in experiment.rows} == {
        *CONDITIONS
    }


def test_losses_are_those_of_the_papers_conditions() -> None:
    def parts(name: str) -> set[str]:
        phase = CONDITIONS[name].phase
        return {loss for loss in ("mae", "mse", "mage", "male", "msge") if getattr(phase, loss)}

    assert [CONDITIONS[name].phase.mage for name in ("1A", "1C", "one scale")] == [0, 1, 1]
    assert parts("2A") == {"mae", "mse", "mage", "male", "msge"}
    assert parts("2B") == {"mae", "mse", "mage", "msge"}
    assert parts("2C") == {"mae", "mse", "mage"}
    assert parts("2D") == {"mae", "mse"}
    assert parts("2E") == {"mae"}
    assert all(CONDITIONS[f"2{letter}"].start == "1C" for letter in "ABCDE")


def test_targets_of_a_known_depth() -> None:
    # C = 0.25: 4 focal lengths a width away.
    inverse = torch.tensor([0.25, 1.0])
    assert_close(to_target(inverse, "inverse"), inverse)
    assert_close(to_target(inverse, "log"), torch.tensor([4.0, 1.0]).log())
    assert_close(to_target(inverse, "depth"), torch.tensor([4.0, 1.0]))
    for target in get_args(Target):
        assert_close(from_target(to_target(inverse, target), target), inverse)
    assert from_target(torch.tensor([-1.0]), "inverse") == 0
    assert from_target(torch.tensor([-1.0]), "depth") == 1e4


@pytest.mark.parametrize("target", get_args(Target))
def test_targets_are_compared_in_their_own_unit_and_without_sky(target: Target) -> None:
    task = target_task(setting("encoders"), target)
    batch = make_batch(2 * TINY.window)
    sky = (batch.inverse == 0) & batch.mask
    assert sky.any()
    last = task.network.get_submodule("head")[-1]  # pyright: ignore[reportIndexIssue]
    for parameter in last.parameters():  # predicts 0: the median
        nn.init.zeros_(parameter)
    (loss,) = task.losses(task.network, batch).values()
    centre, spread = survey(make_samples(2), target, TINY.window)
    by_hand = []
    for inverse in shrink_truth(batch, TINY.window // 2).inverse:
        c = inverse[inverse > 0]
        value = {"inverse": c, "log": -c.log(), "depth": 1 / c}[target]
        by_hand.append(((value - centre) / spread).abs().mean())
    assert_close(loss, torch.stack(by_hand).mean(), rtol=1e-4, atol=1e-4)
    assert 0.8 < loss < 1.2  # median 0 and spread 1
    loss.backward()
    for group in task.groups:
        assert all(p.grad.isfinite().all() for p in group["params"] if p.grad is not None)
    ours = task.estimate(task.network, batch.image).inverse
    assert ours is not None
    assert_close(ours, torch.full_like(ours, from_target(torch.tensor([centre]), target).item()))


def test_the_targets_network_is_half_and_the_same_for_all() -> None:
    assert halved(TINY).dim == TINY.dim // 2
    states = []
    for target in get_args(Target):
        torch.manual_seed(3)
        states.append(target_task(setting("encoders"), target).network.state_dict())
    assert all(torch.equal(states[0][name], state[name]) for state in states for name in states[0])


def test_a_target_starts_from_imagenets_stem_and_trains_its_end(monkeypatch: Any) -> None:
    loaded = []
    monkeypatch.setattr(variants, "load_pretrained", lambda name, model: loaded.append(name))
    made = setting("encoders", HYBRID)
    phase = CONDITIONS["inverse"].phase
    task = target_task(made._replace(phase=phase), "inverse")
    assert loaded == ["imagenet"]
    (loss,) = task.losses(task.network, make_batch(TINY.window)).values()
    loss.backward()
    listed = {p for group in task.groups for p in group["params"]}
    stem = task.network.get_submodule("encoder.stem")
    assert 0 < sum(p in listed for p in stem.parameters()) < len(list(stem.parameters()))
    assert all(p in listed for p in task.network.parameters() if p.grad is not None)


def invisible_detail(image: torch.Tensor) -> torch.Tensor:
    # Of four pixels in a row, the coarsest picture is made from the second and third alone.
    places = torch.arange(SIDE) % 4
    outer = (places == 0) | (places == 3)
    return torch.where(outer[:, None] & outer, torch.rand_like(image), image)


def test_one_scale_has_no_fine_detail() -> None:
    image = torch.rand(1, 3, SIDE, SIDE)
    other = invisible_detail(image)
    assert not torch.equal(image, other)
    assert torch.equal(coarsest_picture(image, TINY), coarsest_picture(other, TINY))
    full = DepthNetwork(make_model()).eval()
    one = OneScale(full)
    with torch.no_grad():
        assert torch.equal(one(image), one(other))
        assert (full(image) - full(other)).abs().max() > 1e-4
        assert_close(one(image), full(coarsest_picture(image, TINY)))


def test_one_scale_smooths_the_coarsest_level_a_little() -> None:
    dot = torch.zeros(1, 3, SIDE, SIDE)
    dot[..., 4 * 9 : 4 * 10, 4 * 9 : 4 * 10] = 1
    seen = resize(coarsest_picture(dot, TINY), TINY.window)[0, 0, 8:11, 8:11]
    along = torch.tensor([1.0, 14.0, 1.0]) / 16
    assert_close(seen, along[:, None] * along)


def test_one_scale_trains_the_same_parameters() -> None:
    task = one_scale_task(setting("stage1"))
    listed = {p for group in task.groups for p in group["params"]}
    assert listed == {p for p in task.network.parameters() if p.requires_grad}


READS = {
    "depth encoder": (False, True),
    "focal encoder": (True, False),
    "refinement": (False, True),
    "parallel": (True, True),
}


@pytest.mark.parametrize("config", [TINY, HYBRID], ids=["patch", "hybrid"])
@pytest.mark.parametrize("reads", get_args(FovReads))
def test_a_head_reads_only_what_it_says(reads: FovReads, config: DepthProConfig) -> None:
    head = FovVariant(DepthPro(config), reads)
    image = torch.rand(2, 3, SIDE, SIDE)
    lowres = torch.rand(2, config.decoder_dim, 16, 16)
    with torch.no_grad():
        angles = [head(image, lowres), head(image.flip(2), lowres), head(image, lowres.flip(2))]
    read = [not torch.equal(angles[0], other) for other in angles[1:]]
    assert tuple(read) == READS[reads]


@pytest.mark.parametrize("config", [TINY, HYBRID], ids=["patch", "hybrid"])
@pytest.mark.parametrize("reads", get_args(FovReads))
def test_a_head_trains_all_of_itself_and_nothing_else(
    reads: FovReads, config: DepthProConfig
) -> None:
    made = setting(config=config)
    depth = [p for name, p in made.model.named_parameters() if not name.startswith("fov.")]
    task = fov_task(made, reads)
    listed = [p for group in task.groups for p in group["params"]]
    assert len(listed) == len(set(listed))
    sum(task.losses(task.network, make_batch(TINY.window)).values()).backward()
    reached = {p for p in task.network.parameters() if p.grad is not None}
    assert reached == set(listed)
    assert not reached & {*depth}


def test_the_parallel_head_is_the_networks() -> None:
    model = make_model()
    parallel = FovVariant(model, "parallel").eval()
    own = FieldOfView(replace(TINY, depth=2, taps=(0, 1)))
    own.load_state_dict(parallel.state_dict())
    image, lowres = torch.rand(1, 3, SIDE, SIDE), torch.rand(1, TINY.decoder_dim, 16, 16)
    with torch.no_grad():
        assert_close(parallel(image, lowres), own(image, lowres))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("config", [TINY, HYBRID], ids=["patch", "hybrid"])
def test_the_heads_encoders_start_as_the_patch_encoders_first_blocks(
    config: DepthProConfig,
) -> None:
    model = DepthPro(config)
    first, nan = model.encoder.patch_encoder.state_dict(), torch.tensor(torch.nan)
    for reads in ("focal encoder", "refinement", "parallel"):
        encoder = FovVariant(model, reads).encoder[0].state_dict()
        assert "blocks.1.attn.qkv.weight" in encoder
        assert "blocks.2.attn.qkv.weight" not in encoder
        new = {name for name in encoder if not torch.equal(encoder[name], first.get(name, nan))}
        assert bool(new) == (reads == "refinement")  # what reads a map
        assert all("embed" in name or name == "cls_token" for name in new)
    with pytest.raises(ValueError, match="reads one of"):
        FovVariant(model, "nothing")  # pyright: ignore[reportArgumentType]


def predicts(estimate: Any) -> Task:
    return Task(nn.Linear(1, 1), [], lambda *_: {}, lambda _, image: estimate(image))


def striped(depths: list[float]) -> Sample:
    depth = np.repeat(np.array(depths, np.float32), 8)[None].repeat(48, axis=0)
    rgb = np.zeros((*depth.shape, 3), np.uint8)
    return Sample(rgb, depth, f_px=24.0, fy_px=24.0, cx_px=23.5, cy_px=23.5)


def test_delta1_by_range_of_true_depth() -> None:
    # f_px is half the width: C = 0.5 / depth. One stripe a range; two are 30 % off, one is sky.
    depths = [0.5, 1.5, 3.0, 6.0, np.inf, 20.0]
    wrong = torch.tensor([1, 1.3, 1, 1, 1, 1 / 1.3]).repeat_interleave(8)
    predicted = (0.5 / torch.tensor(depths)).repeat_interleave(8) * wrong
    task = predicts(lambda image: Estimate(predicted.expand(1, 48, 48), None))
    assert measure_ranges(task, [striped(depths)], 48) == {
        "delta1_0_1": 1, "delta1_1_2": 0, "delta1_2_4": 1, "delta1_4_8": 1, "delta1_16_inf": 0
    }  # fmt: skip


def test_depth_measures_of_the_truth() -> None:
    # All contours have the nearer side on the left: three of four directions have none, so F1 is
    # at most a quarter.
    sample = striped([1.0, 2.0, 4.0, 8.0, 16.0, np.inf])
    truth = as_item(sample, 48).inverse
    exact = measure_depth(predicts(lambda image: Estimate(truth[None], None)), [sample], 48)
    assert exact == pytest.approx(
        {"delta1": 1, "delta1_scaled": 1, "abs_rel": 0, "boundary_f1": 0.25}, abs=1e-6
    )
    twice = measure_depth(predicts(lambda image: Estimate(truth[None] / 2, None)), [sample], 48)
    assert twice == pytest.approx(
        {"delta1": 0, "delta1_scaled": 1, "abs_rel": 1, "boundary_f1": 0.25}, abs=1e-6
    )


def test_focal_lengths_are_judged_whole_and_cropped() -> None:
    # The true angle of the whole picture is predicted of the crop too: there tan(fov / 2) is 0.6
    # times that (of 40 pixels, 24 remain), so the focal length comes out 40 % short.
    sample = striped([1.0] * 5)
    fov_deg = torch.tensor([sample.fov_deg])
    task = predicts(lambda image: Estimate(None, fov_deg.expand(len(image))))
    scores = measure_focal(task, [sample], 40)
    assert scores == pytest.approx({"focal25": 0.5, "focal_error": 0.2}, rel=1e-4)


@pytest.mark.usefixtures("quick")
def test_conditions_see_the_same_batches(monkeypatch: Any, weights: str) -> None:
    seen: dict[str, list[tuple[float, float]]] = {"1A": [], "1C": []}

    def spy(made: Setting, name: str) -> Task:
        network = nn.Linear(1, 1)

        def parts(wrapped: nn.Module, batch: Batch) -> dict:
            seen[name].append((float(batch.image.double().sum()), batch.random.sum().item()))
            return {"x": wrapped(torch.ones(1, 1)).sum() ** 2}

        group = {"params": [*network.parameters()], "lr": 1e-3}
        return Task(network, [group], parts, lambda *_: Estimate(None, None))

    plan = Plan(Path("unused"), weights, make_samples(3), [], steps=3)
    for name in seen:
        condition = CONDITIONS[name]._replace(make=partial(spy, name=name))
        monkeypatch.setitem(CONDITIONS, name, condition)
        monkeypatch.setitem(CONDITIONS, "2A", condition)  # so that nothing is saved
        for other in "ABCDE":
            monkeypatch.setitem(CONDITIONS, f"2{other}", condition)
        train_condition(name, EXPERIMENTS["fov"], 5, plan)
    assert seen["1A"] == seen["1C"]
    assert len({*seen["1A"]}) == 3


def arguments(data: Path, out: Path, weights: str, *more: str) -> list[str]:
    given = ["--data", str(data), "--validation", str(data), "-o", str(out), "--init", weights]
    return ["ablate", *given, "--steps", "1", *more]


@pytest.mark.usefixtures("quick")
def test_a_run_is_resumed_and_its_table_has_the_papers_rows(
    data: Path, tmp_path: Path, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = arguments(data, tmp_path, weights, "--only", "target")
    assert main(command) == 0
    first = read_results(tmp_path)
    assert [*first] == [("inverse", 0), ("log", 0), ("depth", 0)]
    table = (tmp_path / "ablations.md").read_text()
    assert "| depth | 1 / C | 0.657 | 0.716 | 0.819 | 0.853 | 0.85 | 0.85 |" in table
    for experiment in EXPERIMENTS.values():
        assert f"## {experiment.title}" in table
    trained = []
    real = ablate.train_condition
    monkeypatch.setattr(
        ablate, "train_condition", lambda *given: trained.append(given[::2]) or real(*given)
    )
    path = tmp_path / "results.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))  # as if stopped there
    assert main([*command, "--seeds", "2"]) == 0
    assert trained == [("depth", 0), ("inverse", 1), ("log", 1), ("depth", 1)]
    again = read_results(tmp_path)
    assert {key: again[key]["scores"] for key in first} == {
        key: entry["scores"] for key, entry in first.items()
    }
    assert "2 seeds" in (tmp_path / "ablations.md").read_text()


@pytest.mark.usefixtures("quick")
def test_stage_2_starts_from_1c(tmp_path: Path, weights: str, monkeypatch: Any) -> None:
    loaded = []
    load = ablate.DepthPro.from_pretrained
    monkeypatch.setattr(
        ablate.DepthPro,
        "from_pretrained",
        lambda name, **k: loaded.append(str(name)) or load(name, **k),
    )
    experiment = EXPERIMENTS["stage2"]._replace(measure=lambda *_: {"delta1": 0.5})
    plan = Plan(tmp_path, weights, make_samples(2), make_samples(2), steps=1)
    ablate.run_condition("2E", experiment, 0, plan)
    ablate.run_condition("2D", experiment, 0, plan)
    start = str(tmp_path / "1C-seed0.safetensors")
    assert loaded == [weights, start, start]
    assert [*read_results(tmp_path)] == [("2E", 0), ("2D", 0)]


@pytest.mark.usefixtures("quick")
def test_the_start_is_measured_once_and_untrained(tmp_path: Path, weights: str) -> None:
    experiment = EXPERIMENTS["gradient"]._replace(measure=lambda *_: {"delta1": 0.5})
    plan = Plan(tmp_path, weights, make_samples(2), make_samples(2))
    for seed in (0, 1):
        ablate.run_condition("start", experiment, seed, plan)
    assert {key: entry["steps"] for key, entry in read_results(tmp_path).items()} == {
        ("start", 0): 0
    }
    network = train_condition("start", experiment, 0, plan).network
    states = network.get_submodule("model").state_dict(), make_model().state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])


def test_tables_have_mean_and_deviation_over_seeds() -> None:
    # Of 10 and 30 %: mean 20, and the root of (10^2 + 10^2) / 1, 14.14.
    def entry(value: float) -> dict[str, Any]:
        return {"steps": 7, "batch": 2, "scores": {"focal25": value}}

    table = ablate.make_table({("parallel", 0): entry(0.1), ("parallel", 1): entry(0.3)})
    row = next(line for line in table.splitlines() if line.startswith("| parallel"))
    assert "| 78.2 | 20 ± 14 | – | 7 × 2 pictures, 2 seeds |" in row
    assert "– | – | – |" in next(line for line in table.splitlines() if line.startswith("| 2A"))


def test_the_document_has_the_papers_rows() -> None:
    document = (Path(__file__).parents[2] / "docs" / "ablations.md").read_text()
    for line in ablate.make_table({}).splitlines():  # nothing measured: every row ends in dashes
        assert re.sub(r"( – \|)+$", "", line) in document


@pytest.mark.parametrize(
    ("more", "part"),
    [
        (["--steps", "0"], "--steps must be above 0, got 0"),
        (["--seeds", "-1"], "--seeds must be above 0, got -1"),
        (["--samples", "0"], "--samples must be above 0, got 0"),
        (["--data", "gone"], "gone"),
        (["--only", "everything"], "invalid choice"),
        (["--init", "gone.safetensors"], "gone.safetensors"),
    ],
)
def test_wrong_use_is_explained(
    more: list[str], part: str, data: Path, tmp_path: Path, weights: str, capsys: Any
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments(data, tmp_path, weights, *more))
    assert stopped.value.code == 2
    assert part in capsys.readouterr().err
    assert not (tmp_path / "results.jsonl").exists()


def test_results_of_other_settings_are_not_mixed(
    data: Path, tmp_path: Path, weights: str, capsys: Any
) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"steps": 7}))
    with pytest.raises(SystemExit):
        main(arguments(data, tmp_path, weights))
    assert "choose another folder" in capsys.readouterr().err


def test_a_loss_that_is_not_finite_stops(weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(made: Setting) -> Task:
        group = {"params": [nn.Parameter(torch.ones(1))], "lr": 1e-3}
        return predicts(lambda _: Estimate(None, None))._replace(
            groups=[group], losses=lambda *_: {"fov": torch.tensor(torch.nan)}
        )

    monkeypatch.setitem(CONDITIONS, "parallel", CONDITIONS["parallel"]._replace(make=broken))
    plan = Plan(Path("unused"), weights, make_samples(2), [], steps=1)
    with pytest.raises(ValueError, match="the loss of step 0 of parallel is nan; check the data"):
        train_condition("parallel", EXPERIMENTS["fov"], 0, plan)
