"""Ground truth: the true depth of the example photos, or of a file that a visitor uploads."""

import functools
import hashlib
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Bool, Float, Num, UInt8
from numpy import ndarray
from PIL import Image

from depthpro.data.shards import decode_sample
from depthpro.evaluation.readers.samples import motorcycle
from depthpro.evaluation.saved_depth import read_map
from depthpro.export import fit_size
from depthpro.image import load_image

EXAMPLES = Path(__file__).parents[2] / "examples"
"""Photos that were rendered with their depth; `examples/render.py` makes them."""
RENDERED = ("street.jpg", "room.jpg", "nature.jpg")
SUFFIXES = (".npz", ".npy", ".png")
"""Of files that can be uploaded."""
SIDE = 800
"""Longer side in pixels of what is compared: larger truth is thinned out, so that it is quick."""
MAX_PIXELS = 25_000_000
"""Larger files are refused before they are unpacked."""

_MAX_ARRAYS = 16
_MAX_BYTES = 12 * MAX_PIXELS  # of all arrays of a file, unpacked
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others unpack without a limit
_LEAST_KNOWN = 100  # pixels
_ASPECT = 0.01
_FULL = 65535  # "this far or farther" in the 16-bit PNG of `depthpro.export`


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known about a photo's depth."""

    depth: Float[ndarray, "h w"]
    """Metres along the optical axis; infinite where there is sky, and where nothing is known."""
    mask: Bool[ndarray, "h w"]
    """Where it is known."""
    title: str
    """Where it comes from, for people."""


def known(rgb: UInt8[ndarray, "h w 3"]) -> Truth | None:
    """Return the truth of an example photo, recognised by its pixels; None of other photos."""
    shapes, truths = _examples()
    return truths.get(_digest(rgb)) if rgb.shape in shapes else None


def read_truth(path: Path, height: int, width: int, scale_m: float | None = None) -> Truth:
    """Return the depth in a file for a photo of `height` x `width` pixels.

    0, negative and infinite depth and NaN are unknown; so is 65535 in a PNG that names its scale.

    Args:
        path: NPZ with an array `depth`, NPY, or 16-bit grey PNG.
        height: Rows of the photo.
        width: Columns of the photo.
        scale_m: Metres of one step, for whole numbers; the PNG's own `scale_m` goes before it.

    Raises:
        ValueError: The file is of another kind, broken, too large or of another shape than the
            photo, holds whole numbers without a scale, or no depth. The message names the file,
            never its folder, fit to show a visitor.
    """
    name, suffix = path.name, path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(
            f"Expected depth as {', '.join(SUFFIXES)}; got {name!r}. Save it as one of them."
        )
    try:
        own_scale_m = _look_into(path)
        values = read_map(path).values
    except ValueError as error:
        raise ValueError(str(error).replace(str(path), name)) from None
    _check_shape(values, name, height, width)
    thin = _thinned(values)
    if thin.dtype.kind == "f":
        depth = thin.astype(np.float32)
    else:
        depth = (thin * _scale(own_scale_m, scale_m, name)).astype(np.float32)
    mask = np.isfinite(depth) & (depth > 0)
    if own_scale_m is not None:
        mask &= thin < _FULL
    if mask.sum() < _LEAST_KNOWN:
        raise ValueError(
            f"Expected depth above 0 in {name!r}; only {mask.sum()} of {mask.size} pixels have "
            "some. Choose the file that holds the depth itself."
        )
    size = f"{values.shape[1]} × {values.shape[0]} pixels"
    return Truth(np.where(mask, depth, np.float32(np.inf)), mask, f"{name}, {size}")


def thinning(truth: Truth, height: int, width: int) -> float:
    """Return how many pixels of a photo one pixel of the truth stands for, along a side."""
    return max(height, width) / max(truth.depth.shape)


@functools.cache
def _examples() -> tuple[set[tuple[int, ...]], dict[bytes, Truth]]:
    """Return the shapes of the photos whose truth comes with the page, and truth by photo."""
    photos, truths = [], []
    for name in RENDERED:
        members = {
            "rgb.jpg": EXAMPLES / name,
            "inverse_depth.png": EXAMPLES / name.replace(".jpg", ".inverse_depth.png"),
            "json": EXAMPLES / name.replace(".jpg", ".json"),
        }
        sample = decode_sample({suffix: path.read_bytes() for suffix, path in members.items()})
        photos.append(load_image(EXAMPLES / name).rgb)
        mask = np.ones(sample.depth.shape, bool)
        truths.append(Truth(sample.depth, mask, "rendered with the photo, so exact"))
    case = motorcycle().cases["motorcycle"]()
    assert case.depth is not None and case.mask is not None
    photos.append(case.rgb)
    title = "measured by structured light (Motorcycle of Middlebury 2014)"
    truths.append(Truth(np.where(case.mask, case.depth, np.inf), case.mask, title))
    digests = [_digest(photo) for photo in photos]
    return {photo.shape for photo in photos}, dict(zip(digests, truths, strict=True))


def _digest(rgb: UInt8[ndarray, "h w 3"]) -> bytes:
    return hashlib.sha256(str(rgb.shape).encode() + rgb.tobytes()).digest()


class _Refusal(ValueError):
    """What is wrong with a file, in a sentence."""


def _look_into(path: Path) -> float | None:
    """Check how large a file would become, before it is unpacked; return the scale that it names.

    Raises:
        ValueError: It is too large or broken, or its scale is no number.
    """
    try:
        return _scale_of(path)
    except _Refusal:
        raise
    except Exception as error:  # a broken file raises whatever its library raises
        raise ValueError(f"cannot read {path} ({error}): save it again") from error


def _scale_of(path: Path) -> float | None:
    suffix = path.suffix.lower()
    if suffix == ".png":
        with Image.open(path, formats=["PNG"]) as image:
            _check_count(math.prod(image.size), path.name)
            text = image.info.get("scale_m")
        return None if text is None else _positive(text)
    if suffix == ".npy":
        with path.open("rb") as file:
            _check_array(file, path.stat().st_size, path.name)
        return None
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        total = sum(member.file_size for member in members)
        odd = [member for member in members if member.compress_type not in _PACKED]
        if len(members) > _MAX_ARRAYS or total > _MAX_BYTES or odd:
            raise _Refusal(
                f"Expected an NPZ of at most {_MAX_ARRAYS} arrays and {_MAX_BYTES // 10**6} MB "
                f"unpacked, as numpy writes it; got {len(members)} and {total / 1e6:.0f} MB in "
                f"{path.name!r}. Save the depth alone, at a smaller size."
            )
        for member in members:
            with archive.open(member) as file:
                _check_array(file, member.file_size, path.name)
    return None


def _check_array(file: IO[bytes], size: int, name: str) -> None:
    """Check an array by its header: it must not be larger than what is stored."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    _check_count(math.prod(shape), name)
    if math.prod(shape) * dtype.itemsize > size - file.tell():
        raise _Refusal(f"Expected a whole file; {name!r} is cut off. Upload it again.")


def _check_count(pixels: int, name: str) -> None:
    if pixels > MAX_PIXELS:
        raise _Refusal(
            f"Expected depth of at most {MAX_PIXELS // 10**6} megapixels; {name!r} has "
            f"{pixels / 1e6:.0f}. Save it at a smaller size."
        )


def _check_shape(values: Num[ndarray, "H W"], name: str, height: int, width: int) -> None:
    rows, columns = values.shape
    wanted = columns * height / width
    if abs(rows - wanted) > max(1, _ASPECT * wanted):
        turned = abs(columns - rows * height / width) <= max(1, _ASPECT * columns)
        advice = (
            "Turn it upright" if turned and height != width else "Choose the file of this photo"
        )
        raise ValueError(
            f"Expected depth of the photo's shape, {width} × {height}, at any size; {name!r} is "
            f"{columns} × {rows}. {advice}."
        )


def _thinned(values: Num[ndarray, "H W"]) -> Num[ndarray, "h w"]:
    """Return the values at the size that is compared: some as they are, none mixed."""
    height, width = values.shape
    rows, columns = (
        ((np.arange(count) + 0.5) * full / count).astype(int)
        for count, full in zip(fit_size(height, width, SIDE), (height, width), strict=True)
    )
    return values[np.ix_(rows, columns)]


def _scale(own_m: float | None, given_m: float | None, name: str) -> float:
    if own_m is not None:
        return own_m
    if given_m is None:
        raise ValueError(
            f"{name!r} holds whole numbers and does not say how many metres one step is. Type it: "
            "0.001 for millimetres, 1 for metres."
        )
    return _positive(given_m)


def _positive(value: float | str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 < number < math.inf:
        raise _Refusal(
            f"Expected a number of metres above 0 for one step; got {str(value)[:40]!r}. Type "
            "another one, such as 0.001."
        )
    return number
