"""`python -m depthpro predict`: photos in, depth files out."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from depthpro.export import FORMATS, write_prediction
from depthpro.geometry import focal_from_fov
from depthpro.image import load_image
from depthpro.model import DepthPro

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".heic", ".heif")


class Job(NamedTuple):
    """One photo, and where its files go."""

    photo: Path
    folder: Path
    stem: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "sources",
        nargs="+",
        type=Path,
        metavar="source",
        help="a photo, or a folder that is searched for photos; as many as you like",
    )
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--model", default="small", help="'small', a file, a folder or a hub name")
    parser.add_argument("--device", help="cuda, mps or cpu; the best there is if not given")
    focal = parser.add_mutually_exclusive_group()
    focal.add_argument("--f-px", type=float, help="focal length in pixels of the photo")
    focal.add_argument("--fov-deg", type=float, help="horizontal field of view in degrees")
    parser.add_argument(
        "--formats",
        nargs="+",
        choices=FORMATS,
        default=list(FORMATS),
        metavar="FORMAT",
        help=f"which of {', '.join(FORMATS)}; all if not given",
    )


def run(options: argparse.Namespace) -> int:
    """Predict every photo, report the ones that failed last, and return the exit status.

    The focal length is the one given, else the one in the photo's metadata, else the network's.

    Raises:
        ValueError: If there is nothing to do, before any work is done.
    """
    if options.f_px is not None and not 0 < options.f_px < float("inf"):
        raise ValueError(f"--f-px must be a positive number of pixels, got {options.f_px}")
    if options.fov_deg is not None and not 0 < options.fov_deg < 180:
        raise ValueError(f"--fov-deg must be between 0 and 180 degrees, got {options.fov_deg}")
    if options.out.exists() and not options.out.is_dir():
        raise ValueError(f"--out must be a folder, got the file {str(options.out)!r}")
    jobs = find_jobs(options.sources, options.out)
    model = DepthPro.from_pretrained(options.model, device=options.device)
    print(model.provenance.notice, f"on {model.device}", file=sys.stderr)
    failures = []
    progress = tqdm(jobs, unit="photo", disable=None if len(jobs) > 1 else True)
    for job in progress:
        progress.set_postfix_str(job.photo.name)
        try:
            line = _predict(model, job, options)
        except (ValueError, OSError, MemoryError) as error:
            failures.append(f"{job.photo}: {error}")
        except Exception as error:  # a fault of ours must not cost the other photos
            failures.append(f"{job.photo}: {type(error).__name__}: {error}")
        else:
            progress.write(line)
    if failures:
        print(
            f"{len(failures)} of {len(jobs)} photos failed:", *failures, sep="\n  ", file=sys.stderr
        )
    return 1 if failures else 0


def find_jobs(sources: Sequence[Path], out: Path) -> list[Job]:
    """Return a job for every photo in `sources`, keeping the folders within each, and names.

    Where photos differ in their suffix alone, it stays in the name, so that none is overwritten.
    What is named twice is done once.

    Raises:
        ValueError: If a source holds no photo, or two of them have photos of the same name.
    """
    found: dict[Path, tuple[Path, Path]] = {}
    for source in sources:
        root = source if source.is_dir() else source.parent
        for photo in _photos(source, out):
            found.setdefault(photo.absolute(), (photo, out / photo.relative_to(root).parent))
    photos, folders = zip(*found.values(), strict=True)
    jobs = [Job(*job) for job in zip(photos, folders, _unique_stems(photos, folders), strict=True)]
    taken: dict[tuple[Path, str], Job] = {}
    for job in jobs:
        other = taken.setdefault((job.folder, job.stem.casefold()), job)
        if other.photo.parent != job.photo.parent:
            raise ValueError(
                f"{str(other.photo)!r} and {str(job.photo)!r} would be written to the same files: "
                "pass the folder that holds both, or give each an --out of its own"
            )
    return jobs


def _photos(source: Path, out: Path) -> list[Path]:
    """Return the photo, or those in the folder without what was written there before."""
    if not source.is_dir():
        if not source.exists():
            raise ValueError(f"no such file or folder: {str(source)!r}")
        return [source]
    inside = out.resolve() if source.resolve() in out.resolve().parents else None
    photos = sorted(
        path
        for path in source.rglob("*")
        if path.suffix.lower() in PHOTO_SUFFIXES
        and path.is_file()
        and not path.name.startswith(".")
        and (inside is None or inside not in path.resolve().parents)
    )
    if out.resolve() == source.resolve():
        photos = [path for path in photos if not path.stem.endswith(("_depth", "_colour"))]
    if not photos:
        raise ValueError(
            f"no photos in {str(source)!r}: looked for {' '.join(PHOTO_SUFFIXES)} in it and "
            "its subfolders"
        )
    return photos


def _unique_stems(photos: Sequence[Path], folders: Sequence[Path]) -> list[str]:
    """Return a name for each photo's files; whole names where stems would collide in a folder."""
    stems = [photo.stem for photo in photos]
    while True:
        keys = [(folder, stem.casefold()) for folder, stem in zip(folders, stems, strict=True)]
        count = Counter(keys)
        clashing = [i for i, key in enumerate(keys) if count[key] > 1]
        if all(stems[i] == photos[i].name for i in clashing):
            return stems  # names that differ in case alone, which their own folder holds as well
        for i in clashing:
            stems[i] = photos[i].name


def _predict(model: DepthPro, job: Job, options: argparse.Namespace) -> str:
    """Write one photo's files, and return a line that says what was found."""
    photo = load_image(job.photo)
    width = photo.rgb.shape[1]
    if options.f_px is not None:
        f_px, source = options.f_px, "--f-px"
    elif options.fov_deg is not None:
        f_px, source = focal_from_fov(options.fov_deg, width), "--fov-deg"
    else:
        f_px, source = photo.f_px, photo.f_px_source or "estimated"
    prediction = model.infer(photo.rgb, f_px)
    write_prediction(
        job.folder, job.stem, photo.rgb, prediction, model.provenance.notice, options.formats
    )
    nearest, farthest = (bound.item() for bound in prediction.depth_at(64, 64).aminmax())
    focal, fov_deg = prediction.f_px.item(), prediction.fov_deg.item()
    return (
        f"{job.photo.name}: {nearest:.3g} to {farthest:.3g} m, focal length {focal:.0f} px "
        f"({source}), field of view {fov_deg:.1f}° → {job.folder / job.stem}*"
    )
