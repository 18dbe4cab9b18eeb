"""`python -m depthpro render`: procedural scenes with depth, as shards for training."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from depthpro.files import whole_file
from depthpro.scenes.families import FAMILIES
from depthpro.scenes.sample import VIEWS
from depthpro.scenes.workers import Report, Task, run_tasks
from depthpro.version import __version__

RECORD = "render.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the shards")
    parser.add_argument("--samples", type=int, default=10_000, help="how many pictures")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other scenes")
    parser.add_argument("--size", type=int, default=512, help="side of the pictures in pixels")
    parser.add_argument("--workers", type=int, default=2, help="processes; one for each core")
    parser.add_argument("--shard-samples", type=int, default=150, help="pictures in one file")


def run(options: argparse.Namespace) -> int:
    """Render what is not there yet, and return the exit status: 1 if scenes had to be left out.

    Raises:
        ValueError: If an option is out of range, the folder holds another run, or the renderer
            cannot start.
    """
    for name, least in (("samples", 1), ("size", 16), ("workers", 1), ("shard_samples", VIEWS)):
        if getattr(options, name) < least:
            raise ValueError(
                f"--{name.replace('_', '-')} must be at least {least}, got {getattr(options, name)}"
            )
    if options.seed < 0:
        raise ValueError(f"--seed must not be negative, got {options.seed}")
    tasks = plan(options)
    record = check_record(options)
    missing = [task for task in tasks if not task.path.exists()]
    here = sum(task.count for task in tasks) - sum(task.count for task in missing)
    report = Report((), 0)
    with tqdm(
        total=options.samples, initial=min(options.samples, here * VIEWS), unit="sample"
    ) as bar:
        report = run_tasks(missing, options.workers, lambda scenes: bar.update(scenes * VIEWS))
    record["skipped_scenes"] = sorted({*record["skipped_scenes"], *report.skipped})
    _write_record(options.out, record)
    if report.restarts:
        print(f"{report.restarts} workers died and were replaced", file=sys.stderr)
    if report.skipped:
        print(f"left out after two deaths each: scenes {report.skipped}", file=sys.stderr)
    return 1 if report.skipped else 0


def plan(options: argparse.Namespace) -> list[Task]:
    """Return the shards of a run. A whole number of scenes makes a shard; the last may be short."""
    scenes, per_shard = -(-options.samples // VIEWS), options.shard_samples // VIEWS
    return [
        Task(
            path=options.out / f"shard-{first // per_shard:06d}.tar",
            seed=options.seed,
            size=options.size,
            first=first,
            count=min(per_shard, scenes - first),
        )
        for first in range(0, scenes, per_shard)
    ]


def check_record(options: argparse.Namespace) -> dict[str, Any]:
    """Return what is noted beside the shards: how to make them again; written at the first run.

    Raises:
        ValueError: If the folder holds shards made in another way.
    """
    path = options.out / RECORD
    names = ("seed", "size", "shard_samples", "samples")
    record = {name: getattr(options, name) for name in names}
    record |= {"version": __version__, "views": VIEWS, "families": FAMILIES, "skipped_scenes": []}
    if path.exists():
        before = json.loads(path.read_text())
        changed = [
            name for name in record if name != "skipped_scenes" and before.get(name) != record[name]
        ]
        if changed:
            what = ", ".join(f"{name} {before.get(name)} → {record[name]}" for name in changed)
            raise ValueError(
                f"{options.out} holds another run ({what}): choose another folder, or the same "
                "options to complete it"
            )
        return before
    _write_record(options.out, record)
    return record


def _write_record(folder: Path, record: dict[str, Any]) -> None:
    with whole_file(folder / RECORD) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n")
