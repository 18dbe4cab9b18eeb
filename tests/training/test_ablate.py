"""The ablations: the conditions of an experiment differ in one thing alone."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from conftest import TINY, make_model
from torch import nn
from torch.testing import assert_close
from torch.utils.data import default_collate
from training import make_samples

from depthpro import DepthProConfig
from depthpro.__main__ import main
from depthpro.data.batches import Batch, as_item, shrink_truth
from depthpro.data.sample import Sample
from depthpro.data.shards import write_shard
from depthpro.preprocess import resize
from depthpro.training import ablate
from depthpro.training.ablate import (
    CONDITIONS,
    EXPERIMENTS,
    Plan,
    make_condition,
    read_results,
    train_condition,
)
from depthpro.training.phases import DepthNetwork
from depthpro.training.variants import (
    OneScale,
    Target,
    TargetNetwork,
    from_target,
    measure_depth,
    measure_ranges,
    to_target,
)
from depthpro.training.window_pretraining import Estimate

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
    """Train all conditions on two pictures a step."""
    for name, condition in CONDITIONS.items():
        small = condition._replace(phase=replace(condition.phase, batch=2))
        monkeypatch.setitem(CONDITIONS, name, small)


def make(name: str, config: DepthProConfig = TINY) -> tuple[nn.Module, torch.optim.Optimizer]:
    condition = CONDITIONS[name]
    return make_condition(condition, make_model(config), condition.phase, make_samples(2))


def make_batch(side: int) -> Batch:
    return default_collate([as_item(sample, side) for sample in make_samples(2)])


def test_conditions_of_an_experiment_share_their_budget() -> None:
    for experiment in EXPERIMENTS.values():
        weights = {"mae": 1, "mse": 1, "mage": 1, "male": 1, "msge": 1}
        chosen = [CONDITIONS[name] for name in experiment.rows]
        assert len({replace(condition.phase, **weights) for condition in chosen}) == 1
        assert len({condition.start for condition in chosen}) == 1
        assert len({condition.target is None for condition in chosen}) == 1
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
    network, _ = make(target)
    assert isinstance(network, TargetNetwork)
    assert network.network.config.dim == TINY.dim // 2
    batch = make_batch(2 * TINY.window)
    assert ((batch.inverse == 0) & batch.mask).any()  # sky
    for parameter in network.network.head[-1].parameters():  # predicts 0: the median
        nn.init.zeros_(parameter)
    loss = network.loss(batch)
    by_hand = []
    for inverse in shrink_truth(batch, TINY.window // 2).inverse:
        c = inverse[inverse > 0]
        value = {"inverse": c, "log": -c.log(), "depth": 1 / c}[target]
        by_hand.append(((value - network.centre) / network.spread).abs().mean())
    assert_close(loss, torch.stack(by_hand).mean(), rtol=1e-4, atol=1e-4)
    assert 0.8 < loss < 1.2  # median 0 and spread 1
    ours = network.estimate(batch.image).inverse
    assert ours is not None
    median = from_target(torch.tensor([network.centre]), target).item()
    assert_close(ours, torch.full_like(ours, median))


def test_a_target_starts_from_imagenets_stem_and_trains_its_end(monkeypatch: Any) -> None:
    loaded = []
    monkeypatch.setattr(ablate, "load_pretrained", lambda name, model: loaded.append(name))
    network, optimizer = make("inverse", HYBRID)
    assert isinstance(network, TargetNetwork)
    assert loaded == ["imagenet"]
    network.loss(make_batch(TINY.window)).backward()
    listed = {p for group in optimizer.param_groups for p in group["params"]}
    stem = network.get_submodule("network.encoder.stem")
    assert 0 < sum(p in listed for p in stem.parameters()) < len(list(stem.parameters()))
    assert all(p in listed for p in network.parameters() if p.grad is not None)


def test_one_scale_reads_the_coarsest_picture_with_the_same_parameters() -> None:
    network, optimizer = make("one scale")
    assert isinstance(network, OneScale)
    listed = {p for group in optimizer.param_groups for p in group["params"]}
    assert listed == {p for p in network.parameters() if p.requires_grad}
    image = torch.rand(1, 3, SIDE, SIDE)
    full = DepthNetwork(network.model)
    with torch.no_grad():
        assert_close(network(image), full(resize(resize(image, TINY.window), SIDE)))
        assert (network(image) - full(image)).abs().max() > 1e-4


def predicts(inverse: torch.Tensor) -> nn.Module:
    """Return a network that predicts the same depth of every picture."""
    network = nn.Linear(1, 1)
    network.estimate = lambda image: Estimate(inverse.expand(1, 48, 48), None)
    return network


def striped(depths: list[float]) -> Sample:
    depth = np.repeat(np.array(depths, np.float32), 8)[None].repeat(48, axis=0)
    rgb = np.zeros((*depth.shape, 3), np.uint8)
    return Sample(rgb, depth, f_px=24.0, fy_px=24.0, cx_px=23.5, cy_px=23.5)


def test_delta1_by_range_of_true_depth() -> None:
    # f_px is half the width: C = 0.5 / depth. One stripe a range; two are 30 % off, one is sky.
    depths = [0.5, 1.5, 3.0, 6.0, np.inf, 20.0]
    wrong = torch.tensor([1, 1.3, 1, 1, 1, 1 / 1.3]).repeat_interleave(8)
    predicted = (0.5 / torch.tensor(depths)).repeat_interleave(8) * wrong
    assert measure_ranges(predicts(predicted), [striped(depths)], 48) == {
        "delta1_0_1": 1, "delta1_1_2": 0, "delta1_2_4": 1, "delta1_4_8": 1, "delta1_16_inf": 0
    }  # fmt: skip


def test_depth_measures_of_the_truth() -> None:
    # All contours have the nearer side on the left: three of four directions have none, so F1 is
    # at most a quarter.
    sample = striped([1.0, 2.0, 4.0, 8.0, 16.0, np.inf])
    truth = as_item(sample, 48).inverse
    exact = measure_depth(predicts(truth), [sample], 48)
    assert exact == pytest.approx(
        {"delta1": 1, "delta1_scaled": 1, "abs_rel": 0, "boundary_f1": 0.25}, abs=1e-6
    )
    twice = measure_depth(predicts(truth / 2), [sample], 48)
    assert twice == pytest.approx(
        {"delta1": 0, "delta1_scaled": 1, "abs_rel": 1, "boundary_f1": 0.25}, abs=1e-6
    )


@pytest.mark.usefixtures("quick")
def test_conditions_see_the_same_batches(monkeypatch: Any, weights: str) -> None:
    seen: dict[str, list[float]] = {"inverse": [], "log": []}

    def spy(network: TargetNetwork, batch: Batch) -> torch.Tensor:
        seen[network.target].append(float(batch.image.double().sum() + batch.random.sum()))
        return network(batch.image).sum()

    monkeypatch.setattr(TargetNetwork, "loss", spy)
    plan = Plan(Path("unused"), weights, make_samples(3), [], steps=3)
    for name in seen:
        train_condition(name, EXPERIMENTS["target"], 5, plan)
    assert seen["inverse"] == seen["log"]
    assert len({*seen["log"]}) == 3


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
    monkeypatch.setattr(ablate, "measure_depth", lambda *_: {"delta1": 0.5})
    experiment = EXPERIMENTS["stage2"]
    plan = Plan(tmp_path, weights, make_samples(2), make_samples(2), steps=1)
    ablate.run_condition("2E", experiment, 0, plan)
    ablate.run_condition("2D", experiment, 0, plan)
    start = str(tmp_path / "1C-seed0.safetensors")
    assert loaded == [weights, start, start]
    assert [*read_results(tmp_path)] == [("2E", 0), ("2D", 0)]


@pytest.mark.usefixtures("quick")
def test_the_start_is_measured_once_and_untrained(
    tmp_path: Path, weights: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr(ablate, "measure_depth", lambda *_: {"delta1": 0.5})
    experiment = EXPERIMENTS["gradient"]
    plan = Plan(tmp_path, weights, make_samples(2), make_samples(2))
    for seed in (0, 1):
        ablate.run_condition("start", experiment, seed, plan)
    assert {key: entry["steps"] for key, entry in read_results(tmp_path).items()} == {
        ("start", 0): 0
    }
    network = train_condition("start", experiment, 0, plan)
    states = network.get_submodule("model").state_dict(), make_model().state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])


def test_tables_have_mean_and_deviation_over_seeds() -> None:
    # Of 10 and 30 %: mean 20, and the root of (10^2 + 10^2) / 1, 14.14.
    def entry(value: float) -> dict[str, Any]:
        return {"steps": 7, "batch": 2, "scores": {"delta1": value}}

    table = ablate.make_table({("1A", 0): entry(0.1), ("1A", 1): entry(0.3)})
    row = next(line for line in table.splitlines() if line.startswith("| 1A"))
    assert "| 0.221 | 20 ± 14 | – | – | – | 7 × 2 pictures, 2 seeds |" in row
    assert "– | – | – |" in next(line for line in table.splitlines() if line.startswith("| 2A"))


def test_the_document_has_the_papers_rows() -> None:
    document = (Path(__file__).parents[2] / "docs" / "ablations.md").read_text()
    for line in ablate.make_table({}).splitlines():  # nothing measured: every row ends in dashes
        assert re.sub(r"( – \|)+$", "", line) in document


@pytest.mark.parametrize(
    ("more", "part"),
    [
        (["--steps", "0"], "--steps must be above 0, got 0"),
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


@pytest.mark.usefixtures("quick")
def test_a_loss_that_is_not_finite_stops(weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TargetNetwork, "loss", lambda *_: torch.tensor(torch.nan))
    plan = Plan(Path("unused"), weights, make_samples(2), [], steps=1)
    with pytest.raises(ValueError, match="the loss of step 0 of depth is nan; check the data"):
        train_condition("depth", EXPERIMENTS["target"], 0, plan)
