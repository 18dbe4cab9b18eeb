"""The focal length that a photo's metadata gives, where its tags leave no doubt.

Editors, apps and firmware leave tags behind that no longer fit the picture, and a wrong focal
length makes all depth wrong by its factor. So the tags are weighed together: what the lens, the
sensor, the sizes and the picture say must agree, else the focal length is not used.
"""

from collections.abc import Mapping
from contextlib import suppress
from math import hypot, isfinite
from typing import NamedTuple

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from depthpro.geometry import fov_from_focal

MIN_FOV_DEG, MAX_FOV_DEG = 1.0, 175.0  # horizontal fields of view that are used
_MIN_SENSOR_MM, _MAX_SENSOR_MM = 4.0, 60.0  # widths, from smallest phones to medium format
_MAX_SIDE_RATIO = 2.5
_FROM_35MM = "FocalLengthIn35mmFilm"
_FROM_SENSOR = "FocalLength with FocalPlaneXResolution"
_FILM_DIAGONAL_MM = hypot(36, 24)
_UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
_TAGS = {
    "orientation": 0x0112, "lens_mm": 0x920A, "f_35mm": 0xA405, "width": 0xA002, "height": 0xA003,
    "plane_x": 0xA20E, "plane_y": 0xA20F, "plane_unit": 0xA210, "zoom": 0xA404,
}  # fmt: skip
_LEAST_SENSOR_PX = 500


class _Doubt(Exception):
    """Why tags are not used, in words for the page."""


class _Size(NamedTuple):
    """Pixels of the stored picture, beside those that the camera took."""

    width: int
    height: int
    taken_width: float
    taken_height: float

    @property
    def is_whole(self) -> bool:
        """Whether the sides have the ratio that they were taken with, but for rounding."""
        across, down = self.width * self.taken_height, self.height * self.taken_width
        slack = max(self.width + self.height, self.taken_width + self.taken_height)
        return abs(across - down) <= slack

    @property
    def px_per_taken_px(self) -> float:
        """Scale of the resizing; a crop that leaves one side as it was has resized nothing."""
        if self.is_whole:
            return self.width / self.taken_width
        if self.width == self.taken_width or self.height == self.taken_height:
            return 1.0
        raise _Doubt(
            f"the photo is a part, {self.width} x {self.height} pixels, of "
            f"{self.taken_width:.0f} x {self.taken_height:.0f}"
        )


def focal_px_from_35mm(f_35mm: float, width: int, height: int) -> float:
    """Return the focal length in pixels from the 35 mm equivalent in millimetres.

    The diagonals of image and film frame (36 mm by 24 mm) are set equal, as in the published code,
    so that portrait and landscape give the same. Values must be positive and finite.
    """
    if not all(isfinite(value) and value > 0 for value in (f_35mm, width, height)):
        raise ValueError(
            "expected a positive focal length in mm and a positive image size; "
            f"got {f_35mm} mm and {width} x {height} pixels; correct these values."
        )
    return f_35mm * hypot(width, height) / _FILM_DIAGONAL_MM


def find_focal(image: Image.Image) -> tuple[float | None, str | None]:
    """Return the focal length in pixels with the tags that gave it, or None with the reason.

    Both are None if no tag gives one. The file is opened but not loaded: as it loads, Pillow turns
    a TIFF and drops its orientation.
    """
    tags = read_tags(image)
    # The picture as stored, before it is turned upright; its rows are the sensor's.
    width, height = image.size
    if tags.get("orientation") in (5, 6, 7, 8) and image.format in ("TIFF", "HEIF"):
        width, height = height, width  # Pillow gives the upright size of these two
    return focal_from_tags(tags, width, height)


def focal_from_tags(
    tags: Mapping[str, float], width: int, height: int
) -> tuple[float | None, str | None]:
    """Return what `find_focal` does, from the tags by name and the stored picture's size."""
    reason = None
    turned = tags.get("orientation") in (5, 6, 7, 8)
    panorama = "panorama" in tags or max(width, height) > _MAX_SIDE_RATIO * min(width, height)
    for read, source in ((_from_35mm, _FROM_35MM), (_from_sensor, _FROM_SENSOR)):
        try:
            if f_px := read(tags, width, height):
                fov_deg = fov_from_focal(f_px, height if turned else width)
                if panorama:
                    raise _Doubt
                if not MIN_FOV_DEG <= fov_deg <= MAX_FOV_DEG:
                    raise _Doubt(f"it means a field of view of {fov_deg:.3g}°")
                return f_px, source
        except _Doubt as doubt:
            why = "a panorama has none" if panorama else doubt
            reason = reason or f"{source} is not used: {why}"
    return None, reason


def _from_35mm(tags: Mapping[str, float], width: int, height: int) -> float | None:
    """Return the focal length in pixels by its 35 mm equivalent, None without it."""
    f_35mm, lens_mm = tags.get("f_35mm", 0.0), tags.get("lens_mm", 0.0)
    if f_35mm <= 0:
        return None
    size = _taken_size(tags, width, height) or _Size(width, height, width, height)
    f_px = focal_px_from_35mm(f_35mm, 1, 1) / hypot(1, 1)
    f_px *= hypot(size.taken_width, size.taken_height) * size.px_per_taken_px
    if lens_mm > 0:
        sensor_mm = lens_mm * width / f_px
        # A digital zoom uses a part of the sensor, and counts in the 35 mm equivalent.
        widths = (sensor_mm, sensor_mm * max(tags.get("zoom", 1.0), 1.0))
        if not any(_MIN_SENSOR_MM <= mm <= _MAX_SENSOR_MM for mm in widths):
            raise _Doubt(
                f"{f_35mm:g} mm by a lens of {lens_mm:g} mm means a sensor {sensor_mm:.2g} mm wide"
            )
    return f_px


def _from_sensor(tags: Mapping[str, float], width: int, height: int) -> float | None:
    """Return the focal length in pixels by lens and pixels per sensor length, None without them."""
    lens_mm, plane = tags.get("lens_mm", 0.0), tags.get("plane_x", 0.0)
    unit_mm = _UNIT_MM.get(int(tags.get("plane_unit", 2)))
    if lens_mm <= 0 or plane <= 0 or unit_mm is None:
        return None
    if tags.get("zoom", 1.0) > 1:
        raise _Doubt("the photo has a digital zoom")
    if abs(tags.get("plane_y", plane) / plane - 1) > 0.05:
        raise _Doubt("its pixels are not square")
    size = _sensor_size(tags, width, height) or _taken_size(tags, width, height)
    if size is None:
        raise _Doubt("the size that the photo was taken with is unknown")
    sensor_mm = max(size.taken_width, size.taken_height) / plane * unit_mm
    if not _MIN_SENSOR_MM <= sensor_mm <= _MAX_SENSOR_MM:
        raise _Doubt(f"it means a sensor {sensor_mm:.2g} mm wide")
    return lens_mm * plane / unit_mm * size.px_per_taken_px


def _sensor_size(tags: Mapping[str, float], width: int, height: int) -> _Size | None:
    """Return the picture's size beside the sensor's, where the tags' fractions give that.

    Canon writes 1000 times the sensor's pixels over its length in 1/1000 inch, which editors leave
    when they resize. Of a reduced fraction, all that shows is that it does not fit.
    """
    if tags.get("plane_unit", 2) != 2 or "plane_px_x" not in tags:
        return None
    if tags["plane_px_x"] >= _LEAST_SENSOR_PX and tags["plane_px_x"].is_integer():
        return _taken_size(tags, width, height, "plane_px_x", "plane_px_y")
    length = 1000 * tags.get("width", 0.0) / tags["plane_x"]
    if abs(length - round(length)) > 0.01:
        raise _Doubt("the photo was resized after it was taken")
    return None


def _taken_size(
    tags: Mapping[str, float], width: int, height: int, across: str = "width", down: str = "height"
) -> _Size | None:
    """Return the picture's size beside that of two tags, None without them."""
    taken = tags.get(across, 0.0), tags.get(down, 0.0)
    if min(taken) <= 0:
        return None
    size, turned = _Size(width, height, *taken), _Size(width, height, *taken[::-1])
    # An editor may have turned the pixels but not these tags.
    return turned if turned.is_whole and not size.is_whole else size


def read_tags(image: Image.Image) -> dict[str, float]:
    """Return the numbers that a file's metadata has, by name; damaged ones are left out."""
    fields: dict[int, object] = {}
    with suppress(Exception):  # damaged blocks fail in many ways
        exif = image.getexif()
        fields.update(exif)
        fields.update(exif.get_ifd(ExifTags.IFD.Exif))
    if image.format == "HEIF":  # libheif turns the pixels, and pillow-heif resets the tag
        fields[_TAGS["orientation"]] = image.info.get("original_orientation") or 1
    tags: dict[str, float] = {}
    for name, number in _TAGS.items():
        with suppress(Exception):
            value = float(fields[number])  # pyright: ignore[reportArgumentType]
            if isfinite(value):
                tags[name] = value
    for axis in "xy":
        fraction = fields.get(_TAGS[f"plane_{axis}"])
        if isinstance(fraction, IFDRational) and fraction.denominator > 1:
            tags[f"plane_px_{axis}"] = int(fraction.numerator) / 1000
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    if "GPano:" in str(xmp):
        tags["panorama"] = 1.0
    return tags
