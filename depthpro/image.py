"""A photo in: sRGB pixels, upright, and the focal length that its metadata gives."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pillow_heif
from jaxtyping import UInt8
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from depthpro.exif import FocalTag, find_focal

MAX_PIXELS = 100_000_000

_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "HEIF")  # of the forty that Pillow knows
_SUBFILE_TYPE, _DNG_VERSION = 0x00FE, 0xC612


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A photo as a person sees it: upright, in sRGB."""

    rgb: UInt8[np.ndarray, "h w 3"]  # contiguous and writable
    f_px: float | None = None  # focal length in pixels of rgb, if the metadata gives it
    f_px_source: FocalTag | None = None  # the metadata fields that gave it


def load_image(path: str | os.PathLike[str]) -> Photo:
    """Return pixels and focal length of a JPEG, PNG, WebP, TIFF or HEIC file, whatever its suffix.

    The first picture of a file with several (HEIC: the primary one) is turned upright by its
    orientation tag and converted to sRGB by its colour profile, if it has a usable one. Transparent
    pixels become white. Grey of 16 bits is rounded to 8; float grey goes from 0 (black) to 1.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is a folder, empty, of another format, truncated or damaged, a raw
            photo, larger than `MAX_PIXELS`, or has grey values outside the range above. The
            message is one sentence with the file's name, never its folder, fit to show a visitor.
    """
    path = Path(path)
    with _open(path) as image:
        f_px, source = find_focal(image)
        image.load()
        with suppress(Exception):  # damaged metadata; by then the pixels are turned
            ImageOps.exif_transpose(image, in_place=True)
        return Photo(np.array(_to_srgb(_to_8_bit(image, path.name))), f_px, source)


def read_focal_px(path: str | os.PathLike[str]) -> float | None:
    """Return `load_image(path).f_px` hundreds of times as fast: pixels are not decoded."""
    with _open(Path(path)) as image:
        return find_focal(image)[0]


class _Refusal(ValueError):
    """An error with a clear reason, unlike the errors of decoders."""


@contextmanager
def _open(path: Path) -> Iterator[Image.Image]:
    """Give the first picture, not yet decoded; errors of decoders become one sentence."""
    name = repr(path.name)
    try:
        pillow_heif.register_heif_opener()
        with Image.open(path, formats=_FORMATS) as image:
            _check(image, name)
            yield image
    except (MemoryError, _Refusal):
        raise
    except FileNotFoundError:
        raise FileNotFoundError(f"expected a photo; got {name}; there is no such file.") from None
    except (IsADirectoryError, PermissionError):
        raise ValueError(f"expected a photo; got {name}, a folder or a locked file.") from None
    except UnidentifiedImageError:
        raise ValueError(
            f"expected a JPEG, PNG, WebP, TIFF or HEIC photo; got {name}, which is empty or of "
            "another kind; export it as one of these, or copy it again if it should be one."
        ) from None
    except Image.DecompressionBombError:
        raise _too_large(name) from None
    except Exception as error:
        raise ValueError(
            f"expected a whole photo; got {name}, which is truncated or damaged; copy it again."
        ) from error


def _check(image: Image.Image, name: str) -> None:
    """Refuse pictures that are too large, and camera raw files, which start with a thumbnail."""
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(name)
    exif = image.getexif() if image.format == "TIFF" else {}
    if _DNG_VERSION in exif or exif.get(_SUBFILE_TYPE, 0) & 1:
        raise _Refusal(f"expected a developed photo; got the raw file {name}; export a JPEG.")


def _too_large(name: str) -> _Refusal:
    limit = f"{MAX_PIXELS / 1e6:.0f} megapixels"
    return _Refusal(f"expected at most {limit}; got {name}, which has more; make it smaller.")


def _to_8_bit(image: Image.Image, name: str) -> Image.Image:
    """Return 16-bit and float grey as mode "L", other images as they are."""
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image)
    white = 1 if image.mode == "F" else 65535
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= white):  # also for NaN
        raise _Refusal(
            f"expected grey values from 0 to {white}; got {low} to {high} in {name!r}; "
            "export it with 8 or 16 bits per channel."
        )
    grey = Image.fromarray(np.rint(values * np.float32(255 / white)).astype(np.uint8))
    grey.info["icc_profile"] = image.info.get("icc_profile")
    return grey


def _to_srgb(image: Image.Image) -> Image.Image:
    """Return the image in mode "RGB": colours converted by its profile, on white."""
    icc, alpha = image.info.get("icc_profile"), None
    is_grey = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
    if image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("L" if is_grey else "RGB")
    if icc:
        with suppress(ImageCms.PyCMSError, OSError):  # a broken profile, or of other colours
            profile = ImageCms.ImageCmsProfile(BytesIO(icc))
            if image.mode == "L" and icc[16:20] == b"RGB ":  # its colour space
                image = image.convert("RGB")
            srgb = ImageCms.createProfile("sRGB")
            image = ImageCms.profileToProfile(image, profile, srgb, outputMode="RGB") or image
    rgb = image.convert("RGB")
    if alpha is not None:
        rgb = Image.composite(rgb, Image.new("RGB", rgb.size, "white"), alpha)
    return rgb
