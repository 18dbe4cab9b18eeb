"""The scores of one case: a system's output against the ground truth of the picture."""

import math
from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch.nn import functional as F

from depthpro import metrics
from depthpro.evaluation import ibims
from depthpro.evaluation.readers.case import Case, Measure
from depthpro.geometry import MAX_DEPTH_M, MIN_DEPTH_M
from depthpro.metrics import Alignment, align_depth

PAIRS = 50_000  # random pairs of pixels in `ordinal_accuracy`
PAIR_RATIO = 1.05  # pairs whose depths differ by a smaller ratio do not count
CLOUD_POINTS = 50_000
"""Most points of each cloud; larger ones are sampled, at the same pixels in both. Twice as many
take four times as long, and made Motorcycle's chamfer distance 0.3 % smaller."""
NEAREST_M = 1e-3  # least predicted depth: less counts as this, and 0, where nothing is predicted
CURVE_M = np.geomspace(0.25, 256, 11)  # edges of the bins of true depth in the curve of errors

Map = Float[ndarray, "h w"]
Mask = Bool[ndarray, "h w"]
Range = tuple[float, float] | None
"""Least and greatest depth in metres that count; None for 0.0001 to 10000, the network's range."""
Row = dict[str, Any]  # scores by name; in files with `case` and `family`


class SystemOutput(NamedTuple):
    """Prediction of a system for a picture."""

    depth: Float[ndarray, "H W"]
    """Metres, or any unit if the system is relative; infinite for sky, 0 where nothing is
    predicted. It covers the picture, at any size."""
    f_px: float | None = None  # estimated focal length in pixels of the picture's width


def score(
    output: SystemOutput,
    case: Case,
    measures: Collection[Measure],
    range_m: Range = None,
    alignment: Alignment = "none",
) -> Row:
    """Return the scores of a case by name; those that do not apply to it are missing.

    Boundaries and the order of pairs are scored as predicted; `delta1_scaled` and
    `abs_rel_aligned` after alignment by the median, and by scale and shift; other depth errors
    after `alignment`. `boundary_depth_recall` is against edges of true depth, without thinning;
    `boundary_recall` against a mask, with it. `error_by_depth` and `pixels_by_depth` are mean
    |d - d*| / d* and counts in bins of `CURVE_M`. True depths in `range_m` count.

    Raises:
        ValueError: If predicted depth is NaN in places.
    """
    row: Row = {}
    if case.depth is not None:
        truth, valid = counted(case, range_m)
        ours = at_size(output, truth.shape)
        if "boundary" in measures:
            row |= _boundary_scores(ours, truth, case.mask)
        if "depth" in measures and valid.any():
            row |= _depth_errors(ours, truth, valid, range_m, alignment)
        if "cloud" in measures and valid.any() and case.f_px is not None:
            depth = np.asarray(align_depth(ours, truth, valid, range_m, alignment))
            row |= _cloud_errors(depth, truth, valid, pixel_rays(case, truth.shape))
        if "ibims" in measures:
            row |= _ibims_errors(ours, case, alignment)
    if "recall" in measures and case.alpha is not None:
        alpha = case.alpha.astype(np.float32)
        ours = at_size(output, alpha.shape)
        row["boundary_recall"] = metrics.boundary_recall(ours, alpha, case.mask)
    if "focal" in measures and case.f_px is not None and output.f_px is not None:
        estimate, truth = np.array([output.f_px]), np.array([case.f_px])
        error = metrics.focal_accuracy(estimate, truth, case.rgb.shape[1])
        row |= {"focal_error": float(error.relative_error[0]), "delta25": float(error.delta25)}
        row |= {"delta50": float(error.delta50), "fov_error_deg": float(error.fov_error_deg[0])}
    return row


def at_size(output: SystemOutput, shape: tuple[int, ...]) -> Map:
    """Return predicted depth resized to a shape (h, w), clamped to `NEAREST_M` to 10 km.

    Inverse depth is interpolated, bilinearly: between a near object and the sky, the middle in
    depth would be kilometres away. Raises a ValueError if depth is NaN in places.
    """
    if np.isnan(output.depth).any():
        raise ValueError("predicted depth is NaN in places: use infinity for sky, 0 for unknown")
    depth = np.clip(output.depth, NEAREST_M, MAX_DEPTH_M).astype(np.float32)
    return depth if depth.shape == shape else 1 / resized(1 / depth, shape)


def resized(values: Float[ndarray, "H W"], shape: tuple[int, ...]) -> Map:
    """Return a map resized bilinearly."""
    maps = torch.from_numpy(values.copy())[None, None]
    return F.interpolate(maps, shape, mode="bilinear")[0, 0].numpy()


def counted(case: Case, range_m: Range = None) -> tuple[Map, Mask]:
    """Return true depth in metres, and where it is known and lies in a range, as in `score`."""
    assert case.depth is not None
    truth = case.depth.astype(np.float32)
    low, high = range_m or (MIN_DEPTH_M, MAX_DEPTH_M)
    valid = (truth >= low) & (truth <= high)
    return truth, valid if case.mask is None else valid & case.mask


def ordinal_accuracy(depth: Map, target: Map, mask: Mask) -> float:
    """Return the share of random pairs of pixels whose order in depth is right; 0.5 for a tie.

    Pairs whose true depths differ by less than 5 % do not count. NaN if no pair counts.
    """
    pairs = np.random.default_rng(0).choice(np.flatnonzero(mask), (2, PAIRS))
    ours, true = (np.log(maps.ravel()[pairs]) for maps in (depth, target))
    difference, order = ours[0] - ours[1], true[0] - true[1]
    counts = np.abs(order) > np.log(PAIR_RATIO)
    if not counts.any():
        return math.nan
    right = (np.sign(difference) == np.sign(order)) + 0.5 * (difference == 0)
    return float(right[counts].mean())


def _boundary_scores(depth: Map, truth: Map, mask: Mask | None) -> Row:
    curve = metrics.boundary_precision_recall(depth, truth.clip(max=MAX_DEPTH_M), mask)
    return {
        "boundary_f1": float(curve.f1 @ curve.weights),
        "boundary_precision": float(curve.precision @ curve.weights),
        "boundary_depth_recall": float(curve.recall @ curve.weights),
    }


def _depth_errors(ours: Map, truth: Map, valid: Mask, range_m: Range, alignment: Alignment) -> Row:
    errors = metrics.depth_metrics(ours, truth, valid, range_m, alignment)
    scaled = metrics.depth_metrics(ours, truth, valid, range_m, "median_scale")
    fitted = metrics.depth_metrics(ours, truth, valid, range_m, "scale_and_shift")
    row: Row = {name: float(value) for name, value in vars(errors).items()}
    row |= {"delta1_scaled": float(scaled.delta1), "abs_rel_aligned": float(fitted.abs_rel)}
    ordinal = ordinal_accuracy(ours, truth, valid)
    if not math.isnan(ordinal):
        row["ordinal"] = ordinal
    error = np.abs(align_depth(ours, truth, valid, range_m, alignment) - truth)[valid]
    bins, count = np.digitize(truth[valid], CURVE_M), len(CURVE_M) + 1
    pixels = np.bincount(bins, minlength=count)
    total = np.bincount(bins, error / truth[valid], minlength=count)
    row["error_by_depth"] = (total / pixels.clip(min=1)).tolist()
    return row | {"pixels_by_depth": pixels.astype(float).tolist()}


def _cloud_errors(depth: Map, truth: Map, valid: Mask, rays: Float[ndarray, "h w 3"]) -> Row:
    chosen = np.flatnonzero(valid)
    if len(chosen) > CLOUD_POINTS:
        chosen = np.random.default_rng(0).choice(chosen, CLOUD_POINTS, replace=False)
    directions = rays.reshape(-1, 3)[chosen]
    ours, true = (directions * maps.ravel()[chosen, None] for maps in (depth, truth))
    cloud = metrics.point_cloud_metrics(ours, true)
    return {"chamfer_m": cloud.chamfer_m, "f_score": cloud.f_score, "iou": cloud.iou}


def pixel_rays(case: Case, shape: tuple[int, ...]) -> Float[ndarray, "h w 3"]:
    """Return the point at depth 1 of every pixel of a map that covers the picture."""
    assert case.f_px is not None
    height, width = shape
    down, across = height / case.rgb.shape[0], width / case.rgb.shape[1]
    f_px, fy_px = case.f_px * across, (case.fy_px or case.f_px) * down
    cx = (width - 1) / 2 if case.cx_px is None else (case.cx_px + 0.5) * across - 0.5
    cy = (height - 1) / 2 if case.cy_px is None else (case.cy_px + 0.5) * down - 0.5
    x, y = np.meshgrid((np.arange(width) - cx) / f_px, (np.arange(height) - cy) / fy_px)
    return np.stack([x, y, np.ones_like(x)], axis=-1)


def _ibims_errors(ours: Map, case: Case, alignment: Alignment) -> Row:
    truth, valid = counted(case)  # these measures have no range of depth
    if case.edges is None or case.planes is None or not valid.any():
        return {}
    depth = np.asarray(align_depth(ours, truth, valid, None, alignment))
    row = ibims.directed_depth_errors(depth, truth, valid)
    row |= ibims.plane_errors(depth, truth, case.planes, pixel_rays(case, truth.shape), valid)
    if case.edges.any():
        row |= ibims.depth_boundary_errors(depth, case.edges, valid)
    return row
