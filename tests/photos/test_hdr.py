"""HDR photos: diffuse white comes out white, greys in between as an SDR photo shows them."""

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from depthpro.image import load_image
from depthpro.photos.hdr import Coding, find_coding, to_srgb

PQ, HLG = 16, 18
NITS = np.linspace(0, 203, 64)


def srgb(linear):
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def pq(nits):
    """SMPTE ST 2084, equation 5.2."""
    y = (nits / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375


def hlg(nits):
    """ITU-R BT.2100, table 5, of a grey shown on a display of 1000 nits."""
    scene = (nits / 1000) ** (1 / 1.2)
    curve = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), curve)


@pytest.mark.parametrize(("transfer", "encode"), [(PQ, pq), (HLG, hlg)])
@pytest.mark.parametrize("primaries", [1, 9, 12])
def test_greys_are_those_of_an_sdr_photo(transfer, encode, primaries) -> None:
    code = np.repeat(encode(NITS)[None, :, None], 3, axis=2).astype(np.float32)
    expected = srgb(NITS / 203)
    assert np.abs(to_srgb(code, Coding(primaries, transfer))[0].T - expected).max() <= 1.5


def test_lights_above_white_are_clipped_and_colours_are_converted() -> None:
    bright = np.full((1, 1, 3), pq(1000.0), np.float32)
    assert to_srgb(bright, Coding(9, PQ)).min() == 255
    red = np.array([[[0.6274, 0.0691, 0.0164]]]) * 203  # sRGB's red in BT.2020
    rgb = to_srgb(pq(red).astype(np.float32), Coding(9, PQ))
    assert rgb.ravel() == pytest.approx([255, 0, 0], abs=2)


@pytest.mark.parametrize(("transfer", "encode"), [(PQ, pq), (HLG, hlg)])
def test_a_heic_file(tmp_path, transfer, encode) -> None:
    code = np.rint(encode(np.tile(NITS, (64, 1))) * 65535).astype(np.uint16)
    data = np.dstack([code] * 3).tobytes()
    nclx = {"color_primaries": 9, "transfer_characteristics": transfer, "matrix_coefficients": 9}
    heif = pillow_heif.from_bytes(mode="RGB;16", size=(64, 64), data=data)
    heif.save(tmp_path / "x.heic", quality=-1, chroma=444, **nclx)
    rgb = load_image(tmp_path / "x.heic").rgb
    assert np.abs(rgb[32].T - srgb(NITS / 203)).max() <= 2


def test_an_avif_file_says_its_coding_in_a_box(tmp_path) -> None:
    code = np.rint(pq(np.tile(NITS, (64, 1))) * 255).astype(np.uint8)
    path = tmp_path / "x.avif"
    Image.fromarray(np.dstack([code] * 3)).save(path, "AVIF", quality=100, subsampling="4:4:4")
    before, box, after = path.read_bytes().partition(b"colrnclx")
    path.write_bytes(before + box + bytes([0, 9, 0, PQ]) + after[4:])
    with Image.open(path) as image:
        assert find_coding(image) == Coding(9, PQ)
    rgb = load_image(path).rgb
    assert np.abs(rgb[32].mean(-1) - srgb(NITS / 203)).max() <= 8  # from 8 bits


@pytest.mark.parametrize("name", ["JPEG", "PNG", "HEIF", "AVIF"])
def test_other_photos_stay_as_they_are(tmp_path, name) -> None:
    pillow_heif.register_heif_opener()
    grey = np.full((32, 32, 3), 148, np.uint8)
    Image.fromarray(grey).save(tmp_path / "x", name)
    with Image.open(tmp_path / "x") as image:
        assert find_coding(image) is None
    assert np.abs(load_image(tmp_path / "x").rgb.astype(int) - 148).max() <= 2
