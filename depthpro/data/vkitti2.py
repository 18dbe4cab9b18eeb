"""Virtual KITTI 2: rendered streets, 1242 x 375 (europe.naverlabs.com, proxy virtual worlds)."""

from pathlib import Path

import numpy as np

from depthpro.data.frames import Frames, naming, read_rgb, read_steps
from depthpro.data.sample import Sample

STEP_M = 0.01
FAR = 65535
"""Steps of sky, and of anything 655.35 m away or farther."""

_COLUMNS = ["frame", "cameraID", "K[0,0]", "K[1,1]", "K[0,2]", "K[1,2]"]

_Frame = tuple[str, str, str]
"""Variant such as Scene01/clone, camera such as Camera_0, and number such as 00000."""


class VirtualKitti2(Frames):
    """Virtual KITTI 2, metric and synthetic: all variants there are, both cameras, no split.

    `root` holds what the archives unpack to, `vkitti_2.0.3_rgb`, `vkitti_2.0.3_depth` and
    `vkitti_2.0.3_textgt`, or the merged folders `SceneXX`. Depth is along the optical axis, in
    steps of 1 cm; sky, and all beyond 655.35 m, is infinite.
    """

    def __init__(self, root: str | Path) -> None:
        """List the frames.

        Raises:
            ValueError: If there are none, or one lacks its picture, its depth or its camera.
        """
        parts = [Path(root) / f"vkitti_2.0.3_{kind}" for kind in ("rgb", "depth", "textgt")]
        parts = [part if part.is_dir() else Path(root) for part in parts]
        self._pictures, self._depths, self._texts = parts
        self._cameras: dict[str, dict[tuple[int, int], list[float]]] = {}  # by variant
        self._frames: list[_Frame] = []
        pictures = _names(self._pictures, "rgb", ".jpg")
        depths = _names(self._depths, "depth", ".png")
        for frame in sorted(pictures | depths):
            for path, found in zip(self._paths(frame), (pictures, depths), strict=True):
                if frame not in found:
                    raise ValueError(f"{path} is missing: unpack Virtual KITTI 2 again")
            self._camera(frame)
            self._frames.append(frame)
        if not self._frames:
            raise ValueError(
                f"no frames (Scene*/*/frames/rgb/Camera_*/rgb_*.jpg) in {self._pictures}: unpack "
                "the archives rgb, depth and textgt of Virtual KITTI 2"
            )

    def _paths(self, frame: _Frame) -> tuple[Path, Path]:
        variant, camera, number = frame
        return (
            self._pictures / variant / "frames/rgb" / camera / f"rgb_{number}.jpg",
            self._depths / variant / "frames/depth" / camera / f"depth_{number}.png",
        )

    def _camera(self, frame: _Frame) -> list[float]:
        """Return f_px, fy_px, cx_px and cy_px; a variant's table is read once."""
        variant, camera, number = frame
        path = self._texts / variant / "intrinsic.txt"
        if variant not in self._cameras:
            self._cameras[variant] = _read_cameras(path)
        key = int(number), int(camera.removeprefix("Camera_"))
        if key not in self._cameras[variant]:
            raise ValueError(f"{path} has no row for frame {key[0]}, camera {key[1]}: get it again")
        return self._cameras[variant][key]

    def _load(self, frame: _Frame) -> Sample:
        picture, path = self._paths(frame)
        rgb = read_rgb(picture)
        steps = read_steps(path, like=rgb)
        if not steps.all():
            raise ValueError(f"{path} has depth 0, which the set does not use: get it again")
        f_px, fy_px, cx_px, cy_px = self._camera(frame)
        return Sample(
            rgb=rgb,
            depth=np.where(steps == FAR, np.float32(np.inf), steps * np.float32(STEP_M)),
            f_px=f_px,
            fy_px=fy_px,
            cx_px=cx_px,
            cy_px=cy_px,
            family="vkitti2",
        )


def _read_cameras(path: Path) -> dict[tuple[int, int], list[float]]:
    """Return f_px, fy_px, cx_px and cy_px by frame and camera."""
    with naming(path):
        header, *rows = (line.split() for line in path.read_text().splitlines() if line.strip())
        if header != _COLUMNS:
            raise ValueError(f"columns {' '.join(_COLUMNS)} were expected, got {' '.join(header)}")
        cameras = {(int(row[0]), int(row[1])): [float(value) for value in row[2:]] for row in rows}
        if any(len(camera) != 4 for camera in cameras.values()):
            raise ValueError("a row does not have 6 columns")
        return cameras


def _names(root: Path, kind: str, suffix: str) -> set[_Frame]:
    """Return the frames whose files there are: Scene01/clone/frames/rgb/Camera_0/rgb_00000.jpg."""
    return {
        (path.parents[3].relative_to(root).as_posix(), path.parent.name, path.stem.split("_")[1])
        for path in root.glob(f"Scene*/*/frames/{kind}/Camera_*/{kind}_*{suffix}")
    }
