"""What the page shows of an analysis: pictures as arrays, the rest as HTML."""

import html

import numpy as np

from demo.pipeline import EMBEDDED, Analysis
from demo.space import Parts, Space, grid, scale_bar
from demo.units import Units, length
from depthpro.checkpoint import OWN_LICENCE, Provenance
from depthpro.geometry import fov_from_focal
from depthpro.viz import DepthRange, bar_ticks, colorize, depth_range, metres

_STOPS = 24  # of the gradient that stands for the colour map
_SOURCES = {
    "metadata": "from the photo's metadata ({field})",
    "network": "estimated by the network",
    "hand": "given by hand",
}


def colour_bar(span: DepthRange, cmap: str = "turbo") -> str:
    """Return the colour bar in metres, far on the left and near on the right."""
    inverse = np.linspace(1 / span.far_m, 1 / span.near_m, _STOPS)
    colours = colorize((1 / inverse)[None], span, cmap)[0]
    stops = ", ".join(f"rgb({r} {g} {b})" for r, g, b in colours)
    ticks = "".join(
        f'<span class="tick" style="left: {100 * position:.2f}%">{label}</span>'
        for position, label in bar_ticks(span, count=5)
    )
    return (
        f'<div class="colour-bar" role="img" aria-label="Colours from {metres(span.far_m)} (far) '
        f'to {metres(span.near_m)} (near)"><div class="ramp" style="background: '
        f'linear-gradient(to right, {stops})"></div><div class="ticks">{ticks}</div></div>'
    )


def summary(analysis: Analysis, units: Units = "m") -> str:
    """Return the figures of a photo: field of view, focal length, depth, and where each is from."""
    prediction = analysis.prediction
    width, height = prediction.width, prediction.height
    f_px = analysis.f_px
    source = _SOURCES[analysis.source].format(field=html.escape(analysis.metadata_field or ""))
    vertical = fov_from_focal(f_px, height)
    depth = prediction.depth_at(128, 128)[0].numpy()
    near, far = depth_range(depth)
    reach = f"{length(near, units)} to {length(far, units)}"
    return _cards(
        [
            ("Field of view", f"{prediction.fov_deg.item():.1f}°", f"{vertical:.1f}° vertical"),
            ("Focal length", f"{f_px:.0f} px", source),
            ("Median depth", length(float(np.median(depth)), units), reach),
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


def space_note(space: Space, parts: Parts, units: Units = "m", *, drawn: bool = True) -> str:
    """Return what is known about the ground, and how long the grid's cells and the bar are."""
    said, ground = [], space.search.ground
    if drawn and parts.grid and ground is not None:
        said.append(f"Grid: {length(grid(space, units)[1], units)}.")
    if drawn and parts.scale_bar:
        left, right = scale_bar(space, units)
        said.append(f"Scale bar: {length(float(np.linalg.norm(right - left)), units)}.")
    if ground is None:
        said.append(f"No ground was found, so there is no grid. {html.escape(space.search.reason)}")
    else:
        pitch = ground.pitch_deg
        way = "level" if abs(pitch) < 0.5 else f"{abs(pitch):.0f}° {'down' if pitch > 0 else 'up'}"
        said.append(
            f"The camera is {length(ground.camera_height_m, units)} above the ground and looks "
            f"{way}; {ground.inlier_share:.0%} of the photo lies on the ground."
        )
    return f'<p class="hint">{" ".join(said)}</p>'


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


def _cards(cards: list[tuple[str, str, str]]) -> str:
    return (
        '<dl class="cards">'
        + "".join(
            f"<div><dt>{title}</dt><dd>{value}</dd><dd class='from'>{detail}</dd></div>"
            for title, value, detail in cards
        )
        + "</dl>"
    )
