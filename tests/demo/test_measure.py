"""Points, lengths, heights, angles and areas against closed forms, and the ± against draws."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from flat_scenes import F_PX, HEIGHT, WIDTH, plane, predict

from demo.ground import Ground
from demo.tabs.measure.measure import (
    Points3D,
    angle_deg,
    crosses_itself,
    locate,
    measure,
    measure_all,
    path_length,
    polygon_area,
    project,
    window_size,
)
from demo.tabs.measure.true_lengths import with_truth
from demo.tabs.sharpness.truth import Truth
from depthpro import Prediction
from depthpro.depth_error import DepthError

WALL = plane((0, 0, 1 / 4))  # z = 4
SLOPE = (0.05, -0.1, 0.3)
EXACT = DepthError(0, 0, 1)


def points_at(depth: list[float], share: float = 0.0) -> Points3D:
    """Return points at random pixels, uncertain by a share of their depth."""
    z = np.array(depth)
    pixels = np.random.default_rng(1).uniform((100, 100), (WIDTH - 100, HEIGHT - 100), (len(z), 2))
    return Points3D(WIDTH, HEIGHT, F_PX, pixels, z, (1 - share) * z, (1 + share) * z, EXACT)


def test_a_slanted_plane_is_exact_at_every_point() -> None:
    places = [(60.0, 500.3), (599.5, 449.5), (1150.2, 40.7), (8.0, 870.0)]
    points = locate(predict(plane(SLOPE)), places)
    np.testing.assert_allclose(points.positions @ SLOPE, 1, rtol=1e-5)
    np.testing.assert_allclose(project(points, points.positions), places)
    assert (points.near_m <= points.depth_m).all() and (points.depth_m <= points.far_m).all()
    corners = [(0, 0), (WIDTH - 1, HEIGHT - 1)]
    depth = predict(plane(SLOPE)).depth[0].numpy()[[0, -1], [0, -1]]
    np.testing.assert_allclose(locate(predict(plane(SLOPE)), corners).depth_m, depth, rtol=1e-5)


def test_the_window_is_five_pixels_of_the_map_and_the_median_ignores_specks() -> None:
    random = np.random.default_rng(0)
    prediction = predict(lambda rays: random.uniform(2, 3, rays.shape[:2]), side=128)
    depth = prediction.depth_at(128, 128)[0].numpy().astype(float)
    depth[60, 40] = 50  # one wrong pixel of 25
    canonical = torch.from_numpy(F_PX / (WIDTH * depth)).float()[None]
    prediction = replace(prediction, canonical_inverse_depth=canonical)
    centre = (40.5 * WIDTH / 128 - 0.5, 60.5 * HEIGHT / 128 - 0.5)
    points = locate(prediction, [centre])
    near, middle, far = np.percentile(depth[58:63, 38:43], (16, 50, 84))
    measured = (points.near_m[0], points.depth_m[0], points.far_m[0])
    assert measured == pytest.approx((near, middle, far), rel=1e-5)
    assert points.depth_plus_minus_m is None  # nobody has measured the network's errors
    points = replace(points, error=DepthError(0.3, 0.0, 1))
    spread = math.hypot((far - near) / 2, 0.3 * middle)
    assert points.depth_plus_minus_m[0] == pytest.approx(spread, rel=1e-4)
    assert window_size(prediction) == pytest.approx((5 * WIDTH / 128, 5 * HEIGHT / 128))


def test_square_on_a_wall() -> None:
    """The wall is 4 m away, so 250 pixels are a metre."""
    places = [(300.0, 200.0), (550.0, 200.0), (550.0, 450.0), (300.0, 450.0)]
    points = locate(predict(WALL), places, EXACT)
    sides = measure(points, "distance")
    assert [result.points for result in sides] == [(1, 2), (2, 3), (3, 4), (1, 2, 3, 4)]
    assert [result.value for result in sides] == pytest.approx([1, 1, 1, 3])
    assert [result.value for result in measure(points, "angle")] == pytest.approx([90, 90])
    area, perimeter = measure(points, "area")
    assert (area.what, area.value, area.unit) == ("area", pytest.approx(1), "m²")
    assert (perimeter.what, perimeter.value) == ("perimeter", pytest.approx(4))
    for result in (*sides, area, perimeter):
        assert result.plus_minus == pytest.approx(0, abs=1e-5)  # a wall has no spread


def test_what_few_points_allow() -> None:
    points = locate(predict(WALL), [(599.5, 449.5), (899.5, 449.5)])
    one = locate(predict(WALL), [(599.5, 449.5)])
    (result,) = measure(one, "distance")
    assert (result.what, result.value) == ("from the camera", pytest.approx(4))
    assert result.plus_minus is None  # without errors of the weights
    assert measure(points, "angle") == () == measure(points, "area")
    nothing = locate(predict(WALL), [])
    assert measure(nothing, "distance") == () == measure_all(nothing, None)
    ground = Ground(np.array([0.0, -1.0, 0.0]), 1.5, 0.5)
    whats = [result.what for result in measure_all(points, ground)]
    assert whats == ["from the camera"] * 2 + ["distance"] + ["height"] * 2
    assert "height" not in [result.what for result in measure_all(points, None)]


def test_heights_above_a_tilted_ground() -> None:
    """The camera is 1.5 m above a ground that it looks down on by 20°."""
    pitch = math.radians(20)
    up = np.array([0, -math.cos(pitch), -math.sin(pitch)])
    points = locate(predict(plane(tuple(-up / 1.5))), [(200, 500), (900, 700)])
    ground = Ground(up, 1.5, 1.0)
    assert [r.value for r in measure(points, "height", ground)] == pytest.approx([0, 0], abs=1e-5)
    points = locate(predict(WALL), [(599.5, 449.5)])
    (result,) = measure(points, "height", ground)
    assert result.value == pytest.approx(1.5 - 4 * math.sin(pitch))
    with pytest.raises(ValueError, match="none was found"):
        measure(points, "height")


def test_lengths_angles_and_areas_of_points() -> None:
    assert path_length(np.array([[0, 0, 0], [3, 4, 0], [3, 4, 12.0]])) == 17
    for degrees in (0.0, 1e-4, 60.0, 90.0, 179.9999, 180.0):
        turned = [math.cos(math.radians(degrees)), math.sin(math.radians(degrees)), 0]
        assert angle_deg(np.array([[2, 0, 0], [0, 0, 0], turned])) == pytest.approx(degrees)
    square = np.array([[0, 0, 0], [1, 0, 1], [1, 1, 1], [0, 1, 0.0]])  # leans by 45°
    assert polygon_area(square) == pytest.approx(math.sqrt(2))
    assert polygon_area(square[[2, 3, 0, 1]]) == pytest.approx(math.sqrt(2))


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
    points = points_at([3.0, 4.0, 3.5, 5.0], share=0.02)
    normal = np.random.default_rng(0).standard_normal((2000, 4, 1))
    drawn = points.positions * (1 + 0.02 * normal)
    for result in measure(points, kind, GROUND):
        chosen = drawn[:, [number - 1 for number in result.points]]
        low, high = np.percentile([VALUES[result.what](points) for points in chosen], (16, 84))
        assert result.plus_minus == pytest.approx((high - low) / 2, rel=0.08), result


def test_errors_of_the_weights_join_the_spread() -> None:
    """A scene's error s scales lengths by s, areas by 2 s and angles not; points draw as before."""
    places = [3.0, 4.0, 3.5, 5.0]
    scene, point = (
        replace(points_at(places), error=error)
        for error in (DepthError(0.2, 0, 1), DepthError(0, 0.02, 1))
    )
    for kind, share in (("distance", 0.2), ("height", 0.2), ("angle", 0), ("area", 0.4)):
        result = measure(scene, kind, GROUND)[0]
        assert result.plus_minus == pytest.approx(share * abs(result.value), abs=1e-9)
        spread = measure(points_at(places, share=0.02), kind, GROUND)[0].plus_minus
        assert measure(point, kind, GROUND)[0].plus_minus == pytest.approx(spread)
    both = measure(replace(scene, error=DepthError(0.2, 0.02, 1)), "distance")[0]
    alone = (measure(each, "distance")[0].plus_minus for each in (scene, point))
    assert both.plus_minus == pytest.approx(math.hypot(*alone))


def test_true_values_stand_beside_where_truth_is_known() -> None:
    """The network sees the scene at half its size: true lengths are twice the measured ones."""
    rows, columns = np.mgrid[:90, :120]
    rays = np.stack([(columns - 59.5) / 100, (rows - 44.5) / 100, np.ones((90, 120))], axis=-1)
    depth = plane(SLOPE)(rays).astype(np.float32)
    mask = columns > 20
    camera = (F_PX, (WIDTH - 1) / 2, (HEIGHT - 1) / 2)
    truth = Truth(np.where(mask, depth, np.inf), mask, "", camera)
    network = predict(lambda rays: plane(SLOPE)(rays) / 2)
    points = locate(network, [(400.0, 300.0), (900.0, 350.0), (700.0, 800.0), (50.0, 50.0)])
    ground = Ground(np.array(SLOPE) / -np.linalg.norm(SLOPE), 1.0, 0.5)
    results = with_truth(measure_all(points, ground), points, truth)
    factors = {"angle": 1, "area": 4}
    for result in results:
        if 4 in result.points:  # where truth is not known
            assert result.true is None
        elif result.what != "height":
            factor = factors.get(result.what, 2)
            assert result.true == pytest.approx(factor * result.value, rel=5e-3), result
    assert sum(result.true is not None for result in results) >= 6
    assert with_truth(results[:1], points, None) == results[:1]
    unknown_camera = with_truth(measure(points, "distance"), points, replace(truth, camera=None))
    assert [result.true for result in unknown_camera] == [None] * 4
    # A camera whose axis is not in the middle sees the same wall shifted.
    aside = replace(truth, camera=(F_PX, 500.0, 400.0))
    middle = locate(network, [(500, 400)])
    (shifted,) = with_truth(measure(middle, "distance"), middle, aside)
    depth_m = plane(SLOPE)(np.array([-0.0995, -0.0495, 1]))  # along the axis, so the distance
    assert shifted.true == pytest.approx(float(depth_m), rel=5e-3)


def test_focal_length_scales_depth_and_leaves_what_lies_across() -> None:
    """X = (x - cx) / (w C) knows no focal length; depth is proportional to it."""
    prediction = predict(WALL)
    places = [(300.0, 200.0), (550.0, 200.0), (599.5, 449.5)]
    error = DepthError(0.2, 0.1, 1)
    before = locate(prediction, places, error)
    after = locate(prediction.with_focal(2 * F_PX), places, error)
    np.testing.assert_allclose(after.positions, before.positions * (1, 1, 2), rtol=1e-5)
    np.testing.assert_allclose(after.depth_plus_minus_m, 2 * before.depth_plus_minus_m)
    assert measure(after, "distance")[0].value == pytest.approx(1)
    middle = measure_all(after, None)[2]
    assert (middle.what, middle.value) == ("from the camera", pytest.approx(8))


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
