"""Focal lengths: by source, from above, and by a known length."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from flat_scenes import F_PX, HEIGHT, SIZE, WIDTH, analysis_of, pixel, plane, predict

from demo.tabs.focal.drawing import calibration_text, from_above, sources_table
from demo.tabs.focal.focal import calibrate
from demo.tabs.measure.measure import Points3D, locate
from depthpro.depth_error import DepthError

FLOOR = plane((0, 1 / 1.5, 0))  # y = 1.5 m, below a level camera


def points_at(*places: tuple[float, float, float], pm: float = 0.0) -> Points3D:
    """Return points in metres as a camera sees them, with this ± of depth."""
    depth = np.array([place[2] for place in places])
    pixels = np.array([pixel(place) for place in places])
    exact = DepthError(0, 0, 1)
    return Points3D(WIDTH, HEIGHT, F_PX, pixels, depth, depth - pm, depth + pm, exact)


def test_table_has_what_each_source_makes_of_depth() -> None:
    table = sources_table(analysis_of(predict(FLOOR), metadata_f_px=800.0), 2000.0, "m", 3.0)
    cells = [re.sub("<[^>]+>", " ", cell) for cell in re.findall("<td>(.*?)</td>", table)]
    # 1000 px on 1200 columns: 2 atan(0.6); the diagonal of 1500 px against 43.267 mm: 28.8 mm
    assert [" ".join(cell.split()) for cell in cells] == [
        *("800", "23.1 mm", "73.7° 58.7° vertical", "× 0.800 median 2.4 m"),
        *("1000", "28.8 mm", "61.9° 48.5° vertical", "in use median 3 m"),
        *("2000", "57.7 mm", "33.4° 25.4° vertical", "× 2.000 median 6 m"),
    ]
    table = sources_table(analysis_of(predict(FLOOR)))
    assert (table.count("disabled"), table.count("checked")) == (2, 1)
    assert "has none" in table
    assert "type it below" in table


def test_fields_of_view_from_above() -> None:
    drawing = from_above(analysis_of(predict(FLOOR), metadata_f_px=500.0))
    outlines = dict(re.findall(r'<path class="rim ([\w ]+)" d="M(\S+ \S+L\S+ \S+)L', drawing))
    for names, tangent in (("network used", 0.6), ("metadata", 1.2)):
        x, y, x0, y0 = (float(number) for number in re.split("[ L]", outlines[names]))
        assert (x0 - x) / (y0 - y) == pytest.approx(tangent, abs=1e-3)
    assert "Network's estimate 61.9°" in drawing


@pytest.mark.parametrize("f_px", [1e-30, 0.1, 1e6, 1e30])
def test_any_focal_length_can_be_drawn(f_px: float) -> None:
    # Metadata may have any number.
    analysis = analysis_of(predict(FLOOR).with_focal(f_px), metadata_f_px=800.0)
    drawing = from_above(analysis) + sources_table(analysis)
    assert "nan" not in drawing
    assert "inf" not in drawing


@pytest.mark.parametrize("true_f_px", [350.0, 1700.0])
def test_a_length_along_the_floor_implies_the_focal_length(true_f_px: float) -> None:
    # At 1000 px the points are at (-0.5, 1.5, 4) and (0.7, 1.5, 7); at another focal length f
    # their z is 4 f / 1000 and 7 f / 1000, and x and y stay.
    prediction = predict(FLOOR, side=512)
    true_m = math.hypot(1.2, 3 * true_f_px / 1000)
    pixels = [pixel((-0.5, 1.5, 4)), pixel((0.7, 1.5, 7))]
    calibration = calibrate(locate(prediction, pixels), true_m)
    assert calibration.f_px == pytest.approx(true_f_px, rel=2e-3)
    assert calibration.verdict == "focal length"
    assert calibration.measured_m == pytest.approx(math.hypot(1.2, 3), rel=2e-3)
    # The result does not depend on the focal length in use, and makes the length right.
    again = calibrate(locate(prediction.with_focal(calibration.f_px), pixels), true_m)
    assert again.measured_m == pytest.approx(true_m, rel=1e-6)
    assert again.f_px == pytest.approx(calibration.f_px, rel=1e-6)
    assert (again.plus_minus_m, again.plus_minus_px) == (None, None)  # unknown errors
    assert "the length is right" in calibration_text(again, *SIZE)


def test_plus_minus_in_closed_form() -> None:
    # On the axis the distance is z2 - z1 = 3 m, so f = 1000 L / 3; ± 0.1 m of each point moves
    # it by 1000 L (1 / 2.9 - 1 / 3.1) / 2, and the two add in quadrature.
    for ends in ((3, 6), (6, 3)):
        calibration = calibrate(points_at(*((0, 0, z) for z in ends), pm=0.1), 3.6)
        assert calibration.f_px == pytest.approx(1200)
        spread = math.sqrt(2) * 3600 * (1 / 2.9 - 1 / 3.1) / 2
        assert calibration.plus_minus_px == pytest.approx(spread)
        assert calibration.plus_minus_m == pytest.approx(math.sqrt(2) * 0.1)
        assert calibration.factor == pytest.approx(1.2)
    usual = replace(points_at((0, 0, 6), (0, 0, 3)), error=DepthError(0.2, 0.02, 1))
    usual = calibrate(usual, 3.6)
    # 2 % of 3 and of 6 m move 3600 / 3 by 3600 (1 / 2.94 - 1 / 3.06) / 2 and twice as much.
    steps = [3600 * (1 / (3 - each) - 1 / (3 + each)) / 2 for each in (0.06, 0.12)]
    assert usual.plus_minus_px == pytest.approx(math.hypot(*steps))
    assert usual.plus_minus_m == pytest.approx(math.hypot(0.2 * 3, 0.06, 0.12))
    text = calibration_text(calibration, *SIZE)
    assert "Measured 3.00 ± 0.15 m, true length 3.6 m: 16.7% too short." in text
    # 1200 px: 1200 * 43.267 / 1500 mm, 2 atan(0.5)
    assert "<b>1200 px</b> (34.6 mm, 53.1°). ± 57 px" in text
    assert "multiplied by <b>1.2</b> instead" in text


@pytest.mark.parametrize(
    ("near", "far", "true_m"),
    [
        ((-1, 0, 4), (1, 0, 4.1), 2.5),  # across the view
        ((-1, 0, 3), (1, 0, 5), 1.9),  # shorter than the 2 m across, whatever the focal length is
        ((-1, 0, 3), (1, 0, 5), 2.0),
        ((0, 0, 3), (0, 0, 4), 0.02),  # 1200 pixels at 20 px: 176 degrees, which no camera sees
        ((0, 0, 3), (0, 0, 4), 500.0),  # at 500,000 px: 0.1 degrees
    ],
)
def test_lengths_that_imply_no_focal_length_imply_a_scale(near, far, true_m) -> None:
    calibration = calibrate(points_at(near, far), true_m)
    assert (calibration.verdict, calibration.f_px) == ("scale", None)
    text = calibration_text(calibration, *SIZE)
    assert f"multiplied by <b>{true_m / math.dist(near, far):.3g}</b>" in text
    assert "No focal length follows" in text


@pytest.mark.parametrize(
    ("near", "far", "pm", "true_m"),
    [
        ((0, 0, 3), (0, 0, 5), 1.5, 2.5),  # which point is nearer is uncertain
        ((0, 0, 3), (0, 0, 5), 1.0, 2.5),  # both may be at the same depth: an infinite ±
        ((-1, 0, 3), (1, 0, 5), 0.0, 2.02),  # 1 % of the length is 51 % of the focal length
    ],
)
def test_uncertain_focal_lengths_are_not_to_be_used(near, far, pm, true_m) -> None:
    calibration = calibrate(points_at(near, far, pm=pm), true_m)
    assert calibration.verdict == "uncertain"
    assert "too uncertain to use" in calibration_text(calibration, *SIZE, units="ft")


@pytest.mark.parametrize(
    ("places", "true_m", "words"),
    [
        ([(0, 0, 3)], 1.0, "two points"),
        ([(0, 0, 3), (1, 0, math.inf)], 1.0, "on something solid"),
        ([(0, 0, 3), (0, 0, 3)], 1.0, "same place"),
        *(([(0, 0, 3), (0, 0, 6)], m, "must be positive") for m in (0.0, -1.0, math.nan, math.inf)),
    ],
)
def test_points_and_lengths_without_a_distance_are_refused(places, true_m, words) -> None:
    with pytest.raises(ValueError, match=words):
        calibrate(points_at(*places), true_m)
