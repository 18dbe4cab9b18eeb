"""A photo in space: level points in metres, and what is drawn among them, as lines.

Level frame: x right, y straight down, z ahead, the camera at the origin. Without a ground it is the
camera's own frame.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from demo.ground import TOLERANCE, Search, ground_of
from demo.units import Units
from depthpro import Prediction
from depthpro.export import FAR_M, MAX_RATIO, fit_size
from depthpro.geometry import solid_cells, solid_pixels, unproject

CUT_SIDE = 512
"""Ratios that cut flying pixels are given for a map with so many pixels along its longer side."""

_CELLS = (2, 40)  # of the grid, along the longer side of the ground
_BAR_NEARER = 0.85
_BAR_SHARE = 0.4  # of the view's width that the scale bar may take

_FRUSTUM_SHARE = 0.06  # of the way to the middle

Segments = Float[ndarray, "n 2 3"]
"""Straight lines from one point to another, metres, level frame."""


@dataclass(frozen=True)
class Parts:
    """What is drawn among the points."""

    grid: bool = True
    frustum: bool = True
    scale_bar: bool = True


@dataclass(frozen=True, eq=False)
class Space:
    """A photo's points, and where they are level."""

    depth: Float[ndarray, "h w"]
    """Metres along the optical axis."""
    f_px: float
    """Focal length in pixels of a picture as wide as `depth`."""
    search: Search
    """The ground, or why there is none."""
    turn: Float[ndarray, "3 3"]
    """Rotation from the camera frame to the level one."""
    points: Float[ndarray, "h w 3"]
    """Metres, level frame."""

    @property
    def floor_m(self) -> float | None:
        """The ground's y, that is how far it is below the camera; None without a ground."""
        return None if self.search.ground is None else self.search.ground.camera_height_m

    @property
    def middle_m(self) -> float:
        """Median depth of what is not sky; what the viewer turns about."""
        near = self.depth[self.depth < FAR_M]
        return float(np.median(near)) if near.size else float(self.depth.min())


def survey(prediction: Prediction, height: int, width: int) -> Space:
    """Return the space of a photo, with its depth at a size."""
    depth = prediction.depth_at(height, width)[0].numpy()
    f_px = float(prediction.f_px_at(width)[0])
    search = ground_of(prediction)
    turn = np.eye(3) if search.ground is None else search.ground.level
    points = unproject(depth, f_px) @ turn.T.astype(depth.dtype)
    return Space(depth, f_px, search, turn, points)


def size_for(prediction: Prediction, pixels: int) -> tuple[int, int]:
    """Return rows and columns of the photo's shape with at most so many pixels, at least 2 x 2."""
    scale = math.sqrt(pixels / (prediction.height * prediction.width))
    side = math.floor(scale * max(prediction.height, prediction.width))
    height, width = fit_size(prediction.height, prediction.width, max(2, side))
    while height * width > pixels and max(height, width) > 2:  # rounding
        side -= 1
        height, width = fit_size(prediction.height, prediction.width, side)
    return max(2, height), max(2, width)


def ratio_at(ratio: float, side: int) -> float:
    """Return the ratio of neighbouring depths that cuts the same edges on another map.

    Args:
        ratio: For a map with `CUT_SIDE` pixels along its longer side.
        side: Pixels along the longer side of the other: with more pixels, smaller steps.
    """
    return ratio ** (CUT_SIDE / side)


def held_pixels(space: Space, ratio: float = MAX_RATIO) -> Bool[ndarray, "h w"]:
    """Return which pixels a surface holds: no flying ones, and nothing beyond `FAR_M`.

    Args:
        space: The photo.
        ratio: Where neighbouring depths differ by more, an edge runs; see `ratio_at`.
    """
    ratio = ratio_at(ratio, max(space.depth.shape))
    held = solid_pixels(solid_cells(space.depth, ratio, FAR_M))
    return held if held.any() else np.ones_like(held)


def round_length(longest_m: float, units: Units = "m") -> float:
    """Return the longest of 1, 2, 5, 10, ... metres, or feet and inches, that is not longer."""
    unit_m = 1.0 if units == "m" else 0.3048 if longest_m >= 0.3048 else 0.0254
    power = 10.0 ** math.floor(math.log10(longest_m / unit_m) + 1e-9)
    digit = max(digit for digit in (1, 2, 5) if digit * power * unit_m <= longest_m * (1 + 1e-9))
    return digit * power * unit_m


def grid_step(extent_m: float, units: Units = "m") -> float:
    """Return the width of a cell: 1 m or 1 ft where that is 2 to 40 cells, else a power of ten."""
    step = 1.0 if units == "m" else 0.3048
    fewest, most = _CELLS
    while extent_m > most * step:
        step *= 10
    while extent_m < fewest * step and step > 1e-3:
        step /= 10
    return step


def ground_extent(space: Space) -> Float[ndarray, "2 2"]:
    """Return the least and greatest x and z of what lies on the ground, without outliers.

    Raises:
        ValueError: If the space has no ground.
    """
    floor_m = space.floor_m
    if floor_m is None:
        raise ValueError(space.search.reason)
    near = space.depth <= FAR_M
    on = near & (np.abs(space.points[..., 1] / floor_m - 1) <= TOLERANCE)
    return np.percentile(space.points[on if on.any() else near][:, [0, 2]], (1, 99), axis=0)


def grid(space: Space, units: Units = "m") -> tuple[Segments, float]:
    """Return the grid on the ground cell by cell, and the width of a cell in metres.

    Its lines lie whole cells away from the point below the camera. Without a ground there are none.
    """
    if space.floor_m is None:
        return np.empty((0, 2, 3)), grid_step(space.middle_m, units)
    low, high = ground_extent(space)
    step = grid_step(float((high - low).max()), units)
    x = np.arange(math.floor(low[0] / step), math.ceil(high[0] / step) + 1) * step
    z = np.arange(math.floor(low[1] / step), math.ceil(high[1] / step) + 1) * step
    corners = np.stack(
        [*np.meshgrid(x, z, indexing="ij"), np.full((len(x), len(z)), space.floor_m)], axis=-1
    )[..., [0, 2, 1]]
    along = np.stack([corners[:, :-1], corners[:, 1:]], axis=-2).reshape(-1, 2, 3)
    across = np.stack([corners[:-1], corners[1:]], axis=-2).reshape(-1, 2, 3)
    return np.concatenate([along, across]), step


def frustum(space: Space) -> Segments:
    """Return the camera's pyramid, with a roof that tells where up is."""
    corners = view_corners(space, _FRUSTUM_SHARE * space.middle_m)
    top_left, top_right, bottom_right, bottom_left = corners
    middle, rise = (top_left + top_right) / 2, (top_left - bottom_left) * 0.2
    lines = [(np.zeros(3), corner) for corner in corners]
    lines += [(top_left, top_right), (top_right, bottom_right)]
    lines += [(bottom_right, bottom_left), (bottom_left, top_left)]
    lines += [(top_left, middle + rise), (middle + rise, top_right)]
    return np.array(lines)


def view_corners(space: Space, depth_m: float) -> Float[ndarray, "4 3"]:
    """Return the corners of the picture at a depth, clockwise from the top left."""
    height, width = space.depth.shape
    x, y = width / 2 / space.f_px, height / 2 / space.f_px
    rays = np.array([[-x, -y, 1.0], [x, -y, 1.0], [x, y, 1.0], [-x, y, 1.0]])
    return depth_m * rays @ space.turn.T


def scale_bar(space: Space, units: Units = "m") -> Float[ndarray, "2 3"]:
    """Return the ends of a bar of a round length, in front of what the photo shows.

    It lies on the ground, nearer than where the photo's lower edge meets it, so that nothing hides
    it; without a ground, below the lower edge of the view at the nearest depth.
    """
    corners = view_corners(space, float(np.percentile(space.depth, 2)))
    foot = (corners[2] + corners[3]) / 2
    if space.floor_m is not None and foot[1] > 0:
        foot *= _BAR_NEARER * space.floor_m / foot[1]
        foot[1] = space.floor_m
    else:
        foot[1] += 0.1 * np.linalg.norm(corners[0] - corners[3])
    width_m = float(np.hypot(*foot[1:])) * space.depth.shape[1] / space.f_px
    half = round_length(_BAR_SHARE * width_m, units) / 2
    return foot + np.array([[-half, 0, 0], [half, 0, 0]])
