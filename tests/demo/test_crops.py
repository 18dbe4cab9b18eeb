"""What the network says about crops."""

import re

import numpy as np
import pytest
from conftest import TINY, make_model

from demo.pipeline import Analysis
from demo.tabs.focal import crops
from demo.tabs.focal.crops import CropEstimate
from demo.tabs.focal.focal import Opinion
from depthpro import DepthPro, DepthProConfig, Prediction
from depthpro.checkpoint import OWN_LICENCE, Provenance


def analysis_of(rgb: np.ndarray, prediction: Prediction) -> Analysis:
    made = Provenance("small", OWN_LICENCE)
    return Analysis("noise", rgb, prediction, None, None, "network", made)


def noise(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(200, 100), (201, 101), (640, 427), (3, 2), (1, 1)])
@pytest.mark.parametrize("share", crops.CROPS)
def test_crops_are_centred_to_the_pixel(size: tuple[int, int], share: float) -> None:
    width, height = size
    ramp = np.zeros((height, width, 3), np.uint16)
    ramp[..., 0], ramp[..., 1] = np.arange(width), np.arange(height)[:, None]
    part = crops.crop(ramp.astype(np.uint8), share)
    rows, columns = part.shape[:2]
    assert abs(columns - share * width) <= max(1, 2 - width % 2)
    assert abs(rows - share * height) <= max(1, 2 - height % 2)
    # the optical axis stays in the middle
    assert int(part[0, 0, 0]) + int(part[0, -1, 0]) == (width - 1) % 256 or width > 256
    assert (width - columns) % 2 == (height - rows) % 2 == 0
    assert part[0, 0, 0] == (width - columns) // 2 % 256


def test_estimates_are_those_of_infer_in_two_calls(tiny_model: DepthPro) -> None:
    rgb = noise(300, 200)
    analysis = analysis_of(rgb, tiny_model.infer(rgb))
    calls: list[int] = []
    hook = tiny_model.register_forward_hook(lambda *_: calls.append(1))
    told: list[tuple[int, int]] = []
    found = crops.crop_estimates(tiny_model, analysis, lambda *step: told.append(step))
    hook.remove()
    assert len(calls) == crops.CALLS == 2
    assert told == [(0, 2), (1, 2), (2, 2)]
    assert [each.share for each in found] == list(crops.CROPS)
    assert found[0].f_px == analysis.estimated_f_px
    for each in found:
        part = crops.crop(rgb, each.share)
        assert part.shape[:2] == (each.height, each.width)
        alone = tiny_model.infer(part)
        assert each.f_px == pytest.approx(alone.estimated_f_px.item(), rel=1e-4)
        assert each.fov_deg == pytest.approx(alone.fov_deg.item(), rel=1e-4)


def test_a_network_without_the_head_is_refused() -> None:
    model = make_model(DepthProConfig(**{**vars(TINY), "fov": False}))
    rgb = noise(40, 30)
    analysis = analysis_of(rgb, model.infer(rgb, 50.0))
    with pytest.raises(ValueError, match="estimates no focal length"):
        crops.crop_estimates(model, analysis)


def estimates(*values: float) -> tuple[CropEstimate, ...]:
    return tuple(
        CropEstimate(share, round(1000 * share), round(500 * share), value)
        for share, value in zip(crops.CROPS, values, strict=True)
    )


def test_table_and_summary() -> None:
    level = estimates(500, 500, 500, 500, 500)
    cells = re.findall("<td>(.*?)</td>", crops.crop_table(level))
    assert cells[1::3] == ["+0.0%"] * 5
    # 1000 columns at 500 px are 90 degrees, 400 columns 2 atan(0.4) = 43.6
    assert cells[2].startswith("90.0°")
    assert cells[-1] == "43.6°<small>level line: 43.6°</small>"
    assert "agree within 10 %" in crops.summary(level)
    falling = estimates(500, 450, 400, 300, 250)
    assert "-50.0%" in crops.crop_table(falling)
    assert "2.00 times the least" in crops.summary(falling)


def test_chart_shows_estimates_and_level_lines() -> None:
    metadata = Opinion("metadata", 700.0, 30.0, 71.1, 39.3, 1.4, False)
    figure = crops.crop_chart(estimates(500, 450, 400, 300, 250), [metadata])
    line, curve = figure.data
    assert list(line.y) == [700, 700]
    assert list(curve.y) == [500, 450, 400, 300, 250]
    np.testing.assert_allclose(curve.x, [100, 85, 70, 55, 40])
    assert figure.layout.yaxis.range[0] == 0
    assert figure.layout.yaxis.range[1] > 700
