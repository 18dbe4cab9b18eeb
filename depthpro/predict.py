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
    sources = "a photo, or a folder that is searched for photos; as many as you like"
    parser.add_argument("sources", nargs="+", type=Path, metavar="source", help=sources)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--model", default="small", help="'small', a file, a folder or a hub name")
    parser.add_argument("--device", help="cuda, mps or cpu; the best there is if not given")
    focal = parser.add_mutually_exclusive_group()
    focal.add_argument("--f-px", type=float, help="focal length in pixels of the photo")
    focal.add_argument("--fov-deg", type=float, help="horizontal field of view in degrees")
    formats = f"which of {', '.join(FORMATS)}; all if not given"
    parser.add_argument(
        "--formats", nargs="+", choices=FORMATS, default=FORMATS, metavar="FORMAT", help=formats
    )


def run(options: argparse.Namespace) -> int:
    """Predict every photo, list the failures at the end, and return the exit status.

    Raises:
        ValueError: If an argument is wrong or there is no photo, before any work is done.
    """
    if options.f_px is not None and not 0 < options.f_px < float("inf"):
        raise ValueError(f"--f-px must be a positive number of pixels, got {options.f_px}")
    if options.fov_deg is not None and not 0 < options.fov_deg < 180:
        raise ValueError(f"--fov-deg must be between 0 and 180 degrees, got {options.fov_deg}")
    if options.out.is_file():
        raise ValueError(f"--out must be a folder, got the file {str(options.out)!r}")
    jobs = find_jobs(options.sources, options.out)
    model = DepthPro.from_pretrained(options.model, device=options.device)
    print(model.provenance.notice, f"on {model.device}", file=sys.stderr)
    failures = []
    progress = tqdm(jobs.items(), unit="photo", disable=None if len(jobs) > 1 else True)
    for photo, target in progress:
        try:
            progress.write(_predict(model, photo, target, options))
        except (ValueError, OSError, MemoryError) as error:
            failures.append(f"{photo}: {error}")
        except Exception as error:  # a bug must not cost the other photos
            failures.append(f"{photo}: {type(error).__name__}: {error}")
    if failures:
        heading = f"{len(failures)} of {len(jobs)} photos failed:"
        print(heading, *failures, sep="\n  ", file=sys.stderr)
    return 1 if failures else 0


def find_jobs(sources: Sequence[Path], out: Path) -> dict[Path, Path]:
    """Return for every photo the path that its files start with.

    Folders within a source are kept. The whole name of the photo starts the names of its files, so
    that photo.jpg and photo.png do not meet.

    Raises:
        ValueError: If a source holds no photo, or two of them have photos of the same name.
    """
    jobs: dict[Path, Path] = {}
    for source in sources:
        root = source if source.is_dir() else source.parent
        jobs |= {photo.absolute(): out / photo.relative_to(root) for photo in _photos(source)}
    if len(set(jobs.values())) < len(jobs):
        raise ValueError(
            "photos of the same name in two sources would be written to the same files: pass the "
            "folder that holds both, or give each an --out of its own"
        )
    return jobs


def _photos(source: Path) -> list[Path]:
    """Return the photo, or those in the folder except pictures that this command wrote."""
    if not source.exists():
        raise ValueError(f"no such file or folder: {str(source)!r}")
    if not source.is_dir():
        return [source]
    files = (path for path in source.rglob("[!.]*.*") if not _RESULT.search(path.name))
    photos = sorted(path for path in files if path.suffix.lower() in PHOTO_SUFFIXES)
    if not photos:
        raise ValueError(f"no photos in {str(source)!r}: looked for {' '.join(PHOTO_SUFFIXES)}")
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
    notice, formats = model.provenance.notice, options.formats
    write_prediction(target.parent, target.name, photo.rgb, prediction, notice, formats)
    nearest, farthest = prediction.depth_at(64, 64).aminmax()
    return (
        f"{path.name}: {nearest:.3g} to {farthest:.3g} m, focal length {prediction.f_px[0]:.0f} px "
        f"({source}), field of view {prediction.fov_deg[0]:.1f}° → {target}*"
    )
