"""Virtual KITTI 2: rendered streets, 1242 x 375 (europe.naverlabs.com, proxy virtual worlds)."""

from pathlib import Path

import numpy as np
import pandas as pd

from depthpro.data.frames import Frames, complete, naming, read_rgb, read_steps
from depthpro.data.sample import Sample

STEP_M = 0.01
FAR = 65535
"""Steps of sky, and of anything 655.35 m away or farther."""

_Frame = tuple[str, str, str]
"""Variant such as Scene01/clone, camera such as Camera_0, and number such as 00000."""


class VirtualKitti2(Frames):
    """Virtual KITTI 2, metric and synthetic: all variants, both cameras, no split.

    `root` holds what the archives unpack to, `vkitti_2.0.3_rgb`, `vkitti_2.0.3_depth` and
    `vkitti_2.0.3_textgt`, or the merged folders `SceneXX`. Depth is along the optical axis, in
    steps of 1 cm; sky, and everything beyond 655.35 m, is infinite.
    """

    def __init__(self, root: str | Path) -> None:
        """List the frames.

        Raises:
            ValueError: If there are none, or one lacks its picture, its depth or its camera.
        """
        parts = [Path(root) / f"vkitti_2.0.3_{kind}" for kind in ("rgb", "depth", "textgt")]
        self._roots = [part if part.is_dir() else Path(root) for part in parts]
        rgb, depth, texts = self._roots
        files = list(rgb.glob("Scene*/*/frames/rgb/Camera_*/rgb_*.jpg"))
        files += depth.glob("Scene*/*/frames/depth/Camera_*/depth_*.png")
        frames = {("/".join(f.parts[-6:-4]), f.parts[-2], f.stem.split("_")[1]) for f in files}
        hint = f"(Scene*/*/frames/rgb/Camera_*/rgb_*.jpg) in {rgb}: unpack the archives rgb, depth"
        hint += " and textgt of Virtual KITTI 2"
        self._frames: list[_Frame] = complete(frames, self._paths, hint)
        variants = {variant for variant, _, _ in frames}
        self._cameras = {variant: _read_cameras(texts, variant) for variant in variants}
        for frame in self._frames:
            self._camera(frame)

    def _paths(self, frame: _Frame) -> tuple[Path, Path]:
        variant, camera, number = frame
        return (
            self._roots[0] / variant / "frames/rgb" / camera / f"rgb_{number}.jpg",
            self._roots[1] / variant / "frames/depth" / camera / f"depth_{number}.png",
        )

    def _camera(self, frame: _Frame) -> list[float]:
        """Return f_px, fy_px, cx_px and cy_px."""
        variant, camera, number = frame
        key = int(number), int(camera.removeprefix("Camera_"))
        if key not in self._cameras[variant]:
            path = self._roots[2] / variant / "intrinsic.txt"
            raise ValueError(f"{path} has no row for frame {key[0]}, camera {key[1]}: get it again")
        return self._cameras[variant][key]

    def _load(self, frame: _Frame) -> Sample:
        picture, path = self._paths(frame)
        rgb = read_rgb(picture)
        steps = read_steps(path, like=rgb)
        if not steps.all():
            raise ValueError(f"{path} has depth 0, which the set does not use: get it again")
        depth = np.where(steps == FAR, np.float32(np.inf), steps * np.float32(STEP_M))
        return Sample(rgb, depth, *self._camera(frame), family="vkitti2")


def _read_cameras(root: Path, variant: str) -> dict[tuple[int, int], list[float]]:
    """Return f_px, fy_px, cx_px and cy_px by frame and camera."""
    path = root / variant / "intrinsic.txt"
    with naming(path):
        table = pd.read_csv(path, sep=r"\s+", index_col=["frame", "cameraID"])
        table = table[["K[0,0]", "K[1,1]", "K[0,2]", "K[1,2]"]].astype(float).dropna()
        return {key: row.tolist() for key, row in zip(table.index, table.to_numpy(), strict=True)}
