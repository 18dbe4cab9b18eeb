# pyright: reportArgumentType=false
"""The measures of iBims: planted edges, sides of a plane, planes of known shape, mistakes."""

import math

import numpy as np
import pytest
from numpy import ndarray

from depthpro.evaluation.ibims import depth_boundary_errors, directed_depth_errors, plane_errors
from depthpro.geometry import unproject

SIZE = HEIGHT, WIDTH = 60, 80
F_PX = 70.0
RAYS = unproject(np.ones(SIZE), F_PX)


def column(*places: int) -> ndarray:
    """Return edges along columns, without the rows at the border, where Canny sees none."""
    edges = np.zeros(SIZE, dtype=bool)
    edges[1:-1, places] = True
    return edges


def step(*places: int) -> ndarray:
    """Return depth that grows by 2 m at each column, half of it at that very column."""
    columns = np.arange(WIDTH)
    return np.tile(2.0 + sum(np.sign(columns - place) + 1 for place in places), (HEIGHT, 1))


def slanted(normal: tuple[float, float, float], distance_m: float = 3.0) -> ndarray:
    """Return the depth of the plane normal . point = distance."""
    return distance_m * np.linalg.norm(normal) / (RAYS @ np.array(normal))


@pytest.mark.parametrize("shift", [0, 1, 3, 9])
def test_an_edge_beside_the_annotated_one(shift: int) -> None:
    for unit in (1.0, 0.01):  # scaled to [0, 1] first
        errors = depth_boundary_errors(unit * step(40 + shift), column(40))
        assert errors == pytest.approx((shift, shift))


@pytest.mark.parametrize("depth", [step(50), step(51), np.full(SIZE, 2.0)])
def test_edges_out_of_reach(depth: ndarray) -> None:
    assert depth_boundary_errors(depth, column(40)) == (10, 10)


def test_a_missed_edge_and_a_false_one() -> None:
    # True at 20 and 50; predicted at 22 and 70. 70 is 20 from any: left out of the accuracy, 2.
    # From 20 it is 2 to the nearest, from 50 it is 20, beyond the reach and not cut off.
    errors = depth_boundary_errors(step(22, 70), column(20, 50))
    assert errors == pytest.approx((2, (2 + 20) / 2))


def test_masked_pixels_have_no_edges() -> None:
    mask = np.ones(SIZE, dtype=bool)
    mask[:, 47:] = False  # itself an edge within reach, of whatever stands in for unknown depth
    depth = np.where(mask, step(40), np.nan)
    assert depth_boundary_errors(depth, column(40), mask) == pytest.approx((0, 0))


def test_sides_of_a_plane() -> None:
    # Of five: near and near, on and near, far and far; near though far; far though near.
    depth = np.array([[1.0, 3.0, 5.0, 2.0, 4.0]])
    target = np.array([[2.0, 2.0, 4.0, 4.0, 3.0]])
    assert directed_depth_errors(depth, target) == pytest.approx((0.6, 0.2, 0.2))
    masked = directed_depth_errors(depth, target, np.arange(5)[None] < 4)
    assert masked == pytest.approx((0.75, 0.25, 0))
    scaled = directed_depth_errors(2 * depth, 2 * target, plane_m=6.0)
    assert scaled == pytest.approx((0.6, 0.2, 0.2))
    assert directed_depth_errors(depth, target, np.zeros((1, 5), dtype=bool)) == (0, 0, 0)
    # The published rows of the models with outputs in [0, 1]: DDE- is the rest, DDE+ is 0.
    always_near = directed_depth_errors(depth / 9, target)
    assert always_near == pytest.approx((0.6, 0.4, 0))


@pytest.mark.parametrize("tilt_deg", [0.0, 1e-4, 30.0, 50.0])
@pytest.mark.parametrize("unit", [1.0, 0.02])
def test_a_plane_turned(tilt_deg: float, unit: float) -> None:
    turned = (math.sin(math.radians(tilt_deg)), 0.0, math.cos(math.radians(tilt_deg)))
    target, everywhere = slanted((0, 0, 1)), np.ones((1, *SIZE), dtype=bool)
    for normals in (None, np.array([[0, 0, -2.0]])):
        errors = plane_errors(unit * slanted(turned), target, everywhere, RAYS, None, normals)
        assert errors.orientation_deg == pytest.approx([tilt_deg], abs=1e-6)
        assert errors.flatness_m == pytest.approx([0], abs=1e-6)


def test_a_plane_that_is_not_flat() -> None:
    # A checkerboard of +-5 cm on a wall at 2 m, whose median is 2 m: 5 cm of deviation.
    bumps = 0.05 * (-1.0) ** np.add.outer(np.arange(HEIGHT), np.arange(WIDTH))
    wall = np.full(SIZE, 2.0)
    planes = np.ones((1, *SIZE), dtype=bool)
    errors = plane_errors(0.01 * (wall + bumps), wall, planes, RAYS)  # whatever the unit
    assert errors.flatness_m == pytest.approx([0.05], rel=1e-3)
    assert errors.orientation_deg == pytest.approx([0], abs=0.1)


def test_each_plane_has_its_own_scale() -> None:
    # One of two walls is predicted half as far: its bumps are doubled, the other's are not.
    bumps = 0.05 * (-1.0) ** np.add.outer(np.arange(HEIGHT), np.arange(WIDTH))
    upper = np.arange(HEIGHT)[:, None] < HEIGHT // 2
    planes = np.stack([np.broadcast_to(half, SIZE) for half in (upper, ~upper)])
    wall = np.where(upper, 2.0, 4.0) * np.ones(SIZE)
    errors = plane_errors(np.where(upper, 1.0, 4.0) + bumps, wall, planes, RAYS)
    assert errors.flatness_m == pytest.approx([0.1, 0.05], rel=2e-2)


def test_a_camera_of_other_rays() -> None:
    # The axis beside the middle, and pixels twice as high as wide: the same plane of points.
    rays = RAYS * (1, 2, 1) + (0.3, -0.1, 0)
    normal = np.array([0.3, -0.2, 1.0])
    depth, planes = 3 / (rays @ normal), np.ones((1, *SIZE), dtype=bool)
    errors = plane_errors(depth, depth, planes, rays, normals=normal[None])
    assert errors.orientation_deg == pytest.approx([0], abs=1e-6)
    assert errors.flatness_m == pytest.approx([0], abs=1e-9)


def test_small_planes_are_left_out() -> None:
    # 4 rows of 60 are 6.7 %, 2 are 3.3 %; the third plane has 4 rows, half of them masked.
    planes = np.zeros((3, *SIZE), dtype=bool)
    planes[0, 10:14], planes[1, 20:22], planes[2, 30:34] = True, True, True
    mask = np.ones(SIZE, dtype=bool)
    mask[30:32] = False
    depth = np.where(mask, slanted((0.1, 0.2, 1.0)), np.nan)
    errors = plane_errors(depth, slanted((0.1, 0.2, 1.0)), planes, RAYS, mask)
    assert errors.kept.tolist() == [True, False, False]
    assert errors.flatness_m.shape == errors.orientation_deg.shape == (1,)
    none = plane_errors(depth, depth, planes, RAYS, np.zeros(SIZE, dtype=bool))
    assert len(none.flatness_m) == 0


@pytest.mark.usefixtures("unchecked")
def test_mistakes_are_explained() -> None:
    depth = step(40)
    with pytest.raises(ValueError, match="no edge is annotated"):
        depth_boundary_errors(depth, np.zeros(SIZE, dtype=bool))
    with pytest.raises(ValueError, match="one size"):
        depth_boundary_errors(depth, column(40)[1:])
    with pytest.raises(ValueError, match="mask of float64"):
        depth_boundary_errors(depth, column(40), depth)
    with pytest.raises(ValueError, match=r"prediction must be positive and finite.*got nan"):
        depth_boundary_errors(depth * np.nan, column(40))
    with pytest.raises(ValueError, match=r"target must be positive and finite.*got -"):
        plane_errors(depth, -depth, column(40)[None], RAYS)
