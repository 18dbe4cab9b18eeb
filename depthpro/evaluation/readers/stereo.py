"""Booster, Middlebury and Spring: disparity, from structured light or rendered.

Booster (cvlab-unibo.github.io/booster-web) documents its calibration by `read_calib_xml` of
github.com/CVLAB-Unibo/Depth4ToM-code; Middlebury (vision.middlebury.edu/stereo) on its page of the
2014 set; Spring (spring-benchmark.org), the frames of a rendered film, by pointcloud.py of the
authors' github.com/cv-stuttgart/spring_utils.
"""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from PIL import Image

from depthpro.data.frames import fitting, naming, read_rgb
from depthpro.evaluation.readers.case import Benchmark, Case, find_cases, with_camera

RANGE_M = (0.001, 10.0)
M_IN_MM = 0.001
SPRING_BASELINE_M = 0.065


def booster(root: str | Path) -> Benchmark:
    """List the left camera's pictures: all lights of all training scenes, 228.

    Occluded pixels count, as the left camera sees them.

    Source: Appendix C.6. The paper has 228 pictures of this size; that they are the left ones of
    `balanced` is inferred, and how it treats occluded pixels is unknown.
    """
    files = (
        "train/balanced/{scene}/camera_00/{picture}.png",  # the left camera's, lit differently
        "train/balanced/{scene}/disp_00.npy",  # pixels, 0 where unknown
        "train/balanced/{scene}/calib_00-02.xml",  # of OpenCV: proj_matL; baselineLR in mm
    )
    cases = find_cases(root, "{scene}/{picture}", files, _read_booster, "booster_gt.zip")
    return Benchmark("Booster", cases, ("depth",), RANGE_M)


def middlebury(root: str | Path) -> Benchmark:
    """List the left pictures of the benchmark's training scenes at full size, 15.

    Occluded pixels count, as the left camera sees them: `mask0nocc.png` is not used.

    Source: Appendix C.6. The paper has 15 pictures; that they are these is inferred from the
    number. How it treats occluded pixels is unknown. The set does not say where its pixels have
    their centres: at integers here, as in OpenCV.
    """
    files = (
        "trainingF/{scene}/im0.png",
        "trainingF/{scene}/disp0GT.pfm",  # pixels, infinite where unknown
        "trainingF/{scene}/calib.txt",  # cam0=[f 0 cx; 0 f cy; 0 0 1], doffs, baseline in mm
    )
    archives = "MiddEval3-data-F.zip and MiddEval3-GT0-F.zip into MiddEval3"
    cases = find_cases(root, "{scene}", files, _read_middlebury, archives)
    return Benchmark("Middlebury", cases, ("depth", "cloud"), RANGE_M)


def spring(root: str | Path) -> Benchmark:
    """List the left frames of all training scenes, 5000 of 37 scenes, in the folder `spring`.

    Disparity has twice the picture's rows and columns, 3840 x 2160, but its values are in pixels
    of the picture, 1920 x 1080, like the focal length, as the set's page says. Depth keeps that
    larger size, and predictions are resized to it. Where disparity is 0, depth is infinite, which
    is sky; where it is NaN, depth is unknown. The set's sky maps are not used: sky and very
    distant surfaces make the same contours.

    Source: Table 2. The paper's choice of frames and of their size is unknown.
    """
    files = (
        "train/{scene}/frame_left/frame_left_{number}.png",
        "train/{scene}/disp1_left/disp1_left_{number}.dsp5",  # HDF5: `disparity`
        "train/{scene}/cam_data/intrinsics.txt",  # a row for each frame: fx fy cx cy
    )
    archives = "train_frame_left.zip, train_disp1_left.zip and train_cam_data.zip"
    cases = find_cases(root, "{scene}/frame_left_{number}", files, _read_spring, archives)
    return Benchmark("Spring", cases, ("boundary",))


def depth_from_disparity(
    disparity_px: Float[ndarray, "h w"], f_px: float, baseline_m: float, offset_px: float = 0
) -> Float[ndarray, "h w"]:
    """Return depth in metres, infinite where disparity is 0, negative or not finite.

    Disparity is the column of a point in the left picture less that in the right one; `offset_px`
    is the column of the right camera's axis less that of the left one's.
    """
    known = np.isfinite(disparity_px) & (disparity_px > 0)
    depth = np.full(disparity_px.shape, np.inf, np.float32)
    depth[known] = f_px * baseline_m / (disparity_px[known] + offset_px)
    return depth


def _read_booster(picture: Path, disparity: Path, calibration: Path) -> Case:
    rgb = read_rgb(picture)
    with naming(disparity):
        pixels = fitting(np.load(disparity), rgb)
    with naming(calibration):
        storage = ElementTree.parse(calibration)
        numbers = storage.findtext("proj_matL/data", "").split()
        camera = np.array(numbers, float).reshape(3, 4)[:, :3]
        baseline_m = float(storage.findtext("baselineLR", "")) * M_IN_MM
    depth = depth_from_disparity(pixels, camera[0, 0], baseline_m)
    return with_camera(rgb, depth, np.isfinite(depth), camera)


def _read_middlebury(picture: Path, disparity: Path, calibration: Path) -> Case:
    rgb = read_rgb(picture)
    with naming(disparity), Image.open(disparity) as image:
        pixels = fitting(np.array(image), rgb)
    with naming(calibration):
        lines = calibration.read_text().splitlines()
        values = dict(line.split("=", 1) for line in lines if "=" in line)
        rows = values["cam0"].strip("[] ").split(";")
        camera = np.array([row.split() for row in rows], float).reshape(3, 3)
        baseline_m, offset_px = float(values["baseline"]) * M_IN_MM, float(values["doffs"])
    depth = depth_from_disparity(pixels, camera[0, 0], baseline_m, offset_px)
    return with_camera(rgb, depth, np.isfinite(depth), camera)


def _read_spring(picture: Path, disparity: Path, camera: Path) -> Case:
    try:
        import h5py
    except ImportError as error:
        raise ValueError("Spring's HDF5 files need h5py: pip install h5py") from error
    rgb = read_rgb(picture)
    with naming(disparity), h5py.File(disparity, "r") as file:
        pixels = fitting(np.asarray(file["disparity"], np.float32), rgb, scale=2)
    with naming(camera):
        number = int(picture.stem.rpartition("_")[2])
        f_px, fy_px, cx_px, cy_px = np.loadtxt(camera, ndmin=2)[number - 1]
    matrix = np.array([[f_px, 0, cx_px], [0, fy_px, cy_px], [0, 0, 1]])
    known = np.isfinite(pixels) & (pixels >= 0)
    return with_camera(rgb, depth_from_disparity(pixels, f_px, SPRING_BASELINE_M), known, matrix)
