"""The ground: the level plane of most surfaces that face up, and heights above it.

A plane that the camera is not in is m · p = 1 for the points p on it. A pixel's depth z is wrong
by the share e exactly if m · p = 1 + e, so one tolerance holds from here to the horizon, and for
scenes of any scale.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from depthpro import Prediction
from depthpro.export import surface_size
from depthpro.geometry import FAR_M, unproject

TOLERANCE = 0.03
"""Points whose depth differs from the plane's by at most this share lie on it."""
MIN_SHARE = 0.15
"""Least share of the pixels with known depth that lie on a ground. Of 41 rendered scenes with one
33 show so much; what has less is as often made up by soft depth."""
MAX_ROLL_DEG = 6.0
"""Most that a photo is tilted sideways. Of 41 rendered scenes the true roll is within it in 39, and
people hold cameras as level; planes that soft depth makes up in rooms leaned by up to 21°."""

_MIN_COSINE = math.cos(math.radians(45))  # between the camera's up and a surface that faces up
_SIDE = 192  # samples along the longer side
_RANSAC_TRIALS = 300  # all at once; scikit-image tries them one by one, which takes longer
_RANSAC_SAMPLE = 3000  # points that each plane is tried on; all of them refine it
_REFINEMENTS = 8
_CONSENSUS = 0.25  # share of the surfaces that face up, on the plane at least
_LOWER = 0.5  # a lower plane with this share of the points is the floor, the upper one furniture


@dataclass(frozen=True, eq=False)
class Ground:
    """A plane in the camera frame: x right, y down, z forward, metres."""

    normal: Float[ndarray, "3"]
    """Unit vector that points up, to the camera's side."""
    camera_height_m: float
    """Height of the camera above the ground."""
    inlier_share: float
    """Share of the pixels with a known depth that lie on it, within `TOLERANCE`."""

    @property
    def pitch_deg(self) -> float:
        """How far the camera looks down; negative if it looks up."""
        return math.degrees(math.asin(max(-1.0, min(1.0, -float(self.normal[2])))))

    @property
    def roll_deg(self) -> float:
        """How far the ground's up leans to the right in the photo."""
        return math.degrees(math.atan2(float(self.normal[0]), -float(self.normal[1])))

    @property
    def level(self) -> Float[ndarray, "3 3"]:
        """Rotation from the camera frame to the level one: x right, y straight down, z ahead."""
        ahead = np.array([0.0, 0.0, 1.0]) - self.normal[2] * self.normal
        ahead /= np.linalg.norm(ahead)
        down = -self.normal
        return np.stack([np.cross(down, ahead), down, ahead])

    def height_of(self, points: Float[ndarray, "n 3"]) -> Float[ndarray, " n"]:
        """Return metres above the ground of points in the camera frame; negative below."""
        return points @ self.normal + self.camera_height_m


class GroundResult(NamedTuple):
    """A ground, or the reason why there is none."""

    ground: Ground | None
    reason: str
    """A sentence for visitors; empty if there is a ground."""


def ground_of(prediction: Prediction) -> GroundResult:
    """Return the ground of a photo, or why there is none."""
    height, width = surface_size(prediction, _SIDE)
    depth = prediction.depth_at(height, width)[0].numpy()
    return fit_ground(depth, float(prediction.f_px_at(width)[0]))


def fit_ground(depth: Float[ndarray, "h w"], f_px: float) -> GroundResult:
    """Return the ground of depth in metres, or why there is none; NaN and infinity are unknown."""
    depth = np.where((depth > 0) & (depth < FAR_M), depth, np.nan).astype(np.float64)
    step = -(-max(depth.shape) // _SIDE)
    grid = unproject(depth, f_px)[step // 2 :: step, step // 2 :: step]
    known = np.isfinite(grid[..., 2])
    if not known.any():
        return GroundResult(None, f"No depth is known nearer than {FAR_M:.0f} m.")
    points, upward = grid[known], grid[known & _faces_up(grid)]
    if len(upward) < MIN_SHARE * len(points):
        return GroundResult(
            None,
            f"Only {len(upward) / len(points):.0%} of the photo faces up; a ground needs "
            f"{MIN_SHARE:.0%}. Take a photo that shows the floor.",
        )
    plane = _largest_plane(upward)
    if plane is not None:
        plane = _lower_plane(upward, plane)
    if plane is None or _on(upward, plane).mean() < _CONSENSUS:
        return GroundResult(None, "The surfaces that face up do not lie in one plane.")
    share = float(_on(points, plane).mean())
    if share < MIN_SHARE:
        return GroundResult(
            None,
            f"Only {share:.1%} of the photo lies in one level plane; {MIN_SHARE:.0%} is needed.",
        )
    size = float(np.linalg.norm(plane))
    ground = Ground(-plane / size, 1 / size, share)
    if abs(ground.roll_deg) > MAX_ROLL_DEG:
        return GroundResult(
            None,
            f"The plane that looks like a ground leans {abs(ground.roll_deg):.0f}° to the side; "
            f"at most {MAX_ROLL_DEG:.0f}° is believed.",
        )
    return GroundResult(ground, "")


def _faces_up(points: Float[ndarray, "r c 3"]) -> Bool[ndarray, "r c"]:
    """Return where the surface through a point's neighbours faces up; the border does not."""
    right = points[1:-1, 2:] - points[1:-1, :-2]
    down = points[2:, 1:-1] - points[:-2, 1:-1]
    normal = np.cross(right, down)  # away from the camera: z x-right x y-down is forward
    # NaN, next to unknown depth, compares as False.
    level = normal[..., 1] >= _MIN_COSINE * np.linalg.norm(normal, axis=-1)
    return np.pad(level, 1)


def _largest_plane(points: Float[ndarray, "n 3"]) -> Float[ndarray, "3"] | None:
    """Return m of the plane that most points lie on, or None if three points span none."""
    rng = np.random.default_rng(0)
    corners = points[rng.integers(0, len(points), (_RANSAC_TRIALS, 3))]
    spans = np.abs(np.linalg.det(corners)) > 1e-6 * np.prod(
        np.linalg.norm(corners, axis=-1), axis=-1
    )
    planes = np.linalg.solve(corners[spans], np.ones((int(spans.sum()), 3, 1)))[..., 0]
    sizes = np.linalg.norm(planes, axis=-1)
    planes = planes[planes[:, 1] >= _MIN_COSINE * sizes]
    if not len(planes):
        return None
    sample = points[rng.permutation(len(points))[:_RANSAC_SAMPLE]]
    inliers = (np.abs(sample @ planes.T - 1) <= TOLERANCE).sum(axis=0)
    return _refine(points, planes[int(inliers.argmax())])


def _lower_plane(points: Float[ndarray, "n 3"], plane: Float[ndarray, "3"]) -> ndarray:
    """Return a floor below the plane if enough points lie on one, else the plane."""
    below = points[points @ plane > 1 + 3 * TOLERANCE]
    if len(below) < _LOWER * len(points) * MIN_SHARE:
        return plane
    lower = _largest_plane(below)
    if lower is None or _on(below, lower).sum() < _LOWER * _on(points, plane).sum():
        return plane
    cosine = lower @ plane / (np.linalg.norm(lower) * np.linalg.norm(plane))
    return lower if cosine > math.cos(math.radians(10)) else plane


def _refine(points: Float[ndarray, "n 3"], plane: Float[ndarray, "3"]) -> Float[ndarray, "3"]:
    """Return the plane by least squares with Tukey's weights, which end at three tolerances."""
    for _ in range(_REFINEMENTS):
        residual = (points @ plane - 1) / (2 * TOLERANCE)
        weight = np.where(np.abs(residual) < 1, (1 - residual**2) ** 2, 0)
        weighted = points * weight[:, None]
        plane = np.linalg.lstsq(weighted.T @ points, weighted.sum(axis=0), rcond=None)[0]
    return plane


def _on(points: Float[ndarray, "n 3"], plane: Float[ndarray, "3"]) -> Bool[ndarray, " n"]:
    return np.abs(points @ plane - 1) <= TOLERANCE
