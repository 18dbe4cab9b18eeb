"""Depth maps in files, as other systems save them, in any unit.

| suffix | holds |
|---|---|
| `.npz` | an array `depth`, or one of any name; `f_px` if the system estimates it, or alone |
| `.npy` | the array |
| `.png`, `.tif`, `.tiff` | grey of 8 or 16 bits, or floats |
| `.exr` | floats: one channel, or several that are equal; needs the package OpenEXR |
| `.pfm` | floats, grey |

Axes of length 1 and equal colours are one map too.
"""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Num
from numpy import ndarray
from PIL import Image

SUFFIXES = (".npz", ".npy", ".png", ".tif", ".tiff", ".exr", ".pfm")
FORMATS = {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".pfm": "PPM"}
"""Pillow's names of those that it reads."""


class SavedDepth(NamedTuple):
    """Contents of a file."""

    values: Num[ndarray, "H W"]
    """As stored."""
    f_px: float | None = None
    """Focal length in pixels of the picture's width."""


def find_prediction(folder: Path, name: str) -> Path:
    """Return the one file FOLDER/NAME.suffix.

    Raises:
        ValueError: If there is none, or more than one.
    """
    found = [path for suffix in SUFFIXES if (path := folder / f"{name}{suffix}").is_file()]
    if len(found) != 1:
        raise ValueError(
            f"expected one file {folder / name} with suffix {', '.join(SUFFIXES)}; found "
            f"{[path.name for path in found]}: save each prediction by the name of its case"
        )
    return found[0]


def read_map(path: Path) -> SavedDepth:
    """Return the map in a file.

    Raises:
        ValueError: If it cannot be read, or is not one map of numbers.
    """
    f_px, suffix = None, path.suffix.lower()
    try:
        if suffix == ".npz":
            values, f_px = _read_npz(path)
        elif suffix == ".npy":
            values = np.load(path)
        elif suffix == ".exr":
            values = _read_exr(path)
        else:
            with Image.open(path, formats=[FORMATS[suffix]]) as image:
                if image.mode == "P":
                    raise ValueError("grey was expected, got a palette of colours")
                values = np.array(image)  # of PFM, Pillow turns the rows and swaps the bytes
        values = _one_plane(values)
        if values.ndim != 2 or not values.size or values.dtype.kind not in "fui":
            raise ValueError(f"a map (h, w) was expected, got {values.dtype} {values.shape}")
    except Exception as error:  # a broken file raises whatever its library raises
        raise ValueError(f"cannot read {path} ({error}): save it again") from error
    return SavedDepth(values, f_px)


def _one_plane(values: ndarray) -> ndarray:
    """Return the map in an array with further axes, where they hold nothing else."""
    if values.ndim == 3 and values.shape[-1] == 3 and (values == values[..., :1]).all():
        values = values[..., 0]
    while values.ndim > 2 and 1 in (values.shape[0], values.shape[-1]):
        values = values[0] if values.shape[0] == 1 else values[..., 0]
    return values


def _read_npz(path: Path) -> tuple[ndarray, float | None]:
    with np.load(path) as file:
        f_px = float(file["f_px"].item()) if "f_px" in file else None
        if f_px is not None and not 0 < f_px < math.inf:
            raise ValueError(f"f_px must be positive and finite, got {f_px:g}")
        names = [name for name in file if name != "f_px"]
        if f_px and not names:  # of a system for focal lengths alone: no depth is predicted
            return np.zeros((1, 1)), f_px
        if "depth" not in names and len(names) != 1:
            raise ValueError(f"an array 'depth' or a single one was expected, got {names}")
        return file["depth" if "depth" in names else names[0]], f_px


def _read_exr(path: Path) -> ndarray:
    try:
        import OpenEXR  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ValueError("EXR needs one more package: pip install OpenEXR") from None
    with OpenEXR.File(str(path), separate_channels=True) as file:
        channels = {name: channel.pixels for name, channel in file.channels().items()}
    return np.stack(list(channels.values()), axis=-1)
