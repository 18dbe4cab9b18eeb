"""The files that the page gives away, read back: a panel of 1 m by 0.5 m must have that size."""

import io
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from flat_scenes import analysis_of
from PIL import Image
from plyfile import PlyData
from rooms3d import F_PX, PANEL, PANEL_M, SIDE, WALL_M, room, sky

from demo.export import FORMATS, available, bundle, write_file
from demo.pipeline import Analysis
from depthpro import Prediction
from depthpro.export import Format, Shape, write_prediction
from depthpro.surfaces import exchange

SURFACES = ("glb", "ply", "obj", "usdz")
NOTICE = room().provenance.notice


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return room()


@pytest.fixture(scope="module")
def folder(analysis: Analysis, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for kind in FORMATS:
        assert write_file(analysis, folder, kind).parent == folder
    with zipfile.ZipFile(folder / "room_obj.zip") as archive:
        archive.extractall(folder / "obj")
    return folder


def points_of(folder: Path, kind: str) -> np.ndarray:
    """Return the points of a file with y up and z back, whatever its own axes."""
    if kind == "glb":
        return trimesh.load(folder / "room.glb", process=False, force="mesh").vertices
    if kind == "obj":
        return trimesh.load(folder / "obj" / "room.obj", process=False).vertices
    if kind == "ply":
        vertex = PlyData.read(str(folder / "room.ply"))["vertex"]
        return np.stack([vertex["x"], -vertex["y"], -vertex["z"]], axis=1)
    pxr = pytest.importorskip("pxr.Usd")
    stage = pxr.Stage.Open(str(folder / "room.usdz"))
    return np.array(stage.GetPrimAtPath("/Photo/Surface").GetAttribute("points").Get())


@pytest.mark.parametrize("kind", SURFACES)
def test_the_panel_has_its_true_size(folder: Path, kind: str) -> None:
    points = points_of(folder, kind)
    panel = points[np.abs(points[:, 2] + PANEL_M) < 0.01]
    left, right, top, bottom = PANEL
    # Pixels at their middles: (n - 1) of the n that the panel covers, 8 mm each.
    assert np.ptp(panel[:, 0]) == pytest.approx(right - left, rel=0.01)
    assert np.ptp(panel[:, 1]) == pytest.approx(bottom - top - PANEL_M / F_PX, rel=0.01)
    assert panel[:, 0].mean() == pytest.approx((left + right) / 2, abs=0.005)
    assert panel[:, 1].mean() == pytest.approx(-(top + bottom) / 2, abs=0.005)
    assert points[:, 2].min() == pytest.approx(-WALL_M, rel=0.01)


@pytest.fixture(scope="module")
def step() -> Analysis:
    """Return a wall at 2 m and one at 4 m, and a row of pixels between them."""
    inverse = torch.full((1, SIDE, SIDE), 1 / 2)
    inverse[:, SIDE // 2 :] = 1 / 4
    inverse[:, SIDE // 2] = 1 / 3
    focal = torch.tensor([F_PX])  # as wide as the photo: inverse depth is canonical already
    prediction = Prediction(inverse, focal, focal, SIDE, SIDE)
    return analysis_of(prediction, "room")


@pytest.mark.parametrize("kind", SURFACES)
def test_the_slider_cuts_the_files_and_the_command_line_cuts_the_same(
    step: Analysis, tmp_path: Path, kind: Format
) -> None:
    """At half of 512 pixels a ratio counts twice: steps of 4 / 3 and 3 / 2 are 1.155 and 1.225."""
    sizes = []
    for ratio in (1.24, 1.14):
        inside = tmp_path / str(ratio)
        of_page = write_file(step, inside, kind, ratio)
        if kind == "obj":
            with zipfile.ZipFile(inside / "room_obj.zip") as archive:
                archive.extractall(inside / "obj")
        sizes.append(len(points_of(inside, kind)))
        shape, rgb = Shape(max_ratio=ratio), step.rgb
        others = tmp_path / "command" / str(ratio)
        write_prediction(others, "room", rgb, step.prediction, NOTICE, (kind,), shape)
        if kind in ("glb", "ply"):  # the others hold the time
            assert (others / of_page.name).read_bytes() == of_page.read_bytes()
        elif kind == "usdz":
            assert len(points_of(others, kind)) == sizes[-1]
    assert sizes == [SIDE * SIDE, SIDE * (SIDE - 1)]


@pytest.mark.parametrize("kind", SURFACES)
def test_the_floor_is_whole_at_every_cut(analysis: Analysis, tmp_path: Path, kind: str) -> None:
    """Its depth k and k + 1 rows below the horizon differs by the share 1 / k: 2 % at the wall."""
    write_file(analysis, tmp_path, kind, 1.01)
    if kind == "obj":
        with zipfile.ZipFile(tmp_path / "room_obj.zip") as archive:
            archive.extractall(tmp_path / "obj")
    assert len(points_of(tmp_path, kind)) == SIDE * SIDE


def test_obj_shows_the_photo(folder: Path) -> None:
    text = (folder / "obj/room.obj").read_text()
    assert text.startswith("# metres; y up")
    assert NOTICE in text
    assert NOTICE in (folder / "obj/room.mtl").read_text()
    surface = trimesh.load(folder / "obj" / "room.obj", process=False)
    # The texture's colour at the panel's right edge is the panel's.
    nearest = np.argmin(np.linalg.norm(surface.vertices - [0.45, 0.05, -PANEL_M], axis=1))
    u, v = surface.visual.uv[nearest]
    photo = np.asarray(surface.visual.material.image)
    colour = photo[int((1 - v) * SIDE), int(u * SIDE)]
    np.testing.assert_allclose(colour, [200, 30, 30], atol=12)
    # Triangles face the camera at the origin.
    towards = np.einsum("ij,ij->i", surface.face_normals, -surface.triangles_center)
    assert (towards > 0).mean() > 0.99


def test_usdz_is_what_quick_look_opens(folder: Path) -> None:
    pytest.importorskip("pxr")
    from pxr import Usd, UsdGeom, UsdShade, UsdValidation

    stage = Usd.Stage.Open(str(folder / "room.usdz"))
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1
    assert UsdGeom.GetStageUpAxis(stage) == "Y"
    assert stage.GetDefaultPrim().GetName() == "Photo"
    assert stage.GetRootLayer().documentation == NOTICE
    mesh = stage.GetPrimAtPath("/Photo/Surface")
    material, _ = UsdShade.MaterialBindingAPI(mesh).ComputeBoundMaterial()
    look, _, _ = material.ComputeSurfaceSource()
    photo = look.GetInput("emissiveColor").GetConnectedSources()[0][0].source
    file = UsdShade.Shader(photo).GetInput("file").Get()
    assert file.resolvedPath.endswith("photo.jpg]")
    registry = UsdValidation.ValidationRegistry()
    context = UsdValidation.ValidationContext(registry.GetOrLoadAllValidators())
    assert [error.GetMessage() for error in context.Validate(stage)] == []
    with zipfile.ZipFile(folder / "room.usdz") as archive:
        assert archive.namelist() == ["surface.usdc", "photo.jpg"]


def test_without_usd_core_the_page_offers_the_rest(analysis, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pxr", None)
    assert not exchange.has_usd()
    assert set(available()) == set(FORMATS) - {"usdz"}
    with pytest.raises(ValueError, match="pip install usd-core"):
        write_file(analysis, tmp_path, "usdz")
    assert list(tmp_path.iterdir()) == []
    with zipfile.ZipFile(bundle(analysis, tmp_path)) as archive:
        assert "room.usdz" not in archive.namelist()
        assert "usdz" not in archive.read("README.txt").decode()


def test_relief_is_watertight_and_has_its_size_in_millimetres(folder: Path) -> None:
    solid = trimesh.load(folder / "room_relief.stl")
    assert solid.is_watertight
    assert solid.is_winding_consistent
    np.testing.assert_allclose(solid.bounds, [[0, 0, 0], [100, 100, 2 + 12]], atol=1e-4)
    assert 0 < solid.volume < 100 * 100 * 14
    # The panel, 1 / 2 of the view's 2 m, stands out: linear in inverse depth, and the nearest
    # per cent, floor at 1.5 / 0.498 = 3 m, is farther away than it.
    top = solid.vertices[solid.vertices[:, 2] > 13.9]
    assert np.ptp(top[:, 0]) == pytest.approx(50, abs=0.5)
    assert np.ptp(top[:, 1]) == pytest.approx(25, abs=0.5)
    # A point of the floor at 4 m: 1 / z goes from 1 / 8 at the base to 1 / 2, so a third.
    row = 127.5 + 1.5 / 4 * 256
    here = solid.vertices[
        (np.abs(solid.vertices[:, 0] - 50) < 0.3)
        & (np.abs(solid.vertices[:, 1] - (255 - row) * 100 / 255) < 0.3)
        & (solid.vertices[:, 2] > 0)
    ]
    np.testing.assert_allclose(here[:, 2], 2 + 12 / 3, atol=0.1)
    assert (folder / "room_relief.stl").read_bytes().startswith(b"mm; Depth by depthpro")


def test_relief_takes_the_sizes_that_are_asked_for(analysis: Analysis, tmp_path: Path) -> None:
    path = write_file(analysis, tmp_path, "stl", relief_mm=(40, 1, 5))
    np.testing.assert_allclose(trimesh.load(path).bounds[1], [40, 40, 6], atol=1e-4)
    with pytest.raises(ValueError, match="width of a relief must be 20 to 500 mm, got 5"):
        write_file(analysis, tmp_path, "stl", relief_mm=(5,))
    with pytest.raises(ValueError, match=r"base of a relief must be 0.5 to 20 mm, got nan"):
        write_file(analysis, tmp_path, "stl", relief_mm=(100, float("nan")))


@pytest.mark.parametrize("shape", [(2, 2), (2, 9), (40, 30)])
def test_reliefs_of_all_shapes_are_watertight(shape: tuple[int, int]) -> None:
    depth = np.random.default_rng(0).uniform(1, 3, shape)
    solid = exchange.relief(depth)
    assert solid.is_watertight
    assert solid.volume > 0
    size = (100, 100 * (shape[0] - 1) / (shape[1] - 1))
    np.testing.assert_allclose(solid.bounds[1, :2], size)


def test_bundle_holds_everything_lists_it_and_leaves_only_itself(analysis, tmp_path) -> None:
    folder = tmp_path / "session"
    folder.mkdir()
    path = bundle(analysis, folder)
    assert [file.name for file in folder.iterdir()] == ["room_depth.zip"]
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert sorted(names) == sorted(
            [
                "README.txt", "room.glb", "room.jpg", "room.json", "room.npz", "room.ply",
                "room_colour.png", "room_depth.png", "room_grey.png", "room_normals.png",
                "room_obj.zip", "room.usdz", "room_relief.stl",
            ]
        )  # fmt: skip
        readme = archive.read("README.txt").decode()
        assert all(f"{name}\n    " in readme for name in names if name != "README.txt")
        assert NOTICE in readme
        values = json.loads(archive.read("room.json"))
        with np.load(io.BytesIO(archive.read("room.npz"))) as file:
            np.testing.assert_array_equal(file["depth"], analysis.prediction.depth[0].numpy())
        with Image.open(io.BytesIO(archive.read("room.jpg"))) as image:
            assert not image.getexif()  # no place, no camera
            assert image.info["comment"].decode() == NOTICE
    assert values["f_px"] == analysis.f_px
    assert values["f_px_source"] == "given by hand"
    assert values["weights_licence"] == analysis.provenance.licence


def test_a_photo_of_the_sky_alone_has_files_too(tmp_path: Path) -> None:
    for kind in FORMATS:
        assert write_file(sky(), tmp_path, kind).stat().st_size
    assert trimesh.load(tmp_path / "sky_relief.stl").is_watertight
