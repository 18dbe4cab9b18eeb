"""A slanted plane of known depth, and files to write it to; what tests of data sets share."""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from depthpro.data.sample import Sample

SIZE = HEIGHT, WIDTH = 24, 32
CAMERA = (30.0, 28.0, 17.0, 10.5)  # f_px, fy_px, cx_px, cy_px, no two directions alike


def plane(camera: Sequence[float] = CAMERA) -> np.ndarray:
    """Return z of the plane 0.2 x - 0.3 y + z = 2: the ray (x, y, 1) z meets it at 2 / (n ray)."""
    f_px, fy_px, cx_px, cy_px = camera
    x, y = (np.arange(WIDTH) - cx_px) / f_px, (np.arange(HEIGHT)[:, None] - cy_px) / fy_px
    return 2 / (0.2 * x - 0.3 * y + 1)


def points(sample: Sample) -> np.ndarray:
    """Return the point of each pixel, NaN where depth is infinite."""
    x = (np.arange(sample.rgb.shape[1]) - sample.cx_px) / sample.f_px
    y = (np.arange(sample.rgb.shape[0])[:, None] - sample.cy_px) / sample.fy_px
    depth = np.where(np.isinf(sample.depth), np.nan, sample.depth)
    return np.stack([x * depth, y * depth, depth], axis=-1)


def camera_of(sample: Sample) -> tuple[float, ...]:
    return sample.f_px, sample.fy_px, sample.cx_px, sample.cy_px


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".hdf5":
        with h5py.File(path, "w") as file:
            file["dataset"] = pixels
    else:
        Image.fromarray(pixels).save(path)


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
