"""SUN RGB-D and iBims-1 as their authors ship them, small: a plane's metres, cameras, masks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planes import CAMERA, HEIGHT, SIZE, WIDTH, camera_of, picture, plane, save
from scipy.io import savemat

from depthpro.evaluation.readers.rooms import ibims, sunrgbd

F_PX, FY_PX, CX_PX, CY_PX = CAMERA
NYU = "kv1/NYUdata/NYU0001"
B3DO = "kv1/b3dodata/img_0063"
SUN3D = "xtion/sun3ddata/brown_bm_1/brown_bm_1/0000112-000003745807"


# ------------------------------------------------------------------------------------- SUN RGB-D


def millimetres() -> np.ndarray:
    """Return the plane's; a column has holes, and a pixel is too far for 13 bits."""
    steps = np.round(plane() * 1000).astype(np.uint16)
    steps[:, 3] = 0
    steps[4, 5] = 9000
    return steps


def write_scene(root: Path, scene: str, picture_stem: str, depth_stem: str) -> Path:
    """Write a scene with what else its folder has, and return the folder."""
    folder = root / "SUNRGBD" / scene
    steps = millimetres()
    save(folder / f"image/{picture_stem}.jpg", picture())
    save(folder / f"depth/{depth_stem}.png", steps << 3 | steps >> 13)
    save(folder / f"depth_bfx/{depth_stem}.png", np.full(SIZE, 8000, np.uint16))
    save(folder / f"fullres/{picture_stem}.jpg", picture(1))
    rows = (F_PX, 0, CX_PX + 1), (0, FY_PX, CY_PX + 1), (0, 0, 1)
    text = "".join(" ".join(f"{value:f}" for value in row) + " \n" for row in rows)
    (folder / "intrinsics.txt").write_text(text)
    (folder / "fullres/intrinsics.txt").write_text("0 " * 9)
    (folder / "scene.txt").write_text("bedroom")
    return folder


def write_split(root: Path, *test: str) -> None:
    path = root / "SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = {"alltest": np.empty((1, len(test)), object), "alltrain": np.empty((1, 1), object)}
    cells["alltest"][0, :] = test
    cells["alltrain"][0, 0] = f"/n/fs/sun3d/data/SUNRGBD/{B3DO}"
    savemat(path, cells, do_compression=True)


@pytest.fixture
def sun(tmp_path: Path) -> Path:
    """Write three scenes, two of them for testing."""
    write_scene(tmp_path, NYU, "NYU0001", "NYU0001")
    write_scene(tmp_path, B3DO, "img_0063", "img_0063_abs")
    write_scene(tmp_path, SUN3D, "0000112-000003745807", "0000112-000003745807")
    prefix = "/n/fs/sun3d/data/SUNRGBD/"
    write_split(tmp_path, f"{prefix}/{SUN3D}/", f"{prefix}{NYU}")
    return tmp_path


def test_sunrgbd_gives_the_plane_in_metres(sun: Path) -> None:
    benchmark = sunrgbd(sun)
    assert list(benchmark.cases) == [NYU, SUN3D]
    cases = [read() for read in benchmark.cases.values()]
    assert [case.family for case in cases] == ["kv1", "xtion"]
    for case in cases:
        assert case.depth is not None and case.depth.dtype == np.float32
        known = np.ones(SIZE, bool)
        known[:, 3] = False
        np.testing.assert_array_equal(case.mask, known)
        assert np.isposinf(case.depth[~known]).all()
        assert case.depth[4, 5] == 9
        known[4, 5] = False
        np.testing.assert_allclose(case.depth[known], plane()[known], rtol=0, atol=0.000501)
        assert camera_of(case) == pytest.approx(CAMERA)
        assert case.rgb.shape == (*SIZE, 3)


def test_sunrgbd_names_what_is_missing_or_broken(sun: Path) -> None:
    folder = sun / "SUNRGBD" / NYU

    def fails(message: str) -> None:
        with pytest.raises(ValueError, match=message):
            sunrgbd(sun).cases[NYU]()

    depth = folder / "depth/NYU0001.png"
    save(depth, np.ones((2, 3), np.uint16))
    fails(r"NYU0001/depth/NYU0001\.png .*\(24, 32\) was expected")
    depth.unlink()
    fails(r"one .*NYU0001/depth/\*\.png was expected, got 0")
    save(depth, millimetres())
    (folder / "intrinsics.txt").write_text("518 0 284")
    fails(r"NYU0001/intrinsics\.txt .*cannot reshape")
    save(folder / "image/NYU0002.jpg", picture())
    fails(r"one .*NYU0001/image/\*\.jpg was expected, got 2")
    split = sun / "SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat"
    split.write_bytes(split.read_bytes()[:200])
    fails(r"cannot read .*allsplit\.mat")
    split.unlink()
    fails(r"allsplit\.mat is missing: unpack SUNRGBDtoolbox")


# ---------------------------------------------------------------------------------------- iBims-1


def maps() -> dict[str, Any]:
    """Return a picture's struct: invalid, transparent and unmeasured pixels; five planes."""
    struct = {
        "rgb": picture(),
        "depth": plane(),
        "edges": np.zeros(SIZE, np.uint8),
        "calib": np.array([[F_PX, 0, 0], [0, FY_PX, 0], [CX_PX + 1, CY_PX + 1, 1]]),
        "mask_invalid": np.ones(SIZE, bool),
        "mask_transp": np.ones(SIZE, bool),
    }
    struct["depth"][0] = 0
    struct["edges"][:, 9] = 1
    struct["mask_invalid"][:, 1] = False
    struct["mask_transp"][:, 2] = False
    for kind, count in (("wall", 3), ("floor", 0), ("table", 2)):
        labels = np.zeros(SIZE, np.uint8)
        for label in range(count):
            labels[3 * label : 3 * label + 2] = label + 1
        struct[f"mask_{kind}"] = labels
        struct[f"mask_{kind}_paras"] = np.ones((count, 8)) if count else np.zeros((0, 0))
    return struct


def write_picture(root: Path, name: str, struct: dict[str, Any]) -> Path:
    path = root / f"ibims1_core_mat/{name}.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"data": struct}, do_compression=True)
    return path


def test_ibims_gives_the_plane_edges_and_a_mask_for_each_plane(tmp_path: Path) -> None:
    write_picture(tmp_path, "corridor_01", maps())
    case = ibims(tmp_path).cases["corridor_01"]()
    assert case.depth is not None
    known = np.ones(SIZE, bool)
    known[0], known[:, 1:3] = False, False
    np.testing.assert_array_equal(case.mask, known)
    np.testing.assert_array_equal(case.depth[known], plane()[known].astype(np.float32))
    assert np.isposinf(case.depth[~known]).all()
    np.testing.assert_array_equal(case.rgb, picture())
    assert camera_of(case) == pytest.approx(CAMERA)
    assert case.edges is not None and case.planes is not None
    np.testing.assert_array_equal(np.flatnonzero(case.edges[0]), [9])
    rows = [[0, 1], [3, 4], [6, 7], [0, 1], [3, 4]]  # three walls and two tables
    assert [np.flatnonzero(mask[:, 0]).tolist() for mask in case.planes] == rows
    assert (case.planes == case.planes[:, :, :1]).all()
    none = maps() | {f"mask_{kind}_paras": np.zeros((0, 0)) for kind in ("wall", "table")}
    write_picture(tmp_path, "corridor_01", none)
    planes = ibims(tmp_path).cases["corridor_01"]().planes
    assert planes is not None and planes.shape == (0, HEIGHT, WIDTH)


def test_ibims_names_broken_files(tmp_path: Path) -> None:
    def fails(message: str) -> None:
        with pytest.raises(ValueError, match=message):
            ibims(tmp_path).cases["office_02"]()

    fails("no pictures ibims1_core_mat/.*: unpack")
    path = write_picture(tmp_path, "office_02", maps() | {"edges": np.zeros((2, 3), np.uint8)})
    fails(r"office_02\.mat .*\(24, 32\) was expected for its picture, got \(2, 3\)")
    savemat(path, {"gtStruct": 1})
    fails(r"office_02\.mat .*no 'data'")
    write_picture(tmp_path, "office_02", maps())
    content = bytearray(path.read_bytes())
    content[400:420] = bytes(20)  # inside of what is compressed
    path.write_bytes(content)
    fails(r"cannot read .*office_02\.mat .*decompressing")
