"""Measurements drawn over the photo, as SVG in the photo's own pixels.

All sizes are in em, and the em follows from the shape of the photo: letters are equally large over
any photo, and larger on the narrow screen of a phone.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from demo.ground import Ground
from demo.tabs.measure.measure import Kind, Points3D, Result, project
from demo.units import Units, with_spread

_WIDE = 46, 42  # ems across the photo, and down it, on a wide screen
_PHONE = 25, 42  # and on a phone
_LETTER = 0.56  # mean width of a letter, in em

Shift = tuple[float, float]
"""Right and down from a pixel, in em."""

_STYLE = """
.measured { font: 600 var(--wide) system-ui, sans-serif; }
@media (max-width: 700px) { .measured { font-size: var(--phone); } }
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
    points: Points3D,
    kind: Kind,
    results: Sequence[Result],
    ground: Ground | None = None,
    units: Units = "m",
) -> str:
    """Return points and results as SVG; plumb lines of heights end on the ground."""
    if not len(points.pixels):
        return ""
    wide, phone = (
        max(points.width / columns, points.height / rows) for columns, rows in (_WIDE, _PHONE)
    )
    parts = [_outline(points, kind, ground)]
    if kind == "angle":
        parts += [_arc(_pixels(points, result), wide) for result in results]
    for number, pixel in enumerate(points.pixels, start=1):
        ring = f'cx="{pixel[0]:.1f}" cy="{pixel[1]:.1f}" r=".38em"'
        parts.append(f'<circle class="dark" {ring}/><circle class="light" {ring}/>')
        parts.append(_text(str(number), "number", points, phone, pixel, (0.85, -0.75)))
    for result in results:
        if result.what in ("total", "perimeter"):
            continue
        value = with_spread(result.value, result.plus_minus, result.unit, units)
        pixel, shift = _label_place(result, _pixels(points, result))
        parts.append(_text(value, "value", points, phone, pixel, shift))
    return (
        '<svg class="measured" xmlns="http://www.w3.org/2000/svg" preserveAspectRatio="none" '
        f'viewBox="-0.5 -0.5 {points.width} {points.height}" '
        # Not in the rules, which hold for every drawing of a page.
        f'style="--wide: {wide:.5g}px; --phone: {phone:.5g}px">'
        f"<style>{_STYLE}</style>{''.join(parts)}</svg>"
    )


def _outline(points: Points3D, kind: Kind, ground: Ground | None) -> str:
    """Return the lines between the points, or from each to the ground below it."""
    if kind == "height":
        return _plumb_lines(points, ground) if ground else ""
    path = "M" + " L".join(_pair(pixel) for pixel in points.pixels)
    if kind == "area" and len(points.pixels) > 2:
        return f'<path class="inside" d="{path} Z"/>' + _stroke(f"{path} Z")
    return _stroke(path)


def _plumb_lines(points: Points3D, ground: Ground) -> str:
    heights = ground.height_of(points.positions)
    feet = points.positions - heights[:, None] * ground.normal
    visible = feet[:, 2] > 0  # the rest is behind the camera
    pairs = zip(points.pixels[visible], project(points, feet[visible]), strict=True)
    return "".join(
        _stroke(f"M{_pair(pixel)} L{_pair(foot)}", "dashed")
        + f'<circle class="light" cx="{foot[0]:.1f}" cy="{foot[1]:.1f}" r=".12em"/>'
        for pixel, foot in pairs
    )


def _arc(corner: Float[ndarray, "3 2"], em: float) -> str:
    one, other = _arms(corner)
    nearest = np.linalg.norm(corner[[0, 2]] - corner[1], axis=1).min()
    radius = min(2 * em, 0.5 * float(nearest))
    sweep = int(one[0] * other[1] - one[1] * other[0] > 0)
    start, end = _pair(corner[1] + radius * one), _pair(corner[1] + radius * other)
    return _stroke(f"M{start} A{radius:.1f} {radius:.1f} 0 0 {sweep} {end}")


def _arms(corner: Float[ndarray, "3 2"]) -> tuple[ndarray, ndarray]:
    """Return the unit vectors from the corner to its neighbours in the photo."""
    one, other = corner[0] - corner[1], corner[2] - corner[1]
    return one / (np.linalg.norm(one) + 1e-9), other / (np.linalg.norm(other) + 1e-9)


def _label_place(result: Result, pixels: Float[ndarray, "n 2"]) -> tuple[ndarray, Shift]:
    """Return the pixel that a value belongs to, and the shift of its text."""
    middle: ndarray = pixels.mean(axis=0)
    if result.what == "area":
        return middle, (0, 0)
    if result.what == "distance":
        across, down = np.abs(pixels[1] - pixels[0])
        return middle, (3.8, 0) if down > 2 * across else (0, -0.9)
    if result.what == "angle":
        x, y = sum(_arms(pixels)) * (2.4, 1.5)  # inside the angle
        return pixels[1], (x, y)
    return middle, (0, 1.2)


def _text(text: str, name: str, points: Points3D, em: float, pixel: ndarray, shift: Shift) -> str:
    """Return text that is shifted from a pixel and stays in the photo."""
    half = np.array([_LETTER * len(text) / 2, 0.55]) * em
    move = np.array(shift) * em  # on a phone: where letters are smaller, they fit as well
    limit = np.array([points.width, points.height]) - 0.5 - half
    x, y = np.maximum(np.minimum(pixel + move, limit), half) - move
    words = text.replace("±", "<tspan>±", 1) + "</tspan>" * ("±" in text)
    return (
        f'<text class="{name}" x="{x:.1f}" y="{y:.1f}" '
        f'dx="{shift[0]:.2f}em" dy="{shift[1]:.2f}em">{words}</text>'
    )


def _pixels(points: Points3D, result: Result) -> Float[ndarray, "n 2"]:
    return points.pixels[[number - 1 for number in result.points]]


def _stroke(path: str, name: str = "") -> str:
    """Return a bright line on a dark one, so that it shows on any photo."""
    return f'<path class="dark" d="{path}"/><path class="light {name}" d="{path}"/>'


def _pair(point: Float[ndarray, "2"]) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"
