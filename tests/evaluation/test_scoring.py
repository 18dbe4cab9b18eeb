"""The measures of a case: perfect, scaled, shifted and turned predictions with known answers."""

import math
from typing import Any

import numpy as np
import pytest
from numpy import ndarray
from training import make_samples

from depthpro.evaluation.readers.case import Case
from depthpro.evaluation.readers.samples import of_sample
from depthpro.evaluation.scoring import (
    CURVE_M,
    NEAREST_M,
    SystemOutput,
    at_size,
    counted,
    ordinal_accuracy,
    score,
)
from depthpro.metrics import (
    boundary_f1,
    boundary_precision_recall,
    boundary_recall,
    point_cloud_metrics,
)

EVERYTHING = ("depth", "cloud", "boundary", "recall", "focal", "ibims")


def floor() -> tuple[Case, ndarray]:
    """Return a floor under a sky, f = 60 to 140 px, and its depth."""
    case = of_sample(make_samples(1)[0])
    assert case.depth is not None
    return case, case.depth


def blank(height: int = 40, width: int = 60, **truth: Any) -> Case:
    """Return a black picture with some ground truth."""
    return Case(np.zeros((height, width, 3), np.uint8), **truth)


def plate(step: float = 2.0) -> ndarray:
    """Return a plate at 1 m before a wall at `step` metres."""
    depth = np.full((40, 60), step, np.float32)
    depth[10:30, 20:40] = 1
    return depth


def test_a_perfect_prediction() -> None:
    case, depth = floor()
    row = score(SystemOutput(depth, case.f_px), case, ("depth", "cloud", "boundary", "focal"))
    for name in ("delta1", "delta2", "delta3", "delta1_scaled", "ordinal", "boundary_f1",
                 "f_score", "iou", "delta25", "delta50"):  # fmt: skip
        assert row[name] == pytest.approx(1), name
    for name in ("abs_rel", "log10", "rmse", "si_log", "chamfer_m", "abs_rel_aligned",
                 "focal_error", "fov_error_deg"):  # fmt: skip
        assert row[name] == pytest.approx(0, abs=1e-4), name
    assert np.isfinite(depth).sum() == row["pixels"] == sum(row["pixels_by_depth"])
    assert max(row["error_by_depth"]) == pytest.approx(0, abs=1e-6)


def test_half_the_depth() -> None:
    case, depth = floor()
    row = score(SystemOutput(depth / 2), case, ("depth", "boundary"))
    assert (row["delta1"], row["delta1_scaled"], row["ordinal"]) == (0, 1, 1)
    assert row["abs_rel"] == pytest.approx(0.5, abs=1e-6)
    assert row["log10"] == pytest.approx(np.log10(2), abs=1e-6)
    assert row["abs_rel_aligned"] == pytest.approx(0, abs=1e-5)
    assert row["boundary_f1"] == pytest.approx(1)
    shown = np.array(row["error_by_depth"])[np.array(row["pixels_by_depth"]) > 0]
    assert shown == pytest.approx(np.full(len(shown), 0.5), abs=1e-6)
    scaled = score(SystemOutput(depth / 2), case, ("depth",), alignment="median_scale")
    assert scaled["delta1"] == 1


def test_only_the_range_counts_and_bins_are_by_true_depth() -> None:
    case = blank(1, 4, depth=np.array([[0.5, 1.0, 3.0, 90.0]]))
    output = SystemOutput(np.array([[5.0, 2.0, 3.0, 90.0]], np.float32))
    row = score(output, case, ("depth",), range_m=(1, 80))
    # 1 m and 3 m count; errors 1 and 0.
    assert (row["pixels"], row["abs_rel"], row["delta1"]) == (2, 0.5, 0.5)
    one, three = np.digitize([1.0, 3.0], CURVE_M)
    assert row["pixels_by_depth"][one] == row["pixels_by_depth"][three] == 1
    assert row["error_by_depth"][one] == 1
    assert score(output, case, ("depth", "cloud"), range_m=(100, 200)) == {}


def test_without_a_range_the_range_of_the_network_counts() -> None:
    truth = np.array([[1.0, 3.0, 0.0, 5e-5, 2e4, np.inf, np.nan, -1.0]], np.float32)
    case, masked = blank(1, 8, depth=truth), blank(1, 8, depth=truth, mask=np.arange(8)[None] > 0)
    for each, range_m, places in (
        (case, None, [0, 1]),
        (masked, None, [1]),
        (case, (2, 1e5), [1, 4]),
    ):
        np.testing.assert_array_equal(np.flatnonzero(counted(each, range_m)[1]), places)
    row = score(SystemOutput(np.full((1, 8), 3, np.float32)), case, ("depth",))
    assert row["pixels"] == sum(row["pixels_by_depth"]) == 2
    assert row["error_by_depth"][np.digitize(1.0, CURVE_M)] == 2
    assert row["ordinal"] == 0.5


def test_clouds_use_the_true_camera_in_the_pixels_of_the_truth() -> None:
    truth = plate()
    # The truth is twice as wide as the picture, and as high: pixels of 60 x 40 for 30 x 40.
    case = blank(40, 30, depth=truth, f_px=20.0, fy_px=50.0, cx_px=14.0, cy_px=19.5)
    row = score(SystemOutput(truth + np.float32(0.05)), case, ("cloud",))
    # f 40, cx 2 (14 + 0.5) - 0.5 = 28.5.
    x, y = np.meshgrid((np.arange(60) - 28.5) / 40, (np.arange(40) - 19.5) / 50)
    rays = np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3)
    wanted = point_cloud_metrics(rays * (truth.reshape(-1, 1) + 0.05), rays * truth.reshape(-1, 1))
    assert row["chamfer_m"] == pytest.approx(wanted.chamfer_m, rel=1e-4)
    assert row["f_score"] == wanted.f_score == 1


def test_recall_against_depth_is_apart_from_recall_against_a_mask() -> None:
    truth, alpha = plate(), np.float32(plate() == 1)
    slope = truth.copy()
    slope[10:30, 18:22] = [1.8, 1.5, 1.3, 1.1]  # of a soft edge thinning leaves the steepest step
    row = score(SystemOutput(slope), blank(depth=truth, alpha=alpha), ("boundary", "recall"))
    curve = boundary_precision_recall(slope, truth)
    assert row["boundary_f1"] == pytest.approx(boundary_f1(slope, truth))
    assert row["boundary_depth_recall"] == pytest.approx(curve.recall @ curve.weights)
    assert row["boundary_recall"] == pytest.approx(boundary_recall(slope, alpha))
    assert 0.9 > row["boundary_depth_recall"] > row["boundary_recall"] > 0


def test_boundaries_and_order_are_measured_as_predicted() -> None:
    case, depth = floor()
    shifted = 1 / (1 / depth + np.float32(0.3))  # which flattens edges, and alignment restores
    plain = score(SystemOutput(shifted), case, ("depth", "boundary"))
    fitted = score(SystemOutput(shifted), case, ("depth", "boundary"), alignment="scale_and_shift")
    changed = {name for name in plain if plain[name] != fitted[name]}
    assert changed == {"abs_rel", "log10", "rmse", "delta1", "delta2", "delta3", "si_log",
                       "error_by_depth"}  # fmt: skip
    assert plain["delta1"] < fitted["delta1"] == 1
    assert plain["boundary_f1"] < 0.9
    turned = SystemOutput(1 / depth)  # near for far: alignment turns it by a negative slope
    assert score(turned, case, ("depth",), alignment="scale_and_shift")["ordinal"] == 0


def test_depth_beyond_the_range_of_the_network_makes_no_edge() -> None:
    truth = plate(1e11)
    truth[:5] = 2e4
    row = score(SystemOutput(plate(np.inf)), blank(depth=truth), ("boundary",))
    assert row["boundary_f1"] == pytest.approx(1)


def test_masks_count_by_recall_alone() -> None:
    case = blank(alpha=np.float32(plate() == 1))
    # A step of 1.13 passes t = 1.05, 1.072, 1.094, 1.117, the first four of ten thresholds.
    weights = np.linspace(1.05, 1.25, 10)
    for step, recall in ((2, 1), (1, 0), (1.13, weights[:4].sum() / weights.sum())):
        row = score(SystemOutput(plate(step)), case, EVERYTHING)
        assert row == {"boundary_recall": pytest.approx(recall)}


def test_focal_lengths() -> None:
    case = blank(f_px=30.0)  # 90 degrees
    row = score(SystemOutput(plate(), 40.0), case, EVERYTHING)
    turned = 90 - 2 * np.degrees(np.arctan(30 / 40))
    assert row == {"focal_error": pytest.approx(1 / 3), "delta25": 0, "delta50": 1,
                   "fov_error_deg": pytest.approx(turned)}  # fmt: skip
    assert score(SystemOutput(plate()), case, EVERYTHING) == {}  # it estimates none


def test_ibims_has_its_own_measures() -> None:
    truth = plate(4.0)
    edges = np.zeros(truth.shape, bool)
    edges[10:30, 20] = True
    planes = np.stack([truth == 4.0, truth == 1.0])
    case = blank(depth=truth, f_px=50.0, edges=edges, planes=planes)
    row = score(SystemOutput(truth), case, ("ibims",))
    assert (row["dde_0"], row["dde_minus"], row["dde_plus"]) == (1, 0, 0)
    assert row["plane_flatness_m"] == pytest.approx(0, abs=1e-6)
    assert row["plane_orientation_deg"] == pytest.approx(0, abs=1e-3)
    assert row["dbe_completeness_px"] < 1.5
    near = score(SystemOutput(truth / 2), case, ("ibims",))  # the wall comes before 3 m
    assert near["dde_minus"] == pytest.approx((truth == 4).mean())


def test_nan_is_refused_and_0_counts_as_very_near() -> None:
    case, depth = floor()
    with pytest.raises(ValueError, match="NaN in places"):
        score(SystemOutput(np.full_like(depth, np.nan)), case, ("depth",))
    nothing, nearest = (np.where(depth < 2, near, depth).astype(np.float32)
                        for near in (0, NEAREST_M))  # fmt: skip
    row = score(SystemOutput(nothing), case, ("depth",))
    assert row["delta1"] == pytest.approx(1 - (depth < 2).sum() / np.isfinite(depth).sum())
    assert row == score(SystemOutput(nearest), case, ("depth",))


def test_order_of_pairs_by_hand() -> None:
    # Pairs of different depth: of (1, 2), (1, 4), (2, 4) the prediction has the first wrong.
    target = np.array([[1.0, 2.0, 4.0]], np.float32)
    everywhere = np.ones((1, 3), bool)
    wrong = np.array([[2.0, 1.0, 3.0]], np.float32)
    for depth, share in ((target, 1), (1 / target, 0), (np.full_like(target, 3), 0.5)):
        assert ordinal_accuracy(depth, target, everywhere) == share
    assert ordinal_accuracy(wrong, target, everywhere) == pytest.approx(2 / 3, abs=0.02)
    assert ordinal_accuracy(wrong, target, np.array([[True, False, True]])) == 1
    close = np.array([[1.0, 1.04, 1.02]], np.float32)  # no pair 5 % apart
    assert math.isnan(ordinal_accuracy(wrong, close, everywhere))
    # Then the mean over pictures leaves this one out.
    assert "ordinal" not in score(SystemOutput(wrong), blank(1, 3, depth=close), ("depth",))


def test_inverse_depth_is_resized_to_the_size_of_the_truth() -> None:
    # A wall at 1 m before one at 1000 m, at half the size of the truth: half-way between the two
    # in inverse depth is 2 m, in depth 500 m, where there is nothing.
    half = SystemOutput(np.array([[1.0, 1000.0]], np.float32))
    wanted = [1, 1 / 0.75025, 1 / 0.25075, 1000]
    np.testing.assert_allclose(at_size(half, (1, 4))[0], wanted, rtol=1e-5)
    assert at_size(half, (1, 2)).tolist() == half.depth.tolist()
    # As in Spring, truth has twice the picture's rows and columns, and all of its pixels count.
    case = blank(20, 30, depth=plate())
    row = score(SystemOutput(plate()[::2, ::2]), case, ("depth", "boundary"))
    assert row["pixels"] == plate().size
    sharp = score(SystemOutput(plate()), case, ("boundary",))["boundary_f1"]
    assert 0 < row["boundary_f1"] < sharp == pytest.approx(1)
