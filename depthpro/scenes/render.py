"""`python -m depthpro render`: procedural scenes with depth, as shards for training.

docs/scenes.jpg is `render -o DIR --samples 72 --size 384 --seed 1 --sheet docs/scenes.jpg`.
"""

import argparse
import json
from pathlib import Path

from PIL import Image, ImageDraw
from tqdm import tqdm

from depthpro.data.sample import Sample
from depthpro.data.shards import open_shards
from depthpro.files import whole_file
from depthpro.scenes.sample import FAMILIES, VIEWS
from depthpro.scenes.workers import ShardJob, remove_leftovers, run_jobs
from depthpro.version import __version__
from depthpro.viz import colorize, depth_range

RECORD = "render.json"
_LEAST = {"samples": 1, "size": 16, "workers": 1, "shard_samples": VIEWS, "seed": 0}
_RECORDED = ("samples", "size", "shard_samples", "seed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the shards")
    parser.add_argument("--samples", type=int, default=10_000, help="how many pictures")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other scenes")
    parser.add_argument("--size", type=int, default=512, help="side of the pictures in pixels")
    parser.add_argument("--workers", type=int, default=2, help="processes; one for each core")
    parser.add_argument("--shard-samples", type=int, default=300, help="pictures in one file")
    parser.add_argument("--sheet", type=Path, help="also draw the first 24 scenes and their depth")


def run(options: argparse.Namespace) -> int:
    """Render the missing shards, and return the exit status.

    Raises:
        ValueError: If an option is out of range, the folder holds another run, or MuJoCo or Vulkan
            is missing.
        OSError: If a shard cannot be rendered or written.
    """
    for name, least in _LEAST.items():
        if (value := getattr(options, name)) < least:
            raise ValueError(f"--{name.replace('_', '-')} must be at least {least}, got {value}")
    check_record(options)
    for stem in ("shard-*", Path(RECORD).stem):
        remove_leftovers(options.out, stem)  # of a run that was killed
    jobs = shard_jobs(options)
    missing = [job for job in jobs if not job.path.exists()]
    total, left = (VIEWS * sum(len(job.scenes) for job in some) for some in (jobs, missing))
    with tqdm(total=total, initial=total - left, unit="sample") as bar:
        run_jobs(missing, options.workers, lambda n: bar.update(total - left + n - bar.n))
    if options.sheet is not None:
        samples = open_shards(options.out)
        shown = [samples[place] for place in range(0, min(24 * VIEWS, len(samples)), VIEWS)]
        with whole_file(options.sheet) as temporary:
            contact_sheet(shown).save(temporary, quality=80)
    return 0


def shard_jobs(options: argparse.Namespace) -> list[ShardJob]:
    """Return the shards of a run. A shard holds whole scenes; the last may be short."""
    scenes, each = -(-options.samples // VIEWS), options.shard_samples // VIEWS
    return [
        ShardJob(
            path=options.out / f"shard-{first // each:06d}.tar",
            seed=options.seed,
            size=options.size,
            scenes=range(first, min(first + each, scenes)),
        )
        for first in range(0, scenes, each)
    ]


def check_record(options: argparse.Namespace) -> None:
    """Write how the shards are made into an empty folder, or compare with what is written there.

    Raises:
        ValueError: If the folder holds shards of other options or another version.
    """
    path = options.out / RECORD
    record = {name: getattr(options, name) for name in _RECORDED}
    record |= {"version": __version__, "views": VIEWS, "families": FAMILIES}
    if not path.exists():
        with whole_file(path) as temporary:
            temporary.write_text(json.dumps(record, indent=2) + "\n")
    before = json.loads(path.read_text())
    changed = [f"{name} {before.get(name)} → {value}" for name, value in record.items()
               if before.get(name) != value]  # fmt: skip
    if changed:
        raise ValueError(
            f"{options.out} holds another run ({', '.join(changed)}): choose another folder, or "
            "the same options to complete it"
        )


def contact_sheet(samples: list[Sample], side: int = 200, pairs: int = 4) -> Image.Image:
    """Return the pictures as they were framed, each beside its depth, `pairs` to a row."""
    step = side + 18
    sheet = Image.new("RGB", (2 * pairs * side, -(-len(samples) // pairs) * step), "white")
    draw = ImageDraw.Draw(sheet)
    for number, sample in enumerate(samples):
        near, far = depth_range(sample.depth)
        depth = f"depth {near:.1f} to {far:.1f} m" if sample.metric else "depth of any scale"
        aspect = sample.fy_px / sample.f_px
        size = round(side * min(aspect, 1)), round(side / max(aspect, 1))
        pictures = (sample.family, sample.rgb), (depth, colorize(sample.depth))
        for column, (title, picture) in enumerate(pictures, start=2 * (number % pairs)):
            corner = column * side + (side - size[0]) // 2, number // pairs * step
            draw.text((corner[0] + 2, corner[1] + 3), title, "black")
            sheet.paste(Image.fromarray(picture).resize(size), (corner[0], corner[1] + 18))
    return sheet
