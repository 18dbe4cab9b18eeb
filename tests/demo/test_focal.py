"""Focal lengths: what sources say, what they look like from above, what a known length implies."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import make_model
from flat_scenes import F_PX, HEIGHT, SIZE, WIDTH, pixel, plane, predict

from demo import pipeline
from demo.pipeline import Analysis
from demo.tabs.focal import focal
from demo.tabs.focal.drawing import calibration_text, from_above, sources_table
from demo.tabs.focal.focal import calibrate
from demo.tabs.measure.measure import Spots, locate
from depthpro import Prediction, load_image
from depthpro.checkpoint import OWN_LICENCE, Provenance
from depthpro.exif import focal_px_from_35mm

FLOOR = plane((0, 1 / 1.5, 0))  # y = 1.5 m, below a level camera


def analysis_of(
    prediction: Prediction,
    metadata_f_px: float | None = 800.0,
    source: pipeline.FocalSource = "network",
) -> Analysis:
    rgb = np.zeros((prediction.height, prediction.width, 3), np.uint8)
    made = Provenance("small", OWN_LICENCE)
    return Analysis("flat", rgb, prediction, metadata_f_px, None, source, made)


def spots_at(*points: tuple[float, float, float], f_px: float = F_PX, pm: float = 0.0) -> Spots:
    """Return points in metres as a camera sees them, with this ± of depth."""
    depth = np.array([point[2] for point in points])
    places = np.array([pixel(point) for point in points])
    return Spots(WIDTH, HEIGHT, f_px, places, depth, depth - pm, depth + pm)


def floor_at(x: float, z: float) -> tuple[float, float]:
    return pixel((x, 1.5, z))


@pytest.mark.parametrize("size", [(36, 24), (4000, 3000), (3000, 4000)])
def test_35_mm_is_by_the_diagonal_and_back(size: tuple[int, int]) -> None:
    # of a 36 x 24 picture pixels are millimetres
    wanted = 50 * math.hypot(36, 24) / math.hypot(*size)
    assert focal.f_35mm(50.0, *size) == pytest.approx(wanted)
    assert focal.f_35mm(focal_px_from_35mm(28, *size), *size) == pytest.approx(28)


def test_sources_side_by_side() -> None:
    analysis = analysis_of(predict(FLOOR))
    metadata, network = focal.opinions(analysis)
    assert (metadata.source, metadata.in_use, metadata.factor) == ("metadata", False, 0.8)
    assert (network.source, network.in_use, network.factor) == ("network", True, 1.0)
    # 1200 columns, 900 rows at 1000 px: 2 atan(0.6), 2 atan(0.45)
    assert network.fov_deg == pytest.approx(61.9275, abs=1e-4)
    assert network.vertical_deg == pytest.approx(48.4555, abs=1e-4)
    # a diagonal of 1500 px against 43.267 mm
    assert network.f_35mm == pytest.approx(28.844, abs=1e-3)
    *_, hand = focal.opinions(analysis, hand_f_px=250.0)
    assert (hand.source, hand.in_use, hand.factor) == ("hand", False, 0.25)
    by_hand = pipeline.with_source(analysis, "hand", 500.0)
    factors = {each.source: each.factor for each in focal.opinions(by_hand, 250.0)}
    assert factors == {"metadata": 1.6, "network": 2.0, "hand": 1.0}


def test_sources_that_say_nothing_are_left_out() -> None:
    analysis = analysis_of(predict(FLOOR), metadata_f_px=None)
    assert [each.source for each in focal.opinions(analysis)] == ["network"]
    table = sources_table(analysis)
    assert table.count("disabled") == 2
    assert table.count("checked") == 1
    assert "says none" in table
    assert "type it below" in table


def test_table_says_what_each_source_makes_of_depth() -> None:
    table = sources_table(analysis_of(predict(FLOOR)), 2000.0, "m", 3.0)
    cells = [re.sub("<[^>]+>", " ", cell) for cell in re.findall("<td>(.*?)</td>", table)]
    assert [" ".join(cell.split()) for cell in cells] == [
        *("800", "23.1 mm", "73.7° 58.7° vertical", "× 0.800 median 2.4 m"),
        *("1000", "28.8 mm", "61.9° 48.5° vertical", "in use median 3 m"),
        *("2000", "57.7 mm", "33.4° 25.4° vertical", "× 2.000 median 6 m"),
    ]


def test_switching_there_and_back_gives_the_same_bits(tmp_path: Path) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 1
    exif.get_ifd(0x8769)[0xA405] = 35
    pixels = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png", exif=exif)
    model = make_model()
    calls: list[int] = []
    model.register_forward_hook(lambda *_: calls.append(1))
    first = pipeline.analyse(model, tmp_path / "noise.png")
    hand_f_px = pipeline.with_source(first, "hand", 33.3).f_px
    depths: dict[str, np.ndarray] = {}
    analysis = first
    for source in ("metadata", "hand", "network", "hand", "metadata", "network", "metadata"):
        analysis = pipeline.with_source(analysis, source, hand_f_px)
        depth = analysis.prediction.depth.numpy()
        np.testing.assert_array_equal(depth, depths.setdefault(source, depth))
    np.testing.assert_array_equal(analysis.prediction.depth, first.prediction.depth)
    assert len(calls) == 1
    said = model.infer(load_image(tmp_path / "noise.png").rgb)
    np.testing.assert_array_equal(depths["network"], said.depth.numpy())


def test_strips_of_a_wall_and_of_another_focal_length() -> None:
    wall = predict(plane((0.05, 0, 0.25)))  # 0.05 x + 0.25 z = 1
    x, z = focal.strips(wall).T
    np.testing.assert_allclose(0.05 * x + 0.25 * z, 1, rtol=1e-3)
    # the outer strips' centres are at 15 / 16 of the half width: tan = 0.6 * 15 / 16
    np.testing.assert_allclose(x[[0, -1]] / z[[0, -1]], [-0.5625, 0.5625], rtol=1e-6)
    x2, z2 = focal.strips(wall.with_focal(2 * F_PX)).T
    np.testing.assert_allclose(x2, x, rtol=1e-6)
    np.testing.assert_allclose(z2, 2 * z, rtol=1e-6)


def test_strips_without_sky() -> None:
    half = predict(lambda rays: np.where(rays[..., 1] < 0.1, np.inf, 5.0))
    np.testing.assert_allclose(focal.strips(half)[:, 1], 5, rtol=1e-6)
    right = predict(lambda rays: np.where(rays[..., 0] > 0, np.inf, 5.0))
    assert len(focal.strips(right)) == 8
    nothing = predict(lambda rays: np.full(rays.shape[:-1], np.inf))
    assert focal.strips(nothing).shape == (0, 2)
    assert "<circle" in from_above(analysis_of(nothing))  # the camera at least


def dots(drawing: str, names: str) -> np.ndarray:
    """Return dots relative to the camera: to the right, and upwards."""
    (group,) = re.findall(f'<g class="dots {names}">(.*?)</g>', drawing)
    places = np.array(re.findall(r'cx="([-\d.]+)" cy="([-\d.]+)"', group), float)
    (camera,) = re.findall(r'class="camera" cx="([\d.]+)" cy="([\d.]+)"', drawing)
    return (places - np.array(camera, float)) * (1, -1)


def test_from_above_is_to_scale() -> None:
    analysis = analysis_of(predict(plane((0.05, 0, 0.25))), metadata_f_px=500.0)
    drawing = from_above(analysis)
    ours, theirs = dots(drawing, "network used"), dots(drawing, "metadata")
    assert len(ours) == len(theirs) == 16
    # half the focal length: as far to the side, half as far away
    np.testing.assert_allclose(theirs, ours * (1, 0.5), atol=0.15)
    seen = focal.strips(analysis.prediction)
    np.testing.assert_allclose(ours / ours[3, 1], seen / seen[3, 1], atol=1e-3)
    rims = dict(re.findall(r'<path class="rim ([\w ]+)" d="M([-\d.]+ [-\d.]+L\S+ \S+)L', drawing))
    for names, tangent in (("network used", 0.6), ("metadata", 1.2)):
        x, y, x0, y0 = (float(number) for number in re.split("[ L]", rims[names]))
        assert (x0 - x) / (y0 - y) == pytest.approx(tangent, abs=1e-3)
    (grid, label) = (
        re.findall(r'class="grid" d="M0 ([\d.]+)H', drawing),
        re.findall(r"<text [^>]*>([\d.]+) m</text>", drawing),
    )
    for y, metres in zip(grid, label, strict=True):
        assert (y0 - float(y)) / float(metres) == pytest.approx(ours[3, 1] / seen[3, 1], abs=0.2)
    assert "ft<" in from_above(analysis, units="ft")


@pytest.mark.parametrize("f_px", [1e-30, 0.1, 1e6, 1e30])
def test_any_focal_length_can_be_drawn(f_px: float) -> None:
    analysis = analysis_of(predict(FLOOR).with_focal(f_px))  # metadata may say anything
    drawing = from_above(analysis) + sources_table(analysis)
    assert "nan" not in drawing
    assert "inf" not in drawing


@pytest.mark.parametrize("true_f_px", [350.0, 1000.0, 1700.0])
def test_a_length_along_the_floor_tells_the_focal_length(true_f_px: float) -> None:
    # At 1000 px the points are at (-0.5, 1.5, 4) and (0.7, 1.5, 7); at another focal length f
    # their z is 4 f / 1000 and 7 f / 1000, and x and y stay.
    prediction = predict(FLOOR, side=512)
    true_m = math.hypot(1.2, 3 * true_f_px / 1000)
    points = [floor_at(-0.5, 4), floor_at(0.7, 7)]
    found = calibrate(locate(prediction, points), true_m)
    assert found.f_px == pytest.approx(true_f_px, rel=2e-3)
    assert found.verdict == "follows" or true_f_px == 1000
    assert found.across_m == pytest.approx(1.2, rel=2e-3)
    assert found.ahead_m == pytest.approx(3, rel=2e-3)
    assert found.measured_m == pytest.approx(math.hypot(1.2, 3), rel=2e-3)
    again = calibrate(locate(prediction.with_focal(found.f_px), points), true_m)
    assert again.measured_m == pytest.approx(true_m, rel=1e-6)
    assert again.verdict == "in use"
    assert "as it is in truth" in calibration_text(again, *SIZE)


def test_the_result_does_not_depend_on_the_focal_length_in_use() -> None:
    prediction, points = predict(FLOOR), [floor_at(-0.5, 4), floor_at(0.7, 7)]
    one, other = (
        calibrate(locate(prediction.with_focal(f_px), points), 2.5) for f_px in (1000.0, 1900.0)
    )
    assert one.f_px == pytest.approx(other.f_px, rel=1e-6)
    assert one.plus_minus_px == pytest.approx(other.plus_minus_px, rel=1e-4)
    assert one.across_m == pytest.approx(other.across_m, rel=1e-6)
    assert one.factor != pytest.approx(other.factor, rel=0.1)


def test_plus_minus_in_closed_form() -> None:
    # On the axis the distance is z2 - z1 = 3 m, so f = 1000 L / 3; ± 0.1 m of each point moves
    # it by 1000 L (1 / 2.9 - 1 / 3.1) / 2, and the two add in quadrature.
    spots = spots_at((0, 0, 3), (0, 0, 6), pm=0.1)
    found = calibrate(spots, 3.6)
    assert found.f_px == pytest.approx(1200)
    assert found.plus_minus_px == pytest.approx(math.sqrt(2) * 3600 * (1 / 2.9 - 1 / 3.1) / 2)
    assert found.plus_minus_m == pytest.approx(math.sqrt(2) * 0.1)
    assert found.gain == 1  # all of the length leads away
    assert found.factor == pytest.approx(1.2)
    backwards = calibrate(spots_at((0, 0, 6), (0, 0, 3), pm=0.1), 3.6)
    assert backwards.f_px == pytest.approx(found.f_px)
    assert backwards.plus_minus_px == pytest.approx(found.plus_minus_px)


def test_gain_is_the_slope() -> None:
    spots = spots_at((0, 0, 4), (1, 0.5, 5))
    found, longer = calibrate(spots, 1.6), calibrate(spots, 1.6 * (1 + 1e-6))
    assert found.f_px is not None and longer.f_px is not None
    assert (longer.f_px / found.f_px - 1) * 1e6 == pytest.approx(found.gain, rel=1e-4)


def test_a_length_across_tells_the_scale_and_not_the_focal_length() -> None:
    found = calibrate(spots_at((-1, 0, 4), (1, 0, 4.1)), 2.5)
    assert (found.verdict, found.f_px) == ("across", None)
    assert found.factor == pytest.approx(1.25, rel=2e-3)
    said = calibration_text(found, *SIZE)
    assert "19.9% too short" in said  # 1 - sqrt(4.01) / 2.5
    assert "equally far away" in said
    assert "multiplied by <b>1.25</b>" in said


def test_a_length_shorter_than_what_is_across_is_impossible() -> None:
    found = calibrate(spots_at((-1, 0, 3), (1, 0, 5)), 1.9)
    assert (found.verdict, found.f_px) == ("too short", None)
    assert found.gain == math.inf
    said = calibration_text(found, *SIZE)
    assert "the points are 2 m apart, whatever the focal length is" in said
    assert "6.56 ft apart" in calibration_text(found, *SIZE, units="ft")
    # in truth as long as measured across: no depth is left between the points
    assert calibrate(spots_at((-1, 0, 3), (1, 0, 5)), 2.0).verdict == "too short"


def test_what_is_too_unsure_is_not_to_be_used() -> None:
    # ± 1 m at each end of 2 m: which point is nearer is not sure
    found = calibrate(spots_at((0, 0, 3), (0, 0, 5), pm=1.5), 2.5)
    assert found.verdict == "unsure"
    assert "too uneven" in calibration_text(found, *SIZE)
    # 2.02² - 2² is 2 % of 2.02²: one percent of the length is 51 % of the focal length
    steep = calibrate(spots_at((-1, 0, 3), (1, 0, 5)), 2.02)
    assert steep.verdict == "unsure"
    assert steep.gain == pytest.approx(2.02**2 / (2.02**2 - 4))
    assert "50.8 % of the focal length" in calibration_text(steep, *SIZE)
    # where both points may be at the same depth the ± is infinite
    touching = calibrate(spots_at((0, 0, 3), (0, 0, 5), pm=2.0), 2.5)
    assert touching.verdict == "unsure"
    assert "very unsure" in calibration_text(touching, *SIZE)


def test_no_camera_sees_that() -> None:
    for true_m in (0.02, 500.0):  # 1200 pixels at 20 px: 176 degrees; at 500,000 px: 0.1
        found = calibrate(spots_at((0, 0, 3), (0, 0, 4)), true_m)
        assert found.verdict == "no camera"
        assert "No camera sees that" in calibration_text(found, *SIZE)


def test_text_says_both_ways_to_read_a_length() -> None:
    said = calibration_text(calibrate(spots_at((0, 0, 3), (0, 0, 6), pm=0.1), 3.6), *SIZE)
    assert "Measured 3.00 ± 0.15 m, in truth 3.6 m: 16.7% too short." in said
    # 1200 px: 1200 * 43.267 / 1500 mm, 2 atan(0.5)
    assert "<b>1200 ± 57 px</b> (34.6 mm, 53.1°)" in said
    assert "multiplied by <b>1.2</b>" in said
    assert "One percent of the true length is 1.0 % of the focal length" in said
    far_off = calibration_text(calibrate(spots_at((0, 0, 3), (0, 0, 6)), 1.0), *SIZE)
    assert "3 times too long" in far_off


@pytest.mark.parametrize("true_m", [0.0, -1.0, math.nan, math.inf])
def test_a_length_that_is_none_is_refused(true_m: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        calibrate(spots_at((0, 0, 3), (0, 0, 6)), true_m)


def test_points_that_are_not_two_are_refused() -> None:
    with pytest.raises(ValueError, match="two points"):
        calibrate(spots_at((0, 0, 3)), 1.0)
    with pytest.raises(ValueError, match="on something solid"):
        calibrate(spots_at((0, 0, 3), (1, 0, math.inf)), 1.0)
    with pytest.raises(ValueError, match="same place"):
        calibrate(spots_at((0, 0, 3), (0, 0, 3)), 1.0)
