"""The ablations: the conditions of an experiment differ in one thing alone."""

import re
from pathlib import Path
from typing import Any

import pytest
from conftest import make_model
from training import make_samples

from depthpro.__main__ import main
from depthpro.data.shards import write_shard
from depthpro.training.ablate import EXPERIMENTS, make_table
from depthpro.training.log import append_line


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    write_shard(tmp_path / "data" / "a.tar", make_samples(2))
    weights = make_model().save_pretrained(tmp_path / "w.safetensors")
    given = ["--data", str(tmp_path / "data"), "--validation", str(tmp_path / "data")]
    given += ["--validation-samples", "1", "--init", str(weights), "-o", str(tmp_path / "out")]
    return ["ablate", *given, "--steps", "1"]


def test_conditions_of_an_experiment_differ_in_one_thing() -> None:
    for experiment in EXPERIMENTS.values():
        conditions = experiment.conditions.values()
        assert len({name for _, changes, _ in conditions for name in changes}) == 1
        assert all(len(paper) == len(experiment.headings) for _, _, paper in conditions)


def test_a_run_goes_on_and_is_not_mixed_with_other_settings(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main([*command, "--only", "scales"]) == 0
    before = {path: path.read_text() for path in out.glob("*/log.jsonl")}
    assert {path.parent.name for path in before} == {"one scale, seed 0", "three scales, seed 0"}
    assert main([*command, "--only", "scales", "--seeds", "2"]) == 0
    assert all(path.read_text() == text for path, text in before.items())
    assert re.search(r"\| one scale .* 0\.123 \| 0\.044 .* ± .* 2 \|\n", make_table(out))
    assert (out / "ablations.md").read_text() == make_table(out)
    with pytest.raises(SystemExit):
        main([*command, "--only", "scales", "--steps", "2"])
    assert "holds runs of other settings: choose another --out" in capsys.readouterr().err


def test_tables_have_mean_and_deviation_over_seeds(tmp_path: Path) -> None:
    # Of 10 and 30 %: mean 20, and the root of (10^2 + 10^2) / 1, 14.14.
    for seed, value in enumerate((0.1, 0.3)):
        scores = {"delta1": value, "delta1_scaled": 0.5, "boundary_f1": 0.25}
        append_line(tmp_path / f"1A, seed {seed}", validation=scores)
        (tmp_path / f"1A, seed {seed}" / "stage1.safetensors").touch()
    table = make_table(tmp_path)
    assert "| 75.4 | 0.259 | 0.221 | 20 ± 14 | 50 ± 0 | 0.25 ± 0 | 2 |" in table
    assert "| 79.9 | 0.235 | 0.442 | – | – | – | 0 |" in table


@pytest.mark.parametrize(
    ("more", "part"),
    [
        (["--steps", "0"], "--steps must be above 0, got 0"),
        (["--validation-samples", "0"], "--validation-samples must be above 0"),
        (["--data", "gone"], "gone"),
        (["--only", "everything"], "invalid choice"),
        (["--init", "gone.safetensors"], "gone.safetensors"),
    ],
)
def test_wrong_use_is_explained(
    more: list[str], part: str, command: list[str], tmp_path: Path, capsys: Any
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([*command, *more])
    assert stopped.value.code == 2
    assert part in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
