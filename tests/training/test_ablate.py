"""The ablations: the conditions of an experiment differ in one thing alone."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TINY, make_model
from torch import nn
from torch.testing import assert_close
from training import make_batch, make_samples

from depthpro.__main__ import main
from depthpro.data.batches import Batch, as_item, shrink_truth
from depthpro.data.sample import Sample
from depthpro.data.shards import write_shard
from depthpro.preprocess import resize
from depthpro.training import ablate
from depthpro.training.ablate import (
    CONDITIONS,
    EXPERIMENTS,
    TARGETS,
    OneScale,
    Target,
    TargetNetwork,
    from_target,
    make_condition,
    measure_depth,
    measure_ranges,
    to_target,
    train_condition,
)
from depthpro.training.phases import DepthNetwork
from depthpro.training.window_pretraining import Estimate

SIDE = TINY.image_size


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("data")
    write_shard(folder / "a.tar", make_samples(2))
    weights = make_model().save_pretrained(folder / "w.safetensors")
    given = ["--data", str(folder), "--validation", str(folder), "--init", str(weights)]
    return ["ablate", *given, "--steps", "1"]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train all conditions on two pictures a step."""
    for name, (meaning, phase) in CONDITIONS.items():
        monkeypatch.setitem(CONDITIONS, name, (meaning, replace(phase, batch=2)))


def make(name: str) -> tuple[nn.Module, torch.optim.Optimizer]:
    return make_condition(name, make_model(), make_samples(2))


def test_conditions_of_an_experiment_differ_in_one_thing() -> None:
    for experiment in EXPERIMENTS.values():
        phases = [CONDITIONS[name][1] for name in experiment.rows]
        assert len({replace(phase, mage=1) for phase in phases}) == 1
        assert len({name in TARGETS for name in experiment.rows}) == 1
        assert all(len(row) == len(experiment.published) for row in experiment.rows.values())
    assert {name for each in EXPERIMENTS.values() for name in each.rows} == {*CONDITIONS}
    assert [CONDITIONS[name][1].mage for name in ("1A", "1C", "one scale")] == [0, 1, 1]


def test_targets_of_a_known_depth() -> None:
    # C = 0.25: 4 focal lengths a width away.
    inverse = torch.tensor([0.25, 1.0])
    assert_close(to_target(inverse, "inverse"), inverse)
    assert_close(to_target(inverse, "log"), torch.tensor([4.0, 1.0]).log())
    assert_close(to_target(inverse, "depth"), torch.tensor([4.0, 1.0]))
    for target in TARGETS:
        assert_close(from_target(to_target(inverse, target), target), inverse)
    assert from_target(torch.tensor([-1.0]), "inverse") == 0
    assert from_target(torch.tensor([-1.0]), "depth") == 1e4


@pytest.mark.parametrize("target", TARGETS)
def test_targets_are_compared_in_their_own_unit_and_without_sky(target: Target) -> None:
    network, _ = make(target)
    assert isinstance(network, TargetNetwork)
    assert network.network.config.dim == TINY.dim // 2
    batch = make_batch(side=2 * TINY.window)
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


@pytest.mark.parametrize(("factor", "delta1", "abs_rel"), [(1, 1, 0), (2, 0, 1)])
def test_depth_measures_of_the_truth(factor: int, delta1: int, abs_rel: int) -> None:
    # All contours have the nearer side on the left: three of four directions have none, so F1 is
    # at most a quarter.
    sample = striped([1.0, 2.0, 4.0, 8.0, 16.0, np.inf])
    scores = measure_depth(predicts(as_item(sample, 48).inverse / factor), [sample], 48)
    expected = {"delta1": delta1, "delta1_scaled": 1, "abs_rel": abs_rel, "boundary_f1": 0.25}
    assert scores == pytest.approx(expected, abs=1e-6)


@pytest.mark.usefixtures("quick")
def test_conditions_see_the_same_batches(monkeypatch: Any) -> None:
    seen: dict[str, list[float]] = {"inverse": [], "log": []}

    def spy(network: TargetNetwork, batch: Batch) -> torch.Tensor:
        seen[network.target].append(float(batch.image.double().sum() + batch.random.sum()))
        return network(batch.image).sum()

    monkeypatch.setattr(TargetNetwork, "loss", spy)
    for name in seen:
        train_condition(name, make_model(), make_samples(3), 5, 3, TINY.window)
    assert seen["inverse"] == seen["log"]
    assert len({*seen["log"]}) == 3


@pytest.mark.usefixtures("quick")
def test_a_run_is_resumed_and_its_table_has_the_papers_rows(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [*command, "-o", str(tmp_path), "--only", "target"]
    assert main(command) == 0
    table = (tmp_path / "ablations.md").read_text()
    assert "| depth | 1 / C | 0.657 | 0.716 | 0.819 | 0.853 | 0.85 | 0.85 |" in table
    for experiment in EXPERIMENTS.values():
        assert f"## {experiment.title}" in table
    trained = []
    real = ablate.train_condition
    monkeypatch.setattr(
        ablate,
        "train_condition",
        lambda *given: trained.append((given[0], given[3])) or real(*given),
    )
    path = tmp_path / "results.jsonl"
    before = path.read_text()
    path.write_text("".join(before.splitlines(keepends=True)[:2]))  # as if stopped there
    assert main([*command, "--seeds", "2"]) == 0
    assert trained == [("depth", 0), ("inverse", 1), ("log", 1), ("depth", 1)]
    assert path.read_text().startswith(before)
    assert "2 seeds" in (tmp_path / "ablations.md").read_text()
    trained.clear()  # results of other settings are not mixed
    assert main([*command, "--samples", "1"]) == 0
    assert trained == [("inverse", 0), ("log", 0), ("depth", 0)]
    assert "2 seeds" not in (tmp_path / "ablations.md").read_text()


def test_tables_have_mean_and_deviation_over_seeds() -> None:
    # Of 10 and 30 %: mean 20, and the root of (10^2 + 10^2) / 1, 14.14.
    def entry(value: float) -> dict[str, Any]:
        return {"steps": 7, "batch": 2, "scores": {"delta1": value}}

    table = ablate.make_table({("1A", 0): entry(0.1), ("1A", 1): entry(0.3)})
    row = next(line for line in table.splitlines() if line.startswith("| 1A"))
    assert "| 0.221 | 20 ± 14 | – | – | – | 7 × 2 pictures, 2 seeds |" in row


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
    more: list[str], part: str, command: list[str], tmp_path: Path, capsys: Any
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([*command, "-o", str(tmp_path), *more])
    assert stopped.value.code == 2
    assert part in capsys.readouterr().err
    assert not (tmp_path / "results.jsonl").exists()
