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
from depthpro.data.shards import write_shard
from depthpro.evaluation import rows as rows_on_disk
from depthpro.evaluation.evaluate import baseline, measure, slug
from depthpro.evaluation.figures import draw_cases, draw_curves, worst_and_best
from depthpro.evaluation.readers import Benchmark, Case, open_benchmark
from depthpro.evaluation.readers.samples import motorcycle, of_sample
from depthpro.evaluation.scoring import Said
from depthpro.evaluation.systems import System

ABOUT = {"system": "toy", "alignment": "none"}


def make_benchmark(count: int = 5) -> Benchmark:
    cases = {
        f"floors/{number}": partial(of_sample, sample)
        for number, sample in enumerate(make_samples(count))
    }
    return Benchmark("Toy floors", cases, ("depth", "boundary"))


def counting(asked: list[str], stop_at: str = "", title: str = "toy") -> System:
    """Return a system that is right up to a factor that grows with the case's number."""

    def say(name: str, case: Case) -> Said:
        if name == stop_at:
            raise KeyboardInterrupt
        asked.append(name)
        assert case.depth is not None
        return Said(case.depth * (1 + 0.1 * int(name[-1])))

    return System(title, True, say)


def cases_of(rows: Path) -> list[str]:
    return [json.loads(line)["case"] for line in rows.read_text().splitlines()]


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
    before = rows.stat()
    measure(counting(asked), benchmark, tmp_path, ABOUT)
    assert len(asked) == 5
    assert rows.stat() == before  # with nothing to add it is not written again


@pytest.mark.parametrize("block", [1, 7, 1 << 16])
def test_half_a_line_goes_whatever_its_length(tmp_path: Path, monkeypatch, block: int) -> None:
    monkeypatch.setattr(rows_on_disk, "BLOCK", block)
    asked: list[str] = []
    benchmark = make_benchmark(2)
    measure(counting([]), benchmark, tmp_path, ABOUT).unlink()  # leaves its record
    part = tmp_path / "Toy_floors/.toy@0.part"
    whole = '{"case": "floors/0", "family": "Möbel"}\n'
    for kept in ("", whole):
        part.write_text(kept + '{"case": "floors/1", "fam' + 100 * "ö", encoding="utf-8")
        rows = measure(counting(asked), benchmark, tmp_path, ABOUT)
        assert cases_of(rows) == list(benchmark.cases)
        assert rows.read_text(encoding="utf-8").startswith(kept)
        rows.unlink()
    assert asked == ["floors/0", "floors/1", "floors/1"]


@pytest.mark.parametrize("killed", ["replace", "unlink"])  # before, and after rows are in place
def test_a_merge_that_was_killed_is_made_again(tmp_path: Path, monkeypatch, killed: str) -> None:
    asked: list[str] = []
    benchmark = make_benchmark()
    rows = measure(counting(asked), benchmark, tmp_path, ABOUT | {"samples": 2})
    real = getattr(Path, killed)

    def kill(path: Path, *given, **named) -> None:
        if killed == "replace" or path.suffix == ".part":
            raise KeyboardInterrupt
        real(path, *given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(Path, killed, kill)
        with pytest.raises(KeyboardInterrupt):
            measure(counting(asked), benchmark, tmp_path, ABOUT)
    assert len(cases_of(rows)) == (2 if killed == "replace" else 5)
    (rows.parent / ".toy.x7q.jsonl").write_text('{"case": "flo')  # what a killed one leaves
    assert cases_of(measure(counting(asked), benchmark, tmp_path, ABOUT)) == list(benchmark.cases)
    assert asked == list(benchmark.cases)  # none twice
    assert [path.name for path in rows.parent.glob(".*")] == [".toy.x7q.jsonl"]


def test_systems_whose_names_start_alike_are_apart(tmp_path: Path) -> None:
    benchmark, asked = make_benchmark(3), {"v2": [], "v2.0": []}
    for title in asked:
        with pytest.raises(KeyboardInterrupt):
            measure(counting(asked[title], "floors/2", title), benchmark, tmp_path, ABOUT)
    for title in asked:
        rows = measure(counting(asked[title], title=title), benchmark, tmp_path, ABOUT)
        assert rows.name == f"{title}.jsonl"
        assert asked[title] == cases_of(rows) == list(benchmark.cases)


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


def test_rows_of_other_cases_are_not_averaged(tmp_path: Path) -> None:
    measure(counting([]), make_benchmark(5), tmp_path, ABOUT)
    with pytest.raises(ValueError, match="was measured with other cases"):
        measure(counting([]), make_benchmark(2), tmp_path, ABOUT)


def test_one_table_has_one_set_of_data(tmp_path: Path) -> None:
    rows = measure(counting([]), make_benchmark(5), tmp_path, ABOUT)
    for benchmark, about, other in (
        (make_benchmark(2), ABOUT, "cases"),
        (make_benchmark(5), ABOUT | {"files": "2d"}, "files"),
    ):
        with pytest.raises(ValueError, match=f"toy.jsonl was measured with other {other}: .* dele"):
            measure(counting([], title="new"), benchmark, tmp_path, about)
    rows.with_suffix(".json").write_text('{"system": "toy"}')
    with pytest.raises(ValueError, match=r"toy\.json is gone or no record; delete toy\.jsonl"):
        measure(counting([], title="new"), make_benchmark(5), tmp_path, ABOUT)
    rows.unlink()
    measure(counting([], title="new"), make_benchmark(2), tmp_path, ABOUT)


def test_what_the_refusal_says_to_delete_is_enough(tmp_path: Path) -> None:
    other = ABOUT | {"alignment": "scale"}
    with pytest.raises(KeyboardInterrupt):
        measure(counting([], stop_at="floors/3"), make_benchmark(), tmp_path, ABOUT)
    with pytest.raises(ValueError, match=r"other alignment.*delete toy\.jsonl .*\.toy@\*\.part"):
        measure(counting([]), make_benchmark(), tmp_path, other)
    (part,) = tmp_path.glob("*/.toy@*.part")
    record = part.parent / "toy.json"
    record.unlink()  # alone it would mix the rows of both
    with pytest.raises(ValueError, match="was measured with other"):
        measure(counting([]), make_benchmark(), tmp_path, other)
    part.unlink()
    rows = measure(counting([]), make_benchmark(), tmp_path, other)
    assert len(cases_of(rows)) == 5
    assert json.loads(record.read_text())["alignment"] == "scale"


def test_a_case_that_cannot_be_measured_is_named(tmp_path: Path) -> None:
    wrong = System("toy", True, lambda name, case: Said(np.full((4, 4), np.nan, np.float32)))
    with pytest.raises(ValueError, match="toy on Toy floors, floors/0: predicted depth is NaN"):
        measure(wrong, make_benchmark(), tmp_path, ABOUT)

    def gone() -> Case:
        raise OSError("no such file")

    def fails(name: str, case: Case) -> Said:
        raise RuntimeError("an odd processor")

    broken = Benchmark("Broken", {"a/1": gone}, ("depth",))
    with pytest.raises(ValueError, match="toy on Broken, a/1: OSError: no such file"):
        measure(counting([]), broken, tmp_path, ABOUT)
    with pytest.raises(
        ValueError, match="toy on Toy floors, floors/0: RuntimeError: an odd processor"
    ):
        measure(System("toy", True, fails), make_benchmark(), tmp_path, ABOUT)


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


def test_the_worst_come_first_and_the_best_last(tmp_path: Path) -> None:
    rows = tmp_path / "toy.jsonl"
    values = {"a": 0.5, "b": 0.9, "c": 0.1, "d": 0.7, "e": 0.3, "f": 0.95, "g": 0.2}

    def write(key: str, count: int) -> None:
        named = [{"case": name, key: values[name]} for name in list(values)[:count]]
        rows.write_text("".join(json.dumps(row) + "\n" for row in named))

    write("delta1", 7)
    key, chosen = worst_and_best(rows)
    assert key == "delta1"
    assert chosen == [(0.1, "c"), (0.2, "g"), (0.3, "e"), (0.7, "d"), (0.9, "b"), (0.95, "f")]
    write("boundary_recall", 4)  # none twice
    key, chosen = worst_and_best(rows)
    assert key == "boundary_recall"
    assert [name for _, name in chosen] == ["c", "a", "d", "b"]
    write("focal_error", 2)
    assert worst_and_best(rows) == ("", [])


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
    # A quarter of the full size's 1244.772, 1019.507 of 2964 x 2000, pixel centres at integers.
    assert case.cx_px == pytest.approx((1244.772 + 0.5) / 4 - 0.5, abs=1e-3)
    assert case.cy_px == pytest.approx((1019.507 + 0.5) / 4 - 0.5, abs=1e-3)


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
    assert "**constant 3.9 m** | measured, 3 pictures |" in printed
    assert "**level ground** | measured, 3 pictures, true focal length |" in printed
    assert "(tiny.safetensors)** | measured, 3 pictures, estimated focal length, lic" in printed
    folder = out / "held-out"
    assert len(list(folder.glob("*.jsonl"))) == len(list(folder.glob("*.jpg"))) == 3
    assert (folder / "error_over_depth.png").is_file()
    row = json.loads((folder / "constant_3.9_m.jsonl").read_text().splitlines()[0])
    assert row["case"] == "000000"
    assert "focal_error" not in row  # a constant estimates no focal length
    told = [*command[:5], "--focal", "true", "-o", str(out)]
    source = "measured, 3 pictures, true focal length, lic"
    assert main(told) == 0
    assert f"true focal length** | {source}" in capsys.readouterr().out
    assert main([*told, "--title", "Mine"]) == 0
    assert f"**Mine** | {source}" in capsys.readouterr().out
    assert json.loads((folder / "Mine.json").read_text())["system"] == "Mine"


def test_weights_that_changed_are_not_mixed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shard(tmp_path / "held-out" / "a.tar", make_samples(1))
    make_model().save_pretrained(tmp_path / "tiny")
    command = ["evaluate", "--data", str(tmp_path / "held-out"), "-o", str(tmp_path / "out"),
               "--model", str(tmp_path / "tiny")]  # fmt: skip
    assert main(command) == main(command) == 0
    os.utime(tmp_path / "tiny/model.safetensors", (0, 0))
    with pytest.raises(SystemExit):
        main(command)
    assert "was measured with other weights" in capsys.readouterr().err


def test_data_that_changed_are_measured_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shard(tmp_path / "held-out" / "a.tar", make_samples(2))
    command = ["evaluate", "--data", str(tmp_path / "held-out"), "-o", str(tmp_path / "out"),
               "--model", "constant"]  # fmt: skip
    assert main(command) == main(command) == 0
    size = (tmp_path / "held-out" / "a.tar").stat().st_size
    write_shard(tmp_path / "held-out" / "a.tar", make_samples(2)[::-1])  # the same names
    assert (tmp_path / "held-out" / "a.tar").stat().st_size == size
    with pytest.raises(SystemExit):
        main(command)
    assert "was measured with other files" in capsys.readouterr().err


def test_results_do_not_lie_in_the_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "held-out"
    write_shard(data / "a.tar", make_samples(1))
    command = ["evaluate", "--data", str(data), "--model", "constant", "-o"]
    for out in (data, data / "measured", tmp_path):  # of the last, results would be in held-out too
        with pytest.raises(SystemExit):
            main([*command, str(out)])
        assert "is in the data" in capsys.readouterr().err
    assert main([*command, str(tmp_path / "out")]) == 0
    (data / ".a.tar.x7q").touch()  # what is half written, or a file browser's
    assert main([*command, str(tmp_path / "out")]) == 0


def test_rows_without_their_record_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shard(tmp_path / "held-out" / "a.tar", make_samples(1))
    command = ["evaluate", "--data", str(tmp_path / "held-out"), "-o", str(tmp_path / "out")]
    assert main([*command, "--model", "constant"]) == 0
    (tmp_path / "out/held-out/constant_3.9_m.json").unlink()
    with pytest.raises(SystemExit):
        main([*command, "--model", "ramp"])
    assert "nothing says how" in capsys.readouterr().err


def test_a_folder_named_as_a_benchmark_has_no_published_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shard(tmp_path / "Sintel" / "a.tar", make_samples(1))
    data = str(tmp_path / "Sintel")
    assert main(["evaluate", "--data", data, "--model", "constant", "-o", str(tmp_path / "o")]) == 0
    printed = capsys.readouterr().out
    assert "## Sintel (own)" in printed
    assert "Table" not in printed


def test_what_says_no_metres_is_aligned_and_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shard(tmp_path / "held-out" / "a.tar", make_samples(1))
    (tmp_path / "saved").mkdir()
    np.save(tmp_path / "saved/000000.npy", np.random.default_rng(0).random((96, 96), np.float32))
    command = ["evaluate", "--data", str(tmp_path / "held-out"), "-o", str(tmp_path / "out"),
               "--predictions", str(tmp_path / "saved"), "--title", "X", "--kind",
               "relative"]  # fmt: skip
    with pytest.raises(SystemExit):
        main([*command, "--alignment", "none"])
    assert "X says no metres" in capsys.readouterr().err
    assert main(command) == 0
    assert "aligned by scale and shift, relative depth, predictions" in capsys.readouterr().out


def test_predictions_say_no_more_than_what_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shard(tmp_path / "held-out" / "a.tar", make_samples(2))
    (tmp_path / "saved").mkdir()
    for number in range(2):
        np.save(tmp_path / f"saved/{number:06d}.npy", np.full((96, 96), 3, np.float32))
    command = ["evaluate", "--data", str(tmp_path / "held-out"), "-o", str(tmp_path / "out"),
               "--predictions", str(tmp_path / "saved"), "--title"]  # fmt: skip
    assert main([*command, "Saved"]) == main([*command, "Fitted", "--kind", "relative-depth"]) == 0
    printed = capsys.readouterr().out
    assert "**Saved** | measured, 2 pictures, predictions as saved |" in printed
    fitted = (
        "fitted to each truth by scale and shift of depth, relative depth, predictions as saved"
    )
    assert f"**Fitted** | measured, 2 pictures, {fitted} |" in printed


def test_impossible_options_are_refused(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    motorcycle = ["--data", "motorcycle"]
    saved = [*motorcycle, "--predictions", str(tmp_path), "--title", "x"]
    for wrong, part in (
        (["--data", str(tmp_path / "gone")], "benchmarks are motorcycle, or booster:FOLDER"),
        (["--data", "booster:" + str(tmp_path / "gone")], "there is no folder"),
        (["--data", "motorcycle", "--samples", "0"], "--samples must be at least 1"),
        (["--data", "motorcycle", "--predictions", str(tmp_path)], "needs --title"),
        ([*motorcycle, "--model", "small", "small", "--title", "x"], "--title has no use with"),
        ([*motorcycle, "--model", "ramp", "--title", "x"], "--title has no use with --model ramp"),
        ([*motorcycle, "--model", "small", "ramp", "--focal", "true"], "--focal has no use with"),
        ([*motorcycle, "--kind", "inverse"], "--kind has no use without --predictions"),
        ([*motorcycle, "--scale", "256"], "--scale has no use without --predictions"),
        ([*saved, "--focal", "true"], "--focal has no use with --predictions"),
        ([*saved, "--model", "small"], "--model has no use with --predictions"),
        ([*saved, "--device", "cpu"], "--device has no use with --predictions"),
        ([*saved, "--kind", "focal", "--scale", "2"], "--scale has no use with --kind focal"),
        ([*motorcycle, "--model", "ramp", "--device", "cpu"], "--device has no use with"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(["evaluate", *wrong, "-o", str(tmp_path / "out")])
        assert stopped.value.code == 2
        assert part in capsys.readouterr().err
    with pytest.raises(ValueError, match="Toys"):
        open_benchmark("Toys")


def run_two(*arguments: str) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run(
        [*torchrun, "-m", "depthpro", *arguments],
        check=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
    )


@pytest.mark.slow
def test_two_processes_go_on_with_what_others_left(command: list[str], tmp_path: Path) -> None:
    data, out = command[1:3], tmp_path / "out"
    write_shard(tmp_path / "held-out" / "a.tar", make_samples(5))
    main(["evaluate", *data, "--model", "constant", "-o", str(out), "--samples", "3"])
    rows = out / "held-out/constant_3.9_m.jsonl"
    first, second, third = rows.read_text().splitlines()
    marked = third.replace('"family": "floor"', '"family": "left"')
    rows.with_name(".constant_3.9_m@0.part").write_text(first[:20])
    rows.with_name(".constant_3.9_m@1.part").write_text(f"{marked}\n{second[:30]}")
    rows.with_name(".constant_3.9_m@6.part").write_text(f"{second}\n{first[:40]}")
    rows.unlink()
    run_two("evaluate", *data, "--model", "constant", "-o", str(out))
    lines = rows.read_text().splitlines()
    assert cases_of(rows) == [f"{number:06d}" for number in range(5)]
    assert lines[:3] == [first, second, marked]  # taken over, not measured again
    assert list(rows.parent.glob(".*")) == []


@pytest.mark.slow
def test_two_processes_give_the_table_of_one(command: list[str], tmp_path: Path) -> None:
    main([*command, "-o", str(tmp_path / "one")])
    run_two(*command, "-o", str(tmp_path / "two"), "--device", "cpu")
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
