# ruff: noqa: E501  (a table)
"""The focal length of metadata: right, or not used and why. Tags of files that people share."""

from math import hypot
from struct import pack

import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from depthpro.image import load_image
from depthpro.photos.exif import focal_from_tags, read_tags

FILM, SENSOR = "FocalLengthIn35mmFilm", "FocalLength with FocalPlaneXResolution"
PHONE = {"lens_mm": 5.1, "f_35mm": 26.0}
TAKEN = {"width": 4032.0, "height": 3024.0}
CANON = {"lens_mm": 7.4, "plane_x": 2272000 / 280, "plane_y": 1704000 / 210, "plane_unit": 2.0}
CANON_SIZE = {"width": 2272.0, "height": 1704.0}
EOS = {"lens_mm": 50.0, "plane_x": 3888000 / 876, "plane_y": 2592000 / 583, "plane_unit": 2.0}
EOS_FRACTION = {"plane_px_x": 3888.0, "plane_px_y": 2592.0}
EOS_REDUCED = {"plane_px_x": 324.0, "plane_px_y": 2592.0}


def film(f_35mm: float, width: float, height: float) -> float:
    return f_35mm * hypot(width, height) / hypot(36, 24)


# Label, tags, stored size, focal length in pixels or None, and words of its source.
CASES = [
    ("whole photo", PHONE | TAKEN, (4032, 3024), film(26, 4032, 3024), FILM),
    ("no size tags", PHONE, (4032, 3024), film(26, 4032, 3024), FILM),
    ("35 mm tag alone", {"f_35mm": 50.0}, (6000, 4000), 50 / 36 * 6000, FILM),
    ("portrait", {"f_35mm": 50.0}, (4000, 6000), 50 / 36 * 6000, FILM),
    ("turned by its tag", PHONE | TAKEN | {"orientation": 6.0}, (4032, 3024), film(26, 4032, 3024), FILM),
    ("resized, size tags kept", PHONE | TAKEN, (1024, 768), film(26, 1024, 768), FILM),
    ("resized, size tags rewritten", PHONE | {"width": 1024.0, "height": 768.0}, (1024, 768), film(26, 1024, 768), FILM),
    ("turned by an editor", PHONE | TAKEN, (3024, 4032), film(26, 4032, 3024), FILM),
    ("rows cut off", PHONE | TAKEN, (4032, 2268), film(26, 4032, 3024), FILM),
    ("columns cut off", PHONE | TAKEN, (3024, 3024), film(26, 4032, 3024), FILM),
    ("cut on all sides", PHONE | TAKEN, (1000, 1000), None, "a part, 1000 x 1000 pixels, of 4032 x 3024"),
    ("cut and resized", PHONE | TAKEN, (1600, 900), None, "a part"),
    ("panorama by its sides", PHONE, (12000, 2500), None, "a panorama has none"),
    ("upright panorama", PHONE, (2000, 9000), None, "a panorama has none"),
    ("panorama by its metadata", PHONE | {"panorama": 1.0}, (4096, 2048), None, "a panorama has none"),
    ("35 mm tag 9920", {"lens_mm": 8.0, "f_35mm": 9920.0}, (3264, 2448), None, "a sensor 0.028 mm wide"),
    ("35 mm tag 65535, no lens", {"f_35mm": 65535.0}, (3264, 2448), None, "a field of view of 0.03"),
    ("35 mm tag 1", {"lens_mm": 2.5, "f_35mm": 1.0}, (3264, 2448), None, "a sensor 87 mm wide"),
    ("35 mm tag 0.5, no lens", {"f_35mm": 0.5}, (4000, 3000), None, "a field of view of 177°"),
    ("35 mm tag 0", {"lens_mm": 4.2, "f_35mm": 0.0}, (4032, 3024), None, None),
    ("35 mm tag below 0", {"f_35mm": -26.0}, (4032, 3024), None, None),
    ("camera of an app", {"lens_mm": 3.99, "f_35mm": 177.0}, (640, 480), None, "a sensor 0.78 mm wide"),
    ("digital zoom", {"lens_mm": 4.0, "f_35mm": 140.0, "zoom": 5.0}, (4032, 3024), film(140, 4032, 3024), FILM),
    ("zoom of 1 explains nothing", {"lens_mm": 4.0, "f_35mm": 140.0, "zoom": 1.0}, (4032, 3024), None, "a sensor"),
    ("fisheye of 8 mm", {"lens_mm": 8.0, "f_35mm": 8.0}, (6000, 4000), film(8, 6000, 4000), FILM),
    ("telescope", {"lens_mm": 800.0, "f_35mm": 1200.0}, (6000, 4000), film(1200, 6000, 4000), FILM),
    ("medium format", {"lens_mm": 63.0, "f_35mm": 50.0}, (8256, 6192), film(50, 8256, 6192), FILM),
    ("sensor, whole", CANON | CANON_SIZE | {"zoom": 1.0}, (2272, 1704), 7.4 * 2272 / 0.28 / 25.4, SENSOR),
    ("sensor, resized", CANON | CANON_SIZE, (1136, 852), 7.4 * 1136 / 0.28 / 25.4, SENSOR),
    ("sensor, turned by an editor", CANON | CANON_SIZE, (1704, 2272), 7.4 * 2272 / 0.28 / 25.4, SENSOR),
    ("sensor, turned by its tag", CANON | CANON_SIZE | {"orientation": 8.0}, (2272, 1704), 7.4 * 2272 / 0.28 / 25.4, SENSOR),
    ("sensor, rows cut off", CANON | CANON_SIZE, (2272, 1278), 7.4 * 2272 / 0.28 / 25.4, SENSOR),
    ("sensor, cut", CANON | CANON_SIZE, (1500, 1500), None, "a part"),
    ("sensor, digital zoom", CANON | CANON_SIZE | {"zoom": 2.0}, (2272, 1704), None, "digital zoom"),
    ("sensor, no size tags", CANON, (1500, 1125), None, "the size that the photo was taken with is unknown"),
    ("sensor, no lens", {**CANON, "lens_mm": 0.0} | CANON_SIZE, (2272, 1704), None, None),
    ("sensor, no unit is inches", {k: v for k, v in (CANON | CANON_SIZE).items() if k != "plane_unit"}, (2272, 1704), 7.4 * 2272 / 0.28 / 25.4, SENSOR),
    ("sensor, unit 1", CANON | CANON_SIZE | {"plane_unit": 1.0}, (2272, 1704), None, None),
    ("sensor, pixels that are not square", CANON | CANON_SIZE | {"plane_y": 4000.0}, (2272, 1704), None, "not square"),
    ("sensor of 1 mm", CANON | CANON_SIZE | {"plane_x": 60000.0, "plane_y": 60000.0}, (2272, 1704), None, "a sensor 0.96 mm wide"),
    ("fraction, resized, no size tags", EOS | EOS_FRACTION, (1500, 1000), 50 / 22.25 * 1500, SENSOR),
    ("fraction, size tags rewritten", EOS | EOS_FRACTION | {"width": 1000.0, "height": 667.0}, (1000, 667), 50 / 22.25 * 1000, SENSOR),
    ("reduced fraction, size tags rewritten", EOS | EOS_REDUCED | {"width": 1000.0, "height": 667.0}, (1000, 667), None, "resized"),
    ("reduced fraction, whole", EOS | EOS_REDUCED | {"width": 3888.0, "height": 2592.0}, (3888, 2592), 50 / 22.25 * 3888, SENSOR),
    ("per centimetre", {"lens_mm": 25.6, "plane_x": 2092.0, "plane_unit": 3.0, "width": 4896.0, "height": 3264.0}, (4896, 3264), 25.6 * 209.2, SENSOR),
    ("per millimetre", {"lens_mm": 25.6, "plane_x": 209.2, "plane_unit": 4.0, "width": 4896.0, "height": 3264.0}, (4896, 3264), 25.6 * 209.2, SENSOR),
    ("per micrometre", {"lens_mm": 25.6, "plane_x": 0.2092, "plane_unit": 5.0, "width": 4896.0, "height": 3264.0}, (4896, 3264), 25.6 * 209.2, SENSOR),
    ("sensor tags of the preview", {"lens_mm": 25.6, "f_35mm": 38.0, "plane_x": 820.0, "plane_unit": 3.0}, (4896, 3264), film(38, 4896, 3264), FILM),
    ("35 mm tag wrong, sensor right", CANON | CANON_SIZE | {"f_35mm": 9000.0}, (2272, 1704), 7.4 * 2272 / 0.28 / 25.4, SENSOR),
    ("nothing", {}, (4032, 3024), None, None),
]  # fmt: skip


@pytest.mark.parametrize(("label", "tags", "size", "f_px", "words"), CASES)
def test_tags_are_weighed_together(label, tags, size, f_px, words) -> None:
    got, source = focal_from_tags(tags, *size)
    assert got == (None if f_px is None else pytest.approx(f_px, rel=2e-3))
    if f_px is not None or words is None:
        assert source == words
    else:
        assert source is not None
        assert words in source
        assert source.startswith((f"{FILM} is not used: ", f"{SENSOR} is not used: "))


def test_tags_reach_the_photo_with_their_reason(tmp_path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769).update({0x920A: 3.99, 0xA405: 177, 0xA002: 640, 0xA003: 480, 0xA404: 1.0})
    path = tmp_path / "app.jpg"
    Image.new("RGB", (640, 480)).save(path, exif=exif)
    photo = load_image(path)
    assert photo.rgb.shape == (640, 480, 3)
    assert photo.f_px is None
    assert photo.f_px_source == (
        f"{FILM} is not used: 177 mm by a lens of 3.99 mm means a sensor 0.78 mm wide"
    )
    with Image.open(path) as image:
        tags = read_tags(image)
    assert tags == pytest.approx(
        {"orientation": 6, "lens_mm": 3.99, "f_35mm": 177, "width": 640, "height": 480, "zoom": 1}
    )


def test_a_panorama_is_told_by_its_xmp(tmp_path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 26
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><GPano:ProjectionType>equirectangular</GPano:ProjectionType></x:xmpmeta>'
    Image.new("RGB", (400, 200)).save(tmp_path / "sphere.jpg", exif=exif, xmp=xmp)
    assert (
        load_image(tmp_path / "sphere.jpg").f_px_source
        == f"{FILM} is not used: a panorama has none"
    )


@pytest.mark.parametrize(("reduced", "f_px"), [(False, 50 / 22.987 * 1500), (True, None)])
def test_a_fraction_says_how_many_pixels_the_sensor_has(tmp_path, reduced, f_px) -> None:
    exif = Image.Exif()
    plane = {0xA20E: IFDRational(5184000, 905), 0xA20F: IFDRational(3456000, 595), 0xA210: 2}
    sizes = {0xA002: 1500, 0xA003: 1000}  # an editor wrote its own
    exif.get_ifd(0x8769).update(plane | sizes | {0x920A: 50})
    data = exif.tobytes()
    if not reduced:  # Pillow reduces what it writes; cameras do not
        data = data.replace(pack(">II", 1036800, 181), pack(">II", 5184000, 905))
        data = data.replace(pack(">II", 691200, 119), pack(">II", 3456000, 595))
    Image.new("RGB", (1500, 1000)).save(tmp_path / "x.jpg", exif=data)
    photo = load_image(tmp_path / "x.jpg")
    assert photo.f_px == (None if f_px is None else pytest.approx(f_px, rel=1e-4))
    assert reduced == ("resized after it was taken" in str(photo.f_px_source))
