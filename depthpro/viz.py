"""Depth as pictures: colours over inverse depth, and a bar in metres."""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeVar, cast

import matplotlib
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy import ndarray

from depthpro.geometry import MAX_DEPTH_M

Scale = Literal["inverse", "log", "linear"]
"""Quantity that the colours are linear in: inverse depth, its logarithm, or depth."""

Number = TypeVar("Number", float, ndarray)

_SAMPLE = 250_000  # pixels that the range is taken from; more do not move a percentile visibly
_BAR_DPI = 100
_TICK_DIGITS = (1, 2, 5, 3, 4, 6, 8)  # rounder numbers first


class DepthRange(NamedTuple):
    """Depths at the two ends of the colour map."""

    near_m: float
    """Depth in metres of the last colour; nearer pixels have it too."""
    far_m: float
    """Depth in metres of the first colour; farther pixels have it too."""


def depth_range(depth: Float[ndarray, "h w"]) -> DepthRange:
    """Return the 1st and 99th percentile of inverse depth, in metres.

    Neither sky nor a speck then flattens the colours of everything else.
    """
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
    """Return depth in metres as colours: near is the map's end.

    Args:
        depth: Metres, above 0.
        span: Depths at the ends; None takes `depth_range`.
        cmap: A colour map of matplotlib.
        scale: Quantity that the colours are linear in.

    Source: the published viewer shows inverse depth in "turbo" (FACTS 1.6).
    """
    near, far = (_scaled(end, scale) for end in span or depth_range(depth))
    slope = 255 / (near - far)
    level = np.clip((_scaled(depth, scale) - far) * slope + 0.5, 0, 255).astype(np.uint8)
    return _palette(cmap)[level]


def bar_position(depth_m: float, span: DepthRange, scale: Scale = "inverse") -> float:
    """Return where a depth stands on the bar: 0 at the far end, 1 at the near end."""
    near, far = (_scaled(end, scale) for end in span)
    return (_scaled(depth_m, scale) - far) / (near - far)


def bar_ticks(
    span: DepthRange,
    count: int = 6,
    scale: Scale = "inverse",
    label: Callable[[float], str] | None = None,
) -> list[tuple[float, str]]:
    """Return positions on the bar and their labels, both ends included.

    Round numbers between the ends, spread as evenly as the scale allows.

    Args:
        span: Both ends, in metres or in any other unit.
        count: About how many ticks.
        scale: Quantity that the bar is linear in.
        label: From a number in the unit of `span` to its label; None takes `metres`.
    """
    label = label or metres
    ticks = [(0.0, label(span.far_m)), (1.0, label(span.near_m))]
    decades = range(math.floor(math.log10(span.near_m)), math.ceil(math.log10(span.far_m)) + 1)
    round_numbers = [digit * 10.0**decade for digit in _TICK_DIGITS for decade in decades]
    # For a linear scale, or a narrow range.
    even_numbers = [float(value) for value in MaxNLocator(5).tick_values(span.near_m, span.far_m)]
    both = (even_numbers, round_numbers) if scale == "linear" else (round_numbers, even_numbers)
    for value in (*both[0], *both[1]):
        if span.near_m < value < span.far_m:
            position = bar_position(value, span, scale)
            if all(abs(position - other) > 0.8 / count for other, _ in ticks):
                ticks.append((position, label(value)))
    return sorted(ticks)


def metres(depth_m: float) -> str:
    """Return a depth as people read it: three significant digits and the unit."""
    if depth_m >= 999.5:  # three digits round it up to 1000
        return f"{depth_m / 1000:.3g} km"
    return f"{depth_m:.3g} m" if depth_m >= 0.1 else f"{100 * depth_m:.3g} cm"


def with_colour_bar(
    coloured: UInt8[ndarray, "h w 3"], span: DepthRange, cmap: str = "turbo"
) -> UInt8[ndarray, "h2 w2 3"]:
    """Return a coloured depth map with a bar in metres to its right, pixels unchanged."""
    height = coloured.shape[0]
    bar_height = min(max(height, 120), 4096)  # readable, and not too wide
    size_pt = max(7.0, bar_height / 40)
    bar_width = round(7 * size_pt)
    figure = Figure((bar_width / _BAR_DPI, bar_height / _BAR_DPI), dpi=_BAR_DPI)
    axes = figure.add_axes((0.08, 0.04, 0.22, 0.92))
    axes.imshow(_palette(cmap)[:, None], aspect="auto", origin="lower", extent=(0, 1, 0, 1))
    positions, labels = zip(*bar_ticks(span), strict=True)
    axes.set_xticks([])
    axes.set_yticks(positions, labels, fontsize=size_pt * 72 / _BAR_DPI)
    axes.yaxis.tick_right()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    bar = np.asarray(canvas.buffer_rgba())[..., :3]
    both = np.full((max(height, len(bar)), coloured.shape[1] + bar.shape[1], 3), 255, np.uint8)
    both[:height, : coloured.shape[1]] = coloured
    both[: len(bar), coloured.shape[1] :] = bar
    return both


def _scaled(depth: Number, scale: Scale) -> Number:
    """Return the quantity of the scale, negated if needed to grow towards the camera."""
    if scale == "inverse":
        return 1 / depth
    return -cast(Number, np.log(depth)) if scale == "log" else -depth


def _palette(cmap: str) -> UInt8[ndarray, "256 3"]:
    """Return the 256 colours of a matplotlib colour map."""
    if cmap not in matplotlib.colormaps:
        raise ValueError(f"matplotlib has no colour map {cmap!r}; try 'turbo' or 'viridis'")
    return np.round(matplotlib.colormaps[cmap](np.arange(256) / 255)[:, :3] * 255).astype(np.uint8)
