"""Depth in colours, with marks for sky and clamped pixels; statistics of depth."""

import math
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray

from demo.screen import SKY_M, DepthKind
from demo.units import PER_METRE, Units, length
from depthpro import Prediction
from depthpro.export import fit_size
from depthpro.geometry import MAX_DEPTH_M, MIN_DEPTH_M, unproject
from depthpro.viz import DepthRange, Scale, colorize, depth_range

CMAPS = {
    "Turbo": "turbo",
    "Viridis": "viridis",
    "Magma": "magma",
    "Inferno": "inferno",
    "Cividis": "cividis",
    "Spectral": "Spectral_r",
    "Grey": "gray",
}
"""Colour maps by the page's names; the end of a map is near."""

_STATS_SIDE = 384  # pixels of the longer side that the statistics are computed from
_STRIPES = np.array([[205, 213, 222], [142, 155, 170]], np.uint8)  # of the sky
_DOTS = np.array([[0, 0, 0], [255, 255, 255]], np.uint8)  # ring and middle


@dataclass(frozen=True)
class DepthStyle:
    """Colours, range and marks of a depth map."""

    cmap: str = "turbo"
    scale: Scale = "inverse"
    kind: DepthKind = "z"
    """Depth along the optical axis, or distance along each pixel's ray."""
    fixed: DepthRange | None = None
    """Range in metres; None is the photo's own."""
    marks: bool = True
    """Whether sky and pixels outside the range are marked."""


class Picture(NamedTuple):
    """Depth in colours, and the shares in [0, 1] of the pixels that are marked."""

    rgb: UInt8[ndarray, "h w 3"]
    span: DepthRange
    """Metres at the ends of the colours."""
    sky: float
    """Deeper than `SKY_M`."""
    nearer: float
    """Nearer than the range, or at the least depth of the network."""
    farther: float
    """Farther than the range and not sky."""


class DepthStats(NamedTuple):
    """Depth of a photo in metres, without its sky: 1st percentile, median, 99th percentile."""

    near_m: float
    median_m: float
    far_m: float
    sky: float
    """Share of the pixels that are sky, in [0, 1]."""


def draw(depth: Float[ndarray, "h w"], f_px: float, style: DepthStyle) -> Picture:
    """Return depth in metres in colours; `f_px` is that of a picture as wide as `depth`.

    The automatic range is `depth_range` of all that is not sky.
    """
    sky = depth >= SKY_M
    shown = ray_distance(depth, f_px) if style.kind == "ray" else depth
    nearer, farther = depth <= MIN_DEPTH_M * (1 + 1e-6), np.zeros_like(sky)
    if style.fixed is None:
        span = depth_range(shown if sky.all() else shown[~sky][None])
    else:
        span = style.fixed
        nearer |= shown < span.near_m
        farther = (shown > span.far_m) & ~sky
    rgb = colorize(shown, span, style.cmap, style.scale)
    if style.marks:
        _mark(rgb, sky, nearer | farther)
    return Picture(rgb, span, *(float(mask.mean()) for mask in (sky, nearer, farther)))


def depth_stats(prediction: Prediction) -> DepthStats:
    """Return the range and median of depth; `SKY_M` for a photo of nothing but sky."""
    height, width = fit_size(prediction.height, prediction.width, _STATS_SIDE)
    depth = prediction.depth_at(height, width)[0].numpy()
    sky = depth >= SKY_M
    if sky.all():
        return DepthStats(SKY_M, SKY_M, SKY_M, 1.0)
    solid = depth[~sky]
    near_m, far_m = depth_range(solid[None])
    return DepthStats(near_m, float(np.median(solid)), far_m, float(sky.mean()))


def ray_distance(depth: Float[ndarray, "h w"], f_px: float) -> Float[ndarray, "h w"]:
    """Return the distance of each pixel's point from the camera in metres."""
    return np.linalg.norm(unproject(depth, f_px), axis=-1)


def fixed_range(near: float | None, far: float | None, units: Units = "m") -> DepthRange:
    """Return a range in metres from its two ends in metres or feet.

    Raises:
        ValueError: If an end is missing or out of range, or near is not smaller than far.
    """
    name = "metres" if units == "m" else "feet"
    if near is None or far is None or math.isnan(near) or math.isnan(far):
        raise ValueError(f"Type both ends of the range, near and far, in {name}.")
    if near >= far:
        raise ValueError(
            f"Near must be smaller than far, but near is {near:g} and far is {far:g} {name}. "
            "Type a smaller near or a larger far."
        )
    near_m, far_m = near / PER_METRE[units], far / PER_METRE[units]
    # Rounded to three digits, a limit may lie just outside itself.
    if near_m < 0.995 * MIN_DEPTH_M or far_m > 1.005 * MAX_DEPTH_M:
        raise ValueError(
            f"The range must lie between {length(MIN_DEPTH_M, units)} and "
            f"{length(MAX_DEPTH_M, units)}, but near is {near:g} and far is {far:g} {name}. "
            "Type another near or far."
        )
    return DepthRange(max(near_m, MIN_DEPTH_M), min(far_m, MAX_DEPTH_M))


def typed_range(span: DepthRange, units: Units = "m") -> tuple[float, float]:
    """Return near and far in metres or feet as the fields show them: three digits."""
    near, far = (float(f"{end * PER_METRE[units]:.3g}") for end in span)
    return near, far


def _mark(
    rgb: UInt8[ndarray, "h w 3"], sky: Bool[ndarray, "h w"], outside: Bool[ndarray, "h w"]
) -> None:
    """Draw stripes over the sky, and dots over the pixels outside the range."""
    period = max(6, max(sky.shape) // 80)
    row, column = np.ogrid[: sky.shape[0], : sky.shape[1]]
    if sky.any():
        stripe = ((row + column) % period < period // 2).astype(np.uint8)
        rgb[sky] = _STRIPES[stripe[sky]]
    if outside.any():
        middle = (period - 1) / 2
        radius = np.hypot(row % period - middle, column % period - middle) / period
        for colour, size in zip(_DOTS, (0.34, 0.22), strict=True):
            rgb[cast(ndarray, outside & ~sky & (radius < size))] = colour
