"""`python -m depthpro evaluate`: systems on benchmarks, a row for each picture, then a report.

    reader → case → system.predict → score → row → table

Rows go to OUT/BENCHMARK/SYSTEM.jsonl, and a run that was stopped resumes where it was.
`accelerate launch -m depthpro evaluate`, or torchrun, shares the pictures among processes.
"""

import argparse
import dataclasses
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from tqdm import tqdm

from depthpro.evaluation import figures, systems
from depthpro.evaluation.readers import READERS, Benchmark, Case, open_benchmark
from depthpro.evaluation.report import Results, row_notes, write_report
from depthpro.evaluation.scoring import Row, SystemOutput, score
from depthpro.evaluation.systems import System
from depthpro.files import whole_file
from depthpro.metrics import Alignment
from depthpro.version import __version__


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add = parser.add_argument
    text = f"a benchmark, {', '.join(READERS)}; held-out shards; or motorcycle; may be repeated"
    add("--data", action="append", required=True, metavar="[KIND:]FOLDER", help=text)
    text = "'small', the default, a file, a folder or a hub name, ours or of transformers; "
    text += "'constant' and 'ramp' are baselines that ignore the picture"
    add("--model", nargs="+", help=text)
    add("--focal", choices=get_args(systems.Focal), default="estimated", help="of networks")
    text = "of predicted depth to the truth; none for metric systems, scale_and_shift for others"
    add("--alignment", choices=get_args(Alignment), help=text)
    add("--samples", type=int, help="only the first so many of each benchmark")
    add("--device", help="cuda, mps or cpu; the best there is if not given")
    add("--earlier", action="store_true", help="report what is in OUT on the same data, too")
    add("-o", "--out", type=Path, default=Path("runs/evaluation"), help="folder of the results")
    add = parser.add_argument_group("maps that another system has saved").add_argument
    add("--predictions", type=Path, help="their folder, a file for each case")
    add("--title", help="the system's name in the report; also of a single --model")
    text = "depth in metres, the default, inverse (1/m), relative (inverse depth up to scale and "
    text += "shift), or relative-depth (depth likewise)"
    add("--kind", choices=get_args(systems.Kind), default="depth", help=text)
    add("--scale", type=float, default=1.0, help="units in a metre, or in 1/m; 1 if not given")


def run(options: argparse.Namespace) -> int:
    """Measure what is not measured yet, write and print the report, and return the exit status."""
    if options.samples is not None and options.samples < 1:
        raise ValueError(f"--samples must be at least 1, got {options.samples}")
    benchmarks = [_open(spec, options.out) for spec in options.data]
    state = PartialState(cpu=options.device == "cpu" or not torch.cuda.is_available())
    results: dict[Path, Results] = {}
    for system in _systems(options):
        alignment = options.alignment or ("none" if system.metric else "scale_and_shift")
        if alignment == "none" and not system.metric:
            raise ValueError(f"{system.title} predicts relative depth: leave --alignment none out")
        for benchmark, folder, data in benchmarks:
            path = folder / f"{slug(system.title)}.jsonl"
            record = {
                "benchmark": benchmark.title,
                "system": system.title,
                "notes": row_notes(system, alignment),
                "alignment": alignment,
                "weights": _fingerprint(system.files) if system.files else "",
                "data": data,
                "depthpro": __version__,
            }
            rows = measure(system, benchmark, record, path, options.samples)
            results[path] = Results(record, rows)
    if state.is_main_process:
        for _, folder, data in benchmarks:
            earlier = sorted(folder.glob("[!.]*.jsonl")) if options.earlier else []
            for path in earlier:
                record = json.loads(path.with_suffix(".json").read_text())
                if record["data"] == data and path not in results:
                    results[path] = Results(record, _read_rows(path))
            here = [result for path, result in results.items() if path.parent == folder]
            figures.draw_curves(folder / "error_over_depth.png", here)
        print(write_report(options.out, list(results.values())))
    state.destroy_process_group()
    return 0


def measure(
    system: System,
    benchmark: Benchmark,
    record: dict[str, Any],
    path: Path,
    samples: int | None = None,
) -> list[Row]:
    """Measure the cases that have no row yet, draw the worst and best, and return all rows.

    Each row is added to the file at `path` as soon as it is measured, and figures go beside it.
    `record` is what rows depend on, such as `alignment`; `samples` limits the number of cases.

    Raises:
        ValueError: If the file has rows of other settings, or a case cannot be measured.
    """
    rows = _resume(path, record)
    state, panels, alignment = PartialState(), path.with_suffix(""), record["alignment"]
    names = list(benchmark.cases)[:samples]
    missing = [name for name in names if name not in rows]
    rounds = range(0, len(missing), state.num_processes)
    title = f"{system.title}, {benchmark.title}"
    for first in tqdm(rounds, desc=title, disable=not state.is_main_process):
        new = []
        for name in missing[first + state.process_index : first + state.num_processes][:1]:
            case, output, row = measure_case(system, benchmark, name, alignment)
            if row in figures.worst_and_best([*rows.values(), row])[1]:
                picture = panels / f"{name}.jpg"
                figures.save_panels(picture, case, output, benchmark.range_m, alignment)
            new.append(row)
        for row in gather_object(new):
            rows[row["case"]] = row
            if state.is_main_process:
                with path.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    chosen = [rows[name] for name in names]
    if state.is_main_process:
        figures.draw_cases(path.with_suffix(".jpg"), chosen, panels)
    return chosen


def measure_case(
    system: System, benchmark: Benchmark, name: str, alignment: Alignment
) -> tuple[Case, SystemOutput, Row]:
    """Return a case, a system's prediction for it, and its scores; any error names the case."""
    try:
        case = benchmark.cases[name]()
        output = system.predict(name, case)
        scores = score(output, case, benchmark.measures, benchmark.range_m, alignment)
    except Exception as error:  # of readers and networks of many kinds; after hours, which case?
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        reason = f"{system.title} on {benchmark.title}, {name}: {kind}{error}"
        raise ValueError(reason) from error
    return case, output, {"case": name, "family": case.family, **scores}


def slug(title: str) -> str:
    """Return a title as the name of a file."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", title).strip("_.") or "unnamed"


def _open(spec: str, out: Path) -> tuple[Benchmark, Path, str]:
    """Return a benchmark, the folder of its results, and a fingerprint of its files."""
    benchmark, rest = open_benchmark(spec), spec.partition(":")[2]
    folder, data = out / slug(benchmark.title), Path(spec)
    if rest and not data.exists():
        data = Path(rest)
    if folder.resolve().is_relative_to(data.resolve()):
        raise ValueError(f"{folder} is in the data, {data}: choose another --out")
    return benchmark, folder, f"{spec} {_fingerprint(data)}"


def _systems(options: argparse.Namespace) -> Iterator[System]:
    """Yield the systems, so that weights are loaded one after the other."""
    models = options.model or ([] if options.predictions else ["small"])
    if options.predictions and not options.title:
        raise ValueError("--predictions needs --title, the system's name in the report")
    if options.title and len(models) + bool(options.predictions) > 1:
        raise ValueError("--title names one system: measure several in several calls")
    for model in dict.fromkeys(models):
        system = systems.open_system(model, options.device, options.focal)
        yield dataclasses.replace(system, title=options.title or system.title)
    if options.predictions:
        saved = options.predictions, options.title, options.kind, options.scale
        yield systems.open_predictions(*saved)


def _resume(path: Path, record: dict[str, Any]) -> dict[str, Row]:
    """Return the rows in a file by case; a ValueError if they were measured otherwise.

    What they depend on is written beside it, and a line that was cut off is removed.
    """
    beside = path.with_suffix(".json")
    before = json.loads(beside.read_text()) if beside.exists() else {}
    differing = [key for key in {**before, **record} if before.get(key) != record.get(key)]
    if path.exists() and differing:
        raise ValueError(
            f"{path} was measured with other {', '.join(differing)}: choose another --out or "
            f"--title, or delete {path.name}"
        )
    rows = _read_rows(path)
    if PartialState().is_main_process:
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        for file, text in (beside, json.dumps(record, indent=1) + "\n"), (path, lines):
            with whole_file(file) as temporary:
                temporary.write_text(text)
    return {row["case"]: row for row in rows}


def _read_rows(path: Path) -> list[Row]:
    """Return the rows of a file, none if it is missing; a last line that was cut off is dropped."""
    if not path.exists():
        return []
    *lines, rest = path.read_text().split("\n")
    if rest and PartialState().is_main_process:
        print(f"{path}: the last line was cut off and is dropped", file=sys.stderr)
    return [json.loads(line) for line in lines]


def _fingerprint(path: Path) -> str:
    """Return a digest of names, sizes and times of the files at a path but hidden ones."""
    files = sorted(path.rglob("[!.]*")) if path.is_dir() else [path]
    stats = [(file.relative_to(path), file.stat()) for file in files if file.is_file()]
    text = "".join(f"{name} {stat.st_size} {stat.st_mtime_ns}\n" for name, stat in stats)
    return hashlib.sha256(text.encode()).hexdigest() if text else ""
