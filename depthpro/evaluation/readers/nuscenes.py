"""nuScenes: streets, seen by a car's camera and lidar.

`ROOT` holds, as the authors' archives unpack,

    v1.0-mini/*.json              a version's tables, whose rows refer to each other by tokens
    samples/CAM_FRONT/*.jpg       key frames of the front camera, 1600 x 900, undistorted
    samples/LIDAR_TOP/*.pcd.bin   points, five float32 each: x, y, z in metres, intensity, ring

docs/schema_nuscenes.md of github.com/nutonomy/nuscenes-devkit describes the tables.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial.transform import Rotation

from depthpro.data.frames import existing, naming, read_rgb
from depthpro.evaluation.readers.case import Benchmark, Case, with_camera

CAMERA, LIDAR = "CAM_FRONT", "LIDAR_TOP"
NEAR_M = 1.0  # nearer points are left out, as in the devkit: they may be of the camera's own casing

Matrix = Float[ndarray, "_ _"]


def nuscenes(root: str | Path) -> Benchmark:
    """List the key frames of the front camera, all of one version.

    The paper measures 881 without naming them; v1.0-mini has 404, v1.0-trainval 34149. `root` is
    the folder that holds a version's, or the version's own where there are several.

    Depth is that of the same sample's lidar points, at the pixels whose centres they are nearest
    to; the nearest point where there are several. The lidar stands higher than the camera, so it
    also hits some surfaces that are hidden from the camera: their points stay. Which frames and
    points is this project's choice.

    Raises:
        ValueError: If there is not one version, a table is broken, or files are missing.
    """
    root, table = Path(root), "sample_data.json"
    versions = [path.parent for path in sorted(root.glob(table)) or sorted(root.glob(f"*/{table}"))]
    if len(versions) != 1:
        raise ValueError(
            f"one folder of tables was expected in {root}, such as v1.0-mini, got "
            f"{[path.name for path in versions]}: unpack one, or give the folder of one of them"
        )
    (tables,) = versions
    with naming(tables):
        frames = _read_key_frames(tables)
    cases = {}
    for picture, (cloud, intrinsics, to_camera) in sorted(frames.items()):
        files = existing(tables.parent / picture), existing(tables.parent / cloud)
        name = Path(picture).with_suffix("").as_posix()
        cases[name] = partial(_read_case, *files, intrinsics, to_camera)
    return Benchmark("nuScenes", cases, ("depth", "cloud"), (0.001, 80.0))


def _read_key_frames(tables: Path) -> dict[str, tuple[str, Matrix, Matrix]]:
    """Return cloud, camera matrix and transform from lidar to camera by the name of the picture."""
    data = _read_table(tables, "sample_data").query("is_key_frame")
    data = data.join(_read_table(tables, "calibrated_sensor"), on="calibrated_sensor_token")
    data = data.join(_read_table(tables, "sensor")["channel"], on="sensor_token")
    data = data.query("channel in (@CAMERA, @LIDAR)")
    data = data.join(_read_table(tables, "ego_pose").add_suffix("_car"), on="ego_pose_token")
    frames = {}
    for _, pair in data.set_index("channel").groupby("sample_token"):
        camera, lidar = pair.loc[CAMERA], pair.loc[LIDAR]
        intrinsics = np.array(camera["camera_intrinsic"], float)
        to_camera = np.linalg.inv(_to_map(camera)) @ _to_map(lidar)
        frames[camera["filename"]] = lidar["filename"], intrinsics, to_camera
    return frames


def _read_table(tables: Path, name: str) -> pd.DataFrame:
    with naming(tables / f"{name}.json"):
        return pd.DataFrame(json.loads((tables / f"{name}.json").read_bytes())).set_index("token")


def _to_map(row: Any) -> Matrix:
    """Return the transform from a sensor's frame to the map's, by way of the car's."""
    sensor, car = np.eye(4), np.eye(4)
    for pose, suffix in (sensor, ""), (car, "_car"):
        w, x, y, z = row[f"rotation{suffix}"]
        pose[:3, :3] = Rotation.from_quat([x, y, z, w]).as_matrix()
        pose[:3, 3] = row[f"translation{suffix}"]
    return car @ sensor


def _read_case(picture: Path, cloud: Path, intrinsics: Matrix, to_camera: Matrix) -> Case:
    rgb = read_rgb(picture)
    with naming(cloud):
        points = np.fromfile(cloud, "<f4").reshape(-1, 5)[:, :3]
    points = points @ to_camera[:3, :3].T + to_camera[:3, 3]
    points = points[points[:, 2] >= NEAR_M] @ intrinsics.T  # column and row times depth, depth
    place = np.rint(points[:, 1::-1] / points[:, 2:]).astype(int)
    inside = ((place >= 0) & (place < rgb.shape[:2])).all(axis=1)
    depth = np.full(rgb.shape[:2], np.inf, np.float32)
    np.minimum.at(depth, tuple(place[inside].T), points[inside, 2].astype(np.float32))
    return with_camera(rgb, depth, np.isfinite(depth), intrinsics)
