"""Scenes: exact depth, light from where it comes, sizes of the world, cameras that only colour."""

import sys

import numpy as np
import pytest
from vulkan import needs_vulkan

from depthpro import geometry
from depthpro.scenes import engine, plants, render_scene
from depthpro.scenes.camera import Shot, expose, pick_shot
from depthpro.scenes.engine import Engine, View
from depthpro.scenes.mesh import Mesh, blob, box, drum, lathe, place, tube, turn_to, unit
from depthpro.scenes.people import animal, person
from depthpro.scenes.sample import ASPECTS, FAMILIES, make_scene, pick_view
from depthpro.scenes.sky import Light, cube_directions, encode_ktx, harmonics
from depthpro.scenes.streets import bicycle, car
from depthpro.scenes.textures import Material
from depthpro.scenes.thing import Thing, by_material

SIZE = 64
GREY = Material("smooth", (0.5, 0.5, 0.5))
EVEN = Light(np.full((6, 8, 8, 3), 0.5, np.float32), 2e4)
AHEAD = np.array([0.0, 1, 0])


@pytest.fixture(scope="module")
def device() -> Engine:
    """Return the one renderer of these tests."""
    return Engine(SIZE)


@pytest.mark.parametrize("mesh", [
    box([1, 2, 3]), blob([1, 2, 3], 4), drum(1, 2), lathe([0, 1, 1, 0], [0, 0, 2, 2]),
    blob([1, 1, 1], bumps=[[0, -1, 0, 0.3, 0.2]]), tube([[0, 0, 0], [0.1, 0, 1], [0, 0.3, 2]], 0.2),
])  # fmt: skip
def test_closed_bodies_are_seen_from_outside(mesh: Mesh) -> None:
    a, b, c = (mesh.points[mesh.faces[:, corner]] for corner in range(3))
    facing = np.cross(b - a, c - a)
    # Normals and winding agree, so light and culling do.
    agree = np.einsum("ij,ij->i", facing, mesh.normals[mesh.faces].mean(axis=1))
    assert (agree > -1e-9).all()
    # The signed volume, a sum of tetrahedra, is positive where faces look outwards.
    assert np.einsum("ij,ij->i", a, np.cross(b, c)).sum() > 0


def test_a_box_has_its_size_and_its_texture_in_metres() -> None:
    mesh = box([1, 2, 3])
    np.testing.assert_allclose(np.ptp(mesh.points, axis=0), [1, 2, 3])
    top = mesh.normals[:, 2] > 0.5
    np.testing.assert_allclose(np.ptp(mesh.uv[top], axis=0), [1, 2])
    np.testing.assert_allclose(np.ptp(box([1, 2, 3], picture=True).uv, axis=0), [1, 1])


def test_thin_things_turn_to_the_eye() -> None:
    mesh = turn_to(blob([1, 1, 1]), [0, 0, 9])
    a, b, c = (mesh.points[mesh.faces[:, corner]] for corner in range(3))
    assert (np.einsum("ij,ij->i", np.cross(b - a, c - a), [0, 0, 9] - a) > -1e-12).all()


def test_a_thing_keeps_materials_apart_and_moves_as_one() -> None:
    other = GREY._replace(roughness=0.1)
    chair = Thing().boxes(GREY, [[1, 1, 1, 0, 0, 0.5], [1, 1, 1, 0, 0, 1.5]])
    thing = Thing().put(chair, [0, 5, 0], np.pi / 2, scale=2).box(other, [1, 1, 1], [9, 0, 0])
    parts = by_material(thing, np.array([0, 5, 9]))
    assert [len(parts[GREY].faces), len(parts[other].faces)] == [24, 12]
    low, high = thing.extent()
    np.testing.assert_allclose(low, [-1, -0.5, -0.5])
    np.testing.assert_allclose(high, [9.5, 6, 4])
    # No two faces share a plane to the last bit, and nothing moves by more than half a millimetre;
    # the upper box, which is nearer to the eye, comes first.
    lower, upper = (mesh.points for material, mesh in thing.parts if material == GREY)
    away = np.abs(parts[GREY].points - np.concatenate([upper, lower]))
    assert 0 < away.max() < 5e-4


@needs_vulkan
@pytest.mark.parametrize("fov_deg", [25.0, 70.0, 110.0])
@pytest.mark.parametrize("aspect", [1.0, 1.5, 0.75])
def test_depth_of_a_slanted_floor_is_exact(device: Engine, fov_deg: float, aspect: float) -> None:
    # A camera at height h that looks t radians down and rolls r to the right sees the floor along
    # the ray (u, v, 1) at z = h / (sin t + cos t (v cos r + u sin r)), where u = (x - cx) / fx.
    height, down, roll = 1.6, 0.5, 0.3
    floor = place(box([60, 60, 1]), [0, 0, -0.5])
    towards = np.array([0, np.cos(down), -np.sin(down)])
    with device.load({GREY: floor}, EVEN) as scene:
        depth = scene.depth(View(np.array([0, 0, height]), towards, roll, fov_deg, aspect))
    u = (np.arange(SIZE) - (SIZE - 1) / 2) / geometry.focal_from_fov(fov_deg, SIZE)
    v = u[:, None] / aspect
    slope = np.sin(down) + np.cos(down) * (v * np.cos(roll) + u * np.sin(roll))
    seen = slope > height / 12
    assert seen.mean() > 0.3
    np.testing.assert_allclose(depth[seen], height / slope[seen], rtol=1e-5)


@needs_vulkan
def test_the_sky_is_where_its_light_comes_from(device: Engine) -> None:
    # Radiance that grows along each axis is seen to grow along it.
    light = EVEN._replace(cube=(0.3 + 0.2 * cube_directions(16)).astype(np.float32))
    with device.load({GREY: place(box([1, 1, 1]), [0, 0, -50])}, light) as scene:
        for axis, towards in enumerate(np.eye(3)):
            views = [View(np.zeros(3), unit(s * towards + [0, 0.01, 0]), 0, 20, 1) for s in (1, -1)]
            ahead, behind = (scene.colour(view).mean(axis=(0, 1)) for view in views)
            assert np.argmax(ahead - behind) == axis


def test_harmonics_of_even_light_are_one_constant() -> None:
    # Irradiance / pi of constant radiance L is L in every direction.
    result = harmonics(np.full((6, 8, 8, 3), 0.7))
    np.testing.assert_allclose(result[0], 0.7, rtol=2e-2)
    np.testing.assert_allclose(result[1:], 0, atol=2e-2)
    assert encode_ktx(np.full((6, 8, 8, 3), 0.7, np.float32)).startswith(b"\xabKTX 11")


def test_without_mujoco_or_vulkan_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_vulkan(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(engine.ctypes, "CDLL", no_vulkan)
    with pytest.raises(ValueError, match="apt-get install -y libvulkan1 mesa-vulkan-drivers"):
        Engine(SIZE)
    monkeypatch.setitem(sys.modules, "mujoco.studio", None)
    with pytest.raises(ValueError, match=r"pip install mujoco==4\.0\.0"):
        Engine(SIZE)


@needs_vulkan
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_renders_plausible_metres(device: Engine, family: str) -> None:
    for sample in render_scene(device, 7, 1, family):
        near = sample.depth[np.isfinite(sample.depth)]
        assert sample.rgb.shape == (*sample.depth.shape, 3) == (SIZE, SIZE, 3)
        assert len(near) > 0.2 * SIZE**2
        assert engine.NEAR_M < near.min() <= near.max() < engine.FAR_M
        assert 0.2 < np.median(near) < 300
        assert min(abs(sample.fy_px / sample.f_px - aspect) for aspect in ASPECTS) < 1e-9
        assert sample.rgb.std() > 5
        assert 30 < sample.rgb.mean() < 235
        assert (sample.family, sample.seed[:2]) == (family, (7, 1))
        # Shapes without meaning have no size that a picture could tell.
        assert sample.metric == (family != "objects")


def test_things_have_the_sizes_of_the_world() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        for make, axis, least, most in ((person, 2, 1.45, 2.1), (car, 1, 3.7, 5.2),
                                        (bicycle, 1, 1.5, 2.0)):  # fmt: skip
            low, high = make(rng).extent()
            assert least < (high - low)[axis] < most
            assert abs(low[2]) < 0.06  # it stands on the ground
    low, high = plants.tree(rng, 8.0, GREY, GREY).extent()
    assert 6 < high[2] < 12
    low, high = animal(rng, 0.2).extent()
    assert 0.2 < (high - low)[0] < 0.4


def test_cameras_are_those_of_people() -> None:
    rng = np.random.default_rng(0)
    scene = make_scene(rng, "room")
    views = [pick_view(rng, scene) for _ in range(300)]
    assert {view.aspect for view in views} == set(ASPECTS)
    # On 36 mm, 14 mm is 2 atan(18/14) = 104.3 degrees; on 36 * 9/16 high, 80 mm is 14.4 degrees.
    assert all(14.4 < view.fov_deg < 104.3 for view in views)
    # The focal length is 18 mm * min(aspect, 1) / tan(fov / 2); log-normal, sigma 0.35.
    lens = [18 * min(v.aspect, 1) / np.tan(np.radians(v.fov_deg) / 2) for v in views]
    assert np.median(lens) == pytest.approx(28.5, rel=0.07)
    assert np.log(lens).std() == pytest.approx(0.35, abs=0.04)


def test_unknown_family_is_named() -> None:
    with pytest.raises(ValueError, match=r"room, street.*got 'sea'"):
        make_scene(np.random.default_rng(0), "sea")


def test_a_camera_changes_colour_and_leaves_depth() -> None:
    rng = np.random.default_rng(0)
    depth = np.exp(rng.uniform(-3, 8, (80, 80))).astype(np.float32)
    depth[:20] = np.inf
    rgb, before = rng.integers(0, 256, (80, 80, 3), dtype=np.uint8), depth.copy()
    assert np.abs(expose(rng, rgb, depth, Shot()).astype(int) - rgb).max() <= 1  # no effects
    changed = [expose(rng, rgb, depth, pick_shot(rng, rgb, depth)) for _ in range(20)]
    assert all((picture.shape, picture.dtype) == (rgb.shape, np.uint8) for picture in changed)
    assert len({picture.tobytes() for picture in changed}) == 20
    np.testing.assert_array_equal(depth, before)


def test_noise_has_the_size_asked_for_and_gain_is_light() -> None:
    flat, depth = np.full((200, 200, 3), 100, np.uint8), np.full((200, 200), 2, np.float32)
    rng = np.random.default_rng(0)
    noisy = expose(rng, flat, depth, Shot(noise=4.0)).astype(float)
    # The noise at level v is noise * (1 - v / 765), and rounding adds 1/12.
    expected = np.hypot(4 * (1 - 100 / 765), np.sqrt(1 / 12))
    assert noisy.std() == pytest.approx(expected, rel=0.02)
    # Light ((100/255 + 0.055) / 1.055)^2.4 = 0.1274 becomes 1 - (1 - 0.1274)^2 = 0.2386: 133.9.
    assert expose(rng, flat, depth, Shot(gain=2.0))[0, 0, 0] == 134
    assert (expose(rng, np.full_like(flat, 255), depth, Shot(gain=0.6)) == 255).all()
    dim = expose(rng, flat, depth, Shot(vignette=0.5)).astype(int)
    assert dim[0, 0, 0] == 50
    assert dim[100, 100, 0] == 100


def test_defocus_keeps_the_edge_of_what_is_in_focus() -> None:
    rgb, depth = np.zeros((64, 64, 3), np.uint8), np.full((64, 64), 50, np.float32)
    rgb[:, :32], depth[:, :32] = 200, 1
    rgb[::4, 32:] = 120
    shot = Shot(aperture_px=4, focus_m=1.0)
    result = expose(np.random.default_rng(0), rgb, depth, shot).astype(int)
    assert np.abs(result[:, :32] - 200).max() <= 1
    assert result[:, 32:].max() < 100  # blurred among itself, with no light from the foreground
    assert np.ptp(result[8:-8, 48]) < np.ptp(rgb[:, 48].astype(int)) / 4
