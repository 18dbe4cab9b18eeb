"""SUN RGB-D and iBims-1: rooms with depth from four kinds of depth cameras, or from a scanner.

SUN RGB-D (rgbd.cs.princeton.edu). `ROOT` holds, as SUNRGBD.zip and SUNRGBDtoolbox.zip unpack,

    SUNRGBD/kv1/NYUdata/NYU0001/
        image/*.jpg                       a scene's picture; kv2, realsense and xtion are alike
        depth/*.png                       16 bits: millimetres, their bits rotated left by 3
        intrinsics.txt                    the nine numbers of the camera matrix
    SUNRGBDtoolbox/traintestSUNRGBD/
        allsplit.mat                      the folders of the test scenes, `alltest`

The toolbox's `read3dPoints.m` and `read_3d_pts_general.m` document them. iBims-1
(doi.org/10.14459/2018mp1455541) is documented by the authors' evaluate_ibims.py and
evaluate_ibims_error_metrics.py. Pixels of both sets count from 1, as in MATLAB.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy import ndarray
from scipy.io import loadmat

from depthpro.data.frames import existing, fitting, naming, read_rgb, read_steps
from depthpro.evaluation.readers.case import Benchmark, Case, find_cases, with_camera

SPLIT = "SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat"
FROM_MATLAB = np.array([[0, 0, 1], [0, 0, 1], [0, 0, 0]])  # pixels count from 0 here


def sunrgbd(root: str | Path) -> Benchmark:
    """List the official test scenes, 5050.

    Depth is the camera's measurement, `depth`, with its holes: `depth_bfx` fills them by smoothing,
    which is no ground truth. The toolbox cuts depth off at 8 m; this reader does not. A case's
    family is its camera: kv1 and kv2 (Kinect), realsense or xtion.

    Raises:
        ValueError: If files are missing.

    Source: Appendix C.6. The paper names neither the split nor which depth; its 5050 samples are as
    many as the official test split has. It gives 530 x 730 for all, which only scenes of kv2 have
    here: it may have used a copy of the set with resized pictures.
    """
    root, cases = Path(root), {}
    split = existing(root / SPLIT, "SUNRGBDtoolbox.zip")
    with naming(split):  # it has the folders as on the authors' own machine, with doubled slashes
        cells = loadmat(split, variable_names="alltest")["alltest"].ravel()
        folders = [str(cell[0]).partition("/SUNRGBD/")[2].strip("/") for cell in cells]
    for scene in sorted(Path(folder).as_posix() for folder in folders):
        folder = root / "SUNRGBD" / scene
        files = [_only(folder, name) for name in ("image/*.jpg", "depth/*.png", "intrinsics.txt")]
        cases[scene] = partial(_read_scene, scene.partition("/")[0], *files)
    return Benchmark("Sun-RGBD", cases, ("depth", "cloud"), (0.001, 10.0))


def ibims(root: str | Path) -> Benchmark:
    """List the pictures, 100.

    As the authors do, pixels that are marked invalid or transparent, or have no depth, are unknown.

    Source: Table 6.
    """
    files = ("ibims1_core_mat/{picture}.mat",)  # a struct `data` with all of a picture
    cases = find_cases(root, "{picture}", files, _read_ibims, "ibims1_core_mat.zip")
    return Benchmark("iBims", cases, ("depth", "boundary", "ibims"), (0.1, 10.0))


def _only(folder: Path, pattern: str) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise ValueError(
            f"one {folder / pattern} was expected, got {len(found)}: unpack SUNRGBD.zip again"
        )
    return found[0]


def _read_scene(family: str, picture: Path, depth: Path, camera: Path) -> Case:
    rgb = read_rgb(picture)
    rotated = read_steps(depth, like=rgb)
    steps = rotated >> 3 | rotated << 13
    with naming(camera):
        matrix = np.array(camera.read_text().split(), float).reshape(3, 3)
    metres = steps * np.float32(0.001)
    return with_camera(rgb, metres, steps > 0, matrix - FROM_MATLAB, family)


def _read_ibims(path: Path) -> Case:
    with naming(path):
        data = loadmat(path, variable_names="data")["data"][0, 0]  # by the names of its fields
        rgb, matrix = data["rgb"], data["calib"].T  # stored transposed
        names = ("depth", "edges", "mask_invalid", "mask_transp")
        depth, edges, valid, opaque = (fitting(data[name], rgb) for name in names)
        # Whatever their names, the masks are 1 where a pixel is valid, and where it is opaque.
        known = (valid > 0) & (opaque > 0) & (depth > 0)
        case = with_camera(rgb, depth, known, matrix - FROM_MATLAB)
        return replace(case, edges=edges > 0, planes=_planes(data))


def _planes(data: Any) -> Bool[ndarray, "p h w"]:
    """Return a mask for each plane; the k-th of a kind is where its map is k, from 1 on."""
    masks = []
    for kind in ("mask_wall", "mask_floor", "mask_table"):
        labels = fitting(data[kind], data["rgb"])
        masks += [labels == k + 1 for k in range(len(data[f"{kind}_paras"]))]
    return np.array(masks, bool).reshape(-1, *data["depth"].shape)
