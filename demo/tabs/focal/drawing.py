"""Focal lengths as HTML: a table, fields of view from above, and calibration."""

import math

from demo.pipeline import Analysis, FocalSource
from demo.tabs.focal.focal import Calibration, FocalChoice, f_35mm, focal_choices
from demo.units import Units, length, with_spread
from depthpro.geometry import fov_from_focal

NAMES: dict[FocalSource, str] = {
    "metadata": "Photo's metadata",
    "network": "Network's estimate",
    "hand": "By hand",
}
_MISSING = {"metadata": "has none", "network": "has none", "hand": "type it below"}
_WIDTH, _HEIGHT = 640, 280  # of the drawing from above, in its own pixels
_CAMERA = _WIDTH / 2, _HEIGHT - 34


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
            doubted = source == "metadata" and analysis.metadata_field
            missing = "not used" if doubted else _MISSING[source]
            rows += f'<tr class="none">{head}<td colspan="4">{missing}</td></tr>'
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


def from_above(analysis: Analysis, hand_f_px: float | None = None) -> str:
    """Return the fields of view from above, and their legend, as HTML."""
    choices = focal_choices(analysis, hand_f_px)
    painted = sorted(choices, key=lambda choice: choice.in_use)  # the one in use last
    wedges = "".join(_wedge(choice, analysis.prediction.width) for choice in painted)
    text = ", ".join(f"{NAMES[each.source]} {each.fov_deg:.0f} degrees" for each in choices)
    legend = "".join(
        f"<span>{_swatch(each.source)}{NAMES[each.source]} {each.fov_deg:.1f}°</span>"
        for each in choices
    )
    return (
        f'<svg class="from-above" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="Fields of view from above: {text}" xmlns="http://www.w3.org/2000/svg">'
        f'<rect class="sheet" width="{_WIDTH}" height="{_HEIGHT}"/>'
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" overflow="hidden">{wedges}</svg>'
        f'<circle class="camera" cx="{_CAMERA[0]:.0f}" cy="{_CAMERA[1]}" r="9"/></svg>'
        f'<p class="legend">{legend}</p><p class="hint">From above, the camera below. A longer '
        "focal length sees less, and sets everything proportionally farther away; metres across "
        "the view stay as they are.</p>"
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
    advice = ""
    if spread is not None and spread < f_px:
        advice = f"± {math.ceil(spread)} px by the usual error of depth at a point."
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


def _wedge(choice: FocalChoice, width: int) -> str:
    """Return the field of view of a source."""
    half, reach = math.atan(width / 2 / choice.f_px), _WIDTH + _HEIGHT
    side, ahead = reach * math.sin(half), reach * math.cos(half)
    x, y = _CAMERA
    path = f"M{x - side:.1f} {y - ahead:.1f}L{x:.1f} {y}L{x + side:.1f} {y - ahead:.1f}"
    fill = f'<path class="wedge" d="{path}Z"/>' if choice.in_use else ""
    used = " used" if choice.in_use else ""
    return f'{fill}<path class="rim {choice.source}{used}" d="{path}"/>'


def _status(headline: str, *sentences: str) -> str:
    rest = "".join(f"<p>{sentence}</p>" for sentence in sentences)
    return f'<div role="status"><p class="headline">{headline}</p>{rest}</div>'
