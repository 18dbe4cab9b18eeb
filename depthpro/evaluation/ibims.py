"""The measures of the iBims benchmark: depth edges, sides of a plane at 3 m, and flat surfaces.

Each function returns scores by name. Pixels count where the mask is True; depth is positive and
finite there.

Source: Table 6 after Koch et al. 2018.
"""

import math

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.ndimage import distance_transform_edt
from skimage.feature import canny

REACH_PX = 10.0  # predicted edges this far from every true one are left out of the accuracy
MIN_PLANE_SHARE = 0.05  # planes that cover less of the picture are left out
PLANE_M = 3.0  # distance of the plane that divides near from far

Map = Float[ndarray, "h w"]
Mask = Bool[ndarray, "h w"]
Scores = dict[str, float]


def depth_boundary_errors(prediction: Map, edges: Mask, mask: Mask) -> Scores:
    """Return mean distances in pixels between predicted and annotated depth edges.

    `dbe_accuracy_px` is over predicted edges less than 10 pixels from an annotated one,
    `dbe_completeness_px` over all annotated ones, of which there is at least one. Both are 10
    where no predicted edge is that near.

    Predicted edges are scikit-image's Canny (sigma = sqrt 2, thresholds 0.1 and 0.2) in depth of
    any unit, scaled to [0, 1] over the mask.
    """
    low, high = prediction[mask].min(), prediction[mask].max()
    scaled = np.where(mask, (prediction - low) / max(high - low, np.finfo(float).tiny), 0)
    predicted = canny(scaled.astype(float), math.sqrt(2), 0.1, 0.2, mask)  # sigma, low, high, mask
    to_true = np.asarray(distance_transform_edt(~edges))
    near = predicted & (to_true < REACH_PX)
    if not near.any():
        return {"dbe_accuracy_px": REACH_PX, "dbe_completeness_px": REACH_PX}
    completeness = np.asarray(distance_transform_edt(~predicted))[edges].mean()
    accuracy = to_true[near].mean()
    return {"dbe_accuracy_px": float(accuracy), "dbe_completeness_px": float(completeness)}


def directed_depth_errors(prediction: Map, target: Map, mask: Mask) -> Scores:
    """Return shares of pixels, depth in metres; all 0 where no pixel counts.

    `dde_0` is the share on the same side of the plane as the target, `dde_minus` before the plane
    though the target is behind it, `dde_plus` behind it though the target is not. A point on the
    plane counts as before it. Which sign is which follows from the paper's table: a model with
    outputs in [0, 1], all before the plane, has DDE- = 41 % and DDE+ = 0.
    """
    near, truly_near = prediction[mask] <= PLANE_M, target[mask] <= PLANE_M
    same, before, behind = near == truly_near, near & ~truly_near, truly_near & ~near
    cases = {"dde_0": same, "dde_minus": before, "dde_plus": behind}
    return {name: float(case.sum() / max(len(case), 1)) for name, case in cases.items()}


def plane_errors(
    prediction: Map,
    target: Map,
    planes: Bool[ndarray, "p h w"],
    rays: Float[ndarray, "h w 3"],
    mask: Mask,
) -> Scores:
    """Return how flat planes are and how far they are turned; empty if none is large enough.

    `plane_flatness_m` is the standard deviation of the points' distances from their best plane,
    `plane_orientation_deg` the angle, in [0, 90], between it and the best plane of the true
    points; both are means over planes. In each plane the prediction, of any unit, is scaled by the
    ratio of medians to the target, in metres; planes are fitted by least squares of distances.
    `rays` are the points at depth 1 of each pixel, in the camera frame.
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
    if not errors:
        return {}
    flatness, orientation = np.mean(errors, axis=0).tolist()
    return {"plane_flatness_m": flatness, "plane_orientation_deg": orientation}


def _fit_plane(points: Float[ndarray, "n 3"]) -> tuple[Float[ndarray, "3"], float]:
    """Return the best plane's unit normal and the standard deviation of distances to it."""
    variances, axes = np.linalg.eigh(np.cov(points.T, bias=True))
    return axes[:, 0], math.sqrt(max(variances[0], 0.0))
