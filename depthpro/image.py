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
from PIL import Image, ImageCms, ImageFile, ImageOps, UnidentifiedImageError

from depthpro.photos.exif import find_focal
from depthpro.photos.hdr import find_coding, read_hdr
from depthpro.photos.tiff import Unreadable, read_deep_tiff, to_8_bit

MAX_PIXELS = 100_000_000  # larger photos, as phones' of 108 and 200 megapixels, are halved
MAX_FILE_PIXELS = 270_000_000
Image.MAX_IMAGE_PIXELS = MAX_FILE_PIXELS  # Pillow's own limit against bombs

_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF")  # of the forty that Pillow knows
_SUBFILE_TYPE, _DNG_VERSION = 0x00FE, 0xC612


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A photo as a person sees it: upright, in sRGB."""

    rgb: UInt8[np.ndarray, "h w 3"]  # contiguous and writable
    f_px: float | None = None  # focal length in pixels of rgb, if the metadata gives it
    f_px_source: str | None = None  # the metadata fields that gave it, or why it is not used


def load_image(path: str | os.PathLike[str]) -> Photo:
    """Return pixels and focal length of a photo: JPEG, PNG, WebP, TIFF, HEIC or AVIF.

    The file's suffix does not matter. The first picture of a file with several (HEIC: the primary
    one) is turned upright by its orientation tag and converted to sRGB by its colour profile, if it
    has a usable one; HDR is mapped so that diffuse white is white. Transparent pixels become white.
    Values of more than 8 bits are rounded to 8; floats go from 0 (black) to 1.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is a folder, empty, of another format, truncated or damaged, a raw
            photo, larger than `MAX_FILE_PIXELS`, or has values outside the range above. The
            message is one sentence with the file's name, never its folder, fit to show a visitor.
    """
    path = Path(path)
    with _open(path) as image:
        f_px, source = find_focal(image)
        longest = max(image.size)
        if image.width * image.height > MAX_PIXELS:  # decodes a JPEG at half of its size
            image.draft("RGB", (image.width // 2, image.height // 2))
        upright = _decode(image)
        if upright.width * upright.height > MAX_PIXELS:
            upright = upright.reduce(2)
        rgb = np.array(_to_srgb(upright))
        return Photo(rgb, f_px and f_px * max(rgb.shape) / longest, source)


def read_focal_px(path: str | os.PathLike[str]) -> float | None:
    """Return `load_image(path).f_px` hundreds of times as fast: pixels are not decoded."""
    with _open(Path(path)) as image:
        return find_focal(image)[0]


class _Refusal(ValueError):
    """A clear reason, to tell from what decoders raise."""


@contextmanager
def _open(path: Path) -> Iterator[Image.Image]:
    """Give the first picture, not yet decoded; whatever a decoder raises becomes one sentence."""
    name = repr(path.name)
    try:
        pillow_heif.register_heif_opener()
        with path.open("rb") as file:
            image = read_deep_tiff(file) or Image.open(file, formats=_FORMATS)
            if image.width * image.height > MAX_FILE_PIXELS:
                raise _too_large(name, f"{image.width} x {image.height} pixels")
            exif = image.getexif() if image.format == "TIFF" else {}
            if _DNG_VERSION in exif or exif.get(_SUBFILE_TYPE, 0) & 1:  # starts with a thumbnail
                raw = f"got the raw file {name}; export a JPEG."
                raise _Refusal(f"expected a developed photo; {raw}")
            yield image
    except Unreadable as error:
        raise ValueError(f"expected a photo; got {name}, {error}") from None
    except (MemoryError, _Refusal):
        raise
    except FileNotFoundError:
        raise FileNotFoundError(f"expected a photo; got {name}; there is no such file.") from None
    except (IsADirectoryError, PermissionError):
        raise ValueError(f"expected a photo; got {name}, a folder or a locked file.") from None
    except UnidentifiedImageError:
        raise ValueError(
            f"expected a JPEG, PNG, WebP, TIFF, HEIC or AVIF photo; got {name}, which is empty or "
            "of another kind; export it as one of these, or copy it again if it should be one."
        ) from None
    except Image.DecompressionBombError:
        raise _too_large(name, "more than twice that") from None
    except Exception as error:
        raise ValueError(
            f"expected a whole photo; got {name}, which is truncated or damaged; copy it again."
        ) from error


def _too_large(name: str, size: str) -> _Refusal:
    return _Refusal(
        f"expected at most {MAX_FILE_PIXELS / 1e6:.0f} megapixels; got {name} with {size}; make it "
        "smaller first."
    )


def _decode(image: Image.Image) -> Image.Image:
    """Return the picture upright, with 8 bits a channel."""
    if isinstance(image, ImageFile.ImageFile) and (coding := find_coding(image)):
        return read_hdr(image, coding)
    image.load()
    with suppress(Exception):  # damaged metadata; by then the pixels are turned
        ImageOps.exif_transpose(image, in_place=True)
    if not image.mode.startswith(("I", "F")):
        return image
    grey = Image.fromarray(to_8_bit(np.asarray(image), 1 if image.mode == "F" else 65535))
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
    rgb = image if image.mode == "RGB" else image.convert("RGB")  # which would copy
    if alpha is not None:
        rgb = Image.composite(rgb, Image.new("RGB", rgb.size, "white"), alpha)
    return rgb
