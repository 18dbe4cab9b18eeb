"""A slanted plane of known depth, and files to write it to; what tests of data sets share."""

from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from depthpro.data.sample import Sample
from depthpro.evaluation.readers.case import Benchmark

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


def assert_broken_files_are_named(
    files: Sequence[Path],
    read: Callable[[Path], Benchmark],
    root: Path,
    cut: Callable[[bytes], bytes] = lambda whole: whole[: len(whole) // 2],
) -> None:
    """Check that a case names each of its files when cut, and the listing each when missing.

    The first file is the picture: without it there is no case.
    """
    with pytest.raises(ValueError, match=r"no pictures of .*: unpack"):
        read(root / "empty")
    for path in files:
        whole = path.read_bytes()
        path.write_bytes(cut(whole))
        (case,) = read(root).cases.values()  # which reads no file yet
        with pytest.raises(ValueError, match=f"cannot read {path}"):
            case()
        path.unlink()
        missing = "no pictures of" if path == files[0] else f"{path} is missing: unpack it again"
        with pytest.raises(ValueError, match=missing):
            read(root)
        path.write_bytes(whole)
