"""The focal length in pictures: a table, fields of view from above, and crops; as HTML and SVG."""

import math

import numpy as np

from demo.focal import Calibration, CropEstimate, Opinion, opinions
from demo.pipeline import Analysis
from demo.screen import SKY_M
from demo.units import Units, length

NAMES = {"metadata": "Photo's metadata", "network": "Network's estimate", "hand": "By hand"}

_WIDTH, _HEIGHT = 480, 300  # of the drawing from above
_REACH = 236  # pixels from the camera to the end of a field of view
_COLUMNS = 36  # in which depth is sampled
_WIDEST_DEG = 170.0


def sources_table(analysis: Analysis) -> str:
    """Return what each source says, side by side, and what that makes of depth."""
    rows = "".join(_row(opinion, analysis) for opinion in opinions(analysis))
    return (
        '<table class="focal-table"><thead><tr><th scope="col">Source</th>'
        '<th scope="col">Pixels</th><th scope="col">35 mm</th><th scope="col">Angle</th>'
        f'<th scope="col">Depth</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def from_above(analysis: Analysis, units: Units = "m") -> str:
    """Return an SVG of the fields of view, and of the scene as seen with the one in use."""
    said = opinions(analysis)
    parts = [_wedge(opinion) for opinion in sorted(said, key=lambda opinion: opinion.in_use)]
    points, reach_m = _seen(analysis)
    scale = _REACH / reach_m
    dots = "".join(
        f'<circle cx="{_WIDTH / 2 + x * scale:.1f}" cy="{_HEIGHT - 24 - z * scale:.1f}" r="3"/>'
        for x, z in points
    )
    label = ", ".join(f"{NAMES[o.source]} {o.fov_deg:.0f} degrees" for o in said)
    ring = (
        f'<path class="ring" d="M {_WIDTH / 2 - _REACH / 2} {_HEIGHT - 24} '
        f'A {_REACH / 2} {_REACH / 2} 0 0 1 {_WIDTH / 2 + _REACH / 2} {_HEIGHT - 24}"/>'
        f'<text x="{_WIDTH / 2 + _REACH / 2 + 6}" y="{_HEIGHT - 28}">'
        f"{length(reach_m / 2, units)}</text>"
    )
    return (
        f'<svg class="from-above" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="Fields of view from above: {label}">{ring}{"".join(parts)}'
        f'<g class="seen">{dots}</g><circle class="camera" cx="{_WIDTH / 2}" '
        f'cy="{_HEIGHT - 24}" r="6"/></svg><p class="hint">From above: the camera below, fields '
        "of view, and the median depth of each part of the photo with the one in use.</p>"
    )


def calibration_text(calibration: Calibration, units: Units = "m") -> str:
    """Return what a known length says, in sentences."""
    said = (
        f"Measured {length(calibration.measured_m, units)}, in truth "
        f"{length(calibration.true_m, units)}: "
        f"{calibration.true_m / calibration.measured_m:.3g} times as long. "
    )
    if calibration.f_px is None:
        return f'<p role="status">{said}No focal length follows. {calibration.reason}</p>'
    spread = calibration.plus_minus_px
    sure = f"± {spread:.2g} px" if math.isfinite(spread) else "very unsure"
    return (
        f'<p role="status">{said}That implies a focal length of '
        f"<b>{calibration.f_px:.4g} px</b> ({sure}, by the spread of depth alone).</p>"
    )


def crops_drawing(estimates: tuple[CropEstimate, ...], analysis: Analysis) -> str:
    """Return the estimates over the crops as SVG and table; the truth is a level line."""
    width, height, left, bottom = 480, 220, 56, 30
    values = [estimate.f_px for estimate in estimates]
    known = [analysis.metadata_f_px] if analysis.metadata_f_px else []
    top = 1.15 * max([*values, *known])

    def place(share: float, f_px: float) -> tuple[float, float]:
        x = left + (width - left - 20) * (1 - share) / (1 - estimates[-1].share)
        return x, height - bottom - (height - bottom - 10) * f_px / top

    line = " ".join("{:.1f},{:.1f}".format(*place(e.share, e.f_px)) for e in estimates)
    level = known[0] if known else values[0]
    x1, y = place(1.0, level)
    x2, _ = place(estimates[-1].share, level)
    marks = "".join(
        f'<circle cx="{x:.1f}" cy="{yy:.1f}" r="4"/><text x="{x:.1f}" y="{yy - 9:.1f}" '
        f'text-anchor="middle">{e.f_px:.0f}</text><text x="{x:.1f}" y="{height - 8}" '
        f'text-anchor="middle">{e.share:.0%}</text>'
        for e in estimates
        for x, yy in [place(e.share, e.f_px)]
    )
    whose = "metadata" if known else "whole photo"
    spread = max(values) / min(values)
    return (
        f'<svg class="crops" viewBox="0 0 {width} {height}" role="img" aria-label="Estimated '
        f'focal length by crop"><line class="ring" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y:.1f}" '
        f'y2="{y:.1f}"/><polyline points="{line}"/>{marks}</svg><p class="hint">Estimated focal '
        "length in pixels of the photo, over the share of its width that is kept. A crop leaves "
        f"it as it is, so the truth is a level line (dashed: {whose}). Here the estimates differ "
        f"by a factor of {spread:.2f}.</p>"
    )


def _row(opinion: Opinion, analysis: Analysis) -> str:
    name = NAMES[opinion.source]
    depth = "in use" if opinion.in_use else f"× {opinion.factor:.2f}"
    return (
        f"<tr{' class=' + chr(34) + 'used' + chr(34) if opinion.in_use else ''}>"
        f'<th scope="row">{name}</th><td>{opinion.f_px:.0f} px</td>'
        f"<td>{opinion.f_35mm:.1f} mm</td><td>{opinion.fov_deg:.1f}°</td><td>{depth}</td></tr>"
    )


def _wedge(opinion: Opinion) -> str:
    half = math.radians(min(opinion.fov_deg, _WIDEST_DEG) / 2)
    x, y = _REACH * math.sin(half), _REACH * math.cos(half)
    centre, base = _WIDTH / 2, _HEIGHT - 24
    return (
        f'<path class="{"used" if opinion.in_use else "other"}" d="M {centre} {base} '
        f"L {centre - x:.1f} {base - y:.1f} A {_REACH} {_REACH} 0 0 1 {centre + x:.1f} "
        f'{base - y:.1f} Z"><title>{NAMES[opinion.source]}: {opinion.fov_deg:.1f}°</title></path>'
        f'<text x="{centre + x + 4:.1f}" y="{base - y + 4:.1f}">{opinion.fov_deg:.0f}°</text>'
    )


def _seen(analysis: Analysis) -> tuple[list[tuple[float, float]], float]:
    """Return x and z in metres of the median depth of each column, and how far that reaches."""
    depth = np.median(analysis.prediction.depth_at(64, _COLUMNS)[0].numpy(), axis=0)
    f_px = analysis.prediction.f_px_at(_COLUMNS).item()
    x = (np.arange(_COLUMNS) - (_COLUMNS - 1) / 2) / f_px * depth
    near = depth < SKY_M
    if not near.any():
        return [], SKY_M
    reach = 1.05 * float(np.hypot(x, depth)[near].max())
    return [(float(a), float(b)) for a, b in zip(x[near], depth[near], strict=True)], reach
