"""A photo in: each format, mode, orientation, profile and error, against values made by hand."""

import struct
import zlib
from math import inf, nan

import numpy as np
import pillow_heif
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from depthpro.image import load_image
from depthpro.photos.exif import focal_px_from_35mm

ORIENTATION, DNG_VERSION = 0x0112, 0xC612
FOCAL_MM, FOCAL_35MM, EXIF_WIDTH, EXIF_HEIGHT = 0x920A, 0xA405, 0xA002, 0xA003
PLANE_X, PLANE_UNIT = 0xA20E, 0xA210
LENS = {FOCAL_MM: IFDRational(4, 1)}
PITCH = {PLANE_X: IFDRational(40, 1), PLANE_UNIT: 4}  # 40 pixels per mm
SIZE = {EXIF_WIDTH: 300, EXIF_HEIGHT: 200}  # the picture is 150 x 100: half

# The picture [[1, 2, 3], [4, 5, 6]] as a file of each orientation stores it, from the EXIF
# standard's words; 6, for one: "row 0 is the visual right-hand side, column 0 the visual top".
UPRIGHT = [[1, 2, 3], [4, 5, 6]]
STORED = {
    1: [[1, 2, 3], [4, 5, 6]],
    2: [[3, 2, 1], [6, 5, 4]],
    3: [[6, 5, 4], [3, 2, 1]],
    4: [[4, 5, 6], [1, 2, 3]],
    5: [[1, 4], [2, 5], [3, 6]],
    6: [[3, 6], [2, 5], [1, 4]],
    7: [[6, 3], [5, 2], [4, 1]],
    8: [[4, 1], [5, 2], [6, 3]],
}
LOSSLESS = [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})]


def paint(labels, block=1):
    """RGB blocks of a colour for each label 1 … 6, no two alike in any channel."""
    labels = np.kron(np.array(labels), np.ones((block, block), int))
    return np.stack([40 * labels, 250 - 30 * labels, 20 + 35 * labels], -1).astype(np.uint8)


def save(path, image, fmt="PNG", **options):
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    if fmt == "HEIC":
        options = {"quality": -1, "chroma": 444, **options}
        pillow_heif.encode(image.mode, image.size, image.tobytes(), path, **options)
    else:
        image.save(path, fmt, **options)
    return path


def make_exif(main=None, sub=None, endian="<"):
    exif = Image.Exif()
    exif.endian = endian
    exif.update({ORIENTATION: 1} | (main or {}))
    exif.get_ifd(0x8769).update(sub or {})
    return exif.tobytes()


def chunk(kind, data):
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


def png_of(width, height, data=b""):
    head = struct.pack(">LLBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def xyz(*values):
    return b"XYZ \0\0\0\0" + struct.pack(">3l", *(round(65536 * value) for value in values))


def make_icc(space):
    """A version 2 display profile of values proportional to light; colours have P3's primaries."""
    linear, tags = b"curv" + bytes(8), {b"wtpt": xyz(0.9642, 1, 0.8249)}
    if space == "RGB":
        tags |= {b"rTRC": linear, b"gTRC": linear, b"bTRC": linear}
        tags |= {b"rXYZ": xyz(0.51512, 0.2412, -0.00105), b"gXYZ": xyz(0.29198, 0.69225, 0.04189)}
        tags[b"bXYZ"] = xyz(0.1571, 0.06657, 0.78407)
    else:
        tags[b"kTRC"] = linear
    head = struct.pack(
        ">4x4sL4s4s4s12x4s", b"lcms", 0x02400000, b"mntr", space.encode().ljust(4), b"XYZ ", b"acsp"
    )
    head = head.ljust(68, b"\0") + struct.pack(">3l", 63190, 65536, 54061)  # D50 times 65536
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        table += struct.pack(">4sLL", name, start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    icc = head.ljust(128, b"\0") + struct.pack(">L", len(tags)) + table + body
    return struct.pack(">L", len(icc)) + icc[4:]


NOISE = np.random.default_rng(0).integers(0, 256, (80, 90, 3), np.uint8)


def assert_refused(path, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        load_image(path)
    message = str(caught.value)
    assert message.startswith("expected ") and "; got " in message and message.endswith(".")
    assert path.name in message and str(path.parent) not in message


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize(("fmt", "options"), LOSSLESS)
def test_every_orientation_comes_out_upright(tmp_path, orientation, fmt, options):
    exif = make_exif({ORIENTATION: orientation})
    path = save(tmp_path / "x", paint(STORED[orientation]), fmt, exif=exif, **options)
    photo = load_image(path)
    np.testing.assert_array_equal(photo.rgb, paint(UPRIGHT))
    assert photo.rgb.flags.c_contiguous and photo.rgb.flags.writeable
    assert (photo.f_px, photo.f_px_source) == (None, None)


@pytest.mark.parametrize("orientation", STORED)
def test_heic_is_turned_once(tmp_path, orientation):
    # A lens of 4 mm on 20 sensor pixels per mm is 80 of them; the stored image has kept half.
    stored = paint(STORED[orientation], block=32)
    height, width = stored.shape[:2]
    sub = {**LENS, PLANE_X: 200, PLANE_UNIT: 3, EXIF_WIDTH: 2 * width, EXIF_HEIGHT: 2 * height}
    exif = make_exif({ORIENTATION: orientation}, sub)
    photo = load_image(save(tmp_path / "x.heic", stored, "HEIC", exif=exif))
    np.testing.assert_allclose(photo.rgb, paint(UPRIGHT, 32).astype(int), atol=2)
    assert photo.f_px == pytest.approx(40)


@pytest.mark.parametrize("kind", ["I;16 PNG", "I;16 TIFF", "I;16B TIFF", "I TIFF"])
def test_16_bit_grey_is_divided_by_257_and_rounded(tmp_path, kind):
    mode, fmt = kind.split()
    # 128/257 = 0.498, 129/257 = 0.502, 32768/257 = 127.502, 65406/257 = 254.498
    values = {0: 0, 128: 0, 129: 1, 257: 1, 32768: 128, 65406: 254, 65407: 255, 65535: 255}
    image = Image.new(mode, (len(values), 1))
    for column, value in enumerate(values):
        image.putpixel((column, 0), value)
    rgb = load_image(save(tmp_path / "x", image, fmt)).rgb
    assert rgb[0].tolist() == [[level] * 3 for level in values.values()]


def test_float_tiff_goes_from_0_to_1(tmp_path):
    image = Image.fromarray(np.array([[0, 0.5, 0.7, 1]], np.float32))
    rgb = load_image(save(tmp_path / "x", image, "TIFF")).rgb
    # 127.5 goes to even; 0.7 is a little less in binary, so 178.5 goes down.
    assert rgb[0, :, 0].tolist() == [0, 128, 178, 255]
    for value in (-0.1, 1.5, nan, inf):
        path = save(tmp_path / "x.tif", Image.fromarray(np.array([[0, value]], np.float32)), "TIFF")
        assert_refused(path, "which has values from .*, where 0 to 1 are black to white")


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 77, (77, 77, 77)),
        ("LA", (51, 255), (51, 51, 51)),
        ("LA", (55, 51), (215, 215, 215)),  # alpha 51/255 = 1/5: 55/5 + 255 * 4/5 = 215
        ("RGB", (1, 2, 3), (1, 2, 3)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("RGBA", (10, 20, 30, 0), (255, 255, 255)),
        ("RGBA", (5, 55, 105, 51), (205, 215, 225)),
        ("CMYK", (0, 255, 102, 0), (255, 0, 153)),  # without a profile: 255 - ink
    ],
)
@pytest.mark.parametrize("fmt", ["PNG", "TIFF"])
def test_modes(tmp_path, mode, value, expected, fmt):
    fmt = "TIFF" if mode == "CMYK" else fmt  # PNG has none
    path = save(tmp_path / "x", Image.new(mode, (2, 2), value), fmt)
    assert load_image(path).rgb.tolist() == [[list(expected)] * 2] * 2


@pytest.mark.parametrize(
    ("transparency", "expected"),
    [
        (1, [[10, 20, 30], [255, 255, 255]]),
        (bytes([255, 51]), [[10, 20, 30], [212, 214, 216]]),  # 40/5 + 204, 50/5 + 204, 60/5 + 204
    ],
)
def test_palette(tmp_path, transparency, expected):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    path = save(tmp_path / "x", image, transparency=transparency)
    assert load_image(path).rgb[0].tolist() == expected


@pytest.mark.parametrize(("mode", "key"), [("RGB", (9, 8, 7)), ("L", 9), ("1", 1)])
def test_transparent_colour_shows_white(tmp_path, mode, key):
    image = Image.new(mode, (2, 1), key)
    image.putpixel((1, 0), 0)
    path = save(tmp_path / "x", image, transparency=key)
    assert load_image(path).rgb[0].tolist() == [[255] * 3, [0] * 3]


@pytest.mark.parametrize("fmt", ["PNG", "TIFF", "WEBP", "JPEG", "HEIC"])
def test_profile_in_every_format(tmp_path, fmt):
    # (200, 100, 60) / 255 is (0.784, 0.392, 0.235) of the light; the matrix from P3 to sRGB makes
    # (0.873, 0.376, 0.212) of it, and sRGB's curve (240, 165, 127).
    options = {"lossless": True} if fmt == "WEBP" else {}
    image = Image.new("RGB", (64, 64), (200, 100, 60))
    path = save(tmp_path / "x", image, fmt, icc_profile=make_icc("RGB"), **options)
    np.testing.assert_allclose(load_image(path).rgb[30, 30], [240, 165, 127], atol=3)


@pytest.mark.parametrize(
    ("mode", "value", "space"),
    [
        ("L", 64, "GRAY"),
        ("LA", (64, 255), "GRAY"),
        ("I;16", 64 * 257, "GRAY"),
        ("L", 64, "RGB"),
        ("RGB", (64, 64, 64), "RGB"),
    ],
)
def test_profile_of_every_mode(tmp_path, mode, value, space):
    # 64/255 = 0.2510 of the light is 1.055 * 0.2510^(1/2.4) - 0.055 = 0.5382 in sRGB, times 255.
    path = save(tmp_path / "x", Image.new(mode, (2, 2), value), icc_profile=make_icc(space))
    np.testing.assert_allclose(load_image(path).rgb, 137, atol=1)


@pytest.mark.parametrize("icc", [b"nonsense" * 40, make_icc("RGB")[:200], make_icc("GRAY")])
def test_unusable_profile_is_ignored(tmp_path, icc):
    path = save(tmp_path / "x", paint(UPRIGHT), icc_profile=icc)
    np.testing.assert_array_equal(load_image(path).rgb, paint(UPRIGHT))


def test_focal_px_from_35mm_wants_positive_values():
    for values in [(0, 3, 2), (-1, 3, 2), (nan, 3, 2), (inf, 3, 2), (50, 0, 2)]:
        with pytest.raises(ValueError, match=r"expected a positive focal length .*; got .*;"):
            focal_px_from_35mm(*values)


@pytest.mark.parametrize(
    ("fields", "f_px"),
    [
        ({FOCAL_35MM: 24}, 100),  # 24 / 36 * 150, as the picture is 3:2
        ({FOCAL_35MM: IFDRational(24, 0)}, None),
        ({FOCAL_35MM: inf}, None),
        ({FOCAL_MM: IFDRational(4, 0), **PITCH, **SIZE}, None),
        ({FOCAL_MM: -4.0, PLANE_X: -400.0}, None),
    ],
)
@pytest.mark.parametrize("endian", "<>")
def test_focal_length(tmp_path, fields, f_px, endian):
    exif = make_exif(sub=fields, endian=endian)
    photo = load_image(save(tmp_path / "x", Image.new("L", (150, 100)), exif=exif))
    assert photo.f_px == (f_px and pytest.approx(f_px))


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "TIFF", "HEIC"])
def test_focal_length_in_every_format(tmp_path, fmt):
    # Stored 150 wide, shown 100 wide; the sensor has 300 along the stored rows: half of 160.
    for fields, f_px in (({FOCAL_35MM: 24}, 100), (LENS | PITCH | SIZE, 80)):
        exif = make_exif({ORIENTATION: 6}, fields)
        photo = load_image(save(tmp_path / "x", Image.new("RGB", (150, 100)), fmt, exif=exif))
        assert photo.rgb.shape == (150, 100, 3)
        assert photo.f_px == pytest.approx(f_px)


@pytest.mark.filterwarnings("ignore")  # Pillow's own
def test_damaged_exif_does_not_fail(tmp_path):
    whole = make_exif({0x011A: IFDRational(72, 1)}, LENS | PITCH)
    cuts = [whole[:size] for size in range(6, len(whole), 3)]
    wild = [whole[:at] + b"\xff" * 4 + whole[at + 4 :] for at in range(14, len(whole) - 4, 3)]
    for exif in [*cuts, *wild, b"", b"Exif\0\0", b"garbage" * 9]:
        path = save(tmp_path / "x.jpg", paint(UPRIGHT), "JPEG", exif=exif)
        assert load_image(path).rgb.size == 18


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "TIFF", "HEIC"])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.95])
def test_truncated_file(tmp_path, fmt, part):
    data = save(tmp_path / "whole", Image.fromarray(NOISE), fmt).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: max(12, int(part * len(data)))])
    assert_refused(tmp_path / "cut.jpg", "which is truncated or damaged; copy it again")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "which is empty"),
        (b"Dear diary", "expected a JPEG, PNG, WebP, TIFF, HEIC or AVIF photo; got 'x.jpg'"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "expected a JPEG, PNG"),
        (b"GIF89a" + bytes(50), "expected a JPEG, PNG"),
        (b"\xff\xd8\xff" + bytes(99), "or copy it again"),
        (png_of(30_000, 30_000), "at most 270 megapixels; got 'x.jpg' with more than twice that"),
        (png_of(18_000, 15_001), r"at most 270 megapixels; got 'x.jpg' with 18000 x 15001 pixels"),
        (png_of(10_000, 10_000), "truncated or damaged"),  # 100 megapixels, of which none came
        (png_of(2, 2, data=b"\0\1\1\0\1\1").replace(b"IDAT", b"IDAX"), "copy it again"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value[:30],
)
@pytest.mark.filterwarnings("ignore")  # Pillow's own, above 89 megapixels
def test_no_photo(tmp_path, data, reason):
    (tmp_path / "x.jpg").write_bytes(data)
    assert_refused(tmp_path / "x.jpg", reason)


def test_folder_and_missing_file(tmp_path):
    (tmp_path / "album").mkdir()
    assert_refused(tmp_path / "album", "got 'album', a folder")
    with pytest.raises(FileNotFoundError, match=r"got 'x\.jpg'; there is no such file") as caught:
        load_image(str(tmp_path / "x.jpg"))
    assert str(tmp_path) not in str(caught.value)


def test_raw_photo_is_refused(tmp_path):
    for number, tags in enumerate([{DNG_VERSION: b"\1\4\0\0"}, {0x00FE: 1}]):
        path = save(tmp_path / f"{number}.dng", paint(UPRIGHT), "TIFF", exif=make_exif(tags))
        assert_refused(path, "expected a developed photo; got the raw file")


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "TIFF", "HEIC"])
def test_a_huge_photo_is_halved_with_its_focal_length(tmp_path, monkeypatch, fmt):
    picture = Image.linear_gradient("L").resize((400, 300)).convert("RGB")
    exif = make_exif(sub={FOCAL_35MM: 26})
    path = save(tmp_path / "x", picture, fmt, exif=exif)
    whole = load_image(path)
    monkeypatch.setattr("depthpro.image.MAX_PIXELS", 50_000)
    halved = load_image(path)
    assert halved.rgb.shape == (150, 200, 3)
    assert halved.f_px == pytest.approx(whole.f_px / 2)
    expected = np.asarray(Image.fromarray(whole.rgb).reduce(2), int)
    assert np.abs(halved.rgb - expected).max() <= 4
    monkeypatch.setattr("depthpro.image.MAX_FILE_PIXELS", 60_000)
    with pytest.raises(ValueError, match=r"at most 0 megapixels; got 'x.*' with 400 x 300 pixels"):
        load_image(path)
