"""Measurements as a table, as sentences and as a CSV file."""

import csv
import io
from collections.abc import Sequence

import numpy as np

from demo.export import describe
from demo.pipeline import Analysis
from demo.tabs.measure.measure import Kind, Points3D, Result, crosses_itself, window_size
from demo.units import PER_METRE, Unit, Units, length, with_spread

_NEEDED: dict[Kind, tuple[int, str]] = {
    "distance": (2, "Each further point adds a segment."),
    "height": (1, "Each point has its height above the ground."),
    "angle": (3, "The angle is at the second of three points; each further point adds one."),
    "area": (3, "The last point closes the shape; each further point adds a corner."),
}
_JUMP = 1.25  # ratio of depths within a window at an edge
_PLUS_MINUS = (
    "errors of these weights on held-out pictures, and half the range from the 16th to the 84th "
    "percentile of depth about each point, carried on to the result"
)
_UNKNOWN = "none, since the errors of these weights were not measured"


def table(results: Sequence[Result], units: Units = "m") -> str:
    """Return the results as an HTML table, or nothing if there are none."""
    if not results:
        return ""
    names, lines = ["What", "Points", "Value"], [list(row) for row in rows(results, units)]
    if any(result.true is not None for result in results):
        names.append("Truth")
        lines = [[*row, true_text(each, units)] for row, each in zip(lines, results, strict=True)]
    body = "".join(f"<tr>{''.join(f'<td>{text}</td>' for text in row)}</tr>" for row in lines)
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return f'<table class="lab"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def rows(results: Sequence[Result], units: Units = "m") -> list[tuple[str, str, str]]:
    """Return the name, points and value of each result."""
    return [
        (
            result.what.capitalize(),
            _range(result.points)
            if result.what in ("total", "area", "perimeter")
            else " – ".join(map(str, result.points)),
            with_spread(result.value, result.plus_minus, result.unit, units),
        )
        for result in results
    ]


def true_text(result: Result, units: Units = "m") -> str:
    """Return the true value of a result, or a dash where it is not known."""
    return "–" if result.true is None else with_spread(result.true, None, result.unit, units)


def hint(kind: Kind, count: int) -> str:
    """Return the next step after `count` points."""
    needed, more = _NEEDED[kind]
    missing = needed - count
    if missing <= 0:
        return more
    return f"Choose {missing} {'more ' if count else ''}point{'s' if missing > 1 else ''}."


def headline(results: Sequence[Result], units: Units = "m") -> str:
    """Return the total or the area, else the last result; nothing if there is none."""
    if not results:
        return ""
    whole = [result for result in results if result.what in ("total", "area")]
    chosen = (whole or results[-1:])[0]
    name, points, value = rows([chosen], units)[0]
    truth = "" if chosen.true is None else f", in truth {true_text(chosen, units)}"
    return f"{name} {points}: {value}{truth}"


def precision(analysis: Analysis) -> str:
    """Return the meaning of a point and of the ±."""
    columns, lines = window_size(analysis.prediction)
    side = analysis.prediction.canonical_inverse_depth.shape[-1]
    point = (
        f"A point is the median depth of {columns:.0f} × {lines:.0f} pixels of this photo, "
        f"5 × 5 of the network's {side} × {side}."
    )
    error = analysis.provenance.depth_error
    if error is None:
        return f"{point} There is no ±, since the errors of these weights were not measured."
    return (
        f"{point} The ± is as large as these weights err on pictures that they were not trained "
        f"on: {error.coverage:.0%} of true distances lay within it. A focal length that you know "
        "makes the error smaller, but not the ±."
    )


def warning(points: Points3D, kind: Kind, units: Units = "m") -> str:
    """Return the reason why the results are doubtful; empty if there is none."""
    edges = np.flatnonzero(points.far_m > _JUMP * points.near_m)
    if len(edges):
        near, far = (length(float(end[edges[0]]), units) for end in (points.near_m, points.far_m))
        return (
            f"At point {edges[0] + 1} depth jumps from {near} to {far}: it lies on an edge. "
            "Choose a place a little further inside."
        )
    if kind == "area" and crosses_itself(points.pixels):
        return "The outline crosses itself, and parts of its area cancel out. Go round in order."
    return ""


def csv_text(
    analysis: Analysis, points: Points3D, results: Sequence[Result], units: Units = "m"
) -> str:
    """Return points and results as CSV; lines that start with # name photo, camera and weights.

    Columns: what, points, value, plus_minus, unit, true. Positions are in the camera frame, x
    right, y down, z forward, and pixels count from 0. What is not known is empty.
    """
    about = describe(analysis)
    text = io.StringIO()
    name = " ".join(about["name"].split())  # one line
    text.write(f"# photo: {name}, {about['width_px']} x {about['height_px']} px\n")
    text.write(f"# focal length: {about['f_px']:.6g} px, {about['f_px_source']}\n")
    text.write(f"# weights: {about['weights']}, licence {about['weights_licence']}\n")
    text.write(f"# {analysis.provenance.notice}\n")
    text.write(f"# plus_minus: {_UNKNOWN if points.error is None else _PLUS_MINUS}\n")
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["what", "points", "value", "plus_minus", "unit", "true"])
    depth_errors = points.depth_plus_minus_m
    for index, pixel in enumerate(points.pixels):
        for name, value in zip(("column", "row"), pixel, strict=True):
            lines.writerow([name, index + 1, f"{value:.1f}", "", "px", ""])
        for name, value, ray in zip(
            "xyz", points.positions[index], points.rays[index], strict=True
        ):
            error = None if depth_errors is None else abs(ray) * depth_errors[index]
            lines.writerow([name, index + 1, *_numbers(value, error, "m", units), ""])
    for result in results:
        numbers = _numbers(result.value, result.plus_minus, result.unit, units)
        true = "" if result.true is None else _numbers(result.true, None, result.unit, units)[0]
        lines.writerow([result.what, " ".join(map(str, result.points)), *numbers, true])
    return text.getvalue()


def _range(numbers: Sequence[int]) -> str:
    return f"{numbers[0]} to {numbers[-1]}"


def _numbers(
    value: float, plus_minus: float | None, unit: Unit, units: Units
) -> tuple[str, str, str]:
    power, name = {"m": (1, units), "m²": (2, f"{units}2"), "°": (0, "deg")}[unit]
    factor = PER_METRE[units] ** power
    error = "" if plus_minus is None else f"{factor * plus_minus:.3g}"
    return f"{factor * value:.6g}", error, name
