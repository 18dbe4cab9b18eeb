"""Booster and Middlebury: rooms and still lifes with disparity from structured light.

Booster (cvlab-unibo.github.io/booster-web). `ROOT` holds, as booster_gt.zip unpacks,

    train/balanced/Bathroom/camera_00/im0.png    the left camera's pictures, each lit differently
    train/balanced/Bathroom/disp_00.npy          disparity in pixels, 0 where unknown
    train/balanced/Bathroom/calib_00-02.xml      OpenCV's storage: proj_matL; baselineLR in mm

and more, which is not read. `read_calib_xml` of github.com/CVLAB-Unibo/Depth4ToM-code, by the same
authors, says what the calibration means.

Middlebury (vision.middlebury.edu/stereo). `ROOT` is `MiddEval3`, which MiddEval3-data-F.zip and
MiddEval3-GT0-F.zip unpack,

    trainingF/Adirondack/im0.png        the left picture
    trainingF/Adirondack/disp0GT.pfm    disparity in pixels, infinite where unknown
    trainingF/Adirondack/calib.txt      cam0=[f 0 cx; 0 f cy; 0 0 1], doffs, baseline in mm

or holds scenes of the 2014 set, `Adirondack-perfect`, where disparity is `disp0.pfm`. The site's
page of the 2014 set says what the calibration means.
"""

from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float, Shaped, UInt8
from numpy import ndarray
from PIL import Image

from depthpro.data.frames import naming, read_rgb
from depthpro.evaluation.readers.case import Benchmark, Case

RANGE_M = (0.001, 10.0)
M_IN_MM = 0.001
LAYOUTS = (("trainingF/*/", "disp0GT.pfm"), ("*-perfect/", "disp0.pfm"))
"""Scenes and the name of their disparity in the benchmark, and in the set of 2014."""


def booster(root: str | Path) -> Benchmark:
    """List the pictures of the left camera, all lights of all training scenes: 228.

    Occluded pixels count, as the left camera sees them.

    Raises:
        ValueError: If there are no pictures, or a scene lacks a file; from a case, if one of its
            files is broken.

    Source: FACTS 6.1. The paper says 228 pictures of this size; that they are the left ones of
    `balanced` is inferred, and how it treats occluded pixels is unknown.
    """
    folder = Path(root) / "train/balanced"
    cases = {}
    for scene in sorted(path for path in folder.glob("*") if path.is_dir()):
        disparity, calibration = _of(scene, "disp_00.npy"), _of(scene, "calib_00-02.xml")
        pictures = sorted(scene.glob("camera_00/[!.]*.png"))
        if not pictures:
            raise ValueError(f"{scene / 'camera_00/im0.png'} is missing: unpack it again")
        for path in pictures:
            read = partial(_read_booster, path, disparity, calibration)
            cases[f"{scene.name}/{path.stem}"] = read
    if not cases:
        raise ValueError(f"no scenes (Bathroom, ...) in {folder}: unpack booster_gt.zip in {root}")
    return Benchmark("Booster", cases, ("depth",), RANGE_M)


def middlebury(root: str | Path) -> Benchmark:
    """List the left pictures of the benchmark's training scenes at full size: 15.

    Or of the 2014 set, if there is no `trainingF`. Occluded pixels count, as the left camera sees
    them: `mask0nocc.png` is not used.

    Raises:
        ValueError: If there are no scenes, or one lacks a file; from a case, if one of its files is
            broken.

    Source: FACTS 6.1. The paper says 15 pictures; that they are these is inferred from the number.
    How it treats occluded pixels is unknown. The set does not say where its pixels have their
    centres: at integers here, as in OpenCV.
    """
    cases = {}
    for pattern, name in LAYOUTS:
        for scene in sorted(path for path in Path(root).glob(pattern) if path.is_dir()):
            files = (_of(scene, each) for each in ("im0.png", name, "calib.txt"))
            cases[scene.name] = partial(_read_middlebury, *files)
        if cases:
            return Benchmark("Middlebury", cases, ("depth", "cloud"), RANGE_M)
    raise ValueError(
        f"no scenes ({' or '.join(pattern for pattern, _ in LAYOUTS)}) in {root}: unpack "
        "MiddEval3-data-F.zip and MiddEval3-GT0-F.zip, and give the folder MiddEval3"
    )


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


def _of(scene: Path, name: str) -> Path:
    if not (scene / name).is_file():
        raise ValueError(f"{scene / name} is missing: unpack it again, or take {scene.name} away")
    return scene / name


def _read_booster(picture: Path, disparity: Path, calibration: Path) -> Case:
    rgb = read_rgb(picture)
    with naming(disparity), disparity.open("rb") as file:
        pixels = _fitting(np.lib.format.read_array(file), rgb)
    with naming(calibration):
        storage = ElementTree.parse(calibration).getroot()
        projection = np.array(_text(storage, "proj_matL/data").split(), float).reshape(3, 4)
        baseline_m = float(_text(storage, "baselineLR")) * M_IN_MM
    return _case(rgb, pixels, projection[:, :3], baseline_m)


def _text(storage: ElementTree.Element, name: str) -> str:
    text = storage.findtext(name)
    if text is None:
        raise KeyError(name)
    return text


def _read_middlebury(picture: Path, disparity: Path, calibration: Path) -> Case:
    rgb = read_rgb(picture)
    with naming(disparity), Image.open(disparity) as image:
        if image.mode != "F":
            raise ValueError(f"a grey PFM was expected, got {image.format} in {image.mode}")
        pixels = _fitting(np.array(image), rgb)
    with naming(calibration):
        lines = calibration.read_text().splitlines()
        values = dict(line.split("=", 1) for line in lines if "=" in line)
        rows = values["cam0"].strip("[] ").split(";")
        camera = np.array([row.split() for row in rows], float).reshape(3, 3)
        baseline_m, offset_px = float(values["baseline"]) * M_IN_MM, float(values["doffs"])
    return _case(rgb, pixels, camera, baseline_m, offset_px)


def _fitting(pixels: Shaped[ndarray, "..."], rgb: UInt8[ndarray, "h w 3"]) -> Float[ndarray, "h w"]:
    if pixels.shape != rgb.shape[:2]:
        raise ValueError(f"{rgb.shape[:2]} was expected, as its picture's, got {pixels.shape}")
    return pixels.astype(np.float32)


def _case(
    rgb: UInt8[ndarray, "h w 3"],
    disparity_px: Float[ndarray, "h w"],
    camera: Float[ndarray, "3 3"],
    baseline_m: float,
    offset_px: float = 0,
) -> Case:
    (f_px, _, cx_px), (_, fy_px, cy_px), _ = camera.tolist()
    depth = depth_from_disparity(disparity_px, f_px, baseline_m, offset_px)
    known = np.isfinite(depth)
    return Case(rgb, depth, known, f_px=f_px, fy_px=fy_px, cx_px=cx_px, cy_px=cy_px)
