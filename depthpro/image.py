"""A photo in: sRGB pixels, upright, and the focal length that its metadata gives.

Of the metadata only a few numbers are read, never the place where the photo was taken.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from io import SEEK_END, BufferedReader, BytesIO
from math import hypot, inf, isfinite
from pathlib import Path
from typing import Literal

import numpy as np
import pillow_heif
from jaxtyping import UInt8
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

MAX_PIXELS = 100_000_000
FocalSource = Literal["FocalLengthIn35mmFilm", "FocalLength with FocalPlaneXResolution"]

_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "HEIF")  # of the forty that Pillow knows
_SUBFILE_TYPE, _DNG_VERSION = 0x00FE, 0xC612
_ORIENTATION, _FOCAL_MM, _FOCAL_35MM = 0x0112, 0x920A, 0xA405
_EXIF_WIDTH, _EXIF_HEIGHT, _FOCAL_PLANE_X, _FOCAL_PLANE_UNIT = 0xA002, 0xA003, 0xA20E, 0xA210
_NUMBERS = (
    _ORIENTATION, _FOCAL_MM, _FOCAL_35MM, _EXIF_WIDTH, _EXIF_HEIGHT, _FOCAL_PLANE_X,
    _FOCAL_PLANE_UNIT,
)  # fmt: skip
_UNIT_MM: dict[float, float] = {2: 25.4, 3: 10, 4: 1, 5: 0.001}
# Circular fisheyes start at 4 mm, zooms end at 12,000 mm; 65,535 is how some cameras say "unknown".
_MIN_35MM, _MAX_35MM = 1, 20_000
_PROFILE_MODES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}  # by the profile's colour space
_ON_ITS_SIDE = (5, 6, 7, 8)
_TURNS: dict[float, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A photo as a person sees it: upright, in sRGB.

    Attributes:
        rgb: Pixels, contiguous and writable.
        f_px: Focal length in pixels of `rgb`, or None where the metadata does not give it.
        f_px_source: The metadata fields that gave `f_px`; None exactly where `f_px` is None.
    """

    rgb: UInt8[np.ndarray, "h w 3"]
    f_px: float | None = None
    f_px_source: FocalSource | None = None


def load_image(path: str | os.PathLike[str]) -> Photo:
    """Pixels and focal length of a JPEG, PNG, WebP, TIFF or HEIC file.

    The first picture of a file with several (HEIC: the primary one) is turned upright by its
    orientation tag and converted to sRGB by its embedded colour profile; without a profile, or
    with a broken one, its values are sRGB. Transparent pixels show white, as on a page. Grey
    values of 16 bits are divided by 257 and rounded; float grey goes from 0 (black) to 1.

    Args:
        path: The file; its name need not end in the right suffix.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is a folder, empty, of another format, truncated or damaged, a raw
            photo, larger than `MAX_PIXELS`, or has grey values outside the range above. The
            message is one sentence with the file's name, never its folder, fit to show a visitor.
    """
    path = Path(path)
    with _open_file(path) as file, _damage_reported(path.name):
        image, exif = _identify(file, path.name)
        image.load()
        rgb = _to_srgb(_to_8_bit(image, path.name))
    turn = _TURNS.get(exif.get(_ORIENTATION, 1))
    if turn is not None and not _comes_upright(image):
        rgb = rgb.transpose(turn)
    return Photo(_to_array(rgb), *_find_focal(exif, *rgb.size))


def read_focal_px(path: str | os.PathLike[str]) -> float | None:
    """`load_image(path).f_px`, hundreds of times as fast: pixels are not read.

    Only of a PNG without metadata they are, which may come after them.

    Args:
        path: The file; its name need not end in the right suffix.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: As `load_image` says, except where only the pixels are at fault.
    """
    path = Path(path)
    with _open_file(path) as file, _damage_reported(path.name):
        image, exif = _identify(file, path.name)
        on_its_side = exif.get(_ORIENTATION, 1) in _ON_ITS_SIDE and not _comes_upright(image)
        return _find_focal(exif, *(image.size[::-1] if on_its_side else image.size))[0]


def focal_px_from_35mm(f_35mm: float, width: int, height: int) -> float:
    """Focal length in pixels of an image whose 35 mm equivalent focal length is known.

    The diagonals of image and film frame (36 mm by 24 mm) are set equal, so that the result does
    not depend on which side is up.

    Args:
        f_35mm: 35 mm equivalent focal length in millimetres.
        width: Columns of the image.
        height: Rows of the image.

    Raises:
        ValueError: A value is not positive and finite.

    Source: FACTS §12, as the released code.
    """
    if not all(isfinite(value) and value > 0 for value in (f_35mm, width, height)):
        raise ValueError(
            "expected a positive focal length in mm and a positive image size; "
            f"got {f_35mm} mm and {width} x {height} pixels; correct these values."
        )
    return f_35mm * hypot(width, height) / hypot(36, 24)


def _open_file(path: Path) -> BufferedReader:
    """The file, open for reading."""
    if path.is_dir():
        raise ValueError(f"expected a photo; got the folder {path.name!r}; choose a photo in it.")
    try:
        return path.open("rb")
    except OSError as error:
        kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
        raise kind(
            f"expected a photo; got {path.name!r}, which cannot be opened ({error.strerror}); "
            "check its name and permissions."
        ) from error


class _Refusal(ValueError):
    """A reason that is not damage."""


@contextmanager
def _damage_reported(name: str) -> Iterator[None]:
    """Turns whatever a decoder raises into one sentence that a visitor can use."""
    try:
        yield
    except (MemoryError, _Refusal):
        raise
    except Exception as error:
        raise ValueError(
            f"expected a whole photo; got {name!r}, which is truncated or damaged; copy it again."
        ) from error


@cache
def _register_heic() -> None:
    pillow_heif.register_heif_opener()


def _identify(file: BufferedReader, name: str) -> tuple[Image.Image, dict[int, float]]:
    """The first picture, not yet decoded, and the numbers of its metadata."""
    _register_heic()
    try:
        image = Image.open(file, formats=_FORMATS)
    except UnidentifiedImageError:
        if not file.seek(0, SEEK_END):
            raise _Refusal(
                f"expected a photo; got {name!r}, which is empty; copy it again."
            ) from None
        raise _Refusal(
            f"expected a JPEG, PNG, WebP, TIFF or HEIC photo; got {name!r}; export it as one of "
            "these, or copy it again if it should be one."
        ) from None
    except Image.DecompressionBombError:
        raise _too_large(name, "more than 178 megapixels") from None
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(name, f"{image.width} x {image.height} pixels")
    if image.format == "TIFF" and _is_raw(image):
        raise _Refusal(f"expected a developed photo; got the raw file {name!r}; export a JPEG.")
    return image, _metadata(image)  # now, because Pillow turns a TIFF, and forgets, as it loads


def _comes_upright(image: Image.Image) -> bool:
    """True for the formats that their libraries turn."""
    return image.format in ("TIFF", "HEIF")


def _too_large(name: str, size: str) -> _Refusal:
    return _Refusal(
        f"expected at most {MAX_PIXELS / 1e6:.0f} megapixels; got {name!r} with {size}; make it "
        "smaller first."
    )


def _is_raw(image: Image.Image) -> bool:
    """True for camera raw files, whose first picture is a thumbnail."""
    exif = image.getexif()
    return _DNG_VERSION in exif or bool(int(exif.get(_SUBFILE_TYPE, 0)) & 1)


def _metadata(image: Image.Image) -> dict[int, float]:
    """Numbers of the main and the EXIF directory; damaged ones are as if they were not there."""
    fields: dict[int, object] = {}
    with suppress(Exception):  # damaged blocks fail in many ways
        exif = image.getexif()
        fields.update(exif)
        fields.update(exif.get_ifd(ExifTags.IFD.Exif))
    if image.format == "HEIF":  # libheif turns the pixels, and pillow-heif resets the tag
        fields[_ORIENTATION] = image.info.get("original_orientation") or 1
    numbers = {}
    for tag in _NUMBERS:
        with suppress(Exception):  # damaged blocks fail in many ways
            numbers[tag] = float(fields[tag])  # pyright: ignore[reportArgumentType]
    return numbers


def _to_8_bit(image: Image.Image, name: str) -> Image.Image:
    """The image; if it is grey of 16 bits, integer or float, with mode "L"."""
    if image.mode not in ("I", "F") and not image.mode.startswith("I;"):
        return image
    values = np.asarray(image)
    white = 1 if image.mode == "F" else 65535
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= white):  # NaN comes here as well
        raise _Refusal(
            f"expected grey values from 0 to {white}; got {low} to {high} in {name!r}; "
            "export it with 8 or 16 bits per channel."
        )
    # 65535 = 255 * 257, so adding 128 before the integer division rounds.
    levels = np.rint(values * 255) if white == 1 else (values.astype(np.uint32) + 128) // 257
    grey = Image.fromarray(levels.astype(np.uint8))
    grey.info["icc_profile"] = image.info.get("icc_profile")
    return grey


def _to_srgb(image: Image.Image) -> Image.Image:
    """The image in mode "RGB", colours converted by its profile, on white where transparent."""
    profile, alpha = image.info.get("icc_profile"), None
    is_grey = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
    if image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("L" if is_grey else "RGB")
    if profile:
        image = _apply_profile(image, profile)
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    if alpha is not None:
        rgb = Image.composite(rgb, Image.new("RGB", rgb.size, "white"), alpha)
    return rgb


def _apply_profile(image: Image.Image, icc: bytes) -> Image.Image:
    """The image in sRGB, or as it was where the profile changes nothing or cannot be used."""
    with suppress(ImageCms.PyCMSError, KeyError, OSError, TypeError, ValueError):
        mode = _PROFILE_MODES[icc[16:20]]
        if image.mode != mode and (image.mode, mode) != ("L", "RGB"):
            return image
        profile, srgb = ImageCms.ImageCmsProfile(BytesIO(icc)), ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(profile, srgb, mode, "RGB")
        if mode != "RGB" or not _is_identity(transform):
            return transform.apply(image if image.mode == mode else image.convert(mode))
    return image


def _is_identity(transform: ImageCms.ImageCmsTransform) -> bool:
    """True if no colour moves by more than one level of 255, as with the many spellings of sRGB."""
    colours = np.linspace(0, 255, 9).astype(np.uint8)[np.indices((9, 9, 9)).T].reshape(27, 27, 3)
    moved = np.asarray(transform.apply(Image.fromarray(colours)))
    return int(np.abs(moved.astype(int) - colours).max()) <= 1


def _to_array(rgb: Image.Image) -> UInt8[np.ndarray, "h w 3"]:
    """The pixels of an RGB image, 64 rows at a time: twice as fast as all at once."""
    array = np.empty((rgb.height, rgb.width, 3), np.uint8)
    for top in range(0, rgb.height, 64):
        strip = rgb.crop((0, top, rgb.width, min(top + 64, rgb.height)))
        array[top : top + 64] = np.asarray(strip)
    return array


def _find_focal(
    exif: dict[int, float], width: int, height: int
) -> tuple[float | None, FocalSource | None]:
    """Focal length in pixels of the upright image and the fields that gave it, or two Nones."""
    px_per_35mm = focal_px_from_35mm(1, width, height)
    f_35mm = exif.get(_FOCAL_35MM, 0)
    if _MIN_35MM <= f_35mm <= _MAX_35MM:
        return f_35mm * px_per_35mm, "FocalLengthIn35mmFilm"
    f_mm, sensor_px_per_unit = exif.get(_FOCAL_MM, 0), exif.get(_FOCAL_PLANE_X, 0)
    if f_mm > 0 and sensor_px_per_unit > 0:
        sensor_px_per_mm = sensor_px_per_unit / _UNIT_MM.get(exif.get(_FOCAL_PLANE_UNIT, 2), inf)
        # The sensor's rows are those of the stored image, before it was turned upright.
        stored = (height, width) if exif.get(_ORIENTATION, 1) in _ON_ITS_SIDE else (width, height)
        f_px = f_mm * sensor_px_per_mm * _resize_factor(exif, *stored)
        if _MIN_35MM <= f_px / px_per_35mm <= _MAX_35MM:
            return f_px, "FocalLength with FocalPlaneXResolution"
    return None, None


def _resize_factor(exif: dict[int, float], width: int, height: int) -> float:
    """Pixels of the stored image per pixel of the sensor, 0 where it has been cropped since."""
    sensor_width, sensor_height = exif.get(_EXIF_WIDTH, 0), exif.get(_EXIF_HEIGHT, 0)
    if not sensor_width > 0:
        return 1
    # Sides are rounded, which a cross product shows as up to one row and one column.
    slack = max(width + height, sensor_width + sensor_height)
    if not sensor_height > 0 or abs(width * sensor_height - height * sensor_width) <= slack:
        return width / sensor_width
    if abs(width * sensor_width - height * sensor_height) <= slack:
        return width / sensor_height  # an editor has turned the pixels but not these two fields
    return 0
