"""A map of the photo's points from above, with the camera and a grid."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image

from demo.screen import picture_uri
from demo.tabs.view3d.space import PointMap, grid_step, held_pixels
from demo.units import Units, length
from depthpro.geometry import MAX_RATIO

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
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        columns, rows = np.ceil((self.high - self.low) / self.metres_a_pixel)
        return max(1, int(columns)), max(1, int(rows))

    def place(self, points: Float[ndarray, "n 2"]) -> Float[ndarray, "n 2"]:
        """Return column and row of points (x, z) in metres; the top left corner is 0, 0."""
        return (points - [self.low[0], self.high[1]]) * [1, -1] / self.metres_a_pixel


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
    order = np.argsort(-points[:, 1], kind="stable")  # the highest is painted last
    column, row = np.floor(sheet.place(points[order][:, [0, 2]])).astype(int).T
    columns, rows = sheet.size
    inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    picture = np.zeros((rows, columns, 4), np.uint8)
    picture[row[inside], column[inside]] = np.insert(rgb[order][inside], 3, 255, axis=1)
    return picture


def _drawing(
    space: PointMap,
    sheet: Sheet,
    picture: UInt8[ndarray, "rows columns 4"],
    step: float,
    units: Units,
) -> str:
    columns, rows = sheet.size
    size = f'width="{columns}" height="{rows}"'
    lines, labels = _grid(sheet, step, units)
    seen, outline, camera = _camera(space, sheet)
    image = f'<image {size} href="{picture_uri(picture, "PNG")}"/>'
    label = f"The photo from above, with the camera and a grid of {length(step, units)}"
    return (
        f'<svg class="plan" viewBox="{-_MARGIN} 0 {columns + _MARGIN} {rows + _MARGIN // 2}" '
        f'role="img" aria-label="{label}" xmlns="http://www.w3.org/2000/svg">'
        f'<rect class="sheet" {size}/><svg {size} overflow="hidden">'
        f"{seen}{image}{lines}{outline}{camera}</svg>{labels}</svg>"
    )


def _grid(sheet: Sheet, step: float, units: Units) -> tuple[str, str]:
    """Return the lines of the grid, whole cells away from the camera, and their labels."""
    lines, labels = "", ""
    columns, rows = sheet.size
    skip = max(1, math.ceil(_BETWEEN * sheet.metres_a_pixel / step))
    for axis in (0, 1):
        first, last = math.ceil(sheet.low[axis] / step), math.floor(sheet.high[axis] / step)
        for number in range(first, last + 1):
            column, row = sheet.place(np.full((1, 2), number * step))[0]
            if axis == 0:
                lines += f'<path class="grid" d="M{column:.1f} 0V{rows}"/>'
                at = f'x="{column:.1f}" y="{rows + 22}" text-anchor="middle"'
            else:
                lines += f'<path class="grid" d="M0 {row:.1f}H{columns}"/>'
                at = f'x="-8" y="{row + 5:.1f}" text-anchor="end"'
            if number % skip == 0:
                text = length(abs(number * step), units) if number else "0"
                labels += f"<text {at}>{text}</text>"
    return lines, labels


def _camera(space: PointMap, sheet: Sheet) -> tuple[str, str, str]:
    """Return the field of view, its outline, and the camera."""
    half = space.depth.shape[1] / 2 / space.f_px
    far = 2 * float(np.hypot(*(sheet.high - sheet.low)))
    rays = np.array([[-half, 0, 1], [half, 0, 1]]) @ space.rotation.T[:, [0, 2]]
    left, right = far * rays / np.linalg.norm(rays, axis=1, keepdims=True)
    corners = sheet.place(np.array([left, (0, 0), right]))
    path = "L".join(f"{column:.1f} {row:.1f}" for column, row in corners)
    column, row = corners[1]
    return (
        f'<path class="wedge" d="M{path}"/>',
        f'<path class="rim" d="M{path}"/>',
        f'<circle class="camera" cx="{column:.1f}" cy="{row:.1f}" r="9"/>',
    )
