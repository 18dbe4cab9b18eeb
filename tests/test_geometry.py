"""The camera: closed forms, loops, and ways there and back."""

import math

import numpy as np
import pytest
import reference
import torch

from depthpro import geometry


@pytest.mark.parametrize(
    ("fov_deg", "width", "f_px"),
    [
        (90.0, 1000, 500.0),  # tan 45 = 1
        (60.0, 1000, 500.0 * math.sqrt(3)),  # tan 30 = 1 / sqrt 3
        (120.0, 300, 150.0 / math.sqrt(3)),
        (2 * math.degrees(math.atan(0.5)), 640, 640.0),  # f = w
    ],
)
def test_focal_and_field_of_view_by_closed_form(fov_deg: float, width: int, f_px: float) -> None:
    assert geometry.focal_from_fov(fov_deg, width) == pytest.approx(f_px)
    assert geometry.fov_from_focal(f_px, width) == pytest.approx(fov_deg)
    focal = geometry.focal_from_fov(torch.tensor([fov_deg, fov_deg]), width)
    torch.testing.assert_close(focal, torch.tensor([f_px, f_px]))
    fov = geometry.fov_from_focal(torch.tensor([f_px]), width)
    torch.testing.assert_close(fov, torch.tensor([fov_deg]))


@pytest.mark.parametrize(("height", "width"), [(5, 7), (8, 8), (1, 1), (9, 1)])
def test_metric_depth_is_that_of_a_loop(height: int, width: int) -> None:
    canonical = np.random.default_rng(0).random((2, 8, 8), np.float32)
    canonical[0, :3] = 0  # sky
    f_px = torch.tensor([300.0, 4.0])
    depth = geometry.metric_depth(torch.from_numpy(canonical), f_px, height, width)
    assert depth.dtype == torch.float32
    for i, focal in enumerate(f_px.tolist()):
        expected = reference.metric_depth(canonical[i], focal, height, width)
        np.testing.assert_allclose(depth[i], expected, rtol=2e-5)


def test_metric_depth_is_clamped_at_both_ends() -> None:
    canonical = torch.tensor([[[0.0, 1e9], [1e-9, 1.0]]])
    depth = geometry.metric_depth(canonical, torch.tensor([2.0]), 2, 2)
    torch.testing.assert_close(depth, torch.tensor([[[1e4, 1e-4], [1e4, 1.0]]]))


def test_metric_depth_has_the_gradient_of_its_formula() -> None:
    canonical = (torch.rand((1, 5, 5)) + 0.5).requires_grad_()
    depth = geometry.metric_depth(canonical, torch.tensor([4.0]), 5, 5)
    depth.sum().backward()  # D = f / (w C): dD/dC = -D / C
    torch.testing.assert_close(canonical.grad, (-depth / canonical).detach())


def test_canonical_inverse_depth_inverts_metric_depth() -> None:
    depth = torch.rand((2, 6, 6)) * 10 + 0.1
    f_px = torch.tensor([3.0, 9.0])
    canonical = geometry.canonical_inverse_depth(depth, f_px)
    torch.testing.assert_close(geometry.metric_depth(canonical, f_px, 6, 6), depth)
    # C = f / (w depth) = 2 / (4 * 0.5) = 1; infinitely far is 0
    depth = torch.tensor([[[0.5, math.inf, 0.5, 1.0]]])
    canonical = geometry.canonical_inverse_depth(depth, torch.tensor([2.0]))
    assert canonical.tolist() == [[[1.0, 0.0, 1.0, 0.5]]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("height", "width"), [(4, 6), (5, 1), (1, 1)])
def test_points_are_those_of_a_loop(height: int, width: int, dtype: type) -> None:
    depth = np.random.default_rng(0).uniform(1, 9, (height, width)).astype(dtype)
    points = geometry.unproject(depth, 7.5)
    assert points.dtype == dtype
    np.testing.assert_allclose(points, reference.unproject(depth, 7.5), rtol=1e-6)


def plane_of(turn_deg: float, tilt_deg: float, f_px: float, shape=(48, 64)) -> np.ndarray:
    """Return the depth of a plane 2 m away, tilted by an angle about an axis of the picture.

    Of the points p with n · p = n · (0, 0, 2): z = 2 n_z / (n · ray).
    """
    turn, tilt = np.radians([turn_deg, tilt_deg])
    side = np.sin(tilt)
    normal = np.array([side * np.cos(turn), side * np.sin(turn), np.cos(tilt)])
    rays = geometry.unproject(np.ones(shape), f_px)
    return 2 * normal[2] / (rays @ normal)


@pytest.mark.parametrize("turn_deg", [0, 90, 215])
def test_a_slanted_plane_is_never_cut(turn_deg: float) -> None:
    depth = plane_of(turn_deg, 85, 480)
    neighbours = np.maximum(depth[1:] / depth[:-1], depth[:-1] / depth[1:])
    neighbours = max(
        neighbours.max(), (depth[:, 1:] / depth[:, :-1]).max(), (depth[:, :-1] / depth[:, 1:]).max()
    )
    assert neighbours > 1.05  # a mere ratio of neighbours would cut it
    assert geometry.solid_cells(depth, 1.01).all()
    assert geometry.solid_cells(depth.astype(np.float32), 1.01).all()


@pytest.mark.parametrize("tilt_deg", [0, 60, 85])
def test_a_step_is_cut_where_it_is_above_the_ratio(tilt_deg: float) -> None:
    depth = plane_of(30, tilt_deg, 480)
    depth[:, 20:] *= 1.08  # farther by 8 %
    cells = geometry.solid_cells(depth, 1.0799)
    assert not cells[:, 19].any()
    assert np.delete(cells, 19, axis=1).all()
    assert geometry.solid_cells(depth, 1.0801).all()
    cells = geometry.solid_cells(depth.T, 1.0799)
    assert not cells[19].any()
    assert np.delete(cells, 19, axis=0).all()


def test_an_edge_of_some_pixels_is_cut_and_so_is_what_is_far() -> None:
    inverse = np.full((6, 512), 0.5)
    inverse[:, 300:] = 0.25
    inverse[:, 296:300] = [0.45, 0.4, 0.35, 0.3]  # neither here nor there
    held = geometry.solid_pixels(geometry.solid_cells(1 / inverse, 1.08))
    assert not held[:, 296:300].any()
    assert np.delete(held, range(296, 300), axis=1).all()
    cells = geometry.solid_cells(1 / inverse, 1.08, far_m=3.9)
    assert cells[:, :295].all()
    assert not cells[:, 295:].any()
    assert geometry.solid_cells(inverse[:1], 2.0).shape == (0, 511)  # one row has no cells


@pytest.mark.parametrize(("turn_deg", "tilt_deg"), [(0, 0), (140, 40), (270, 75)])
def test_normals_of_planes(turn_deg: float, tilt_deg: float) -> None:
    turn, tilt = np.radians([turn_deg, tilt_deg])
    side = np.sin(tilt)
    towards = -np.array([side * np.cos(turn), side * np.sin(turn), np.cos(tilt)])
    normals = geometry.surface_normals(plane_of(turn_deg, tilt_deg, 480), 480.0)
    np.testing.assert_allclose(normals, np.broadcast_to(towards, normals.shape), atol=1e-9)


def test_each_solid_cell_is_two_triangles_that_face_the_camera() -> None:
    cells = np.array([[True, False, True], [False, True, True]])
    faces = geometry.grid_faces(cells)
    assert faces.shape == (8, 3)
    points = geometry.unproject(np.full((3, 4), 2.0), 5.0).reshape(-1, 3) * [1, -1, -1]
    a, b, c = (points[faces[:, i]] for i in range(3))
    normals = np.cross(b - a, c - a)
    # With y up and z to the viewer the surface lies at z = -2 and its normals point at +z.
    assert (normals[:, 2] > 0).all()
    # A cell is (2 m / 5 px)^2 = 0.16 m^2; each triangle is half of one.
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1) / 2, 0.08)
    # Together the two triangles of a cell name its four corners.
    corners = [sorted(set(faces[i]) | set(faces[i + 4])) for i in range(4)]
    assert corners == [[0, 1, 4, 5], [2, 3, 6, 7], [5, 6, 9, 10], [6, 7, 10, 11]]
