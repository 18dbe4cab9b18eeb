"""The systems that are measured: networks that run here, and depth maps that others saved.

docs/evaluation.md lists how to open each system of the paper's tables.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Num
from numpy import ndarray

from depthpro.checkpoint import EMBEDDED, PUBLISHED_LICENCE
from depthpro.evaluation import transformers_models
from depthpro.evaluation.readers.case import Case
from depthpro.evaluation.saved_depth import find_prediction, read_map
from depthpro.evaluation.scoring import SystemOutput, counted, resized
from depthpro.geometry import MIN_DEPTH_M
from depthpro.model import DepthPro

Focal = Literal["estimated", "true"]
Kind = Literal["depth", "inverse", "relative", "relative-depth"]

CONSTANT_M = 3.9  # depth of the baseline "constant": the median of `render --seed 3`, without sky
HORIZON, EYE_M, FAR_M = 0.4, 1.5, 1000.0
"""The baseline "ramp": a level ground seen from this height, up to FAR_M at a horizon at this share
of the rows."""
BASELINES = ("constant", "ramp")
PREFIX = "transformers:"  # before the name of a Depth Pro that transformers is to run
NEAREST = 0.01  # nearest depth of a relative system: a million to one can be measured then
_PUBLISHED = ("apple/DepthPro", "apple/DepthPro-hf")


@dataclass(frozen=True)
class System:
    """Predicts depth from a picture."""

    title: str  # as a report lists it
    metric: bool  # whether depth is in metres; else up to scale and shift of inverse depth
    predict: Callable[[str, Case], SystemOutput]  # from the name and the picture of a case
    note: str = ""  # licence, provenance, and other notes for readers of the scores
    focal: Focal | None = None
    """Focal length that its metres follow from; None if it uses none, or an unknown one."""
    files: Path | None = None  # weights or predictions on disk


def open_system(
    model: str = "small", device: str | None = None, focal: Focal = "estimated"
) -> System:
    """Return a network that runs here.

    Args:
        model: As in `DepthPro.from_pretrained`; or a depth network of transformers, by its name on
            the hub or its folder; or "transformers:NAME" for a Depth Pro run by transformers; or
            one of `BASELINES`.
        device: None takes CUDA or MPS where there is one, else the CPU.
        focal: "true" gives the network the focal length of the case.

    Raises:
        ValueError: If it cannot be loaded, cannot use a focal length, or estimates none.
    """
    if model in BASELINES:
        return baseline(model)
    ours = not model.startswith(PREFIX) and _is_ours(model)
    system = (_open_ours if ours else _open_theirs)(model, device, focal)
    return replace(system, title=system.title + ", true focal length" * (focal == "true"))


def baseline(kind: str) -> System:
    """Return a system that ignores the picture: "constant" depth, or a ground plane, "ramp"."""

    def constant(_: str, case: Case) -> SystemOutput:
        return SystemOutput(np.full(case.rgb.shape[:2], CONSTANT_M, np.float32))

    def ramp(_: str, case: Case) -> SystemOutput:
        height, width = case.rgb.shape[:2]
        f_px = case.fy_px or case.f_px or width
        below = (np.arange(height) - HORIZON * height).clip(min=f_px * EYE_M / FAR_M)
        return SystemOutput(np.tile((f_px * EYE_M / below)[:, None], width).astype(np.float32))

    if kind == "constant":
        return System(f"constant {CONSTANT_M:g} m", True, constant)
    return System("level ground", True, ramp, focal="true")


def open_predictions(folder: Path, title: str, kind: Kind = "depth", scale: float = 1.0) -> System:
    """Return a system whose predictions are saved: FOLDER/CASE.npz, .npy, .png, .exr or .pfm.

    | kind | values |
    |---|---|
    | "depth" | metres times `scale`; infinite for sky, 0 where nothing is predicted |
    | "inverse" | 1/m times `scale`; 0 for sky |
    | "relative" | inverse depth up to scale and shift |
    | "relative-depth" | depth up to scale and shift, as Marigold predicts it |

    Maps cover the picture, at any size; `scale` is 1000 for millimetres. "relative-depth" is fitted
    to all true depth of the case by least squares, as Marigold's authors do.

    Raises:
        ValueError: If there is no such folder or scale; in `predict`, if a file is not as it says.
    """
    if not folder.is_dir():
        raise ValueError(f"no folder {folder}: pass the one that holds a file for each case")
    if not 0 < scale < math.inf:
        raise ValueError(f"scale, stored units in a metre, must be positive; got {scale}")

    def predict(name: str, case: Case) -> SystemOutput:
        values, f_px = read_map(find_prediction(folder, name))
        depth = _to_depth(values, kind, scale)
        return SystemOutput(_fitted(depth, case) if kind == "relative-depth" else depth, f_px)

    note = f"saved as {kind}" + (f", {scale:g} units in a metre" if scale != 1 else "")
    if kind == "relative-depth":
        note += ", fitted to each truth by scale and shift of depth"
    return System(title, kind != "relative", predict, note, files=folder)


def relative_depth(inverse: Float[ndarray, "H W"]) -> Float[ndarray, "H W"]:
    """Return depth in an unknown unit for inverse depth up to scale and shift.

    The nearest is at `NEAREST`. The shift, on which boundaries depend, stays as given unless some
    values are negative: then the least becomes 0, at infinity.
    """
    shifted = inverse.astype(np.float64) - min(0.0, float(inverse.min()))
    if not shifted.any():
        return np.full_like(inverse, NEAREST)
    with np.errstate(divide="ignore"):
        return (NEAREST * shifted.max() / shifted).astype(np.float32)


def _is_ours(model: str) -> bool:
    """Return whether this package runs a model: all but other kinds in transformers' layout."""
    path = Path(model).expanduser()
    if (path / "config.json").is_file():
        settings = json.loads((path / "config.json").read_text(encoding="utf-8"))
        return settings.get("model_type", "depth_pro") == "depth_pro"
    is_file_name = path.suffix in (".pt", ".pth", ".safetensors")
    if path.exists() or is_file_name or model in _PUBLISHED or model.count("/") != 1:
        return True
    return transformers_models.from_pretrained("AutoConfig", model).model_type == "depth_pro"


def _open_ours(name: str, device: str | None, focal: Focal) -> System:
    model = DepthPro.from_pretrained(name, device=device)
    if model.fov is None and focal == "estimated":
        raise ValueError(f'{name!r} estimates no field of view: pass focal="true", or --focal true')

    def predict(_: str, case: Case) -> SystemOutput:
        prediction = model.infer(case.rgb, _true_focal(case) if focal == "true" else None)
        estimate = prediction.estimated_f_px
        f_px = None if estimate is None else estimate.item()
        return SystemOutput(prediction.depth[0].cpu().numpy(), f_px)

    half = ", computed in half precision" if model.device.type == "cuda" else ""
    note = f"licence {model.provenance.licence}{half}"
    files = EMBEDDED if name == "small" else Path(name).expanduser()
    return System(f"Depth Pro ({model.provenance.name})", True, predict, note, focal, files)


def _open_theirs(model: str, device: str | None, focal: Focal) -> System:
    name = model.removeprefix(PREFIX)
    folder = Path(name).expanduser()
    theirs = transformers_models.load(str(folder) if folder.is_dir() else name, device)
    config = theirs[0].config
    relative = transformers_models.is_relative(config)
    estimates_focal = config.model_type == "depth_pro"
    if focal == "true" and not estimates_focal:
        raise ValueError(
            f'{name!r} cannot use a focal length: pass focal="estimated", or no --focal'
        )

    def predict(_: str, case: Case) -> SystemOutput:
        values, f_px = transformers_models.infer(*theirs, case.rgb)
        if focal == "true" and f_px is not None:
            values = values * np.float32(_true_focal(case) / f_px)
        return SystemOutput(relative_depth(values) if relative else values, f_px)

    title = folder.resolve().name if folder.is_dir() else name
    title += " by transformers" if model.startswith(PREFIX) else ""
    licence = PUBLISHED_LICENCE if estimates_focal else "see its page"
    note, used = f"by transformers, licence {licence}", focal if estimates_focal else None
    return System(title, not relative, predict, note, used, folder)


def _true_focal(case: Case) -> float:
    if case.f_px is None:
        raise ValueError("the benchmark gives no focal length: leave --focal true out")
    return case.f_px


def _to_depth(stored: Num[ndarray, "H W"], kind: Kind, scale: float) -> Float[ndarray, "H W"]:
    """Return depth in metres, or in the unit of a relative system."""
    if kind in ("depth", "inverse") and stored.dtype.kind in "ui" and scale == 1:
        raise ValueError("whole numbers need a scale: how many make a metre, such as 1000 or 256")
    values = stored.astype(np.float32)
    good, wanted = np.isfinite(values), "finite"
    if kind == "depth":
        good, wanted = values >= 0, "0 or more; 0 is nothing predicted, infinite is sky"
    elif kind == "inverse":
        good, wanted = good & (values >= 0), "0 or more and finite; 0 is sky"
    if not good.all():
        raise ValueError(
            f"{(~good).sum()} of {good.size} values are not {wanted}, such as {values[~good][0]:g}:"
            " save the map as the system predicts it, and check the kind"
        )
    if kind == "relative":
        return relative_depth(values)
    if kind == "inverse":
        with np.errstate(divide="ignore"):
            return np.float32(scale) / values
    return values / np.float32(scale) if kind == "depth" else values


def _fitted(values: Float[ndarray, "H W"], case: Case) -> Float[ndarray, "H W"]:
    """Return metres: the values, scaled and shifted to fit the true depth of the case, if known."""
    if case.depth is not None:
        truth, known = counted(case)  # not the sky, which some store as 10 million kilometres
        if known.any():
            x, y = resized(values, truth.shape)[known].astype(float), truth[known].astype(float)
            centred = x - x.mean()
            slope = centred @ y / max(centred @ centred, np.finfo(float).tiny)
            values = (slope * (values - x.mean()) + y.mean()).astype(np.float32)
    return np.maximum(values, np.float32(MIN_DEPTH_M))
