"""What the picture component is given."""

import base64
import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demo import pipeline, screen
from depthpro import DepthPro


def unpacked(text: str, least: float, step: float) -> np.ndarray:
    """Return the inverse depth that the browser computes, with Python's own means."""
    planes = zlib.decompress(base64.b64decode(text))
    count = len(planes) // 2
    code, inverse = 0, []
    for high, low in zip(planes[:count], planes[count:], strict=True):
        signed = 256 * high + low
        code = (code + (signed // 2 if signed % 2 == 0 else -(signed + 1) // 2)) % 65536
        inverse.append(least * np.exp((code - 1) * step) if code else 0.0)
    return np.array(inverse)


@pytest.fixture
def analysis(tmp_path: Path, tiny_model: DepthPro) -> pipeline.Analysis:
    pixels = np.random.default_rng(0).integers(0, 255, (300, 2600, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "wall.png")
    return pipeline.analyse(tiny_model, tmp_path / "wall.png")


def test_packed_depth_is_right_within_a_thousandth() -> None:
    rng = np.random.default_rng(0)
    canonical = np.exp(rng.uniform(-15, 10, (30, 30))).astype(np.float32)
    canonical[3] = 0  # sky
    canonical[4, :5] = (1e-30, 1e-12, 1e9, 1e12, -1)
    value = unpacked(screen.packed(canonical), screen._LEAST, screen._STEP).reshape(30, 30)
    assert (value[3] == 0).all()
    assert value[4, 4] == 0
    usual = (canonical > 1e-8) & (canonical < 1e6)
    np.testing.assert_allclose(value[usual], canonical[usual], rtol=3e-4)
    assert (value[4, :2] <= 1e-8).all()  # far beyond what is called sky
    assert (value[4, 2:4] > 1e5).all()  # and far below the least depth


def test_photo_is_sent_at_the_size_of_the_page(analysis: pipeline.Analysis) -> None:
    value = screen.photo(analysis)
    kind, data = value["photo"].split(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert image.size == (1280, 148)  # 300 * 1280 / 2600 = 147.7
    assert (value["width"], value["height"]) == (2600, 300)
    assert value["fPx"] == analysis.f_px
    assert value["over"] is None
    twice = pipeline.with_source(analysis, "hand", 2 * analysis.f_px)
    assert screen.focal_length(twice) == {"fPx": pytest.approx(2 * analysis.f_px)}  # one number
    assert value["side"] == analysis.prediction.canonical_inverse_depth.shape[-1]
