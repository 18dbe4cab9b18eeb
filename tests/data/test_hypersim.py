"""Hypersim: z from distances, lenses that are tilted, the official split, and broken files."""

import csv
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
from planes import CAMERA, HEIGHT, SIZE, WIDTH, camera_of, picture, plane, save

from depthpro.data.hypersim import Hypersim, inverse_camera
from depthpro.data.open import open_dataset

NOMINAL = 16 / np.tan(np.pi / 6)  # px: 60 degrees over 32 columns
PUBLIC = ["scene_name", "camera_name", "frame_id", "included_in_public_release"]
M_CAM = [f"M_cam_from_uv_{row}{column}" for row in range(3) for column in range(3)]


def table(path: Path, columns: list[str], rows: list[list[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def hypersim_files(
    root: Path, scene: str, number: int, camera: str = "cam_00"
) -> tuple[Path, Path]:
    images, name = root / scene / "images", f"frame.{number:04d}"
    return (
        images / f"scene_{camera}_final_preview" / f"{name}.tonemap.jpg",
        images / f"scene_{camera}_geometry_hdf5" / f"{name}.depth_meters.hdf5",
    )


@pytest.fixture
def hypersim(tmp_path: Path) -> Path:
    """Write two frames of each of two scenes, seen by the nominal camera; one pixel is empty."""
    z = plane((NOMINAL, NOMINAL, (WIDTH - 1) / 2, (HEIGHT - 1) / 2))
    x, y = np.arange(WIDTH) - (WIDTH - 1) / 2, np.arange(HEIGHT)[:, None] - (HEIGHT - 1) / 2
    distance = (z * np.sqrt(1 + (x**2 + y**2) / NOMINAL**2)).astype(np.float32)
    distance[3, 4] = np.nan
    for scene in ("ai_001_002", "ai_001_001"):
        for number in (10, 2):
            for path, pixels in zip(
                hypersim_files(tmp_path, scene, number), (picture(), distance), strict=True
            ):
                save(path, pixels)
        save(tmp_path / scene / "images/scene_cam_00_final_preview/frame.0002.color.jpg", picture())
    return tmp_path


def test_hypersim_gives_the_plane_in_metres(hypersim: Path) -> None:
    samples = Hypersim(hypersim)
    assert [frame[0] for frame in samples._frames] == [
        hypersim_files(hypersim, scene, number)[0]
        for scene in ("ai_001_001", "ai_001_002")
        for number in (2, 10)
    ]
    sample = samples[0]
    z = plane((NOMINAL, NOMINAL, (WIDTH - 1) / 2, (HEIGHT - 1) / 2))
    assert sample.mask is not None and np.argwhere(~sample.mask).tolist() == [[3, 4]]
    assert np.isposinf(sample.depth[3, 4])
    np.testing.assert_allclose(sample.depth[sample.mask], z[sample.mask], rtol=0, atol=1e-5)
    np.testing.assert_allclose(camera_of(sample), (NOMINAL, NOMINAL, 15.5, 11.5), rtol=1e-12)
    assert sample.fov_deg == pytest.approx(60)
    assert (sample.metric, sample.synthetic, sample.family) == (True, True, "hypersim")
    assert sample.rgb.shape == (*SIZE, 3) and sample.depth.dtype == np.float32
    again = pickle.loads(pickle.dumps(open_dataset(f"hypersim:{hypersim}")))
    np.testing.assert_array_equal(again[-1].depth, samples[3].depth)


def test_hypersim_depth_of_a_tilted_lens(hypersim: Path) -> None:
    # A known camera K, in a frame turned by two angles and at another scale, as the table has it.
    a, b = 0.2, -0.1
    turn = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turn = turn @ [[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]]
    f_px, fy_px, cx_px, cy_px = CAMERA
    k = np.array([[f_px, -2, cx_px], [0, fy_px, cy_px], [0, 0, 1]])  # a skew, as two tilts give it
    pixel_from_uv = [[16, 0, 15.5], [0, -12, 11.5], [0, 0, 1]]  # u, v = -1 at the left, lower edge
    lens = 1.7 * np.diag([1, -1, -1]) @ turn @ np.linalg.inv(k) @ pixel_from_uv
    rows: list[list[object]] = [[f"ai_001_00{n}", *lens.ravel()] for n in (1, 2)]
    table(hypersim / "metadata_camera_parameters.csv", ["scene_name", *M_CAM], rows)
    z = plane()
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    ray = np.stack([x, y, np.ones(SIZE)], axis=-1) @ np.linalg.inv(k).T
    save(hypersim_files(hypersim, "ai_001_001", 2)[1], z * np.linalg.norm(ray, axis=-1))
    sample = Hypersim(hypersim)[0]
    np.testing.assert_allclose(camera_of(sample), CAMERA, rtol=1e-12)
    np.testing.assert_allclose(sample.depth, z, rtol=0, atol=1e-5)
    table(hypersim / "metadata_camera_parameters.csv", ["scene_name", *M_CAM], rows[:1])
    with pytest.raises(
        ValueError, match=r"metadata_camera_parameters\.csv has no row for ai_001_002"
    ):
        Hypersim(hypersim)


def test_pixels_of_a_published_lens_are_square_once_it_is_upright() -> None:
    # Row ai_019_001 of the authors' table, where lens_shift is 0.11.
    lens = [[0.58082, 0, 0], [0, 0.43301788, 0], [0, -0.04752631, -1.00601715]]
    k = np.linalg.inv(inverse_camera(np.array(lens), 768, 1024))
    np.testing.assert_allclose(k, [[881.52, 0, 511.5], [0, 881.52, 480.25], [0, 0, 1]], atol=0.01)
    assert np.linalg.inv(inverse_camera(None, 768, 1024))[0, 0] == pytest.approx(886.81, abs=1e-3)


def test_hypersim_split(hypersim: Path) -> None:
    rows: list[list[object]] = [
        ["ai_001_001", "cam_00", 2, "True", "", "train"],
        ["ai_001_001", "cam_00", 10, "False", "CONTENT FLAGGED FOR REMOVAL", "train"],
        ["ai_001_002", "cam_00", 10, "True", "", "val"],
        ["ai_055_010", "cam_00", 0, "True", "", "train"],  # a scene that was not downloaded
    ]
    path = hypersim / "metadata_images_split_scene_v1.csv"
    columns = [*PUBLIC, "exclude_reason", "split_partition_name"]
    table(path, columns, rows)
    (frame,) = Hypersim(hypersim)._frames
    assert frame[:2] == hypersim_files(hypersim, "ai_001_001", 2)
    table(path, columns[:-1], [row[:-1] for row in rows])
    with pytest.raises(ValueError, match=r"scene_v1\.csv .*split_partition_name"):
        Hypersim(hypersim)


@pytest.mark.parametrize("kind", [0, 1])
def test_hypersim_names_a_missing_or_broken_file(hypersim: Path, kind: int) -> None:
    path = hypersim_files(hypersim, "ai_001_001", 2)[kind]
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ValueError, match=f"cannot read .*{path.name}"):
        Hypersim(hypersim)[0]
    path.unlink()
    if kind == 1:  # without a picture there is no frame
        with pytest.raises(ValueError, match=f"{path.name} is missing"):
            Hypersim(hypersim)


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [("dataset", (4, 5), r"\(24, 32\) was expected.*\(4, 5\)"), ("other", SIZE, ".*'dataset'")],
)
def test_hypersim_names_a_file_of_another_shape_or_content(
    hypersim: Path, name: str, size: tuple[int, int], message: str
) -> None:
    path = hypersim_files(hypersim, "ai_001_001", 2)[1]
    save(path, np.ones(SIZE, np.float16))  # the precision that some files have
    assert Hypersim(hypersim)[0].depth.dtype == np.float32
    with h5py.File(path, "w") as file:
        file[name] = np.ones(size)
    with pytest.raises(ValueError, match=rf"{path.name} \({message}"):
        Hypersim(hypersim)[0]
