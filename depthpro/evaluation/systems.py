"""Every system of the paper's tables: networks that run here, and what other systems saved.

| system | how it is opened |
|---|---|
| Depth Pro | `open_system("small")`, `"apple/DepthPro"`, `"transformers:apple/DepthPro-hf"` |
| ZoeDepth | `open_system("Intel/zoedepth-nyu-kitti")` |
| Depth Anything | `open_system("LiheYoung/depth-anything-large-hf")`, relative |
| Depth Anything v2 | `open_system("depth-anything/Depth-Anything-V2-Large-hf")`, relative |
| the same | `open_system("depth-anything/Depth-Anything-V2-Metric-Outdoor-Large-hf")` |
| DPT | `open_system("Intel/dpt-large")` |
| Metric3D, Metric3D v2, PatchFusion, UniDepth, ZeroDepth | `open_predictions(folder, title)` |
| Marigold | `open_predictions(folder, title, "relative-depth")` |
| SPEC, im2pcl | `open_predictions(folder, title, "focal")` |
"""

import hashlib
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from huggingface_hub.constants import HF_HUB_CACHE
from huggingface_hub.file_download import repo_folder_name
from jaxtyping import Bool, Float
from numpy import ndarray
from torch.nn import functional as F

from depthpro.checkpoint import EMBEDDED, PUBLISHED_LICENCE
from depthpro.evaluation import transformers_models
from depthpro.evaluation.readers.case import Case
from depthpro.evaluation.saved_depth import SUFFIXES, Stored, find_map, read_focal, read_map
from depthpro.evaluation.scoring import Said, counted
from depthpro.geometry import MIN_DEPTH_M
from depthpro.model import DepthPro

Focal = Literal["estimated", "true"]
Kind = Literal["depth", "inverse", "relative", "relative-depth", "focal"]

PREFIX = "transformers:"
"""Before the name of a Depth Pro: run it by transformers instead of this package."""
NEAREST = 0.01
"""Nearest depth of a relative system: what can be measured then spans a million to one."""
_STAMPED = (*SUFFIXES, ".safetensors", ".bin", ".pt", ".pth", ".json")
_HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")


@dataclass(frozen=True)
class System:
    """What turns a picture into depth."""

    title: str
    """As a report lists it."""
    metric: bool
    """Whether depth is in metres; else it is so up to scale and shift of inverse depth."""
    say: Callable[[str, Case], Said]
    """What it says of the case of a name."""
    note: str = ""
    """Licence or provenance."""
    focal: Focal | None = None
    """Which focal length its metres rest on; None if it has no use for one, or did not say."""
    fitted: str = ""
    """How it is made metres with each known truth, unless it says metres or is aligned."""


def open_system(
    model: str = "small", device: str | None = None, focal: Focal = "estimated"
) -> System:
    """Return a network that runs here.

    Args:
        model: As in `DepthPro.from_pretrained`; or a depth network of transformers, by its name on
            the hub or its folder. Of Depth Pro in either layout, "transformers:NAME" is run by
            transformers.
        device: None takes CUDA or MPS where there is one, else the CPU.
        focal: "true" gives the network the focal length of the case.

    Raises:
        ValueError: If it cannot be loaded, or has no use for a focal length, or no estimate of it.
    """
    if focal not in get_args(Focal):
        raise ValueError(f'focal must be "estimated" or "true", got {focal!r}')
    if not model.startswith(PREFIX) and _is_ours(model):
        return _open_ours(model, device, focal)
    return _open_theirs(model, device, focal)


def open_predictions(folder: Path, title: str, kind: Kind = "depth", scale: float = 1.0) -> System:
    """Return a system that is known by what it saved: FOLDER/CASE.npz, .npy, .png, .exr or .pfm.

    | kind | values |
    |---|---|
    | "depth" | `scale` of them make a metre; infinite for sky, 0 for nothing said |
    | "inverse" | `scale` of them make 1/m; 0 for sky |
    | "relative" | inverse depth up to scale and shift |
    | "relative-depth" | depth up to scale and shift, as Marigold says it |
    | "focal" | none: only `f_px`, in .npz |

    Maps may be of another size than the picture, and cover all of it. Depth of 0 counts as 1 mm,
    `NEAREST_M`. For "relative-depth" least squares against all depth that the case knows make
    metres, as Marigold's authors do; where none is known, it is taken as it is.

    Args:
        folder: Of the files; a case named a/b is in its folder a.
        title: Of the system, for the report.
        kind: See above.
        scale: See above, such as 1000 for millimetres in PNG, or 256.

    Raises:
        ValueError: If there is no such folder, kind or scale; and from `say`, with the file's name,
            if a file is missing or broken or its values are impossible.
    """
    if not folder.is_dir():
        raise ValueError(f"no folder {folder}: pass the one that holds a file for each case")
    if kind not in get_args(Kind):
        raise ValueError(f"kind must be one of {', '.join(get_args(Kind))}; got {kind!r}")
    if not 0 < scale < math.inf:
        raise ValueError(f"scale, stored units in a metre, must be positive; got {scale}")

    def say(name: str, case: Case) -> Said:
        if kind == "focal":
            return _say_focal(folder, name, case)
        path = find_map(folder, name)
        stored = read_map(path)
        try:
            depth = _to_depth(stored, kind, scale)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        if kind == "relative-depth":
            depth = _fitted(depth, case)
        return Said(depth, stored.f_px, inverse=kind in ("inverse", "relative"))

    fitted = "scale and shift of depth" if kind == "relative-depth" else ""
    return System(title, kind != "relative", say, "predictions as saved", fitted=fitted)


def stamp(origin: str) -> str:
    """Return what tells weights, or predictions, from others that were under the same name before.

    It is a digest of the files' names, sizes and times of change; of a name on the hub, the commit
    in the cache; empty if there is neither.

    Args:
        origin: As `open_system` takes it, or a folder of predictions.
    """
    path = EMBEDDED if origin == "small" else Path(origin.removeprefix(PREFIX)).expanduser()
    if not path.exists():
        repository = repo_folder_name(repo_id=origin.removeprefix(PREFIX), repo_type="model")
        commit = Path(HF_HUB_CACHE) / repository / "refs/main"
        return commit.read_text() if commit.is_file() else ""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    lines = [
        f"{file.relative_to(path)} {file.stat().st_size} {file.stat().st_mtime_ns}\n"
        for file in files
        if file == path or file.suffix in _STAMPED
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def relative_depth(inverse: Float[ndarray, "H W"]) -> Float[ndarray, "H W"]:
    """Return depth in an unknown unit for inverse depth up to scale and shift.

    It is `NEAREST` over the inverse depth's share of its maximum, infinite where that is 0: to
    fit scale and shift to its inverse is to fit them to what was given. The shift, on which
    boundaries depend, stays as given unless some of it is negative: then the least becomes 0.
    """
    shifted = inverse.astype(np.float64) - min(0.0, float(inverse.min()))
    greatest = shifted.max()
    if greatest == 0:
        return np.full_like(inverse, NEAREST)
    with np.errstate(divide="ignore"):
        return (NEAREST * greatest / shifted).astype(np.float32)


def _is_ours(model: str) -> bool:
    """Return whether this package runs it: all but what names another model_type."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        try:
            settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return True  # which says what it misses
        return not isinstance(settings, dict) or settings.get("model_type") in (None, "depth_pro")
    if folder.suffix in (".pt", ".pth", ".safetensors") or not _HUB_NAME.fullmatch(model):
        return True
    if folder.is_file() or model in ("apple/DepthPro", "apple/DepthPro-hf"):
        return True
    return transformers_models.model_type(model) == "depth_pro"


def _open_ours(name: str, device: str | None, focal: Focal) -> System:
    model = DepthPro.from_pretrained(name, device=device)
    if model.fov is None and focal == "estimated":
        raise ValueError(f'{name!r} estimates no field of view: pass focal="true", or --focal true')

    def say(_: str, case: Case) -> Said:
        f_px = _true_focal(case) if focal == "true" else None
        prediction = model.infer(case.rgb, f_px)
        estimate = prediction.estimated_f_px
        return Said(
            prediction.depth[0].cpu().numpy(), None if estimate is None else estimate.item()
        )

    title = f"Depth Pro ({model.provenance.name})"
    half = ", computed in half precision" if model.device.type == "cuda" else ""
    return System(title, True, say, f"licence {model.provenance.licence}{half}", focal)


def _open_theirs(model: str, device: str | None, focal: Focal) -> System:
    name = model.removeprefix(PREFIX)
    folder = Path(name).expanduser()
    theirs = transformers_models.load(str(folder) if folder.is_dir() else name, device)
    if focal == "true" and not theirs.estimates_focal:
        raise ValueError(
            f'{name!r} has no use for a focal length: pass focal="estimated", or no --focal'
        )

    def say(_: str, case: Case) -> Said:
        values, f_px = theirs.infer(case.rgb)
        if focal == "true" and f_px is not None:
            values = values * np.float32(_true_focal(case) / f_px)
        depth = relative_depth(values) if theirs.relative else values
        return Said(depth, f_px, theirs.relative)

    licence = PUBLISHED_LICENCE if theirs.estimates_focal else "see its page"
    title = folder.resolve().name if folder.is_dir() else name
    title += " by transformers" if model.startswith(PREFIX) else ""
    note = f"by transformers, licence {licence}"
    return System(title, not theirs.relative, say, note, focal if theirs.estimates_focal else None)


def _true_focal(case: Case) -> float:
    if case.f_px is None:
        raise ValueError("the benchmark does not say the focal length: leave --focal true out")
    return case.f_px


def _say_focal(folder: Path, name: str, case: Case) -> Said:
    if case.depth is not None or case.alpha is not None:
        raise ValueError('of kind "focal" only focal lengths are known: measure those')
    f_px = read_focal(find_map(folder, name, (".npz",)))
    return Said(np.ones(case.rgb.shape[:2], np.float32), f_px)


def _to_depth(stored: Stored, kind: Kind, scale: float) -> Float[ndarray, "H W"]:
    """Return depth in metres, or in the unit of a relative system."""
    metric = kind in ("depth", "inverse")
    if metric and stored.values.dtype.kind in "ui" and scale == 1:
        raise ValueError("whole numbers need a scale: how many make a metre, such as 1000 or 256")
    values = stored.values.astype(np.float32)
    if kind == "depth":
        _demand(values >= 0, values, "0 or more; 0 is nothing said, infinite is sky")
        return values / np.float32(scale)
    if kind == "inverse":
        _demand((values >= 0) & (values < np.inf), values, "0 or more and finite; 0 is sky")
        with np.errstate(divide="ignore"):
            return np.float32(scale) / values
    _demand(np.isfinite(values), values, "finite")
    return relative_depth(values) if kind == "relative" else values


def _demand(fit: Bool[ndarray, "H W"], values: Float[ndarray, "H W"], wanted: str) -> None:
    if not fit.all():
        raise ValueError(
            f"{(~fit).sum()} of {fit.size} values are not {wanted}, such as {values[~fit][0]:g}: "
            "save the map as the system says it, and check the kind"
        )


def _fitted(values: Float[ndarray, "H W"], case: Case) -> Float[ndarray, "H W"]:
    """Return metres: the values, scaled and shifted to fit the depth that the case knows."""
    if case.depth is not None:
        truth, known = counted(case)  # not the sky, which some say is 10 million kilometres away
        maps = torch.from_numpy(values)[None, None]
        at_truth = F.interpolate(maps, truth.shape, mode="bilinear")[0, 0].numpy()
        x, y = at_truth[known].astype(np.float64), truth[known].astype(np.float64)
        if len(x):
            centred = x - x.mean()
            slope = centred @ y / max(centred @ centred, np.finfo(float).tiny)
            values = (slope * (values - x.mean()) + y.mean()).astype(np.float32)
    return np.maximum(values, np.float32(MIN_DEPTH_M))
