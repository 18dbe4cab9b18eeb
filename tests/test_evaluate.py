"""The command: rows that are resumed, shared among processes and never mixed; its figures."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import make_model
from PIL import Image
from training import make_samples

from depthpro.__main__ import main
from depthpro.benchmarks import Benchmark, Case, open_benchmark
from depthpro.benchmarks.samples import motorcycle, of_sample
from depthpro.error_figures import draw_cases, draw_curves
from depthpro.evaluate import baseline, measure, slug
from depthpro.scoring import Said
from depthpro.shards import write_shard
from depthpro.systems import System

ABOUT = {"system": "toy", "alignment": "none"}


def make_benchmark(count: int = 5) -> Benchmark:
    cases = {
        f"floors/{number}": partial(of_sample, sample)
        for number, sample in enumerate(make_samples(count))
    }
    return Benchmark("Toy floors", cases, ("depth", "boundary"))


def counting(asked: list[str], stop_at: str = "") -> System:
    """Return a system that is right up to a factor that grows with the case's number."""

    def say(name: str, case: Case) -> Said:
        if name == stop_at:
            raise KeyboardInterrupt
        asked.append(name)
        assert case.depth is not None
        return Said(case.depth * (1 + 0.1 * int(name[-1])))

    return System("toy", True, say)


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    asked: list[str] = []
    benchmark = make_benchmark()
    with pytest.raises(KeyboardInterrupt):
        measure(counting(asked, stop_at="floors/3"), benchmark, tmp_path, ABOUT)
    (part,) = tmp_path.glob("*/.toy@0.part")
    part.write_text(part.read_text() + '{"case": "floors/3", "fam')  # killed while writing
    rows = measure(counting(asked), benchmark, tmp_path, ABOUT)
    assert asked == list(benchmark.cases)  # none twice
    lines = [json.loads(line) for line in rows.read_text().splitlines()]
    assert [line["case"] for line in lines] == list(benchmark.cases)
    # Off by 0, 10, 20, 30, 40 %.
    assert [line["abs_rel"] for line in lines] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4], abs=1e-6)
    assert list(tmp_path.glob("*/.*")) == []
    measure(counting(asked), benchmark, tmp_path, ABOUT)
    assert len(asked) == 5


def test_the_first_few_and_then_the_rest(tmp_path: Path) -> None:
    asked: list[str] = []
    rows = measure(counting(asked), make_benchmark(), tmp_path, ABOUT | {"samples": 2})
    assert len(rows.read_text().splitlines()) == len(asked) == 2
    measure(counting(asked), make_benchmark(), tmp_path, ABOUT)
    assert len(rows.read_text().splitlines()) == len(asked) == 5


def test_rows_of_other_settings_are_not_mixed(tmp_path: Path) -> None:
    rows = measure(counting([]), make_benchmark(), tmp_path, ABOUT)
    before = rows.read_bytes()
    with pytest.raises(ValueError, match=r"toy\.jsonl was measured with other alignment"):
        measure(counting([]), make_benchmark(), tmp_path, ABOUT | {"alignment": "scale"})
    assert rows.read_bytes() == before


def test_a_case_that_cannot_be_measured_is_named(tmp_path: Path) -> None:
    wrong = System("toy", True, lambda name, case: Said(np.full((4, 4), np.nan, np.float32)))
    with pytest.raises(ValueError, match="toy on Toy floors, floors/0: predicted depth is NaN"):
        measure(wrong, make_benchmark(), tmp_path, ABOUT)


def test_figures_show_worst_and_best(tmp_path: Path) -> None:
    benchmark = make_benchmark(8)
    system = counting([])
    rows = measure(system, benchmark, tmp_path, ABOUT)
    path = draw_cases(rows, benchmark, system)
    assert path is not None
    with Image.open(path) as image:
        assert image.width > 1000
    curves = draw_curves(rows.parent)
    assert curves is not None
    assert curves.is_file()
    nothing = tmp_path / "nothing/toy.jsonl"
    nothing.parent.mkdir()
    nothing.write_text('{"case": "a", "family": "", "focal_error": 0.1}\n')
    assert draw_cases(nothing, benchmark, system) is None
    assert draw_curves(nothing.parent) is None


def test_the_ramp_is_a_level_ground_seen_from_eye_height() -> None:
    case = of_sample(make_samples(1)[0])
    assert case.fy_px is not None
    height = case.rgb.shape[0]
    ramp = baseline("ramp").say("", case).depth
    # 48 rows below the horizon at 40 % of the height, at f = f_px: depth = f 1.5 m / rows.
    row = round(0.4 * height) + 48
    assert ramp[row, 7] == pytest.approx(case.fy_px * 1.5 / (row - 0.4 * height), rel=1e-5)
    assert (ramp[: int(0.4 * height)] == ramp[0, 0]).all()
    assert (baseline("constant").say("", case).depth == np.float32(3.9)).all()


def test_motorcycle_is_a_real_picture_with_metres() -> None:
    (read,) = motorcycle().cases.values()
    case = read()
    assert case.rgb.shape == (500, 741, 3)
    assert case.mask is not None
    assert case.depth is not None
    known = case.depth[case.mask]
    # The rig stood a few metres away: depth = baseline f / (disparity + offset).
    assert 1.5 < known.min() < known.max() < 7
    assert 0.5 < case.mask.mean() < 1


def test_titles_become_names_of_files() -> None:
    assert slug("Depth Anything v2 (small)/x") == "Depth_Anything_v2_small_x"
    assert slug("..") == "unnamed"


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    write_shard(tmp_path / "held-out" / "a.tar", make_samples(3))
    make_model().save_pretrained(tmp_path / "tiny.safetensors")
    return ["evaluate", "--data", str(tmp_path / "held-out"), "--model",
            str(tmp_path / "tiny.safetensors"), "constant", "ramp"]  # fmt: skip


def test_the_command_writes_rows_report_and_figures(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main([*command, "-o", str(out)]) == 0
    printed = capsys.readouterr().out
    assert printed.strip() == (out / "report.md").read_text().strip()
    assert "**constant 3.9 m** | measured, 3 pictures" in printed
    folder = out / "held-out"
    assert len(list(folder.glob("*.jsonl"))) == len(list(folder.glob("*.jpg"))) == 3
    assert (folder / "error_over_depth.png").is_file()
    row = json.loads((folder / "constant_3.9_m.jsonl").read_text().splitlines()[0])
    assert row["case"] == "000000"
    assert "focal_error" not in row  # a constant estimates no focal length
    assert main([*command, "-o", str(out), "--focal", "true"]) == 0
    assert "true focal length**" in capsys.readouterr().out


def test_impossible_options_are_refused(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for wrong, part in (
        (["--data", str(tmp_path / "gone")], "benchmarks are motorcycle, or booster:FOLDER"),
        (["--data", "booster:" + str(tmp_path / "gone")], "there is no folder"),
        (["--data", "motorcycle", "--samples", "0"], "--samples must be at least 1"),
        (["--data", "motorcycle", "--predictions", str(tmp_path)], "needs --title"),
        (["--data", "motorcycle", "--model", "constant", "ramp", "--title", "x"], "one --model"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(["evaluate", *wrong, "-o", str(tmp_path / "out")])
        assert stopped.value.code == 2
        assert part in capsys.readouterr().err
    with pytest.raises(ValueError, match="Toys"):
        open_benchmark("Toys")


@pytest.mark.slow
def test_two_processes_give_the_table_of_one(command: list[str], tmp_path: Path) -> None:
    main([*command, "-o", str(tmp_path / "one")])
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2",
                "--master-port=29517", "-m", "depthpro"]  # fmt: skip
    subprocess.run(
        [*torchrun, *command, "-o", str(tmp_path / "two"), "--device", "cpu"],
        check=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert (tmp_path / "one/report.md").read_text() == (tmp_path / "two/report.md").read_text()
    for path in (tmp_path / "one").glob("*/*.jsonl"):
        ours = [json.loads(line) for line in path.read_text().splitlines()]
        other = tmp_path / "two" / path.parent.name / path.name
        theirs = [json.loads(line) for line in other.read_text().splitlines()]
        for row, twin in zip(ours, theirs, strict=True):
            assert row == {
                name: pytest.approx(value, rel=1e-3, abs=1e-4)  # threads add in another order
                if isinstance(value, float | list)
                else value
                for name, value in twin.items()
            }
