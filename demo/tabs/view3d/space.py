"""The level points of a photo in metres, and the grid and the camera among them, as lines.

Level frame: x right, y straight down, z ahead, the camera at the origin; without a ground it is the
camera's frame.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from demo.ground import TOLERANCE, Ground
from demo.pipeline import Analysis
from demo.units import Units
from depthpro.geometry import FAR_M, MAX_RATIO, ratio_at, solid_cells, solid_pixels, unproject

_CELLS = (2, 40)  # of the grid, along the longer side of the ground
_CAMERA_SHARE = 0.06  # of the distance to the middle

PARTS = {"grid": "#00a5d8", "camera": "#e07b00"}
"""Lines that can be drawn among the points, and their colours."""

Segments = Float[ndarray, "n 2 3"]
"""Straight lines from one point to another, metres, level frame."""


@dataclass(frozen=True, eq=False)
class PointMap:
    """A photo's points in the level frame."""

    depth: Float[ndarray, "h w"]
    """Metres along the optical axis."""
    f_px: float
    """Focal length in pixels of a picture as wide as `depth`."""
    ground: Ground | None
    no_ground: str
    """The reason why there is no ground; empty if there is one."""
    rotation: Float[ndarray, "3 3"]
    """From the camera frame to the level one."""
    points: Float[ndarray, "h w 3"]
    """Metres, level frame."""

    @property
    def middle_m(self) -> float:
        """Median depth of what is not sky; the viewer turns about a point that far away."""
        near = self.depth[self.depth < FAR_M]
        return float(np.median(near)) if near.size else float(self.depth.min())


def unproject_level(analysis: Analysis, height: int, width: int) -> PointMap:
    """Return the points of a photo whose depth is resized to `height` by `width`."""
    depth = analysis.prediction.depth_at(height, width)[0].numpy()
    f_px = float(analysis.prediction.f_px_at(width)[0])
    ground, reason = analysis.ground
    rotation = np.eye(3) if ground is None else ground.level
    points = unproject(depth, f_px) @ rotation.T.astype(depth.dtype)
    return PointMap(depth, f_px, ground, reason, rotation, points)


def held_cells(space: PointMap, ratio: float = MAX_RATIO) -> Bool[ndarray, "h-1 w-1"]:
    """Return which cells of four pixels are on a surface: no edge in them, no sky; or all.

    A step of depth by more than `ratio` is an edge; see `ratio_at`.
    """
    cells = solid_cells(space.depth, ratio_at(ratio, max(space.depth.shape)), FAR_M)
    return cells if cells.any() else np.ones_like(cells)


def held_pixels(space: PointMap, ratio: float = MAX_RATIO) -> Bool[ndarray, "h w"]:
    """Return which pixels are on a surface; the others fly between two, or are sky."""
    return solid_pixels(held_cells(space, ratio))


def grid_step(extent_m: float, units: Units = "m") -> float:
    """Return the width of a cell: 1 m or 1 ft where that is 2 to 40 cells, else a power of ten."""
    step = 1.0 if units == "m" else 0.3048
    fewest, most = _CELLS
    while extent_m > most * step:
        step *= 10
    while extent_m < fewest * step and step > 1e-3:
        step /= 10
    return step


def lines_of(space: PointMap, units: Units = "m") -> dict[str, Segments]:
    """Return the lines of all `PARTS`; without a ground there is no grid."""
    parts = (grid(space, units)[0], camera(space))
    return {name: lines for name, lines in zip(PARTS, parts, strict=True) if len(lines)}


def grid(space: PointMap, units: Units = "m") -> tuple[Segments, float]:
    """Return the grid's lines on the ground, if there is one, and the width of a cell in metres.

    They lie whole cells away from the point below the camera, and reach from end to end.
    """
    if space.ground is None:
        return np.empty((0, 2, 3)), grid_step(space.middle_m, units)
    floor_m = space.ground.camera_height_m
    near = space.depth <= FAR_M
    on = near & (np.abs(space.points[..., 1] / floor_m - 1) <= TOLERANCE)
    # Without outliers.
    low, high = np.percentile(space.points[on if on.any() else near][:, [0, 2]], (1, 99), axis=0)
    step = grid_step(float((high - low).max()), units)
    x = np.arange(math.floor(low[0] / step), math.ceil(high[0] / step) + 1) * step
    z = np.arange(math.floor(low[1] / step), math.ceil(high[1] / step) + 1) * step
    ahead = [[(at, floor_m, z[0]), (at, floor_m, z[-1])] for at in x]
    across = [[(x[0], floor_m, at), (x[-1], floor_m, at)] for at in z]
    return np.array([*ahead, *across]), step


def camera(space: PointMap) -> Segments:
    """Return the camera's pyramid, with a roof that shows which way is up."""
    corners = view_corners(space, _CAMERA_SHARE * space.middle_m)
    top_left, top_right, _, bottom_left = corners
    roof = (top_left + top_right) / 2 + 0.2 * (top_left - bottom_left)
    edges = [(np.zeros(3), corner) for corner in corners]
    base = zip(corners, np.roll(corners, -1, axis=0), strict=True)
    return np.array([*edges, *base, (top_left, roof), (roof, top_right)])


def view_corners(space: PointMap, depth_m: float) -> Float[ndarray, "4 3"]:
    """Return the corners of the picture at a depth, clockwise from the top left."""
    height, width = space.depth.shape
    x, y = width / 2 / space.f_px, height / 2 / space.f_px
    rays = np.array([[-x, -y, 1.0], [x, -y, 1.0], [x, y, 1.0], [-x, y, 1.0]])
    return depth_m * rays @ space.rotation.T
