"""The paper's measures: depth, focal length, point clouds, boundaries, and the average rank.

Depth is in metres. Measures of maps take one map (h, w) or a batch (b, h, w), arrays or tensors,
and return the same kind, one value a picture.
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

from depthpro.boundary import BoundaryCurve as BoundaryCurve
from depthpro.boundary import Maps, Mask, PerPicture, as_batch, as_given, as_tensor
from depthpro.boundary import boundary_f1 as boundary_f1
from depthpro.boundary import boundary_precision_recall as boundary_precision_recall
from depthpro.boundary import boundary_recall as boundary_recall
from depthpro.geometry import MAX_DEPTH_M, MIN_DEPTH_M, fov_from_focal

Alignment = Literal["none", "median_scale", "scale", "scale_and_shift"]


@dataclass(frozen=True)
class DepthMetrics:
    """Errors of each picture over its counted pixels, d against d*; all 0 where it has none."""

    abs_rel: PerPicture  # mean of |d - d*| / d*
    log10: PerPicture  # mean of |log10 d - log10 d*|
    rmse: PerPicture  # square root of the mean of (d - d*)^2, in metres
    delta1: PerPicture  # share of pixels, in [0, 1], with max(d / d*, d* / d) < 1.25
    delta2: PerPicture  # the same with 1.25^2
    delta3: PerPicture  # the same with 1.25^3
    si_log: PerPicture  # 100 times the standard deviation of ln d - ln d*
    pixels: PerPicture  # how many pixels counted


@dataclass(frozen=True)
class FocalAccuracy:
    """Errors of estimated focal lengths."""

    relative_error: PerPicture  # |f - f*| / f* of each picture
    delta25: PerPicture  # share of pictures with a relative error below 25 %; 0 without pictures
    delta50: PerPicture  # the same with 50 %
    fov_error_deg: PerPicture  # absolute error of each horizontal field of view


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
    prediction is clamped to that range, which is this project's choice.

    | alignment | the prediction becomes |
    |---|---|
    | "none" | itself: metric depth |
    | "median_scale" | d times median(d*) / median(d), medians the lower middle ones |
    | "scale" | inverse depth a / d, the a by least squares against 1 / d* |
    | "scale_and_shift" | inverse depth a / d + b, likewise |

    The last two fit inverse depth, which relative models predict up to scale and shift; values of 0
    or below become the far end of the range. A constant prediction is fitted by the shift alone.

    Predictions are positive: in metres, or for an alignment in any unit (of a relative model, 1
    over its output); infinite is sky. Targets are in metres; 0, NaN or infinite where unknown.
    `depth_range` includes both ends; None is 0.0001 to 10000, the network's range.

    Raises:
        ValueError: Shapes differ, the range is empty, or a counted prediction is not positive.
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
    """Return the prediction as `depth_metrics` compares it; 1 at pixels that do not count."""
    depth, _, _ = _align(prediction, target, mask, depth_range, alignment)
    return as_given(depth, prediction)


def focal_accuracy(
    f_px: Float[Tensor, " n"] | Float[ndarray, " n"],
    target_f_px: Float[Tensor, " n"] | Float[ndarray, " n"],
    width: int | Int[Tensor, " n"] | Int[ndarray, " n"],
) -> FocalAccuracy:
    """Return how far n estimated focal lengths in pixels are from the true ones.

    `width` is that of the pictures in pixels, one for all or one each. Source: Table 3.
    """
    estimate, truth, columns = (as_tensor(values) for values in (f_px, target_f_px, width))
    fit = estimate.shape == truth.shape and columns.shape in ((), truth.shape)
    if not fit or not all(((v > 0) & (v < math.inf)).all() for v in (estimate, truth, columns)):
        raise ValueError(
            "expected n estimates, n true focal lengths and one or n widths, positive and finite, "
            f"in pixels; got {f_px}, {target_f_px} and {width}"
        )
    error = (estimate - truth).abs() / truth
    delta25, delta50 = ((error < bound).sum() / max(len(error), 1) for bound in (0.25, 0.5))
    estimate_deg, truth_deg = (fov_from_focal(focal / columns, 1) for focal in (estimate, truth))
    values = (error, delta25, delta50, (estimate_deg - truth_deg).abs())
    return FocalAccuracy(*(as_given(value, f_px) for value in values))


def point_cloud_metrics(
    prediction: Float[ndarray, "n 3"], target: Float[ndarray, "m 3"], threshold_m: float = 0.1
) -> PointCloudMetrics:
    """Return how far apart two point clouds are; points in metres, in one frame.

    Chamfer is the mean distance of predicted points to the nearest target point plus that of
    target points to the nearest predicted one. Precision is the share of predicted points nearer
    than the threshold to a target point, recall that of target points to a predicted one; their
    F-score and IoU are 2 P R / (P + R) and P R / (P + R - P R), 0 where both are 0.

    Raises:
        ValueError: A cloud is empty or a coordinate is not finite.

    Source: Appendix A.1 after Spencer et al. 2022.
    """
    for points in (prediction, target):
        if not len(points) or not np.isfinite(points).all():
            raise ValueError("a cloud must have points, and only points with finite coordinates")
    to_target = KDTree(target).query(prediction)[0]
    to_prediction = KDTree(prediction).query(target)[0]
    chamfer = float(to_target.mean() + to_prediction.mean())
    precision = float((to_target < threshold_m).mean())
    recall = float((to_prediction < threshold_m).mean())
    product, total = precision * recall, precision + recall or 1
    f_score, iou = 2 * product / total, product / (total - product)
    return PointCloudMetrics(chamfer, precision, recall, f_score, iou)


def average_rank(
    scores: Float[ndarray, "methods sets"], higher_is_better: bool = True
) -> Float[ndarray, " methods"]:
    """Return each method's mean rank over data sets, 1 for the best everywhere.

    A score of NaN is missing and has no rank; equal scores share the mean of their ranks.

    Raises:
        ValueError: A method has no score at all.
    """
    if np.isnan(scores).all(axis=1).any():
        raise ValueError("scores must have a score for every method (row); leave out empty rows")
    from scipy.stats import rankdata  # takes longer to load than the rest of this module

    ranks = rankdata(-scores if higher_is_better else scores, axis=0, nan_policy="omit")
    return np.nanmean(ranks, axis=1)


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
    if alignment not in get_args(Alignment):
        raise ValueError(f"alignment must be one of {get_args(Alignment)}; got {alignment!r}")
    depth, truth, valid = as_batch(prediction, target, mask)
    valid = valid & (truth >= low) & (truth <= high)
    if not ((depth > 0) | ~valid).all():
        raise ValueError(
            "a predicted depth must be positive where the target counts; got "
            f"{depth[valid & ~(depth > 0)][0]:g}; clamp it, or mask the pixel"
        )
    depth = depth.where(valid, 1).clamp(max=torch.finfo(depth.dtype).max)
    truth = truth.where(valid, 1)
    if alignment == "median_scale":
        depth = depth * (_median(truth, valid) / _median(depth, valid))
    elif alignment != "none":
        inverse = _fitted(1 / depth, 1 / truth, valid, shift=alignment == "scale_and_shift")
        depth = 1 / inverse.clamp(min=1 / high)
    return depth.clamp(low, high).where(valid, 1), truth, valid


def _fitted(x: Tensor, y: Tensor, valid: Tensor, shift: bool) -> Tensor:
    """Return a x, or with a shift a x + b, nearest to y by least squares over each picture."""
    mean_x, mean_y = (_mean(values, valid) * shift for values in (x, y))
    x, y = x - mean_x, y - mean_y
    square = _mean(x.square(), valid)
    return _mean(x * y, valid) / square.where(square > 0, 1) * x + mean_y


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    """Return the mean over a picture's valid pixels (b, 1, 1), 0 where there is none."""
    count = valid.sum((1, 2), keepdim=True).clamp(min=1)
    return values.where(valid, 0).sum((1, 2), keepdim=True) / count


def _median(values: Tensor, valid: Tensor) -> Tensor:
    """Return the lower median of a picture's valid pixels (b, 1, 1), 1 where there is none."""
    median = values.where(valid, torch.nan).flatten(1).nanmedian(1).values
    return median.nan_to_num(1.0)[:, None, None]
