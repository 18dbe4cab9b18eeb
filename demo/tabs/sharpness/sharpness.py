"""How sharp and how right depth is: contours, errors against truth, and what a mirror changes."""

import dataclasses
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from demo.pipeline import Analysis
from demo.screen import PREVIEW_SIDE
from demo.tabs.sharpness.truth import Truth
from depthpro import DepthPro, Prediction
from depthpro.boundary import BoundaryCurve, boundary_precision_recall, occluding_contours
from depthpro.export import surface_size
from depthpro.metrics import DepthMetrics, align_depth, depth_metrics

LEAST_RATIO, MOST_RATIO = 1.02, 1.5
"""Of neighbouring depths; the paper's measures have 1.05 to 1.25."""


class Contours(NamedTuple):
    """Where depth jumps: the nearer pixel of each pair of neighbours."""

    ours: Bool[ndarray, "h w"]
    """Of the network."""
    true: Bool[ndarray, "h w"] | None
    """Of the truth, if there is any."""


class Comparison(NamedTuple):
    """Depth against truth. What is named scaled is after one factor for the whole photo."""

    metric: DepthMetrics
    scaled: DepthMetrics
    factor: float
    """Median of true depth over median of depth, where both count."""
    curve: BoundaryCurve
    """By threshold; the factor does not matter to it."""
    f1: float
    """Boundary F1 in [0, 1]: the curve's weighted mean."""
    contours: bool
    """Whether the truth has any; without, the curve says nothing."""


class Difference(NamedTuple):
    """What the network says of a photo, and of its mirror image."""

    share: Float[ndarray, "h w"]
    """How many times as far one is as the other, less 1: 0 where they agree."""
    median: float
    """Of `share`."""
    ninth: float
    """What nine pixels in ten do not exceed."""
    focal: float | None
    """The mirror image's estimated focal length over the photo's, less 1; None without a head."""


def contours(prediction: Prediction, ratio: float, truth: Truth | None = None) -> Contours:
    """Return where neighbouring depths differ by more than a ratio.

    At the size of the truth; without any at the network's own, which has all the detail there is.

    Raises:
        ValueError: The ratio is not above 1.
    """
    if truth is not None:
        maps = (_at_truth(prediction, truth), truth.depth)
        return Contours(*(np.asarray(occluding_contours(m, ratio, truth.mask)) for m in maps))
    side = min(PREVIEW_SIDE, max(prediction.canonical_inverse_depth.shape[-2:]))
    depth = prediction.depth_at(*surface_size(prediction, side))[0].numpy()
    return Contours(np.asarray(occluding_contours(depth, ratio)), None)


def compare(prediction: Prediction, truth: Truth) -> Comparison:
    """Return the measures of `depthpro.metrics` and `depthpro.boundary`, the published variants.

    Sky counts for contours and not for errors of depth.
    """
    depth = _at_truth(prediction, truth)
    counted = _counted(truth)
    metric = depth_metrics(depth, truth.depth, counted)
    scaled = depth_metrics(depth, truth.depth, counted, alignment="median_scale")
    curve = boundary_precision_recall(depth, truth.depth, truth.mask)
    return Comparison(
        metric=metric,
        scaled=scaled,
        factor=_factor(depth, truth),
        curve=curve,
        f1=float(curve.f1 @ curve.weights),
        contours=bool(occluding_contours(truth.depth, curve.thresholds[0], truth.mask).any()),
    )


def error_map(prediction: Prediction, truth: Truth, scaled: bool) -> Float[ndarray, "h w"]:
    """Return (d - d*) / d*, negative where depth d is nearer than truth d*; NaN where unknown.

    Args:
        prediction: What the network says.
        truth: What is so.
        scaled: Whether d is multiplied so that its median is the truth's.
    """
    depth, counted = _at_truth(prediction, truth), _counted(truth)
    aligned = align_depth(
        depth, truth.depth, counted, alignment="median_scale" if scaled else "none"
    )
    true = np.where(counted, truth.depth, np.float32(1))
    return np.where(counted, np.asarray(aligned) / true - 1, np.float32(np.nan))


def mirrored(model: DepthPro, analysis: Analysis) -> Prediction:
    """Return what the network says of the photo's mirror image, mirrored back; calls the network.

    Its focal length is the photo's, so that the depths of both can be compared.
    """
    said = model.infer(np.ascontiguousarray(analysis.rgb[:, ::-1]), analysis.f_px).to("cpu")
    return dataclasses.replace(
        said, canonical_inverse_depth=said.canonical_inverse_depth.flip(-1).contiguous()
    )


def difference(prediction: Prediction, mirrored: Prediction) -> Difference:
    """Return how much a prediction and that of the mirror image differ, at a modest size."""
    side = min(PREVIEW_SIDE, max(prediction.canonical_inverse_depth.shape[-2:]))
    height, width = surface_size(prediction, side)
    both = (prediction, mirrored.with_focal(prediction.f_px))
    one, other = (each.depth_at(height, width)[0].numpy() for each in both)
    share = np.maximum(one / other, other / one) - 1
    median, ninth = (float(value) for value in np.percentile(share, (50, 90)))
    focal = None
    if prediction.estimated_f_px is not None and mirrored.estimated_f_px is not None:
        focal = (mirrored.estimated_f_px / prediction.estimated_f_px).item() - 1
    return Difference(share, median, ninth, focal)


def usual_ratio(ratio: float | None) -> float:
    """Return a ratio that contours can be drawn at, near the one that came."""
    if not isinstance(ratio, (int, float)) or math.isnan(ratio):
        return 1.1
    return min(max(ratio, LEAST_RATIO), MOST_RATIO)


def _at_truth(prediction: Prediction, truth: Truth) -> Float[ndarray, "h w"]:
    return prediction.depth_at(*truth.depth.shape)[0].numpy()


def _counted(truth: Truth) -> Bool[ndarray, "h w"]:
    return truth.mask & np.isfinite(truth.depth)


def _factor(depth: Float[ndarray, "h w"], truth: Truth) -> float:
    counted = _counted(truth)
    if not counted.any():
        return 1.0
    return float(np.median(truth.depth[counted]) / np.median(depth[counted]))
