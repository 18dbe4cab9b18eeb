"""What the page shows of an analysis: pictures as arrays, the rest as HTML."""

import html
import math
import re
from collections.abc import Iterable

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from demo.pipeline import EMBEDDED, Analysis
from demo.screen import SKY_M
from demo.tabs.depth.style import DepthStyle, Picture, depth_stats
from demo.units import FEET_PER_METRE, Units, length
from depthpro.checkpoint import OWN_LICENCE, Provenance
from depthpro.geometry import MIN_DEPTH_M, fov_from_focal
from depthpro.viz import DepthRange, Scale, bar_ticks, colorize, metres

_STOPS = 24  # of the gradient that stands for the colour map
_SOURCES = {
    "metadata": "from the photo's metadata ({field})",
    "network": "estimated by the network",
    "hand": "given by hand",
}


def colour_bar(
    span: DepthRange, cmap: str = "turbo", scale: Scale = "inverse", units: Units = "m"
) -> str:
    """Return the colour bar, far on the left and near on the right, in metres or feet."""
    inverse = np.linspace(1 / span.far_m, 1 / span.near_m, _STOPS)
    colours = colorize((1 / inverse)[None], span, cmap)[0]  # the same for every scale
    ends = DepthRange(*(end * FEET_PER_METRE for end in span)) if units == "ft" else span
    ticks = bar_ticks(ends, 5, scale, _feet if units == "ft" else metres)
    far, near = length(span.far_m, units), length(span.near_m, units)
    return ramp(colours, ticks, f"Colours from {far} (far) to {near} (near)")


def legend(picture: Picture, style: DepthStyle, units: Units = "m") -> str:
    """Return what the marks in the coloured depth mean, and how much of the photo they cover."""
    if not style.marks:
        return '<p class="legend">Sky and clamped pixels are not marked.</p>'
    said = []
    if picture.sky:
        text = f"{percent(picture.sky)} sky, or farther than {length(SKY_M, units)}"
        said.append(f'<i class="sky"></i>{text}')
    near_m = MIN_DEPTH_M if style.fixed is None else picture.span.near_m
    outside = []
    if picture.nearer:
        outside.append(f"{percent(picture.nearer)} nearer than {length(near_m, units)}")
    if picture.farther:
        far = length(picture.span.far_m, units)
        outside.append(f"{percent(picture.farther)} farther than {far}")
    if outside:
        said.append(f'<i class="outside"></i>{", ".join(outside)}')
    if style.fixed is None:
        said.append("The nearest and the farthest 1% share the end colours.")
    said = said or ["No sky, and no pixel is clamped."]
    return f'<p class="legend">{"".join(f"<span>{each}</span>" for each in said)}</p>'


def _feet(feet: float) -> str:
    """Return a tick in feet: round numbers of feet stay feet, as thousands do."""
    if feet < 999.5:
        return length(feet / FEET_PER_METRE, "ft")
    digits = 2 - math.floor(math.log10(feet))
    return f"{round(feet, digits):,.0f} ft"


def percent(share: float) -> str:
    """Return a share as people read it; what is there is never 0%."""
    if share < 0.001:
        return "under 0.1%"
    return f"{share:.1%}" if share < 0.0995 else f"{share:.0%}"


def summary(analysis: Analysis, units: Units = "m") -> str:
    """Return the figures of a photo: field of view, focal length, depth, and where each is from."""
    prediction = analysis.prediction
    width, height = prediction.width, prediction.height
    f_px = analysis.f_px
    # A line may break before each word of the field's name.
    field = re.sub(r"(?<=[a-z])(?=[A-Z])", "<wbr>", html.escape(analysis.metadata_field or ""))
    source = _SOURCES[analysis.source].format(field=field)
    vertical = fov_from_focal(f_px, height)
    stats = depth_stats(prediction)
    ends = f"{length(stats.near_m, units)} to {length(stats.far_m, units)}"
    median = ("Median depth", length(stats.median_m, units), ends)
    if stats.sky == 1:
        median = ("Median depth", "sky", f"all is farther than {length(SKY_M, units)}")
    return cards(
        [
            ("Field of view", f"{prediction.fov_deg.item():.1f}°", f"{vertical:.1f}° vertical"),
            ("Focal length", f"{f_px:.0f} px", source),
            median,
            ("Photo", f"{width} × {height}", html.escape(analysis.name)),
        ]
    )


def empty_summary() -> str:
    """Return what stands in the place of the figures before there is a photo."""
    return '<p class="hint">Choose a photo above, or pick an example, to see it in metres.</p>'


def problem(sentence: str) -> str:
    """Return what is wrong with a photo, in the place where people look for it."""
    sentence = html.escape(sentence[:1].upper() + sentence[1:])
    return f'<p class="problem" role="alert">{sentence}</p>'


def banner(made: Provenance, note: str = "") -> str:
    """Return which weights are at work, how good they are, and what they may be used for."""
    parts = [f"<b>Weights: {html.escape(made.name)}</b> ({html.escape(made.licence)})."]
    if made.name == EMBEDDED:
        parts.append(
            "This is the small embedded network, not the published one: trained briefly on "
            "rendered scenes, it shows rough layout, has few sharp edges yet, and its metres "
            "are often wrong."
        )
    elif made.licence != OWN_LICENCE:
        parts.append("Whatever is made with them falls under the same restriction.")
    if note:
        parts.append(html.escape(note))
    return f'<div class="banner" role="note">{" ".join(parts)}</div>'


def cards(cards: list[tuple[str, str, str]]) -> str:
    """Return figures as cards: title, value and detail of each."""
    return (
        '<dl class="cards">'
        + "".join(
            f"<div><dt>{title}</dt><dd>{value}</dd><dd class='from'>{detail}</dd></div>"
            for title, value, detail in cards
        )
        + "</dl>"
    )


def ramp(colours: UInt8[ndarray, "n 3"], ticks: Iterable[tuple[float, str]], label: str) -> str:
    """Return a bar of colours with ticks at shares of its length."""
    stops = ", ".join(f"rgb({r} {g} {b})" for r, g, b in colours)
    marks = "".join(
        f'<span class="tick" style="left: {100 * share:.2f}%">{text}</span>'
        for share, text in ticks
    )
    return (
        f'<div class="colour-bar" role="img" aria-label="{label}"><div class="ramp" '
        f'style="background: linear-gradient(to right, {stops})"></div>'
        f'<div class="ticks">{marks}</div></div>'
    )
