"""Points, lengths, heights, angles and areas against closed forms, and the ± against draws."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from flat_scenes import F_PX, HEIGHT, SIZE, WIDTH, pixel, plane, predict

from demo.ground import Ground
from demo.tabs.measure.measure import (
    MAX_POINTS,
    Spots,
    angle_deg,
    crosses_itself,
    locate,
    measure,
    measure_all,
    path_length,
    polygon_area,
    project,
    unevenness,
    window_size,
)
from depthpro import Prediction

WALL = plane((0, 0, 1 / 4))  # z = 4
SLOPE = (0.05, -0.1, 0.3)


def spots_at(depth: list[float], share: float = 0.0) -> Spots:
    """Return spots at random places, uncertain by a share of their depth."""
    z = np.array(depth)
    pixels = np.random.default_rng(1).uniform((100, 100), (WIDTH - 100, HEIGHT - 100), (len(z), 2))
    return Spots(WIDTH, HEIGHT, F_PX, pixels, z, (1 - share) * z, (1 + share) * z)


def test_a_slanted_plane_is_exact_at_every_point() -> None:
    places = [(60.0, 500.3), (599.5, 449.5), (1150.2, 40.7), (8.0, 870.0)]
    spots = locate(predict(plane(SLOPE)), places)
    np.testing.assert_allclose(spots.positions @ SLOPE, 1, rtol=1e-5)
    np.testing.assert_allclose(project(spots, spots.positions), places)
    assert (spots.near_m <= spots.depth_m).all() and (spots.depth_m <= spots.far_m).all()


def test_depth_is_the_one_of_the_prediction() -> None:
    prediction = predict(plane(SLOPE))
    spots = locate(prediction, [(300, 200), (0, 0), (WIDTH - 1, HEIGHT - 1)])
    whole = prediction.depth[0].numpy()
    np.testing.assert_allclose(
        spots.depth_m, [whole[200, 300], whole[0, 0], whole[-1, -1]], rtol=1e-5
    )


def test_the_window_is_five_pixels_of_the_map_and_the_median_ignores_specks() -> None:
    random = np.random.default_rng(0)
    prediction = predict(lambda rays: random.uniform(2, 3, rays.shape[:2]), side=128)
    depth = prediction.depth_at(128, 128)[0].numpy().astype(float)
    depth[60, 40] = 50  # one wrong pixel of 25
    canonical = torch.from_numpy(F_PX / (WIDTH * depth)).float()[None]
    prediction = replace(prediction, canonical_inverse_depth=canonical)
    centre = (40.5 * WIDTH / 128 - 0.5, 60.5 * HEIGHT / 128 - 0.5)
    spots = locate(prediction, [centre])
    near, middle, far = np.percentile(depth[58:63, 38:43], (16, 50, 84))
    assert (spots.near_m[0], spots.depth_m[0], spots.far_m[0]) == pytest.approx(
        (near, middle, far), rel=1e-5
    )
    assert spots.depth_plus_minus_m[0] == pytest.approx((far - near) / 2, rel=1e-4)
    assert window_size(prediction) == pytest.approx((5 * WIDTH / 128, 5 * HEIGHT / 128))


def test_measured_edge_of_a_box() -> None:
    """A box turned by 30° stands 3 m away; its nearest edge is 0.8 m high."""
    half, turn = np.array([0.4, 0.4, 0.3]), math.radians(30)
    axes = np.array(
        [[math.cos(turn), 0, math.sin(turn)], [0, 1, 0], [-math.sin(turn), 0, math.cos(turn)]]
    )
    centre = np.array([0.1, 0.2, 3.0])

    def depth(rays: np.ndarray) -> np.ndarray:
        start, along = -axes @ centre, rays @ axes.T
        ends = np.sort([(-half - start) / along, (half - start) / along], axis=0)
        enter, leave = ends[0].max(axis=-1), ends[1].min(axis=-1)
        return np.where(enter < leave, enter, 6.0)  # a wall behind it

    corners = centre + np.array([[x, y, -0.3] for x in (-0.4, 0.4) for y in (-0.4, 0.4)]) @ axes
    left, right = corners[:2], corners[2:]
    nearest = min((left, right), key=lambda edge: edge[0, 2])
    # A person does not click at the very corner: 5 % from either end.
    ends = [nearest[0] + share * (nearest[1] - nearest[0]) for share in (0.05, 0.95)]
    spots = locate(predict(depth, side=512), [pixel(end) for end in ends])
    (result,) = measure(spots, "distance")
    assert result.value == pytest.approx(0.9 * 0.8, rel=0.01)
    across = [0.9 * left[0] + 0.1 * right[1], 0.1 * left[0] + 0.9 * right[1]]  # over a face
    spots = locate(predict(depth, side=512), [pixel(end) for end in across])
    (result,) = measure(spots, "distance")
    assert result.value == pytest.approx(0.8 * math.hypot(0.8, 0.8), rel=1e-4)


def test_square_on_a_wall() -> None:
    """The wall is 4 m away, so 250 pixels are a metre."""
    places = [(300.0, 200.0), (550.0, 200.0), (550.0, 450.0), (300.0, 450.0)]
    spots = locate(predict(WALL), places)
    sides = measure(spots, "distance")
    assert [result.points for result in sides] == [(1, 2), (2, 3), (3, 4), (1, 2, 3, 4)]
    assert [result.value for result in sides] == pytest.approx([1, 1, 1, 3])
    assert [result.value for result in measure(spots, "angle")] == pytest.approx([90, 90])
    area, perimeter, uneven = measure(spots, "area")
    assert (area.what, area.value, area.unit) == ("area", pytest.approx(1), "m²")
    assert (perimeter.what, perimeter.value) == ("perimeter", pytest.approx(4))
    assert (uneven.what, uneven.value) == ("uneven by", pytest.approx(0, abs=1e-6))
    for result in (*sides, area, perimeter):
        assert result.plus_minus == pytest.approx(0, abs=1e-5)  # a wall has no spread


def test_what_few_points_allow() -> None:
    spots = locate(predict(WALL), [(599.5, 449.5), (899.5, 449.5)])
    one = locate(predict(WALL), [(599.5, 449.5)])
    (result,) = measure(one, "distance")
    assert (result.what, result.value) == ("from the camera", pytest.approx(4))
    assert measure(spots, "angle") == () == measure(spots, "area")
    nothing = locate(predict(WALL), [])
    assert measure(nothing, "distance") == () == measure_all(nothing, None)
    ground = Ground(np.array([0.0, -1.0, 0.0]), 1.5, 0.5)
    whats = [result.what for result in measure_all(spots, ground)]
    assert whats == ["from the camera"] * 2 + ["distance"] + ["height"] * 2
    assert "height" not in [result.what for result in measure_all(spots, None)]


def test_heights_above_a_tilted_ground() -> None:
    """The camera is 1.5 m above a ground that it looks down on by 20°."""
    pitch = math.radians(20)
    up = np.array([0, -math.cos(pitch), -math.sin(pitch)])
    spots = locate(predict(plane(tuple(-up / 1.5))), [(200, 500), (900, 700)])
    ground = Ground(up, 1.5, 1.0)
    assert [r.value for r in measure(spots, "height", ground)] == pytest.approx([0, 0], abs=1e-5)
    spots = locate(predict(WALL), [(599.5, 449.5)])
    (result,) = measure(spots, "height", ground)
    assert result.value == pytest.approx(1.5 - 4 * math.sin(pitch))
    with pytest.raises(ValueError, match="none was found"):
        measure(spots, "height")


def test_lengths_angles_and_areas_of_points() -> None:
    assert path_length(np.array([[0, 0, 0], [3, 4, 0], [3, 4, 12.0]])) == 17
    for degrees in (0.0, 1e-4, 60.0, 90.0, 179.9999, 180.0):
        turned = [math.cos(math.radians(degrees)), math.sin(math.radians(degrees)), 0]
        assert angle_deg(np.array([[2, 0, 0], [0, 0, 0], turned])) == pytest.approx(degrees)
    square = np.array([[0, 0, 0], [1, 0, 1], [1, 1, 1], [0, 1, 0.0]])  # leans by 45°
    assert polygon_area(square) == pytest.approx(math.sqrt(2))
    assert polygon_area(square[::-1] + 5) == pytest.approx(math.sqrt(2))
    assert polygon_area(square[[2, 3, 0, 1]]) == pytest.approx(math.sqrt(2))
    assert unevenness(square) == pytest.approx(0, abs=1e-12)
    # One corner of a flat square raised by h: the best plane leaves h/4 at each corner.
    raised = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0.01], [0, 1, 0]])
    assert unevenness(raised) == pytest.approx(0.0025, rel=1e-3)


def test_a_crossed_outline_is_noticed() -> None:
    square = np.array([[0, 0], [4, 0], [4, 4], [0, 4.0]])
    assert not crosses_itself(square)
    assert not crosses_itself(np.array([[0, 0], [4, 0], [1, 1], [0, 4.0]]))  # not convex
    assert crosses_itself(square[[0, 2, 1, 3]])
    assert not crosses_itself(square[:3])


GROUND = Ground(np.array([0.0, -0.98, -math.sqrt(1 - 0.98**2)]), 1.6, 0.3)
VALUES = {
    "distance": path_length,
    "total": path_length,
    "height": lambda points: GROUND.height_of(points)[0],
    "angle": angle_deg,
    "area": polygon_area,
    "perimeter": lambda points: path_length(np.concatenate([points, points[:1]])),
}


@pytest.mark.parametrize("kind", ["distance", "height", "angle", "area"])
def test_plus_minus_is_what_draws_say(kind: str) -> None:
    """Draw depths from normal distributions and take half the range from 16 % to 84 %."""
    spots = spots_at([3.0, 4.0, 3.5, 5.0], share=0.02)
    normal = np.random.default_rng(0).standard_normal((2000, 4, 1))
    drawn = spots.positions * (1 + 0.02 * normal)
    for result in measure(spots, kind, GROUND):
        if result.what == "uneven by":  # far from linear where it is near 0
            continue
        chosen = drawn[:, [number - 1 for number in result.points]]
        low, high = np.percentile([VALUES[result.what](points) for points in chosen], (16, 84))
        assert result.plus_minus == pytest.approx((high - low) / 2, rel=0.08), result


def test_plus_minus_in_closed_form() -> None:
    spots = spots_at([4.0], share=0.05)
    (result,) = measure(spots, "distance")
    assert result.plus_minus == pytest.approx(0.05 * result.value)  # along its own ray
    # Side by side at the same depth d, apart by L: a shift by e of one gives hypot(L, e) - L and
    # what the ray's slant adds; on either side of the axis the slants cancel in the mean.
    pixels = np.array([[499.5, 449.5], [699.5, 449.5]])
    spots = Spots(WIDTH, HEIGHT, F_PX, pixels, *np.array([[5, 5], [4.5, 4.5], [5.5, 5.5]]))
    (result,) = measure(spots, "distance")
    one = [abs(math.hypot(1 + 0.1 * e, e) - 1) for e in (0.5, -0.5)]
    assert result.plus_minus == pytest.approx(math.sqrt(2) * sum(one) / 2)


def test_focal_length_scales_depth_and_leaves_what_lies_across() -> None:
    """X = (x - cx) / (w C) knows no focal length; depth is proportional to it."""
    prediction = predict(WALL)
    places = [(300.0, 200.0), (550.0, 200.0), (599.5, 449.5)]
    before = locate(prediction, places)
    after = locate(prediction.with_focal(2 * F_PX), places)
    np.testing.assert_allclose(after.positions, before.positions * (1, 1, 2), rtol=1e-5)
    np.testing.assert_allclose(after.depth_plus_minus_m, 2 * before.depth_plus_minus_m)
    assert measure(after, "distance")[0].value == pytest.approx(1)
    middle = measure_all(after, None)[2]
    assert (middle.what, middle.value) == ("from the camera", pytest.approx(8))


def test_the_size_of_the_photo_does_not_matter() -> None:
    places = np.array([(300.0, 200.0), (550.0, 700.0)])
    small = locate(predict(plane(SLOPE)), places.tolist())
    twice = predict(plane(SLOPE), (2 * WIDTH, 2 * HEIGHT), 2 * F_PX)
    large = locate(twice, (2 * places + 0.5).tolist())
    np.testing.assert_allclose(large.positions, small.positions, rtol=1e-5)


def horizon(share: float) -> Prediction:
    """Return sky from the left to this column of 128, and a wall at 4 m."""
    return predict(lambda rays: np.where(np.arange(128) < share, np.inf, WALL(rays)))


def test_sky_is_refused_by_a_sentence_and_does_not_reach_beside_it() -> None:
    at = (40.5 * WIDTH / 128 - 0.5, 300.0)
    sky = locate(horizon(41), [at, (1000, 300)])
    assert sky.sky.tolist() == [True, False]
    with pytest.raises(ValueError, match=r"sky at point 1, or .* farther than 1 km"):
        measure(sky, "distance")
    beside = locate(horizon(40), [at])
    assert beside.depth_m == beside.far_m == pytest.approx(4)


@pytest.mark.parametrize("point", [(-1.0, 5.0), (5.0, HEIGHT), (math.nan, 5.0), (math.inf, 5.0)])
def test_points_outside_are_refused(point: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="photo of 1200 × 900"):
        locate(predict(WALL), [point])


def test_too_many_points_are_refused() -> None:
    with pytest.raises(ValueError, match="At most"):
        locate(predict(WALL), [(float(x), 5.0) for x in range(MAX_POINTS + 1)])


def test_whole_photo_can_be_chosen() -> None:
    width, height = SIZE
    corners = [(-0.5, -0.5), (width - 0.5, height - 0.5)]
    np.testing.assert_allclose(locate(predict(WALL), corners).depth_m, 4, rtol=1e-6)
