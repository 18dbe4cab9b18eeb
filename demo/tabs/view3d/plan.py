"""The photo from straight above, as a map: a picture of its points, with the camera and a grid."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image

from demo.screen import picture_uri
from demo.tabs.view3d.space import PointMap, grid_step, held_pixels
from demo.units import Units, length
from depthpro.export import MAX_RATIO

ROOF_M = 1.0
"""Height above the camera where the map is cut, as in a floor plan: ceilings hide rooms."""

_LONG = 720  # of the map, in pixels
_MARGIN = 60
_BETWEEN = 70  # pixels from one label to the next, at least


class Sheet(NamedTuple):
    """The part of the level plane that a map shows: x to the right, z (ahead) upwards."""

    low: Float[ndarray, "2"]
    """Least x and z in metres."""
    high: Float[ndarray, "2"]
    metres_a_pixel: float

    @property
    def columns(self) -> int:
        """Width in pixels."""
        return max(1, math.ceil((self.high[0] - self.low[0]) / self.metres_a_pixel))

    @property
    def rows(self) -> int:
        """Height in pixels."""
        return max(1, math.ceil((self.high[1] - self.low[1]) / self.metres_a_pixel))

    def place(
        self, x: Float[ndarray, "*n"] | float, z: Float[ndarray, "*n"] | float
    ) -> tuple[Float[ndarray, "*n"], Float[ndarray, "*n"]]:
        """Return column and row of points in metres, where the top left corner is 0, 0."""
        column = (np.asarray(x) - self.low[0]) / self.metres_a_pixel
        return column, (self.high[1] - np.asarray(z)) / self.metres_a_pixel


def plan(
    rgb: UInt8[ndarray, "hp wp 3"], space: PointMap, ratio: float = MAX_RATIO, units: Units = "m"
) -> str:
    """Return the map as an SVG picture: up is where the camera looks.

    `ratio` cuts flying pixels, see `ratio_at`; the grid has a round step in the units.
    """
    height, width = space.depth.shape
    colours = Image.fromarray(rgb).resize((width, height), reducing_gap=1.0)
    shown = held_pixels(space, ratio) & (space.points[..., 1] > -ROOF_M)
    if not shown.any():
        shown = np.ones_like(shown)
    points = space.points[shown]
    sheet = lay_out(points)
    picture = from_above(points, np.asarray(colours)[shown], sheet)
    step = grid_step(float((sheet.high - sheet.low).max()), units)
    return _drawing(space, sheet, picture, step, units)


def lay_out(points: Float[ndarray, "n 3"]) -> Sheet:
    """Return the part of the plane that holds the points, without outliers, and the camera."""
    low, high = np.percentile(points[:, [0, 2]], (1, 99), axis=0)
    low, high = np.minimum(low, 0), np.maximum(high, 0)
    longest = float((high - low).max())
    # A margin, and neither too narrow nor too flat to draw.
    room = np.maximum(0.03 * longest, (0.4 * longest - (high - low)) / 2)
    return Sheet(low - room, high + room, (longest + 2 * float(room.min())) / _LONG)


def from_above(
    points: Float[ndarray, "n 3"], rgb: UInt8[ndarray, "n 3"], sheet: Sheet
) -> UInt8[ndarray, "rows columns 4"]:
    """Return the map of the highest points; the rest is transparent."""
    column, row = (np.floor(part).astype(int) for part in sheet.place(points[:, 0], points[:, 2]))
    inside = (column >= 0) & (column < sheet.columns) & (row >= 0) & (row < sheet.rows)
    order = np.flatnonzero(inside)
    order = order[np.argsort(-points[order, 1], kind="stable")]  # the highest is painted last
    picture = np.zeros((sheet.rows, sheet.columns, 4), np.uint8)
    picture[row[order], column[order], :3] = rgb[order]
    picture[row[order], column[order], 3] = 255
    return picture


def _drawing(
    space: PointMap,
    sheet: Sheet,
    picture: UInt8[ndarray, "rows columns 4"],
    step: float,
    units: Units,
) -> str:
    size = f'width="{sheet.columns}" height="{sheet.rows}"'
    lines, labels = _grid(sheet, step, units)
    seen, rim, camera = _camera(space, sheet)
    image = f'<image {size} href="{picture_uri(picture, "PNG")}"/>'
    inside = [seen, image, *lines, rim, camera]
    box = f"{-_MARGIN} 0 {sheet.columns + _MARGIN} {sheet.rows + _MARGIN // 2}"
    label = f"The photo from above, with the camera and a grid of {length(step, units)}"
    return (
        f'<svg class="plan" viewBox="{box}" role="img" aria-label="{label}" '
        f'xmlns="http://www.w3.org/2000/svg"><rect class="sheet" {size}/>'
        f'<svg {size} overflow="hidden">{"".join(inside)}</svg>{"".join(labels)}</svg>'
    )


def _grid(sheet: Sheet, step: float, units: Units) -> tuple[list[str], list[str]]:
    """Return the lines of the grid, whole cells away from the camera, and their labels."""
    lines, labels = [], []
    skip = max(1, math.ceil(_BETWEEN * sheet.metres_a_pixel / step))
    for axis in (0, 1):
        first, last = math.ceil(sheet.low[axis] / step), math.floor(sheet.high[axis] / step)
        for number in range(first, last + 1):
            value = number * step
            column, row = (float(part) for part in sheet.place(value, value))
            if axis == 0:
                lines.append(f'<path class="grid" d="M{column:.1f} 0V{sheet.rows}"/>')
                at = f'x="{column:.1f}" y="{sheet.rows + 22}" text-anchor="middle"'
            else:
                lines.append(f'<path class="grid" d="M0 {row:.1f}H{sheet.columns}"/>')
                at = f'x="-8" y="{row + 5:.1f}" text-anchor="end"'
            if number % skip == 0:
                labels.append(f"<text {at}>{length(abs(value), units) if number else '0'}</text>")
    return lines, labels


def _camera(space: PointMap, sheet: Sheet) -> tuple[str, str, str]:
    """Return the wedge that the camera sees, its rim, and the camera."""
    half = space.depth.shape[1] / 2 / space.f_px
    far = 2 * float(np.hypot(*(sheet.high - sheet.low)))
    left, right = ((space.rotation @ [side, 0, 1])[[0, 2]] for side in (-half, half))
    rim = [sheet.place(*(far * ray / np.hypot(*ray))) for ray in (left, right)]
    (x0, y0), (x1, y1) = ((float(column), float(row)) for column, row in rim)
    column, row = (float(part) for part in sheet.place(0.0, 0.0))
    path = f'd="M{x0:.1f} {y0:.1f}L{column:.1f} {row:.1f}L{x1:.1f} {y1:.1f}"'
    return (
        f'<path class="wedge" {path}/>',
        f'<path class="rim" {path}/>',
        f'<circle class="camera" cx="{column:.1f}" cy="{row:.1f}" r="9"/>',
    )
