"""A photo in: sRGB pixels, upright, and the focal length that its metadata gives.

`load_image` changes no state of Pillow or of the process, so that threads can load photos at
once, and of the metadata it keeps a few numbers, never the place where the photo was taken.
"""

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from math import hypot, inf, isfinite
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageCms
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

MAX_PIXELS = 100_000_000

FocalSource = Literal["FocalLengthIn35mmFilm", "FocalLength with FocalPlaneXResolution"]

_TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two are BigTIFF
_HEIF_BRANDS = b"heic heix heim heis hevc hevx hevm hevs mif1 msf1".split()

# Tags of TIFF and EXIF, and the formats of their numbers by type.
_SUBFILE_TYPE, _WIDTH, _HEIGHT, _DNG_VERSION = 0x00FE, 0x0100, 0x0101, 0xC612
_ORIENTATION, _EXIF_DIRECTORY = 0x0112, 0x8769
_FOCAL_MM, _FOCAL_35MM, _EXIF_WIDTH, _EXIF_HEIGHT = 0x920A, 0xA405, 0xA002, 0xA003
_FOCAL_PLANE_X, _FOCAL_PLANE_UNIT = 0xA20E, 0xA210
_NUMBER_FORMATS = {3: "H", 4: "L", 5: "LL", 9: "l", 10: "ll", 11: "f", 12: "d"}
_UNIT_MM: dict[float, float] = {2: 25.4, 3: 10, 4: 1, 5: 0.001}
# Circular fisheyes start at 4 mm, zooms end at 12,000 mm; 65,535 is how some cameras say "unknown".
_MIN_35MM, _MAX_35MM = 1, 20_000
_PROFILE_MODES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}  # by the profile's colour space
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
    with _open_file(path) as file:
        image, exif = _decode(file, path.name)
    pixels = _to_8_bit(image, path.name)
    with _damage_reported(path.name):
        rgb = _to_srgb(pixels)
    turn = _TURNS.get(exif.get(_ORIENTATION, 1))
    if turn is not None and image.format not in ("TIFF", "HEIF"):  # those come upright
        rgb = rgb.transpose(turn)
    f_px, f_px_source = _find_focal(exif, *rgb.size)
    return Photo(_to_array(rgb), f_px, f_px_source)


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


def _open_file(path: Path) -> BinaryIO:
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


@contextmanager
def _damage_reported(name: str) -> Iterator[None]:
    """Turns whatever a decoder raises into one sentence that a visitor can use."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"expected a whole photo; got {name!r}, which is truncated or damaged; copy it again."
        ) from error


class _JpegFile(JpegImageFile):
    """A JPEG whose EXIF block Pillow leaves alone: it would look for a print size, and warn."""

    def _read_dpi_from_exif(self) -> None:
        pass


def _pick_reader(head: bytes, name: str) -> Callable[[BinaryIO], ImageFile]:
    """Pillow's class for the format that the first 12 bytes of a file announce.

    `Image.open` would do this too, but it knows forty formats, PostScript among them, needs HEIC
    registered for the whole process, and warns for the whole process from 89 megapixels on.
    """
    if not head:
        raise ValueError(f"expected a photo; got {name!r}, which is empty; copy it again.")
    if head.startswith(b"\xff\xd8\xff"):
        return _JpegFile
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImageFile
    if head.startswith(b"RIFF") and head[8:] == b"WEBP":
        return WebPImageFile
    if head.startswith(_TIFF_HEADS):
        return TiffImageFile
    if head[4:8] == b"ftyp" and head[8:] in _HEIF_BRANDS:
        from pillow_heif import HeifImageFile  # loads codecs that other photos do not need

        return HeifImageFile
    raise ValueError(
        f"expected a JPEG, PNG, WebP, TIFF or HEIC photo; got {name!r}; export it as one of these."
    )


def _decode(file: BinaryIO, name: str) -> tuple[ImageFile, dict[int, float]]:
    """The first picture, decoded, and the numbers of its metadata."""
    reader = _pick_reader(file.read(12), name)
    file.seek(0)
    with _damage_reported(name):
        image = reader(file)
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ValueError(
            f"expected at most {MAX_PIXELS / 1e6:.0f} megapixels; got {name!r} with "
            f"{width * height / 1e6:.1f} ({width} x {height} pixels); make it smaller first."
        )
    if isinstance(image, TiffImageFile):
        _prepare_tiff(image, name)
    with _damage_reported(name):
        image.load()
        # PNG may carry EXIF behind its pixels, hence only now; in a TIFF the file itself is EXIF.
        exif = _read_exif(file if image.format == "TIFF" else _exif_block(image))
    if image.format == "HEIF":  # libheif has turned the pixels, and pillow-heif reset the tag
        exif[_ORIENTATION] = image.info.get("original_orientation") or 1
    return image, exif


def _prepare_tiff(image: TiffImageFile, name: str) -> None:
    """Refuses camera raw files, and gives the picture its memory."""
    with _damage_reported(name):
        tags = image.tag_v2
        is_raw = _DNG_VERSION in tags or int(tags.get(_SUBFILE_TYPE, 0)) & 1
        # Where Pillow makes the memory, it warns for the whole process from 89 megapixels on.
        image.im = Image.new(image.mode, (tags[_WIDTH], tags[_HEIGHT]), None).im
    if is_raw:
        raise ValueError(f"expected a developed photo; got the raw file {name!r}; export a JPEG.")


def _to_8_bit(image: Image.Image, name: str) -> Image.Image:
    """The image; if it is grey of 16 bits, integer or float, with mode "L"."""
    if image.mode not in ("I", "F") and not image.mode.startswith("I;"):
        return image
    values = np.asarray(image)
    white = 1 if image.mode == "F" else 65535
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= white):  # NaN comes here as well
        raise ValueError(
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
        rgba = image.convert("RGBA")
        image, alpha = image if is_grey else rgba, rgba.getchannel("A")
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
        bottom = min(top + 64, rgb.height)
        array[top:bottom] = np.asarray(rgb.crop((0, top, rgb.width, bottom)))
    return array


def _exif_block(image: ImageFile) -> BinaryIO:
    """The EXIF block of a decoded image as a file, empty where there is none."""
    block = image.info.get("exif") or b""
    with suppress(KeyError, ValueError):  # ImageMagick puts it into a PNG as hexadecimal text
        block = block or bytes.fromhex("".join(image.info["Raw profile type exif"].split("\n")[3:]))
    return BytesIO(block.removeprefix(b"Exif\0\0"))


def _read_exif(file: BinaryIO) -> dict[int, float]:
    """Numbers of the main and the EXIF directory. Pillow would warn of each damaged one."""
    file.seek(0)
    head = file.read(8)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(head[:4])
    if order is None or len(head) < 8:
        return {}
    numbers = _read_directory(file, order, struct.unpack(order + "L", head[4:])[0])
    return numbers | _read_directory(file, order, numbers.get(_EXIF_DIRECTORY, 0))


def _read_directory(file: BinaryIO, order: str, offset: float) -> dict[int, float]:
    """The first number of each numeric field of the directory at `offset`, 0 if there is none."""
    numbers: dict[int, float] = {}
    if not 8 <= offset < 2**32:
        return numbers
    file.seek(int(offset))
    count = int.from_bytes(file.read(2), "little" if order == "<" else "big")
    entries = file.read(12 * count)
    for start in range(0, len(entries) - 11, 12):
        tag, kind, length, data = struct.unpack_from(order + "HHL4s", entries, start)
        # Not a number, outside the file, or a rational over zero: as if it were not there.
        with suppress(KeyError, struct.error, ZeroDivisionError):
            layout = order + _NUMBER_FORMATS[kind]
            size = struct.calcsize(layout)
            if size * length > 4:
                file.seek(struct.unpack(order + "L", data)[0])
                data = file.read(size)
            top, *bottom = struct.unpack(layout, data[:size])
            numbers[tag] = top / bottom[0] if bottom else top
    return numbers


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
        stored = (height, width) if exif.get(_ORIENTATION, 1) in (5, 6, 7, 8) else (width, height)
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
