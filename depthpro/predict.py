"""`python -m depthpro predict`: photos in, depth files out."""

import argparse
import math
import os
import sys
import tempfile
from pathlib import Path

import torch
from tqdm import tqdm

from depthpro.export import FORMATS, USUAL, Shape, result_files, write_prediction
from depthpro.geometry import FOV_RANGE_DEG, check_focal, focal_from_fov
from depthpro.image import load_image
from depthpro.model import DepthPro
from depthpro.photos.album import Outcome, find_photos, summary
from depthpro.prediction import focals_disagree
from depthpro.surfaces.exchange import require_usd

INT8 = "on the CPU, most layers in 8 bits: the published weights are faster and smaller"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add = parser.add_argument
    sources = "a photo, or a folder that is searched for photos; as many as you like"
    add("sources", nargs="+", type=Path, metavar="source", help=sources)
    add("-o", "--out", type=Path, required=True, help="folder for the results")
    add("--model", default="small", help="'small', a file, a folder or a hub name")
    add("--device", help="cuda, mps or cpu; the best there is if not given")
    add("--int8", action="store_true", help=INT8)
    focal = parser.add_mutually_exclusive_group()
    focal.add_argument("--f-px", type=float, help="focal length in pixels of the photo")
    focal.add_argument("--fov-deg", type=float, help="horizontal field of view in degrees")
    estimate = "use the network's estimate for all photos"
    focal.add_argument("--ignore-metadata", action="store_true", help=estimate)
    formats = f"which of {', '.join(FORMATS)}; the first {len(USUAL)} if not given"
    add("--formats", nargs="+", choices=FORMATS, default=USUAL, metavar="FORMAT", help=formats)
    add("--near-m", type=float, default=0.0, help="nearest depth of cutout-png")
    add("--far-m", type=float, default=math.inf, help="farthest depth of it")
    add("--resume", action="store_true", help="skip photos whose results are there")


def run(options: argparse.Namespace) -> int:
    """Predict every photo, count them at the end, and return the exit status.

    Started by `torchrun` or `accelerate launch`, each process takes its part of the photos. A wrong
    argument, or no photo, is a ValueError before any work is done.
    """
    if options.f_px is not None and not 0 < options.f_px < float("inf"):
        raise ValueError(f"--f-px must be a positive number of pixels, got {options.f_px}")
    least, most = FOV_RANGE_DEG
    if options.fov_deg is not None and not least <= options.fov_deg <= most:
        raise ValueError(f"--fov-deg must be {least:g} to {most:g}, got {options.fov_deg}")
    if not 0 <= options.near_m < options.far_m:
        got = f"{options.near_m} and {options.far_m}"
        raise ValueError(f"--near-m must be a depth in metres below --far-m, got {got}")
    if "cutout-png" not in options.formats and (options.near_m, options.far_m) != (0, math.inf):
        raise ValueError("--near-m and --far-m are for cutout-png alone: add it to --formats")
    if "usdz" in options.formats:
        require_usd()
    if options.out.is_file():
        raise ValueError(f"--out must be a folder, got the file {str(options.out)!r}")
    album = find_photos(options.sources, options.out)
    state = None
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:  # torchrun and accelerate launch set it
        from accelerate import PartialState
        from accelerate.utils import gather_object

        state = PartialState(cpu=options.device == "cpu")
    device = state.device if state and options.device is None else options.device
    device = device or ("cpu" if options.int8 else None)
    dtype = torch.int8 if options.int8 else None
    model = DepthPro.from_pretrained(options.model, device=device, dtype=dtype)
    _check_folder(options.out)
    rank, processes = (state.process_index, state.num_processes) if state else (0, 1)
    if rank == 0:
        print(model.provenance.notice, f"on {model.device}", file=sys.stderr)
    outcomes, stopped = list[Outcome](), False
    try:
        jobs = list(album.jobs.items())[rank::processes]
        for photo, target in tqdm(jobs, unit="photo", disable=None if len(jobs) > 1 else True):
            outcomes.append(_predict(model, photo, target, options))
    except KeyboardInterrupt:
        stopped = True
    if state and not stopped:
        outcomes = gather_object(outcomes)  # pyright: ignore[reportPossiblyUnboundVariable]
    if rank == 0:
        print(*summary(outcomes, album), sep="\n", file=sys.stderr)
    return 130 if stopped else int(any(outcome.kind == "refused" for outcome in outcomes))


def _check_folder(out: Path) -> None:
    """Refuse a folder that nothing can be written to, before the network takes its time."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        raise ValueError(
            f"--out must be a folder that can be written to, got {str(out)!r} ({error.strerror}): "
            "choose another"
        ) from None


def _predict(model: DepthPro, photo: Path, target: Path, options: argparse.Namespace) -> Outcome:
    """Predict a photo, unless its results are there already, and return what became of it."""
    results = result_files(target.parent, target.name, options.formats).values()
    if options.resume and all(path.exists() for path in results):
        return Outcome(str(photo), "there already")
    try:
        tqdm.write(_write(model, photo, target, options))
    except (ValueError, OSError, MemoryError) as error:
        return Outcome(str(photo), "refused", str(error))
    except Exception as error:  # a bug must not cost the other photos
        return Outcome(str(photo), "refused", f"{type(error).__name__}: {error}")
    return Outcome(str(photo), "done")


def _write(model: DepthPro, path: Path, target: Path, options: argparse.Namespace) -> str:
    """Write one photo's files, and return a line with its depth and focal length."""
    photo = load_image(path)
    doubt = ""
    if options.f_px is not None:
        f_px, source = options.f_px, "--f-px"
        check_focal(f_px, photo.rgb.shape[1])
    elif options.fov_deg is not None:
        f_px, source = focal_from_fov(options.fov_deg, photo.rgb.shape[1]), "--fov-deg"
    elif options.ignore_metadata or photo.f_px is None:
        f_px, source = None, "estimated"
        doubt = "" if options.ignore_metadata else photo.f_px_source or ""
    else:
        f_px, source = photo.f_px, photo.f_px_source
    prediction = model.infer(photo.rgb, f_px)
    notice, formats = model.provenance.notice, options.formats
    shape = Shape(between_m=(options.near_m, options.far_m))
    write_prediction(target.parent, target.name, photo.rgb, prediction, notice, formats, shape)
    estimated = prediction.estimated_f_px
    if source == photo.f_px_source and f_px is not None and estimated is not None:
        other_px = estimated.item()
        if focals_disagree(f_px, other_px):
            doubt = f"the network estimates {other_px:.0f} px; --ignore-metadata uses that"
    nearest, farthest = prediction.depth_at(64, 64).aminmax()
    return (
        f"{path.name}: {nearest:.3g} to {farthest:.3g} m, focal length {prediction.f_px[0]:.0f} px "
        f"({source}), field of view {prediction.fov_deg[0]:.1f}° → {target}*"
        + (f"\n  {doubt}" if doubt else "")
    )
