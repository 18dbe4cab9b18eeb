"""Contours, errors and mirror images of scenes whose depth is known."""

import base64
import io
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from flat_scenes import analysis_of, predict
from PIL import Image

from demo.tabs.sharpness import drawing, sharpness
from demo.tabs.sharpness.sharpness import compare, contours, difference, error_map, mirrored
from demo.tabs.sharpness.truth import Truth
from depthpro import Prediction
from depthpro.checkpoint import OWN_LICENCE, PUBLISHED_LICENCE, Provenance

SIDE = 64
NEAR, FAR = 2.0, 3.0


def scene(rays: np.ndarray) -> np.ndarray:
    """Return a box 2 m away before a wall 3 m away, below a sky."""
    depth = np.full(rays.shape[:2], FAR)
    depth[20:50, 30:40] = NEAR
    depth[:10] = np.inf
    return depth


def square() -> Prediction:
    """Return a perfect prediction for a photo whose pixels are those of the network's map."""
    return predict(scene, (SIDE, SIDE), 80.0, SIDE)


def truth() -> Truth:
    depth = scene(np.empty((SIDE, SIDE, 3))).astype(np.float32)
    return Truth(depth, np.ones(depth.shape, bool), "made")


@pytest.mark.parametrize(("times", "delta1"), [(1, 1.0), (1.2, 1.0), (1.3, 0.0), (0.75, 0.0)])
def test_a_wrong_scale_is_the_only_error(times: float, delta1: float) -> None:
    wrong = square().with_focal(80.0 * times)
    comparison = compare(wrong, truth())
    assert comparison.metric.abs_rel == pytest.approx(abs(times - 1), rel=1e-5, abs=1e-6)
    assert comparison.metric.delta1 == delta1  # 1 / 0.75 is above 1.25
    assert comparison.metric.pixels == SIDE * (SIDE - 10)  # without the sky
    assert comparison.factor == pytest.approx(1 / times, rel=1e-5)
    assert comparison.scaled.abs_rel == pytest.approx(0, abs=1e-6)
    assert comparison.f1 == pytest.approx(1)
    error = error_map(wrong, truth(), False)
    assert np.isnan(error[:10]).all()
    np.testing.assert_allclose(error[10:], times - 1, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(error_map(wrong, truth(), True)[10:], 0, atol=1e-6)


def test_flat_depth_has_no_contour() -> None:
    flat = predict(lambda rays: np.full(rays.shape[:2], 2.5), (SIDE, SIDE), 80.0, SIDE)
    assert compare(flat, truth()).f1 == 0
    level = replace(truth(), depth=np.full((SIDE, SIDE), 2, np.float32))
    assert compare(square(), level).f1 is None


def test_what_is_masked_does_not_count() -> None:
    right = truth()
    wrong = replace(right, depth=np.where(np.arange(SIDE) < 5, 99, right.depth).astype(np.float32))
    masked = replace(wrong, mask=np.broadcast_to(np.arange(SIDE) >= 5, (SIDE, SIDE)).copy())
    assert compare(square(), wrong).metric.delta1 < 1
    comparison = compare(square(), masked)
    assert comparison.metric.delta1 == 1
    assert comparison.f1 == pytest.approx(1)


def test_contours_are_on_the_nearer_side_and_depend_on_the_ratio() -> None:
    wanted = np.zeros((SIDE, SIDE), bool)
    wanted[20:50, 30:40] = True  # the box's edges jump by 1.5
    wanted[21:49, 31:39] = False
    wanted[10] = True  # the wall before the sky
    np.testing.assert_array_equal(contours(square(), 1.4).predicted, wanted)
    both = contours(square(), 1.4, truth())
    np.testing.assert_array_equal(both.predicted, both.true)
    wanted[20:50] = False
    np.testing.assert_array_equal(contours(square(), 1.51).predicted, wanted)
    wide = predict(lambda rays: np.ones(rays.shape[:2]), (4000, 3000), 3000.0, 128)
    assert contours(wide, 1.1).predicted.shape == (96, 128)  # the size of the network's map


def brightness(rgb: np.ndarray, f_px: float) -> Prediction:
    """Return depth that is the photo's brightness, as a network that does not mind mirrors."""
    depth = torch.from_numpy(rgb[..., 0].astype(np.float32))[None]
    height, width = rgb.shape[:2]
    focal = torch.tensor([f_px])
    estimated = focal * (1 + depth[:, 0, 0] / 100)
    return Prediction(f_px / (width * depth), focal, estimated, height, width)


def test_the_mirror_image_is_mirrored_back() -> None:
    rgb = np.random.default_rng(0).integers(1, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    model: Any = SimpleNamespace(infer=brightness)
    prediction = brightness(rgb, 80.0)
    other = mirrored(model, analysis_of(prediction, rgb=rgb))
    torch.testing.assert_close(other.canonical_inverse_depth, prediction.canonical_inverse_depth)
    change = difference(prediction, other.with_focal(160.0))  # the focal length does not matter
    assert change.median == change.p90 == 0
    left, right = (1 + int(rgb[0, column, 0]) / 100 for column in (0, -1))
    assert change.focal == pytest.approx(right / left - 1)


def test_a_difference_is_the_ratio_of_depths() -> None:
    prediction = square()
    canonical = prediction.canonical_inverse_depth.clone()
    canonical[..., 32:] *= 1.1
    other = replace(prediction, canonical_inverse_depth=canonical, estimated_f_px=None)
    change = difference(prediction, other)
    np.testing.assert_allclose(change.share[10:, :32], 0, atol=1e-6)
    np.testing.assert_allclose(change.share[10:, 32:], 0.1, rtol=1e-5)
    np.testing.assert_allclose(change.share[:10], 0, atol=1e-6)  # sky, in both at the far end
    assert change.p90 == pytest.approx(0.1, rel=1e-5)
    assert change.focal is None


def test_contours_have_the_colour_of_their_source() -> None:
    predicted, true = np.zeros((2, 9, 9), bool)
    predicted[4, 1:4] = True
    true[4, 3:6] = True
    svg = drawing.contour_layer(sharpness.Contours(predicted, true))
    content = re.search(r'base64,([^"]+)"', svg)
    assert content
    drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(content[1]))).convert("RGBA"))
    assert drawn[4, [1, 3, 5]].tolist() == [
        [255, 214, 10, 255],
        [255, 255, 255, 255],
        [0, 178, 255, 255],
    ]
    assert drawn[3, 3].tolist() == [0, 0, 0, 150]  # the seam
    assert drawn[0, 0, 3] == 0
    legend = drawing.contour_legend(sharpness.Contours(predicted, None), 1.25)
    assert "25 %" in legend
    assert "9 × 9" in legend
    assert "true" not in legend


def test_errors_are_blue_where_too_near_and_clear_where_unknown() -> None:
    error = np.array([[-0.5, 0, 0.5, np.nan]], np.float32)
    layer, legend = drawing.error_layer(error, scaled=True)
    near, right, far, unknown = layer[0].astype(int)
    assert near[2] > near[0] + 100
    assert far[0] > far[2] + 100
    assert abs(right[0] - right[2]) < 5
    assert unknown[3] == 0
    assert near[3] == right[3] == far[3] == 255
    assert "+50%" in legend
    assert "25% is sky or unknown" in legend
    assert not drawing.error_layer(np.full((2, 2), np.nan, np.float32), scaled=True)[0].any()


def test_notes_are_honest_and_escaped() -> None:
    note = drawing.truth_note(replace(truth(), title="<b>.npz"))
    assert "&lt;b&gt;.npz" in note
    assert "Compared at 64 × 64 pixels" in note
    assert "upload" in drawing.truth_note(None)
    card = (Path(__file__).parents[2] / "depthpro/weights/CARD.md").read_text(encoding="utf-8")
    measured = next(line for line in card.splitlines() if line.startswith("| **`small`** |"))
    limits = drawing.limits(Provenance("small", OWN_LICENCE))
    assert f"F1 is {measured.split('|')[7].strip()}," in limits
    assert drawing.limits(Provenance("apple/DepthPro", PUBLISHED_LICENCE)) == ""
