"""Scenes: exact depth, the same from the same seed, shards that hold, workers that may die."""

import argparse
import os
import signal
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from depthpro import geometry, render
from depthpro.__main__ import main
from depthpro.scenes import Sample, Shard, engine, read_shards, render_scene, workers, write_shard
from depthpro.scenes.camera import Shot, expose, pick_shot
from depthpro.scenes.engine import Engine, View
from depthpro.scenes.families import ASPECTS, FAMILIES, make_setting, pick_view
from depthpro.scenes.mesh import blob, box, disc_body, lathe, place, tube, turn_to, unit
from depthpro.scenes.setting import Scene
from depthpro.scenes.sky import Environment, cube_directions, encode_ktx, harmonics
from depthpro.scenes.textures import PALETTES, Material, draw_pattern, paint

SIZE = 64
GREY = Material("smooth", (0.5, 0.5, 0.5))


@pytest.fixture(scope="module")
def device() -> Engine:
    """Return the one renderer of these tests."""
    return Engine(SIZE)


def grey_light() -> Environment:
    return Environment(np.full((6, 8, 8, 3), 0.5, np.float32), 2e4)


def make_sample(seed: int = 0, height: int = 12, width: int = 20) -> Sample:
    rng = np.random.default_rng(seed)
    depth = np.exp(rng.uniform(np.log(0.05), np.log(3000), (height, width))).astype(np.float32)
    depth[0] = np.inf
    rgb = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Sample(
        rgb, depth, 25.0, 30.0, (width - 1) / 2, (height - 1) / 2, family="test", seed=(seed, 1)
    )


# ------------------------------------------------------------------------------------- geometry


@pytest.mark.parametrize("mesh", [
    box([1, 2, 3]), blob([1, 2, 3], 4), disc_body(1, 2), lathe([0, 1, 1, 0], [0, 0, 2, 2]),
    tube([[0, 0, 0], [0.1, 0, 1], [0, 0.3, 2]], 0.2),
])  # fmt: skip
def test_closed_bodies_are_seen_from_outside(mesh: engine.Mesh) -> None:
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
    assert (np.einsum("ij,ij->i", np.cross(b - a, c - a), [0, 0, 9] - a) >= 0).all()


# ----------------------------------------------------------------------------------- the engine


@pytest.mark.parametrize("fov_deg", [25.0, 70.0, 110.0])
@pytest.mark.parametrize("aspect", [1.0, 1.5, 0.75])
def test_depth_of_a_slanted_floor_is_exact(device: Engine, fov_deg: float, aspect: float) -> None:
    # A camera at height h that looks t radians down sees the floor along the ray (u, v, 1) at
    # z = h / (sin t + v cos t), where u = (x - cx) / fx and v = (y - cy) / fy.
    height, down = 1.6, 0.5
    floor = place(box([60, 60, 1]), [0, 0, -0.5])
    view = View(
        np.array([0, 0, height]), np.array([0, np.cos(down), -np.sin(down)]), 0, fov_deg, aspect
    )
    with device.load(Scene({GREY: [floor]}, grey_light())) as stage:
        depth = stage.depth(view)
    fy = geometry.focal_from_fov(fov_deg, SIZE) * aspect
    v = (np.arange(SIZE) - (SIZE - 1) / 2)[:, None] / fy
    expected = np.broadcast_to(height / (np.sin(down) + v * np.cos(down)), depth.shape)
    seen = (expected > 0) & (expected < 12)
    assert seen.mean() > 0.3
    np.testing.assert_allclose(depth[seen], expected[seen], rtol=1e-5)


def test_field_of_view_is_that_of_geometry(device: Engine) -> None:
    # A wall 4 m wide at 5 m: its edges are at x = cx +- f 2 / 5 for the f of geometry.py.
    fov_deg = 60.0
    view = View(np.zeros(3), np.array([0.0, 1, 0]), 0, fov_deg, 1.0)
    wall = place(box([4, 1, 40]), [0, 5.5, 0])
    with device.load(Scene({GREY: [wall]}, grey_light())) as stage:
        rgb, depth = stage.colour(view), stage.depth(view)
    columns = np.flatnonzero(np.isfinite(depth[SIZE // 2]))
    f_px = geometry.focal_from_fov(fov_deg, SIZE)
    reach = f_px * 2 / 5
    assert columns[0] == np.ceil((SIZE - 1) / 2 - reach)
    assert columns[-1] == np.floor((SIZE - 1) / 2 + reach)
    np.testing.assert_allclose(depth[:, columns], 5, rtol=1e-5)
    assert np.isinf(depth[:, 0]).all()
    assert rgb.shape == (SIZE, SIZE, 3)


def test_roll_and_aim_follow_the_world(device: Engine) -> None:
    # A ball up to the right appears up to the right, and a camera that rolls to the right turns it
    # to the left.
    ball = place(blob([0.5, 0.5, 0.5]), [1, 5, 1])
    with device.load(Scene({GREY: [ball]}, grey_light())) as stage:
        places = []
        for roll in (0.0, np.pi / 2):
            depth = stage.depth(View(np.zeros(3), np.array([0.0, 1, 0]), roll, 60, 1))
            places.append(np.argwhere(np.isfinite(depth)).mean(axis=0) - (SIZE - 1) / 2)
    assert places[0][0] < 0 < places[0][1]
    assert places[1][0] < 0
    assert places[1][1] < 0


def test_the_sky_is_where_its_light_comes_from(device: Engine) -> None:
    # Radiance that grows along each axis is seen to grow along it.
    cube = (0.3 + 0.2 * cube_directions(16)).astype(np.float32)
    with device.load(
        Scene({GREY: [place(box([1, 1, 1]), [0, 0, -50])]}, Environment(cube, 2e4))
    ) as stage:
        for axis, towards in enumerate(np.eye(3)):
            views = [View(np.zeros(3), unit(s * towards + [0, 0.01, 0]), 0, 20, 1) for s in (1, -1)]
            ahead, behind = (stage.colour(view).mean(axis=(0, 1)) for view in views)
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
    with pytest.raises(ValueError, match=r"pip install 'depthpro\[scenes\]'"):
        Engine(SIZE)


# ----------------------------------------------------------------------------------- the families


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_renders_plausible_metres(device: Engine, family: str) -> None:
    for number in range(2):
        for sample in render_scene(device, 7, number, family, views=2):
            near = sample.depth[np.isfinite(sample.depth)]
            assert sample.rgb.shape == (SIZE, SIZE, 3)
            assert sample.depth.shape == (SIZE, SIZE)
            assert sample.depth.dtype == np.float32
            assert len(near) > 0.2 * SIZE**2
            assert near.min() > engine.NEAR_M
            assert near.max() < engine.FAR_M
            assert 0.2 < np.median(near) < 300
            assert 24.9 < sample.fov_deg < 110.1
            assert min(abs(sample.fy_px / sample.f_px - aspect) for aspect in ASPECTS) < 1e-9
            assert sample.rgb.std() > 5
            assert (sample.family, sample.seed[:2]) == (family, (7, number))
            assert sample.metric and sample.synthetic
            canonical = geometry.canonical_inverse_depth(
                torch.from_numpy(sample.depth)[None], torch.tensor([sample.f_px])
            )
            assert torch.isfinite(canonical).all()
            assert (canonical[0].numpy() == 0).sum() == np.isinf(sample.depth).sum()


def test_people_and_doors_have_human_size() -> None:
    from depthpro.scenes import outdoors

    rng = np.random.default_rng(0)
    for _ in range(10):
        tall = max(mesh.points[:, 2].max() for _, mesh in outdoors.person(rng))
        assert 1.45 < tall < 2.05
        length = np.ptp(np.concatenate([mesh.points for _, mesh in outdoors.car(rng)])[:, 1])
        assert 3.7 < length < 5.2


def test_cameras_are_those_of_people() -> None:
    rng = np.random.default_rng(0)
    setting = make_setting(rng, "room")
    views = [pick_view(rng, setting) for _ in range(300)]
    assert {view.aspect for view in views} == set(ASPECTS)
    assert all(25 <= view.fov_deg <= 110 for view in views)
    assert np.ptp([view.fov_deg for view in views]) > 40


def test_unknown_family_is_named() -> None:
    with pytest.raises(ValueError, match=r"room, street.*got 'sea'"):
        make_setting(np.random.default_rng(0), "sea")


@pytest.mark.parametrize("palette", PALETTES)
def test_every_palette_paints(palette: str) -> None:
    material = paint(np.random.default_rng(0), palette)
    pixels = draw_pattern(material.pattern, material.variant)
    assert pixels.shape == (256, 256, 3)
    assert pixels.mean() > 60
    assert all(0 < value <= 1 for value in material.tint)


# ------------------------------------------------------------------------------------- the camera


def test_a_shot_without_effects_changes_nothing() -> None:
    sample = make_sample(height=40, width=40)
    result = expose(np.random.default_rng(0), sample.rgb, sample.depth, Shot())
    assert np.abs(result.astype(int) - sample.rgb).max() <= 1


def test_effects_change_colour_and_leave_depth() -> None:
    sample = make_sample(height=40, width=40)
    depth = sample.depth.copy()
    changed = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        shot = pick_shot(rng, sample.rgb, sample.depth)
        changed.append(expose(rng, sample.rgb, sample.depth, shot))
        assert changed[-1].shape == sample.rgb.shape
        assert changed[-1].dtype == np.uint8
    np.testing.assert_array_equal(sample.depth, depth)
    assert len({picture.tobytes() for picture in changed}) == 20


def test_noise_has_the_size_asked_for_and_gain_is_light() -> None:
    flat, depth = np.full((200, 200, 3), 100, np.uint8), np.full((200, 200), 2, np.float32)
    rng = np.random.default_rng(0)
    noisy = expose(rng, flat, depth, Shot(noise=4.0)).astype(float)
    # The noise at level v is noise * (1.4 - 0.8 v / 255), and rounding adds 1/12.
    expected = np.hypot(4 * (1.4 - 0.8 * 100 / 255), np.sqrt(1 / 12))
    assert noisy.std() == pytest.approx(expected, rel=0.02)
    # Twice the light: ((100/255 + 0.055) / 1.055)^2.4 = 0.1274 becomes 0.2548, which is 138.3.
    assert expose(rng, flat, depth, Shot(gain=2.0))[0, 0, 0] in (138, 139)


def test_defocus_keeps_the_edge_of_what_is_in_focus() -> None:
    rgb = np.zeros((64, 64, 3), np.uint8)
    rgb[:, :32] = 200
    depth = np.where(np.arange(64) < 32, 1.0, 50.0).astype(np.float32) * np.ones(
        (64, 1), np.float32
    )
    rgb[::4, 32:] = 120
    result = expose(np.random.default_rng(0), rgb, depth, Shot(aperture_px=4, focus_m=1.0)).astype(
        int
    )
    assert np.abs(result[:, :32] - 200).max() <= 1
    assert result[:, 32:].max() < 100  # blurred among itself, with no light from the foreground
    assert np.ptp(result[8:-8, 48]) < np.ptp(rgb[:, 48].astype(int)) / 4


# --------------------------------------------------------------------------------------- shards


def test_a_shard_gives_back_what_was_written(tmp_path: Path) -> None:
    mask = np.random.default_rng(1).random((12, 20)) < 0.7
    samples = [make_sample(0), replace(make_sample(1), mask=mask, metric=False, synthetic=False)]
    assert write_shard(tmp_path / "a.tar", samples, lossless=True) == 2
    for before, after in zip(samples, Shard(tmp_path / "a.tar"), strict=True):
        np.testing.assert_array_equal(after.rgb, before.rgb)
        known = np.ones((12, 20), bool) if before.mask is None else before.mask
        # Half precision: 11 significant bits, so an error of at most 2^-11.
        np.testing.assert_allclose(after.depth[known], before.depth[known], rtol=2**-11 * 1.01)
        assert (np.isinf(after.depth) == np.isinf(before.depth))[known].all()
        for name in ("f_px", "fy_px", "cx_px", "cy_px", "metric", "synthetic", "family", "seed"):
            assert getattr(after, name) == getattr(before, name)
    assert Shard(tmp_path / "a.tar")[0].mask is None
    np.testing.assert_array_equal(Shard(tmp_path / "a.tar")[1].mask, mask)


def test_a_shard_is_read_in_any_order(tmp_path: Path) -> None:
    for part in range(2):
        write_shard(tmp_path / f"{part}.tar", [make_sample(3 * part + i) for i in range(3)])
    shard = Shard(tmp_path / "1.tar")
    assert len(shard) == 3
    assert [shard[i].seed[0] for i in (2, 0, -2)] == [5, 3, 4]
    assert [sample.seed[0] for sample in shard[1:]] == [4, 5]
    assert [sample.seed[0] for sample in read_shards(tmp_path)] == [0, 1, 2, 3, 4, 5]
    with pytest.raises(IndexError):
        shard[3]
    with pytest.raises(ValueError, match="python -m depthpro render"):
        next(read_shards(tmp_path / "nothing"))


def test_any_tar_program_reads_a_shard(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tar", [make_sample()])
    with tarfile.open(tmp_path / "a.tar") as archive:
        assert sorted(archive.getnames()) == [
            "000000.inverse_depth.png", "000000.json", "000000.rgb.jpg",
        ]  # fmt: skip


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.8])
def test_a_broken_shard_is_named(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "cut.tar"
    write_shard(path, [make_sample(i, 60, 80) for i in range(3)])
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(ValueError, match=r"cut\.tar.*render"):
        Shard(path)


def test_a_broken_sample_is_named(tmp_path: Path) -> None:
    path = tmp_path / "spoilt.tar"
    write_shard(path, [make_sample(0), make_sample(1)])
    content = path.read_bytes()
    second = content.index(b"\xff\xd8", content.index(b"000001.rgb.jpg"))
    path.write_bytes(content[:second] + bytes(64) + content[second + 64 :])
    shard = Shard(path)
    assert shard[0].seed == (0, 1)
    with pytest.raises(ValueError, match=r"spoilt\.tar: sample 1 is broken"):
        shard[1]


@pytest.mark.usefixtures("unchecked")
def test_parts_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    sample = make_sample()
    with pytest.raises(ValueError, match=r"one size, got \(12, 20\), \(11, 20\)"):
        write_shard(tmp_path / "a.tar", [replace(sample, depth=sample.depth[1:])])
    for wrong in (0.0, -1.0, np.nan):
        depth = sample.depth.copy()
        depth[5, 5] = wrong
        with pytest.raises(ValueError, match="depth must be positive"):
            write_shard(tmp_path / "a.tar", [replace(sample, depth=depth)])
        mask = np.ones(depth.shape, bool)
        mask[5, 5] = False
        write_shard(tmp_path / "b.tar", [replace(sample, depth=depth, mask=mask)])
    assert not (tmp_path / "a.tar").exists()


# ------------------------------------------------------------------------------------- the command


def command(out: Path, *more: str) -> list[str]:
    options = ["--samples", "12", "--shard-samples", "6", "--size", "32", "--seed", "3"]
    return ["render", "-o", str(out), *options, *more]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of two shards, rendered by two undisturbed workers."""
    out = tmp_path_factory.mktemp("rendered")
    assert main(command(out)) == 0
    return out


def shards_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.tar")}


@pytest.mark.slow
def test_render_fills_a_folder_and_resumes(rendered: Path, tmp_path: Path) -> None:
    samples = list(read_shards(rendered))
    assert len(samples) == 12
    assert len({sample.seed for sample in samples}) == 12
    before = shards_of(rendered)
    # What is there stays, what is missing comes back the same, from another process.
    kept = rendered / "shard-000000.tar"
    stamp = kept.stat().st_mtime_ns
    (rendered / "shard-000001.tar").unlink()
    assert main(command(rendered, "--workers", "1")) == 0
    assert shards_of(rendered) == before
    assert kept.stat().st_mtime_ns == stamp


def test_render_refuses_a_folder_of_another_run(
    rendered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(command(rendered, "--seed", "4"))
    assert "seed 3 → 4" in capsys.readouterr().err
    assert len(shards_of(rendered)) == 2


@pytest.mark.parametrize(
    ("name", "value"), [("samples", "0"), ("seed", "-1"), ("size", "4"), ("workers", "0")]
)
def test_render_names_an_option_out_of_range(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    with pytest.raises(SystemExit):
        main(command(tmp_path, f"--{name}", value))
    assert f"--{name} must" in capsys.readouterr().err


def tasks_like(rendered: Path, out: Path) -> list[workers.Task]:
    options = argparse.Namespace(out=out, samples=12, shard_samples=6, size=32, seed=3)
    tasks = render.plan(options)
    assert {task.path.name for task in tasks} == set(shards_of(rendered))
    return tasks


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_the_bytes_are_the_same(
    rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed, calls = [], []
    advance = workers._Worker.advance

    def kill_once(worker: workers._Worker, scene: int) -> int:
        if scene == 3 and not killed:
            killed.append(worker._process.pid)
            os.kill(killed[0], signal.SIGKILL)
        return advance(worker, scene)

    monkeypatch.setattr(workers._Worker, "advance", kill_once)
    report = workers.run_tasks(tasks_like(rendered, tmp_path), 1, calls.append)
    assert report == workers.Report((), 1)
    assert sum(calls) == 4
    assert min(calls) < 0  # the shard was begun anew
    assert shards_of(tmp_path) == shards_of(rendered)


@pytest.mark.slow
def test_a_scene_that_kills_twice_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    advance = workers._Worker.advance

    def kill_in_scene_1(worker: workers._Worker, scene: int) -> int:
        if scene == 1 and 1 not in worker.task.skip:
            begun.append(scene)
            os.kill(worker._process.pid or 0, signal.SIGKILL)
        return advance(worker, scene)

    monkeypatch.setattr(workers._Worker, "advance", kill_in_scene_1)
    task = workers.Task(tmp_path / "a.tar", seed=3, size=32, first=0, count=2)
    report = workers.run_tasks([task], 1, lambda scenes: None)
    assert report == workers.Report((1,), 2)
    assert begun == [1, 1]
    assert [sample.seed for sample in Shard(task.path)] == [(3, 0, view) for view in range(3)]


def test_a_renderer_that_cannot_start_is_reported(tmp_path: Path) -> None:
    task = workers.Task(tmp_path / "a.tar", seed=3, size=10**6, first=0, count=1)
    with pytest.raises(ValueError, match="mesa-vulkan-drivers"):
        workers.run_tasks([task], 1, lambda scenes: None)
    assert not task.path.exists()
