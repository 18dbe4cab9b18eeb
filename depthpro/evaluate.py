"""`python -m depthpro evaluate`: systems on benchmarks, a line for each picture, then a report.

Rows go to OUT/BENCHMARK/SYSTEM.jsonl, and the report is made of all rows in OUT: systems and
benchmarks can be measured one after the other. A run that was stopped goes on where it was.
`torchrun -m depthpro evaluate` shares the pictures among processes.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, TextIO, get_args

import numpy as np
import torch
from torch import distributed
from tqdm import tqdm

from depthpro.benchmarks import READERS, Benchmark, Case, open_benchmark
from depthpro.error_figures import draw_cases, draw_curves
from depthpro.files import whole_file
from depthpro.metrics import Alignment
from depthpro.report import read_rows, write_report
from depthpro.scoring import Row, Said, score
from depthpro.systems import Kind, System, open_predictions, open_system
from depthpro.version import __version__

CONSTANT_M = 3.9
"""What "constant" says everywhere: the median depth of `render --seed 3`, without sky."""
HORIZON, EYE_M, FAR_M = 0.4, 1.5, 1000.0
"""What "ramp" says: a level ground seen from this height, its horizon at this share of the rows."""


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
        default=["small"],
        help="'small', a file, a folder or a hub name, ours or of transformers; 'constant' and "
        "'ramp' are plain baselines",
    )
    add("--predictions", type=Path, help="folder of depth maps that another system has saved")
    add("--title", help="that system's name in the report")
    add(
        "--kind",
        choices=get_args(Kind),
        default="depth",
        help="what the maps are: depth in metres, inverse (1/m), relative (inverse depth up to "
        "scale and shift), relative-depth (depth likewise), or focal lengths alone",
    )
    add("--scale", type=float, default=1.0, help="units of the maps in a metre, or in 1/m")
    add("--focal", choices=("estimated", "true"), default="estimated", help="focal length used")
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
    if options.predictions is not None and not options.title:
        raise ValueError("--predictions needs --title, the system's name in the report")
    benchmarks = [open_benchmark(spec) for spec in options.data]
    rank, processes = _join_processes()
    for system, record in _systems(options):
        for benchmark, spec in zip(benchmarks, options.data, strict=True):
            alignment = options.alignment or ("none" if system.metric else "scale_and_shift")
            about = record | {"alignment": alignment, "data": spec, "samples": options.samples}
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
        _note(rows.with_suffix(".json"), {"benchmark": benchmark.title, **about})
    _wait(processes)
    names = list(benchmark.cases)[: about.get("samples")]
    parts = [rows, *sorted(folder.glob(f".{name}@*.part"))]
    done = {row["case"] for part in parts if part.exists() for row in read_rows(part)}
    _wait(processes)
    mine = [each for each in names[rank::processes] if each not in done]
    with _appending(folder / f".{name}@{rank}.part") as file:
        for case_name in tqdm(mine, desc=f"{system.title}, {benchmark.title}", disable=rank > 0):
            row = measure_case(system, benchmark, case_name, about["alignment"])
            file.write(json.dumps(row) + "\n")
            file.flush()
    _wait(processes)
    if rank == 0:
        _merge(rows, list(benchmark.cases), sorted(folder.glob(f".{name}@*.part")))
    _wait(processes)
    return rows


def measure_case(
    system: System, benchmark: Benchmark, name: str, alignment: Alignment = "none"
) -> Row:
    """Return the row of a case.

    Raises:
        ValueError: If it cannot be read or measured; with its name.
    """
    case = benchmark.cases[name]()
    try:
        said = system.say(name, case)
        values = score(said, case, benchmark.measures, benchmark.range_m, alignment)
    except ValueError as error:
        raise ValueError(f"{system.title} on {benchmark.title}, {name}: {error}") from error
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
    return System("level ground", True, ramp)


def slug(title: str) -> str:
    """Return a title as the name of a file."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", title).strip("_.") or "unnamed"


def _systems(options: argparse.Namespace) -> Iterator[tuple[System, dict[str, Any]]]:
    """Give each system with what its rows depend on; weights are loaded one after the other."""
    if options.predictions is not None:
        system = open_predictions(options.predictions, options.title, options.kind, options.scale)
        yield system, _record(system, options, str(options.predictions))
        return
    if options.title and len(options.model) > 1:
        raise ValueError("--title names one system; give one --model")
    for model in options.model:
        if model in ("constant", "ramp"):
            yield baseline(model), {"system": baseline(model).title, "depthpro": __version__}
            continue
        system = open_system(model, options.device, options.focal)
        title = options.title or system.title
        if options.focal == "true":
            title += ", true focal length"
        system = dataclasses.replace(system, title=title)
        yield system, _record(system, options, model)


def _record(system: System, options: argparse.Namespace, origin: str) -> dict[str, Any]:
    path = Path(__file__).parent / "weights/small.safetensors" if origin == "small" else origin
    path = Path(path)
    stamp = path.stat() if path.exists() else None
    return {
        "system": system.title,
        "model": origin,
        # Other weights under the same name are another system.
        "weights": stamp and [stamp.st_size, stamp.st_mtime_ns],
        "focal": f"{options.focal} focal length",
        "kind": options.kind if options.predictions else None,
        "scale": options.scale if options.predictions else None,
        "note": system.note,
        "depthpro": __version__,
    }


def _note(path: Path, about: dict[str, Any]) -> None:
    """Write what rows depend on beside them; refuse to mix them with others."""
    fixed = {key: value for key, value in about.items() if key != "samples"}
    if path.exists():
        before = json.loads(path.read_text())
        differing = [key for key in {**before, **fixed} if before.get(key) != fixed.get(key)]
        if differing:
            raise ValueError(
                f"{path.with_suffix('.jsonl')} was measured with other {', '.join(differing)}: "
                "choose another --out or --title, or delete it"
            )
        return
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(fixed, indent=1) + "\n")


@contextlib.contextmanager
def _appending(path: Path) -> Iterator[TextIO]:
    """Open a file to add lines to, without the half line that a killed run may have left."""
    if path.exists():
        text = path.read_text(encoding="utf-8")
        with whole_file(path) as temporary:
            temporary.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")
    with path.open("a", encoding="utf-8") as file:
        yield file


def _merge(rows: Path, names: list[str], parts: list[Path]) -> None:
    """Write all rows into one file in the order of cases, and delete the parts."""
    found = {
        row["case"]: row for path in (rows, *parts) if path.exists() for row in read_rows(path)
    }
    with whole_file(rows) as temporary:
        lines = (json.dumps(found[name]) + "\n" for name in names if name in found)
        temporary.write_text("".join(lines), encoding="utf-8")
    for path in parts:
        path.unlink()


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
