"""ETH3D as its authors ship it, small: a plane's depth in a raw dump beside a photo with EXIF."""

from math import hypot
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from planes import HEIGHT, SIZE, WIDTH, picture, plane

from depthpro.evaluation.readers.eth3d import eth3d
from depthpro.image import load_image

ORIENTATION, EXIF_IFD, FOCAL_35MM = 0x0112, 0x8769, 0xA405
CAMERAS = """# Camera list with one line of data per camera:
#   CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]
# Number of cameras: 2
0 THIN_PRISM_FISHEYE 32 24 99 99 99 99 0.21 0.21 -5e-06 5e-04 -0.16 0.41 -8e-05 9e-04
1 THIN_PRISM_FISHEYE 32 24 30.5 28.25 17 10.5 0.21 0.21 -5e-06 5e-04 -0.16 0.41 -8e-05 9e-04
"""
IMAGES = """# Image list with two lines of data per image:
#   IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME
#   POINTS2D[] as (X, Y, POINT3D_ID)
# Number of images: 2, mean observations per image: 1
22 -0.292265 -0.174238 0.547904 -0.764214 1.80195 -0.821371 -7.08304 0 dslr_images/DSC_0001.JPG
1520.5 812.25 -1 17.5 3.25 44
23 -0.292265 -0.174238 0.547904 -0.764214 1.80195 -0.821371 -7.08304 1 dslr_images/DSC_0002.JPG

"""


def shoot(root: Path, scene: str, stem: str, f_35mm: int | None = 20, turn: int = 1) -> Path:
    """Write a photo and its depth, whose last row is unknown, and return the scene's folder."""
    scene_folder = root / scene
    photo = scene_folder / f"images/dslr_images/{stem}.JPG"
    depth = scene_folder / f"ground_truth_depth/dslr_images/{stem}.JPG"
    for path in (photo, depth):
        path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    if f_35mm is not None:
        exif.get_ifd(EXIF_IFD)[FOCAL_35MM] = f_35mm
    Image.fromarray(picture()).save(photo, "JPEG", exif=exif)
    values = plane().astype("<f4")
    values[-1] = np.inf
    values.tofile(depth)
    return scene_folder


def test_the_plane_comes_back_in_metres(tmp_path: Path) -> None:
    for scene, stem in [("relief_2", "DSC_0654"), ("relief", "DSC_0900"), ("relief", "DSC_0655")]:
        shoot(tmp_path, scene, stem)
    benchmark = eth3d(tmp_path)
    assert list(benchmark.cases) == ["relief/DSC_0655", "relief/DSC_0900", "relief_2/DSC_0654"]
    assert (benchmark.title, benchmark.measures) == ("ETH3D", ("depth", "cloud"))
    assert benchmark.range_m == (0.1, 200)
    for read in benchmark.cases.values():
        case = read()
        known = np.ones(SIZE, bool)
        known[-1] = False
        assert case.depth is not None and case.depth.dtype == np.float32
        np.testing.assert_array_equal(case.mask, known)
        np.testing.assert_array_equal(case.depth[:-1], plane()[:-1].astype(np.float32))
        assert np.isposinf(case.depth[-1]).all()
        # 20 mm on film of 36 mm x 24 mm, diagonals set equal.
        assert case.f_px == pytest.approx(20 * hypot(WIDTH, HEIGHT) / hypot(36, 24))
        assert (case.fy_px, case.cx_px, case.cy_px) == (None, None, None)


def test_what_no_depth_can_be_is_unknown(tmp_path: Path) -> None:
    folder = shoot(tmp_path, "pipes", "DSC_0001")
    values = plane().astype("<f4")
    values[0, :4] = np.nan, 0, -1, np.inf
    values.tofile(folder / "ground_truth_depth/dslr_images/DSC_0001.JPG")
    case = eth3d(tmp_path).cases["pipes/DSC_0001"]()
    assert case.mask is not None and case.depth is not None
    assert not case.mask[0, :4].any() and case.mask.sum() == case.mask.size - 4
    assert np.isposinf(case.depth[~case.mask]).all()


def test_a_photo_stays_as_its_depth_is(tmp_path: Path) -> None:
    folder = shoot(tmp_path, "pipes", "DSC_0001", turn=6)
    case = eth3d(tmp_path).cases["pipes/DSC_0001"]()
    photo = load_image(folder / "images/dslr_images/DSC_0001.JPG")
    assert photo.rgb.shape == (WIDTH, HEIGHT, 3) and case.rgb.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(case.rgb, np.rot90(photo.rgb))
    assert case.f_px == photo.f_px


def test_without_metadata_the_calibration_tells_the_camera(tmp_path: Path) -> None:
    folder = shoot(tmp_path, "facade", "DSC_0002", f_35mm=None)
    (read,) = eth3d(tmp_path).cases.values()
    with pytest.raises(ValueError, match=r"cannot read .*facade/dslr_calibration_jpg/images\.txt"):
        read()
    calibration = folder / "dslr_calibration_jpg"
    calibration.mkdir()
    (calibration / "images.txt").write_text(IMAGES)
    (calibration / "cameras.txt").write_text(CAMERAS)
    case = read()
    # COLMAP's axis counts from the picture's corner, half a pixel before the first centre.
    assert (case.f_px, case.fy_px, case.cx_px, case.cy_px) == (30.5, 28.25, 16.5, 10)
    (calibration / "cameras.txt").write_text(CAMERAS[: CAMERAS.index("1 THIN")])
    with pytest.raises(ValueError, match=r"cannot read .*cameras\.txt \(no '1'\)"):
        read()
    (calibration / "images.txt").write_text(IMAGES[: IMAGES.index("23 ")])
    with pytest.raises(ValueError, match=r"images\.txt \(no 'dslr_images/DSC_0002\.JPG'\)"):
        read()


def test_what_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no photos .*unpack ETH3D's \*_dslr_jpg\.7z"):
        eth3d(tmp_path)
    folder = shoot(tmp_path, "pipes", "DSC_0001")
    shoot(tmp_path, "office", "DSC_0002")
    for path in sorted(folder.rglob("*.JPG")):
        whole = path.read_bytes()
        path.write_bytes(whole[:-201])
        cases = eth3d(tmp_path).cases  # which reads no file yet
        cases["office/DSC_0002"]()
        with pytest.raises(ValueError, match=f"cannot read {path}"):
            cases["pipes/DSC_0001"]()
        path.unlink()
        with pytest.raises(ValueError, match=f"{path} is missing: .* or take pipes away"):
            eth3d(tmp_path)
        path.write_bytes(whole)
