"""Boundary measures: published values, loops over runs, planted edges, invariances, masks."""

from pathlib import Path

import numpy as np
import pytest
import reference
import torch
from numpy import ndarray

from depthpro.boundary import (
    THRESHOLDS,
    _thin,
    boundary_f1,
    boundary_precision_recall,
    boundary_recall,
    occluding_contours,
)

GOLDEN = np.load(Path(__file__).parent / "data" / "boundary_metrics.npz")
VARIANTS = ["reference", "paper"]
ONE = pytest.approx(1, rel=1e-14)  # processors add the weights of ten thresholds differently


def blocks(shape: tuple[int, ...], seed: int = 0, noise: float = 0.03) -> ndarray:
    """Return float32 depth with steps, equal neighbours and some ratios around the thresholds."""
    rng = np.random.default_rng(seed)
    steps = rng.choice([1.0, 1.1, 1.2, 1.4, 3.0], (*shape[:-1], shape[-1] // 2 + 1))
    steps = np.repeat(steps, 2, -1)
    return (steps[..., : shape[-1]] * np.exp(noise * rng.standard_normal(shape))).astype(np.float32)


def test_published_values() -> None:
    depth, target, alpha, f1, recall = (
        np.stack([GOLDEN[f"{name}{case}"] for case in range(6)])
        for name in ("pr", "gt", "alpha", "f1_", "recall_")
    )
    np.testing.assert_allclose(boundary_f1(depth, target), f1, rtol=0, atol=1e-12)
    np.testing.assert_allclose(boundary_recall(depth, alpha), recall, rtol=0, atol=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("shape", [(24, 31), (17, 2), (2, 9), (1, 8), (8, 1), (1, 1)])
@pytest.mark.parametrize("share", [1.0, 0.9, 0.0])
def test_equals_loops(variant: str, shape: tuple[int, int], share: float) -> None:
    rng = np.random.default_rng(1)
    depth, target, outline = blocks(shape, 2), blocks(shape, 3), rng.random(shape) < 0.5
    depth = np.where(rng.random(shape) < 0.3, target, depth)  # so that some contours agree
    mask = rng.random(shape) < share
    f1, _ = reference.boundary_measures(depth, target, mask, variant)
    _, recall = reference.boundary_measures(depth, outline, mask, variant)
    given = None if share == 1 else mask
    depth, target = (np.where(mask, each, np.nan) for each in (depth, target))
    assert boundary_f1(depth, target, given, variant) == pytest.approx(f1, abs=1e-12)
    assert boundary_recall(depth, outline, given, variant) == pytest.approx(recall, abs=1e-12)
    if shape == (24, 31) and share:
        assert 0.1 < f1 < 0.9 and 0.01 < recall < 0.9


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_thinning_equals_a_loop_over_runs(threshold: float) -> None:
    # Long runs with many equal ratios, and ratios that are thresholds.
    rng = np.random.default_rng(0)
    levels = [1, *THRESHOLDS[[0, 4, 9]], 1.3, 1.4]
    ratio = rng.choice(levels, (3, 20, 101), p=[0.05, 0.05, 0.1, 0.2, 0.3, 0.3])
    expected = [reference.thin(lines, threshold, (0, 1)) for lines in ratio]
    assert (_thin(torch.from_numpy(ratio), threshold).numpy() == np.stack(expected)).all()
    assert not _thin(torch.ones(1, 2, 3), threshold).any()


def test_a_true_edge_and_a_false_one() -> None:
    # One row, depth 1 | 2 between columns 1 and 2; the prediction has that edge and 2 | 1.5
    # between columns 4 and 5. Nearer left: a contour in both; nearer right: a predicted one only.
    # There are no vertical pairs.
    target = np.array([[1.0, 1, 2, 2, 2, 2]])
    depth = np.array([[1.0, 1, 2, 2, 2, 1.5]])
    # Reference: precisions 1 0 0 0 and recalls 1 0 0 0, both 1/4: F1 = 1/4 at each threshold.
    assert boundary_f1(depth, target) == pytest.approx(1 / 4)
    # Paper: precision 1/2, recall 1: F1 = 2/3.
    assert boundary_f1(depth, target, variant="paper") == pytest.approx(2 / 3)
    curve = boundary_precision_recall(depth, target, variant="paper")
    assert curve.precision == pytest.approx(np.full(10, 1 / 2))
    assert curve.recall == pytest.approx(np.ones(10))


def test_weights_of_thresholds() -> None:
    # A step of 1.1: thresholds 1.05, 1.0722 and 1.0944 are below it.
    depth = np.tile([1.0, 1.1], (2, 1))
    # Reference: one direction of four is right, F1 = 1/4; 3.21667 / 11.5 of the weight.
    assert boundary_f1(depth, depth) == pytest.approx(3.2166667 / 11.5 / 4)
    # Paper: F1 = 1; (5 + 7.222 + 9.444) / 150 of the weight.
    assert boundary_f1(depth, depth, variant="paper") == pytest.approx(21.666667 / 150)
    weights = boundary_precision_recall(depth, depth, variant="paper").weights
    assert weights[[0, -1]] == pytest.approx([5 / 150, 25 / 150])
    assert weights.sum() == pytest.approx(1)


@pytest.mark.parametrize(("edge", "found"), [(2, 0), (3, 1), (4, 0)])
def test_a_blurred_edge_has_to_hit_the_outline(edge: int, found: int) -> None:
    # Ratios 1.26, 1.5, 1.26 between columns 1|2, 2|3, 3|4: all above 1.25. Thinned to 2|3.
    depth = np.cumprod([[1, 1, 1.26, 1.5, 1.26, 1]], axis=1)
    outline = np.arange(6)[None] < edge
    assert boundary_recall(depth, outline, variant="paper") == pytest.approx(found)
    assert boundary_recall(depth, outline) == pytest.approx(found / 4)  # 1 direction of 4


def test_foreground_is_above_a_tenth() -> None:
    depth = np.array([[1.0, 2.0, 2.0]])
    assert boundary_recall(depth, np.array([[0.11, 0.1, 0.0]]), variant="paper") == ONE
    assert boundary_recall(depth, np.array([[0.11, 0.11, 0.0]]), variant="paper") == 0
    assert boundary_recall(depth[:, ::-1], np.array([[0.0, 0, 1]]), variant="paper") == ONE
    # The foreground has to be the nearer side.
    assert boundary_recall(depth, np.array([[0.0, 1, 1]]), variant="paper") == 0


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_batch_is_its_pictures(variant: str) -> None:
    depth, target = blocks((3, 20, 23), 0), blocks((3, 20, 23), 1)
    mask = np.random.default_rng(2).random(depth.shape) < 0.9
    for measure, truth in ((boundary_f1, target), (boundary_recall, target > 1.15)):
        alone = [measure(*maps, variant) for maps in zip(depth, truth, mask, strict=True)]
        assert all(isinstance(value, float) for value in alone)
        together = measure(depth, truth, mask, variant)
        assert isinstance(together, ndarray)
        np.testing.assert_allclose(together, alone, rtol=1e-14)
    assert boundary_precision_recall(depth, target).recall.shape == (3, 10)


def test_sky() -> None:
    # Infinitely far is a contour against anything nearer, and none within the sky.
    target = np.array([[1.0, np.inf, np.inf, np.inf]])
    assert boundary_f1(target, target, variant="paper") == pytest.approx(1)
    assert boundary_f1(np.array([[1.0, 9, 9, 9]]), target, variant="paper") == pytest.approx(1)


def test_a_threshold_is_not_rounded_to_the_type_of_depth() -> None:
    rounded = THRESHOLDS.astype(np.float32)
    depth = np.stack([1 / rounded, np.ones_like(rounded)], axis=1)
    ratio = (1 / depth[:, 0]) / (1 / depth[:, 1])
    expected = ratio.astype(np.float64) > THRESHOLDS
    assert (expected != (ratio > rounded)).any()
    pairs = zip(depth[:, None], THRESHOLDS, strict=True)
    assert [occluding_contours(*pair).any() for pair in pairs] == expected.tolist()


@pytest.mark.usefixtures("unchecked")
def test_mistakes_are_explained() -> None:
    depth = np.ones((4, 5))
    with pytest.raises(ValueError, match=r"one shape.*\(4, 5\) of torch.float64, \(5, 4\)"):
        boundary_f1(depth, depth.T)
    with pytest.raises(ValueError, match="boolean mask"):
        boundary_f1(depth, depth, depth)
    with pytest.raises(ValueError, match=r"pass a mask"):
        boundary_f1(depth, depth * np.nan)
    with pytest.raises(ValueError, match='"reference" or "paper"; got \'text\''):
        boundary_f1(depth, depth, variant="text")
    with pytest.raises(ValueError, match=r"spans 0 to 255; divide"):
        boundary_recall(depth, np.array([[0.0, 255, 0, 0, 0]] * 4))
    with pytest.raises(ValueError, match=r"ratio must be above 1.*got 1"):
        occluding_contours(depth, 1.0)


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_occluding_contours_lie_on_the_nearer_side(kind) -> None:
    depth = np.array([[2, 2, 3], [2, 2, 2], [2, 2, 1.5]], np.float32)
    # 3 / 2 = 1.5 in the first row, 2 / 1.5 = 1.33 in the last.
    wanted = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 1]], bool)
    np.testing.assert_array_equal(np.asarray(occluding_contours(kind(depth), 1.3)), wanted)
    wanted[2, 2] = False
    batch = occluding_contours(kind(np.stack([depth, depth])), 1.4)
    np.testing.assert_array_equal(np.asarray(batch), np.stack([wanted, wanted]))
    mask = kind(np.array([[1, 1, 0], [1, 1, 1], [1, 1, 1]], bool))
    assert not np.asarray(occluding_contours(kind(depth), 1.4, mask)).any()
