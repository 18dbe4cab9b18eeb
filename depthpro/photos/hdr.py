"""HDR photos (PQ or HLG) as sRGB: their values are not sRGB's, and look grey where taken for it."""

from typing import NamedTuple

import numpy as np
import pillow_heif
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image, ImageFile, ImageOps

_WHITE_NITS = 203.0  # luminance of diffuse white in HDR pictures (ITU-R BT.2408, section 2.2)
_PQ, _HLG = 16, 18  # transfer characteristics
_TO_SRGB = {  # linear RGB by colour primaries
    1: np.eye(3),
    9: np.array(  # BT.2020
        [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
    ),
    12: np.array(  # Display P3
        [[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0196, -0.0786, 1.0979]]
    ),
}
_HEAD_BYTES = 65_536
_ROWS = 256  # at once, so that large photos need little memory


class Coding(NamedTuple):
    """How an HDR file codes its colours: numbers of ITU-T H.273."""

    primaries: int
    transfer: int


def find_coding(image: ImageFile.ImageFile) -> Coding | None:
    """Return the coding of an HDR picture that is opened and not yet loaded, or None."""
    nclx = (image.format == "HEIF" and image.info.get("nclx_profile")) or {}
    primaries, transfer = nclx.get("color_primaries", 0), nclx.get("transfer_characteristics", 0)
    if image.format == "AVIF" and image.fp:  # Pillow does not tell; a box before the pixels does
        image.fp.seek(0)
        _, _, rest = image.fp.read(_HEAD_BYTES).partition(b"colrnclx")
        primaries, transfer = (int.from_bytes(rest[at : at + 2], "big") for at in (0, 2))
    return Coding(primaries, transfer) if transfer in (_PQ, _HLG) else None


def read_hdr(image: ImageFile.ImageFile, coding: Coding) -> Image.Image:
    """Return an HDR picture in sRGB, diffuse white at white; brighter lights are clipped."""
    if image.format == "HEIF" and image.fp:
        image.fp.seek(0)
        codes = np.asarray(pillow_heif.open_heif(image.fp, convert_hdr_to_8bit=False))
    else:  # of AVIF, Pillow gives 8 bits
        codes = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    rgb = np.empty((*codes.shape[:2], 3), np.uint8)
    for row in range(0, len(codes), _ROWS):
        part = codes[row : row + _ROWS, :, :3].astype(np.float32) / np.iinfo(codes.dtype).max
        rgb[row : row + _ROWS] = to_srgb(part, coding)
    return Image.fromarray(rgb)


def to_srgb(code: Float[ndarray, "h w 3"], coding: Coding) -> UInt8[ndarray, "h w 3"]:
    """Return sRGB for code values from 0 to 1.

    Source: SMPTE ST 2084 (PQ); ITU-R BT.2100, table 5, for a display of 1000 nits (HLG).
    """
    nits = _pq_nits(code) if coding.transfer == _PQ else _hlg_nits(code)
    linear = nits / _WHITE_NITS @ _TO_SRGB.get(coding.primaries, np.eye(3)).T.astype(np.float32)
    linear = linear.clip(0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * srgb).astype(np.uint8)


def _pq_nits(code: Float[ndarray, "h w 3"]) -> Float[ndarray, "h w 3"]:
    root = code ** (32 / 2523)
    share = (root - 0.8359375).clip(0) / (18.8515625 - 18.6875 * root)
    return 10_000 * share ** (8192 / 1305)


def _hlg_nits(code: Float[ndarray, "h w 3"]) -> Float[ndarray, "h w 3"]:
    scene = np.where(
        code <= 0.5, code**2 / 3, (np.exp((code - 0.55991073) / 0.17883277) + 0.28466892) / 12
    )
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593], np.float32)
    return 1000 * scene * luminance[..., None] ** 0.2
