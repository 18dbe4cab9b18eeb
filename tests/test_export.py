"""Files that appear whole or not at all, in metres, read back by other libraries."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from plyfile import PlyData

from depthpro import Prediction
from depthpro.export import (
    USUAL,
    Shape,
    fit_size,
    textured_surface,
    write_depth_png,
    write_glb,
    write_npz,
    write_ply,
    write_prediction,
)
from depthpro.files import whole_file

NOTICE = "Depth by a test, licence none"


@pytest.fixture
def step() -> np.ndarray:
    """Return a wall at 4 m with a box before its right half, at 2 m."""
    depth = np.full((9, 12), 4.0, np.float32)
    depth[:, 6:] = 2.0
    return depth


def rgb_like(depth: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (*depth.shape, 3), dtype=np.uint8)


def test_npz_holds_depth_and_camera(tmp_path: Path, step: np.ndarray) -> None:
    write_npz(tmp_path / "a.npz", step, 10.0, NOTICE)
    with np.load(tmp_path / "a.npz") as file:
        np.testing.assert_array_equal(file["depth"], step)
        assert file["depth"].dtype == np.float32
        assert file["f_px"] == 10
        np.testing.assert_array_equal(file["intrinsics"], [[10, 0, 5.5], [0, 10, 4], [0, 0, 1]])
        assert "metres" in str(file["units"])
        assert str(file["notice"]) == NOTICE


@pytest.mark.parametrize(("far", "scale"), [(60, 0.001), (600, 0.01), (6000, 0.1), (1e4, 1.0)])
def test_16_bit_png_times_its_scale_is_metres(tmp_path: Path, far: float, scale: float) -> None:
    depth = np.linspace(0.5, far, 40 * 50, dtype=np.float32).reshape(40, 50)
    write_depth_png(tmp_path / "a.png", depth, 10.0, NOTICE)
    with Image.open(tmp_path / "a.png") as image:
        values, text = np.asarray(image), image.info
    assert values.dtype == np.uint16
    assert float(text["scale_m"]) == scale
    assert float(text["f_px"]) == 10
    assert text["Copyright"] == NOTICE
    known = depth < 65535 * scale
    assert known.mean() > 0.98
    assert (values[~known] == 65535).all()  # this far or farther
    error = np.abs(values * float(text["scale_m"]) - depth)[known]
    assert error.max() <= 0.51 * scale  # rounding, and float32


def test_glb_is_the_surface_in_metres_cut_at_the_edge(tmp_path: Path, step: np.ndarray) -> None:
    surface = textured_surface(rgb_like(step), step, 10.0)
    write_glb(tmp_path / "a.glb", surface, NOTICE)
    scene = trimesh.load(tmp_path / "a.glb", process=False)
    (mesh,) = scene.geometry.values()
    # Columns 0…5 are the wall, 6…11 the box: 8 rows x 5 columns of cells each, two triangles.
    assert len(mesh.faces) == 2 * (8 * 5 + 8 * 5)
    # Each triangle lies on the wall or on the box.
    z = mesh.vertices[mesh.faces][..., 2]
    assert set(np.unique(z)) == {-4.0, -2.0}
    assert (np.ptp(z, axis=1) == 0).all()
    # Upper left pixel: x = (0 - 5.5) 4 / 10, y up = (4 - 0) 4 / 10.
    np.testing.assert_allclose(mesh.vertices[0], [-2.2, 1.6, -4.0], rtol=1e-6)
    # Triangles face the camera: all normals look along +z.
    assert (mesh.face_normals[:, 2] > 0.99).all()
    assert mesh.visual.material.baseColorTexture.size == (12, 9)
    # The first vertex has the colour of the first pixel's centre.
    np.testing.assert_allclose(mesh.visual.uv[0], [0.5 / 12, 1 - 0.5 / 9], atol=1e-6)
    data = (tmp_path / "a.glb").read_bytes()
    tree = json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])
    assert tree["asset"]["copyright"] == NOTICE
    assert "KHR_materials_unlit" in tree["materials"][0]["extensions"]
    assert tree["images"][0]["mimeType"] == "image/jpeg"


def test_ply_is_points_in_metres_without_the_sky(tmp_path: Path, step: np.ndarray) -> None:
    step[:3] = 1e4
    rgb = rgb_like(step)
    write_ply(tmp_path / "a.ply", rgb, step, 10.0, NOTICE)
    file = PlyData.read(tmp_path / "a.ply")
    vertices = file["vertex"]
    assert NOTICE in file.comments
    # Three rows of sky are gone; the other six stay, all on one of the two surfaces.
    assert len(vertices) == 6 * 12
    first = vertices[0]  # pixel (row 3, column 0): x = -5.5 * 4 / 10, y down = (3 - 4) 4 / 10
    np.testing.assert_allclose([first[c] for c in "xyz"], [-2.2, -0.4, 4.0], rtol=1e-6)
    assert [first[c] for c in ("red", "green", "blue")] == rgb[3, 0].tolist()


def test_ply_takes_any_notice(tmp_path: Path, step: np.ndarray) -> None:
    write_ply(tmp_path / "a.ply", rgb_like(step), step, 10.0, "Gewichte 'ü'\nzweite Zeile")
    assert "Gewichte '\\xfc' zweite Zeile" in PlyData.read(tmp_path / "a.ply").comments


@pytest.mark.parametrize(
    ("size", "side", "fitted"),
    [((3000, 4000), 512, (384, 512)), ((100, 50), 512, (100, 50)), ((9000, 1), 100, (100, 1))],
)
def test_fit_size(size: tuple[int, int], side: int, fitted: tuple[int, int]) -> None:
    assert fit_size(*size, side) == fitted


def test_every_format_of_a_prediction(tmp_path: Path) -> None:
    # A plane at C = 0.25 seen with f_px = w = 60 is 60 / (60 * 0.25) = 4 m away.
    prediction = Prediction(
        canonical_inverse_depth=torch.full((1, 16, 16), 0.25),
        f_px=torch.tensor([60.0]),
        estimated_f_px=None,
        height=40,
        width=60,
    )
    rgb = np.zeros((40, 60, 3), np.uint8)
    files = write_prediction(tmp_path / "new" / "folder", "x.y", rgb, prediction, NOTICE)
    assert [file.name for file in files] == [
        "x.y.npz", "x.y_depth.png", "x.y_colour.png", "x.y.glb", "x.y.ply",
    ]  # fmt: skip
    assert len(files) == len(USUAL)
    with np.load(files[0]) as file:
        np.testing.assert_allclose(file["depth"], np.full((40, 60), 4.0), rtol=1e-6)
    with Image.open(files[2]) as image:
        assert image.width > 60
    # The network's map is 16 wide, so the surface is 16 wide and 11 high.
    mesh = trimesh.load(files[3], process=False).to_mesh()
    assert len(mesh.vertices) == 16 * 11
    # At 16 columns f_px is 16, so the corner pixel is 7.5 / 16 * 4 m off the axis.
    np.testing.assert_allclose(mesh.bounds[1][0], 1.875, rtol=1e-6)
    assert len(PlyData.read(files[4])["vertex"]) == 16 * 11
    assert write_prediction(tmp_path, "z", rgb, prediction, NOTICE, ["glb"]) == [tmp_path / "z.glb"]
    assert not (tmp_path / "z.npz").exists()


def test_pictures_for_image_generators(tmp_path: Path) -> None:
    # C from 0.1 to 1 in columns, f_px = w: inverse depth is C, and the same in a map of this size.
    canonical = np.tile(np.linspace(0.1, 1, 64, dtype=np.float32), (64, 1))
    prediction = Prediction(torch.from_numpy(canonical)[None], torch.tensor([64.0]), None, 64, 64)
    rgb = rgb_like(canonical)
    formats = ("grey-png", "normals-png", "cutout-png")
    shape = Shape(between_m=(2.0, 4.0))
    files = write_prediction(tmp_path, "x", rgb, prediction, NOTICE, formats, shape)
    grey, normals, cutout = (np.asarray(Image.open(file)) for file in files)
    with Image.open(files[0]) as image:
        assert image.mode == "L"
        assert image.info["Copyright"] == NOTICE
    far, near = np.percentile(canonical, (1, 99))
    wanted = 255 * np.clip((canonical - far) / (near - far), 0, 1)
    np.testing.assert_allclose(grey, wanted, atol=0.51)
    # Inverse depth 64 g (u - 31.5) / 64 + c for g = 0.9 / 63: a plane m = (64 g, 0, c).
    away = np.array([64 * 0.9 / 63, 0, 0.55])
    toward = -away / np.linalg.norm(away)
    colour = 127.5 * (toward * [1, -1, -1] + 1)
    np.testing.assert_allclose(normals, np.broadcast_to(colour, normals.shape), atol=0.6)
    np.testing.assert_array_equal(cutout[..., :3], rgb)
    seen = (canonical <= 1 / 2) & (canonical >= 1 / 4)
    np.testing.assert_array_equal(cutout[..., 3], np.where(seen, 255, 0))


def test_file_appears_with_its_content_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "mesh.ply"
    with whole_file(target) as temporary:
        assert temporary.suffix == ".ply"
        assert temporary.parent == target.parent  # one file system, so that replacing is atomic
        temporary.write_text("whole")
        assert not target.exists()
    with whole_file(str(target)) as temporary:  # takes the place of the old one
        temporary.write_text("new")
    assert target.read_text() == "new"
    assert list(target.parent.iterdir()) == [target]


def test_failure_keeps_the_old_file_and_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "depth.npz"
    target.write_text("old")
    with pytest.raises(KeyboardInterrupt), whole_file(target) as temporary:
        temporary.write_text("half of the n")
        raise KeyboardInterrupt
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
