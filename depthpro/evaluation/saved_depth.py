"""Depth maps in files, as any system saves them: what a file holds, in whatever unit.

| suffix | holds |
|---|---|
| `.npz` | an array `depth`, or one of any name; `f_px` if the system estimates it |
| `.npy` | the array |
| `.png` | whole numbers, 16-bit grey |
| `.exr` | floats: one channel, or several that are equal; read by the package OpenEXR |
| `.pfm` | floats, grey |

Formats: numpy.lib.format in NumPy's documentation; libpng.org/pub/png; openexr.com;
netpbm.sourceforge.net/doc/pfm.html.
"""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Num
from numpy import ndarray
from PIL import Image

SUFFIXES = (".npz", ".npy", ".png", ".exr", ".pfm")


class Stored(NamedTuple):
    """What a file holds."""

    values: Num[ndarray, "H W"]
    """As stored."""
    f_px: float | None = None
    """Focal length in pixels of the picture's width."""


def find_map(folder: Path, name: str, suffixes: tuple[str, ...] = SUFFIXES) -> Path:
    """Return the one file FOLDER/NAME.suffix.

    Raises:
        ValueError: If there is none, or more than one.
    """
    found = [path for suffix in suffixes if (path := folder / f"{name}{suffix}").is_file()]
    if len(found) != 1:
        names = " and ".join(path.name for path in found) or "none"
        raise ValueError(
            f"expected one file {folder / name} with suffix {', '.join(suffixes)}; found {names}: "
            "save what the system says of each picture by the name of its case"
        )
    return found[0]


def read_map(path: Path) -> Stored:
    """Return the map in a file.

    Raises:
        ValueError: If it cannot be read, or is not one map of numbers.
    """
    try:
        stored = _read(path)
        values = stored.values
        if values.ndim != 2 or not values.size or values.dtype.kind not in "fui":
            raise ValueError(f"a map (h, w) was expected, got {values.dtype} {values.shape}")
    except Exception as error:  # a broken file raises whatever its library raises
        raise ValueError(f"cannot read {path} ({error}): save it again") from error
    return stored


def read_focal(path: Path) -> float:
    """Return the `f_px` of a `.npz` file, in pixels of the picture's width.

    Raises:
        ValueError: If it cannot be read, or has none.
    """
    try:
        with np.load(path) as file:
            return _focal(file["f_px"])
    except Exception as error:
        raise ValueError(f"cannot read f_px of {path} ({error}): save it again") from error


def _read(path: Path) -> Stored:
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return _read_npz(path)
    if suffix == ".npy":
        return Stored(np.load(path))
    if suffix == ".exr":
        return Stored(_read_exr(path))
    # Pillow turns PFM, which is stored from the bottom up, and swaps its bytes where it must.
    kind, modes, wanted = (
        ("PNG", ("I;16", "I"), "16-bit grey")
        if suffix == ".png"
        else ("PPM", ("F",), "floats, grey")
    )
    with Image.open(path, formats=[kind]) as image:
        if image.mode not in modes:
            raise ValueError(f"{wanted} was expected, got {image.mode}")
        return Stored(np.array(image))


def _read_npz(path: Path) -> Stored:
    with np.load(path) as file:
        names = [name for name in file.files if name != "f_px"]
        if "depth" not in names and len(names) != 1:
            raise ValueError(f"an array 'depth' or a single one was expected, got {file.files}")
        values = file["depth" if "depth" in names else names[0]]
        return Stored(values, _focal(file["f_px"]) if "f_px" in file.files else None)


def _read_exr(path: Path) -> Num[ndarray, "H W"]:
    try:
        import OpenEXR  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ValueError("EXR needs one more package: pip install OpenEXR") from None
    with OpenEXR.File(str(path), separate_channels=True) as file:
        channels = {name: channel.pixels for name, channel in file.channels().items()}
    first, *others = channels.values()
    if not all(np.array_equal(first, other) for other in others):
        raise ValueError(f"one channel or equal ones were expected, got {', '.join(channels)}")
    return first


def _focal(stored: ndarray) -> float:
    f_px = float(stored.item())
    if not 0 < f_px < math.inf:
        raise ValueError(f"f_px must be positive and finite, got {f_px:g}")
    return f_px
