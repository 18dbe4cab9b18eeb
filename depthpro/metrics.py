"""The paper's measures: depth, focal length, point clouds, boundaries, and the average rank.

Depth is in metres. Measures of maps take one map (h, w) or a batch (b, h, w), arrays or tensors,
and return the same kind, one value a picture. The measures of the iBims benchmark are in
`depthpro.evaluation.ibims`.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.spatial import KDTree
from torch import Tensor

from depthpro.boundary import (
    BoundaryCurve,
    Maps,
    Mask,
    PerPicture,
    as_batch,
    as_given,
    as_tensor,
    boundary_f1,
    boundary_precision_recall,
    boundary_recall,
)
from depthpro.geometry import MAX_DEPTH_M, MIN_DEPTH_M, fov_from_focal

__all__ = [
    "BoundaryCurve",
    "DepthMetrics",
    "FocalAccuracy",
    "PointCloudMetrics",
    "align_depth",
    "average_rank",
    "boundary_f1",
    "boundary_precision_recall",
    "boundary_recall",
    "depth_metrics",
    "focal_accuracy",
    "point_cloud_metrics",
]

LARGEST = torch.finfo(torch.float32).max
Alignment = Literal["none", "median_scale", "scale", "scale_and_shift"]


@dataclass(frozen=True)
class DepthMetrics:
    """Errors of each picture over its counted pixels; all 0 where it has none.

    Attributes:
        abs_rel: Mean of |d - d*| / d*, with d the prediction and d* the target.
        log10: Mean of |log10 d - log10 d*|.
        rmse: Square root of the mean of (d - d*)^2, in metres.
        delta1: Share of pixels, in [0, 1], with max(d / d*, d* / d) < 1.25.
        delta2: The same with 1.25^2.
        delta3: The same with 1.25^3.
        si_log: 100 times the standard deviation of ln d - ln d*.
        pixels: How many pixels counted.
    """

    abs_rel: PerPicture
    log10: PerPicture
    rmse: PerPicture
    delta1: PerPicture
    delta2: PerPicture
    delta3: PerPicture
    si_log: PerPicture
    pixels: PerPicture


@dataclass(frozen=True)
class FocalAccuracy:
    """Errors of estimated focal lengths.

    Attributes:
        relative_error: |f - f*| / f* of each picture.
        delta25: Share of pictures, in [0, 1], with a relative error below 25 %; 0 without pictures.
        delta50: The same with 50 %.
        fov_error_deg: Absolute error of each horizontal field of view, in degrees.
    """

    relative_error: PerPicture
    delta25: PerPicture
    delta50: PerPicture
    fov_error_deg: PerPicture


class PointCloudMetrics(NamedTuple):
    """Distances in metres and shares in [0, 1]."""

    chamfer_m: float
    precision: float
    recall: float
    f_score: float
    iou: float


def depth_metrics(
    prediction: Maps,
    target: Maps,
    mask: Mask | None = None,
    depth_range: tuple[float, float] | None = None,
    alignment: Alignment = "none",
) -> DepthMetrics:
    """Return the standard depth errors of each picture.

    A pixel counts where the mask is True and the target lies within `depth_range`; the aligned
    prediction is clamped to that range.

    | alignment | the prediction becomes |
    |---|---|
    | "none" | what it is: metric depth |
    | "median_scale" | d times median(d*) / median(d), medians the lower middle ones |
    | "scale" | inverse depth a / d, the a by least squares against 1 / d* |
    | "scale_and_shift" | inverse depth a / d + b, likewise |

    The last two fit inverse depth, which relative models predict up to scale and shift; values of 0
    or below become the far end of the range. A constant prediction is fitted by the shift alone.

    Args:
        prediction: Positive depth: in metres, or for an alignment in any unit; infinite is sky.
            For a relative model, 1 over its output.
        target: Metres; 0, NaN or infinite where unknown.
        mask: True where the target is valid; None for everywhere.
        depth_range: Metres, both ends included; None for 0.0001 to 10000, the network's range.
        alignment: As in the table; with the pixels that count.

    Raises:
        ValueError: Shapes differ, the range is empty, or a counted prediction is not positive.

    Source: Appendix C.6; FACTS 6.1, 12. Clamping is this project's choice.
    """
    depth, truth, valid = _align(prediction, target, mask, depth_range, alignment)
    log_ratio = depth.log() - truth.log()
    ratio = torch.maximum(depth / truth, truth / depth)
    deviation = log_ratio - _mean(log_ratio, valid)  # first, or the squares would cancel
    means = [
        _mean((depth - truth).abs() / truth, valid),
        _mean(log_ratio.abs(), valid) / math.log(10),
        _mean((depth - truth).square(), valid).sqrt(),
        *(_mean((ratio < 1.25**power).to(depth), valid) for power in (1, 2, 3)),
        100 * _mean(deviation.square(), valid).sqrt(),
    ]
    values = [*(mean[:, 0, 0] for mean in means), valid.sum((1, 2))]
    return DepthMetrics(*(as_given(value, prediction) for value in values))


def align_depth(
    prediction: Maps,
    target: Maps,
    mask: Mask | None = None,
    depth_range: tuple[float, float] | None = None,
    alignment: Alignment = "none",
) -> Maps:
    """Return the prediction as `depth_metrics` compares it; 1 at pixels that do not count.

    Arguments and errors are those of `depth_metrics`.
    """
    depth, _, _ = _align(prediction, target, mask, depth_range, alignment)
    return as_given(depth, prediction)


def _align(
    prediction: Maps,
    target: Maps,
    mask: Mask | None,
    depth_range: tuple[float, float] | None,
    alignment: Alignment,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return aligned prediction, target and which pixels count; both are 1 at those that do not."""
    low, high = depth_range or (MIN_DEPTH_M, MAX_DEPTH_M)
    if not 0 < low < high < math.inf:
        raise ValueError(f"depth_range must be 0 < near < far in metres, got {depth_range}")
    depth, truth, valid = as_batch(prediction, target, mask)
    valid = valid & (truth >= low) & (truth <= high)
    if not ((depth > 0) | ~valid).all():
        raise ValueError(
            "a predicted depth must be positive where the target counts; got "
            f"{depth[valid & ~(depth > 0)][0]:g}; clamp it, or mask the pixel"
        )
    depth, truth = depth.where(valid, 1).clamp(max=LARGEST), truth.where(valid, 1)
    depth = _aligned(depth, truth, valid, alignment, 1 / high).clamp(low, high)
    return depth.where(valid, 1), truth, valid


def focal_accuracy(
    f_px: Float[Tensor, " n"] | Float[ndarray, " n"],
    target_f_px: Float[Tensor, " n"] | Float[ndarray, " n"],
    width: int | Int[Tensor, " n"] | Int[ndarray, " n"],
) -> FocalAccuracy:
    """Return how far n estimated focal lengths are from the true ones.

    Args:
        f_px: Estimates in pixels, positive.
        target_f_px: The true ones.
        width: Of the pictures, in pixels; one for all or one each.

    Raises:
        ValueError: Shapes differ, or a value is not positive and finite.

    Source: Section 4, Table 3; FACTS 4.
    """
    estimate, truth, columns = (as_tensor(values) for values in (f_px, target_f_px, width))
    one_shape = estimate.ndim == 1 and estimate.shape == truth.shape
    if not one_shape or columns.shape not in ((), truth.shape):
        raise ValueError(
            "focal lengths must have one shape (n,), and width that one or none; got shapes "
            f"{tuple(estimate.shape)}, {tuple(truth.shape)} and {tuple(columns.shape)}"
        )
    for name, values in (("f_px", estimate), ("target_f_px", truth), ("width", columns)):
        wrong = values[~((values > 0) & (values < math.inf))]
        if len(wrong):
            raise ValueError(f"{name} must be positive pixels; got {wrong[0]:g}; leave it out")
    error = (estimate - truth).abs() / truth
    delta25, delta50 = ((error < bound).sum() / max(len(error), 1) for bound in (0.25, 0.5))
    estimate_deg, truth_deg = (fov_from_focal(focal / columns, 1) for focal in (estimate, truth))
    values = (error, delta25, delta50, (estimate_deg - truth_deg).abs())
    return FocalAccuracy(*(as_given(value, f_px) for value in values))


def point_cloud_metrics(
    prediction: Float[ndarray, "n 3"], target: Float[ndarray, "m 3"], threshold_m: float = 0.1
) -> PointCloudMetrics:
    """Return how far apart two point clouds are.

    Chamfer is the mean distance of predicted points to the nearest target point plus that of
    target points to the nearest predicted one. Precision is the share of predicted points nearer
    than the threshold to a target point, recall that of target points to a predicted one; their
    F-score and IoU are 2 P R / (P + R) and P R / (P + R - P R), 0 where both are 0.

    Args:
        prediction: Points in metres, such as `geometry.unproject(depth, f_px)[mask]`.
        target: Points in the same frame.
        threshold_m: Greatest distance of a hit, exclusive.

    Raises:
        ValueError: A cloud is empty or a coordinate is not finite.

    Source: Appendix A.1 after Spencer et al. 2022; FACTS 6.1.
    """
    for name, points in (("prediction", prediction), ("target", target)):
        if points.ndim != 2 or points.shape[1] != 3 or not len(points):
            raise ValueError(f"{name} must be points (n, 3), n > 0; got shape {points.shape}")
        if not np.isfinite(points).all():
            raise ValueError(f"{name} holds a coordinate that is not finite; leave the point out")
    to_target = KDTree(target).query(prediction)[0]
    to_prediction = KDTree(prediction).query(target)[0]
    chamfer = float(to_target.mean() + to_prediction.mean())
    precision = float((to_target < threshold_m).mean())
    recall = float((to_prediction < threshold_m).mean())
    product, total = precision * recall, precision + recall
    if total == 0:
        return PointCloudMetrics(chamfer, precision, recall, f_score=0.0, iou=0.0)
    f_score, iou = 2 * product / total, product / (total - product)
    return PointCloudMetrics(chamfer, precision, recall, f_score, iou)


def average_rank(
    scores: Float[ndarray, "methods sets"], higher_is_better: bool = True
) -> Float[ndarray, " methods"]:
    """Return each method's mean rank over data sets, 1 for the best everywhere.

    Args:
        scores: A row a method, a column a data set; NaN where a method has no score, and no rank.
            Equal scores share the mean of their ranks.
        higher_is_better: As for delta1; False for errors.

    Raises:
        ValueError: A method has no score at all.

    Source: Table 1; FACTS 6.1. Ties are this project's choice.
    """
    if scores.ndim != 2 or np.isnan(scores).all(axis=1).any():
        raise ValueError(
            "scores must be methods x sets with a score for every method; "
            f"got shape {scores.shape} with {np.isnan(scores).sum()} missing; leave out such rows"
        )
    from scipy.stats import rankdata  # takes longer to load than the rest of this module

    ranks = rankdata(-scores if higher_is_better else scores, axis=0, nan_policy="omit")
    return np.nanmean(ranks, axis=1)


def _aligned(
    depth: Tensor, target: Tensor, valid: Tensor, alignment: Alignment, least_inverse: float
) -> Tensor:
    """Return depth in metres, aligned over the valid pixels of each picture."""
    if alignment == "none":
        return depth
    if alignment == "median_scale":
        return depth * (_median(target, valid) / _median(depth, valid))
    if alignment not in get_args(Alignment):
        raise ValueError(f"alignment must be one of {get_args(Alignment)}; got {alignment!r}")
    x, y = 1 / depth, 1 / target
    mean_x = mean_y = torch.zeros_like(x[:, :1, :1])
    if alignment == "scale_and_shift":
        mean_x, mean_y = _mean(x, valid), _mean(y, valid)
    x, y = x - mean_x, y - mean_y
    square = _mean(x.square(), valid)
    slope = _mean(x * y, valid) / square.where(square > 0, 1)
    return 1 / (slope * x + mean_y).clamp(min=least_inverse)


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    """Return the mean over a picture's valid pixels (b, 1, 1), 0 where there is none."""
    count = valid.sum((1, 2), keepdim=True).clamp(min=1)
    return values.where(valid, 0).sum((1, 2), keepdim=True) / count


def _median(values: Tensor, valid: Tensor) -> Tensor:
    """Return the lower median of a picture's valid pixels (b, 1, 1), 1 where there is none."""
    median = values.where(valid, torch.nan).flatten(1).nanmedian(1).values
    return median.nan_to_num(1.0)[:, None, None]
