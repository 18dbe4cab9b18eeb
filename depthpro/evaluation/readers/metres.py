"""ETH3D and Sintel: depth in metres along the optical axis, in files of raw float32 values.

ETH3D, high-resolution multi-view (eth3d.net/documentation): photos of laser-scanned places. MPI
Sintel (sintel.is.tue.mpg.de): frames of a rendered film, read as in sintel_io.py, which comes with
the depth.
"""

from pathlib import Path

import numpy as np

from depthpro.data.frames import fitting, naming, read_rgb
from depthpro.evaluation.readers.case import Benchmark, Case, find_cases, with_camera
from depthpro.image import read_focal_px

TAG_BYTES = 4  # before the content of Sintel's binary files


def eth3d(root: str | Path) -> Benchmark:
    """List the photos of all thirteen training scenes, 454 of 6048 x 4032 pixels.

    Depth is infinite where unknown. A photo is read as it is stored, without its orientation tag,
    because its depth is stored so. As in the paper, its focal length is the one in its metadata.
    Its principal point is unknown; its distortion is not used: no measure takes a distorted camera.

    Source: Appendix C.6.
    """
    files = (
        "{scene}/images/dslr_images/{photo}.JPG",  # as the camera made it, distorted
        "{scene}/ground_truth_depth/dslr_images/{photo}.JPG",  # no JPEG: rows of float32
    )
    archives = "*_dslr_jpg.7z and *_dslr_depth.7z"
    cases = find_cases(root, "{scene}/{photo}", files, _read_eth3d, archives)
    return Benchmark("ETH3D", cases, ("depth", "cloud"), (0.1, 200.0))


def sintel(root: str | Path) -> Benchmark:
    """List the frames of all training scenes in the pass "final", 1064 of 23 scenes.

    "final" is the film as it was shown, with blur and mist, which "clean" lacks. No file marks the
    sky: its depth is finite and far beyond the range. Pixels have their centres at integers: the
    principal point is (511.5, 217.5).

    Source: Appendix C.6. The paper has 1064 pictures, as many as each pass has, and no pass.
    """
    files = (
        "training/final/{scene}/{frame}.png",  # 1024 x 436
        "training/depth/{scene}/{frame}.dpt",  # tag; width and height, int32; metres, float32
        "training/camdata_left/{scene}/{frame}.cam",  # tag; camera matrix, 3 x 3 float64; pose
    )
    archives = "MPI-Sintel-training_images.zip and MPI-Sintel-depth-training-20150305.zip"
    cases = find_cases(root, "{scene}/{frame}", files, _read_sintel, archives)
    return Benchmark("Sintel", cases, ("depth", "cloud", "boundary"), (0.01, 80.0))


def _read_eth3d(photo: Path, dump: Path) -> Case:
    rgb = read_rgb(photo)
    with naming(dump):
        depth = np.fromfile(dump, "<f4").reshape(rgb.shape[:2])
    known = np.isfinite(depth) & (depth > 0)
    depth[~known] = np.inf
    return Case(rgb, depth, known, f_px=read_focal_px(photo))


def _read_sintel(picture: Path, depth: Path, camera: Path) -> Case:
    rgb = read_rgb(picture)
    with naming(depth):
        width, height = np.fromfile(depth, "<i4", 2, offset=TAG_BYTES).tolist()
        values = np.fromfile(depth, "<f4", offset=TAG_BYTES + 8)
        metres = fitting(values.reshape(height, width), rgb)
    with naming(camera):
        matrix = np.fromfile(camera, "<f8", 9, offset=TAG_BYTES).reshape(3, 3)
    return with_camera(rgb, metres, metres > 0, matrix)
