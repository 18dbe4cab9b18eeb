"""Depth in colours: range, marks, ray distance, what visitors type, and statistics."""

import re

import numpy as np
import pytest
from flat_scenes import predict

from demo import figures
from demo.screen import SKY_M
from demo.tabs.depth import style
from demo.tabs.depth.style import DepthStats, DepthStyle, Picture
from depthpro.viz import DepthRange, colorize


def ramp(*ends: float) -> np.ndarray:
    """Return 60 x 80 pixels of depth, each row from one end to the other."""
    return np.tile(np.linspace(*ends, 80, dtype=np.float32), (60, 1))


def test_without_marks_the_picture_is_depth_in_colours() -> None:
    depth, fixed = ramp(1, 9), DepthRange(2, 5)
    for cmap in style.CMAPS.values():
        picture = style.draw(depth, 50, DepthStyle(cmap, "log", fixed=fixed, marks=False))
        np.testing.assert_array_equal(picture.rgb, colorize(depth, fixed, cmap, "log"))
        assert picture.span == fixed


def test_along_the_ray_colours_and_range_are_those_of_the_distance() -> None:
    # 5 x 7 pixels at 2 m and f = 3 px: the corner is at (-3, -2, 3) * 2 / 3, sqrt(22) * 2 / 3 away.
    distance = style.ray_distance(np.full((5, 7), 2.0, np.float32), 3.0)
    corners = distance[[0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_allclose(corners, np.sqrt(22) * 2 / 3, rtol=1e-6)
    assert distance[2, 3] == 2
    depth = ramp(3, 3)
    picture = style.draw(depth, 40, DepthStyle(kind="ray"))
    distance = style.ray_distance(depth, 40)
    np.testing.assert_array_equal(picture.rgb, colorize(distance, picture.span))
    fixed = DepthStyle(kind="ray", fixed=DepthRange(3.3, 9))
    assert style.draw(depth, 40, fixed).nearer == np.mean(distance < 3.3)


def test_automatic_range_and_colours_leave_out_the_sky() -> None:
    depth = ramp(2, 4)
    wanted = style.draw(depth, 80, DepthStyle(scale="linear"))
    with_sky = np.concatenate([depth, ramp(2000, 9000), ramp(1e4, 1e4)])
    picture = style.draw(with_sky, 80, DepthStyle(scale="linear"))
    assert picture.span == pytest.approx(wanted.span, rel=0.01)
    assert picture.sky == pytest.approx(2 / 3)
    assert (picture.nearer, picture.farther) == (0, 0)
    # Stripes of two greys, and nothing of the rest is changed.
    assert len(np.unique(picture.rgb[60:].reshape(-1, 3), axis=0)) == 2
    np.testing.assert_array_equal(picture.rgb[:60], colorize(depth, picture.span, scale="linear"))
    sky_alone = style.draw(ramp(1e4, 1e4), 80, DepthStyle())
    assert sky_alone.sky == 1
    assert sky_alone.span.near_m < sky_alone.span.far_m


def test_pixels_outside_a_fixed_range_are_counted_and_dotted() -> None:
    # 80 columns of 0.05 m steps from 1 m on: 1 … 4.95 m.
    depth = ramp(1, 4.95)
    fixed = DepthRange(1.99, 3.96)
    picture = style.draw(depth, 80, DepthStyle(fixed=fixed))
    assert picture.nearer == 20 / 80  # below 2 m
    assert picture.farther == 20 / 80  # from 4 m on
    changed = (picture.rgb != colorize(depth, fixed)).any(axis=2)
    assert not changed[:, 20:60].any()
    for side in (changed[:, :20], changed[:, 60:]):
        assert 0.2 < side.mean() < 0.6  # the colour shows between the dots


def test_sky_is_not_farther_and_too_near_is_marked_in_any_range() -> None:
    depth = ramp(2, 2)
    depth[:15], depth[15:30], depth[30:45] = 1e-4, 999, 1000
    picture = style.draw(depth, 80, DepthStyle(fixed=DepthRange(1e-4, 3)))
    assert (picture.nearer, picture.farther, picture.sky) == (0.25, 0.25, 0.25)
    assert style.draw(depth, 80, DepthStyle()).nearer == 0.25


@pytest.mark.parametrize("units", ["m", "ft"])
def test_every_range_that_is_shown_can_be_typed(units: str) -> None:
    for span in (DepthRange(1e-4, 1e4), DepthRange(5000, 1e4), DepthRange(3, 3.15)):
        typed = style.typed_range(span, units)
        assert style.fixed_range(*typed, units) == pytest.approx(span, rel=0.005)
    assert style.typed_range(DepthRange(0.3048, 30.48), "ft") == (1, 100)


@pytest.mark.parametrize(
    ("near", "far", "units", "part"),
    [
        (5, 2, "m", "Near must be smaller than far, but near is 5 and far is 2 metres. Type"),
        (3, 3, "ft", "near is 3 and far is 3 feet"),
        (None, 2, "m", "Type both ends of the range, near and far, in metres"),
        (1, float("nan"), "ft", "in feet"),
        (0, 2, "m", "between 0.01 cm and 10 km, but near is 0 "),
        (-1, 2, "m", "near is -1"),
        (1, float("inf"), "m", "far is inf"),
    ],
)
def test_impossible_ranges_are_explained(near, far, units, part) -> None:
    with pytest.raises(ValueError, match=part):
        style.fixed_range(near, far, units)


def ticks(bar: str) -> list[tuple[float, str]]:
    """Return positions in percent and labels of a colour bar's ticks."""
    return [(float(left), text) for left, text in re.findall(r'"left: ([\d.]+)%">([^<]+)<', bar)]


def test_colour_bar_has_round_numbers_of_the_unit_where_the_scale_has_them() -> None:
    span = DepthRange(2, 10)
    linear = ticks(figures.colour_bar(span, scale="linear"))
    assert linear[1:-1] == [(75, "8 m"), (50, "6 m"), (25, "4 m")]
    # 2 m is 6.56 ft and 10 m is 32.8 ft; log(32.8 / 10) / log(32.8 / 6.56) = 0.738
    in_feet = ticks(figures.colour_bar(span, scale="log", units="ft"))
    assert in_feet[0] == (100, "32.8 ft")
    assert in_feet[-1] == (0, "6.56 ft")
    assert in_feet[-2] == (pytest.approx(26.2, abs=0.05), "10 ft")
    far = ticks(figures.colour_bar(DepthRange(3, 3000), scale="linear", units="ft"))
    assert far[1][1] == "8,000 ft"


def test_legend_says_what_is_marked_and_how_much() -> None:
    rgb, fixed = np.zeros((1, 1, 3), np.uint8), DepthRange(2, 30)
    picture = Picture(rgb, fixed, sky=0.256, nearer=0.0004, farther=0.034)
    text = figures.legend(picture, DepthStyle(fixed=fixed), "ft")
    assert "26% sky, or farther than 0.621 mi" in text
    assert "under 0.1% nearer than 6.56 ft, 3.4% farther than 98.4 ft" in text
    clamped = figures.legend(picture._replace(sky=0, farther=0), DepthStyle())
    ends = "The nearest and the farthest 1% share the end colours."
    assert re.sub("<.*?>", "", clamped) == "under 0.1% nearer than 0.01 cm" + ends
    unmarked = picture._replace(sky=0, nearer=0, farther=0)
    assert "no pixel is clamped" in figures.legend(unmarked, DepthStyle(fixed=fixed))
    assert "not marked" in figures.legend(picture, DepthStyle(marks=False))


def test_statistics_leave_out_the_sky() -> None:
    # Upper two thirds sky; below a wall at 4 m.
    stats = style.depth_stats(predict(lambda rays: np.where(rays[..., 1] < 1 / 6, np.inf, 4.0)))
    assert stats.median_m == pytest.approx(4, rel=0.01)
    assert stats.near_m <= stats.median_m <= stats.far_m < 100
    assert stats.sky == pytest.approx(2 / 3, abs=0.02)
    sky = style.depth_stats(predict(lambda rays: np.full(rays.shape[:2], np.inf)))
    assert sky == DepthStats(SKY_M, SKY_M, SKY_M, 1.0)
