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
from flat_scenes import predict
from PIL import Image

from demo.pipeline import Analysis
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


def square(side: int = SIDE) -> Prediction:
    """Return a perfect network's word on a photo whose pixels are those of its map."""
    return predict(scene, (side, side), 80.0, side)


def truth() -> Truth:
    depth = scene(np.empty((SIDE, SIDE, 3))).astype(np.float32)
    return Truth(depth, np.ones(depth.shape, bool), "made")


def test_a_perfect_prediction_has_no_error_and_f1_one() -> None:
    compared = compare(square(), truth())
    assert compared.metric.abs_rel == pytest.approx(0, abs=1e-6)
    assert compared.metric.delta1 == compared.scaled.delta1 == 1
    assert compared.metric.pixels == SIDE * (SIDE - 10)  # without the sky
    assert compared.factor == pytest.approx(1)
    assert compared.f1 == pytest.approx(1)
    np.testing.assert_array_equal(compared.curve.f1, 1)
    assert compared.contours
    error = error_map(square(), truth(), scaled=False)
    assert np.isnan(error[:10]).all()
    np.testing.assert_allclose(error[10:], 0, atol=1e-6)


@pytest.mark.parametrize(("times", "delta1"), [(1.2, 1.0), (1.3, 0.0), (0.75, 0.0)])
def test_a_wrong_scale_is_its_error_and_nothing_else(times: float, delta1: float) -> None:
    right = square()
    wrong = right.with_focal(80.0 * times)
    compared = compare(wrong, truth())
    assert compared.metric.abs_rel == pytest.approx(abs(times - 1), rel=1e-5)
    assert compared.metric.delta1 == delta1  # 1 / 0.75 is above 1.25
    assert compared.factor == pytest.approx(1 / times, rel=1e-5)
    assert compared.scaled.abs_rel == pytest.approx(0, abs=1e-6)
    assert compared.f1 == pytest.approx(1)
    np.testing.assert_allclose(error_map(wrong, truth(), False)[10:], times - 1, rtol=1e-5)
    np.testing.assert_allclose(error_map(wrong, truth(), True)[10:], 0, atol=1e-6)


def test_flat_depth_finds_no_contour() -> None:
    compared = compare(
        predict(lambda rays: np.full(rays.shape[:2], 2.5), (64, 64), 80.0, 64), truth()
    )
    assert compared.f1 == 0
    assert compared.contours
    level = replace(truth(), depth=np.full((SIDE, SIDE), 2, np.float32))
    assert not compare(square(), level).contours


def test_what_is_masked_does_not_count() -> None:
    right = truth()
    wrong = replace(right, depth=np.where(np.arange(SIDE) < 5, 99, right.depth).astype(np.float32))
    masked = replace(wrong, mask=np.broadcast_to(np.arange(SIDE) >= 5, (SIDE, SIDE)).copy())
    assert compare(square(), wrong).metric.delta1 < 1
    compared = compare(square(), masked)
    assert compared.metric.delta1 == 1
    assert compared.f1 == pytest.approx(1)


def test_contours_are_on_the_nearer_side_and_depend_on_the_ratio() -> None:
    found = contours(square(), 1.4).ours  # the box's edges jump by 1.5
    wanted = np.zeros((SIDE, SIDE), bool)
    wanted[20:50, 30:40] = True
    wanted[21:49, 31:39] = False
    wanted[10] = True  # the wall before the sky
    np.testing.assert_array_equal(found, wanted)
    wanted[20:50] = False
    np.testing.assert_array_equal(contours(square(), 1.51).ours, wanted)
    both = contours(square(), 1.4, truth())
    np.testing.assert_array_equal(both.ours, both.true)
    with pytest.raises(ValueError, match="ratio must be above 1"):
        contours(square(), 1.0)


def test_without_truth_contours_have_the_size_of_the_networks_map() -> None:
    wide = predict(lambda rays: np.ones(rays.shape[:2]), (4000, 3000), 3000.0, 128)
    assert contours(wide, 1.1).ours.shape == (96, 128)


@pytest.mark.parametrize(
    ("given", "wanted"), [(1.2, 1.2), (0, 1.02), (99, 1.5), (None, 1.1), (float("nan"), 1.1)]
)
def test_any_ratio_can_be_drawn(given: float | None, wanted: float) -> None:
    assert sharpness.usual_ratio(given) == wanted


def brightness(rgb: np.ndarray, f_px: float) -> Prediction:
    """Return depth that is the photo's brightness, as a network that does not mind mirrors."""
    depth = torch.from_numpy(rgb[..., 0].astype(np.float32))[None]
    height, width = rgb.shape[:2]
    focal = torch.tensor([f_px])
    return Prediction(
        f_px / (width * depth), focal, focal * (1 + depth[:, 0, 0] / 100), height, width
    )


def test_the_mirror_image_is_mirrored_back() -> None:
    rgb = np.random.default_rng(0).integers(1, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    model: Any = SimpleNamespace(infer=brightness)
    said = brightness(rgb, 80.0)
    made = Provenance("small", OWN_LICENCE)
    photo = Analysis("noise", rgb, said, 80.0, None, "metadata", made)
    other = mirrored(model, photo)
    torch.testing.assert_close(other.canonical_inverse_depth, said.canonical_inverse_depth)
    found = difference(said, other.with_focal(160.0))  # which changes nothing
    assert found.median == found.ninth == 0
    left, right = (1 + int(rgb[0, column, 0]) / 100 for column in (0, -1))
    assert found.focal == pytest.approx(right / left - 1)


def test_a_difference_is_the_ratio_of_depths() -> None:
    said = square()
    canonical = said.canonical_inverse_depth.clone()
    canonical[..., 32:] *= 1.1
    found = difference(said, replace(said, canonical_inverse_depth=canonical, estimated_f_px=None))
    # Half of the pixels; and the sky, in both, is at the far end.
    np.testing.assert_allclose(found.share[10:, :32], 0, atol=1e-6)
    np.testing.assert_allclose(found.share[10:, 32:], 0.1, rtol=1e-5)
    np.testing.assert_allclose(found.share[:10], 0, atol=1e-6)
    assert found.ninth == pytest.approx(0.1, rel=1e-5)
    assert found.focal is None


def layer_of(svg: str) -> np.ndarray:
    content = re.search(r'base64,([^"]+)"', svg)
    assert content
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content[1]))).convert("RGBA"))


def test_contours_are_drawn_by_whose_they_are() -> None:
    ours, true = np.zeros((2, 9, 9), bool)
    ours[4, 1:4] = True
    true[4, 3:6] = True
    drawn = layer_of(drawing.contour_layer(sharpness.Contours(ours, true)))
    yellow, white, blue = drawn[4, 1], drawn[4, 3], drawn[4, 5]
    assert yellow.tolist() == [255, 214, 10, 255]
    assert white.tolist() == [255, 255, 255, 255]
    assert blue.tolist() == [0, 178, 255, 255]
    assert drawn[3, 3].tolist()[:3] == [0, 0, 0]  # the seam
    assert 0 < drawn[3, 3, 3] < 255
    assert drawn[0, 0, 3] == 0
    legend = drawing.contour_legend(sharpness.Contours(ours, None), 1.25)
    assert "25 %" in legend
    assert "9 × 9" in legend
    assert "true" not in legend


def test_errors_are_blue_where_too_near_and_clear_where_unknown() -> None:
    error = np.array([[-0.5, 0, 0.5, np.nan]], np.float32)
    near, right, far, unknown = drawing.error_layer(error, 0.5)[0].astype(int)
    assert near[2] > near[0] + 100
    assert far[0] > far[2] + 100
    assert abs(right[0] - right[2]) < 5
    assert unknown[3] == 0
    assert near[3] == right[3] == far[3] == 255
    assert drawing.error_limit(error) == 0.5
    assert drawing.error_limit(np.full((2, 2), np.nan, np.float32)) == 0.1
    assert "25.0&nbsp;% is sky or unknown" in drawing.error_legend(error, 0.5, True)


def test_figures_and_curve_say_what_was_measured() -> None:
    compared = compare(square().with_focal(80 * 1.2), truth())
    shown = drawing.cards(compared, None)
    assert re.findall(r"<dd>(.*?)</dd>", shown) == ["100&nbsp;%", "0.200", "1.000"]
    assert "median-scaled (×&nbsp;0.833): 0.000" in shown
    figure: Any = drawing.curve_chart(compared.curve)
    assert [line.name for line in figure.data] == ["F1", "recall", "precision"]
    np.testing.assert_array_equal(figure.data[1].y, compared.curve.recall)
    assert (figure.data[0].x[0], figure.data[0].x[-1]) == (1.05, 1.25)
    assert drawing.cards(None, None) == ""


def test_notes_are_honest_and_escaped() -> None:
    note = drawing.truth_note(replace(truth(), title="<b>.npz"), 4.0)
    assert "&lt;b&gt;.npz" in note
    assert "Compared at 64 × 64 pixels" in note
    assert "upload" in drawing.truth_note(None)
    card = (Path(__file__).parents[2] / "depthpro/weights/CARD.md").read_text(encoding="utf-8")
    measured = next(line for line in card.splitlines() if line.startswith("| **`small`** |"))
    limits = drawing.limits(Provenance("small", OWN_LICENCE))
    assert f"F1 is {measured.split('|')[7].strip()}," in limits
    assert drawing.limits(Provenance("apple/DepthPro", PUBLISHED_LICENCE)) == ""
