"""Measurements as a table, as sentences and as a CSV file."""

import csv
import io
from collections.abc import Sequence

import numpy as np

from demo.export import describe
from demo.pipeline import Analysis
from demo.tabs.measure.measure import Kind, Result, Spots, crosses_itself, window_size
from demo.units import Unit, Units, in_units, length, with_spread

_HEADERS = "What", "Points", "Value"

_NEEDED: dict[Kind, tuple[int, str]] = {
    "distance": (2, "Each further point adds a segment."),
    "height": (1, "Each point has its height above the ground."),
    "angle": (3, "The angle is at the second of three points; each further point adds one."),
    "area": (3, "The last point closes the shape; each further point adds a corner."),
}
_JUMP = 1.25  # within the window about a point

_PLUS_MINUS = (
    "half the range from the 16th to the 84th percentile of depth about each point, carried on to "
    "the result; focal length, ground plane and errors of the whole scene are not in it"
)


def table(results: Sequence[Result], units: Units = "m") -> str:
    """Return the results as an HTML table, or nothing if there are none."""
    if not results:
        return ""
    head = "".join(f'<th scope="col">{name}</th>' for name in _HEADERS)
    body = "".join(
        f"<tr>{''.join(f'<td>{text}</td>' for text in row)}</tr>" for row in rows(results, units)
    )
    return f'<table class="lab"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def rows(results: Sequence[Result], units: Units = "m") -> list[list[str]]:
    """Return what was measured, between which points, and its value, for each result."""
    return [
        [
            result.what.capitalize(),
            points_of(result),
            with_spread(result.value, result.plus_minus, result.unit, units),
        ]
        for result in results
    ]


def points_of(result: Result) -> str:
    """Return which points a result belongs to, as people read it."""
    numbers = result.points
    if result.what in ("total", "area", "perimeter", "uneven by"):
        return f"{numbers[0]} to {numbers[-1]}"
    return " – ".join(str(number) for number in numbers)


def hint(kind: Kind, count: int) -> str:
    """Return what to do next, for so many points."""
    needed, more = _NEEDED[kind]
    missing = needed - count
    if missing <= 0:
        return more
    return f"Choose {missing} {'more ' if count else ''}point{'s' if missing > 1 else ''}."


def headline(results: Sequence[Result], units: Units = "m") -> str:
    """Return the result that matters most, or nothing: the whole, or else the last one."""
    if not results:
        return ""
    whole = [result for result in results if result.what in ("total", "area")]
    name, points, value = rows(whole or results[-1:], units)[0]
    return f"{name} {points}: {value}"


def precision(analysis: Analysis) -> str:
    """Return what a point and its ± stand for."""
    columns, lines = window_size(analysis.prediction)
    side = analysis.prediction.canonical_inverse_depth.shape[-1]
    return (
        f"A point is the median depth of {columns:.0f} × {lines:.0f} pixels of this photo, "
        f"5 × 5 of the network's {side} × {side}; ± is the spread there. The focal length, the "
        "ground and errors of the whole scene are not in it."
    )


def warning(spots: Spots, kind: Kind, units: Units = "m") -> str:
    """Return what makes the results doubtful, or nothing."""
    ends = zip(spots.near_m.tolist(), spots.far_m.tolist(), strict=True)
    for number, (near, far) in enumerate(ends, start=1):
        if far > _JUMP * near:
            return (
                f"At point {number} depth jumps from {length(near, units)} to "
                f"{length(far, units)}: it is at the rim of something. Choose a place a little "
                "further inside."
            )
    if kind == "area" and crosses_itself(spots.pixels):
        return "The outline crosses itself, and parts of its area cancel out. Go round in order."
    return ""


def csv_text(
    analysis: Analysis, spots: Spots, results: Sequence[Result], units: Units = "m"
) -> str:
    """Return points and results as CSV; lines that start with # say what they rest on.

    Columns: what, points, value, plus_minus, unit. Positions are in the camera frame, x right,
    y down, z forward, and pixels count from 0.

    Args:
        analysis: The photo.
        spots: Its points.
        results: As `demo.tabs.measure.measure.measure_all` returns them.
        units: Metres or feet; the unit column names them.
    """
    known = describe(analysis)
    text = io.StringIO()
    name = " ".join(known["name"].split())  # one line
    text.write(f"# photo: {name}, {known['width_px']} x {known['height_px']} px\n")
    text.write(f"# focal length: {known['f_px']:.6g} px, {known['f_px_source']}\n")
    text.write(f"# weights: {known['weights']}, licence {known['weights_licence']}\n")
    text.write(f"# {analysis.provenance.notice}\n")
    text.write(f"# plus_minus: {_PLUS_MINUS}\n")
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["what", "points", "value", "plus_minus", "unit"])
    errors = np.abs(spots.rays) * spots.depth_plus_minus_m[:, None]
    for index, pixel in enumerate(spots.pixels):
        for name, value in zip(("column", "row"), pixel, strict=True):
            lines.writerow([name, index + 1, f"{value:.1f}", "", "px"])
        for name, value, error in zip("xyz", spots.positions[index], errors[index], strict=True):
            lines.writerow([name, index + 1, *_numbers(value, error, "m", units)])
    for result in results:
        numbers = _numbers(result.value, result.plus_minus, result.unit, units)
        lines.writerow([result.what, " ".join(map(str, result.points)), *numbers])
    return text.getvalue()


def _numbers(value: float, plus_minus: float, unit: Unit, units: Units) -> tuple[str, str, str]:
    number, name = in_units(value, unit, units)
    return f"{number:.6g}", f"{in_units(plus_minus, unit, units)[0]:.3g}", name
