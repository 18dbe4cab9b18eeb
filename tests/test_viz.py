"""Depth as pictures."""

import matplotlib
import numpy as np
import pytest

from depthpro.viz import (
    DepthRange,
    bar_position,
    bar_ticks,
    colorize,
    depth_range,
    metres,
    with_colour_bar,
)


@pytest.mark.parametrize(
    ("scale", "middle"),
    # Between 1 m and 4 m: 1/1.6 = (1 + 1/4) / 2, 2² = 1 * 4, 2.5 = (1 + 4) / 2.
    [("inverse", 1.6), ("log", 2.0), ("linear", 2.5)],
)
def test_colours_and_bar_are_linear_in_what_is_asked_for(scale: str, middle: float) -> None:
    span, turbo = DepthRange(1, 4), matplotlib.colormaps["turbo"]
    wanted = [np.round(255 * np.array(turbo(level / 255)[:3])) for level in (255, 128, 0)]
    for kind in (np.float32, np.float64):
        depth = np.array([[1.0, 0.999 * middle, 4.0]], kind)  # the middle itself is on the brink
        np.testing.assert_array_equal(colorize(depth, span, scale=scale)[0], wanted)
    beyond = colorize(np.array([[0.2, 1e4]]), span, scale=scale)[0]  # as at the ends
    np.testing.assert_array_equal(beyond, [wanted[0], wanted[2]])
    places = [bar_position(depth_m, span, scale) for depth_m in (4.0, middle, 1.0)]
    assert places == pytest.approx([0, 0.5, 1])


def test_range_is_percentiles_of_inverse_depth_without_the_sky() -> None:
    # Inverse depth 0.100, 0.101, … 1.100; percentiles 1 and 99 are 0.11 and 1.09.
    inverse = np.linspace(0.1, 1.1, 1001)
    depth = np.concatenate([1 / inverse, np.full(3000, 1e4)])[None]
    span = depth_range(depth)
    assert span.near_m == pytest.approx(1 / 1.09)
    assert span.far_m == pytest.approx(1 / 0.11)


@pytest.mark.parametrize("depth_m", [0.3, 7.0, 1e4])
def test_range_of_a_flat_wall_is_not_empty(depth_m: float) -> None:
    span = depth_range(np.full((40, 60), depth_m))
    assert span.near_m < span.far_m
    assert span.near_m <= depth_m <= span.far_m


@pytest.mark.parametrize("scale", ["inverse", "log", "linear"])
@pytest.mark.parametrize("span", [(0.5, 200), (0.05, 0.3), (2, 2000), (3, 3.3)])
def test_bar_ticks_are_ordered_apart_and_truthful(span: tuple[float, float], scale: str) -> None:
    near_far = DepthRange(*span)
    ticks = bar_ticks(near_far, scale=scale)
    positions = np.array([position for position, _ in ticks])
    assert positions[0] == 0
    assert positions[-1] == 1
    assert (np.diff(positions) > 0.1).all()
    assert len(ticks) >= 3
    units = {"km": 1000.0, "m": 1.0, "cm": 0.01}
    for position, label in ticks[1:-1]:
        number, unit = label.split()
        depth_m = float(number) * units[unit]
        assert position == pytest.approx(bar_position(depth_m, near_far, scale))


def test_metres_as_people_read_them() -> None:
    values = (0.0345, 0.1, 2.0, 12.345, 999, 4321)
    assert metres(999.7) == "1 km"
    assert [metres(v) for v in values] == ["3.45 cm", "0.1 m", "2 m", "12.3 m", "999 m", "4.32 km"]


@pytest.mark.parametrize("height", [40, 300])
def test_colour_bar_leaves_the_picture_alone_and_runs_from_far_to_near(height: int) -> None:
    coloured = np.random.default_rng(0).integers(0, 255, (height, 50, 3), dtype=np.uint8)
    out = with_colour_bar(coloured, DepthRange(1, 9))
    np.testing.assert_array_equal(out[:height, :50], coloured)
    bar = out[:, 50:].astype(int)
    column = bar[:, bar.shape[1] // 6]
    ends = colorize(np.array([[1.0, 9.0]]), DepthRange(1, 9))[0].astype(int)
    row_of = [np.abs(column - end).sum(1).argmin() for end in ends]
    assert row_of[0] < 0.15 * len(bar)  # near on top
    assert row_of[1] > 0.85 * len(bar)
    assert (bar[:, bar.shape[1] // 2 :] < 128).any()  # labels
