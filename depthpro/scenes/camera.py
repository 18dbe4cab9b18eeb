"""Camera effects: exposure, white balance, blur, vignetting, noise, JPEG.

Only colour changes; depth and its edges stay as rendered.
"""

import io
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from numpy.random import Generator
from PIL import Image, ImageFilter

from depthpro.scenes.textures import srgb_to_linear

_TO_LINEAR = srgb_to_linear(np.arange(256) / 255).astype(np.float32)


class Shot(NamedTuple):
    """The settings of one exposure. The defaults change nothing."""

    gain: float = 1.0  # how many times lighter the darks become; white stays white, as on film
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    vignette: float = 0.0  # share of the light lost in the corners
    aperture_px: float = 0.0  # radius of the blur far behind the focus
    focus_m: float = np.inf
    blur_px: float = 0.0
    noise: float = 0.0  # standard deviation in the darks, of 255; two thirds of it in the lights
    jpeg_quality: int | None = None


def pick_shot(rng: Generator, rgb: UInt8[ndarray, "h w 3"], depth: Float[ndarray, "h w"]) -> Shot:
    """Return the settings that an automatic camera would choose for this picture, with errors."""
    light, edge = _TO_LINEAR[rgb[::8, ::8]], len(rgb) // 40
    # The middle is metered, and not the sky, which may burn out.
    inner = np.isfinite(depth[::8, ::8])
    inner[:edge] = inner[-edge:] = inner[:, :edge] = inner[:, -edge:] = False
    metered = light[inner] if inner.mean() > 0.05 else light.reshape(-1, 3)
    bright, wanted = np.quantile(metered.max(axis=-1), 0.6), rng.uniform(0.2, 0.45)
    # Part of the way to a grey world, as automatic white balance goes, and some error.
    mean = light.reshape(-1, 3).mean(axis=0) + 1e-3
    grey = (mean.mean() / mean) ** rng.uniform(0, 0.45)
    warm = rng.normal(0, 0.06)
    red, green, blue = (np.clip(grey, 0.8, 1.25) * np.exp([warm, 0, -warm])).tolist()
    near = float(np.quantile(depth, 0.15))
    shallow = near < 1.2 and rng.random() < 0.3
    return Shot(
        gain=float(np.clip(wanted / (bright + 1e-3), 0.6, 3.5)),
        balance=(red, green, blue),
        vignette=rng.uniform(0, 0.25) if rng.random() < 0.5 else 0.0,
        aperture_px=rng.uniform(0.001, 0.0045) * len(rgb) if shallow else 0.0,
        focus_m=near,
        blur_px=rng.uniform(0.3, 0.9) if rng.random() < 0.25 else 0.0,
        noise=float(np.exp(rng.uniform(0, 2.2))) if rng.random() < 0.7 else 0.0,
        jpeg_quality=int(rng.integers(45, 96)) if rng.random() < 0.5 else None,
    )


def expose(
    rng: Generator, rgb: UInt8[ndarray, "h w 3"], depth: Float[ndarray, "h w"], shot: Shot
) -> UInt8[ndarray, "h w 3"]:
    """Return the picture as the camera would have stored it."""
    if shot.aperture_px > 0:
        rgb = _defocus(rgb, depth, shot.focus_m, shot.aperture_px)
    if shot.blur_px > 0:
        rgb = np.asarray(Image.fromarray(rgb).filter(ImageFilter.GaussianBlur(shot.blur_px)))
    height, width = rgb.shape[:2]
    light = (1 - (1 - _TO_LINEAR[:, None]) ** shot.gain) * np.array(shot.balance)
    light = np.clip(light, 0, 1)
    table = 255 * np.where(light < 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    values = np.stack([table[:, c].astype(np.float32)[rgb[..., c]] for c in range(3)], axis=-1)
    if shot.vignette > 0:
        x, y = np.linspace(-1, 1, width)[None], np.linspace(-1, 1, height)[:, None]
        fall = 1 - shot.vignette * ((x * x + y * y) / 2) ** 1.5
        values *= fall[..., None].astype(np.float32)
    if shot.noise > 0:
        grain = rng.standard_normal((height, width, 3), dtype=np.float32)
        # Photon noise: after the curve of sRGB it is strongest in the darks.
        values += grain * np.float32(shot.noise) * (1 - values * np.float32(1 / 3 / 255))
    rgb = np.clip(values + np.float32(0.5), 0, 255).astype(np.uint8)
    if shot.jpeg_quality is None:
        return rgb
    stored = io.BytesIO()
    Image.fromarray(rgb).save(stored, "JPEG", quality=shot.jpeg_quality)
    return np.asarray(Image.open(stored))


def _defocus(
    rgb: UInt8[ndarray, "h w 3"], depth: Float[ndarray, "h w"], focus_m: float, radius: float
) -> UInt8[ndarray, "h w 3"]:
    """Blur the background behind the focus, and keep the foreground out of it.

    The blur grows with the distance in inverse depth, up to `radius` pixels. Only the background
    feeds the blurred layer, so the foreground keeps its edge, where depth has it too.
    """
    amount = np.clip(1.15 - 1.3 * focus_m / depth, 0, 1).astype(np.float32)
    weight = Image.fromarray((255 * amount).astype(np.uint8))
    layer = (rgb * amount[..., None]).astype(np.uint8)
    blur = ImageFilter.GaussianBlur(radius)
    total = np.asarray(weight.filter(blur), np.float32)[..., None] / 255
    soft = np.asarray(Image.fromarray(layer).filter(blur), np.float32) / np.maximum(total, 1 / 64)
    mixed = rgb + (np.minimum(soft, 255) - rgb) * np.minimum(amount * 2, 1)[..., None]
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
