"""Contours of depth, errors against true depth, and differences to the mirrored photo."""

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from demo.pipeline import Analysis, Predictor
from demo.screen import PREVIEW_SIDE
from demo.tabs.sharpness.truth import Truth
from depthpro import Prediction
from depthpro.boundary import boundary_f1, occluding_contours
from depthpro.export import surface_size
from depthpro.metrics import DepthMetrics, align_depth, depth_metrics

LEAST_RATIO = 1.05
"""Least ratio of neighbouring depths at a contour: the paper's lowest threshold."""


class Contours(NamedTuple):
    """Pixels where depth jumps: the nearer one of each pair of neighbours."""

    predicted: Bool[ndarray, "h w"]
    true: Bool[ndarray, "h w"] | None
    """Of the true depth, if it is known."""


class Comparison(NamedTuple):
    """Measures of predicted depth against true depth."""

    metric: DepthMetrics
    scaled: DepthMetrics
    """With predicted depth times `factor`."""
    factor: float
    """Median of true depth over median of predicted depth."""
    f1: float | None
    """Boundary F1 in [0, 1], at any scale; None if the true depth has no contours."""


class Difference(NamedTuple):
    """Difference between the predictions for a photo and its mirror image."""

    share: Float[ndarray, "h w"]
    """Ratio of the larger to the smaller depth, less 1."""
    median: float
    p90: float
    """90th percentile of `share`."""
    focal: float | None
    """Estimated focal length of the mirror image over the photo's, less 1; None without a head."""


def contours(prediction: Prediction, ratio: float, truth: Truth | None = None) -> Contours:
    """Return where neighbouring depths differ by more than a ratio, which must be above 1.

    At the size of the truth; without a truth, at the size of the network's map.
    """
    if truth is not None:
        maps = (prediction.depth_at(*truth.depth.shape)[0].numpy(), truth.depth)
        return Contours(*(np.asarray(occluding_contours(m, ratio, truth.mask)) for m in maps))
    return Contours(np.asarray(occluding_contours(_depth(prediction), ratio)), None)


def compare(prediction: Prediction, truth: Truth) -> Comparison:
    """Return the published measures; sky counts for contours, and not for errors of depth."""
    depth = prediction.depth_at(*truth.depth.shape)[0].numpy()
    mask = truth.solid
    has_contours = occluding_contours(truth.depth, LEAST_RATIO, truth.mask).any()
    return Comparison(
        metric=depth_metrics(depth, truth.depth, mask),
        scaled=depth_metrics(depth, truth.depth, mask, alignment="median_scale"),
        factor=float(np.median(truth.depth[mask]) / np.median(depth[mask])) if mask.any() else 1.0,
        f1=float(boundary_f1(depth, truth.depth, truth.mask)) if has_contours else None,
    )


def error_map(prediction: Prediction, truth: Truth, scaled: bool) -> Float[ndarray, "h w"]:
    """Return (d - d*) / d* of predicted depth d and true depth d*; NaN where d* is unknown.

    If `scaled`, the median of d is that of d*.
    """
    depth, mask = prediction.depth_at(*truth.depth.shape)[0].numpy(), truth.solid
    alignment = "median_scale" if scaled else "none"
    aligned = np.asarray(align_depth(depth, truth.depth, mask, alignment=alignment))
    return np.where(mask, aligned / np.where(mask, truth.depth, 1) - 1, np.nan).astype(np.float32)


def mirrored(model: Predictor, analysis: Analysis) -> Prediction:
    """Call the network for the photo's mirror image; return its prediction, mirrored back.

    Its focal length is the photo's, so that depths can be compared.
    """
    flipped = np.ascontiguousarray(analysis.rgb[:, ::-1])
    prediction = model.infer(flipped, analysis.f_px).to("cpu")
    canonical = prediction.canonical_inverse_depth.flip(-1).contiguous()
    return dataclasses.replace(prediction, canonical_inverse_depth=canonical)


def difference(prediction: Prediction, mirrored: Prediction) -> Difference:
    """Return the difference between a prediction and that for the mirror image."""
    one, other = _depth(prediction), _depth(mirrored.with_focal(prediction.f_px))
    share = np.maximum(one / other, other / one) - 1
    median, p90 = (float(value) for value in np.percentile(share, (50, 90)))
    focal = None
    if prediction.estimated_f_px is not None and mirrored.estimated_f_px is not None:
        focal = (mirrored.estimated_f_px / prediction.estimated_f_px).item() - 1
    return Difference(share, median, p90, focal)


def _depth(prediction: Prediction) -> Float[ndarray, "h w"]:
    """Return depth at the size of the network's map."""
    side = min(PREVIEW_SIDE, max(prediction.canonical_inverse_depth.shape[-2:]))
    return prediction.depth_at(*surface_size(prediction, side))[0].numpy()
