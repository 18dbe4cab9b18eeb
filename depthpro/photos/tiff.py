"""TIFF files that Pillow refuses or misreads: deep colours, planes, odd directories."""

import logging
from contextlib import suppress
from typing import BinaryIO

import numpy as np
import tifffile
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

_DNG_VERSION, _ICC, _INTEROP, _REDUCED = 0xC612, 0x8773, 0xA005, 1
_MAX_BYTES = 2_000_000_000
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # our errors name what is wrong


class Unreadable(ValueError):
    """What a file is that cannot be used though it is whole, and what to do."""


def read_deep_tiff(file: BinaryIO) -> Image.Image | None:
    """Return a TIFF's first picture with 8 bits a channel, or None for one that Pillow reads.

    Integers are divided by the largest value of their bits, floats go from 0 (black) to 1. Colour
    profile, orientation and EXIF come with it. `Unreadable` if kind or values have no agreed
    meaning.
    """
    try:
        page = tifffile.TiffFile(file).pages.first
        dtype = page.dtype
        if dtype is None or _pillow_reads(page, dtype):
            return None
    except Exception:  # not a TIFF, or damaged: Pillow's to say
        return None
    finally:
        file.seek(0)
    kind = f"{dtype.name} with {page.samplesperpixel} channels"
    if page.samplesperpixel not in _MODES or dtype.name == "uint32":
        raise Unreadable(f"a TIFF of {kind}; export it with 8 or 16 bits per channel.")
    if page.nbytes > _MAX_BYTES:
        size = " x ".join(map(str, page.shape))
        raise Unreadable(f"a TIFF of {size} values, {kind}; make it smaller first.")
    try:
        values = page.asarray()
    except Exception as error:
        if "imagecodecs" in str(error):  # of a compression that tifffile leaves to others
            raise Unreadable(
                f"a TIFF of {kind}, in a compression that is not read; export it "
                "uncompressed, or with 8 bits per channel."
            ) from error
        raise
    finally:
        file.seek(0)
    if page.axes.startswith("S"):
        values = np.moveaxis(values, 0, -1)
    levels = to_8_bit(values, 1 if dtype.kind == "f" else np.iinfo(dtype).max)
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        levels = 255 - levels
    image = Image.fromarray(levels, _MODES[page.samplesperpixel])
    if _ICC in page.tags:
        image.info["icc_profile"] = page.tags[_ICC].value
    with suppress(Exception):  # damaged metadata
        exif = Image.Exif()
        exif.load_from_fp(file)
        image.info["exif"] = exif.tobytes()
    file.seek(0)
    return image


def _pillow_reads(page: tifffile.TiffPage, dtype: np.dtype) -> bool:
    """Whether Pillow reads a picture right, or refuses it for the right reason."""
    names = tifffile.PHOTOMETRIC
    if page.photometric not in (names.MINISBLACK, names.MINISWHITE, names.RGB):
        return True
    if _DNG_VERSION in page.tags or page.subfiletype & _REDUCED or page.bitspersample <= 8:
        return dtype.kind != "i"
    grey = page.samplesperpixel == 1
    planes = not grey and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE
    known = ("uint16", "uint32", "int32", "float32") if grey else ("uint16",)
    # Pillow inverts no deep grey, and looks for this tag in the EXIF directory only.
    odd = page.photometric == names.MINISWHITE or _INTEROP in page.tags
    return dtype.name in known and not planes and not odd


def to_8_bit(values: ndarray, white: int) -> UInt8[ndarray, "*shape"]:
    """Return values from 0 to `white` as 0 to 255, rounded; `Unreadable` if a value is outside."""
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= white):  # also for NaN
        raise Unreadable(
            f"which has values from {low:g} to {high:g}, where 0 to {white} are black to white; "
            "export it with 8 or 16 bits per channel."
        )
    if values.dtype.kind == "f":
        return np.rint(values.astype(np.float32) * 255).astype(np.uint8)
    return ((values.astype(np.uint32) * 255 + white // 2) // white).astype(np.uint8)
