"""Measurements drawn over the photo, as SVG in the photo's own pixels.

All sizes are in em, and the em follows from the shape of the photo: letters come out equally large
over any photo, and take a larger part of it on the narrow screen of a phone.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from demo.ground import Ground
from demo.measure import Kind, Result, Spots, project
from demo.units import Units, with_spread

_WIDE = 46, 42  # ems across the photo, and down it, on a wide screen
_PHONE = 25, 42  # and on a phone
_LETTER = 0.56  # mean width of a letter, in em

_STYLE = """
.measured { font: 600 %.5gpx system-ui, sans-serif; }
@media (max-width: 700px) { .measured { font-size: %.5gpx; } }
.measured text { fill: #fff; stroke: #000d; stroke-width: .26em; paint-order: stroke;
  stroke-linejoin: round; text-anchor: middle; dominant-baseline: central; }
.measured tspan { font-size: .8em; font-weight: 400; }
.measured .number { fill: #ffd60a; }
.measured path, .measured circle { fill: none; stroke-linecap: round; stroke-linejoin: round; }
.measured .dark { stroke: #000b; stroke-width: .36em; }
.measured .light { stroke: #ffd60a; stroke-width: .14em; }
.measured .dashed { stroke-dasharray: .4em .4em; }
.measured .inside { fill: #ffd60a33; }
"""


def draw(
    spots: Spots,
    kind: Kind,
    results: Sequence[Result],
    ground: Ground | None = None,
    units: Units = "m",
) -> str:
    """Return an SVG picture of points and of what was measured between them.

    Args:
        spots: The points.
        kind: What was measured.
        results: As `demo.measure.measure` returns them for this kind; empty draws points alone.
        ground: Where the plumb lines of heights end.
        units: Of what is written at segments, corners and points.
    """
    if not len(spots.pixels):
        return ""
    wide, phone = (
        max(spots.width / columns, spots.height / rows) for columns, rows in (_WIDE, _PHONE)
    )
    drawn = [_outline(spots, kind, ground)]
    if kind == "angle":
        drawn += [_arc(_corner(spots, result), wide) for result in results]
    drawn += [_mark(spots, number, phone) for number in range(len(spots.pixels))]
    for result in results:
        dot, shift = _label_place(spots, result)
        value = with_spread(result.value, result.plus_minus, result.unit, units)
        if dot is not None:
            drawn.append(_text(value, dot, shift, spots, phone))
    return (
        '<svg class="measured" xmlns="http://www.w3.org/2000/svg" preserveAspectRatio="none" '
        f'viewBox="-0.5 -0.5 {spots.width} {spots.height}">'
        f"<style>{_STYLE % (wide, phone)}</style>{''.join(drawn)}</svg>"
    )


def _outline(spots: Spots, kind: Kind, ground: Ground | None) -> str:
    """Return the lines between the points, or from each to the ground below it."""
    if kind == "height":
        return _plumb_lines(spots, ground) if ground else ""
    path = "M" + " L".join(_pair(pixel) for pixel in spots.pixels)
    if kind == "area" and len(spots.pixels) > 2:
        return f'<path class="inside" d="{path} Z"/>' + _stroke(f"{path} Z")
    return _stroke(path)


def _plumb_lines(spots: Spots, ground: Ground) -> str:
    heights = ground.height_of(spots.positions)
    feet = spots.positions - heights[:, None] * ground.normal
    seen = feet[:, 2] > 0  # the rest is behind the camera
    pairs = zip(spots.pixels[seen], project(spots, feet[seen]), strict=True)
    return "".join(
        _stroke(f"M{_pair(pixel)} L{_pair(foot)}", "dashed")
        + f'<circle class="light" cx="{foot[0]:.1f}" cy="{foot[1]:.1f}" r=".12em"/>'
        for pixel, foot in pairs
    )


def _corner(spots: Spots, result: Result) -> Float[ndarray, "3 2"]:
    return spots.pixels[[number - 1 for number in result.points]]


def _arms(corner: Float[ndarray, "3 2"]) -> tuple[ndarray, ndarray]:
    """Return the unit vectors from the corner to its neighbours in the photo."""
    one, other = corner[0] - corner[1], corner[2] - corner[1]
    return one / (np.linalg.norm(one) + 1e-9), other / (np.linalg.norm(other) + 1e-9)


def _arc(corner: Float[ndarray, "3 2"], em: float) -> str:
    one, other = _arms(corner)
    nearest = np.linalg.norm(corner[[0, 2]] - corner[1], axis=1).min()
    radius = min(2 * em, 0.5 * float(nearest))
    sweep = int(one[0] * other[1] - one[1] * other[0] > 0)
    start, end = _pair(corner[1] + radius * one), _pair(corner[1] + radius * other)
    return _stroke(f"M{start} A{radius:.1f} {radius:.1f} 0 0 {sweep} {end}")


def _label_place(spots: Spots, result: Result) -> tuple[ndarray | None, tuple[float, float]]:
    """Return the pixel that a result is written at, and how many em beside it; None: nowhere."""
    pixels = spots.pixels[[number - 1 for number in result.points]]
    if result.what in ("height", "from the camera"):
        return pixels[0], (0.0, 1.2)
    if result.what == "distance":
        across, down = np.abs(pixels[1] - pixels[0])
        beside = down > 2 * across
        return pixels.mean(axis=0), (3.2, 0.0) if beside else (0.0, -0.9)
    if result.what == "angle":
        one, other = _arms(pixels)
        inward = one + other
        inward = inward / (np.linalg.norm(inward) + 1e-9)
        return pixels[1], (3.4 * float(inward[0]), 2.2 * float(inward[1]))
    return (pixels.mean(axis=0) if result.what == "area" else None), (0.0, 0.0)


def _mark(spots: Spots, number: int, em: float) -> str:
    """Return a ring about a point, and its number beside it."""
    x, y = spots.pixels[number]
    ring = f'cx="{x:.1f}" cy="{y:.1f}" r=".38em"'
    beside = 0.85 if x + 1.6 * em < spots.width else -0.85
    above = -0.75 if y > 1.4 * em else 0.85
    text = _text(str(number + 1), spots.pixels[number], (beside, above), spots, em, "number")
    return f'<circle class="dark" {ring}/><circle class="light" {ring}/>{text}'


def _text(
    text: str,
    pixel: Float[ndarray, "2"],
    shift: tuple[float, float],
    spots: Spots,
    em: float,
    name: str = "value",
) -> str:
    """Return text beside a pixel, moved so that all of it lies in the photo on a phone, too."""
    half = np.array([_LETTER * len(text) / 2, 0.6]) * em
    moved = np.array(shift) * em
    last = np.array([spots.width, spots.height]) - 0.5
    x, y = np.maximum(np.minimum(pixel, last - half - moved), half - moved)
    words = text.replace("±", "<tspan>±", 1) + "</tspan>" * ("±" in text)
    return (
        f'<text class="{name}" x="{x:.1f}" y="{y:.1f}" '
        f'dx="{shift[0]:.2f}em" dy="{shift[1]:.2f}em">{words}</text>'
    )


def _stroke(path: str, name: str = "") -> str:
    """Return a bright line on a dark one, so that it shows on any photo."""
    return f'<path class="dark" d="{path}"/><path class="light {name}" d="{path}"/>'


def _pair(point: Float[ndarray, "2"]) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"
