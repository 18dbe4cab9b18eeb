"""Focal lengths as HTML: a table, fields of view from above, and calibration."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.ticker import MaxNLocator
from numpy import ndarray

from demo.pipeline import Analysis, FocalSource
from demo.tabs.focal.focal import Calibration, FocalChoice, f_35mm, focal_choices, strips
from demo.units import PER_METRE, Units, length, with_spread
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
    """Return the focal lengths side by side, with radio buttons, as HTML.

    `hand_f_px` is the last focal length by hand; `median_m` the median depth with the one in use.
    """
    choices = {choice.source: choice for choice in focal_choices(analysis, hand_f_px)}
    size = analysis.prediction.width, analysis.prediction.height
    rows = ""
    for source in NAMES:
        choice = choices.get(source)
        state = "" if choice else " disabled"
        if choice and choice.in_use:
            state = " checked"
        head = (
            f'<th scope="row"><label><input type="radio" name="focal-use" value="{source}"{state}>'
            f"{_swatch(source)}<span>{NAMES[source]}</span></label></th>"
        )
        if choice is None:
            rows += f'<tr class="none">{head}<td colspan="4">{_MISSING[source]}</td></tr>'
            continue
        depth = "in use" if choice.in_use else f"× {choice.factor:.3f}"
        vertical_deg = fov_from_focal(choice.f_px, size[1])
        used = ' class="used"' if choice.in_use else ""
        rows += (
            f"<tr{used}>{head}<td>{choice.f_px:.0f}</td>"
            f"<td>{f_35mm(choice.f_px, *size):.1f} mm</td>"
            f"<td>{choice.fov_deg:.1f}°<small>{vertical_deg:.1f}° vertical</small></td>"
            f"<td>{depth}<small>median {length(median_m * choice.factor, units)}</small></td></tr>"
        )
    names = ("Use", "Pixels", "35 mm", "Field of view", "Depth")
    heads = "".join(f'<th scope="col">{name}</th>' for name in names)
    return (
        '<table class="lab sources" aria-label="Focal lengths, and which one is used">'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    )


def from_above(analysis: Analysis, hand_f_px: float | None = None, units: Units = "m") -> str:
    """Return the fields of view and the depth of the photo's strips, to scale, as SVG.

    Each source has its own outline and its own dots, which are filled for the one in use. A dot is
    the median depth of a strip of the photo; another focal length moves it ahead or back.
    """
    choices = focal_choices(analysis, hand_f_px)
    above = sorted(choices, key=lambda choice: choice.in_use)  # the one in use is painted last
    seen = strips(analysis.prediction)
    drawn = seen[seen[:, 1] <= _FAR * np.median(seen[:, 1])] if len(seen) else seen
    scale = _pixels_a_metre(drawn, choices)
    lines, labels = _grid(scale, units)
    parts = [_wedge(choice, analysis.prediction.width) for choice in above]
    parts += [_dots(choice, drawn, scale) for choice in above]
    x, y = _CAMERA
    text = ", ".join(f"{NAMES[each.source]} {each.fov_deg:.0f} degrees" for each in choices)
    return (
        f'<svg class="from-above" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="Fields of view from above: {text}" xmlns="http://www.w3.org/2000/svg">'
        f'<rect class="sheet" width="{_WIDTH}" height="{_HEIGHT}"/>'
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" overflow="hidden">{lines}{"".join(parts)}</svg>'
        f'<circle class="camera" cx="{x:.0f}" cy="{y}" r="9"/>{labels}</svg>'
        f"{_legend(choices, len(seen) - len(drawn))}"
    )


def calibration_text(calibration: Calibration, width: int, height: int, units: Units = "m") -> str:
    """Return the result of a calibration, for a photo of `width` x `height` pixels, as HTML."""
    measured = with_spread(calibration.measured_m, calibration.plus_minus_m, "m", units)
    headline = f"Measured {measured}, true length {length(calibration.true_m, units)}"
    factor, f_px = calibration.factor, calibration.f_px
    if abs(factor - 1) < 5e-4:
        return _status(f"{headline}.", "With the focal length in use the length is right.")
    headline += f": {abs(1 / factor - 1):.1%} too {'long' if factor < 1 else 'short'}."
    metres = f"all metres have to be multiplied by <b>{factor:.3g}</b>"
    if f_px is None:
        return _status(
            headline,
            "No focal length follows from this length: metres across the view do not depend on it. "
            "Choose points of which one is clearly farther away, as along a floor or a table.",
            f"By this length, {metres}.",
        )
    spread = calibration.plus_minus_px
    advice = f"± {math.ceil(spread)} px from the depth about the points." if spread < f_px else ""
    if calibration.verdict == "uncertain":
        advice = "It is too uncertain to use. Choose points of which one is much farther away."
    return _status(
        headline,
        f"If lengths across the view are right, the focal length is <b>{f_px:.0f} px</b> "
        f"({f_35mm(f_px, width, height):.1f} mm, {fov_from_focal(f_px, width):.1f}°). {advice}",
        f"If the focal length in use is right, {metres} instead.",
    )


def _swatch(source: FocalSource) -> str:
    """Return a piece of the source's line in the drawing."""
    return (
        f'<svg class="swatch" viewBox="0 0 30 12" aria-hidden="true"><path class="rim {source}" '
        'd="M1 6H29"/></svg>'
    )


def _pixels_a_metre(seen: Float[ndarray, "n 2"], choices: Sequence[FocalChoice]) -> float:
    """Return the scale at which the strips fit with all focal lengths."""
    if not len(seen):
        return 1.0
    factor = max(choice.factor for choice in choices if choice.factor <= _STRETCH)
    x, z = np.abs(seen).max(axis=0)
    return min((_CAMERA[1] - _MARGIN) / (z * factor), (_WIDTH / 2 - _MARGIN) / max(x, 1e-9))


def _grid(scale: float, units: Units) -> tuple[str, str]:
    """Return lines at round depths, and their labels."""
    lines, labels = "", ""
    highest = _CAMERA[1] / scale * PER_METRE[units]
    for value in MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(0, highest):
        metres = value / PER_METRE[units]
        y = _CAMERA[1] - metres * scale
        if value > 0 and y > _MARGIN / 2:
            lines += f'<path class="grid" d="M0 {y:.1f}H{_WIDTH}"/>'
            labels += f'<text x="8" y="{y - 5:.1f}">{length(metres, units)}</text>'
    return lines, labels


def _wedge(choice: FocalChoice, width: int) -> str:
    """Return the field of view of a source."""
    half, reach = math.atan(width / 2 / choice.f_px), _WIDTH + _HEIGHT
    side, ahead = reach * math.sin(half), reach * math.cos(half)
    x, y = _CAMERA
    path = f"M{x - side:.1f} {y - ahead:.1f}L{x:.1f} {y}L{x + side:.1f} {y - ahead:.1f}"
    fill = f'<path class="wedge" d="{path}Z"/>' if choice.in_use else ""
    return f'{fill}<path class="rim {_class(choice)}" d="{path}"/>'


def _dots(choice: FocalChoice, seen: Float[ndarray, "n 2"], scale: float) -> str:
    radius = 5 if choice.in_use else 3.5
    column, row = _CAMERA
    dots = "".join(
        f'<circle cx="{column + x * scale:.1f}" cy="{row - z * choice.factor * scale:.1f}" '
        f'r="{radius}"/>'
        for x, z in seen
    )
    return f'<g class="dots {_class(choice)}">{dots}</g>'


def _class(choice: FocalChoice) -> str:
    return f"{choice.source}{' used' if choice.in_use else ''}"


def _legend(choices: Sequence[FocalChoice], missing: int) -> str:
    names = "".join(
        f"<span>{_swatch(each.source)}{NAMES[each.source]} {each.fov_deg:.1f}°</span>"
        for each in choices
    )
    beyond = f" Strips beyond the drawing: {missing}." if missing else ""
    return (
        f'<p class="legend">{names}</p><p class="hint">From above and to scale, the camera below. '
        "A dot is the median depth of a strip of the photo. Another focal length moves the dots "
        f"straight ahead or back: metres across stay as they are.{beyond}</p>"
    )


def _status(headline: str, *sentences: str) -> str:
    rest = "".join(f"<p>{sentence}</p>" for sentence in sentences)
    return f'<div role="status"><p class="headline">{headline}</p>{rest}</div>'
