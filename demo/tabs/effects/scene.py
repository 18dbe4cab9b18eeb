"""A photo with the inverse depth of each pixel: what all effects are made from."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image
from scipy import ndimage

from depthpro import Prediction
from depthpro.export import fit_size
from depthpro.geometry import MAX_DEPTH_M

_JUMP = 0.15  # of the nearer inverse depth: a larger step within a sample of the map is an edge
_LEAST_JUMP = 0.03  # of the nearest inverse depth of the photo
_CODES = 4096


class Scene(NamedTuple):
    """A photo, its inverse depth, and its focal length."""

    rgb: UInt8[ndarray, "h w 3"]
    inverse: Float[ndarray, "h w"]
    """1/m along the optical axis: 0 for sky."""
    f_px: float
    """Of a picture of this width."""


def scene_of(
    rgb: UInt8[ndarray, "height width 3"], prediction: Prediction, side: int | None = None
) -> Scene:
    """Return a photo and its inverse depth with at most `side` pixels along the longer side.

    Edges between two depths are made as sharp as the photo's: effects would tear the pixels that
    an enlarged map has half-way.
    """
    height, width = prediction.height, prediction.width
    if side is not None:
        height, width = fit_size(height, width, side)
    if rgb.shape[:2] != (height, width):
        photo = Image.fromarray(rgb)
        rgb = np.asarray(photo.resize((width, height), Image.Resampling.HAMMING, reducing_gap=1.0))
    inverse = 1 / prediction.depth_at(height, width)[0].numpy()
    inverse[inverse <= 1.001 / MAX_DEPTH_M] = 0
    rows, columns = prediction.canonical_inverse_depth.shape[-2:]
    if (rows, columns) != (height, width):
        inverse = _crisp(inverse, int(np.ceil(max(height / rows, width / columns))))
    return Scene(rgb, inverse, float(prediction.f_px_at(width)[0]))


def _crisp(inverse: Float[ndarray, "h w"], reach: int) -> Float[ndarray, "h w"]:
    """Move the pixels of an edge to the nearer of its two sides."""
    size = 2 * reach + 1
    low, high = ndimage.minimum_filter(inverse, size), ndimage.maximum_filter(inverse, size)
    edge = high - low > np.maximum(_JUMP * high, _LEAST_JUMP * float(inverse.max()))
    return np.where(edge, np.where(inverse - low < high - inverse, low, high), inverse)


def linear_light(rgb: UInt8[ndarray, "*shape"]) -> Float[ndarray, "*shape"]:
    """Return light in [0, 1] from values of sRGB."""
    return _LIGHT[rgb]


def srgb(light: Float[ndarray, "*shape"]) -> UInt8[ndarray, "*shape"]:
    """Return values of sRGB from light, which is clipped to [0, 1]; undoes `linear_light`."""
    return _VALUES[(np.sqrt(np.clip(light, 0, 1)) * (_CODES - 1) + 0.5).astype(np.int32)]


def _encoded(light: Float[ndarray, " n"]) -> Float[ndarray, " n"]:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def _decoded(value: Float[ndarray, " n"]) -> Float[ndarray, " n"]:
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


_LIGHT = _decoded(np.arange(256) / 255).astype(np.float32)
# By the root of light, of which the values are almost linear.
_VALUES = np.round(255 * _encoded((np.arange(_CODES) / (_CODES - 1)) ** 2)).astype(np.uint8)
