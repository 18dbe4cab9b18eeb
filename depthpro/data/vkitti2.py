"""Virtual KITTI 2: rendered streets, 1242 x 375 (europe.naverlabs.com, proxy virtual worlds)."""

from pathlib import Path

import numpy as np
import pandas as pd

from depthpro.data.frames import Frames, existing, naming, read_rgb, read_steps
from depthpro.data.sample import Sample

STEP_M = 0.01
FAR = 65535
"""Steps of sky, and of anything 655.35 m away or farther."""


class VirtualKitti2(Frames):
    """Virtual KITTI 2, metric and synthetic: all variants, both cameras, no split.

    `root` holds what the archives unpack to, `vkitti_2.0.3_rgb`, `vkitti_2.0.3_depth` and
    `vkitti_2.0.3_textgt`, or the merged folders `SceneXX`. Depth is along the optical axis, in
    steps of 1 cm; sky, and everything beyond 655.35 m, is infinite.
    """

    def __init__(self, root: str | Path) -> None:
        """List the frames.

        Raises:
            ValueError: If there are none, or one lacks its depth or its camera.
        """
        parts = [Path(root) / f"vkitti_2.0.3_{kind}" for kind in ("rgb", "depth", "textgt")]
        rgb, depths, texts = (part if part.is_dir() else Path(root) for part in parts)
        cameras: dict[Path, dict[tuple[int, int], list[float]]] = {}
        frames: list[tuple[Path, Path, list[float]]] = []
        for picture in sorted(rgb.glob("Scene*/*/frames/rgb/Camera_*/rgb_*.jpg")):
            variant = picture.parents[3].relative_to(rgb)  # such as Scene01/clone
            lens, number = picture.parent.name, picture.stem.removeprefix("rgb_")
            depth = existing(depths / variant / "frames/depth" / lens / f"depth_{number}.png")
            table = texts / variant / "intrinsic.txt"
            if table not in cameras:
                cameras[table] = _read_cameras(table)
            key = int(number), int(lens.removeprefix("Camera_"))
            if key not in cameras[table]:
                raise ValueError(
                    f"{table} has no row for frame {key[0]}, camera {key[1]}: get it again"
                )
            frames.append((picture, depth, cameras[table][key]))
        hint = f"(Scene*/*/frames/rgb/Camera_*/rgb_*.jpg) in {rgb}: unpack the archives rgb, depth "
        super().__init__(frames, f"{hint}and textgt of Virtual KITTI 2")

    def _load(self, frame: tuple[Path, Path, list[float]]) -> Sample:
        picture, path, (f_px, fy_px, cx_px, cy_px) = frame
        rgb = read_rgb(picture)
        steps = read_steps(path, like=rgb)
        if not steps.all():
            raise ValueError(f"{path} has depth 0, which the set does not use: get it again")
        depth = np.where(steps == FAR, np.float32(np.inf), steps * np.float32(STEP_M))
        return Sample(rgb, depth, f_px, fy_px, cx_px, cy_px, family="vkitti2")


def _read_cameras(path: Path) -> dict[tuple[int, int], list[float]]:
    """Return f_px, fy_px, cx_px and cy_px by frame and camera."""
    with naming(path):
        table = pd.read_csv(path, sep=r"\s+", index_col=["frame", "cameraID"])
        table = table[["K[0,0]", "K[1,1]", "K[0,2]", "K[1,2]"]].astype(float).dropna()
        return {key: row.tolist() for key, row in zip(table.index, table.to_numpy(), strict=True)}
