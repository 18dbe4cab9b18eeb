"""Measurements drawn over the photo, as SVG in the photo's own pixels.

All sizes are in em, and the em follows from the shape of the photo: letters come out equally large
over any photo, and take a larger part of it on the narrow screen of a phone.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from demo.ground import Ground
from demo.tabs.measure.measure import Kind, Result, Spots, project
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
        results: As `measure` returns them for this kind; empty draws points alone.
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
    writing = _Writing(spots, phone)
    drawn += [_mark(spots, number, writing) for number in range(len(spots.pixels))]
    for result in results:
        pixel, shifts = _label_place(spots, result)
        value = with_spread(result.value, result.plus_minus, result.unit, units)
        if shifts:
            drawn.append(writing.text(value, "value", pixel, shifts))
    return (
        '<svg class="measured" xmlns="http://www.w3.org/2000/svg" preserveAspectRatio="none" '
        f'viewBox="-0.5 -0.5 {spots.width} {spots.height}" '
        # Not in the rules, which hold for every drawing of a page.
        f'style="--wide: {wide:.5g}px; --phone: {phone:.5g}px">'
        f"<style>{_STYLE}</style>{''.join(drawn)}</svg>"
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


def _label_place(spots: Spots, result: Result) -> tuple[ndarray, list[Shift]]:
    """Return the pixel that a result is written at, and where beside it; nowhere if empty."""
    pixels = _corner(spots, result)
    middle: ndarray = pixels.mean(axis=0)
    if result.what in ("height", "from the camera"):
        return middle, [(0, 1.2), (3.8, 0.3), (-3.8, 0.3), (0, -2.1), (0, 2.4)]
    if result.what == "distance":
        across, down = np.abs(pixels[1] - pixels[0])
        if down > 2 * across:
            return middle, [(3.8, 0), (-3.8, 0), (3.8, 1.2), (3.8, -1.2)]
        return middle, [(0, -0.9), (0, 0.9), (0, -2.1), (0, 2.1)]
    if result.what == "angle":
        one, other = _arms(pixels)
        inward = one + other
        x, y = inward / (np.linalg.norm(inward) + 1e-9)
        shifts = [(3.6 * x, 2.2 * y), (-3.6 * x, -2.2 * y), (0, 2.2), (0, -2.2)]
        return pixels[1], [(float(x), float(y)) for x, y in shifts]
    return middle, [(0, 0), (0, 1.2), (0, -1.2)] if result.what == "area" else []


def _mark(spots: Spots, number: int, writing: "_Writing") -> str:
    """Return a ring about a point, and its number beside it."""
    x, y = spots.pixels[number]
    ring = f'cx="{x:.1f}" cy="{y:.1f}" r=".38em"'
    shifts = [(0.85, -0.75), (-0.85, -0.75), (0.85, 0.85), (-0.85, 0.85)]
    text = writing.text(str(number + 1), "number", spots.pixels[number], shifts)
    return f'<circle class="dark" {ring}/><circle class="light" {ring}/>{text}'


class _Writing:
    """Text that stays in the photo and, where it can, off the points and other text."""

    def __init__(self, spots: Spots, em: float) -> None:
        self._last = np.array([spots.width, spots.height]) - 0.5
        self._em = em  # on a phone: where letters are smaller, they fit as well
        ring = np.array([0.45, 0.45]) * em
        self._taken: list[tuple[ndarray, ndarray]] = [(pixel, ring) for pixel in spots.pixels]

    def text(
        self, text: str, name: str, pixel: Float[ndarray, "2"], shifts: Sequence[Shift]
    ) -> str:
        """Return text at the first of the shifts beside a pixel that is free, or at the first."""
        half = np.array([_LETTER * len(text) / 2, 0.55]) * self._em
        places = [self._place(pixel, np.array(shift) * self._em, half) for shift in shifts]
        free = (n for n, place in enumerate(places) if self._is_free(place, half))
        chosen = next(free, 0)
        (x, y), (dx, dy) = places[chosen] - np.array(shifts[chosen]) * self._em, shifts[chosen]
        self._taken.append((places[chosen], half))
        words = text.replace("±", "<tspan>±", 1) + "</tspan>" * ("±" in text)
        return (
            f'<text class="{name}" x="{x:.1f}" y="{y:.1f}" '
            f'dx="{dx:.2f}em" dy="{dy:.2f}em">{words}</text>'
        )

    def _place(self, pixel: ndarray, moved: ndarray, half: ndarray) -> ndarray:
        """Return where the middle of a text comes, so that all of it is in the photo."""
        return np.maximum(np.minimum(pixel + moved, self._last - half), half)

    def _is_free(self, place: ndarray, half: ndarray) -> bool:
        return all((np.abs(place - other) >= half + size).any() for other, size in self._taken)


def _stroke(path: str, name: str = "") -> str:
    """Return a bright line on a dark one, so that it shows on any photo."""
    return f'<path class="dark" d="{path}"/><path class="light {name}" d="{path}"/>'


def _pair(point: Float[ndarray, "2"]) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"
