"""Hypersim: z from distances, lenses that are tilted, the official split, and broken files."""

import csv
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
from planes import CAMERA, HEIGHT, SIZE, WIDTH, camera_of, picture, plane, save

from depthpro.data.hypersim import LENSES, SPLIT, Hypersim, inverse_camera
from depthpro.data.open import open_dataset

COLUMNS = ["scene_name", "camera_name", "frame_id", "included_in_public_release",
           "split_partition_name"]  # fmt: skip
M_CAM = [f"M_cam_from_uv_{row}{column}" for row in range(3) for column in range(3)]
SCENES = ("ai_001_001", "ai_001_002")


def table(path: Path, columns: list[str], rows: list[list[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def files(root: Path, scene: str, number: int) -> tuple[Path, Path]:
    images, name = root / scene / "images", f"frame.{number:04d}"
    return (
        images / "scene_cam_00_final_preview" / f"{name}.tonemap.jpg",
        images / "scene_cam_00_geometry_hdf5" / f"{name}.depth_meters.hdf5",
    )


@pytest.fixture
def hypersim(tmp_path: Path) -> Path:
    """Write two frames of two scenes, seen by a tilted lens; one pixel is empty."""
    # A known camera K, in a frame turned by two angles and at another scale, as the table has it.
    a, b = 0.2, -0.1
    turn = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turn = turn @ [[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]]
    f_px, fy_px, cx_px, cy_px = CAMERA
    k = np.array([[f_px, -2, cx_px], [0, fy_px, cy_px], [0, 0, 1]])  # a skew, as two tilts give it
    pixel_from_uv = [[16, 0, 15.5], [0, -12, 11.5], [0, 0, 1]]  # u, v = -1 at the left, lower edge
    lens = 1.7 * np.diag([1, -1, -1]) @ turn @ np.linalg.inv(k) @ pixel_from_uv
    table(tmp_path / LENSES, ["scene_name", *M_CAM], [[scene, *lens.ravel()] for scene in SCENES])
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    rays = np.stack([x, y, np.ones(SIZE)], axis=-1) @ np.linalg.inv(k).T
    distance = plane() * np.linalg.norm(rays, axis=-1)
    distance[3, 4] = np.nan
    frames = [(scene, number) for scene in SCENES for number in (2, 10)]
    rows = [[scene, "cam_00", number, "True", "train"] for scene, number in frames]
    table(tmp_path / SPLIT, COLUMNS, rows)
    for frame in frames:
        for path, pixels in zip(files(tmp_path, *frame), (picture(), distance), strict=True):
            save(path, pixels)
    return tmp_path


def test_hypersim_gives_the_plane_in_metres(hypersim: Path) -> None:
    samples = Hypersim(hypersim)
    assert len(samples) == 4
    sample = samples[0]
    assert sample.mask is not None and np.argwhere(~sample.mask).tolist() == [[3, 4]]
    assert np.isposinf(sample.depth[3, 4])
    np.testing.assert_allclose(sample.depth[sample.mask], plane()[sample.mask], rtol=0, atol=1e-5)
    np.testing.assert_allclose(camera_of(sample), CAMERA, rtol=1e-12)
    assert (sample.metric, sample.synthetic, sample.family) == (True, True, "hypersim")
    assert sample.rgb.shape == (*SIZE, 3) and sample.depth.dtype == np.float32
    again = pickle.loads(pickle.dumps(open_dataset(f"hypersim:{hypersim}")))
    np.testing.assert_array_equal(again[-1].depth, samples[3].depth)


def test_pixels_of_a_published_lens_are_square_once_it_is_upright() -> None:
    # Row ai_019_001 of the authors' table, where lens_shift is 0.11.
    lens = [[0.58082, 0, 0], [0, 0.43301788, 0], [0, -0.04752631, -1.00601715]]
    k = np.linalg.inv(inverse_camera(np.array(lens), 768, 1024))
    np.testing.assert_allclose(k, [[881.52, 0, 511.5], [0, 881.52, 480.25], [0, 0, 1]], atol=0.01)


def test_hypersim_split(hypersim: Path) -> None:
    rows: list[list[object]] = [
        ["ai_001_001", "cam_00", 2, "True", "train"],
        ["ai_001_001", "cam_00", 10, "False", "train"],
        ["ai_001_002", "cam_00", 10, "True", "val"],
        ["ai_055_010", "cam_00", 0, "True", "train"],  # a scene that was not downloaded
    ]
    table(hypersim / SPLIT, COLUMNS, rows)
    assert [frame[:2] for frame in Hypersim(hypersim)._frames] == [files(hypersim, SCENES[0], 2)]
    table(hypersim / SPLIT, COLUMNS, rows[1:])
    with pytest.raises(ValueError, match="no frames for training"):
        Hypersim(hypersim)


@pytest.mark.parametrize(("name", "missing"), [(SPLIT, "split_partition"), (LENSES, "ai_001_002")])
def test_hypersim_needs_its_tables(hypersim: Path, name: str, missing: str) -> None:
    rows = list(csv.reader((hypersim / name).read_text().splitlines()))
    if name == SPLIT:
        table(hypersim / name, rows[0][:-1], [row[:-1] for row in rows[1:]])
    else:
        table(hypersim / name, rows[0], rows[1:2])
    with pytest.raises(ValueError, match=rf"cannot read .*{name} \(no .*{missing}"):
        Hypersim(hypersim)
    (hypersim / name).unlink()
    with pytest.raises(ValueError, match=f"cannot read .*{name}"):
        Hypersim(hypersim)


@pytest.mark.parametrize("kind", [0, 1])
def test_hypersim_names_a_missing_or_broken_file(hypersim: Path, kind: int) -> None:
    path = files(hypersim, "ai_001_001", 2)[kind]
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
    path = files(hypersim, "ai_001_001", 2)[1]
    save(path, np.ones(SIZE, np.float16))  # the precision that some files have
    assert Hypersim(hypersim)[0].depth.dtype == np.float32
    with h5py.File(path, "w") as file:
        file[name] = np.ones(size)
    with pytest.raises(ValueError, match=rf"{path.name} \({message}"):
        Hypersim(hypersim)[0]
