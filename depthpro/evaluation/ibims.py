"""The measures of the iBims benchmark: depth boundaries, near or far, and planes.

They are what Table 6 of the paper reports. Masks are True where a pixel counts.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.ndimage import distance_transform_edt
from skimage.feature import canny

REACH_PX = 10.0
"""Predicted edges at least this far from every true one are left out of the accuracy."""
LEAST_PLANE_SHARE = 0.05
"""Planes that cover less of the picture are left out."""


class BoundaryErrors(NamedTuple):
    """Mean distances between predicted and true depth edges, in pixels."""

    accuracy_px: float
    completeness_px: float


class DirectedErrors(NamedTuple):
    """Shares of the pixels, in [0, 1]; all 0 where no pixel counts.

    Attributes:
        correct: DDE0, on the same side of the plane as the target.
        too_near: DDE-, before the plane though the target is behind it.
        too_far: DDE+, behind the plane though the target is not.
    """

    correct: float
    too_near: float
    too_far: float


class PlaneErrors(NamedTuple):
    """Flatness and orientation errors of each of k planes; the benchmark reports their means.

    Attributes:
        flatness_m: Standard deviation of the points' distance from their best plane, in metres.
        orientation_deg: Angle between that plane and the true one, in [0, 90] degrees.
        kept: Which of the p given planes are large enough to be among the k.
    """

    flatness_m: Float[ndarray, " k"]
    orientation_deg: Float[ndarray, " k"]
    kept: Bool[ndarray, " p"]


def depth_boundary_errors(
    prediction: Float[ndarray, "h w"],
    edges: Bool[ndarray, "h w"],
    mask: Bool[ndarray, "h w"] | None = None,
) -> BoundaryErrors:
    """Return the mean distances from predicted to annotated depth edges, and back.

    Predicted edges are Canny's (sigma = sqrt 2, thresholds 0.1 and 0.2) in depth scaled to [0, 1]
    over the mask. Accuracy is over predicted edges less than 10 pixels from an annotated one;
    completeness over all annotated edges. Without a predicted edge that near both are 10.

    Args:
        prediction: Depth in any unit, positive and finite where it counts.
        edges: Annotated depth edges, at least one pixel.
        mask: Where the prediction counts; None for everywhere.

    Raises:
        ValueError: Shapes differ, no edge is annotated, or a counted depth is not positive and
            finite.

    Source: Table 6 after Koch et al. 2018; FACTS 5.5. Canny is scikit-image's.
    """
    valid = _mask(mask, prediction, edges)
    if not (edges.any() and valid.any()):
        raise ValueError("no edge is annotated, or no pixel counts; leave the picture out")
    _require_depth(prediction[valid], "prediction")
    low, high = prediction[valid].min(), prediction[valid].max()
    scaled = np.where(valid, (prediction - low) / max(high - low, np.finfo(float).tiny), 0)
    found = canny(scaled.astype(float), math.sqrt(2), 0.1, 0.2, valid)  # sigma, low, high, mask
    to_edge = _distance_px(edges)
    near = found & (to_edge < REACH_PX)
    if not near.any():
        return BoundaryErrors(REACH_PX, REACH_PX)
    return BoundaryErrors(float(to_edge[near].mean()), float(_distance_px(found)[edges].mean()))


def directed_depth_errors(
    prediction: Float[ndarray, "h w"],
    target: Float[ndarray, "h w"],
    mask: Bool[ndarray, "h w"] | None = None,
    plane_m: float = 3.0,
) -> DirectedErrors:
    """Return the shares of pixels on the right and on the wrong sides of a plane at `plane_m`.

    Depths are in metres; a point on the plane counts as before it. The mask is where the target is
    valid; None for everywhere.

    Source: Table 6 after Koch et al. 2018; FACTS 5.5. Which sign is which follows from the table:
    a model with outputs in [0, 1], all before the plane, has DDE- = 41 % and DDE+ = 0.
    """
    valid = _mask(mask, prediction, target)
    near, truly_near = prediction[valid] <= plane_m, target[valid] <= plane_m
    cases = (near == truly_near, near & ~truly_near, truly_near & ~near)
    return DirectedErrors(*(float(case.sum() / max(len(case), 1)) for case in cases))


def plane_errors(
    prediction: Float[ndarray, "h w"],
    target: Float[ndarray, "h w"],
    planes: Bool[ndarray, "p h w"],
    rays: Float[ndarray, "h w 3"],
    mask: Bool[ndarray, "h w"] | None = None,
    normals: Float[ndarray, "p 3"] | None = None,
) -> PlaneErrors:
    """Return how flat planes are and how far they are turned from the true ones.

    In each plane the prediction is scaled by the ratio of medians to the target; the plane is
    fitted to its points by least squares of distances.

    Args:
        prediction: Depth in any unit, positive.
        target: Metres.
        planes: Masks of annotated planes; those that cover less than 5 % are left out.
        rays: The point at depth 1 of each pixel, in the camera frame.
        mask: Where the target is valid; None for everywhere.
        normals: True normals in the camera frame, of any length and sign; None for those of the
            planes fitted to the target.

    Raises:
        ValueError: Shapes differ, or a counted depth is not positive and finite.

    Source: Table 6 after Koch et al. 2018; FACTS 5.5.
    """
    valid = _mask(mask, prediction, target, *planes)
    for name, depth in (("prediction", prediction), ("target", target)):
        _require_depth(depth[valid], name)
    counted = planes & valid
    kept = counted.sum((1, 2)) >= LEAST_PLANE_SHARE * valid.size
    flatness, orientation = np.zeros(len(planes)), np.zeros(len(planes))
    for k in np.flatnonzero(kept):
        depth, true = (maps[counted[k], None].astype(float) for maps in (prediction, target))
        directions = rays[counted[k]]
        normal, flatness[k] = _fit_plane(directions * depth * (np.median(true) / np.median(depth)))
        true_normal = _fit_plane(directions * true)[0] if normals is None else normals[k]
        orientation[k] = _angle_deg(normal, true_normal)
    return PlaneErrors(flatness[kept], orientation[kept], kept)


def _fit_plane(points: Float[ndarray, "n 3"]) -> tuple[Float[ndarray, "3"], float]:
    """Return the best plane's unit normal and the standard deviation of distances to it."""
    variances, axes = np.linalg.eigh(np.cov(points.T, bias=True))
    return axes[:, 0], math.sqrt(max(variances[0], 0.0))


def _angle_deg(normal: Float[ndarray, "3"], other: Float[ndarray, "3"]) -> float:
    """Return the angle between two planes by their normals of any length, in [0, 90]."""
    sine = np.linalg.norm(np.cross(normal, other))  # exact at small angles
    return math.degrees(math.atan2(sine, abs(normal @ other)))


def _distance_px(edges: Bool[ndarray, "h w"]) -> Float[ndarray, "h w"]:
    return np.asarray(distance_transform_edt(~edges))


def _mask(mask: ndarray | None, *maps: ndarray) -> Bool[ndarray, "h w"]:
    valid = np.ones(maps[0].shape, dtype=bool) if mask is None else mask
    if valid.ndim != 2 or any(each.shape != valid.shape for each in maps) or valid.dtype != bool:
        shapes = ", ".join(str(each.shape) for each in (valid, *maps))
        raise ValueError(
            f"maps, edges, planes and boolean mask must have one size (h, w); got {shapes} with a "
            f"mask of {valid.dtype}; resize them before the call"
        )
    return valid


def _require_depth(values: ndarray, name: str) -> None:
    wrong = values[~((values > 0) & (values < np.inf))]
    if len(wrong):
        raise ValueError(
            f"{name} must be positive and finite where it counts; got {wrong[0]:g}; pass a mask"
        )
