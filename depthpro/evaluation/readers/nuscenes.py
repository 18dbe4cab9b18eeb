"""nuScenes: streets, seen by a car's camera and lidar.

`ROOT` holds, as the authors' archives unpack,

    v1.0-mini/*.json              a version's tables, whose rows name each other by tokens
    samples/CAM_FRONT/*.jpg       key frames of the front camera, 1600 x 900, undistorted
    samples/LIDAR_TOP/*.pcd.bin   points, five float32 each: x, y, z in metres, intensity, ring

and more, which is not read. The tables are described in docs/schema_nuscenes.md of
github.com/nutonomy/nuscenes-devkit.
"""

import json
import mmap
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial.transform import Rotation

from depthpro.data.frames import naming, read_rgb
from depthpro.evaluation.readers.case import Benchmark, Case

RANGE_M = (0.001, 80.0)
CAMERA, LIDAR = "CAM_FRONT", "LIDAR_TOP"
NEAR_M = 1.0
"""Points with less depth are left out, as in the devkit: they may be of the camera's own casing."""

Row = dict[str, Any]


class _Sensor(NamedTuple):
    channel: str
    to_car: Float[ndarray, "4 4"]
    intrinsics: list[list[float]]


class _Frame(NamedTuple):
    file: str
    sensor: _Sensor
    car: str
    """Token of the car's pose when the sensor fired."""


def nuscenes(root: str | Path, version: str | None = None) -> Benchmark:
    """List the key frames of the front camera, all that a version has.

    The paper measures 881 and does not say which; v1.0-mini has 404, v1.0-trainval 34149.

    Depth is from the lidar's points of the same sample, at the pixels whose centres they are
    nearest to; the nearest point where there are several. The lidar stands higher than the camera,
    so some points are hidden from the camera by what no point of the lidar lies on: they stay.

    Args:
        root: The folder that holds the version's, or the version's own.
        version: Such as "v1.0-mini"; None where there is only one.

    Raises:
        ValueError: If there is no such version or several to choose from, or a table or file is
            missing or broken; from a case, if one of its files is broken.

    Source: FACTS 6.1; which frames and points is this project's choice.
    """
    root = Path(root)
    if version is None and (root / "sample_data.json").is_file():
        root, version = root.parent, root.name
    folder = _find_version(root, version)
    samples = _read_samples(folder)
    cars = _read_cars(folder, {frame.car for pair in samples.values() for frame in pair.values()})
    cases = {}
    for token, pair in samples.items():
        with naming(f"sample {token} of {folder}"):
            camera, lidar = pair[CAMERA], pair[LIDAR]
            to_map = cars[lidar.car] @ lidar.sensor.to_car
            to_camera = np.linalg.inv(cars[camera.car] @ camera.sensor.to_car) @ to_map
        for path in (root / camera.file, root / lidar.file):
            if not path.is_file():
                raise ValueError(f"{path} is missing: unpack nuScenes again")
        name = Path(camera.file).with_suffix("").as_posix()
        cases[name] = partial(
            _read_case, root / camera.file, root / lidar.file, camera.sensor.intrinsics, to_camera
        )
    return Benchmark("nuScenes", dict(sorted(cases.items())), ("depth", "cloud"), RANGE_M)


def _find_version(root: Path, version: str | None) -> Path:
    found = sorted(path.parent.name for path in root.glob("*/sample_data.json"))
    if version is None and len(found) == 1:
        return root / found[0]
    if version is None or version not in found:
        raise ValueError(
            f"one version's tables (such as {root / 'v1.0-mini/sample_data.json'}) were expected, "
            f"got {version!r} of {found}: unpack it there, or name one of several"
        )
    return root / version


def _read_samples(folder: Path) -> dict[str, dict[str, _Frame]]:
    """Return the key frames of camera and lidar by sample and channel."""
    channels, sensors = {}, {}
    with naming(folder / "sample.json"):
        rows = _read_rows(folder / "sample.json")
        samples: dict[str, dict[str, _Frame]] = {row["token"]: {} for row in rows}
    with naming(folder / "sensor.json"):
        for row in _read_rows(folder / "sensor.json"):
            if row["channel"] in (CAMERA, LIDAR):
                channels[row["token"]] = row["channel"]
    with naming(folder / "calibrated_sensor.json"):
        for row in _read_rows(folder / "calibrated_sensor.json"):
            if row["sensor_token"] in channels:
                channel = channels[row["sensor_token"]]
                sensors[row["token"]] = _Sensor(channel, _pose(row), row["camera_intrinsic"])
    with naming(folder / "sample_data.json"):
        for row in _read_rows(folder / "sample_data.json"):
            sensor = sensors.get(row["calibrated_sensor_token"])
            if row["is_key_frame"] and sensor is not None:
                frame = _Frame(row["filename"], sensor, row["ego_pose_token"])
                samples[row["sample_token"]][sensor.channel] = frame
    return samples


def _read_cars(folder: Path, tokens: set[str]) -> dict[str, Float[ndarray, "4 4"]]:
    """Return the car's pose on the map by token."""
    with naming(folder / "ego_pose.json"):
        rows = _read_rows(folder / "ego_pose.json")
        return {row["token"]: _pose(row) for row in rows if row["token"] in tokens}


def _read_rows(path: Path) -> Iterator[Row]:
    """Give a table's rows one at a time: the largest tables have 2.6 million.

    A table is a JSON list of objects with no objects in them.
    """
    with path.open("rb") as file:
        text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if not text[-100:].rstrip().endswith(b"]"):
        raise ValueError("its end is missing")
    for match in re.finditer(rb"\{[^{}]*\}", text):
        yield json.loads(match[0])


def _pose(row: Row) -> Float[ndarray, "4 4"]:
    """Return what takes points in a thing's frame to the frame that it stands in."""
    w, x, y, z = row["rotation"]
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat([x, y, z, w]).as_matrix()
    pose[:3, 3] = row["translation"]
    return pose


def _read_case(
    picture: Path, cloud: Path, intrinsics: list[list[float]], to_camera: Float[ndarray, "4 4"]
) -> Case:
    rgb = read_rgb(picture)
    with naming(cloud):
        points = np.fromfile(cloud, "<f4").reshape(-1, 5)[:, :3]
    points = points @ to_camera[:3, :3].T + to_camera[:3, 3]
    points = points[points[:, 2] >= NEAR_M]
    (f_px, _, cx_px), (_, fy_px, cy_px), _ = intrinsics
    depth = _nearest(points @ np.array(intrinsics).T, *rgb.shape[:2])
    return Case(rgb, depth, np.isfinite(depth), f_px=f_px, fy_px=fy_px, cx_px=cx_px, cy_px=cy_px)


def _nearest(points: Float[ndarray, "n 3"], height: int, width: int) -> Float[ndarray, "h w"]:
    """Return the least depth in each pixel, infinite where there is no point.

    Args:
        points: Homogeneous pixels: column times depth, row times depth, and depth.
        height: Of the picture, in pixels.
        width: The same.
    """
    column, row = np.rint(points[:, :2] / points[:, 2:]).T.astype(int)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    depth = np.full((height, width), np.inf, np.float32)
    np.minimum.at(depth, (row[inside], column[inside]), points[inside, 2].astype(np.float32))
    return depth
