"""Values of the picture component: pictures, depth for the read-out, drawings.

The component (`viewer/viewer.js`) merges each value into the last one, so that only changes are
sent.
"""

import base64
import io
import zlib
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image

from demo.pipeline import Analysis
from demo.units import Units
from depthpro.export import fit_size
from depthpro.geometry import MAX_DEPTH_M, MIN_DEPTH_M

PREVIEW_SIDE = 1280
"""Longer side of the pictures in the page, in pixels."""
SKY_M = 1000.0
"""Everything farther counts as sky: inverse depth is too near 0 to tell distances apart."""

DepthKind = Literal["z", "ray"]

_LEAST, _STEP = 1e-8, 5e-4  # code n > 0 is _LEAST * exp((n - 1) * _STEP): right within 0.025 %


def preview_size(analysis: Analysis) -> tuple[int, int]:
    """Return rows and columns of the pictures in the page."""
    return fit_size(analysis.prediction.height, analysis.prediction.width, PREVIEW_SIDE)


def preview(analysis: Analysis) -> UInt8[ndarray, "h w 3"]:
    """Return the photo at the page's size."""
    height, width = preview_size(analysis)
    photo = Image.fromarray(analysis.rgb)
    return np.asarray(photo.resize((width, height), Image.Resampling.HAMMING, reducing_gap=1.0))


def photo(analysis: Analysis) -> dict[str, Any]:
    """Return the photo, its size, and the data of the read-out; no second picture."""
    prediction = analysis.prediction
    canonical = prediction.canonical_inverse_depth[0].numpy()
    return {
        "photo": picture_uri(preview(analysis), "JPEG"),
        "photoAlt": f"The photo {analysis.name}",
        "width": prediction.width,
        "height": prediction.height,
        "map": packed(canonical),
        "side": len(canonical),
        "least": _LEAST,
        "step": _STEP,
        "fPx": analysis.f_px,
        "minM": MIN_DEPTH_M,
        "maxM": MAX_DEPTH_M,
        "skyM": SKY_M,
        "over": None,
        "svg": "",
    }


def focal_length(analysis: Analysis) -> dict[str, Any]:
    """Return the read-out's focal length."""
    return {"fPx": analysis.f_px}


def readout(units: Units = "m", kind: DepthKind = "z") -> dict[str, Any]:
    """Return the read-out's unit, and which depth comes first: along the axis or the ray."""
    return {"units": units, "kind": kind}


def overlay(rgb: UInt8[ndarray, "h w c"], alt: str) -> dict[str, Any]:
    """Return a second picture over the photo, with a divider between the two.

    With four channels the photo shows where the last one is 0.
    """
    return {"over": picture_uri(rgb, "JPEG" if rgb.shape[2] == 3 else "PNG"), "overAlt": alt}


def empty(text: str) -> dict[str, Any]:
    """Return the component without a photo, with a sentence in its place."""
    return {"photo": None, "over": None, "map": None, "svg": "", "empty": text}


def packed(canonical: Float[ndarray, "s s"]) -> str:
    """Return canonical inverse depth, small enough to send: the browser computes depth from it.

    Logarithmic codes of 16 bits, 0 for what is not above 0; row by row as differences, with the
    sign in the lowest bit; all high bytes before all low bytes; deflated; base64.
    """
    least = np.float32(_LEAST)
    codes = np.log(np.maximum(canonical, least) / least) * np.float32(1 / _STEP) + 1.5
    codes = np.where(canonical > 0, np.minimum(codes, 65535), 0).astype(np.uint16)
    steps = np.diff(codes.ravel(), prepend=np.uint16(0)).view(np.int16)
    signed = ((steps << 1) ^ (steps >> 15)).view(np.uint16)
    planes = (signed >> 8).astype(np.uint8).tobytes() + signed.astype(np.uint8).tobytes()
    return base64.b64encode(zlib.compress(planes, 1)).decode()


def picture_uri(rgb: UInt8[ndarray, "h w c"], kind: Literal["JPEG", "PNG"]) -> str:
    """Return a picture as a data URI, which leaves no file on the server."""
    buffer = io.BytesIO()
    jpeg = {"quality": 90, "subsampling": 0}  # 4:4:4: depth's colours have sharp edges
    options: dict[str, Any] = jpeg if kind == "JPEG" else {"compress_level": 1}
    Image.fromarray(rgb).save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
