"""nuScenes as its authors ship it, small: a plane that the lidar of a driving car has hit."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planes import CAMERA, HEIGHT, SIZE, WIDTH, camera_of, picture, plane, save

from depthpro.evaluation.readers.nuscenes import nuscenes

NAME = "samples/CAM_FRONT/n015-2018-07-18-11-07-57+0800__CAM_FRONT__15318835304{:05d}"
F_PX, FY_PX, CX_PX, CY_PX = CAMERA
INTRINSICS = [[F_PX, 0.0, CX_PX], [0.0, FY_PX, CY_PX], [0.0, 0.0, 1.0]]

Pose = tuple[list[float], list[float]]
"""Axis times angle, and translation."""
# From the vehicle's axes (x forward, z up) to the camera's a third of a turn; no two alike.
LENS: Pose = ([-1.2, 1.25, -1.15], [1.7, 0.016, 1.51])
TOP: Pose = ([0.01, -0.02, -1.57], [0.94, 0.0, 1.84])
CARS: list[Pose] = [([0, 0, angle], [411.3 + angle, 1180.9 - angle, 0]) for angle in (1.9, 1.85)]


def turn(vector: list[float]) -> np.ndarray:
    """Return the matrix of a rotation, after Rodrigues: R = 1 + sin a K + (1 - cos a) K K."""
    angle = np.linalg.norm(vector)
    x, y, z = np.array(vector) / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def pose_row(token: str, pose: Pose, **fields: Any) -> dict[str, Any]:
    angle = np.linalg.norm(pose[0])
    vector = np.array(pose[0]) / angle * np.sin(angle / 2)
    quaternion = [float(np.cos(angle / 2)), *vector.tolist()]
    return {"token": token, "rotation": quaternion, "translation": pose[1], **fields}


def to_lidar(points: np.ndarray) -> np.ndarray:
    """Take points from the camera, in the car's second pose, to the lidar, in the first."""
    for rotation, translation in (LENS, CARS[1]):
        points = points @ turn(rotation).T + translation
    for rotation, translation in (CARS[0], TOP):
        points = (points - translation) @ turn(rotation)
    return points


def ray(row: int, column: int, depth: float) -> list[float]:
    return [(column - CX_PX) / F_PX * depth, (row - CY_PX) / FY_PX * depth, depth]


def hits() -> np.ndarray:
    """Return where a lidar point lies on the plane: every third pixel."""
    return np.arange(HEIGHT * WIDTH).reshape(SIZE) % 3 == 0


def drive(root: Path, version: str = "v1.0-mini", frames: int = 2) -> Path:
    """Write tables and files, and return the folder of the tables."""
    points = [ray(row, column, float(plane()[row, column])) for row, column in np.argwhere(hits())]
    points += [ray(3, 3, 9.0), ray(6, 3, 30.0)]  # hidden behind the plane
    points += [ray(3, 4, 0.9), ray(3, 4, -5.0), ray(-1, 4, 5.0), ray(3, WIDTH, 5.0)]
    cloud = np.zeros((len(points), 5), "<f4")
    cloud[:, :3] = to_lidar(np.array(points))
    cloud[:, 3:] = 77, 31  # intensity and ring
    sensors = {"CAM_FRONT": LENS, "LIDAR_TOP": TOP, "CAM_BACK": TOP, "RADAR_FRONT": TOP}
    data, cars = [], []
    for number in range(2 * frames):  # each second one is between key frames
        for place, channel in enumerate(sensors):
            name = NAME.replace("CAM_FRONT", channel).format(number)
            suffix = ".pcd.bin" if channel == "LIDAR_TOP" else ".jpg"
            key = number % 2 == 0
            token = f"{channel}{number}"
            data.append({
                "token": token, "sample_token": f"sample{number // 2}", "ego_pose_token": token,
                "calibrated_sensor_token": f"c{channel}", "filename": name + suffix,
                "is_key_frame": key, "timestamp": 1531883530412470 + number,
            })  # fmt: skip
            cars.append(pose_row(token, CARS[place == 0]))
            if key and channel == "CAM_FRONT":
                save(root / f"{name}.jpg", picture(number))
            elif key and channel == "LIDAR_TOP":
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                cloud.tofile(root / (name + suffix))
    calibrated = [
        pose_row(f"c{name}", pose, sensor_token=f"s{name}",
                 camera_intrinsic=INTRINSICS if "CAM" in name else [])
        for name, pose in sensors.items()
    ]  # fmt: skip
    write(root / version / "sensor.json", [{"token": f"s{c}", "channel": c} for c in sensors])
    write(root / version / "calibrated_sensor.json", calibrated)
    write(root / version / "sample_data.json", data[::-1])
    write(root / version / "ego_pose.json", cars)
    return root / version


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=0))


def test_the_plane_comes_back_in_metres(tmp_path: Path) -> None:
    drive(tmp_path)
    cases = nuscenes(tmp_path).cases
    assert list(cases) == [NAME.format(0), NAME.format(2)]
    for read in cases.values():
        case = read()
        assert case.rgb.shape == (HEIGHT, WIDTH, 3)
        assert case.depth is not None and case.depth.dtype == np.float32
        np.testing.assert_array_equal(case.mask, hits())
        # Coordinates of a few metres in float32, through a map of a kilometre in float64.
        np.testing.assert_allclose(case.depth[hits()], plane()[hits()], rtol=0, atol=2e-6)
        assert np.isposinf(case.depth[~hits()]).all()
        assert camera_of(case) == CAMERA


def test_one_version_is_read(tmp_path: Path) -> None:
    drive(tmp_path, "v1.0-mini", frames=2)
    drive(tmp_path, "v1.0-trainval", frames=3)
    assert len(nuscenes(tmp_path / "v1.0-mini").cases) == 2
    assert len(nuscenes(tmp_path / "v1.0-trainval").cases) == 3
    for root, found in ((tmp_path, "'v1.0-mini', 'v1.0-trainval'"), (tmp_path / "nowhere", "")):
        with pytest.raises(ValueError, match=rf"one folder of tables .* got \[{found}\]"):
            nuscenes(root)


@pytest.mark.parametrize("table", ["sensor", "calibrated_sensor", "sample_data", "ego_pose"])
def test_broken_tables_are_named(tmp_path: Path, table: str) -> None:
    path = drive(tmp_path) / f"{table}.json"
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=rf"cannot read .*{path.name} \("):
        nuscenes(tmp_path)
    path.write_text("[]" if table != "sample_data" else whole.replace("LIDAR_TOP", "LIDAR"))
    with pytest.raises(ValueError, match=r"cannot read .*v1\.0-mini"):
        nuscenes(tmp_path)


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    drive(tmp_path)
    for name in (f"{NAME}.jpg", f"{NAME}.pcd.bin".replace("CAM_FRONT", "LIDAR_TOP")):
        path = tmp_path / name.format(2)
        whole = path.read_bytes()
        path.write_bytes(whole[:-203])
        cases = nuscenes(tmp_path).cases  # which reads no file yet
        cases[NAME.format(0)]()
        with pytest.raises(ValueError, match=re.escape(f"cannot read {path}")):
            cases[NAME.format(2)]()
        path.unlink()
        with pytest.raises(ValueError, match=re.escape(f"{path} is missing")):
            nuscenes(tmp_path)
        path.write_bytes(whole)
