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

    `root` is the folder `raw` that the authors' download script makes: `metadata.csv`, and
    `Training/VIDEO` with `wide`, `wide_intrinsics` and `highres_depth`. Videos without a scan are
    left out. Depth is along the optical axis in steps of 1 mm, 0 where it is unknown. Pictures are
    turned so that the sky is up.
    """

    synthetic = False

    def __init__(self, root: str | Path) -> None:
        """List the frames for training; a ValueError if there are none or a file is missing."""
        table, frames = Path(root) / METADATA, list[_Frame]()
        turns = _read_turns(table)
        for depth in sorted(Path(root).glob("Training/*/highres_depth/*.png")):
            video = depth.parents[1]
            if video.name not in turns:
                raise ValueError(f"{table} has no row for {video.name}: get it again")
            picture = existing(video / "wide" / depth.name)
            frames.append((picture, depth, _find_camera(picture), turns[video.name]))
        hint = f"(Training/*/highres_depth/*.png) in {root}: download the set's part `raw`"
        super().__init__(frames, hint)

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


def _find_camera(picture: Path) -> Path:
    """Return a picture's camera, whose time (VIDEO_SECONDS.pincam) may be 1 ms off."""
    video, _, seconds = picture.stem.rpartition("_")
    folder = picture.parents[1] / "wide_intrinsics"
    with naming(picture):
        times = [float(seconds) + offset for offset in (0, -0.001, 0.001)]
    paths = [folder / f"{video}_{time:.3f}.pincam" for time in times]
    return next((path for path in paths if path.is_file()), None) or existing(paths[0])


def _read_camera(path: Path, height: int, width: int) -> tuple[float, float, float, float]:
    """Return f_px, fy_px, cx_px and cy_px: all but width and height of the file's one line."""
    with naming(path):
        columns, rows, f_px, fy_px, cx_px, cy_px = map(float, path.read_text().split())
        if (columns, rows) != (width, height):
            raise ValueError(f"{width} x {height} pixels were expected, got {columns} x {rows}")
    return f_px, fy_px, cx_px, cy_px


def _read_turns(path: Path) -> dict[str, int]:
    """Return the quarter turns of each video."""
    with naming(path):
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        wrong = sorted(set(table["sky_direction"]) - set(_TURNS))
        if wrong:
            raise ValueError(f"sky_direction must be Up, Down, Left, Right or NA, got {wrong}")
        return dict(zip(table["video_id"], table["sky_direction"].map(_TURNS), strict=True))
