"""What a camera does to light: exposure, white balance, blur, vignetting, noise, JPEG.

Only colour changes; depth, and where its edges are, stays as rendered.
"""

import io
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image, ImageFilter

from depthpro.scenes.textures import srgb_to_linear

_TO_LINEAR = srgb_to_linear(np.arange(256) / 255).astype(np.float32)
_LEVELS = np.linspace(0, 1, 4096)
_CURVE = np.where(_LEVELS <= 0.0031308, 12.92 * _LEVELS, 1.055 * _LEVELS ** (1 / 2.4) - 0.055)
_TO_SRGB = np.round(_CURVE * 255).astype(np.float32)


class Shot(NamedTuple):
    """The settings of one exposure. The defaults change nothing."""

    gain: float = 1.0
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    vignette: float = 0.0
    """Share of the light that is lost in the corners."""
    aperture_px: float = 0.0
    """Radius of the blur of what is much farther than the focus."""
    focus_m: float = np.inf
    blur_px: float = 0.0
    noise: float = 0.0
    """Standard deviation in the middle greys, of 255."""
    jpeg_quality: int | None = None


def pick_shot(
    rng: np.random.Generator, rgb: UInt8[ndarray, "h w 3"], depth: Float[ndarray, "h w"]
) -> Shot:
    """Return settings as a phone or a camera would choose for this picture, errors included."""
    light, far = _TO_LINEAR[rgb[::8, ::8]], np.isinf(depth[::8, ::8])
    # The sky may burn out: it hardly counts, as in a camera that meters what stands before it.
    weight = np.where(far, 0.08, 1.0).ravel()
    order = np.argsort(level := light.max(axis=-1).ravel())
    share = np.cumsum(weight[order]) / weight.sum()
    bright, wanted = float(level[order][np.searchsorted(share, 0.75)]), rng.uniform(0.32, 0.72)
    warm, tint = rng.normal(0, 0.07), rng.normal(0, 0.02)
    # Two thirds of the way to a grey world, as automatic white balance goes.
    mean = light.reshape(-1, 3).mean(axis=0) + 1e-3
    grey = (mean.mean() / mean) ** rng.uniform(0, 0.6)
    red, green, blue = (np.clip(grey, 0.75, 1.3) * np.exp([warm, tint, -warm])).tolist()
    near = float(np.percentile(depth, 15))
    shallow = near < 1.6 and rng.random() < 0.3
    return Shot(
        gain=float(np.clip(wanted / (bright + 1e-3), 0.5, 4.0)),
        balance=(red, green, blue),
        vignette=float(rng.uniform(0, 0.35)) if rng.random() < 0.5 else 0.0,
        aperture_px=float(rng.uniform(0.001, 0.005) * len(rgb)) if shallow else 0.0,
        focus_m=near,
        blur_px=float(rng.uniform(0.3, 0.9)) if rng.random() < 0.25 else 0.0,
        noise=float(np.exp(rng.uniform(np.log(0.7), np.log(7)))) if rng.random() < 0.7 else 0.0,
        jpeg_quality=int(rng.integers(45, 96)) if rng.random() < 0.5 else None,
    )


def expose(
    rng: np.random.Generator, rgb: UInt8[ndarray, "h w 3"], depth: Float[ndarray, "h w"], shot: Shot
) -> UInt8[ndarray, "h w 3"]:
    """Return the picture as the camera would have stored it."""
    if shot.aperture_px > 0:
        rgb = _defocus(rgb, depth, shot.focus_m, shot.aperture_px)
    if shot.blur_px > 0:
        rgb = np.asarray(Image.fromarray(rgb).filter(ImageFilter.GaussianBlur(shot.blur_px)))
    height, width = rgb.shape[:2]
    scale = np.float32(shot.gain) * np.array(shot.balance, np.float32)
    if shot.vignette > 0:
        x, y = np.linspace(-1, 1, width)[None], np.linspace(-1, 1, height)[:, None]
        fall = 1 - shot.vignette * ((x * x + y * y) / 2) ** 1.5
        light = _TO_LINEAR[rgb] * (fall[..., None].astype(np.float32) * scale)
        values = _TO_SRGB[(np.minimum(light, 1) * 4095).astype(np.uint16)]
    else:  # then each channel is a table
        table = _TO_SRGB[(np.minimum(_TO_LINEAR[:, None] * scale, 1) * 4095).astype(np.uint16)]
        values = np.stack([table[:, c][rgb[..., c]] for c in range(3)], axis=-1)
    if shot.noise > 0:
        grain = rng.standard_normal((height, width, 3), dtype=np.float32)
        # Photon noise: after the curve of sRGB it is strongest in the darks.
        values = values + grain * np.float32(shot.noise) * (1.4 - values * np.float32(0.8 / 255))
    rgb = np.clip(values + np.float32(0.5), 0, 255).astype(np.uint8)
    if shot.jpeg_quality is None:
        return rgb
    stored = io.BytesIO()
    Image.fromarray(rgb).save(stored, "JPEG", quality=shot.jpeg_quality)
    return np.asarray(Image.open(stored))


def _defocus(
    rgb: UInt8[ndarray, "h w 3"], depth: Float[ndarray, "h w"], focus_m: float, radius: float
) -> UInt8[ndarray, "h w 3"]:
    """Blur what is behind the focus, without mixing in what is in front of it.

    The blur of a point is the share of `radius` that its distance in inverse depth gives. Only
    background feeds the blurred layer, so the foreground keeps its edge, where depth has it too.
    """
    amount = np.clip(1.15 - 1.3 * focus_m / depth, 0, 1).astype(np.float32)
    weight = Image.fromarray((255 * amount).astype(np.uint8))
    layer = (rgb * amount[..., None]).astype(np.uint8)
    blur = ImageFilter.GaussianBlur(radius)
    total = np.asarray(weight.filter(blur), np.float32)[..., None] / 255
    soft = np.asarray(Image.fromarray(layer).filter(blur), np.float32) / np.maximum(total, 1 / 64)
    mixed = rgb + (np.minimum(soft, 255) - rgb) * np.minimum(amount * 2, 1)[..., None]
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
