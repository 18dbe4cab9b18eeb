"""The photo in space: the page's 3D file, chart and map, on a room whose lengths are known."""

import io
import json
import math
import timeit
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import skimage
from flat_scenes import analysis_of
from PIL import Image
from rooms3d import F_PX, FLOOR_M, PANEL_M, SIDE, WALL_M, room, sky

from demo.session import Session
from demo.tabs.view3d.chart import POINT_SIDE, chart
from demo.tabs.view3d.plan import Sheet, from_above, plan
from demo.tabs.view3d.scene import first_scene, scene_of
from demo.tabs.view3d.space import (
    PARTS,
    PointMap,
    grid,
    grid_step,
    held_pixels,
    unproject_level,
)
from demo.tabs.view3d.ui import _show, caption
from depthpro.geometry import ratio_at, unproject

MAP = "canonical_inverse_depth"
PHOTO = Path(skimage.__file__).parent / "data" / "astronaut.png"
SVG = "{http://www.w3.org/2000/svg}"


def space_of(pitch_deg: float = 0.0) -> PointMap:
    return unproject_level(room(pitch_deg), SIDE, SIDE)


class Unpacked(NamedTuple):
    header: dict[str, Any]
    points: np.ndarray
    """In the viewer's frame: y up, z back."""
    drawn: np.ndarray
    cells: np.ndarray
    picture: np.ndarray


def unpack(path: str) -> Unpacked:
    """Return what a file of the component holds, as its script reads it."""
    data = Path(path).read_bytes()
    start = 4 + int.from_bytes(data[:4], "little")
    header = json.loads(data[4:start])
    shape = rows, columns = header["rows"], header["columns"]
    codes = np.frombuffer(data, "<u2", rows * columns, start).reshape(shape)
    start += 2 * rows * columns
    count = (rows - 1) * (columns - 1)
    bits = np.frombuffer(data, np.uint8, -(-count // 8), start)
    cells = np.unpackbits(bits, count=count, bitorder="little").reshape(rows - 1, -1) > 0
    picture = np.asarray(Image.open(io.BytesIO(data[start + len(bits) :])))
    depth = np.exp(header["base"] + header["step"] * codes)
    points = unproject(depth, header["fPx"]) @ np.reshape(header["turn"], (3, 3)).T
    return Unpacked(header, points, codes > 0, cells, picture)


@pytest.mark.parametrize("pitch_deg", [0, 18])
def test_points_are_level(pitch_deg: float) -> None:
    space = space_of(pitch_deg)
    assert space.ground is not None
    assert space.ground.camera_height_m == pytest.approx(FLOOR_M, rel=0.01)
    # Straight down the lower edge of the photo is floor, and lies at the height of the camera.
    np.testing.assert_allclose(space.points[-1, :, 1], FLOOR_M, rtol=0.01)
    # Distances are kept: the middle of the panel is where it was.
    middle = space.points[SIDE // 2, SIDE // 2]
    assert np.linalg.norm(middle) == pytest.approx(PANEL_M, rel=0.01)


def test_a_cell_is_a_metre_or_a_power_of_ten() -> None:
    assert [grid_step(size) for size in (0.5, 2, 40, 41, 4000)] == [0.1, 1, 1, 10, 100]


@pytest.mark.parametrize("units", ["m", "ft"])
def test_grid_lies_on_the_ground_in_whole_cells_from_the_camera(units: str) -> None:
    space = space_of(18)
    cells, step = grid(space, units)
    assert step == (1 if units == "m" else 0.3048)
    np.testing.assert_allclose(cells[..., 1], space.ground.camera_height_m)
    numbers = cells[..., [0, 2]] / step
    np.testing.assert_allclose(numbers, np.round(numbers), atol=1e-9)
    # It reaches over all of the floor that is seen.
    floor = np.abs(space.points[..., 1] / FLOOR_M - 1) < 0.01
    low, high = np.percentile(space.points[floor][:, [0, 2]], (2, 98), axis=0)
    assert (cells.min(axis=(0, 1))[[0, 2]] <= low).all()
    assert (cells.max(axis=(0, 1))[[0, 2]] >= high).all()


def test_flying_pixels_are_cut() -> None:
    depth = np.full((SIDE, SIDE), 2.0, np.float32)
    depth[:, 128:] = 4
    depth[:, 128] = 3  # between the two surfaces
    space = replace(space_of(), depth=depth)
    held = held_pixels(space, 1.05)
    assert not held[:, 128].any()
    assert held.sum() == SIDE * (SIDE - 1)
    # On a map half as long as 512 a step may be 1.25² = 1.56: 3 to 4 is one surface, 2 to 3 too.
    assert held_pixels(space, 1.25).all()
    assert ratio_at(1.08, 1024) ** 2 == pytest.approx(1.08)  # two small steps for a large one
    # With nothing left, everything stays.
    assert held_pixels(replace(space, depth=depth + 1e4), 1.05).all()


@pytest.mark.parametrize("pitch_deg", [0, 18])
def test_component_shows_the_panel_in_level_metres(tmp_path: Path, pitch_deg: float) -> None:
    analysis, space = room(pitch_deg), space_of(pitch_deg)
    shown = scene_of(analysis, space, tmp_path, parts=("grid", "camera"))
    file = unpack(shown["file"]["path"])
    # 16 bits from 2 m to 8 m: half a step is 1e-5.
    wanted = space.points * [1, -1, -1]
    np.testing.assert_allclose(file.points, wanted, rtol=2e-5, atol=2e-4)
    assert file.drawn.all()
    assert 0.98 < file.cells.mean() < 1  # cut around the panel
    assert file.header["middleM"] == space.middle_m
    assert np.abs(file.picture.astype(float) - analysis.rgb).mean() < 2  # JPEG
    grid_lines, camera_lines = (np.reshape(each["segments"], (-1, 3)) for each in shown["lines"])
    np.testing.assert_allclose(grid_lines[:, 1], -space.ground.camera_height_m, atol=1e-3)
    assert np.abs(camera_lines).max() < 0.1 * space.middle_m
    bare = scene_of(analysis, space, tmp_path, "points", parts=())
    assert (bare["lines"], bare["view"], bare["photo"]) == ([], "points", shown["photo"])


def test_component_shows_no_sky_and_normals(tmp_path: Path) -> None:
    analysis = room()
    canonical = analysis.prediction.canonical_inverse_depth.clone()
    canonical[:, :60] = 0  # above the panel
    analysis = replace(analysis, prediction=replace(analysis.prediction, **{MAP: canonical}))
    space = unproject_level(analysis, SIDE, SIDE)
    file = unpack(scene_of(analysis, space, tmp_path, "normals")["file"]["path"])
    assert not file.drawn[:60].any()
    assert not file.cells[:60].any()
    assert file.drawn[60:].all()
    # Floor: up is green. Panel: towards the camera is blue.
    np.testing.assert_allclose(file.picture[-20, 128], [128, 255, 128], atol=12)
    np.testing.assert_allclose(file.picture[128, 128], [128, 128, 255], atol=12)


def test_the_first_scene_is_small_and_quick(tmp_path: Path) -> None:
    analysis = analysis_of(room().prediction, rgb=np.asarray(Image.open(PHOTO).convert("RGB")))
    assert analysis.ground.ground
    shown = first_scene(analysis, tmp_path)
    assert Path(shown["file"]["path"]).stat().st_size < 1.0e6
    seconds = min(timeit.repeat(lambda: first_scene(analysis, tmp_path), number=1, repeat=3))
    busy = min(timeit.repeat(lambda: sum(range(2_000_000)), number=1, repeat=3))  # 30 ms, idle
    assert seconds < 5 * busy


@pytest.mark.parametrize(("units", "scale"), [("m", 1.0), ("ft", 1 / 0.3048)])
def test_chart_has_equal_axes_in_the_unit(units: str, scale: float) -> None:
    analysis = room(18)
    space = unproject_level(analysis, POINT_SIDE, POINT_SIDE)
    figure = chart(analysis.rgb, space, units=units)
    assert [trace.name for trace in figure.data] == ["photo", "grid", "camera"]
    photo = figure.data[0]
    assert 40_000 < len(photo.x) == len(photo.marker.color) <= POINT_SIDE**2
    # y is ahead and z up: the floor is below the camera.
    assert min(photo.z) == pytest.approx(-FLOOR_M * scale, rel=0.02)
    scene = figure.layout.scene
    ranges = np.array([axis.range for axis in (scene.xaxis, scene.yaxis, scene.zaxis)])

    def xyz(values) -> np.ndarray:
        return np.array([values[name] for name in "xyz"])

    units_of_axes = np.ptp(ranges, axis=1) / xyz(scene.aspectratio)
    np.testing.assert_allclose(units_of_axes, units_of_axes[0])
    assert scene.yaxis.title.text == f"ahead ({units})"
    # It looks along the optical axis from behind the camera.
    places = (scene.camera.eye, scene.camera.center)
    eye, target = (xyz(place) * units_of_axes + ranges.mean(axis=1) for place in places)
    ahead = space.rotation[[0, 2, 1], 2] * [1, 1, -1] * space.middle_m * scale
    np.testing.assert_allclose(target, ahead, atol=0.01 * scale)
    assert eye[1] < 0 < eye[2]
    colours = [colour for _, colour in photo.marker.colorscale]
    red = list(photo.marker.color).index(colours.index("rgb(200,30,30)"))
    distance = math.hypot(photo.x[red], photo.y[red], photo.z[red])
    assert distance == pytest.approx(PANEL_M * scale, rel=0.1)  # up to the ray of its corner
    bare = chart(analysis.rgb, space, parts=())
    assert len(bare.data) == 1


def test_map_shows_the_highest_point_where_it_stands() -> None:
    sheet = Sheet(np.array([-2.0, 0.0]), np.array([2.0, 5.0]), 0.1)
    assert sheet.size == (40, 50)
    points = np.array([[1.04, 1.5, 2.03], [1.04, -0.5, 2.03], [1.04, 0.7, 2.03], [9, 0, 9]])
    rgb = np.array([[1, 0, 0], [2, 0, 0], [3, 0, 0], [4, 0, 0]], np.uint8)
    picture = from_above(points, rgb, sheet)
    # (1.04 + 2) / 0.1 = 30.4 and (5 - 2.03) / 0.1 = 29.7
    assert picture[29, 30].tolist() == [2, 0, 0, 255]
    assert (picture[..., 3] > 0).sum() == 1


def test_map_is_drawn_to_scale() -> None:
    analysis = room()
    tree = ET.fromstring(plan(analysis.rgb, space_of()))
    ahead = [text for text in tree.iter(f"{SVG}text") if text.get("text-anchor") == "end"]
    rows = {text.text: float(text.get("y")) for text in ahead}
    camera = next(tree.iter(f"{SVG}circle"))
    assert float(camera.get("cy")) == pytest.approx(rows["0"] - 5, abs=0.1)
    a_metre = (rows["0"] - rows["8 m"]) / 8
    rim = next(path for path in tree.iter(f"{SVG}path") if path.get("class") == "rim")
    corners = rim.get("d").strip("M").split("L")
    left, apex, right = (tuple(map(float, corner.split())) for corner in corners)
    # 128 / 256 to each side: half of the field of view has the tangent 1/2.
    assert (right[0] - apex[0]) / (apex[1] - right[1]) == pytest.approx(SIDE / 2 / F_PX, rel=1e-3)
    assert left[0] + right[0] == pytest.approx(2 * apex[0], abs=0.2)
    lines = [path.get("d") for path in tree.iter(f"{SVG}path") if path.get("class") == "grid"]
    across = sorted(float(d.split("H")[0].split()[1]) for d in lines if "H" in d)
    np.testing.assert_allclose(np.diff(across), a_metre, atol=0.11)  # one for each metre
    assert len(across) >= WALL_M
    in_feet = plan(analysis.rgb, space_of(), units="ft")
    assert "ft</text>" in in_feet
    assert "m</text>" not in in_feet


def test_captions() -> None:
    space = space_of(18)
    text = caption(space, PARTS)
    assert "Grid: 1 m." in text
    assert "1.5 m above the ground and looks 18° down" in text
    assert "Grid: 1 ft." in caption(space, PARTS, "ft")
    assert "Grid" not in caption(space, ("camera",))
    assert "more than 1 m above" in caption(space, None)
    assert "No ground was found" in caption(unproject_level(sky(), 48, 64), PARTS)


def test_a_photo_of_the_sky_alone_is_drawn(tmp_path: Path) -> None:
    analysis = sky()
    space = unproject_level(analysis, 48, 64)
    for view in ("surface", "points", "normals"):
        assert unpack(scene_of(analysis, space, tmp_path, view)["file"]["path"]).cells.all()
    assert len(chart(analysis.rgb, space).data[0].x) == 48 * 64
    ET.fromstring(plan(analysis.rgb, space))


def test_redraws_at_the_same_time_have_files_of_their_own() -> None:
    session = Session(room())
    cuts = list(range(2, 40, 4))
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda cut: _show(session, "m", "surface", cut, []), cuts))
    paths = [Path(updates[0]["value"]["file"]["path"]) for updates in drawn]
    assert len(set(paths)) == len(cuts)
    assert paths[-1].exists()
    assert len(list(paths[0].parent.iterdir())) <= 2 * 4  # the visible ones, and those being drawn
