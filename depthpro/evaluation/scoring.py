"""The measures of one case: what a system says of a picture against what is known of it."""

import math
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
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
APART = 1.05
"""Least ratio of the depths of a pair that counts: nearer ones have no order worth telling."""
CLOUD_POINTS = 50_000
"""Most points of each cloud; of more, a random part with the same pixels in both. Twice as many
take four times as long, and made Motorcycle's chamfer distance 0.3 % smaller."""
NEAREST_M = 1e-3
"""Predicted depth below this counts as this; so does 0, which is said where nothing is known."""
CURVE_M = np.geomspace(0.25, 256, 11)
"""Edges of the bins of true depth in the reliability curve."""

Row = dict[str, float | str | list[float]]


class Said(NamedTuple):
    """What a system says of a picture."""

    depth: Float[ndarray, "H W"]
    """Metres, or any unit if the system is relative; infinite for sky, 0 for nothing. Any size."""
    f_px: float | None = None
    """Estimated focal length in pixels of the picture's width."""
    inverse: bool = False
    """Whether it said inverse depth, of which `depth` is made: then that is what is resized."""


def score(
    said: Said,
    case: Case,
    measures: Collection[Measure],
    range_m: tuple[float, float] | None = None,
    alignment: Alignment = "none",
) -> Row:
    """Return the measures of a case by name; those that do not apply to it are missing.

    A prediction of another size is resized bilinearly to the truth's. Boundaries and the order of
    pairs are measured as predicted; `delta1_scaled` and `abs_rel_aligned` after alignment by the
    median, and by scale and shift; what else is measured of depth after `alignment`.
    `boundary_depth_recall` is against edges of true depth, without thinning; `boundary_recall`
    against a mask, with it. `error_by_depth` and `pixels_by_depth` are for the bins of `CURVE_M`:
    mean of |d - d*| / d*, and counts.

    Args:
        said: Of the system.
        case: What is known.
        measures: Which groups are wanted.
        range_m: True depths that count; None for 0.0001 to 10000, what the network spans.
        alignment: See `depthpro.metrics.depth_metrics`.

    Raises:
        ValueError: If predicted depth is NaN in places.
    """
    row: Row = {}
    if case.depth is not None and {"depth", "cloud", "boundary", "ibims"} & set(measures):
        row |= _against_depth(said, case, set(measures), range_m, alignment)
    if "recall" in measures and case.alpha is not None:
        depth = at_size(said, case.alpha.shape)
        recall = boundary_recall(depth, case.alpha.astype(np.float32), case.mask)
        row["boundary_recall"] = float(recall)
    if "focal" in measures and case.f_px is not None and said.f_px is not None:
        row |= _focal_errors(said.f_px, case.f_px, case.rgb.shape[1])
    return row


def at_size(said: Said, shape: tuple[int, ...]) -> Float[ndarray, "h w"]:
    """Return predicted depth at a size, by bilinear weights, clamped to what can be measured.

    Between what is near and what is far, depth that was made of inverse depth would lie where
    neither is.

    Raises:
        ValueError: If it is NaN in places.
    """
    depth = said.depth
    if np.isnan(depth).any():
        raise ValueError("predicted depth is NaN in places: say infinity for sky, 0 for nothing")
    tensor = torch.from_numpy(np.clip(depth, NEAREST_M, MAX_DEPTH_M).astype(np.float32))
    if depth.shape != shape:
        maps = tensor.reciprocal() if said.inverse else tensor
        maps = F.interpolate(maps[None, None], shape, mode="bilinear")[0, 0]
        tensor = maps.reciprocal() if said.inverse else maps
    return tensor.numpy()


def counted(
    case: Case, range_m: tuple[float, float] | None = None
) -> tuple[Float[ndarray, "h w"], Bool[ndarray, "h w"]]:
    """Return true depth in metres, and where it is known and lies in a range, as `score` has it."""
    assert case.depth is not None
    truth = case.depth.astype(np.float32)
    low, high = range_m or (MIN_DEPTH_M, MAX_DEPTH_M)
    known = np.ones(truth.shape, bool) if case.mask is None else case.mask
    return truth, known & (truth >= low) & (truth <= high)


def ordinal_accuracy(
    depth: Float[ndarray, "h w"],
    target: Float[ndarray, "h w"],
    mask: Bool[ndarray, "h w"],
    seed: int = 0,
) -> float:
    """Return the share of random pairs of pixels whose order in depth is right; 0.5 for a tie.

    Pairs whose true depths differ by less than 5 % do not count; of a map without a pair it is NaN.
    """
    places = np.flatnonzero(mask)
    if len(places) < 2:
        return math.nan
    pairs = np.random.default_rng(seed).choice(places, (2, PAIRS))
    ours, true = (np.log(maps.ravel()[pairs]) for maps in (depth, target))
    difference, order = ours[0] - ours[1], true[0] - true[1]
    counted = np.abs(order) > np.log(APART)
    if not counted.any():
        return math.nan
    right = (np.sign(difference) == np.sign(order)) + 0.5 * (difference == 0)
    return float(right[counted].mean())


def _against_depth(
    said: Said,
    case: Case,
    measures: set[Measure],
    range_m: tuple[float, float] | None,
    alignment: Alignment,
) -> Row:
    truth, ground = counted(case, range_m)
    ours = at_size(said, truth.shape)
    row: Row = {}
    if "boundary" in measures:
        curve = boundary_precision_recall(ours, truth.clip(max=MAX_DEPTH_M), case.mask)
        row["boundary_f1"] = float(curve.f1 @ curve.weights)
        row["boundary_precision"] = float(curve.precision @ curve.weights)
        row["boundary_depth_recall"] = float(curve.recall @ curve.weights)
    if not ground.any():
        return row
    depth = np.asarray(align_depth(ours, truth, ground, range_m, alignment))
    if "depth" in measures:
        row |= _depth_errors(ours, depth, truth, ground, range_m)
    if "cloud" in measures and case.f_px is not None:
        row |= _cloud_errors(depth, truth, case, ground)
    if "ibims" in measures and case.ibims is not None:  # which has no range of its own
        _, solid = counted(case)
        depth = np.asarray(align_depth(ours, truth, solid, None, alignment))
        row |= _ibims_errors(depth, truth, case, solid)
    return row


def _depth_errors(
    ours: Float[ndarray, "h w"],
    depth: Float[ndarray, "h w"],
    truth: Float[ndarray, "h w"],
    ground: Bool[ndarray, "h w"],
    range_m: tuple[float, float] | None,
) -> Row:
    row: Row = {
        name: float(value)
        for name, value in vars(depth_metrics(depth, truth, ground, range_m)).items()
    }
    scaled = depth_metrics(ours, truth, ground, range_m, "median_scale")
    aligned = depth_metrics(ours, truth, ground, range_m, "scale_and_shift")
    row["delta1_scaled"] = float(scaled.delta1)
    row["abs_rel_aligned"] = float(aligned.abs_rel)
    ordinal = ordinal_accuracy(ours, truth, ground)
    if not math.isnan(ordinal):
        row["ordinal"] = ordinal
    place = np.digitize(truth[ground], CURVE_M)
    pixels = np.bincount(place, minlength=len(CURVE_M) + 1)
    errors = np.abs(depth - truth)[ground] / truth[ground]
    total = np.bincount(place, errors, minlength=len(CURVE_M) + 1)
    row["error_by_depth"] = (total / pixels.clip(min=1)).tolist()
    row["pixels_by_depth"] = pixels.astype(float).tolist()
    return row


def _cloud_errors(
    depth: Float[ndarray, "h w"],
    truth: Float[ndarray, "h w"],
    case: Case,
    ground: Bool[ndarray, "h w"],
) -> Row:
    chosen = np.flatnonzero(ground)
    if len(chosen) > CLOUD_POINTS:
        chosen = np.random.default_rng(0).choice(chosen, CLOUD_POINTS, replace=False)
    rays = _rays(case, truth.shape)[chosen]
    ours, true = (rays * maps.ravel()[chosen, None] for maps in (depth, truth))
    cloud = point_cloud_metrics(ours, true)
    return {"chamfer_m": cloud.chamfer_m, "f_score": cloud.f_score, "iou": cloud.iou}


def _rays(case: Case, shape: tuple[int, ...]) -> Float[ndarray, "n 3"]:
    """Return the point at depth 1 of every pixel of a map that covers the picture."""
    assert case.f_px is not None
    height, width = shape
    down, across = height / case.rgb.shape[0], width / case.rgb.shape[1]
    f_px, fy_px = case.f_px * across, (case.fy_px or case.f_px) * down
    cx = (width - 1) / 2 if case.cx_px is None else (case.cx_px + 0.5) * across - 0.5
    cy = (height - 1) / 2 if case.cy_px is None else (case.cy_px + 0.5) * down - 0.5
    x, y = np.meshgrid((np.arange(width) - cx) / f_px, (np.arange(height) - cy) / fy_px)
    return np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3)


def _ibims_errors(
    depth: Float[ndarray, "h w"],
    truth: Float[ndarray, "h w"],
    case: Case,
    ground: Bool[ndarray, "h w"],
) -> Row:
    assert case.ibims is not None
    directed = directed_depth_errors(depth, truth, ground)
    row: Row = {
        "dde_0": float(directed.correct),
        "dde_minus": float(directed.too_near),
        "dde_plus": float(directed.too_far),
    }
    if case.ibims.edges.any():
        edges = depth_boundary_errors(depth, case.ibims.edges, ground)
        row["dbe_accuracy_px"] = edges.accuracy_px
        row["dbe_completeness_px"] = edges.completeness_px
    rays = _rays(case, truth.shape).reshape(*truth.shape, 3)
    planes = plane_errors(depth, truth, case.ibims.planes, rays, ground)
    if planes.kept.any():
        row["plane_flatness_m"] = float(planes.flatness_m.mean())
        row["plane_orientation_deg"] = float(planes.orientation_deg.mean())
    return row


def _focal_errors(f_px: float, true_f_px: float, width: int) -> Row:
    error = focal_accuracy(np.array([f_px]), np.array([true_f_px]), width)
    return {
        "focal_error": float(error.relative_error[0]),
        "delta25": float(error.delta25),
        "delta50": float(error.delta50),
        "fov_error_deg": float(error.fov_error_deg[0]),
    }
