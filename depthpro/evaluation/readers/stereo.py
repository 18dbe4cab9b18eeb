"""Booster and Middlebury: rooms and still lifes with disparity from structured light.

Booster (cvlab-unibo.github.io/booster-web). `ROOT` holds, as booster_gt.zip unpacks,

    train/balanced/Bathroom/camera_00/im0.png    the left camera's pictures, each lit differently
    train/balanced/Bathroom/disp_00.npy          disparity in pixels, 0 where unknown
    train/balanced/Bathroom/calib_00-02.xml      OpenCV's storage: proj_matL; baselineLR in mm

and more, which is not read. `read_calib_xml` of github.com/CVLAB-Unibo/Depth4ToM-code, by the same
authors, documents the calibration.

Middlebury (vision.middlebury.edu/stereo). `ROOT` is `MiddEval3`, which MiddEval3-data-F.zip and
MiddEval3-GT0-F.zip unpack,

    trainingF/Adirondack/im0.png        the left picture
    trainingF/Adirondack/disp0GT.pfm    disparity in pixels, infinite where unknown
    trainingF/Adirondack/calib.txt      cam0=[f 0 cx; 0 f cy; 0 0 1], doffs, baseline in mm

The site's page of the 2014 set documents the calibration.
"""

from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from PIL import Image

from depthpro.data.frames import naming, read_rgb
from depthpro.evaluation.readers.case import Benchmark, Case, existing, fitting, listed, with_camera

RANGE_M = (0.001, 10.0)
M_IN_MM = 0.001


def booster(root: str | Path) -> Benchmark:
    """List the pictures of the left camera, all lights of all training scenes: 228.

    Occluded pixels count, as the left camera sees them.

    Raises:
        ValueError: If files are missing; from a case, if one is broken.

    Source: FACTS 6.1. The paper has 228 pictures of this size; that they are the left ones of
    `balanced` is inferred, and how it treats occluded pixels is unknown.
    """
    cases = {}
    for picture in sorted(Path(root).glob("train/balanced/*/camera_00/[!.]*.png")):
        scene = picture.parents[1]
        files = [existing(scene / name) for name in ("disp_00.npy", "calib_00-02.xml")]
        cases[f"{scene.name}/{picture.stem}"] = partial(_read_booster, picture, *files)
    return listed(Benchmark("Booster", cases, ("depth",), RANGE_M), root, "booster_gt.zip")


def middlebury(root: str | Path) -> Benchmark:
    """List the left pictures of the benchmark's training scenes at full size: 15.

    Occluded pixels count, as the left camera sees them: `mask0nocc.png` is not used.

    Raises:
        ValueError: If files are missing; from a case, if one is broken.

    Source: FACTS 6.1. The paper has 15 pictures; that they are these is inferred from the number.
    How it treats occluded pixels is unknown. The set does not tell where its pixels have their
    centres: at integers here, as in OpenCV.
    """
    cases = {}
    for picture in sorted(Path(root).glob("trainingF/*/im0.png")):
        scene = picture.parent
        files = [existing(scene / name) for name in ("disp0GT.pfm", "calib.txt")]
        cases[scene.name] = partial(_read_middlebury, picture, *files)
    benchmark = Benchmark("Middlebury", cases, ("depth", "cloud"), RANGE_M)
    return listed(benchmark, root, "MiddEval3-data-F.zip and MiddEval3-GT0-F.zip")


def depth_from_disparity(
    disparity_px: Float[ndarray, "h w"], f_px: float, baseline_m: float, offset_px: float = 0
) -> Float[ndarray, "h w"]:
    """Return depth in metres, infinite where disparity is 0, negative or not finite.

    Args:
        disparity_px: Column of a point in the left picture less that in the right one.
        f_px: Focal length of both cameras.
        baseline_m: Distance between them.
        offset_px: Column of the right camera's axis less that of the left one's.
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
        projection = np.array(numbers, float).reshape(3, 4)
        baseline_m = float(storage.findtext("baselineLR", "")) * M_IN_MM
    depth = depth_from_disparity(pixels, projection[0, 0], baseline_m)
    return with_camera(rgb, depth, np.isfinite(depth), projection[:, :3])


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
