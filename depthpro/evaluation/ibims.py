"""The measures of the iBims benchmark: depth edges, sides of a plane at 3 m, and flat surfaces.

The fields of the results are names of scores. Pixels count where the mask is True; depth is
positive and finite there.

Source: Table 6 after Koch et al. 2018.
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
MIN_PLANE_SHARE = 0.05
"""Planes that cover less of the picture are left out."""
PLANE_M = 3.0
"""Distance of the plane that divides near from far."""

Map = Float[ndarray, "h w"]
Mask = Bool[ndarray, "h w"]


class BoundaryErrors(NamedTuple):
    """Mean distances between predicted and true depth edges, in pixels."""

    dbe_accuracy_px: float
    """Over predicted edges less than 10 pixels from a true one."""
    dbe_completeness_px: float
    """Over all true edges."""


class DirectedErrors(NamedTuple):
    """Shares of the pixels, in [0, 1]; all 0 where no pixel counts."""

    dde_0: float
    """On the same side of the plane as the target."""
    dde_minus: float
    """Before the plane though the target is behind it."""
    dde_plus: float
    """Behind the plane though the target is not."""


class PlaneErrors(NamedTuple):
    """Means over planes."""

    plane_flatness_m: float
    """Standard deviation of the points' distance from their best plane."""
    plane_orientation_deg: float
    """Angle between that plane and the best one of the true points, in [0, 90]."""


def depth_boundary_errors(prediction: Map, edges: Mask, mask: Mask) -> BoundaryErrors:
    """Return the mean distances from predicted to annotated depth edges, and back.

    Predicted edges are scikit-image's Canny (sigma = sqrt 2, thresholds 0.1 and 0.2) in depth of
    any unit, scaled to [0, 1] over the mask. Without one less than 10 pixels from an annotated
    one, of which there is at least one, both distances are 10.
    """
    low, high = prediction[mask].min(), prediction[mask].max()
    scaled = np.where(mask, (prediction - low) / max(high - low, np.finfo(float).tiny), 0)
    predicted = canny(scaled.astype(float), math.sqrt(2), 0.1, 0.2, mask)  # sigma, low, high, mask
    to_true = np.asarray(distance_transform_edt(~edges))
    near = predicted & (to_true < REACH_PX)
    if not near.any():
        return BoundaryErrors(REACH_PX, REACH_PX)
    to_predicted = np.asarray(distance_transform_edt(~predicted))
    return BoundaryErrors(float(to_true[near].mean()), float(to_predicted[edges].mean()))


def directed_depth_errors(prediction: Map, target: Map, mask: Mask) -> DirectedErrors:
    """Return the shares of pixels on the right and on the wrong sides of the plane, in metres.

    A point on the plane counts as before it. Which sign is which follows from the paper's table: a
    model with outputs in [0, 1], all before the plane, has DDE- = 41 % and DDE+ = 0.
    """
    near, truly_near = prediction[mask] <= PLANE_M, target[mask] <= PLANE_M
    cases = (near == truly_near, near & ~truly_near, truly_near & ~near)
    return DirectedErrors(*(float(case.sum() / max(len(case), 1)) for case in cases))


def plane_errors(
    prediction: Map,
    target: Map,
    planes: Bool[ndarray, "p h w"],
    rays: Float[ndarray, "h w 3"],
    mask: Mask,
) -> PlaneErrors | None:
    """Return how flat planes are and how far they are turned; None if none is large enough.

    In each plane the prediction, of any unit, is scaled by the ratio of medians to the target, in
    metres; planes are fitted to points by least squares of distances. `rays` are the points at
    depth 1 of each pixel, in the camera frame.
    """
    errors = []
    for counted in planes & mask:
        if counted.sum() >= MIN_PLANE_SHARE * mask.size:
            depth, true = (maps[counted, None].astype(float) for maps in (prediction, target))
            scale = np.median(true) / np.median(depth)
            normal, deviation = _fit_plane(rays[counted] * depth * scale)
            true_normal, _ = _fit_plane(rays[counted] * true)
            sine = np.linalg.norm(np.cross(normal, true_normal))  # exact at small angles
            angle = math.degrees(math.atan2(sine, abs(normal @ true_normal)))
            errors.append((deviation, angle))
    return PlaneErrors(*np.mean(errors, axis=0).tolist()) if errors else None


def _fit_plane(points: Float[ndarray, "n 3"]) -> tuple[Float[ndarray, "3"], float]:
    """Return the best plane's unit normal and the standard deviation of distances to it."""
    variances, axes = np.linalg.eigh(np.cov(points.T, bias=True))
    return axes[:, 0], math.sqrt(max(variances[0], 0.0))
