"""How depth is looked at: colours, range, scale, along the axis or the ray, and what is marked."""

import math
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray

from demo.screen import SKY_M, DepthKind
from demo.units import FEET_PER_METRE, Units, length
from depthpro import Prediction
from depthpro.export import fit_size
from depthpro.geometry import MAX_DEPTH_M, MIN_DEPTH_M
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
"""Names that visitors read, and matplotlib's; near is the map's end."""

_REACH_SIDE = 384  # pixels of the longer side are enough for a median
_DIGITS = 3  # of the range as people read and type it
_STRIPES = np.array([[205, 213, 222], [142, 155, 170]], np.uint8)  # of the sky
_DOTS = np.array([[0, 0, 0], [255, 255, 255]], np.uint8)  # ring and middle


@dataclass(frozen=True)
class Look:
    """What a visitor chose."""

    cmap: str = "turbo"
    scale: Scale = "inverse"
    kind: DepthKind = "z"
    """Depth along the optical axis, or distance along the ray of each pixel."""
    fixed: DepthRange | None = None
    """Range in metres of what `kind` says; None follows the photo."""
    marks: bool = True
    """Whether sky and pixels outside the range are drawn as such."""


class Picture(NamedTuple):
    """Depth in colours, and what the colours cannot tell."""

    rgb: UInt8[ndarray, "h w 3"]
    span: DepthRange
    """What the ends of the colours stand for, in metres."""
    sky: float
    """Share of the pixels that are sky, in [0, 1]: deeper than `SKY_M`."""
    nearer: float
    """Share of the pixels that are nearer than the range, or than the network can tell."""
    farther: float
    """Share of the pixels that are farther than the range and not sky."""


class Reach(NamedTuple):
    """Depth of a photo in metres, without its sky."""

    near_m: float
    """The nearest percent is nearer."""
    median_m: float
    far_m: float
    """The farthest percent is farther."""
    sky: float
    """Share of the pixels that are sky, in [0, 1]."""


def draw(depth: Float[ndarray, "h w"], f_px: float, look: Look) -> Picture:
    """Return depth as a visitor wants to see it.

    Args:
        depth: Metres along the optical axis.
        f_px: Focal length in pixels of a picture as wide as `depth`.
        look: The choices. Its automatic range is `depth_range` of all that is not sky.
    """
    sky = depth >= SKY_M
    shown = ray_distance(depth, f_px) if look.kind == "ray" else depth
    nearer, farther = depth <= MIN_DEPTH_M * (1 + 1e-6), np.zeros_like(sky)
    if look.fixed is None:
        span = depth_range(shown if sky.all() else shown[~sky][None])
    else:
        span = look.fixed
        nearer |= shown < span.near_m
        farther = (shown > span.far_m) & ~sky
    rgb = colorize(shown, span, look.cmap, look.scale)
    if look.marks:
        _mark(rgb, sky, nearer | farther)
    return Picture(rgb, span, *(float(mask.mean()) for mask in (sky, nearer, farther)))


def reach(prediction: Prediction) -> Reach:
    """Return how far a photo reaches; of nothing but sky, where the sky begins."""
    height, width = fit_size(prediction.height, prediction.width, _REACH_SIDE)
    depth = prediction.depth_at(height, width)[0].numpy()
    sky = depth >= SKY_M
    if sky.all():
        return Reach(SKY_M, SKY_M, SKY_M, 1.0)
    solid = depth[~sky]
    near_m, far_m = depth_range(solid[None])
    return Reach(near_m, float(np.median(solid)), far_m, float(sky.mean()))


def ray_distance(depth: Float[ndarray, "h w"], f_px: float) -> Float[ndarray, "h w"]:
    """Return the distance of each pixel's point from the camera in metres.

    Args:
        depth: Metres along the optical axis.
        f_px: Focal length in pixels of a picture as wide as `depth`.
    """
    height, width = depth.shape
    x = (np.arange(width) - (width - 1) / 2) / f_px
    y = (np.arange(height) - (height - 1) / 2) / f_px
    return depth * np.sqrt(1 + x**2 + y[:, None] ** 2).astype(depth.dtype)


def fixed_range(near: float | None, far: float | None, units: Units = "m") -> DepthRange:
    """Return a range in metres from the ends that a visitor typed in metres or feet.

    Raises:
        ValueError: If an end is missing, near is not smaller than far, or the network cannot
            tell such depths.
    """
    name = "metres" if units == "m" else "feet"
    if near is None or far is None or math.isnan(near) or math.isnan(far):
        raise ValueError(f"Type both ends of the range, near and far, in {name}.")
    size = _size_m(units)
    span = DepthRange(near * size, far * size)
    if near >= far:
        raise ValueError(
            f"Near must be smaller than far, but near is {near:g} and far is {far:g} {name}. "
            "Type a smaller near or a larger far."
        )
    # Three digits of a limit may lie just outside it.
    if span.near_m < 0.995 * MIN_DEPTH_M or span.far_m > 1.005 * MAX_DEPTH_M:
        raise ValueError(
            f"Both ends must lie between {length(MIN_DEPTH_M, units)} and "
            f"{length(MAX_DEPTH_M, units)}, but near is {near:g} and far is {far:g} {name}. "
            f"Type a {'larger near' if span.near_m < MIN_DEPTH_M else 'smaller far'}."
        )
    return DepthRange(max(span.near_m, MIN_DEPTH_M), min(span.far_m, MAX_DEPTH_M))


def typed_range(span: DepthRange, units: Units = "m") -> tuple[float, float]:
    """Return near and far as the fields show them: in metres or feet, to three digits."""
    size = _size_m(units)
    near, far = (float(f"{end / size:.{_DIGITS}g}") for end in span)
    return near, far


def _size_m(units: Units) -> float:
    return 1.0 if units == "m" else 1 / FEET_PER_METRE


def _mark(
    rgb: UInt8[ndarray, "h w 3"], sky: Bool[ndarray, "h w"], outside: Bool[ndarray, "h w"]
) -> None:
    """Draw stripes in place of the sky, and dots over the colours of what is outside."""
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
