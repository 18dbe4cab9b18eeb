"""Sintel and Spring as their authors ship them, small: a plane in binary depth and in HDF5."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from planes import (
    CAMERA,
    HEIGHT,
    SIZE,
    WIDTH,
    assert_broken_files_are_named,
    picture,
    plane,
    save,
)

from depthpro.evaluation.readers.films import sintel, spring

TAG = np.array(202021.25, "<f4").tobytes()


def shoot(root: Path, scene: str, number: int) -> list[Path]:
    """Write a frame of Sintel, whose first row is sky, and return its files."""
    name = f"training/{{}}/{scene}/frame_{number:04d}.{{}}"
    final, depth, camera = (
        root / name.format(*each)
        for each in (("final", "png"), ("depth", "dpt"), ("camdata_left", "cam"))
    )
    save(final, picture(number))
    save(root / name.format("clean", "png"), picture(100))
    depth.parent.mkdir(parents=True, exist_ok=True)
    camera.parent.mkdir(parents=True, exist_ok=True)
    metres = plane().astype("<f4")
    metres[0] = 1e11
    depth.write_bytes(TAG + np.array([WIDTH, HEIGHT], "<i4").tobytes() + metres.tobytes())
    f_px, fy_px, cx_px, cy_px = CAMERA
    matrix = np.array([[f_px, 0, cx_px], [0, fy_px, cy_px], [0, 0, 1]], "<f8")
    camera.write_bytes(TAG + matrix.tobytes() + np.full((3, 4), 7, "<f8").tobytes())
    return [final, depth, camera]


def film(root: Path, scene: str, count: int = 2) -> list[Path]:
    """Write frames of Spring, zooming in, and return the files of the first.

    The first row of the first picture is sky, and the second row is unknown.
    """
    folder = root / "train" / scene
    rows = []
    for number in range(1, count + 1):
        f_px, fy_px, cx_px, cy_px = np.array(CAMERA) * [number, number, 1, 1]
        rows.append(f"{f_px:.6f} {fy_px:.6f} {cx_px:.6f} {cy_px:.6f}\n")
        save(folder / f"frame_left/frame_left_{number:04d}.png", picture(number))
        save(folder / f"frame_right/frame_right_{number:04d}.png", picture(100))
        pixels = f_px * 0.065 / plane()
        pixels[:2] = [[0], [np.nan]]
        path = folder / f"disp1_left/disp1_left_{number:04d}.dsp5"
        path.parent.mkdir(exist_ok=True)
        with h5py.File(path, "w") as file:
            doubled = pixels.repeat(2, 0).repeat(2, 1).astype(np.float32)
            file.create_dataset("disparity", data=doubled, compression="gzip", compression_opts=5)
    camera = folder / "cam_data/intrinsics.txt"
    camera.parent.mkdir()
    camera.write_text("".join(rows))
    return [
        folder / "frame_left/frame_left_0001.png",
        folder / "disp1_left/disp1_left_0001.dsp5",
        camera,
    ]


# ---------------------------------------------------------------------------------------- Sintel


def test_sintel_gives_the_plane_in_metres(tmp_path: Path) -> None:
    for scene, number in (("alley_2", 1), ("alley_1", 2), ("alley_1", 1)):
        shoot(tmp_path, scene, number)
    benchmark = sintel(tmp_path)
    names = ["alley_1/frame_0001", "alley_1/frame_0002", "alley_2/frame_0001"]
    assert list(benchmark.cases) == names
    assert (benchmark.title, benchmark.range_m) == ("Sintel", (0.01, 80))
    assert benchmark.measures == ("depth", "cloud", "boundary")
    for name, read in benchmark.cases.items():
        case = read()
        np.testing.assert_array_equal(case.rgb, picture(int(name[-4:])))  # of the pass "final"
        assert case.depth is not None and case.depth.dtype == np.float32
        np.testing.assert_array_equal(case.depth[1:], plane()[1:].astype(np.float32))
        assert (case.depth[0] == np.float32(1e11)).all()
        assert case.mask is not None and case.mask.all()
        assert (case.f_px, case.fy_px, case.cx_px, case.cy_px) == CAMERA


def test_sintel_names_broken_files(tmp_path: Path) -> None:
    files = shoot(tmp_path, "alley_1", 1)
    for cut in (lambda whole: whole[: len(whole) // 4 + 2], lambda whole: b""):
        assert_broken_files_are_named(files, sintel, tmp_path, cut)
    save(files[0], picture()[:12])
    (read,) = sintel(tmp_path).cases.values()
    with pytest.raises(ValueError, match=r"frame_0001\.dpt \(\(12, 32\) was expected .* \(24, 32"):
        read()


# ---------------------------------------------------------------------------------------- Spring


def test_spring_gives_the_plane_at_twice_the_size(tmp_path: Path) -> None:
    film(tmp_path, "0005", count=1)
    film(tmp_path, "0001")
    benchmark = spring(tmp_path)
    names = ["0001/frame_left_0001", "0001/frame_left_0002", "0005/frame_left_0001"]
    assert list(benchmark.cases) == names
    assert (benchmark.title, benchmark.measures) == ("Spring", ("boundary",))
    assert benchmark.range_m is None
    for name, read in benchmark.cases.items():
        number = int(name[-4:])
        case = read()
        np.testing.assert_array_equal(case.rgb, picture(number))
        assert case.depth is not None and case.mask is not None
        assert case.depth.shape == (2 * HEIGHT, 2 * WIDTH) and case.depth.dtype == np.float32
        for half in (case.depth[::2, ::2], case.depth[1::2, 1::2]):
            np.testing.assert_allclose(half[2:], plane()[2:], rtol=1e-6)
        assert np.isposinf(case.depth[:4]).all()
        assert case.mask[:2].all() and not case.mask[2:4].any() and case.mask[4:].all()
        f_px, fy_px, cx_px, cy_px = CAMERA
        camera = (number * f_px, number * fy_px, cx_px, cy_px)
        assert (case.f_px, case.fy_px, case.cx_px, case.cy_px) == camera


def test_spring_names_broken_files(tmp_path: Path) -> None:
    files = film(tmp_path, "0001", count=1)
    assert_broken_files_are_named(files, spring, tmp_path, lambda whole: whole[: len(whole) // 4])
    (read,) = spring(tmp_path).cases.values()
    files[2].write_text("30 28\n")
    with pytest.raises(ValueError, match=r"cannot read .*intrinsics\.txt"):
        read()
    for values in ({"disparity": np.ones(SIZE, np.float32)}, {"flow": np.ones(1)}):
        with h5py.File(files[1], "w") as file:
            file.update(values)
        with pytest.raises(ValueError, match=r"cannot read .*disp1_left_0001\.dsp5"):
            read()
