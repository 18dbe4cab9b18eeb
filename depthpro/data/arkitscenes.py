"""ARKitScenes: rooms filmed with a tablet, and laser-scanned (github.com/apple/ARKitScenes)."""

import dataclasses
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from depthpro.data.frames import Frames, naming, read_rgb, read_steps, read_table
from depthpro.data.sample import Sample

METADATA = "metadata.csv"
STEP_M = 0.001

_FOLDS = {"train": "Training", "val": "Validation"}
_TURNS = {"Up": 0, "Right": 1, "Down": 2, "Left": 3, "NA": 0, "": 0}
"""Quarter turns counter-clockwise that bring the sky up, by its direction."""


class _Frame(NamedTuple):
    picture: Path
    depth: Path
    pincam: Path
    turns: int


class ArkitScenes(Frames):
    """ARKitScenes, metric and real: depth of a laser scanner, 1920 x 1440.

    `root` holds `Training` and `Validation`, as the authors' download script makes it for the
    parts "upsampling", "raw" and "3dod". Depth (`highres_depth`) is along the optical axis in steps
    of 1 mm, 0 where it is unknown; its pictures are `wide`, `color` in some copies. Videos that
    were not scanned are left out.

    Each frame needs its camera, a `.pincam`, of the same time within 1 ms. Where the set has no
    `wide_intrinsics`, `lowres_wide_intrinsics`, which is of the same lens, is scaled. If
    `metadata.csv` lies beside `Training`, pictures are turned so that the sky is up.
    """

    synthetic = False

    def __init__(self, root: str | Path, split: Literal["train", "val"] = "train") -> None:
        """List the frames of a split.

        Raises:
            ValueError: If there are none, or one lacks its picture, depth, camera or direction.
        """
        if split not in _FOLDS:
            raise ValueError(f'split must be "train" or "val", got {split!r}')
        fold = Path(root) / _FOLDS[split]
        turns = _read_turns(Path(root) / METADATA)
        self._frames: list[_Frame] = []
        for video in sorted(path for path in fold.glob("*") if path.is_dir()):
            nested = video / f"{video.name}_frames"  # as "3dod" has it
            folder = nested if nested.is_dir() else video
            if (folder / "highres_depth").is_dir():
                turn = 0 if turns is None else turns.get(video.name)
                if turn is None:
                    raise ValueError(f"{Path(root) / METADATA} has no row for {video.name}")
                self._frames += _list_frames(folder, turn)
        if not self._frames:
            raise ValueError(f"no frames (*/highres_depth/*.png) in {fold}: unpack ARKitScenes")

    def _load(self, frame: _Frame) -> Sample:
        rgb = read_rgb(frame.picture)
        steps = read_steps(frame.depth, like=rgb)
        known = steps > 0
        f_px, fy_px, cx_px, cy_px = _read_camera(frame.pincam, *known.shape)
        sample = Sample(
            rgb=rgb,
            depth=np.where(known, steps * np.float32(STEP_M), np.float32(np.inf)),
            f_px=f_px,
            fy_px=fy_px,
            cx_px=cx_px,
            cy_px=cy_px,
            mask=known,
            synthetic=False,
            family="arkitscenes",
        )
        for _ in range(frame.turns):
            sample = turn_left(sample)
        return sample


def turn_left(sample: Sample) -> Sample:
    """Return a sample turned by a quarter counter-clockwise, with its camera."""
    return dataclasses.replace(
        sample,
        rgb=np.rot90(sample.rgb).copy(),
        depth=np.rot90(sample.depth).copy(),
        f_px=sample.fy_px,
        fy_px=sample.f_px,
        cx_px=sample.cy_px,
        cy_px=sample.rgb.shape[1] - 1 - sample.cx_px,
        mask=None if sample.mask is None else np.rot90(sample.mask).copy(),
    )


def _list_frames(folder: Path, turns: int) -> list[_Frame]:
    """Return a video's frames in order of their times."""
    depths = _by_time(folder / "highres_depth", ".png")
    pictures = _first(folder, "wide", "color")
    rgbs = _by_time(pictures, ".png")
    cameras = _first(folder, "wide_intrinsics", "lowres_wide_intrinsics")
    pincams = _by_time(cameras, ".pincam")
    frames = []
    for time in sorted({*rgbs, *depths}):
        for place, files, others in (
            (pictures, rgbs, depths), (folder / "highres_depth", depths, rgbs)
        ):  # fmt: skip
            if time not in files:
                raise ValueError(f"{place / others[time].name} is missing: unpack it again")
        near = [pincams[other] for other in (time, time - 1, time + 1) if other in pincams]
        if not near:
            name = rgbs[time].with_suffix(".pincam").name
            raise ValueError(f"{cameras / name} is missing: unpack it again")
        frames.append(_Frame(rgbs[time], depths[time], near[0], turns))
    return frames


def _first(folder: Path, *names: str) -> Path:
    """Return the first of these folders that exists."""
    for name in names:
        if (folder / name).is_dir():
            return folder / name
    raise ValueError(f"{folder / names[0]} is missing: download it, too, and unpack it there")


def _by_time(folder: Path, suffix: str) -> dict[int, Path]:
    """Return a folder's files, named like 41069021_305.244.png (video, seconds), by time in ms."""
    with naming(folder):
        return {
            round(1000 * float(path.stem.rpartition("_")[2])): path
            for path in folder.glob(f"[!.]*{suffix}")
        }


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
    scale = width / values[0]
    _, _, f_px, fy_px, cx_px, cy_px = values
    return f_px * scale, fy_px * scale, (cx_px + 0.5) * scale - 0.5, (cy_px + 0.5) * scale - 0.5


def _read_turns(path: Path) -> dict[str, int] | None:
    """Return the quarter turns of each video; None if there is no table."""
    if not path.exists():
        return None
    rows = read_table(path)
    with naming(path):
        for row in rows:
            if row["sky_direction"] not in _TURNS:
                raise ValueError(
                    f"sky_direction of {row['video_id']} must be Up, Down, Left, Right or NA, got "
                    f"{row['sky_direction']!r}"
                )
        return {row["video_id"]: _TURNS[row["sky_direction"]] for row in rows}
