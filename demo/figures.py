"""Figures of a photo as HTML: cards, colour bar, legend, weights."""

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
from demo.units import PER_METRE, Units, length
from depthpro.checkpoint import OWN_LICENCE, Provenance
from depthpro.geometry import MIN_DEPTH_M, fov_from_focal
from depthpro.viz import DepthRange, Scale, bar_ticks, colorize, metres

EMPTY_SUMMARY = '<p class="hint">Choose a photo, or pick an example, to see it in metres.</p>'
"""In place of the summary before there is a photo."""

_STOPS = 24  # of the gradient that stands for the colour map
_SOURCES = {
    "metadata": "from the photo's metadata ({field})",
    "network": "estimated by the network",
    "hand": "given by hand",
}


def colour_bar(
    span: DepthRange, cmap: str = "turbo", scale: Scale = "inverse", units: Units = "m"
) -> str:
    """Return the colour bar, near on the left and far on the right, in metres or feet."""
    inverse = np.linspace(1 / span.near_m, 1 / span.far_m, _STOPS)
    colours = colorize((1 / inverse)[None], span, cmap)[0]  # the same for every scale
    ends = DepthRange(*(end * PER_METRE[units] for end in span))
    ticks = bar_ticks(ends, 5, scale, _feet if units == "ft" else metres)
    near, far = length(span.near_m, units), length(span.far_m, units)
    from_left = [(1 - share, text) for share, text in ticks]
    return ramp(colours, from_left, f"Colours from {near} (near) to {far} (far)")


def legend(picture: Picture, style: DepthStyle, units: Units = "m") -> str:
    """Return the meaning of the marks in the coloured depth, and their share of the photo."""
    if not style.marks:
        return '<p class="legend">Sky and clamped pixels are not marked.</p>'
    sentences = []
    if picture.sky:
        text = f"{percent(picture.sky)} sky, or farther than {length(SKY_M, units)}"
        sentences.append(f'<i class="sky"></i>{text}')
    near_m = MIN_DEPTH_M if style.fixed is None else picture.span.near_m
    outside = []
    if picture.nearer:
        outside.append(f"{percent(picture.nearer)} nearer than {length(near_m, units)}")
    if picture.farther:
        far = length(picture.span.far_m, units)
        outside.append(f"{percent(picture.farther)} farther than {far}")
    if outside:
        sentences.append(f'<i class="outside"></i>{", ".join(outside)}')
    if style.fixed is None:
        sentences.append("The nearest and the farthest 1% share the end colours.")
    sentences = sentences or ["No sky, and no pixel is clamped."]
    return f'<p class="legend">{"".join(f"<span>{each}</span>" for each in sentences)}</p>'


def _feet(feet: float) -> str:
    """Return a tick in feet, also where miles would be shorter."""
    if feet < 999.5:
        return length(feet / PER_METRE["ft"], "ft")
    digits = 2 - math.floor(math.log10(feet))
    return f"{round(feet, digits):,.0f} ft"


def percent(share: float) -> str:
    """Return a share as a rounded percentage; small ones are "under 0.1%", never 0%."""
    if share < 0.001:
        return "under 0.1%"
    return f"{share:.1%}" if share < 0.0995 else f"{share:.0%}"


def summary(analysis: Analysis, units: Units = "m") -> str:
    """Return cards of the field of view, the focal length, the depth and the size of a photo."""
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
    doubt = html.escape(analysis.focal_doubt)
    shown = cards(
        [
            ("Field of view", f"{prediction.fov_deg.item():.1f}°", f"{vertical:.1f}° vertical"),
            ("Focal length", f"{f_px:.0f} px", source),
            median,
            ("Photo", f"{width} × {height}", html.escape(analysis.name)),
        ]
    )
    return shown + (f'<p class="hint" role="note">{doubt}</p>' if doubt else "")


def problem(sentence: str) -> str:
    """Return an error message as HTML."""
    sentence = html.escape(sentence[:1].upper() + sentence[1:])
    return f'<p class="problem" role="alert">{sentence}</p>'


def weights(weights: Provenance, note: str = "") -> str:
    """Return the name of the weights in a line, with quality and licence behind it."""
    about = "for research only"
    details = ["Everything made with them falls under the same restriction."]
    if weights.name == EMBEDDED:
        about = "a small network: rough depth, metres often wrong"
        details = [
            "It is part of the package, and not the published network. It was trained for hours on "
            "rendered scenes alone: it shows the layout of a scene, has few sharp edges, and its "
            "metres are often wrong by a factor. The same page runs with the published weights: "
            "<code>python app.py --model apple/DepthPro</code>."
        ]
    elif weights.licence == OWN_LICENCE:
        about, details = "free to use", []
    if note:
        details.append(html.escape(note))
        about = "in place of those that could not be loaded"
    return (
        f'<details class="weights"><summary>Weights: <b>{html.escape(weights.name)}</b>, {about}'
        f"</summary><p>{' '.join(details)} Licence: {html.escape(weights.licence)}.</p></details>"
    )


def cards(rows: list[tuple[str, str, str]]) -> str:
    """Return cards of a title, a value and a detail each, all of them HTML."""
    items = "".join(
        f"<div><dt>{title}</dt><dd>{value}</dd><dd class='from'>{detail}</dd></div>"
        for title, value, detail in rows
    )
    return f'<dl class="cards">{items}</dl>'


def ramp(colours: UInt8[ndarray, "n 3"], ticks: Iterable[tuple[float, str]], label: str) -> str:
    """Return a bar of colours with ticks (share of the bar's length, text)."""
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
