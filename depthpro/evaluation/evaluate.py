"""`python -m depthpro evaluate`: systems on benchmarks, a line for each picture, then a report.

Rows go to OUT/BENCHMARK/SYSTEM.jsonl, and the report is made of all rows in OUT: systems and
benchmarks can be measured one after the other. A run that was stopped goes on where it was.
`torchrun -m depthpro evaluate` shares the pictures among processes.
"""

import argparse
import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import distributed
from tqdm import tqdm

from depthpro.evaluation.figures import draw_cases, draw_curves
from depthpro.evaluation.readers import READERS, Benchmark, Case, open_benchmark
from depthpro.evaluation.report import read_rows, write_report
from depthpro.evaluation.rows import appending, merge, note, parts
from depthpro.evaluation.scoring import Row, Said, score
from depthpro.evaluation.systems import Kind, System, open_predictions, open_system, stamp
from depthpro.metrics import Alignment
from depthpro.version import __version__

CONSTANT_M = 3.9
"""What "constant" says everywhere: the median depth of `render --seed 3`, without sky."""
HORIZON, EYE_M, FAR_M = 0.4, 1.5, 1000.0
"""What "ramp" says: a level ground seen from this height, its horizon at this share of the rows."""
BASELINES = ("constant", "ramp")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add(
        "--data",
        action="append",
        required=True,
        metavar="[KIND:]FOLDER",
        help=f"a benchmark, {', '.join(READERS)}; held-out shards; or motorcycle; may be repeated",
    )
    add(
        "--model",
        nargs="+",
        help="'small', the default, a file, a folder or a hub name, ours or of transformers; "
        "'constant' and 'ramp' are plain baselines",
    )
    add("--predictions", type=Path, help="folder of depth maps that another system has saved")
    add("--title", help="the system's name in the report")
    add(
        "--kind",
        choices=get_args(Kind),
        help="what the maps are: depth in metres, the default, inverse (1/m), relative (inverse "
        "depth up to scale and shift), relative-depth (depth likewise), or focal lengths alone",
    )
    add("--scale", type=float, help="units of the maps in a metre, or in 1/m; 1 if not given")
    add("--focal", choices=("estimated", "true"), help="focal length used; estimated if not given")
    add(
        "--alignment",
        choices=get_args(Alignment),
        help="of predicted depth to the truth; none for metric systems, scale_and_shift for others",
    )
    add("--samples", type=int, help="only the first so many of each benchmark")
    add("--device", help="cuda, mps or cpu; the best there is if not given")
    add("-o", "--out", type=Path, default=Path("runs/evaluation"), help="folder of the results")


def run(options: argparse.Namespace) -> int:
    """Measure what is not measured yet, write and print the report, and return the exit status.

    Raises:
        ValueError: If data, weights or predictions cannot be read, or an option is out of range.
    """
    if options.samples is not None and options.samples < 1:
        raise ValueError(f"--samples must be at least 1, got {options.samples}")
    _refuse_ignored(options)
    benchmarks = [open_benchmark(spec) for spec in options.data]
    digests = [
        _digest_of(spec, options.out / slug(benchmark.title))
        for spec, benchmark in zip(options.data, benchmarks, strict=True)
    ]
    rank, processes = _join_processes()
    for system, record in _systems(options):
        metres = any({"depth", "cloud", "ibims"} & set(each.measures) for each in benchmarks)
        if metres and options.alignment == "none" and not system.metric:
            raise ValueError(
                f"{system.title} says no metres: leave --alignment none out, and it is aligned"
            )
        for benchmark, spec, digest in zip(benchmarks, options.data, digests, strict=True):
            alignment = options.alignment or ("none" if system.metric else "scale_and_shift")
            about = record | {"alignment": alignment, "data": spec, "files": digest}
            about["samples"] = options.samples
            rows = measure(system, benchmark, options.out, about, rank, processes)
            if rank == 0:
                draw_cases(rows, benchmark, system)
    if rank == 0:
        for benchmark in benchmarks:
            draw_curves(options.out / slug(benchmark.title))
        print(write_report(options.out))
    if processes > 1:
        distributed.destroy_process_group()
    return 0


def measure(
    system: System,
    benchmark: Benchmark,
    out: Path,
    about: dict[str, Any],
    rank: int = 0,
    processes: int = 1,
) -> Path:
    """Measure the cases that have no row yet, and return the file of rows, in the order of cases.

    Args:
        system: What is measured.
        benchmark: On what.
        out: Folder of all results.
        about: What the rows depend on: `alignment`, and whatever the caller wants to be the same
            when rows are added; `samples` limits the cases.
        rank: Of this process.
        processes: How many there are.

    Raises:
        ValueError: If the folder has rows that were made otherwise, or a case cannot be measured.
    """
    folder, name = out / slug(benchmark.title), slug(system.title)
    rows = folder / f"{name}.jsonl"
    if rank == 0:
        cases = _digest("\n".join(benchmark.cases))
        note(rows, {"benchmark": benchmark.title, "cases": cases, **about})
    _wait(processes)
    names = list(benchmark.cases)[: about.get("samples")]
    found = [each for each in (rows, *parts(rows)) if each.exists()]
    done = {row["case"] for each in found for row in read_rows(each)}
    _wait(processes)
    mine = [each for each in names[rank::processes] if each not in done]
    if mine:
        with appending(folder / f".{name}@{rank}.part") as file:
            for each in tqdm(mine, desc=f"{system.title}, {benchmark.title}", disable=rank > 0):
                row = measure_case(system, benchmark, each, about["alignment"])
                file.write(json.dumps(row) + "\n")
                file.flush()
    _wait(processes)
    if rank == 0:
        merge(rows, list(benchmark.cases))
    _wait(processes)
    return rows


def measure_case(
    system: System, benchmark: Benchmark, name: str, alignment: Alignment = "none"
) -> Row:
    """Return the row of a case.

    Raises:
        ValueError: If it cannot be read or measured; with its name.
    """
    try:
        case = benchmark.cases[name]()
        said = system.say(name, case)
        values = score(said, case, benchmark.measures, benchmark.range_m, alignment)
    except Exception as error:  # of readers and networks of many kinds; after hours, which case?
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        reason = f"{system.title} on {benchmark.title}, {name}: {kind}{error}"
        raise ValueError(reason) from error
    return {"case": name, "family": case.family, **values}


def baseline(kind: str) -> System:
    """Return what somebody says who has not looked: the same everywhere, or a level ground."""

    def constant(name: str, case: Case) -> Said:
        return Said(np.full(case.rgb.shape[:2], CONSTANT_M, np.float32))

    def ramp(name: str, case: Case) -> Said:
        height, width = case.rgb.shape[:2]
        f_px = case.fy_px or case.f_px or width
        below = (np.arange(height) - HORIZON * height).clip(min=f_px * EYE_M / FAR_M)
        return Said(np.tile((f_px * EYE_M / below)[:, None], width).astype(np.float32))

    if kind == "constant":
        return System(f"constant {CONSTANT_M:g} m", True, constant)
    return System("level ground", True, ramp, focal="true")


def slug(title: str) -> str:
    """Return a title as the name of a file."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", title).strip("_.") or "unnamed"


def _refuse_ignored(options: argparse.Namespace) -> None:
    models, kind = options.model or [], options.kind
    plain = [model for model in models if model in BASELINES]
    refused = [("title", f"with --model {' '.join(models)}: give one")] if len(models) > 1 else []
    if options.predictions is not None:
        if not options.title:
            raise ValueError("--predictions needs --title, the system's name in the report")
        refused += [(name, "with --predictions") for name in ("model", "focal", "device")]
        if kind in ("relative", "relative-depth", "focal"):
            refused += [("scale", f"with --kind {kind}")]
    else:
        refused += [(name, "without --predictions") for name in ("kind", "scale")]
    if plain:
        of_its_own = f"with --model {plain[0]}, a baseline: measure that in another command"
        refused += [(name, of_its_own) for name in ("title", "focal")]
        if len(plain) == len(models):
            refused += [("device", f"with --model {' '.join(models)}: baselines are no networks")]
    for name, reason in refused:
        if getattr(options, name) is not None:
            raise ValueError(f"--{name} has no use {reason}")


def _systems(options: argparse.Namespace) -> Iterator[tuple[System, dict[str, Any]]]:
    """Give each system with what its rows depend on; weights are loaded one after the other."""
    if options.predictions is not None:
        kind, scale = options.kind or "depth", 1.0 if options.scale is None else options.scale
        system = open_predictions(options.predictions, options.title, kind, scale)
        record = _record(system, str(options.predictions))
        yield system, record | {"kind": kind, "scale": scale}
        return
    for model in options.model or ["small"]:
        if model in BASELINES:
            system = baseline(model)
        else:
            system = open_system(model, options.device, options.focal or "estimated")
        title = system.title + ", true focal length" * (options.focal == "true")
        system = dataclasses.replace(system, title=options.title or title)
        yield system, _record(system, model)


def _record(system: System, origin: str) -> dict[str, Any]:
    return {
        "system": system.title,
        "model": origin,
        "weights": "" if origin in BASELINES else stamp(origin),
        "metric": system.metric,
        "focal": system.focal and f"{system.focal} focal length",
        "fitted": system.fitted,
        "note": system.note,
        "depthpro": __version__,
    }


def _digest_of(spec: str, results: Path) -> str:
    """Return what tells data from others that were under the same name before.

    It is a digest of names, sizes and times of all files but hidden ones; empty of what needs no
    file.

    Raises:
        ValueError: If results would be among them.
    """
    rest = spec.partition(":")[2]
    folder = Path(rest if rest and not Path(spec).exists() else spec)
    if results.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{results} is in the data, {folder}: choose another --out")
    files = sorted(path for path in folder.rglob("[!.]*") if path.is_file())
    seen = [(path.relative_to(folder), path.stat()) for path in files]
    lines = (f"{name} {found.st_size} {found.st_mtime_ns}\n" for name, found in seen)
    return _digest("".join(lines))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


def _join_processes() -> tuple[int, int]:
    """Return this process's rank and how many there are, as torchrun or accelerate started them."""
    rank, processes = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if processes > 1 and not distributed.is_initialized():
        distributed.init_process_group("gloo", timeout=timedelta(days=7))
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    return rank, processes


def _wait(processes: int) -> None:
    if processes > 1:
        distributed.barrier()
