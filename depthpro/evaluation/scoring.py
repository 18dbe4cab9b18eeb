"""The scores of one case: a system's output against what the benchmark knows of the picture."""

import math
from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

from depthpro.evaluation.ibims import depth_boundary_errors, directed_depth_errors, plane_errors
from depthpro.evaluation.readers.case import Case, Measure
from depthpro.geometry import MAX_DEPTH_M, MIN_DEPTH_M
from depthpro.metrics import (
    Alignment,
    align_depth,
    boundary_precision_recall,
    boundary_recall,
    depth_metrics,
    focal_accuracy,
    point_cloud_metrics,
)

PAIRS = 50_000
"""Random pairs of pixels in `ordinal_accuracy`."""
PAIR_RATIO = 1.05
"""Pairs whose depths differ by a smaller ratio do not count."""
CLOUD_POINTS = 50_000
"""Most points of each cloud; larger ones are sampled, at the same pixels in both. Twice as many
take four times as long, and made Motorcycle's chamfer distance 0.3 % smaller."""
NEAREST_M = 1e-3
"""Predicted depth below this counts as this; so does 0, where a system predicts nothing."""
CURVE_M = np.geomspace(0.25, 256, 11)
"""Edges of the bins of true depth in the curve of errors."""

Map = Float[ndarray, "h w"]
Mask = Bool[ndarray, "h w"]
Row = dict[str, Any]
"""Scores by name; in files with `case` and `family`."""


class SystemOutput(NamedTuple):
    """What a system predicts for a picture."""

    depth: Float[ndarray, "H W"]
    """Metres, or any unit if the system is relative; infinite for sky, 0 where nothing is
    predicted. It covers the picture, at any size."""
    f_px: float | None = None
    """Estimated focal length in pixels of the picture's width."""
    inverse: bool = False
    """Whether the system predicts inverse depth: then that is what is resized."""


def score(
    output: SystemOutput,
    case: Case,
    measures: Collection[Measure],
    range_m: tuple[float, float] | None = None,
    alignment: Alignment = "none",
) -> Row:
    """Return the scores of a case by name; those that do not apply to it are missing.

    Boundaries and the order of pairs are scored as predicted; `delta1_scaled` and
    `abs_rel_aligned` after alignment by the median, and by scale and shift; other depth errors
    after `alignment`. `boundary_depth_recall` is against edges of true depth, without thinning;
    `boundary_recall` against a mask, with it. `error_by_depth` and `pixels_by_depth` are mean
    |d - d*| / d* and counts in bins of `CURVE_M`. True depths in `range_m` count; None is for
    0.0001 to 10000, the network's range.

    Raises:
        ValueError: If predicted depth is NaN in places.
    """
    row: Row = {}
    if case.depth is not None and {"depth", "cloud", "boundary", "ibims"} & set(measures):
        truth, valid = counted(case, range_m)
        ours = at_size(output, truth.shape)
        if "boundary" in measures:
            row |= _boundary_scores(ours, truth, case.mask)
        if {"depth", "cloud"} & set(measures) and valid.any():
            depth = aligned(ours, truth, valid, range_m, alignment)
            row |= _depth_errors(ours, depth, truth, valid, range_m) if "depth" in measures else {}
            row |= _cloud_errors(depth, truth, valid, case) if "cloud" in measures else {}
        if "ibims" in measures:
            row |= _ibims_errors(ours, case, alignment)
    if "recall" in measures and case.alpha is not None:
        depth, alpha = at_size(output, case.alpha.shape), case.alpha.astype(np.float32)
        known = _known(case.mask, alpha)
        row["boundary_recall"] = float(boundary_recall(_batch(depth), _batch(alpha), known))
    if "focal" in measures and case.f_px is not None and output.f_px is not None:
        row |= _focal_errors(output.f_px, case.f_px, case.rgb.shape[1])
    return row


def at_size(output: SystemOutput, shape: tuple[int, ...]) -> Map:
    """Return predicted depth resized bilinearly to a shape (h, w), clamped to `NEAREST_M` to 10 km.

    Inverse depth is resized as such: else the depth of an edge would lie where there is nothing.

    Raises:
        ValueError: If it is NaN in places.
    """
    if np.isnan(output.depth).any():
        raise ValueError("predicted depth is NaN in places: use infinity for sky, 0 for unknown")
    depth = np.clip(output.depth, NEAREST_M, MAX_DEPTH_M).astype(np.float32)
    if depth.shape == shape:
        return depth
    return 1 / resized(1 / depth, shape) if output.inverse else resized(depth, shape)


def resized(values: Float[ndarray, "H W"], shape: tuple[int, ...]) -> Map:
    """Return a map resized bilinearly."""
    return F.interpolate(_batch(values)[None], shape, mode="bilinear")[0, 0].numpy()


def counted(case: Case, range_m: tuple[float, float] | None = None) -> tuple[Map, Mask]:
    """Return true depth in metres, and where it is known and lies in a range, as in `score`."""
    assert case.depth is not None
    truth = case.depth.astype(np.float32)
    low, high = range_m or (MIN_DEPTH_M, MAX_DEPTH_M)
    valid = (truth >= low) & (truth <= high)
    return truth, valid if case.mask is None else valid & case.mask


def aligned(
    ours: Map, truth: Map, valid: Mask, range_m: tuple[float, float] | None, alignment: Alignment
) -> Map:
    """Return predicted depth aligned to the truth; 1 where the truth is not valid."""
    depth = align_depth(_batch(ours), _batch(truth), _batch(valid), range_m, alignment)
    return depth[0].numpy()


def ordinal_accuracy(depth: Map, target: Map, mask: Mask, seed: int = 0) -> float:
    """Return the share of random pairs of pixels whose order in depth is right; 0.5 for a tie.

    Pairs whose true depths differ by less than 5 % do not count. NaN if no pair counts.
    """
    places = np.flatnonzero(mask)
    if len(places) < 2:
        return math.nan
    pairs = np.random.default_rng(seed).choice(places, (2, PAIRS))
    ours, true = (np.log(maps.ravel()[pairs]) for maps in (depth, target))
    difference, order = ours[0] - ours[1], true[0] - true[1]
    counts = np.abs(order) > np.log(PAIR_RATIO)
    if not counts.any():
        return math.nan
    right = (np.sign(difference) == np.sign(order)) + 0.5 * (difference == 0)
    return float(right[counts].mean())


def _batch(maps: ndarray) -> Tensor:
    return torch.from_numpy(maps.copy())[None]


def _known(mask: Mask | None, like: Map) -> Tensor:
    return _batch(np.ones(like.shape, bool) if mask is None else mask)


def _numbers(result: Any, *names: str) -> Row:
    return {name: float(getattr(result, name)) for name in names}


def _boundary_scores(depth: Map, truth: Map, mask: Mask | None) -> Row:
    known, truth = _known(mask, truth), truth.clip(max=MAX_DEPTH_M)
    curve = boundary_precision_recall(_batch(depth), _batch(truth), known)
    weights = torch.as_tensor(curve.weights)
    return {
        "boundary_f1": float((curve.f1 * weights).sum()),
        "boundary_precision": float((curve.precision * weights).sum()),
        "boundary_depth_recall": float((curve.recall * weights).sum()),
    }


def _depth_errors(
    ours: Map, depth: Map, truth: Map, valid: Mask, range_m: tuple[float, float] | None
) -> Row:
    """Return errors of aligned `depth`, and some of `ours`, as predicted, by other alignments."""
    target, mask, unaligned = _batch(truth), _batch(valid), _batch(ours)
    names = "abs_rel", "log10", "rmse", "delta1", "delta2", "delta3", "si_log", "pixels"
    row = _numbers(depth_metrics(_batch(depth), target, mask, range_m), *names)
    scaled = depth_metrics(unaligned, target, mask, range_m, "median_scale")
    fitted = depth_metrics(unaligned, target, mask, range_m, "scale_and_shift")
    row |= {"delta1_scaled": float(scaled.delta1), "abs_rel_aligned": float(fitted.abs_rel)}
    ordinal = ordinal_accuracy(ours, truth, valid)
    if not math.isnan(ordinal):
        row["ordinal"] = ordinal
    bins, count = np.digitize(truth[valid], CURVE_M), len(CURVE_M) + 1
    pixels = np.bincount(bins, minlength=count)
    total = np.bincount(bins, np.abs(depth - truth)[valid] / truth[valid], minlength=count)
    row["error_by_depth"] = (total / pixels.clip(min=1)).tolist()
    row["pixels_by_depth"] = pixels.astype(float).tolist()
    return row


def _cloud_errors(depth: Map, truth: Map, valid: Mask, case: Case) -> Row:
    if case.f_px is None:
        return {}
    chosen = np.flatnonzero(valid)
    if len(chosen) > CLOUD_POINTS:
        chosen = np.random.default_rng(0).choice(chosen, CLOUD_POINTS, replace=False)
    rays = _rays(case, truth.shape).reshape(-1, 3)[chosen]
    ours, true = (rays * maps.ravel()[chosen, None] for maps in (depth, truth))
    cloud = point_cloud_metrics(ours, true)
    return {"chamfer_m": cloud.chamfer_m, "f_score": cloud.f_score, "iou": cloud.iou}


def _rays(case: Case, shape: tuple[int, ...]) -> Float[ndarray, "h w 3"]:
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
    if case.ibims is None or not valid.any():
        return {}
    depth = aligned(ours, truth, valid, None, alignment)
    directed = directed_depth_errors(depth, truth, valid)
    row: Row = {
        "dde_0": float(directed.correct),
        "dde_minus": float(directed.too_near),
        "dde_plus": float(directed.too_far),
    }
    if case.ibims.edges.any():
        edges = depth_boundary_errors(depth, case.ibims.edges, valid)
        row["dbe_accuracy_px"] = edges.accuracy_px
        row["dbe_completeness_px"] = edges.completeness_px
    planes = plane_errors(depth, truth, case.ibims.planes, _rays(case, truth.shape), valid)
    if planes.kept.any():
        row["plane_flatness_m"] = float(planes.flatness_m.mean())
        row["plane_orientation_deg"] = float(planes.orientation_deg.mean())
    return row


def _focal_errors(f_px: float, true_f_px: float, width: int) -> Row:
    estimate, truth = torch.tensor([[f_px], [true_f_px]], dtype=torch.float64)
    error = focal_accuracy(estimate, truth, width)
    numbers = _numbers(error, "delta25", "delta50", "fov_error_deg")
    return {"focal_error": float(error.relative_error), **numbers}
