"""Depth as a visitor wants to see it."""

import re

import numpy as np
import pytest
from flat_scenes import predict

from demo import figures
from demo.screen import SKY_M
from demo.tabs.depth import look
from demo.tabs.depth.look import Look, Picture
from depthpro.viz import DepthRange, colorize


def ramp(*ends: float) -> np.ndarray:
    """Return 60 x 80 pixels of depth, each row from one end to the other."""
    return np.tile(np.linspace(*ends, 80, dtype=np.float32), (60, 1))


def test_distance_along_the_ray_is_the_length_of_the_point() -> None:
    # 5 x 7 pixels at 2 m and f = 3 px: the corner is at (-3, -2, 3) * 2 / 3, sqrt(22) * 2 / 3 away.
    distance = look.ray_distance(np.full((5, 7), 2.0, np.float32), 3.0)
    assert distance[2, 3] == 2
    np.testing.assert_allclose(distance[[0, 0, -1, -1], [0, -1, 0, -1]], np.sqrt(22) * 2 / 3)
    assert distance.dtype == np.float32


def test_without_marks_the_picture_is_depth_in_colours() -> None:
    depth, fixed = ramp(1, 9), DepthRange(2, 5)
    for cmap in look.CMAPS.values():
        picture = look.draw(depth, 50, Look(cmap, "log", fixed=fixed, marks=False))
        np.testing.assert_array_equal(picture.rgb, colorize(depth, fixed, cmap, "log"))
        assert picture.span == fixed


def test_along_the_ray_colours_and_range_are_those_of_the_distance() -> None:
    depth = ramp(3, 3)
    picture = look.draw(depth, 40, Look(kind="ray"))
    assert picture.span.far_m > 3 * np.hypot(1, 0.9)
    distance = look.ray_distance(depth, 40)
    np.testing.assert_array_equal(picture.rgb, colorize(distance, picture.span))
    fixed = Look(kind="ray", fixed=DepthRange(3.3, 9))
    assert look.draw(depth, 40, fixed).nearer == np.mean(distance < 3.3)


def test_automatic_range_and_colours_leave_out_the_sky() -> None:
    depth = ramp(2, 4)
    wanted = look.draw(depth, 80, Look(scale="linear"))
    with_sky = np.concatenate([depth, ramp(2000, 9000), ramp(1e4, 1e4)])
    picture = look.draw(with_sky, 80, Look(scale="linear"))
    assert picture.span == pytest.approx(wanted.span, rel=0.01)
    assert picture.sky == pytest.approx(2 / 3)
    assert (picture.nearer, picture.farther) == (0, 0)
    # Stripes of two greys, and nothing of the rest is changed.
    assert len(np.unique(picture.rgb[60:].reshape(-1, 3), axis=0)) == 2
    np.testing.assert_array_equal(picture.rgb[:60], colorize(depth, picture.span, scale="linear"))


def test_sky_begins_where_the_readout_calls_it_sky_and_is_not_farther_than_the_range() -> None:
    depth = ramp(2, 2)
    depth[:30] = 999
    depth[30:45] = 1000
    picture = look.draw(depth, 80, Look(fixed=DepthRange(1, 3)))
    assert (picture.sky, picture.farther) == (0.25, 0.5)


def test_nothing_but_sky_still_has_a_range() -> None:
    picture = look.draw(ramp(1e4, 1e4), 80, Look())
    assert picture.sky == 1
    assert picture.span.near_m < picture.span.far_m


def test_pixels_outside_a_fixed_range_are_counted_and_dotted() -> None:
    # 80 columns of 0.05 m steps from 1 m on: 1 … 4.95 m.
    depth = np.tile((1 + 0.05 * np.arange(80)).astype(np.float32), (60, 1))
    fixed = DepthRange(1.99, 3.96)
    picture = look.draw(depth, 80, Look(fixed=fixed))
    assert picture.nearer == 20 / 80  # below 2 m
    assert picture.farther == 20 / 80  # from 4 m on
    changed = (picture.rgb != colorize(depth, fixed)).any(axis=2)
    assert not changed[:, 20:60].any()
    for side in (changed[:, :20], changed[:, 60:]):
        assert 0.2 < side.mean() < 0.6  # the colour shows between the dots
    white = (picture.rgb == 255).all(axis=2)
    black = (picture.rgb == 0).all(axis=2)
    assert white[:, :20].any()
    assert black[:, :20].any()


def test_what_is_too_near_to_tell_is_marked_in_any_range() -> None:
    depth = ramp(1, 2)
    depth[:15] = 1e-4
    for fixed in (None, DepthRange(1e-4, 3)):
        assert look.draw(depth, 80, Look(fixed=fixed)).nearer == 0.25


def test_typed_range_is_in_the_units_of_the_page() -> None:
    assert look.fixed_range(1, 10) == (1, 10)
    assert look.fixed_range(1, 10, "ft") == pytest.approx((0.3048, 3.048))
    assert look.typed_range(DepthRange(1.23456, 20.06)) == (1.23, 20.1)
    assert look.typed_range(DepthRange(0.3048, 30.48), "ft") == (1, 100)


@pytest.mark.parametrize("units", ["m", "ft"])
def test_every_range_that_is_shown_can_be_typed(units: str) -> None:
    for span in (DepthRange(1e-4, 1e4), DepthRange(5000, 1e4), DepthRange(3, 3.15)):
        typed = look.typed_range(span, units)
        assert look.fixed_range(*typed, units) == pytest.approx(span, rel=0.005)


@pytest.mark.parametrize(
    ("near", "far", "units", "part"),
    [
        (5, 2, "m", "Near must be smaller than far, but near is 5 and far is 2 metres. Type"),
        (3, 3, "ft", "near is 3 and far is 3 feet"),
        (None, 2, "m", "Type both ends of the range, near and far, in metres"),
        (1, float("nan"), "ft", "in feet"),
        (0, 2, "m", "between 0.01 cm and 10 km, but near is 0 .* Type a larger near"),
        (-1, 2, "m", "larger near"),
        (1, 20_000, "m", "smaller far"),
        (1, float("inf"), "m", "smaller far"),
    ],
)
def test_impossible_ranges_are_explained(
    near: float | None, far: float | None, units: str, part: str
) -> None:
    with pytest.raises(ValueError, match=part):
        look.fixed_range(near, far, units)


def ticks(bar: str) -> list[tuple[float, str]]:
    """Return where the ticks of a colour bar are, in percent, and what they say."""
    found = re.findall(r'"left: ([\d.]+)%">([^<]+)<', bar)
    return [(float(left), label) for left, label in found]


def test_colour_bar_has_round_numbers_of_the_unit_where_the_scale_has_them() -> None:
    span = DepthRange(2, 10)
    linear = ticks(figures.colour_bar(span, scale="linear"))
    assert linear[1:-1] == [(25, "8 m"), (50, "6 m"), (75, "4 m")]
    # 2 m is 6.56 ft and 10 m is 32.8 ft; log(32.8 / 10) / log(32.8 / 6.56) = 0.738
    in_feet = ticks(figures.colour_bar(span, scale="log", units="ft"))
    assert in_feet[0] == (0, "32.8 ft")
    assert in_feet[-1] == (100, "6.56 ft")
    assert in_feet[-2] == (pytest.approx(73.8, abs=0.05), "10 ft")
    far = ticks(figures.colour_bar(DepthRange(3, 3000), scale="linear", units="ft"))
    assert far[1][1] == "8,000 ft"


def test_legend_says_what_is_marked_and_how_much() -> None:
    rgb, fixed = np.zeros((1, 1, 3), np.uint8), DepthRange(2, 30)
    picture = Picture(rgb, fixed, sky=0.256, nearer=0.0004, farther=0.034)
    said = figures.legend(picture, Look(fixed=fixed), "ft")
    assert "26% sky, or farther than 0.621 mi" in said
    assert "under 0.1% nearer than 6.56 ft, 3.4% farther than 98.4 ft" in said
    clamped = figures.legend(picture._replace(sky=0, farther=0), Look())
    said = "under 0.1% nearer than 0.01 cm"
    ends = "The nearest and the farthest 1% share the end colours."
    assert re.sub("<.*?>", "", clamped) == said + ends
    nothing = picture._replace(sky=0, nearer=0, farther=0)
    assert "no pixel is clamped" in figures.legend(nothing, Look(fixed=fixed))
    assert re.sub("<.*?>", "", figures.legend(nothing, Look())) == ends
    assert "not marked" in figures.legend(picture, Look(marks=False))


def test_reach_leaves_sky_out() -> None:
    # Upper two thirds sky; below a wall at 4 m.
    prediction = predict(lambda rays: np.where(rays[..., 1] < 1 / 6, np.inf, 4.0))
    found = look.reach(prediction)
    assert found.median_m == pytest.approx(4, rel=0.01)
    assert found.near_m <= found.median_m <= found.far_m < 100
    assert found.sky == pytest.approx(2 / 3, abs=0.02)
    nothing = look.reach(predict(lambda rays: np.full(rays.shape[:2], np.inf)))
    assert nothing == look.Reach(SKY_M, SKY_M, SKY_M, 1.0)
