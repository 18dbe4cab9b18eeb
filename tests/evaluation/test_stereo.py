"""Booster and Middlebury as their authors ship them, small: disparity of a plane, calibrations."""

from pathlib import Path

import numpy as np
import pytest
from planes import CAMERA, SIZE, assert_broken_files_are_named, picture, plane, save

from depthpro.evaluation.readers.case import Case
from depthpro.evaluation.readers.stereo import booster, depth_from_disparity, middlebury

F_PX, _, CX_PX, CY_PX = CAMERA
RECTIFIED = (F_PX, F_PX, CX_PX, CY_PX)
BASELINE_MM, OFFSET_PX = 193.001, 1.125
STORAGE = """<?xml version="1.0"?>
<opencv_storage>
<mtxL type_id="opencv-matrix"><rows>3</rows><cols>3</cols><dt>d</dt><data>
    99. 0. 9. 0. 99. 9. 0. 0. 1.</data></mtxL>
<proj_matL type_id="opencv-matrix">
  <rows>3</rows>
  <cols>4</cols>
  <dt>d</dt>
  <data>
    30. 0. 17. 0. 0. 30. 1.0500000000000000e+01
    0. 0. 0. 1. 0.</data></proj_matL>
<baselineLR>1.9300100000000000e+02</baselineLR>
</opencv_storage>
"""
CALIBRATION = """cam0=[30 0 17; 0 30 10.5; 0 0 1]
cam1=[30 0 18.125; 0 30 10.5; 0 0 1]
doffs=1.125
baseline=193.001
width=32
height=24
ndisp=280
isint=0
vmin=31
vmax=257
"""


def disparity(offset_px: float = 0) -> np.ndarray:
    """Return what the plane's points move by from the left picture to the right one."""
    return (F_PX * BASELINE_MM / 1000 / plane(RECTIFIED) - offset_px).astype(np.float32)


def save_pfm(path: Path, pixels: np.ndarray, scale: str = "-0.003922") -> None:
    """Write a PFM: its rows from the bottom up, little-endian if the scale is negative."""
    order = "<f4" if scale.startswith("-") else ">f4"
    header = f"Pf\n{pixels.shape[1]} {pixels.shape[0]}\n{scale}\n"
    path.write_bytes(header.encode() + pixels[::-1].astype(order).tobytes())


def expose(root: Path, scene: str, names: tuple[str, ...] = ("im0", "im1", "im10")) -> Path:
    """Write a scene of Booster, whose first row is unknown, and return its folder."""
    folder = root / "train/balanced" / scene
    for seed, name in enumerate(names):
        save(folder / f"camera_00/{name}.png", picture(seed))
        save(folder / f"camera_02/{name}.png", picture(100))
    pixels = disparity()
    pixels[0] = 0
    np.save(folder / "disp_00.npy", pixels)
    np.save(folder / "disp_02.npy", -pixels)
    save(folder / "mask_00.png", np.zeros(SIZE, np.uint8))
    (folder / "calib_00-02.xml").write_text(STORAGE)
    return folder


def set_up(root: Path, scene: str, scale: str = "-0.003922") -> Path:
    """Write a scene of Middlebury, whose first row is unknown, and return its folder."""
    folder = root / scene
    save(folder / "im0.png", picture(1))
    save(folder / "im1.png", picture(100))
    pixels = disparity(OFFSET_PX)
    pixels[0] = np.inf
    save_pfm(folder / "disp0GT.pfm", pixels, scale)
    (folder / "calib.txt").write_text(CALIBRATION)
    return folder


def assert_plane(case: Case) -> None:
    assert case.depth is not None and case.depth.dtype == np.float32
    known = np.ones(SIZE, bool)
    known[0] = False
    np.testing.assert_array_equal(case.mask, known)
    np.testing.assert_allclose(case.depth[1:], plane(RECTIFIED)[1:], rtol=1e-6)
    assert np.isposinf(case.depth[0]).all()
    assert (case.f_px, case.fy_px, case.cx_px, case.cy_px) == RECTIFIED


def test_depth_is_in_metres() -> None:
    # 1000 px times 0.2 m over 40 px is 5 m; over 40 + 10 px, 4 m.
    pixels = np.array([[40.0, 0.0, -1.0, np.nan, np.inf]], np.float32)
    np.testing.assert_array_equal(depth_from_disparity(pixels, 1000, 0.2), [[5.0] + 4 * [np.inf]])
    np.testing.assert_array_equal(
        depth_from_disparity(pixels, 1000, 0.2, 10), [[4.0] + 4 * [np.inf]]
    )


# --------------------------------------------------------------------------------------- Booster


def test_booster_gives_the_plane_in_each_light(tmp_path: Path) -> None:
    expose(tmp_path, "Bottle1", names=("im0",))
    expose(tmp_path, "Bathroom")
    (tmp_path / "train/balanced/.DS_Store").touch()
    benchmark = booster(tmp_path)
    names = ["Bathroom/im0", "Bathroom/im1", "Bathroom/im10", "Bottle1/im0"]
    assert list(benchmark.cases) == names
    assert (benchmark.title, benchmark.measures) == ("Booster", ("depth",))
    assert benchmark.range_m == (0.001, 10)
    for name, seed in zip(names, (0, 1, 2, 0), strict=True):
        case = benchmark.cases[name]()
        np.testing.assert_array_equal(case.rgb, picture(seed))
        assert_plane(case)


def test_booster_names_broken_files(tmp_path: Path) -> None:
    folder = expose(tmp_path, "Bathroom", names=("im0",))
    files = [folder / name for name in ("camera_00/im0.png", "disp_00.npy", "calib_00-02.xml")]
    assert_broken_files_are_named(files, booster, tmp_path)
    (read,) = booster(tmp_path).cases.values()
    files[2].write_text(STORAGE.replace("baselineLR", "baseline"))
    with pytest.raises(ValueError, match=r"cannot read .*calib_00-02\.xml"):
        read()
    np.save(files[1], disparity()[:12])
    with pytest.raises(ValueError, match=r"disp_00\.npy .*\(24, 32\) was expected"):
        read()


# ------------------------------------------------------------------------------------ Middlebury


@pytest.mark.parametrize("scale", ["-0.003922", "-1", "1.0"])
def test_middlebury_gives_the_plane_with_the_offset(tmp_path: Path, scale: str) -> None:
    set_up(tmp_path, "trainingF/Adirondack", scale=scale)
    set_up(tmp_path, "trainingF/ArtL", scale=scale)
    set_up(tmp_path, "testF/Bicycle2")
    benchmark = middlebury(tmp_path)
    assert list(benchmark.cases) == ["Adirondack", "ArtL"]
    assert (benchmark.title, benchmark.measures) == ("Middlebury", ("depth", "cloud"))
    assert benchmark.range_m == (0.001, 10)
    for read in benchmark.cases.values():
        case = read()
        np.testing.assert_array_equal(case.rgb, picture(1))
        assert_plane(case)


def test_middlebury_names_broken_files(tmp_path: Path) -> None:
    folder = set_up(tmp_path, "trainingF/Pipes")
    files = [folder / name for name in ("im0.png", "disp0GT.pfm", "calib.txt")]
    # Of the calibration 80 bytes end before doffs.
    cut = lambda whole: whole[: max(len(whole) // 2, 80)]  # noqa: E731
    assert_broken_files_are_named(files, middlebury, tmp_path, cut)
    save_pfm(files[1], disparity()[:12])
    (read,) = middlebury(tmp_path).cases.values()
    with pytest.raises(ValueError, match=r"disp0GT\.pfm .*\(24, 32\) was expected"):
        read()
