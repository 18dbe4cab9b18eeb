"""ARKitScenes: rooms filmed with a tablet, and laser-scanned (github.com/apple/ARKitScenes)."""

from pathlib import Path

import numpy as np
import pandas as pd

from depthpro.data.frames import Frames, existing, naming, read_rgb, read_steps
from depthpro.data.sample import Sample

METADATA = "metadata.csv"
STEP_M = 0.001

_TURNS = {"Up": 0, "Right": 1, "Down": 2, "Left": 3, "NA": 0, "": 0}
"""Quarter turns counter-clockwise that bring the sky up, by its direction."""

_Frame = tuple[Path, Path, Path, int]
"""Picture, depth, camera and quarter turns."""


class ArkitScenes(Frames):
    """ARKitScenes, metric and real: depth of a laser scanner, 1920 x 1440.

    `root` holds `Training`, as the authors' download script makes it for the parts "upsampling",
    "raw" and "3dod". Depth (`highres_depth`) is along the optical axis in steps of 1 mm, 0 where it
    is unknown; its pictures are `wide`, `color` in some copies. Videos without a scan are left out.

    Each frame needs its camera, a `.pincam` of the same time within 1 ms. Where the set has no
    `wide_intrinsics`, `lowres_wide_intrinsics`, which is of the same lens, is scaled. If
    `metadata.csv` lies beside `Training`, pictures are turned so that the sky is up.
    """

    synthetic = False

    def __init__(self, root: str | Path) -> None:
        """List the frames for training.

        Raises:
            ValueError: If there are none, or one lacks its picture, depth, camera or direction.
        """
        fold, table = Path(root) / "Training", Path(root) / METADATA
        turns = _read_turns(table) if table.exists() else None
        frames: list[_Frame] = []
        nested = fold.glob("*/*_frames/highres_depth")  # as "3dod" has it
        for depths in sorted([*fold.glob("*/highres_depth"), *nested]):
            video = depths.parent.name.removesuffix("_frames")
            if turns is not None and video not in turns:
                raise ValueError(f"{table} has no row for {video}")
            frames += _list_frames(depths.parent, turns[video] if turns else 0)
        super().__init__(frames, f"(*/highres_depth/*.png) in {fold}: unpack ARKitScenes")

    def _load(self, frame: _Frame) -> Sample:
        picture, depth, pincam, turns = frame
        rgb = read_rgb(picture)
        steps = read_steps(depth, like=rgb)
        f_px, fy_px, cx_px, cy_px = _read_camera(pincam, *steps.shape)
        for _ in range(turns):  # a quarter turn counter-clockwise
            f_px, fy_px, cx_px, cy_px = fy_px, f_px, cy_px, rgb.shape[1] - 1 - cx_px
            rgb, steps = np.rot90(rgb).copy(), np.rot90(steps).copy()
        known = steps > 0
        metres = np.where(known, steps * np.float32(STEP_M), np.float32(np.inf))
        camera = f_px, fy_px, cx_px, cy_px
        return Sample(rgb, metres, *camera, known, synthetic=False, family="arkitscenes")


def _list_frames(folder: Path, turns: int) -> list[_Frame]:
    """Return a video's frames in order of their times."""
    pictures, depths = _first(folder, "wide", "color"), folder / "highres_depth"
    cameras = _first(folder, "wide_intrinsics", "lowres_wide_intrinsics")
    names = _by_time(pictures, ".png") | _by_time(depths, ".png")
    pincams = _by_time(cameras, ".pincam")
    frames = []
    for time, name in sorted(names.items()):
        near = [pincams[other] for other in (time, time - 1, time + 1) if other in pincams]
        pincam = near[0] if near else Path(name).with_suffix(".pincam").name
        files = pictures / name, depths / name, cameras / pincam
        frames.append((*map(existing, files), turns))
    return frames


def _first(folder: Path, *names: str) -> Path:
    """Return the first of these folders that exists."""
    for name in names:
        if (folder / name).is_dir():
            return folder / name
    raise ValueError(f"{folder / names[0]} is missing: download it, too, and unpack it there")


def _by_time(folder: Path, suffix: str) -> dict[int, str]:
    """Return the names of files, such as 41069021_305.244.png (video, seconds), by time in ms."""
    with naming(folder):
        paths = folder.glob(f"[!.]*{suffix}")
        return {round(1000 * float(path.stem.rpartition("_")[2])): path.name for path in paths}


def _read_camera(path: Path, height: int, width: int) -> tuple[float, float, float, float]:
    """Return f_px, fy_px, cx_px and cy_px for pictures of this size and of the file's shape.

    A file has one line: width, height, both focal lengths and the optical axis, in pixels.
    """
    with naming(path):
        values = [float(value) for value in path.read_text().split()]
        if len(values) != 6 or values[0] * height != values[1] * width:
            raise ValueError(
                f"width, height, fx, fy, cx and cy were expected, for a picture of {width} x "
                f"{height} or of this shape; got {values}"
            )
    columns, _, f_px, fy_px, cx_px, cy_px = values
    scale = width / columns
    return f_px * scale, fy_px * scale, (cx_px + 0.5) * scale - 0.5, (cy_px + 0.5) * scale - 0.5


def _read_turns(path: Path) -> dict[str, int]:
    """Return the quarter turns of each video."""
    with naming(path):
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        skies = table["sky_direction"]
        if not set(skies) <= set(_TURNS):
            wrong = sorted(set(skies) - set(_TURNS))
            raise ValueError(f"sky_direction must be Up, Down, Left, Right or NA, got {wrong}")
        return dict(zip(table["video_id"], skies.map(_TURNS), strict=True))
