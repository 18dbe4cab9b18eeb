"""Errors of depth, focal length and point clouds, and ranks, by closed forms and loops."""

import math
from dataclasses import astuple

import numpy as np
import pytest
import reference
import torch
from numpy import ndarray
from torch.testing import assert_close

from depthpro.evaluation.paper_tables import published
from depthpro.metrics import (
    average_rank,
    depth_metrics,
    focal_accuracy,
    point_cloud_metrics,
)

ALIGNMENTS = ["none", "median_scale", "scale", "scale_and_shift"]


def maps(*shape: int) -> tuple[ndarray, ndarray, ndarray]:
    """Return float64 prediction and target in [0.6, 9] m, and a mask with four fifths valid."""
    rng = np.random.default_rng(0)
    target = rng.uniform(1, 6, shape)
    return target * rng.uniform(0.6, 1.5, shape), target, rng.random(shape) < 0.8


def test_planted_errors() -> None:
    # Ratios 1, 1.2, 2 and 1/1.5 of targets 1, 5, 2, 3: d = 1, 6, 4, 2.
    depth, target = np.array([[1.0, 6.0], [4.0, 2.0]]), np.array([[1.0, 5.0], [2.0, 3.0]])
    errors = depth_metrics(depth, target)
    assert errors.abs_rel == pytest.approx((0 + 0.2 + 1 + 1 / 3) / 4)
    assert errors.log10 == pytest.approx(math.log10(1.2 * 2 * 1.5) / 4)
    assert errors.rmse == pytest.approx(math.sqrt((0 + 1 + 4 + 1) / 4))
    # Below 1.25: 1 and 1.2; below 1.5625: 1.5 too; below 1.953125: not 2.
    assert (errors.delta1, errors.delta2, errors.delta3) == (0.5, 0.75, 0.75)
    logs = [0, math.log(1.2), math.log(2), -math.log(1.5)]
    assert errors.si_log == pytest.approx(100 * np.std(logs))
    assert errors.pixels == 4
    # delta is strict: exactly 1.25 is not below it.
    assert depth_metrics(np.array([[5.0]]), np.array([[4.0]])).delta1 == 0


def test_si_log_of_far_ratios_does_not_cancel() -> None:
    # e = ln 1000 -+ 0.001, so 100 std(e) = 0.1; mean(e^2) - mean(e)^2 in float32 is 0 or above 0.2.
    target = np.full((40, 50), 2.0, dtype=np.float32)
    depth = 1000 * target * np.exp(np.where(np.arange(50) % 2, 1e-3, -1e-3)).astype(np.float32)
    assert depth_metrics(depth, target).si_log == pytest.approx(0.1, rel=1e-3)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("depth_range", [None, (1.5, 4.0)])
def test_equals_a_loop(alignment: str, depth_range: tuple[float, float] | None) -> None:
    depth, target, mask = maps(3, 9, 11)
    together = depth_metrics(depth, target, mask, depth_range, alignment)
    for k in range(3):
        limits = depth_range or (1e-4, 1e4)
        expected = reference.depth_errors(depth[k], target[k], mask[k], limits, alignment)
        assert_close([value[k] for value in astuple(together)], expected, check_dtype=False)


def test_range_counts_targets_and_clamps_predictions() -> None:
    # Targets 1, 2, 20 and 0 of which 1 and 2 are in [1, 10]; predictions 0.5 -> 1 and 30 -> 10.
    target = np.array([[1.0, 2.0, 20.0, 0.0]])
    depth = np.array([[0.5, 30.0, 1.0, 1.0]])
    errors = depth_metrics(depth, target, depth_range=(1, 10))
    assert errors.pixels == 2
    assert errors.abs_rel == pytest.approx((0 + 4) / 2)
    # Unknown targets never count, and sky in a prediction is the far end.
    unknown = np.array([[np.nan, np.inf, 0.0, -1.0, 2.0]])
    errors = depth_metrics(np.array([[1.0, 1, 1, 1, np.inf]]), unknown, depth_range=(1, 10))
    assert (errors.pixels, errors.abs_rel) == (1, 4)


def test_alignment_undoes_scale_and_shift() -> None:
    _, target, mask = maps(2, 8, 9)
    relative = 1 / (0.03 / target + 0.2)  # an inverse depth of any scale and shift
    spoiled = np.where(mask, 1.0, 50.0)
    for depth, undone_by in ((1e6 * target, ALIGNMENTS[1:]), (relative, ALIGNMENTS[3:])):
        for alignment in ALIGNMENTS:
            errors = depth_metrics(depth * spoiled, target, mask, alignment=alignment)
            if alignment in undone_by:
                assert_close(errors.abs_rel, np.zeros(2), atol=1e-9, rtol=0)
                assert (errors.delta1 == 1).all()
            else:
                assert (errors.abs_rel > 0.05).all()


def test_degenerate_alignments() -> None:
    # A flat prediction: the shift alone, 1/d = mean(1, 1/2) = 3/4; |4/3 - 1|, |4/3 - 2| / 2.
    flat, target = np.full((1, 2), 7.0), np.array([[1.0, 2.0]])
    errors = depth_metrics(flat, target, alignment="scale_and_shift")
    assert errors.abs_rel == pytest.approx(1 / 3)
    # A prediction of sky alone has finite errors.
    for alignment in ALIGNMENTS:
        errors = depth_metrics(np.full((1, 2), np.inf), target, None, (1, 10), alignment)
        assert np.isfinite(astuple(errors)).all()
    # x = 1, 2, 3 against y = 0.1, 0.1, 1: slope 0.45, 1/d = -0.05, ...: the far end, 20 m.
    depth, target = 1 / np.array([[1.0, 2.0, 3.0]]), np.array([[10.0, 10.0, 1.0]])
    errors = depth_metrics(depth, target, None, (0.5, 20), "scale_and_shift")
    expected = (abs(20 - 10) / 10 + abs(1 / 0.4 - 10) / 10 + abs(1 / 0.85 - 1)) / 3
    assert errors.abs_rel == pytest.approx(expected)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_arrays_equal_tensors(alignment: str) -> None:
    depth, target, mask = maps(2, 8, 9)
    arrays = depth_metrics(depth, target, mask, alignment=alignment)
    tensors = [torch.from_numpy(each) for each in (depth, target, mask)]
    batch = depth_metrics(*tensors, alignment=alignment)
    single = depth_metrics(depth[0], target[0], mask[0], alignment=alignment)
    for value, tensor, number in zip(astuple(arrays), astuple(batch), astuple(single), strict=True):
        assert isinstance(value, ndarray) and isinstance(number, float | int)
        assert_close(torch.from_numpy(value), tensor)
        assert number == pytest.approx(value[0])


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_errors_are_at_least_float32(alignment: str) -> None:
    depth, target = (torch.from_numpy(each).bfloat16() for each in maps(2, 60, 50)[:2])
    errors = depth_metrics(depth, target, alignment=alignment)
    exact = depth_metrics(depth.double(), target.double(), alignment=alignment)
    assert errors.abs_rel.dtype == torch.float32
    assert_close(errors.abs_rel, exact.abs_rel.float(), rtol=1e-5, atol=0)
    assert_close(errors.si_log, exact.si_log.float(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_invalid_pixels_do_not_count(alignment: str) -> None:
    depth, target, mask = maps(2, 8, 9)
    errors = depth_metrics(depth, target, mask, alignment=alignment)
    spoiled = [np.where(mask, each, np.nan) for each in (depth, target)]
    mask[1] = False
    empty = depth_metrics(*spoiled, mask, alignment=alignment)
    for value, expected in zip(astuple(empty), astuple(errors), strict=True):
        assert (value[0], value[1]) == (pytest.approx(expected[0]), 0)


@pytest.mark.usefixtures("unchecked")
def test_depth_mistakes_are_explained() -> None:
    depth = np.ones((4, 5))
    with pytest.raises(ValueError, match="must be positive where the target counts; got 0"):
        depth_metrics(0 * depth, depth)
    with pytest.raises(ValueError, match="got nan"):
        depth_metrics(np.nan * depth, depth)
    with pytest.raises(ValueError, match=r"0 < near < far in metres, got \(10, 1\)"):
        depth_metrics(depth, depth, depth_range=(10, 1))
    with pytest.raises(ValueError, match=r"one of .*median_scale.*got 'median'"):
        depth_metrics(depth, depth, alignment="median")


def test_focal_accuracy() -> None:
    # Errors 0, 0.24, 0.25 and 1: two below 25 %, three below 50 %.
    truth = np.full(4, 500.0)
    accuracy = focal_accuracy(truth * [1, 1.24, 0.75, 2], truth, 1000)
    assert accuracy.relative_error == pytest.approx([0, 0.24, 0.25, 1])
    assert (accuracy.delta25, accuracy.delta50) == (0.5, 0.75)
    # 500 px of 1000 are 90 degrees, 1000 px are 2 atan(1/2) = 53.13 degrees.
    assert accuracy.fov_error_deg[[0, 3]] == pytest.approx([0, 36.869898])
    truth = torch.tensor([500.0, 700.0])
    accuracy = focal_accuracy((1.1 * truth).bfloat16(), truth, torch.tensor([640, 800]))
    assert accuracy.fov_error_deg.dtype == torch.float32
    assert accuracy.delta25.shape == () and accuracy.delta25 == 1
    none = focal_accuracy(np.zeros(0), np.zeros(0), 640)
    assert (none.delta25, none.delta50) == (0, 0)


@pytest.mark.usefixtures("unchecked")
def test_focal_mistakes_are_explained() -> None:
    truth = np.array([500.0, 700.0])
    for mistake in (truth * [1, 0], truth * np.nan, truth[:1]):
        with pytest.raises(ValueError, match=r"positive and finite, in pixels; got \[500. 700.\]"):
            focal_accuracy(truth, mistake, 640)


def test_two_clouds() -> None:
    # Three predicted points 0.05, 0.2 and 0.3 beside the nearest of two targets; those are 0.05
    # and 0.2 from the nearest prediction. Precision 1/3, recall 1/2.
    target = np.array([[0.0, 0, 1], [5, 0, 1]])
    prediction = np.array([[0.05, 0, 1], [5, 0.2, 1], [5, 0, 1.3]])
    clouds = point_cloud_metrics(prediction, target)
    assert clouds.chamfer_m == pytest.approx(0.55 / 3 + 0.25 / 2)
    assert (clouds.precision, clouds.recall) == (1 / 3, 1 / 2)
    assert clouds.f_score == pytest.approx(0.4)  # 2 (1/6) / (5/6)
    assert clouds.iou == pytest.approx(1 / 4)  # (1/6) / (5/6 - 1/6)
    assert point_cloud_metrics(target, prediction)[1:3] == (1 / 2, 1 / 3)
    assert point_cloud_metrics(target, target) == (0, 1, 1, 1, 1)
    assert point_cloud_metrics(target + 9, target)[1:] == (0, 0, 0, 0)


def test_cloud_mistakes_are_explained() -> None:
    points = np.zeros((4, 3))
    for mistake in (points[:0], points + np.inf):
        with pytest.raises(ValueError, match="only points with finite coordinates"):
            point_cloud_metrics(points, mistake)


def test_published_ranks() -> None:
    rows = published(1)
    systems = [row.system for row in rows if row.metric == "rank"]
    sets = sorted({row.benchmark for row in rows} - {""})
    scores = np.full((len(systems), len(sets)), np.nan)
    for row in rows:
        if row.benchmark:
            scores[systems.index(row.system), sets.index(row.benchmark)] = row.value
    ranks = dict(zip(systems, average_rank(scores), strict=True))
    printed = {row.system: row.value for row in rows if row.metric == "rank"}
    assert ranks["Depth Pro"] == printed["Depth Pro"] == 2.5
    differing = {
        name: (round(rank, 2), printed[name])
        for name, rank in ranks.items()
        if abs(rank - printed[name]) > 0.05 + 1e-9  # more than rounding
    }
    # Three published ranks do not follow from the published scores.
    assert differing == {
        "Depth Anything": (5.5, 5.7),
        "Metric3D": (6.08, 5.8),
        "ZeroDepth": (4.67, 4.6),
    }


def test_ties_and_gaps() -> None:
    # Set 1: 9 9 5, ranks 1.5 1.5 3. Set 2: 1 - 2, ranks 2 - 1.
    scores = np.array([[9.0, 1.0], [9.0, np.nan], [5.0, 2.0]])
    assert average_rank(scores).tolist() == [1.75, 1.5, 2.0]
    assert average_rank(-scores, higher_is_better=False).tolist() == [1.75, 1.5, 2.0]
    with pytest.raises(ValueError, match="a score for every method"):
        average_rank(np.full((2, 2), np.nan))
