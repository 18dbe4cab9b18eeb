"""The ground: the level plane that most of what faces up lies on, and heights above it.

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

TOLERANCE = 0.03
"""Points whose depth differs from the plane's by at most this share lie on it."""
MAX_TILT_DEG = 45.0
"""What faces up is within this angle of the camera's own up."""
MIN_SHARE = 0.05
"""A ground covers at least this share of the pixels whose depth is known."""

_FAR_M = 200.0  # what is farther is sky or a guess
_SIDE = 192  # samples along the longer side
_TRIALS = 300
_JURY = 3000  # points that vote; all of them refine
_ROUNDS = 8  # of the refinement
_CONSENSUS = 0.25  # of what faces up must agree, or it is no plane
_LOWER = 0.5  # a lower plane with this share of the points is the floor, the upper one furniture


@dataclass(frozen=True, eq=False)
class Ground:
    """A plane in the camera frame: x right, y down, z forward, metres."""

    normal: Float[ndarray, "3"]
    """Unit vector that points up, to the camera's side."""
    offset_m: float
    """Height above the ground is normal · point + offset_m."""
    inlier_share: float
    """Share of the pixels with a known depth that lie on it, within `TOLERANCE`."""

    @property
    def camera_height_m(self) -> float:
        """Height of the camera above the ground."""
        return self.offset_m

    @property
    def tilt_deg(self) -> float:
        """Angle between the camera's up and the ground's."""
        return math.degrees(math.acos(min(1.0, -float(self.normal[1]))))

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
        return points @ self.normal + self.offset_m


class Search(NamedTuple):
    """A ground, or why there is none."""

    ground: Ground | None
    reason: str
    """A sentence for people; empty if there is a ground."""


def ground_of(prediction: Prediction) -> Search:
    """Return the ground of a photo, or why there is none; the same wherever the page asks."""
    height, width = surface_size(prediction, _SIDE)
    depth = prediction.depth_at(height, width)[0].numpy()
    return search_ground(depth, float(prediction.f_px_at(width)[0]))


def fit_ground(depth: Float[ndarray, "h w"], f_px: float) -> Ground | None:
    """Return the ground of a photo, or None if it shows none.

    Args:
        depth: Metres along the optical axis; what is not finite and positive is unknown.
        f_px: Focal length in pixels of a picture as wide as `depth`.
    """
    return search_ground(depth, f_px).ground


def search_ground(depth: Float[ndarray, "h w"], f_px: float) -> Search:
    """Return the ground as `fit_ground` does, and the reason if there is none."""
    points, known = _sample(depth, f_px)
    if not known.any():
        return Search(None, f"No depth is known nearer than {_FAR_M:.0f} m.")
    upward = points[known & _faces_up(points)]
    everything = points[known]
    if len(upward) < MIN_SHARE * len(everything):
        share = len(upward) / len(everything)
        return Search(
            None,
            f"Only {share:.0%} of the photo faces up; a ground needs {MIN_SHARE:.0%}. "
            "Take a photo that shows the floor.",
        )
    plane = _largest_plane(upward)
    if plane is not None:
        plane = _lower_plane(upward, plane)
    if plane is None or _on(upward, plane).mean() < _CONSENSUS:
        return Search(None, "What faces up in this photo does not lie in one plane.")
    share = float(_on(everything, plane).mean())
    if share < MIN_SHARE:
        return Search(
            None,
            f"Only {share:.1%} of the photo lies in one level plane; {MIN_SHARE:.0%} is needed.",
        )
    size = float(np.linalg.norm(plane))
    return Search(Ground(-plane / size, 1 / size, share), "")


def _sample(
    depth: Float[ndarray, "h w"], f_px: float
) -> tuple[Float[ndarray, "r c 3"], Bool[ndarray, "r c"]]:
    """Return the points of a coarse grid of pixels, and whose depth is known."""
    height, width = depth.shape
    step = max(1, -(-max(height, width) // _SIDE))
    rows, columns = np.arange(step // 2, height, step), np.arange(step // 2, width, step)
    z = depth[np.ix_(rows, columns)].astype(np.float64)
    known = np.isfinite(z) & (z > 0) & (z < _FAR_M)
    z = np.where(known, z, np.nan)
    x, y = (columns - (width - 1) / 2) / f_px, (rows - (height - 1) / 2) / f_px
    return np.stack([z * x, z * y[:, None], z], axis=-1), known


def _faces_up(points: Float[ndarray, "r c 3"]) -> Bool[ndarray, "r c"]:
    """Return where the surface through a point and its neighbours faces up; the rim does not."""
    faces = np.zeros(points.shape[:2], bool)
    if min(faces.shape) < 3:
        return faces
    right = points[1:-1, 2:] - points[1:-1, :-2]
    down = points[2:, 1:-1] - points[:-2, 1:-1]
    normal = np.cross(right, down)  # away from the camera: z x-right x y-down is forward
    with np.errstate(invalid="ignore"):
        steep = normal[..., 1] >= math.cos(math.radians(MAX_TILT_DEG)) * np.linalg.norm(
            normal, axis=-1
        )
    faces[1:-1, 1:-1] = steep & np.isfinite(normal).all(axis=-1)
    return faces


def _largest_plane(points: Float[ndarray, "n 3"]) -> Float[ndarray, "3"] | None:
    """Return m of the plane that most points lie on, or None if three points span none."""
    random = np.random.default_rng(0)
    corners = points[random.integers(0, len(points), (_TRIALS, 3))]
    spans = np.abs(np.linalg.det(corners)) > 1e-6 * np.prod(
        np.linalg.norm(corners, axis=-1), axis=-1
    )
    planes = np.linalg.solve(corners[spans], np.ones((int(spans.sum()), 3, 1)))[..., 0]
    planes = planes[_level(planes)]
    if not len(planes):
        return None
    jury = points[random.permutation(len(points))[:_JURY]]
    found = (np.abs(jury @ planes.T - 1) <= TOLERANCE).sum(axis=0)
    return _refine(points, planes[int(found.argmax())])


def _lower_plane(points: Float[ndarray, "n 3"], plane: Float[ndarray, "3"]) -> ndarray:
    """Return a floor below the plane where one is as good as seen; else the plane."""
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
    for _ in range(_ROUNDS):
        residual = (points @ plane - 1) / (2 * TOLERANCE)
        weight = np.where(np.abs(residual) < 1, (1 - residual**2) ** 2, 0)
        weighted = points * weight[:, None]
        plane = np.linalg.lstsq(weighted.T @ points, weighted.sum(axis=0), rcond=None)[0]
    return plane


def _on(points: Float[ndarray, "n 3"], plane: Float[ndarray, "3"]) -> Bool[ndarray, " n"]:
    return np.abs(points @ plane - 1) <= TOLERANCE


def _level(planes: Float[ndarray, "n 3"]) -> Bool[ndarray, " n"]:
    size = np.linalg.norm(planes, axis=-1)
    return planes[:, 1] >= math.cos(math.radians(MAX_TILT_DEG)) * size
