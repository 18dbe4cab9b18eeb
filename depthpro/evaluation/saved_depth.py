"""Depth maps in files, as other systems save them, in any unit.

| suffix | holds |
|---|---|
| `.npz` | an array `depth`, or one of any name; `f_px` if the system estimates it, or alone |
| `.npy` | the array |
| `.png`, `.tif`, `.tiff` | grey of 8 or 16 bits, or floats |
| `.exr` | floats: one channel, or RGB that are equal; needs the package OpenEXR |
| `.pfm` | floats, grey |

Axes of length 1 and equal colours are one map too.
"""

import math
from pathlib import Path

import numpy as np
from jaxtyping import Num
from numpy import ndarray
from PIL import Image

SUFFIXES = (".npz", ".npy", ".png", ".tif", ".tiff", ".exr", ".pfm")
FORMATS = {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".pfm": "PPM"}  # Pillow's names


def find_prediction(folder: Path, name: str) -> Path:
    """Return the one file FOLDER/NAME.suffix; a ValueError if there is none, or more than one."""
    found = [path for suffix in SUFFIXES if (path := folder / f"{name}{suffix}").is_file()]
    if len(found) != 1:
        raise ValueError(
            f"expected one file {folder / name} with suffix {', '.join(SUFFIXES)}; found "
            f"{[path.name for path in found]}: save each prediction by the name of its case"
        )
    return found[0]


def read_map(path: Path) -> tuple[Num[ndarray, "H W"], float | None]:
    """Return the map in a file as stored, and the focal length in pixels of the picture's width.

    Raises:
        ValueError: If the file is broken, or holds no single map of numbers.
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
                values = np.array(image)
        if values.ndim == 3 and values.shape[-1] == 3 and (values == values[..., :1]).all():
            values = values[..., :1]
        single = [axis for axis, length in enumerate(values.shape) if length == 1]
        values = values.squeeze(tuple(single[: max(values.ndim - 2, 0)]))
        if values.ndim != 2 or not values.size or values.dtype.kind not in "fui":
            raise ValueError(f"a map (h, w) was expected, got {values.dtype} {values.shape}")
    except Exception as error:  # a broken file raises whatever its library raises
        raise ValueError(f"cannot read {path} ({error}): save it again") from error
    return values, f_px


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
        from OpenEXR import File  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ValueError("EXR needs one more package: pip install OpenEXR") from None
    channels = File(str(path)).channels()  # R, G and B are one array
    if len(channels) != 1:
        raise ValueError(f"one channel or equal RGB were expected, got {', '.join(channels)}")
    return next(iter(channels.values())).pixels
