"""`python -m depthpro render`: procedural scenes with depth, as shards for training.

docs/scenes.jpg is `render -o DIR --samples 108 --size 384 --seed 1 --sheet docs/scenes.jpg`.
"""

import argparse
import itertools
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from depthpro.data.sample import Sample
from depthpro.data.shards import read_shards
from depthpro.files import whole_file
from depthpro.scenes.sample import FAMILIES, VIEWS
from depthpro.scenes.workers import Task, run_tasks
from depthpro.version import __version__
from depthpro.viz import colorize

RECORD = "render.json"
_LEAST = {"samples": 1, "size": 16, "workers": 1, "shard_samples": VIEWS, "seed": 0}
_RECORDED = ("samples", "size", "shard_samples", "seed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the shards")
    parser.add_argument("--samples", type=int, default=10_000, help="how many pictures")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other scenes")
    parser.add_argument("--size", type=int, default=512, help="side of the pictures in pixels")
    parser.add_argument("--workers", type=int, default=2, help="processes; one for each core")
    parser.add_argument("--shard-samples", type=int, default=300, help="pictures in one file")
    parser.add_argument("--sheet", type=Path, help="also draw the first 36 scenes")


def run(options: argparse.Namespace) -> int:
    """Render what is not there yet, and return the exit status: 1 if scenes had to be left out.

    Raises:
        ValueError: If an option is out of range, the folder holds another run, or the renderer
            cannot start.
    """
    for name, least in _LEAST.items():
        if (value := getattr(options, name)) < least:
            raise ValueError(f"--{name.replace('_', '-')} must be at least {least}, got {value}")
    record = check_record(options)
    tasks = plan(options)
    missing = [task for task in tasks if not task.path.exists()]
    total, here = (VIEWS * sum(len(task.scenes) for task in some) for some in (tasks, missing))
    with tqdm(total=total, initial=total - here, unit="sample") as bar:
        report = run_tasks(missing, options.workers, bar.update)
    if report.restarts:
        print(f"{report.restarts} workers died and were replaced", file=sys.stderr)
    for scene, words in report.skipped.items():
        print(f"scene {scene} is left out after two deaths:\n{words}", file=sys.stderr)
    record["skipped_scenes"] = sorted({*record["skipped_scenes"], *report.skipped})
    _write_record(options.out, record)
    if options.sheet is not None:
        shown = itertools.islice(read_shards(options.out), 0, 36 * VIEWS, VIEWS)
        sheet = contact_sheet(list(shown))
        with whole_file(options.sheet) as temporary:
            sheet.save(temporary, quality=80)
    return 1 if report.skipped else 0


def plan(options: argparse.Namespace) -> list[Task]:
    """Return the shards of a run. A whole number of scenes makes a shard; the last may be short."""
    scenes, each = -(-options.samples // VIEWS), options.shard_samples // VIEWS
    return [
        Task(
            path=options.out / f"shard-{first // each:06d}.tar",
            seed=options.seed,
            size=options.size,
            scenes=range(first, min(first + each, scenes)),
        )
        for first in range(0, scenes, each)
    ]


def check_record(options: argparse.Namespace) -> dict:
    """Return what is noted beside the shards: how to make them again; written at the first run.

    Raises:
        ValueError: If the folder holds shards made in another way.
    """
    path = options.out / RECORD
    record = {name: getattr(options, name) for name in _RECORDED}
    record |= {"version": __version__, "views": VIEWS, "families": FAMILIES}
    if not path.exists():
        record["skipped_scenes"] = []
        _write_record(options.out, record)
        return record
    before = json.loads(path.read_text())
    changed = [f"{name} {before.get(name)} → {record[name]}" for name in record
               if before.get(name) != record[name]]  # fmt: skip
    if changed:
        raise ValueError(
            f"{options.out} holds another run ({', '.join(changed)}): choose another folder, or "
            "the same options to complete it"
        )
    return before


def _write_record(folder: Path, record: dict) -> None:
    with whole_file(folder / RECORD) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n")


def contact_sheet(samples: list[Sample], side: int = 200, columns: int = 8) -> Image.Image:
    """Return the pictures in rows, every third one beside its depth, as it was framed."""
    tiles: list[Image.Image] = []
    for number, sample in enumerate(samples):
        pictures = [sample.rgb]
        if number % 3 == 0:
            pictures.append(colorize(sample.depth))
        wide = max(1.0, sample.fy_px / sample.f_px)
        size = round(side * sample.fy_px / sample.f_px / wide), round(side / wide)
        tiles += [Image.fromarray(np.asarray(picture)).resize(size) for picture in pictures]
    sheet = Image.new("RGB", (columns * side, -(-len(tiles) // columns) * side), "white")
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        x, y = (side - tile.width) // 2, (side - tile.height) // 2
        sheet.paste(tile, (column * side + x, row * side + y))
    return sheet
