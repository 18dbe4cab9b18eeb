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
        """List the frames; a ValueError if there are none or a file is missing."""
        parts = [Path(root) / f"vkitti_2.0.3_{kind}" for kind in ("rgb", "depth", "textgt")]
        rgb, depth, text = (part if part.is_dir() else Path(root) for part in parts)
        frames: list[tuple[Path, Path, list[float]]] = []
        for table in sorted(text.glob("Scene*/*/intrinsic.txt")):
            variant = table.parent.relative_to(text)  # such as Scene01/clone
            for number, lens, camera in _read_cameras(table):
                folder, name = f"Camera_{lens}", f"{number:05d}"
                picture = rgb / variant / "frames/rgb" / folder / f"rgb_{name}.jpg"
                steps = depth / variant / "frames/depth" / folder / f"depth_{name}.png"
                frames.append((existing(picture), existing(steps), camera))
        archives = "the archives rgb, depth and textgt of Virtual KITTI 2"
        super().__init__(frames, f"(Scene*/*/intrinsic.txt) in {text}: unpack {archives}")

    def _load(self, frame: tuple[Path, Path, list[float]]) -> Sample:
        picture, path, (f_px, fy_px, cx_px, cy_px) = frame
        rgb = read_rgb(picture)
        steps = read_steps(path, like=rgb)
        if not steps.all():
            raise ValueError(f"{path} has depth 0, which the set does not use: get it again")
        depth = np.where(steps == FAR, np.float32(np.inf), steps * np.float32(STEP_M))
        return Sample(rgb, depth, f_px, fy_px, cx_px, cy_px, family="vkitti2")


def _read_cameras(path: Path) -> list[tuple[int, int, list[float]]]:
    """Return frame, camera, and its f_px, fy_px, cx_px and cy_px."""
    with naming(path):
        table = pd.read_csv(path, sep=r"\s+")
        values = table[["K[0,0]", "K[1,1]", "K[0,2]", "K[1,2]"]].astype(float).to_numpy()
        frames = table[["frame", "cameraID"]].astype(int).to_numpy()
        return [(*pair, k) for pair, k in zip(frames.tolist(), values.tolist(), strict=True)]
