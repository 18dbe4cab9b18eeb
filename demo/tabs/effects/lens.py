"""A lens with a large aperture: what is in focus stays sharp, all else becomes discs.

The camera is a full-frame one with the field of view of the photo: the longer side of its sensor
is 36 mm.
"""

import math
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from scipy import fft
from torch import Tensor
from torch.nn import functional as F

from demo.tabs.effects.behind import look_behind
from demo.tabs.effects.scene import Scene, linear_light, srgb

SENSOR_M = 0.036
F_NUMBERS = 0.4, 32.0
"""Largest and smallest aperture that can be chosen."""
SHARP_M = 30e-6
"""Discs on the sensor up to this size count as sharp."""

_SHARP_PX = 0.5  # radius that is not worth a blur
_EDGE_PX = 2.0  # of radius between neighbours: one is in front of the other
_STEP = math.log(1.4)  # from one layer's radius to the next
_FEW = 2e-4  # share of the pixels that is not worth a layer
_SCALES = (1, 1.2), (2, 10), (4, 32)  # reductions, and the radius up to which they show nothing
_LEAST_PRESENCE = 0.05  # share of a disc that a layer must fill to have a colour there


class Focus(NamedTuple):
    """What a lens does with the depths of a photo."""

    lens_mm: float
    """Focal length of the full-frame camera."""
    sharp_from_m: float
    sharp_to_m: float
    """Infinite if all beyond is sharp."""
    far_px: float
    """Diameter of the disc that a far light becomes."""


def discs(scene: Scene, focus_m: float, f_number: float) -> Float[ndarray, "h w"]:
    """Return the diameter of each pixel's disc in pixels, negative behind the focus.

    A thin lens of focal length f and diameter A, focused at S, makes a point at Z a disc of
    A f / (S - f) · |Z - S| / Z, which is linear in 1/Z.

    Raises:
        ValueError: If there is no such lens.
    """
    return _strength(scene, focus_m, f_number) * (scene.inverse - np.float32(1 / focus_m))


def focus_of(scene: Scene, focus_m: float, f_number: float) -> Focus:
    """Return what is sharp with a lens."""
    strength = _strength(scene, focus_m, f_number)
    sharp = SHARP_M / _pixel_m(scene) / strength  # 1/m
    far = 1 / focus_m - sharp
    lens_mm = 1000 * scene.f_px * _pixel_m(scene)
    ends = 1 / (1 / focus_m + sharp), 1 / far if far > 0 else math.inf
    return Focus(lens_mm, *ends, far_px=strength / focus_m)


def refocus(scene: Scene, focus_m: float, f_number: float = 1.4) -> UInt8[ndarray, "h w 3"]:
    """Return the photo as a lens focused at a depth in metres takes it.

    Raises:
        ValueError: If there is no such lens.
    """
    return blur(scene.rgb, discs(scene, focus_m, f_number))


def blur(rgb: UInt8[ndarray, "h w 3"], disc_px: Float[ndarray, "h w"]) -> UInt8[ndarray, "h w 3"]:
    """Return a picture whose pixels are spread over discs, nearer ones over farther ones.

    Diameters are negative behind the focus; the larger, the nearer. Layers of similar discs are
    laid over each other from far to near, in linear light. The colour of a layer is the mean of
    its own pixels alone, so nothing sharp shines into the blur behind it; a layer covers by all
    pixels that are as near or nearer, so no gap opens between layers of one surface. Behind the
    blurred edges in front lies what `look_behind` makes up.
    """
    radius = disc_px / np.float32(2)
    centres = _layers(radius)
    in_front = centres[-1] > _EDGE_PX
    base = look_behind(rgb, radius, _EDGE_PX, most_px=float(centres[-1])).rgb if in_front else rgb
    light = torch.from_numpy(linear_light(rgb).transpose(2, 0, 1).copy())
    out = torch.from_numpy(linear_light(base).transpose(2, 0, 1).copy())
    place = torch.from_numpy(np.interp(radius, centres, np.arange(len(centres))).astype(np.float32))
    for number, centre in enumerate(centres):
        _lay_over(out, light, place, number, abs(float(centre)))
    return srgb(out.numpy().transpose(1, 2, 0))


def _strength(scene: Scene, focus_m: float, f_number: float) -> np.float32:
    """Return pixels of diameter for each 1/m away from the focus."""
    lens_m = scene.f_px * _pixel_m(scene)
    least, most = F_NUMBERS
    if not least <= f_number <= most:
        raise ValueError(f"Expected an f-number of {least} to {most:.0f}; got {f_number}.")
    if not 1.01 * lens_m < focus_m < math.inf:
        raise ValueError(
            f"Expected a focus beyond the focal length of {1000 * lens_m:.0f} mm, in metres; "
            f"got {focus_m}."
        )
    aperture_m = lens_m / f_number
    return np.float32(aperture_m * lens_m * focus_m / (focus_m - lens_m) / _pixel_m(scene))


def _pixel_m(scene: Scene) -> float:
    return SENSOR_M / max(scene.inverse.shape)


def _layers(radius: Float[ndarray, "h w"]) -> Float[ndarray, " n"]:
    """Return the radius of each layer from far to near: the mean of the pixels close to it."""
    radius = radius[::2, ::2]
    number = np.round(np.sign(radius) * np.log1p(np.abs(radius) / 2) / _STEP).astype(np.int32)
    number -= number.min()
    count = np.bincount(number.ravel())
    total = np.bincount(number.ravel(), radius.ravel())
    many = count > min(_FEW * radius.size, count.max() - 1)
    return total[many] / count[many]


def _lay_over(
    out: Float[Tensor, "3 h w"],
    light: Float[Tensor, "3 h w"],
    place: Float[Tensor, "h w"],
    number: int,
    radius: float,
) -> None:
    """Lay one layer over the farther ones, in place; `place` counts layers from far to near."""
    own = (1 - (place - number).abs()).clamp(min=0)
    if radius < _SHARP_PX:
        radius = 0.0
    rows, columns = (_span(own.amax(axis) > 0, 2 * math.ceil(radius) + 2) for axis in (1, 0))
    part = (..., rows, columns)
    own, cover = own[part], (place[part] - number + 1).clamp(0, 1)
    layers = torch.cat([light[part] * own, torch.stack([own, cover])])
    if radius:
        layers = _spread(layers, radius)
    share, cover = layers[3], layers[4]
    alpha = cover * (share / _LEAST_PRESENCE).clamp(0, 1)
    out[part] += alpha * (layers[:3] / share.clamp(min=1e-6) - out[part])


def _spread(layers: Float[Tensor, "c h w"], radius: float) -> Float[Tensor, "c h w"]:
    """Return the mean over a disc around each pixel; large discs at a fraction of the size."""
    scale = next((scale for scale, most in _SCALES if radius < most), 8)
    height, width = layers.shape[-2:]
    if scale == 1:
        return _convolve(layers, radius)
    rows, columns = (math.ceil(side / scale) for side in (height, width))
    padding = (0, columns * scale - width, 0, rows * scale - height)
    small = F.avg_pool2d(F.pad(layers[None], padding, mode="replicate"), scale)[0]
    small = _convolve(small, radius / scale)
    size = (rows * scale, columns * scale)
    return F.interpolate(small[None], size, mode="bilinear")[0, :, :height, :width]


def _convolve(layers: Float[Tensor, "c h w"], radius: float) -> Float[Tensor, "c h w"]:
    """Return the mean over a disc; the picture goes on as it ends."""
    height, width = layers.shape[-2:]
    reach = math.ceil(radius)
    steps = torch.arange(-reach, reach + 1)
    disc = (radius + 0.5 - torch.hypot(steps[:, None].float(), steps.float())).clamp(0, 1)
    disc /= disc.sum()
    wide = F.pad(layers[None], (reach,) * 4, mode="replicate")[0]
    if reach == 1:  # a few taps
        taps = [(row, column) for row, column in product(range(3), repeat=2) if disc[row, column]]
        parts = (disc[r, c] * wide[:, r : r + height, c : c + width] for r, c in taps)
        return sum(parts, torch.zeros(()))
    size = [fft.next_fast_len(side, real=True) for side in wide.shape[-2:]]
    spectra: list[Any] = [fft.rfft2(part.numpy(), s=size) for part in (wide, disc)]
    whole: Any = fft.irfft2(spectra[0] * spectra[1], s=size)
    blurred = whole[:, 2 * reach :, 2 * reach :]
    return torch.from_numpy(blurred[:, :height, :width]).clamp(min=0)


def _span(present: Tensor, margin: int) -> slice:
    """Return the range that holds all that is present, with a margin."""
    where = present.nonzero()
    return slice(max(0, int(where[0]) - margin), int(where[-1]) + margin + 1)
