"""The ground plane, on planes whose depth is known in closed form."""

import math

import numpy as np
import pytest
from rooms3d import floor_depth, up_of

from demo.ground import Ground, fit_ground

F_PX = 300.0


def rays(size: tuple[int, int], f_px: float = F_PX) -> np.ndarray:
    height, width = size
    x = (np.arange(width) - (width - 1) / 2) / f_px
    y = (np.arange(height) - (height - 1) / 2) / f_px
    return np.stack([*np.meshgrid(x, y), np.ones(size)], axis=-1)


def floor(height_m: float, up: np.ndarray, size=(240, 320), wall_m: float = 30.0) -> np.ndarray:
    return floor_depth(rays(size), up, height_m, wall_m)


# Eight level strips, each 30 % lower than the last.
STAIRS = [floor(0.5 * 1.3**i, up_of(10))[:, 40 * i : 40 * i + 40] for i in range(8)]


def found(depth: np.ndarray, f_px: float = F_PX) -> Ground:
    ground, reason = fit_ground(depth, f_px)
    assert ground is not None, reason
    return ground


@pytest.mark.parametrize("height_m", [0.3, 12.0])
@pytest.mark.parametrize(("pitch_deg", "roll_deg"), [(0, 0), (-6, 4), (40, -5)])
def test_exact_plane(height_m: float, pitch_deg: float, roll_deg: float) -> None:
    up = up_of(pitch_deg, roll_deg)
    ground = found(floor(height_m, up, wall_m=20 * height_m))
    np.testing.assert_allclose(ground.normal, up, atol=1e-3)
    assert ground.camera_height_m == pytest.approx(height_m, rel=1e-3)
    assert ground.pitch_deg == pytest.approx(pitch_deg, abs=0.1)
    assert ground.roll_deg == pytest.approx(roll_deg, abs=0.1)
    # A metre above a point of the floor is 1 m high, below it -1 m, the camera its own height.
    foot = np.array([0.4, 0.7, 3.0])
    foot = foot - (foot @ up + height_m) * up
    heights = ground.height_of(np.stack([foot, foot + up, foot - up, np.zeros(3)]))
    np.testing.assert_allclose(heights, [0, 1, -1, height_m], atol=0.01 * max(1, height_m))


def test_noise_and_furniture_move_it_by_less_than_a_percent() -> None:
    rng = np.random.default_rng(0)
    up = up_of(12, 3)
    depth = floor(1.5, up)
    table = floor(0.75, up)  # half as far below the camera
    depth[130:190, 40:150] = table[130:190, 40:150]
    depth[100:200, 220:260] = 2.0  # somebody stands there
    depth = depth * rng.normal(1, 0.01, depth.shape)
    depth[:30] = 1e4
    depth[31, :40] = np.nan
    ground = found(depth)
    assert ground.camera_height_m == pytest.approx(1.5, rel=0.01)
    np.testing.assert_allclose(ground.normal, up, atol=0.01)


def test_the_floor_is_the_ground_though_the_table_is_larger() -> None:
    up = up_of(25)
    depth = floor(1.5, up)
    depth[80:200] = floor(0.7, up)[80:200]
    ground = found(depth)
    assert ground.camera_height_m == pytest.approx(1.5, rel=0.01)


def test_share_of_the_ground() -> None:
    # Camera level, wall at z = 3 m: rows with y / f > 1.5 / 3, that is y > 150 of half 480 rows.
    depth = floor(1.5, up_of(0), (480, 320), wall_m=3.0)
    ground = found(depth)
    # The lowest 3 % of the wall's height (4.4 rows) lie on it as far as the tolerance can tell.
    assert ground.inlier_share == pytest.approx(94.4 / 480, abs=0.01)


def test_level_frame() -> None:
    up = up_of(20, 5)
    ground = found(floor(1.5, up))
    level = ground.level
    np.testing.assert_allclose(level @ level.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(level) == pytest.approx(1)
    np.testing.assert_allclose(level @ up, [0, -1, 0], atol=2e-3)  # up
    # The optical axis goes straight ahead and down by the pitch, whatever the roll.
    axis = [0, math.sin(math.radians(20)), math.cos(math.radians(20))]
    np.testing.assert_allclose(level[:, 2], axis, atol=2e-3)


@pytest.mark.parametrize(
    ("depth", "reason"),
    [
        (np.full((120, 160), 3.0), "0% of the photo faces up"),  # a wall
        (np.full((120, 160), 1e4), "No depth is known"),
        (floor(1.5, up_of(0))[::-1], "faces up"),  # a ceiling
        (np.concatenate(STAIRS, axis=1), "one plane"),
        # 32 of 240 rows are floor: the camera is level, the wall where y / f is 1.5 / 5.11.
        (floor(1.5, up_of(0), wall_m=5.11), "13% of the photo faces up; a ground needs 15%"),
        (floor(1.5, up_of(10, 9)), "leans 9° to the side"),
    ],
)
def test_no_ground_and_why(depth: np.ndarray, reason: str) -> None:
    result = fit_ground(depth, F_PX)
    assert result.ground is None
    assert reason in result.reason
