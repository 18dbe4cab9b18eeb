"""The command: rows that are resumed, shared among processes and never mixed; its figures."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY, make_model
from PIL import Image
from training import make_samples

from depthpro.__main__ import main
from depthpro.data.shards import write_shard
from depthpro.evaluation.figures import draw_curves, worst_and_best
from depthpro.evaluation.readers import Benchmark, Case, open_benchmark
from depthpro.evaluation.readers.samples import motorcycle, of_sample
from depthpro.evaluation.report import Results
from depthpro.evaluation.run import measure, measure_case, slug
from depthpro.evaluation.scoring import SystemOutput
from depthpro.evaluation.systems import System, baseline

RECORD = {"benchmark": "Toy floors", "system": "toy", "notes": "", "alignment": "none"}


def make_benchmark(count: int = 5) -> Benchmark:
    cases = {
        f"floors/{number}": partial(of_sample, sample)
        for number, sample in enumerate(make_samples(count))
    }
    return Benchmark("Toy floors", cases, ("depth", "boundary"))


def counting(asked: list[str], killed_at: str = "") -> System:
    """Return a system that is right up to a factor that grows with the case's number."""

    def predict(name: str, case: Case) -> SystemOutput:
        if name == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        asked.append(name)
        assert case.depth is not None
        return SystemOutput(case.depth * (1 + 0.1 * int(name[-1])))

    return System("toy", True, predict)


def test_a_stopped_run_resumes_and_no_picture_is_predicted_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    benchmark, path = make_benchmark(), tmp_path / "toys" / f"{slug('v2.0 (toy)/..')}.jsonl"
    assert path.name == "v2.0_toy.jsonl"
    first = measure(counting(asked), benchmark, RECORD, path, samples=3)
    path.write_text(path.read_text() + '{"case": "floors/3", "fam')  # killed while writing
    rows = measure(counting(asked), benchmark, RECORD, path)
    assert f"{path}: the last line was cut off" in capsys.readouterr().err
    assert asked == [row["case"] for row in rows] == list(benchmark.cases)
    # Off by 0, 10, 20, 30, 40 %.
    assert [row["abs_rel"] for row in rows] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4], abs=1e-6)
    assert [json.loads(line) for line in path.read_text().splitlines()] == rows
    assert measure(counting(asked), benchmark, RECORD, path, samples=3) == first == rows[:3]
    assert len(asked) == 5
    assert "cut off" not in capsys.readouterr().err
    with Image.open(path.with_suffix(".jpg")) as image:
        assert image.width > 1000


def run_until_killed(path: Path) -> None:
    measure(counting([], killed_at="floors/3"), make_benchmark(), RECORD, path)


@pytest.mark.slow
def test_a_killed_run_has_kept_its_rows(tmp_path: Path) -> None:
    path, asked = tmp_path / "toy.jsonl", []
    process = multiprocessing.get_context("spawn").Process(target=run_until_killed, args=(path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(measure(counting(asked), make_benchmark(), RECORD, path)) == 5
    assert asked == ["floors/3", "floors/4"]


def test_rows_of_other_settings_are_not_mixed(tmp_path: Path) -> None:
    path, other = tmp_path / "toy.jsonl", RECORD | {"alignment": "scale"}
    measure(counting([]), make_benchmark(), RECORD, path)
    with pytest.raises(ValueError, match=r"toy\.jsonl was measured with other alignment"):
        measure(counting([]), make_benchmark(), other, path)
    path.unlink()  # which is what the error says
    assert len(measure(counting([]), make_benchmark(), other, path)) == 5


def test_a_case_that_cannot_be_measured_is_named() -> None:
    def fails(name: str, case: Case) -> SystemOutput:
        raise RuntimeError("an odd processor")

    nan = SystemOutput(np.full((4, 4), np.nan, np.float32))
    for predict, message in (
        (lambda name, case: nan, "toy on Toy floors, floors/0: predicted depth is NaN"),
        (fails, "floors/0: RuntimeError: an odd processor"),
    ):
        with pytest.raises(ValueError, match=message):
            measure_case(System("toy", True, predict), make_benchmark(), "floors/0", "none")


@pytest.mark.parametrize(
    ("key", "values", "order"),
    [
        ("delta1", [0.5, 0.9, 0.1, 0.7, 0.3, 0.95, 0.2], [2, 6, 4, 3, 1, 5]),
        ("boundary_recall", [0.5, 0.9, 0.1, 0.7], [2, 0, 3, 1]),  # none twice
        ("delta1", [0.0] * 9, [0, 1, 2]),  # of equal ones the first
        ("focal_error", [0.5, 0.9], []),
    ],
)
def test_the_worst_come_first_and_the_best_last(key: str, values: list, order: list) -> None:
    rows = [{"case": number, key: value} for number, value in enumerate(values)]
    used, chosen = worst_and_best(rows)
    assert [row["case"] for row in chosen] == order
    assert used == (key if order else "")


def test_curves_need_depth(tmp_path: Path) -> None:
    draw_curves(tmp_path / "curve.png", [Results(RECORD, [{"case": "a", "focal_error": 0.1}])])
    assert not list(tmp_path.iterdir())


def test_the_ramp_is_a_level_ground_seen_from_eye_height() -> None:
    case = of_sample(make_samples(1)[0])
    assert case.fy_px is not None
    height = case.rgb.shape[0]
    ramp = baseline("ramp").predict("", case).depth
    # 48 rows below the horizon at 40 % of the height, at f = f_px: depth = f 1.5 m / rows.
    row = round(0.4 * height) + 48
    assert ramp[row, 7] == pytest.approx(case.fy_px * 1.5 / (row - 0.4 * height), rel=1e-5)
    assert (ramp[: int(0.4 * height)] == ramp[0, 0]).all()
    assert (baseline("constant").predict("", case).depth == np.float32(3.9)).all()


def test_motorcycle_is_a_real_picture_with_metres() -> None:
    (read,) = motorcycle().cases.values()
    case = read()
    assert case.rgb.shape == (500, 741, 3)
    assert case.mask is not None and case.depth is not None
    known = case.depth[case.mask]
    assert 1.5 < known.min() < known.max() < 7  # the camera stood a few metres away
    assert 0.5 < case.mask.mean() < 1
    # A quarter of the full size's 1244.772, 1019.507 of 2964 x 2000, pixel centres at integers.
    assert case.cx_px == pytest.approx((1244.772 + 0.5) / 4 - 0.5, abs=1e-3)
    assert case.cy_px == pytest.approx((1019.507 + 0.5) / 4 - 0.5, abs=1e-3)


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    write_shard(tmp_path / "held-out" / "a.tar", make_samples(3))
    # A network that computes in float32 everywhere, also in other processes.
    config = replace(TINY, stem="efficientnet_lite0")
    make_model(config).save_pretrained(tmp_path / "tiny.safetensors")
    return ["evaluate", "--data", str(tmp_path / "held-out"), "-o", str(tmp_path / "out"),
            "--model"]  # fmt: skip


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_the_command_writes_rows_report_and_figures(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, tiny = tmp_path / "out", str(tmp_path / "tiny.safetensors")
    assert main([*command, tiny, "constant", "ramp"]) == 0
    printed = capsys.readouterr().out
    assert printed.strip() == (out / "report.md").read_text().strip()
    assert "| **constant 3.9 m** | 3 |" in printed
    assert "| **level ground** | 3 | true focal length |" in printed
    assert "(tiny.safetensors)** | 3 | estimated focal length, licence" in printed
    folder = out / "held-out"
    assert len(list(folder.glob("*.jsonl"))) == len(list(folder.glob("*.jpg"))) == 3
    assert (folder / "error_over_depth.png").is_file()
    row = json.loads((folder / "constant_3.9_m.jsonl").read_text().splitlines()[0])
    assert row["case"] == "000000"
    assert "focal_error" not in row  # a constant estimates no focal length
    # A report has what was asked for, and with --earlier what was measured before.
    assert main([*command, tiny, "--focal", "true"]) == 0
    printed = capsys.readouterr().out
    assert "true focal length** | 3 | true focal length, licence" in printed
    assert "constant" not in printed
    assert main([*command, tiny, "--title", "Mine", "--earlier"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("** | 3 | ") == 5
    assert "**Mine** |" in printed


@pytest.mark.parametrize("changed", ["tiny.safetensors", "held-out/a.tar"])
def test_weights_and_data_that_changed_are_not_mixed(
    changed: str, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*command, str(tmp_path / "tiny.safetensors")]
    assert main(command) == main(command) == 0
    os.utime(tmp_path / changed, (0, 0))
    kind = "weights" if "tiny" in changed else "data"
    assert f"was measured with other {kind}" in refusal(capsys, *command)


def test_results_do_not_lie_in_the_data(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "held-out"
    for out in (data, data / "measured", tmp_path):  # of the last, results would be in held-out too
        assert "is in the data" in refusal(capsys, *command, "constant", "-o", str(out))


def test_a_folder_named_as_a_benchmark_has_no_published_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shard(tmp_path / "Sintel" / "a.tar", make_samples(1))
    data = str(tmp_path / "Sintel")
    assert main(["evaluate", "--data", data, "--model", "constant", "-o", str(tmp_path / "o")]) == 0
    printed = capsys.readouterr().out
    assert "## Sintel (own)" in printed
    assert "Table" not in printed


def test_saved_predictions_are_measured_and_marked(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "saved").mkdir()
    for number in range(3):
        values = np.random.default_rng(number).random((96, 96), np.float32)
        np.save(tmp_path / f"saved/{number:06d}.npy", values)
    command = [*command[:-1], "--predictions", str(tmp_path / "saved"), "--title"]
    for title, scale, notes in (
        ("depth", "2", "saved as depth, 2 units in a metre |"),
        ("relative", "1", "aligned by scale and shift, relative depth, saved as relative |"),
        ("relative-depth", "1", "saved as relative-depth, fitted to each truth by scale and shift"),
    ):
        assert main([*command, title, "--kind", title, "--scale", scale]) == 0
        assert f"| **{title}** | 3 | {notes}" in capsys.readouterr().out
    assert "other notes" in refusal(capsys, *command, "depth", "--scale", "3")
    # Options of saved maps are no settings of other systems.
    assert main([*command[:5], "--model", "constant"]) == 0
    assert main([*command[:5], "--model", "constant", "--kind", "inverse", "--scale", "3"]) == 0
    wrong = [*command, "X", "--kind", "relative", "--alignment", "none"]
    assert "X predicts relative depth" in refusal(capsys, *wrong)


def test_impossible_options_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone, motorcycle = str(tmp_path / "gone"), ["--data", "motorcycle"]
    for wrong, part in (
        (["--data", gone], "benchmarks are motorcycle, or booster:FOLDER"),
        (["--data", f"booster:{gone}"], "there is no folder"),
        ([*motorcycle, "--samples", "0"], "--samples must be at least 1"),
        ([*motorcycle, "--predictions", str(tmp_path)], "needs --title"),
        ([*motorcycle, "--model", "small", "ramp", "--title", "x"], "--title names one system"),
    ):
        assert part in refusal(capsys, "evaluate", *wrong, "-o", str(tmp_path / "out"))
    with pytest.raises(ValueError, match="Toys"):
        open_benchmark("Toys")


@pytest.mark.slow
def test_two_processes_resume_and_give_the_table_of_one(command: list[str], tmp_path: Path) -> None:
    command += [str(tmp_path / "tiny.safetensors"), "constant"]
    two = [*command, "-o", str(tmp_path / "two"), "--device", "cpu"]
    assert main(command) == 0
    assert main([*two, "--samples", "1"]) == 0
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run(
        [*torchrun, "-m", "depthpro", *two],
        check=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    one, other = tmp_path / "out", tmp_path / "two"
    assert (one / "report.md").read_text() == (other / "report.md").read_text()
    for path in one.glob("*/*.jsonl"):
        twin = other / path.relative_to(one)
        for lines in zip(path.open(), twin.open(), strict=True):
            ours, theirs = map(json.loads, lines)
            for name, value in theirs.items():  # threads add in another order
                close = isinstance(value, float | list)
                wanted = pytest.approx(value, rel=1e-3, abs=1e-4) if close else value
                assert ours.pop(name) == wanted
            assert not ours
