"""TIFF files of every depth and layout come out right, or are refused for the true reason."""

import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from depthpro.image import load_image
from depthpro.photos.tiff import read_deep_tiff

Y, X = np.mgrid[0:48, 0:64]
GREY = (X + 2 * Y) / 157
RGB = np.dstack([GREY, GREY[::-1], GREY[:, ::-1]])
KINDS = {
    "uint8": lambda x: np.uint8(np.rint(x * 255)),
    "uint16": lambda x: np.uint16(np.rint(x * 65535)),
    "int8": lambda x: np.int8(np.rint(x * 127)),
    "int16": lambda x: np.int16(np.rint(x * 32767)),
    "float16": np.float16,
    "float32": np.float32,
    "float64": np.float64,
}


def write(path, values, **options):
    photometric = "minisblack" if values.ndim == 2 else "rgb"
    tifffile.imwrite(path, values, **{"photometric": photometric} | options)
    return path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("picture", [GREY, RGB], ids=["grey", "rgb"])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"byteorder": ">"}], ids=str)
def test_every_depth_is_read(tmp_path, kind, picture, options) -> None:
    path = write(tmp_path / "x.tif", KINDS[kind](picture), **options)
    expected = np.broadcast_to(picture.reshape(48, 64, -1), (48, 64, 3)) * 255
    tolerance = 2.1 if kind == "int8" else 1.0
    assert np.abs(load_image(path).rgb - expected).max() <= tolerance


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_one_plane_a_channel(tmp_path, kind, compression) -> None:
    planes = KINDS[kind](RGB).transpose(2, 0, 1)
    path = write(tmp_path / "x.tif", planes, planarconfig="separate", compression=compression)
    assert np.abs(load_image(path).rgb - RGB * 255).max() <= 1


def test_alpha_of_deep_colours_shows_white(tmp_path) -> None:
    alpha = np.where(X < 32, 0, 1.0)
    values = KINDS["float32"](np.dstack([RGB, alpha]))
    rgb = load_image(write(tmp_path / "x.tif", values, extrasamples=["unassalpha"])).rgb
    assert (rgb[:, :32] == 255).all()
    assert np.abs(rgb[:, 32:] - RGB[:, 32:] * 255).max() <= 1


def test_deep_colours_keep_orientation_and_focal_length(tmp_path) -> None:
    tags = [(274, "H", 1, 6, True)]
    path = write(tmp_path / "x.tif", KINDS["float32"](RGB), extratags=tags)
    expected = np.rot90(RGB * 255, -1)
    assert np.abs(load_image(path).rgb - expected).max() <= 1


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_min_is_white(tmp_path, kind) -> None:
    path = write(tmp_path / "x.tif", KINDS[kind](GREY), photometric="miniswhite")
    assert np.abs(load_image(path).rgb[..., 0] - (1 - GREY) * 255).max() <= 1


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.uint32(RGB * 4e9), "a TIFF of uint32 with 3 channels; export it"),
        (np.int16(-100 * GREY), "which has values from -100 to 0"),
        (np.float32(300 * RGB), "which has values from 0 to 300"),
        (np.float32(np.where(X > 9, GREY, np.nan)), "which has values from nan to nan"),
    ],
)
def test_what_has_no_agreed_white_is_refused(tmp_path, values, reason) -> None:
    with pytest.raises(ValueError, match=rf"expected a photo; got 'x.tif', {reason}"):
        load_image(write(tmp_path / "x.tif", values))


def test_a_directory_as_thermal_cameras_write_it(tmp_path) -> None:
    """The interoperability tag stands in the main directory, where Pillow does not look for it."""
    grey = KINDS["uint16"](GREY).astype("<u2")
    exif = struct.pack("<HHHI4sI", 1, 36864, 7, 4, b"0230", 0)
    interop = struct.pack("<HHHI4sI", 1, 1, 2, 4, b"R98\0", 0)
    at_exif = 8 + grey.nbytes
    tags = {256: 64, 257: 48, 258: 16, 259: 1, 262: 1, 273: 8, 277: 1, 278: 48, 279: grey.nbytes}
    tags |= {34665: at_exif, 40965: at_exif + len(exif)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    head = b"II*\0" + struct.pack("<I", at_exif + len(exif) + len(interop))
    (tmp_path / "x.tif").write_bytes(head + grey.tobytes() + exif + interop + directory)
    assert np.abs(load_image(tmp_path / "x.tif").rgb[..., 1] - GREY * 255).max() <= 1


@pytest.mark.parametrize("name", ["JPEG", "PNG", "TIFF"])
def test_what_pillow_reads_is_left_to_it(tmp_path, name) -> None:
    path = tmp_path / "x"
    Image.fromarray(KINDS["uint8"](RGB)).save(path, name)
    with path.open("rb") as file:
        assert read_deep_tiff(file) is None
        assert file.tell() == 0


def test_damage_is_called_damage(tmp_path) -> None:
    path = write(tmp_path / "x.tif", KINDS["float32"](RGB), compression="zlib")
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(ValueError, match="truncated or damaged"):
        load_image(path)


def test_a_size_beyond_all_memory_is_refused_before_it_is_reserved(tmp_path) -> None:
    path = write(tmp_path / "x.tif", KINDS["float32"](RGB))
    with tifffile.TiffFile(path, mode="r+b") as file:
        for name in ("ImageWidth", "ImageLength"):
            file.pages.first.tags[name].overwrite(60_000)
    with pytest.raises(ValueError, match=r"60000 x 60000 x 3 values.*make it smaller"):
        load_image(path)
