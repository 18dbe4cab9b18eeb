"""ETH3D as its authors ship it, small: a plane's depth in a raw dump beside a photo with EXIF."""

from math import hypot
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from planes import (
    HEIGHT,
    SIZE,
    WIDTH,
    assert_broken_files_are_named,
    picture,
    plane,
)

from depthpro.evaluation.readers.eth3d import eth3d
from depthpro.image import load_image

ORIENTATION, EXIF_IFD, FOCAL_35MM = 0x0112, 0x8769, 0xA405


def shoot(root: Path, scene: str, stem: str, turn: int = 1) -> tuple[Path, Path]:
    """Write a photo and its depth, whose last row is unknown."""
    photo = root / scene / f"images/dslr_images/{stem}.JPG"
    depth = root / scene / f"ground_truth_depth/dslr_images/{stem}.JPG"
    for path in (photo, depth):
        path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    exif.get_ifd(EXIF_IFD)[FOCAL_35MM] = 20
    Image.fromarray(picture()).save(photo, "JPEG", exif=exif)
    values = plane().astype("<f4")
    values[-1] = np.inf
    values.tofile(depth)
    return photo, depth


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
    _, depth = shoot(tmp_path, "pipes", "DSC_0001")
    values = plane().astype("<f4")
    values[0, :4] = np.nan, 0, -1, np.inf
    values.tofile(depth)
    case = eth3d(tmp_path).cases["pipes/DSC_0001"]()
    assert case.mask is not None and case.depth is not None
    assert not case.mask[0, :4].any() and case.mask.sum() == case.mask.size - 4
    assert np.isposinf(case.depth[~case.mask]).all()


def test_a_photo_stays_as_its_depth_is(tmp_path: Path) -> None:
    path, _ = shoot(tmp_path, "pipes", "DSC_0001", turn=6)
    case = eth3d(tmp_path).cases["pipes/DSC_0001"]()
    photo = load_image(path)
    assert photo.rgb.shape == (WIDTH, HEIGHT, 3) and case.rgb.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(case.rgb, np.rot90(photo.rgb))
    assert case.f_px == photo.f_px


def test_broken_files_are_named(tmp_path: Path) -> None:
    files = shoot(tmp_path, "pipes", "DSC_0001")
    assert_broken_files_are_named(files, eth3d, tmp_path)
