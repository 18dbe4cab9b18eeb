"""`python -m depthpro predict`: photos in, depth files out."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from depthpro.export import FORMATS, write_prediction
from depthpro.geometry import focal_from_fov
from depthpro.image import load_image
from depthpro.model import DepthPro

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".heic", ".heif")
_RESULT = re.compile(r"\.\w+_(depth|colour)\.png$")  # of photo.jpg: photo.jpg_depth.png


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
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
    """Predict every photo, list the failures at the end, and return the exit status.

    The focal length is the one given, else the one in the photo's metadata, else the network's.

    Raises:
        ValueError: If an argument is wrong or there is no photo, before any work is done.
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
    failures: list[str] = []
    progress = tqdm(jobs, unit="photo", disable=None if len(jobs) > 1 else True)
    for photo, target in progress:
        progress.set_postfix_str(photo.name)
        try:
            progress.write(_predict(model, photo, target, options))
        except (ValueError, OSError, MemoryError) as error:
            failures.append(f"{photo}: {error}")
        except Exception as error:  # a bug must not cost the other photos
            failures.append(f"{photo}: {type(error).__name__}: {error}")
    if failures:
        print(
            f"{len(failures)} of {len(jobs)} photos failed:", *failures, sep="\n  ", file=sys.stderr
        )
    return 1 if failures else 0


def find_jobs(sources: Sequence[Path], out: Path) -> list[tuple[Path, Path]]:
    """Return every photo with the path that its files start with.

    Folders within a source are kept. The whole name of the photo starts the names of its files, so
    that photo.jpg and photo.png do not meet. A photo that is named twice is done once.

    Raises:
        ValueError: If a source holds no photo, or two of them have photos of the same name.
    """
    jobs: dict[Path, Path] = {}
    taken: dict[str, Path] = {}
    for source in sources:
        root = (source if source.is_dir() else source.parent).absolute()
        for photo in _photos(source):
            photo = photo.absolute()
            target = jobs.setdefault(photo, out / photo.relative_to(root))
            other = taken.setdefault(str(target).casefold(), photo)
            if other.parent != photo.parent:
                raise ValueError(
                    f"{str(other)!r} and {str(photo)!r} would be written to the same files: "
                    "pass the folder that holds both, or give each an --out of its own"
                )
    return list(jobs.items())


def _photos(source: Path) -> list[Path]:
    """Return the photo, or those in the folder except pictures that this command wrote."""
    if not source.is_dir():
        if not source.exists():
            raise ValueError(f"no such file or folder: {str(source)!r}")
        return [source]
    photos = sorted(
        path
        for path in source.rglob("*")
        if path.suffix.lower() in PHOTO_SUFFIXES
        and path.is_file()
        and not path.name.startswith(".")
        and not _RESULT.search(path.name)
    )
    if not photos:
        raise ValueError(
            f"no photos in {str(source)!r}: looked for {' '.join(PHOTO_SUFFIXES)} in it and "
            "its subfolders"
        )
    return photos


def _predict(model: DepthPro, path: Path, target: Path, options: argparse.Namespace) -> str:
    """Write one photo's files, and return a line with its depth and focal length."""
    photo = load_image(path)
    if options.f_px is not None:
        f_px, source = options.f_px, "--f-px"
    elif options.fov_deg is not None:
        f_px, source = focal_from_fov(options.fov_deg, photo.rgb.shape[1]), "--fov-deg"
    else:
        f_px, source = photo.f_px, photo.f_px_source or "estimated"
    prediction = model.infer(photo.rgb, f_px)
    write_prediction(
        target.parent,
        target.name,
        photo.rgb,
        prediction,
        model.provenance.notice,
        options.formats,
    )
    nearest, farthest = (bound.item() for bound in prediction.depth_at(64, 64).aminmax())
    return (
        f"{path.name}: {nearest:.3g} to {farthest:.3g} m, focal length "
        f"{prediction.f_px.item():.0f} px ({source}), field of view "
        f"{prediction.fov_deg.item():.1f}° → {target}*"
    )
