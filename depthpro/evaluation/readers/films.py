"""Sintel and Spring: frames of two rendered films.

MPI Sintel (sintel.is.tue.mpg.de). `ROOT` holds, as MPI-Sintel-training_images.zip and
MPI-Sintel-depth-training-20150305.zip unpack,

    training/final/alley_1/frame_0001.png           1024 x 436
    training/depth/alley_1/frame_0001.dpt           a tag; width and height, int32; metres, float32
    training/camdata_left/alley_1/frame_0001.cam    a tag; camera matrix 3 x 3, pose 3 x 4, float64

all little-endian, as sintel_io.py reads them, which comes with the depth.

Spring (spring-benchmark.org). `ROOT` is `spring`, which the archives of the left camera unpack,

    train/0001/frame_left/frame_left_0001.png     1920 x 1080
    train/0001/disp1_left/disp1_left_0001.dsp5    HDF5: `disparity`, 3840 x 2160
    train/0001/cam_data/intrinsics.txt            a row for each frame: fx fy cx cy

all in pixels of the picture, disparity too, as pointcloud.py of the authors' own
github.com/cv-stuttgart/spring_utils reads them.
"""

from functools import partial
from pathlib import Path

import numpy as np

from depthpro.data.frames import naming, read_rgb
from depthpro.evaluation.readers.case import Benchmark, Case, existing, fitting, listed, with_camera
from depthpro.evaluation.readers.stereo import depth_from_disparity

SINTEL_RANGE_M = (0.01, 80.0)
TAG_BYTES = 4
"""Before the content of Sintel's binary files."""
BASELINE_M = 0.065
"""Distance between Spring's cameras."""


def sintel(root: str | Path) -> Benchmark:
    """List the frames of all training scenes in the pass "final", 1064 of 23 scenes.

    "final" is the film as it was shown, with blur and mist, which "clean" lacks. No file marks the
    sky: its depth is finite and far beyond the range. Pixels have their centres at integers: the
    principal point is (511.5, 217.5).

    Raises:
        ValueError: If files are missing; from a case, if one is broken.

    Source: FACTS 6.1. The paper reports 1064 pictures, as many as each pass has, and no pass.
    """
    base, cases = Path(root) / "training", {}
    for picture in sorted(base.glob("final/*/frame_*.png")):
        name = f"{picture.parent.name}/{picture.stem}"
        depth = existing(base / f"depth/{name}.dpt")
        camera = existing(base / f"camdata_left/{name}.cam")
        cases[name] = partial(_read_sintel, picture, depth, camera)
    benchmark = Benchmark("Sintel", cases, ("depth", "cloud", "boundary"), SINTEL_RANGE_M)
    archives = "MPI-Sintel-training_images.zip and MPI-Sintel-depth-training-20150305.zip"
    return listed(benchmark, root, archives)


def spring(root: str | Path) -> Benchmark:
    """List the left frames of all training scenes, 5000 of 37 scenes.

    Depth has the size of disparity, twice the picture's. Where disparity is 0, depth is infinite,
    which is sky; where it is NaN, depth is unknown. The set's sky maps are not used: sky and very
    distant surfaces make the same contours.

    Raises:
        ValueError: If files are missing; from a case, if one is broken.

    Source: Table 2; FACTS 5.4. The paper's choice of frames and of their size is unknown.
    """
    cases = {}
    for picture in sorted(Path(root).glob("train/*/frame_left/frame_left_*.png")):
        scene, number = picture.parents[1], picture.stem.rpartition("_")[2]
        disparity = existing(scene / f"disp1_left/disp1_left_{number}.dsp5")
        camera = existing(scene / "cam_data/intrinsics.txt")
        read = partial(_read_spring, picture, disparity, camera, int(number))
        cases[f"{scene.name}/{picture.stem}"] = read
    archives = "train_frame_left.zip, train_disp1_left.zip and train_cam_data.zip"
    return listed(Benchmark("Spring", cases, ("boundary",)), root, archives)


def _read_sintel(picture: Path, depth: Path, camera: Path) -> Case:
    rgb = read_rgb(picture)
    with naming(depth):
        width, height = np.fromfile(depth, "<i4", 2, offset=TAG_BYTES).tolist()
        values = np.fromfile(depth, "<f4", offset=TAG_BYTES + 8)
        metres = fitting(values.reshape(height, width), rgb)
    with naming(camera):
        matrix = np.fromfile(camera, "<f8", 9, offset=TAG_BYTES).reshape(3, 3)
    return with_camera(rgb, metres, metres > 0, matrix)


def _read_spring(picture: Path, disparity: Path, camera: Path, number: int) -> Case:
    try:
        import h5py
    except ImportError as error:
        raise ValueError("Spring's HDF5 files need h5py: pip install h5py") from error
    rgb = read_rgb(picture)
    with naming(disparity), h5py.File(disparity, "r") as file:
        pixels = fitting(np.asarray(file["disparity"], np.float32), rgb, scale=2)
    with naming(camera):
        f_px, fy_px, cx_px, cy_px = np.loadtxt(camera, ndmin=2)[number - 1]
    matrix = np.array([[f_px, 0, cx_px], [0, fy_px, cy_px], [0, 0, 1]])
    known = np.isfinite(pixels) & (pixels >= 0)
    return with_camera(rgb, depth_from_disparity(pixels, f_px, BASELINE_M), known, matrix)
