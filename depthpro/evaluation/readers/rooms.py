"""Rooms with measured depth: SUN RGB-D from four kinds of depth cameras, iBims-1 from a scanner.

SUN RGB-D (rgbd.cs.princeton.edu). `ROOT` holds, as SUNRGBD.zip and SUNRGBDtoolbox.zip unpack,

    SUNRGBD/kv1/NYUdata/NYU0001/
        image/*.jpg                       a scene's picture; kv2, realsense and xtion are alike
        depth/*.png                       16 bits: millimetres, their bits turned left by 3
        intrinsics.txt                    the nine numbers of the camera matrix
    SUNRGBDtoolbox/traintestSUNRGBD/
        allsplit.mat                      the folders of the test scenes, `alltest`

The toolbox's `read3dPoints.m` and `read_3d_pts_general.m` say what they mean.

iBims-1 (doi.org/10.14459/2018mp1455541). `ROOT` holds, with ibims1_core_mat.zip unpacked,

    imagelist.txt                         the names, one a line
    ibims1_core_mat/corridor_01.mat       a struct `data` with all that there is of a picture

The authors' evaluate_ibims.py and evaluate_ibims_error_metrics.py say what they mean. Pixels of
both sets count from 1, as in MATLAB.
"""

import zlib
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy import ndarray
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from depthpro.data.frames import naming, read_rgb, read_steps
from depthpro.evaluation.readers.case import Benchmark, Case, IbimsTruth, warn

SUNRGBD_RANGE_M = (0.001, 10.0)
IBIMS_RANGE_M = (0.1, 10.0)
SPLIT = "SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat"
MAPS = ("depth", "edges", "mask_invalid", "mask_transp", "mask_wall", "mask_table", "mask_floor")
"""What `data` has besides `rgb`, `calib` and the planes' equations, all of the picture's size."""


def sunrgbd(root: str | Path) -> Benchmark:
    """List the official test scenes, 5050; without the toolbox all 10335, and stderr says so.

    Depth is what the camera measured, from `depth`, with its holes: in `depth_bfx` smoothing has
    filled them, and its guesses are no truth. The toolbox cuts depth off at 8 m; here it stays. A
    case's family is its camera: kv1 and kv2 (Kinect), realsense or xtion.

    Raises:
        ValueError: If there are no scenes, or one lacks a file; from a case, if a file is broken.

    Source: FACTS 6.1. The paper names neither the split nor which depth; its 5050 samples are as
    many as the official test split has. It says 530 x 730 for all, which only scenes of kv2 have
    here: it may have used a copy of the set that others made, with all pictures resized.
    """
    root = Path(root)
    scenes = _read_split(root / SPLIT) if (root / SPLIT).exists() else _find_scenes(root)
    cases = {
        scene: partial(_read_scene, scene.partition("/")[0], *_scene_files(root, scene))
        for scene in scenes
    }
    return Benchmark("Sun-RGBD", cases, ("depth", "cloud"), SUNRGBD_RANGE_M)


def ibims(root: str | Path) -> Benchmark:
    """List the pictures of `imagelist.txt`, 100; without it all there are.

    As the authors do, pixels that are marked invalid or transparent, or have no depth, are
    unknown. The list may lie in `ibims1_core_mat` as well.

    Raises:
        ValueError: If there are no pictures or one is missing; from a case, if its file is broken.

    Source: FACTS 5.5, 6.1.
    """
    folder = Path(root) / "ibims1_core_mat"
    paths = sorted(folder.glob("[!.]*.mat"))
    if not paths:
        raise ValueError(f"no pictures (*.mat) in {folder}: unpack ibims1_core_mat.zip there")
    for listing in (Path(root) / "imagelist.txt", folder / "imagelist.txt"):
        if listing.exists():
            with naming(listing):
                paths = [folder / f"{name}.mat" for name in listing.read_text().split()]
            break
    for path in paths:
        if not path.is_file():
            raise ValueError(f"{path} is missing: unpack ibims1_core_mat.zip again")
    cases = {path.stem: partial(_read_picture, path) for path in paths}
    return Benchmark("iBims", cases, ("depth", "boundary", "ibims"), IBIMS_RANGE_M)


def _read_split(path: Path) -> list[str]:
    """Return the test scenes' folders; the file has them as on the authors' own machine."""
    with naming(path):
        folders = [str(cell[0]) for cell in _read_mat(path, "alltest").ravel()]
        scenes = [folder.partition("/SUNRGBD/")[2].strip("/") for folder in folders]
        if not all(scenes):
            wrong = folders[scenes.index("")]
            raise ValueError(f"folders such as /n/.../SUNRGBD/kv1/... were expected, got {wrong!r}")
    return sorted(PurePosixPath(scene).as_posix() for scene in scenes)  # without doubled slashes


def _find_scenes(root: Path) -> list[str]:
    base = root / "SUNRGBD"
    scenes = sorted(path.parent.relative_to(base).as_posix() for path in base.rglob("image"))
    if not scenes:
        raise ValueError(f"no scenes (**/image/*.jpg) in {base}: unpack SUNRGBD.zip in {root}")
    warn(
        f"{root / SPLIT} is missing: took all {len(scenes)} scenes, for training and for testing; "
        f"unpack SUNRGBDtoolbox.zip in {root} for the test scenes alone"
    )
    return scenes


def _scene_files(root: Path, scene: str) -> list[Path]:
    """Return picture, depth and camera of a scene."""
    folder = root / "SUNRGBD" / scene
    files = []
    for pattern in ("image/*.jpg", "depth/*.png", "intrinsics.txt"):
        found = list(folder.glob(pattern))
        if len(found) != 1:
            raise ValueError(
                f"one {folder / pattern} was expected, got {len(found)}: unpack SUNRGBD.zip again"
            )
        files += found
    return files


def _read_scene(family: str, picture: Path, depth: Path, camera: Path) -> Case:
    rgb = read_rgb(picture)
    turned = read_steps(depth, like=rgb)
    steps = turned >> 3 | turned << 13  # the 3 bits that leave on one side come in on the other
    with naming(camera):
        matrix = np.array(camera.read_text().split(), float).reshape(3, 3)
    return Case(
        rgb=rgb,
        depth=np.where(steps > 0, steps * np.float32(0.001), np.float32(np.inf)),
        mask=steps > 0,
        f_px=float(matrix[0, 0]),
        fy_px=float(matrix[1, 1]),
        cx_px=float(matrix[0, 2]) - 1,
        cy_px=float(matrix[1, 2]) - 1,
        family=family,
    )


def _read_picture(path: Path) -> Case:
    with naming(path):
        data = _read_mat(path, "data")
        rgb, calib = data["rgb"], data["calib"]
        shapes = {name: data[name].shape for name in MAPS}
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or set(shapes.values()) != {rgb.shape[:2]}:
            raise ValueError(f"an 8-bit picture was expected, {rgb.shape}, and maps, got {shapes}")
        if calib.shape != (3, 3) or not np.array_equal(calib[:, 2], [0, 0, 1]):
            raise ValueError(f"a transposed camera matrix was expected as calib, got {calib}")
        planes = _planes(data)
    depth = data["depth"].astype(np.float32)
    # Whatever their names, the masks are 1 where a pixel is valid, and where it is not transparent.
    known = (data["mask_invalid"] > 0) & (data["mask_transp"] > 0) & (depth > 0)
    return Case(
        rgb=rgb,
        depth=np.where(known, depth, np.float32(np.inf)),
        mask=known,
        f_px=float(calib[0, 0]),
        fy_px=float(calib[1, 1]),
        cx_px=float(calib[2, 0]) - 1,
        cy_px=float(calib[2, 1]) - 1,
        ibims=IbimsTruth(data["edges"] > 0, planes),
    )


def _planes(data: Any) -> Bool[ndarray, "p h w"]:
    """Return a mask for each plane; the k-th of a kind is where its map is k, from 1 on."""
    masks = []
    for kind in ("mask_wall", "mask_floor", "mask_table"):
        masks += [data[kind] == k + 1 for k in range(len(data[f"{kind}_paras"]))]
    return np.array(masks, bool).reshape(-1, *data["depth"].shape)


def _read_mat(path: Path, name: str) -> Any:
    """Return a variable of a MATLAB file; of a struct, what gives its fields."""
    try:
        values = loadmat(path, variable_names=[name])[name]
    except (MatReadError, NotImplementedError, zlib.error) as error:
        raise ValueError(error) from error
    return values[0, 0] if values.dtype.names else values
