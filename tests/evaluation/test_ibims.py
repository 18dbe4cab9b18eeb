"""The measures of iBims: planted edges, sides of a plane, planes of known shape."""

import math

import numpy as np
import pytest
from numpy import ndarray

from depthpro.evaluation import ibims
from depthpro.geometry import unproject

SIZE = HEIGHT, WIDTH = 60, 80
RAYS = unproject(np.ones(SIZE), 70.0)
EVERYWHERE = np.ones(SIZE, bool)


def depth_boundary_errors(*given: ndarray) -> tuple[float, ...]:
    """Return accuracy and completeness in pixels."""
    errors = ibims.depth_boundary_errors(*given)
    return errors["dbe_accuracy_px"], errors["dbe_completeness_px"]


def plane_errors(*given: ndarray) -> tuple[float, ...]:
    """Return flatness in metres and orientation in degrees."""
    errors = ibims.plane_errors(*given)
    return errors["plane_flatness_m"], errors["plane_orientation_deg"]


def column(*places: int) -> ndarray:
    """Return edges along columns, without the rows at the border, where Canny sees none."""
    edges = np.zeros(SIZE, bool)
    edges[1:-1, places] = True
    return edges


def step(*places: int) -> ndarray:
    """Return depth that grows by 2 m at each column, half of it at that very column."""
    columns = np.arange(WIDTH)
    return np.tile(2.0 + sum(np.sign(columns - place) + 1 for place in places), (HEIGHT, 1))


def slanted(normal: tuple[float, float, float]) -> ndarray:
    """Return the depth of the plane 3 m away with this normal."""
    return 3 * np.linalg.norm(normal) / (RAYS @ np.array(normal))


def bumps() -> ndarray:
    """Return a checkerboard of +-5 cm, whose median is 0."""
    return 0.05 * (-1.0) ** np.add.outer(np.arange(HEIGHT), np.arange(WIDTH))


@pytest.mark.parametrize("unit", [1.0, 0.01])
@pytest.mark.parametrize(
    ("depth", "expected"),
    [(step(40), 0), (step(41), 1), (step(43), 3), (step(49), 9),
     (step(50), 10), (step(51), 10), (np.full(SIZE, 2.0), 10)],
)  # fmt: skip
def test_an_edge_beside_the_annotated_one(depth: ndarray, expected: int, unit: float) -> None:
    errors = depth_boundary_errors(unit * depth, column(40), EVERYWHERE)
    assert errors == pytest.approx((expected, expected))


def test_a_missed_edge_and_a_false_one() -> None:
    # True at 20 and 50; predicted at 22 and 70. 70 is 20 from any: left out of the accuracy, 2.
    # From 20 it is 2 to the nearest, from 50 it is 20, beyond the reach and not cut off.
    errors = depth_boundary_errors(step(22, 70), column(20, 50), EVERYWHERE)
    assert errors == pytest.approx((2, (2 + 20) / 2))


def test_masked_pixels_have_no_edges() -> None:
    mask = EVERYWHERE.copy()
    mask[:, 47:] = False  # itself an edge within reach, of whatever stands in for unknown depth
    depth = np.where(mask, step(40), np.nan)
    assert depth_boundary_errors(depth, column(40), mask) == pytest.approx((0, 0))


def test_sides_of_a_plane() -> None:
    # Of five: near and near, on and near, far and far; near though far; far though near.
    depth = np.array([[1.0, 3.0, 5.0, 2.0, 4.0]])
    target = np.array([[2.0, 2.0, 4.0, 4.0, 3.0]])
    for factor, count, shares in (
        (1, 5, (0.6, 0.2, 0.2)),
        (1, 4, (0.75, 0.25, 0)),
        (1, 0, (0, 0, 0)),
        # As published for models with outputs in [0, 1]: DDE- is the rest, DDE+ is 0.
        (1 / 9, 5, (0.6, 0.4, 0)),
    ):
        mask = np.arange(5)[None] < count
        errors = ibims.directed_depth_errors(factor * depth, target, mask)
        names = ("dde_0", "dde_minus", "dde_plus")
        assert errors == pytest.approx(dict(zip(names, shares, strict=True)))


@pytest.mark.parametrize("tilt_deg", [0.0, 1e-4, 30.0, 50.0])
@pytest.mark.parametrize("unit", [1.0, 0.02])
def test_a_plane_turned(tilt_deg: float, unit: float) -> None:
    turned = (math.sin(math.radians(tilt_deg)), 0.0, math.cos(math.radians(tilt_deg)))
    depth, target = unit * slanted(turned), slanted((0, 0, 1))
    errors = plane_errors(depth, target, EVERYWHERE[None], RAYS, EVERYWHERE)
    assert errors == pytest.approx((0, tilt_deg), abs=1e-6)


def test_each_plane_has_its_own_scale() -> None:
    # Two walls with bumps of 5 cm, one predicted half as far: its bumps are doubled to 10 cm.
    upper = np.arange(HEIGHT)[:, None] < HEIGHT // 2
    planes = np.stack([np.broadcast_to(half, SIZE) for half in (upper, ~upper)])
    wall = np.where(upper, 2.0, 4.0) * np.ones(SIZE)
    depth = 0.01 * (np.where(upper, 1.0, 4.0) + bumps())  # whatever the unit
    for part, flatness in ((planes[:1], 0.1), (planes[1:], 0.05), (planes, 0.075)):
        errors = plane_errors(depth, wall, part, RAYS, EVERYWHERE)
        assert errors[0] == pytest.approx(flatness, rel=2e-2)


def test_a_camera_of_other_rays() -> None:
    # The axis beside the middle, and pixels twice as high as wide: the same plane of points.
    rays = RAYS * (1, 2, 1) + (0.3, -0.1, 0)
    depth = 3 / (rays @ np.array([0.3, -0.2, 1.0]))
    errors = plane_errors(depth, depth, EVERYWHERE[None], rays, EVERYWHERE)
    assert errors == pytest.approx((0, 0), abs=1e-6)


def test_small_planes_are_left_out() -> None:
    # 4 rows of 60 are 6.7 %, 2 are 3.3 %; the third plane has 4 rows, half of them masked.
    planes = np.zeros((3, *SIZE), bool)
    planes[0, 10:14], planes[1, 20:22], planes[2, 30:34] = True, True, True
    mask = EVERYWHERE.copy()
    mask[30:32] = False
    target = slanted((0.1, 0.2, 1.0))
    depth = np.where(mask, np.where(planes[0], target, target + bumps()), np.nan)
    errors = plane_errors(depth, target, planes, RAYS, mask)
    assert errors == pytest.approx((0, 0), abs=1e-6)
    assert ibims.plane_errors(depth, target, planes[1:], RAYS, mask) == {}
