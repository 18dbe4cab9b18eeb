"""Depth as pictures: colours over inverse depth, and a bar in metres."""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeVar

import matplotlib
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy import ndarray

from depthpro.geometry import MAX_DEPTH_M

Scale = Literal["inverse", "log", "linear"]  # of inverse depth, its logarithm, or depth
Number = TypeVar("Number", float, ndarray)

_SAMPLE = 250_000  # pixels that the range is taken from; more do not move a percentile visibly
_BAR_DPI = 100
_TICK_DIGITS = (1, 2, 5, 3, 4, 6, 8)  # rounder numbers first


class DepthRange(NamedTuple):
    """Depths in metres of the last and the first colour; pixels beyond have these colours too."""

    near_m: float
    far_m: float


def depth_range(depth: Float[ndarray, "h w"]) -> DepthRange:
    """Return the 1st and 99th percentile of inverse depth without the sky, in metres."""
    step = max(1, math.isqrt(depth.size // _SAMPLE))
    inverse = 1 / depth[::step, ::step]
    inverse = inverse[inverse > 1.001 / MAX_DEPTH_M]
    if not inverse.size:
        return DepthRange(MAX_DEPTH_M / 2, MAX_DEPTH_M)
    far, near = (float(value) for value in np.percentile(inverse, (1, 99)))
    if near < 1.05 * far:  # a flat wall still needs two ends
        middle = (near + far) / 2
        near, far = middle * 1.05, middle / 1.05
    return DepthRange(1 / near, 1 / far)


def colorize(
    depth: Float[ndarray, "h w"],
    span: DepthRange | None = None,
    cmap: str = "turbo",
    scale: Scale = "inverse",
) -> UInt8[ndarray, "h w 3"]:
    """Return depth in metres as colours: near is the end of the colour map.

    `span` are the depths at its ends, None those of `depth_range`. As in the published viewer,
    colours are linear in inverse depth by default.
    """
    return _palette(cmap)[grey(depth, span or depth_range(depth), scale)]


def grey(
    depth: Float[ndarray, "h w"], span: DepthRange, scale: Scale = "inverse"
) -> UInt8[ndarray, "h w"]:
    """Return depth as grey: near is white. In inverse depth it is what image generators take."""
    return np.clip(255 * bar_position(depth, span, scale) + 0.5, 0, 255).astype(np.uint8)


def normal_colours(normals: Float[ndarray, "h w 3"]) -> UInt8[ndarray, "h w 3"]:
    """Return unit normals n of the camera's frame as colours, 127.5 (n + 1).

    Red is right, green is up and blue is towards the camera, as most programs take them.
    """
    return np.round(127.5 * (normals * (1, -1, -1) + 1)).astype(np.uint8)


def bar_position(depth_m: Number, span: DepthRange, scale: Scale = "inverse") -> Number:
    """Return where a depth stands on the bar: 0 at the far end, 1 at the near end."""
    depth, near, far = (_scaled(each, scale) for each in (depth_m, *span))
    return (depth - far) / (near - far)


def metres(depth_m: float) -> str:
    """Return a depth as people read it: three significant digits and the unit."""
    if depth_m >= 999.5:  # three digits round it up to 1000
        return f"{depth_m / 1000:.3g} km"
    return f"{depth_m:.3g} m" if depth_m >= 0.1 else f"{100 * depth_m:.3g} cm"


def bar_ticks(
    span: DepthRange,
    count: int = 6,
    scale: Scale = "inverse",
    label: Callable[[float], str] = metres,
) -> list[tuple[float, str]]:
    """Return about `count` positions on the bar, with labels: its ends, and round numbers between.

    Ends are in the unit that `label` takes.
    """
    ticks = [(0.0, label(span.far_m)), (1.0, label(span.near_m))]
    decades = range(math.floor(math.log10(span.near_m)), math.ceil(math.log10(span.far_m)) + 1)
    round_numbers = [digit * 10.0**decade for digit in _TICK_DIGITS for decade in decades]
    even_numbers = [float(tick) for tick in MaxNLocator(5).tick_values(span.near_m, span.far_m)]
    linear = scale == "linear"
    for value in even_numbers + round_numbers if linear else round_numbers + even_numbers:
        if span.near_m < value < span.far_m:
            position = bar_position(value, span, scale)
            if all(abs(position - other) > 0.8 / count for other, _ in ticks):
                ticks.append((position, label(value)))
    return sorted(ticks)


def with_colour_bar(
    coloured: UInt8[ndarray, "h w 3"], span: DepthRange
) -> UInt8[ndarray, "h2 w2 3"]:
    """Return a map that `colorize` made with a bar in metres to its right, pixels unchanged."""
    height = min(max(len(coloured), 120), 4096)  # readable, and not too wide
    text = max(7.0, height / 40)
    figure = Figure((round(7 * text) / _BAR_DPI, height / _BAR_DPI), dpi=_BAR_DPI)
    axes = figure.add_axes((0.08, 0.04, 0.22, 0.92))
    axes.imshow(_palette("turbo")[:, None], aspect="auto", origin="lower", extent=(0, 1, 0, 1))
    positions, labels = zip(*bar_ticks(span), strict=True)
    axes.set_xticks([])
    axes.set_yticks(positions, labels, fontsize=text * 72 / _BAR_DPI)
    axes.yaxis.tick_right()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    bar = np.asarray(canvas.buffer_rgba())[..., :3]
    both = np.full((max(len(coloured), len(bar)), coloured.shape[1] + bar.shape[1], 3), 255, "u1")
    both[: len(coloured), : coloured.shape[1]] = coloured
    both[: len(bar), coloured.shape[1] :] = bar
    return both


def _scaled(depth: Any, scale: Scale) -> Any:
    """Return the quantity of the scale, negated if needed to grow towards the camera."""
    if scale == "inverse":
        return 1 / depth
    return -np.log(depth) if scale == "log" else -depth


def _palette(cmap: str) -> UInt8[ndarray, "256 3"]:
    """Return the 256 colours of a matplotlib colour map."""
    return np.round(matplotlib.colormaps[cmap](np.arange(256) / 255)[:, :3] * 255).astype(np.uint8)
