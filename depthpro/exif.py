"""The focal length that a photo's metadata gives."""

from contextlib import suppress
from math import hypot, inf, isfinite
from typing import Any, Literal

from PIL import ExifTags, Image

FocalTag = Literal["FocalLengthIn35mmFilm", "FocalLength with FocalPlaneXResolution"]

_ORIENTATION, _FOCAL_MM, _FOCAL_35MM = 0x0112, 0x920A, 0xA405
_EXIF_WIDTH, _EXIF_HEIGHT, _FOCAL_PLANE_X, _FOCAL_PLANE_UNIT = 0xA002, 0xA003, 0xA20E, 0xA210
_UNIT_MM: dict[float, float] = {2: 25.4, 3: 10, 4: 1, 5: 0.001}
# Circular fisheyes start at 4 mm, zooms end at 12,000 mm; some cameras write 65,535 for "unknown".
_MIN_35MM, _MAX_35MM = 1, 20_000


def focal_px_from_35mm(f_35mm: float, width: int, height: int) -> float:
    """Return the focal length in pixels from the 35 mm equivalent in millimetres.

    The diagonals of image and film frame (36 mm by 24 mm) are set equal, as in the published code,
    so that portrait and landscape give the same. All values must be positive and finite.
    """
    if not all(isfinite(value) and value > 0 for value in (f_35mm, width, height)):
        raise ValueError(
            "expected a positive focal length in mm and a positive image size; "
            f"got {f_35mm} mm and {width} x {height} pixels; correct these values."
        )
    return f_35mm * hypot(width, height) / hypot(36, 24)


def find_focal(image: Image.Image) -> tuple[float | None, FocalTag | None]:
    """Return the focal length in pixels and the fields that gave it, or two Nones.

    The image must not be loaded yet: then Pillow turns a TIFF and drops its orientation.
    """
    exif = _read_numbers(image)
    # Size of the picture as stored, before it is turned upright; its rows are the sensor's.
    width, height = image.size
    if exif.get(_ORIENTATION) in (5, 6, 7, 8) and image.format in ("TIFF", "HEIF"):
        width, height = height, width  # these two give the upright size
    px_per_35mm = focal_px_from_35mm(1, width, height)
    f_35mm = exif.get(_FOCAL_35MM, 0)
    if _MIN_35MM <= f_35mm <= _MAX_35MM:
        return f_35mm * px_per_35mm, "FocalLengthIn35mmFilm"
    f_mm, sensor_px_per_unit = exif.get(_FOCAL_MM, 0), exif.get(_FOCAL_PLANE_X, 0)
    if f_mm > 0 and sensor_px_per_unit > 0:
        sensor_px_per_mm = sensor_px_per_unit / _UNIT_MM.get(exif.get(_FOCAL_PLANE_UNIT, 2), inf)
        f_px = f_mm * sensor_px_per_mm * _resize_factor(exif, width, height)
        if _MIN_35MM <= f_px / px_per_35mm <= _MAX_35MM:
            return f_px, "FocalLength with FocalPlaneXResolution"
    return None, None


def _read_numbers(image: Image.Image) -> dict[int, float]:
    """Return numbers of the main and the EXIF directory; damaged ones are left out."""
    fields: dict[int, Any] = {}
    with suppress(Exception):  # damaged blocks fail in many ways
        exif = image.getexif()
        fields.update(exif)
        fields.update(exif.get_ifd(ExifTags.IFD.Exif))
    if image.format == "HEIF":  # libheif turns the pixels, and pillow-heif resets the tag
        fields[_ORIENTATION] = image.info.get("original_orientation") or 1
    numbers: dict[int, float] = {}
    for tag, value in fields.items():
        with suppress(Exception):
            numbers[tag] = float(value)
    return numbers


def _resize_factor(exif: dict[int, float], width: int, height: int) -> float:
    """Return pixels of the stored image per pixel of the sensor, 0 if it has been cropped."""
    sensor_width, sensor_height = exif.get(_EXIF_WIDTH, 0), exif.get(_EXIF_HEIGHT, 0)
    if not sensor_width > 0:
        return 1
    # Sides are rounded, which a cross product shows as up to one row and one column.
    slack = max(width + height, sensor_width + sensor_height)
    if not sensor_height > 0 or abs(width * sensor_height - height * sensor_width) <= slack:
        return width / sensor_width
    turned = abs(width * sensor_width - height * sensor_height) <= slack  # by an editor
    return width / sensor_height if turned else 0
