"""What the picture component of the page is given: pictures, depth for the read-out, drawings.

The component (`ui/viewer.js`) merges each value into what it has, so that a change sends only what
changed.
"""

import base64
import io
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from demo.pipeline import Analysis
from demo.units import Units
from depthpro.export import fit_size
from depthpro.geometry import MAX_DEPTH_M, MIN_DEPTH_M

PREVIEW_SIDE = 1280
"""Longer side of the pictures in the page, in pixels."""
SKY_M = 1000.0
"""What is farther is called sky: the network's inverse depth is too near 0 to say how far."""

DepthKind = Literal["z", "ray"]

_READOUT_SIDE = 320  # samples along the longer side of the map under the pointer
_STEPS = 65535  # of the logarithmic code: 1 step is 0.028 %


def preview_size(analysis: Analysis) -> tuple[int, int]:
    """Return rows and columns of the pictures in the page."""
    return fit_size(analysis.prediction.height, analysis.prediction.width, PREVIEW_SIDE)


def preview(analysis: Analysis) -> UInt8[ndarray, "h w 3"]:
    """Return the photo at the page's size."""
    height, width = preview_size(analysis)
    return np.asarray(Image.fromarray(analysis.rgb).resize((width, height), reducing_gap=2.0))


def photo(analysis: Analysis) -> dict[str, Any]:
    """Return the photo, its size, and the depth that the read-out tells; no second picture."""
    prediction = analysis.prediction
    height, width = fit_size(prediction.height, prediction.width, _READOUT_SIDE)
    depth = prediction.depth_at(height, width)[0].numpy()
    span = np.log(MAX_DEPTH_M / MIN_DEPTH_M)
    codes = np.round(np.log(depth / MIN_DEPTH_M) * (_STEPS / span)).astype("<u2")
    return {
        "photo": picture_uri(preview(analysis), "JPEG"),
        "photoAlt": f"The photo {analysis.name}",
        "width": prediction.width,
        "height": prediction.height,
        "rows": height,
        "columns": width,
        "codes": base64.b64encode(codes.tobytes()).decode(),
        "codesFPx": analysis.f_px,
        "fPx": analysis.f_px,
        "minM": MIN_DEPTH_M,
        "maxM": MAX_DEPTH_M,
        "skyM": SKY_M,
        "over": None,
        "svg": "",
    }


def focal(analysis: Analysis) -> dict[str, Any]:
    """Return what a new focal length changes in the read-out."""
    return {"fPx": analysis.f_px}


def reading(units: Units = "m", kind: DepthKind = "z") -> dict[str, Any]:
    """Return how the read-out tells depth: its unit, and along the axis or along the ray first."""
    return {"units": units, "kind": kind}


def over(rgb: UInt8[ndarray, "h w 3"], alt: str) -> dict[str, Any]:
    """Return a second picture that lies over the photo, with a divider between the two."""
    return {"over": picture_uri(rgb, "PNG"), "overAlt": alt}


def nothing(text: str) -> dict[str, Any]:
    """Return the component before there is a photo, with a sentence in its place."""
    return {"photo": None, "over": None, "codes": None, "svg": "", "empty": text}


def picture_uri(rgb: UInt8[ndarray, "h w 3"], kind: Literal["JPEG", "PNG"]) -> str:
    """Return a picture as a data URI: it goes to one visitor and leaves no file."""
    buffer = io.BytesIO()
    options: dict[str, Any] = {"quality": 88} if kind == "JPEG" else {"compress_level": 1}
    Image.fromarray(rgb).save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
