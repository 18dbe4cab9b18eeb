"""The focal length as people see it: a table of who says what, fields of view from above, words."""

import html
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.ticker import MaxNLocator
from numpy import ndarray

from demo.pipeline import Analysis, FocalSource
from demo.tabs.focal.focal import MOST_UNSURE, Calibration, Opinion, f_35mm, opinions, strips
from demo.units import FEET_PER_METRE, Units, length, with_spread
from depthpro.geometry import fov_from_focal

NAMES: dict[FocalSource, str] = {
    "metadata": "Photo's metadata",
    "network": "Network's estimate",
    "hand": "By hand",
}

_MISSING: dict[FocalSource, str] = {
    "metadata": "says none",
    "network": "has none",
    "hand": "type it below",
}
_WIDTH, _HEIGHT = 640, 400  # of the drawing from above, in its own pixels
_CAMERA = _WIDTH / 2, _HEIGHT - 34
_MARGIN = 24
_FAR = 4  # strips farther than this times the median are not drawn
_STRETCH = 4  # nor are other focal lengths given room beyond this


def sources_table(
    analysis: Analysis, hand_f_px: float | None = None, units: Units = "m", median_m: float = 1.0
) -> str:
    """Return what each source says, side by side, with a radio button to use it.

    Args:
        analysis: The photo.
        hand_f_px: What was given by hand last.
        units: Of depth.
        median_m: Median depth with the focal length in use.
    """
    said = {opinion.source: opinion for opinion in opinions(analysis, hand_f_px)}
    rows = "".join(_row(source, said.get(source), units, median_m) for source in NAMES)
    heads = ("Use", "Pixels", "35 mm", "Field of view", "Depth")
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    return (
        '<table class="lab sources" aria-label="Focal lengths, and which one is used">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def from_above(analysis: Analysis, hand_f_px: float | None = None, units: Units = "m") -> str:
    """Return an SVG picture of the fields of view and of what the photo shows, to scale.

    Each source has its own rim and its own dots; those in use are filled. A dot is the median
    depth of a strip of the photo, and the dots of a strip stand one above the other: another focal
    length moves them ahead or back, and never sideways.
    """
    said = opinions(analysis, hand_f_px)
    said.sort(key=lambda opinion: opinion.in_use)  # the one in use is painted last
    seen = strips(analysis.prediction)
    drawn = seen[seen[:, 1] <= _FAR * np.median(seen[:, 1])] if len(seen) else seen
    scale = _pixels_a_metre(drawn, said)
    lines, labels = _grid(scale, units)
    parts = [_wedge(opinion, analysis.prediction.width) for opinion in said]
    ends = [opinion.factor for opinion in said]
    parts += [_track(x, z * min(ends), z * max(ends), scale) for x, z in drawn]
    parts += [_dots(opinion, drawn, scale) for opinion in said]
    x, y = _CAMERA
    told = ", ".join(f"{NAMES[each.source]} {each.fov_deg:.0f} degrees" for each in said)
    return (
        f'<svg class="from-above" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="Fields of view from above: {told}" xmlns="http://www.w3.org/2000/svg">'
        f'<rect class="sheet" width="{_WIDTH}" height="{_HEIGHT}"/>'
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" overflow="hidden">{lines}{"".join(parts)}</svg>'
        f'<circle class="camera" cx="{x:.0f}" cy="{y}" r="9"/>{labels}</svg>'
        f"{_legend(said, len(seen) - len(drawn))}"
    )


def calibration_text(found: Calibration, width: int, height: int, units: Units = "m") -> str:
    """Return what a known length says, as HTML.

    Args:
        found: What it says.
        width: Columns of the photo.
        height: Rows of the photo.
        units: Of lengths.
    """
    measured = with_spread(found.measured_m, found.plus_minus_m, "m", units)
    truth = length(found.true_m, units)
    head = f"Measured {measured}, in truth {truth}"
    if found.verdict == "in use" or abs(found.factor - 1) < 5e-4:
        return _said(f"{head}.", "With the focal length in use the length is as it is in truth.")
    head += f": {_too(found.factor)}."
    metres = f"all metres have to be multiplied by <b>{found.factor:.3g}</b>"
    if found.verdict == "across":
        return _said(
            head,
            "Both points are about equally far away, so their distance hardly depends on the "
            "focal length, and it cannot be told from this length. Choose points of which one is "
            "clearly farther away, as along a floor or a table.",
            f"Lengths across the view come from the network alone: by this one, {metres}.",
        )
    if found.verdict == "too short":
        across = length(found.across_m, units)
        return _said(
            head,
            f"Across the view alone the points are {across} apart, whatever the focal length is, "
            f"and that is more than {truth}. No focal length can mend this: the network's metres "
            "are too large here, or a point is not where you mean it.",
            f"By this length, {metres}.",
        )
    return _said(
        head,
        f"If what is across the view is right, the focal length is {_focal(found, width, height)}.",
        *_doubts(found),
        f"If the focal length in use is right, {metres} instead; no focal length does that.",
    )


def _row(source: FocalSource, said: Opinion | None, units: Units, median_m: float) -> str:
    name = (
        f'<label><input type="radio" name="focal-use" value="{source}"'
        f"{' checked' if said and said.in_use else ''}{'' if said else ' disabled'}>"
        f"{_swatch(source)}<span>{html.escape(NAMES[source])}</span></label>"
    )
    if said is None:
        return (
            f'<tr class="none"><th scope="row">{name}</th>'
            f'<td colspan="4">{_MISSING[source]}</td></tr>'
        )
    depth = "in use" if said.in_use else f"× {said.factor:.3f}"
    cells = (
        f"{said.f_px:.0f}",
        f"{said.f_35mm:.1f} mm",
        f"{said.fov_deg:.1f}°<small>{said.vertical_deg:.1f}° vertical</small>",
        f"{depth}<small>median {length(median_m * said.factor, units)}</small>",
    )
    used = ' class="used"' if said.in_use else ""
    return (
        f'<tr{used}><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
    )


def _swatch(source: FocalSource) -> str:
    """Return a piece of the line that stands for a source in the drawing."""
    return (
        f'<svg class="swatch" viewBox="0 0 30 12" aria-hidden="true"><path class="rim {source}" '
        'd="M1 6H29"/></svg>'
    )


def _pixels_a_metre(seen: Float[ndarray, "n 2"], said: Sequence[Opinion]) -> float:
    """Return the scale at which what is seen fits, with the focal lengths of all sources."""
    if not len(seen):
        return 1.0
    factor = max(opinion.factor for opinion in said if opinion.factor <= _STRETCH)
    x, z = np.abs(seen).max(axis=0)
    return min((_CAMERA[1] - _MARGIN) / (z * factor), (_WIDTH / 2 - _MARGIN) / max(x, 1e-9))


def _grid(scale: float, units: Units) -> tuple[str, str]:
    """Return lines at round depths, and what they are called."""
    metre = FEET_PER_METRE if units == "ft" else 1.0
    lines, labels = [], []
    for value in MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(0, _CAMERA[1] / scale * metre):
        y = _CAMERA[1] - value / metre * scale
        if value > 0 and y > _MARGIN / 2:
            lines.append(f'<path class="grid" d="M0 {y:.1f}H{_WIDTH}"/>')
            labels.append(f'<text x="8" y="{y - 5:.1f}">{length(value / metre, units)}</text>')
    return "".join(lines), "".join(labels)


def _wedge(opinion: Opinion, width: int) -> str:
    """Return what a source has the camera see."""
    half = math.atan(width / 2 / opinion.f_px)
    reach = _WIDTH + _HEIGHT
    x, y = _CAMERA
    side, ahead = reach * math.sin(half), reach * math.cos(half)
    path = f"M{x - side:.1f} {y - ahead:.1f}L{x:.1f} {y}L{x + side:.1f} {y - ahead:.1f}"
    fill = f'<path class="wedge" d="{path}Z"/>' if opinion.in_use else ""
    return f'{fill}<path class="{_names("rim", opinion)}" d="{path}"/>'


def _track(x: float, near: float, far: float, scale: float) -> str:
    """Return the line on which a strip's dots stand."""
    column, (low, high) = _CAMERA[0] + x * scale, (_CAMERA[1] - z * scale for z in (near, far))
    return f'<path class="track" d="M{column:.1f} {low:.1f}V{high:.1f}"/>'


def _dots(opinion: Opinion, seen: Float[ndarray, "n 2"], scale: float) -> str:
    radius = 5 if opinion.in_use else 3.5
    column, row = _CAMERA
    dots = "".join(
        f'<circle cx="{column + x * scale:.1f}" cy="{row - z * opinion.factor * scale:.1f}" '
        f'r="{radius}"/>'
        for x, z in seen
    )
    return f'<g class="{_names("dots", opinion)}">{dots}</g>'


def _names(what: str, opinion: Opinion) -> str:
    return f"{what} {opinion.source}{' used' if opinion.in_use else ''}"


def _legend(said: Sequence[Opinion], missing: int) -> str:
    whose = "".join(
        f"<span>{_swatch(each.source)}{html.escape(NAMES[each.source])} {each.fov_deg:.1f}°</span>"
        for each in sorted(said, key=lambda each: list(NAMES).index(each.source))
    )
    beyond = ""
    if missing:
        beyond = f" {missing} far strip{'s are' if missing > 1 else ' is'} beyond the drawing."
    return (
        f'<p class="legend">{whose}</p><p class="hint">From above and to scale, the camera below. '
        "A dot is the median depth of a strip of the photo. Another focal length moves the dots "
        f"straight ahead or back: metres across stay as they are.{beyond}</p>"
    )


def _too(factor: float) -> str:
    """Return how wrong a length is that has to be multiplied by a factor."""
    kind = "long" if factor < 1 else "short"
    if 0.6 < factor < 1.8:
        return f"{abs(1 / factor - 1):.1%} too {kind}"
    return f"{max(factor, 1 / factor):.3g} times too {kind}"


def _focal(found: Calibration, width: int, height: int) -> str:
    """Return an implied focal length in all three units, with its ±."""
    f_px = found.f_px or 0.0
    spread = found.plus_minus_px
    unsure = f" ± {_two_digits(spread)}" if spread < 2 * f_px else ", very unsure,"
    return (
        f"<b>{f_px:.0f}{unsure} px</b> ({f_35mm(f_px, width, height):.1f} mm, "
        f"{fov_from_focal(f_px, width):.1f}°)"
    )


def _doubts(found: Calibration) -> list[str]:
    """Return why an implied focal length may be wrong, or cannot be used."""
    share = f"One percent of the true length is {found.gain:.1f} % of the focal length."
    if found.verdict == "no camera":
        return ["No camera sees that: the network's metres or the points are wrong here."]
    if found.verdict != "unsure":
        return [f"± is the spread of depth about the points alone. {share}"]
    if found.plus_minus_px > MOST_UNSURE * (found.f_px or 0.0):
        share = "About the points, depth is too uneven to say how far one is behind the other."
    return [f"That is too unsure to use. {share} Choose points of which one is much farther away."]


def _two_digits(value: float) -> str:
    """Return a ± of two digits, rounded up."""
    if value <= 0:
        return "0"
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{math.ceil(value / step - 1e-6) * step:.{max(0, -round(math.log10(step)))}f}"


def _said(headline: str, *sentences: str) -> str:
    rest = "".join(f"<p>{sentence}</p>" for sentence in sentences)
    return f'<div role="status"><p class="headline">{headline}</p>{rest}</div>'
