"""Focal lengths: what sources say, what a known length implies, and crops."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from demo import focal, pipeline
from demo.focal_drawing import calibration_text, crops_drawing, from_above, sources_table
from depthpro import DepthPro, Prediction
from depthpro.checkpoint import Provenance

WIDTH, HEIGHT, F_PX = 400, 300, 500.0


def make(depth: np.ndarray, source: pipeline.FocalSource = "network") -> pipeline.Analysis:
    """Return an analysis whose network map is exact for a depth map of 400 x 300."""
    canonical = torch.from_numpy(F_PX / (WIDTH * depth)).float()[None]
    square = torch.nn.functional.interpolate(canonical[:, None], (400, 400), mode="nearest")[:, 0]
    focal_px = torch.tensor([F_PX])
    prediction = Prediction(square, focal_px, focal_px, HEIGHT, WIDTH)
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    return pipeline.Analysis("room", rgb, prediction, 400.0, "X", source, Provenance("t", "l"))


@pytest.fixture
def analysis() -> pipeline.Analysis:
    """Return the left half at 2 m, the right half at 5 m."""
    depth = np.full((HEIGHT, WIDTH), 2.0)
    depth[:, WIDTH // 2 :] = 5.0
    return make(depth)


def test_35_mm_goes_by_the_diagonal() -> None:
    # 36 x 24 at one pixel a millimetre: the same numbers
    assert focal.f_35mm(50.0, 36, 24) == pytest.approx(50)


def test_sources_are_told_with_what_they_make_of_depth(analysis: pipeline.Analysis) -> None:
    metadata, network = focal.opinions(analysis)
    assert (metadata.source, metadata.in_use, metadata.factor) == ("metadata", False, 0.8)
    assert (network.source, network.in_use, network.factor) == ("network", True, 1.0)
    # 500 px on 400 columns: 2 atan(200 / 500) = 43.6 degrees
    assert network.fov_deg == pytest.approx(43.603, abs=1e-3)
    table = sources_table(analysis)
    assert "× 0.80" in table
    assert table.count("<tr") == 3
    by_hand = pipeline.with_source(analysis, "hand", 250.0)
    assert [opinion.source for opinion in focal.opinions(by_hand)] == [
        "metadata",
        "network",
        "hand",
    ]
    assert "43.6°" in sources_table(by_hand)


def test_a_known_length_gives_the_focal_length(analysis: pipeline.Analysis) -> None:
    points = [(99.5, 149.5), (299.5, 149.5)]
    # x = 2 * -100 / 500 = -0.4 m and 5 * 100 / 500 = 1 m, z = 2 m and 5 m
    now = focal.calibrate(analysis, points, 3.0)
    assert now.measured_m == pytest.approx(np.hypot(1.4, 3.0), rel=1e-3)
    # with f the depths differ by 3 f / 500, and the offsets stay
    for f_px in (300.0, 500.0, 800.0):
        true_m = float(np.hypot(1.4, 3.0 * f_px / 500))
        found = focal.calibrate(analysis, points, true_m)
        assert found.f_px == pytest.approx(f_px, rel=2e-3)
        used = pipeline.with_source(analysis, "hand", found.f_px)
        assert focal.calibrate(used, points, true_m).measured_m == pytest.approx(true_m, rel=1e-3)
    assert "implies a focal length" in calibration_text(
        focal.calibrate(analysis, points, 3.0), "ft"
    )


def test_what_lies_across_tells_no_focal_length(analysis: pipeline.Analysis) -> None:
    across = focal.calibrate(analysis, [(50.0, 100.0), (150.0, 100.0)], 1.0)
    assert across.f_px is None
    assert across.measured_m == pytest.approx(0.4, rel=1e-3)
    assert "side by side" in calibration_text(across)
    too_short = focal.calibrate(analysis, [(99.5, 149.5), (299.5, 149.5)], 1.0)
    assert too_short.f_px is None
    assert "whatever the focal length" in too_short.reason


@pytest.mark.parametrize(
    ("points", "true_m", "message"),
    [
        ([(1.0, 1.0)], 1.0, "two points"),
        ([(1.0, 1.0), (300.0, 1.0)], 0.0, "positive"),
        ([(1.0, 1.0), (300.0, 1.0)], float("nan"), "positive"),
        ([(1.0, 1.0), (4000.0, 1.0)], 1.0, "in the photo"),
    ],
)
def test_bad_calibration_is_refused(
    analysis: pipeline.Analysis, points: list, true_m: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        focal.calibrate(analysis, points, true_m)


def test_sky_is_refused() -> None:
    depth = np.full((HEIGHT, WIDTH), 2.0)
    depth[:, 200:] = np.inf
    with pytest.raises(ValueError, match="sky"):
        focal.calibrate(make(depth), [(50.0, 100.0), (350.0, 100.0)], 1.0)


def test_spread_of_depth_makes_the_focal_length_unsure(analysis: pipeline.Analysis) -> None:
    sure = focal.calibrate(analysis, [(99.5, 149.5), (299.5, 149.5)], 3.0)
    rng = np.random.default_rng(0)
    depth = np.where(np.arange(WIDTH) < 200, 2.0, 5.0) * rng.uniform(0.95, 1.05, (HEIGHT, WIDTH))
    unsure = focal.calibrate(make(depth), [(99.5, 149.5), (299.5, 149.5)], 3.0)
    assert sure.plus_minus_px == pytest.approx(0, abs=0.1)
    assert 5 < unsure.plus_minus_px < 100


def test_crops_are_centred_and_ask_the_network_once_each(
    tiny_model: DepthPro, tmp_path: Path
) -> None:
    ramp = np.tile(np.arange(200, dtype=np.uint8)[None, :, None], (100, 1, 3))
    part = focal.crop(ramp, 0.5)
    assert part.shape == (50, 100, 3)
    assert part[0, 0, 0] == 50
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    analysis = pipeline.analyse(tiny_model, tmp_path / "ramp.png")
    calls: list[int] = []
    hook = tiny_model.register_forward_hook(lambda *_: calls.append(1))
    estimates = focal.crop_estimates(tiny_model, analysis)
    hook.remove()
    assert len(calls) == len(focal.CROPS) - 1
    assert estimates[0].f_px == analysis.estimated_f_px
    assert estimates[2].f_px == tiny_model.infer(focal.crop(ramp, 0.7)).estimated_f_px.item()
    drawing = crops_drawing(estimates, analysis)
    assert all(f">{estimate.share:.0%}<" in drawing for estimate in estimates)


def test_from_above_the_edge_points_lie_on_the_field_of_view(analysis: pipeline.Analysis) -> None:
    drawing = from_above(analysis, "ft")
    circles = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="3"', drawing)
    x, z = np.array(circles[-1], float) - (240, 276)
    # the last column's centre is at 17.5 / 18 of the half width: tan = 0.4 * 17.5 / 18
    assert x / -z == pytest.approx(0.4 * 17.5 / 18, rel=0.01)
    assert " ft<" in drawing
