"""The sky, and the light that comes from it: one environment that is both seen and lit by.

An environment is a cube map of linear radiance in which a white wall in the open has about 1. It
goes to the renderer as KTX (version 1), with mip levels for reflections and spherical harmonics for
diffuse light.
"""

import functools
import struct
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.random import Generator
from scipy.ndimage import map_coordinates

from depthpro.scenes.mesh import unit
from depthpro.scenes.textures import SIDE, fractal_noise


class Lamp(NamedTuple):
    """A lamp that shines in a wide cone, or the sun."""

    towards: Float[ndarray, " 3"]  # the direction in which it shines
    colour: Float[ndarray, " 3"]
    intensity: float  # candela; lux of the sun
    at: Float[ndarray, " 3"] | None = None  # None is the sun


class Light(NamedTuple):
    """All the light of a scene."""

    cube: Float[ndarray, "6 face face 3"]  # radiance from all around, faces in OpenGL's order
    lux: float  # illuminance of radiance 1
    backdrop: Float[ndarray, "6 side side 3"] | None = None  # the sky in view, if not `cube`
    lamps: tuple[Lamp, ...] = ()
    haze_m: float = np.inf  # distance at which haze has taken two thirds of the contrast


# Share; the sun's height in radians; cover of clouds; the sun's strength.
_WEATHERS = {
    "clear": (0.35, (0.35, 1.25), (0.0, 0.2), 1.0),
    "cloudy": (0.35, (0.35, 1.25), (0.35, 0.65), 0.85),
    "overcast": (0.15, (0.35, 1.25), (0.6, 1.0), 0.06),
    "golden": (0.15, (0.1, 0.3), (0.0, 0.6), 0.6),
}


def outdoor_light(rng: Generator, face: int = 256) -> Light:
    """Return a sky of `face` pixels and its sun: clear, cloudy, overcast or low and golden."""
    weather = str(rng.choice(list(_WEATHERS), p=[share for share, *_ in _WEATHERS.values()]))
    _, heights, covers, strength = _WEATHERS[weather]
    height, cover, azimuth = rng.uniform(*heights), rng.uniform(*covers), rng.uniform(-np.pi, np.pi)
    flat = np.cos(height)
    towards = np.array([flat * np.sin(azimuth), flat * np.cos(azimuth), np.sin(height)])
    warmth = np.exp(-2.2 * np.sin(height))  # the long way through the air takes the blue
    colour = np.array([1.0, 1 - 0.35 * warmth, 1 - 0.75 * warmth])
    zenith = np.array([0.14, 0.3, 0.7]) * rng.uniform(0.6, 1.1)
    horizon = np.array([0.62, 0.74, 0.92]) * rng.uniform(0.7, 1.05)
    if weather == "golden":
        horizon = horizon * [1.25, 0.92, 0.66]
    if weather == "overcast":
        grey = rng.uniform(0.6, 0.95)
        zenith, horizon = grey * np.array([0.9, 0.95, 1.0]), grey * np.array([0.8, 0.83, 0.87])
    sun = Lamp(-towards, colour, 1.1e5 * strength)
    cube = _paint_sky(rng, face, sun, zenith, horizon, cover)
    sun = sun._replace(intensity=sun.intensity * rng.uniform(0.8, 1.15))
    haze_m = float(np.exp(rng.uniform(5.2, 8.5)))
    return Light(cube, 3.4e4 * rng.uniform(0.85, 1.2), lamps=(sun,), haze_m=haze_m)


def indoor_light(rng: Generator) -> Light:
    """Return the soft light that walls, floor and ceiling send back and forth."""
    lamp = np.array([1.0, rng.uniform(0.8, 1.0), rng.uniform(0.6, 1.0)])
    direction = cube_directions(16)
    side = unit(np.array([*rng.normal(size=2), 0.3]))
    shade = 0.62 + 0.25 * direction @ side + 0.1 * direction[..., 2]
    outside = outdoor_light(rng, 128).cube * np.float32(rng.uniform(1.0, 2.5))
    return Light((shade[..., None] * lamp).astype(np.float32), 2.4e4, outside)


@functools.cache
def cube_directions(face: int) -> Float[ndarray, "6 {face} {face} 3"]:
    """Return the unit world vector of every pixel of a cube map, faces in the order of OpenGL.

    The renderer's cube has y up; the world here has z up.
    """
    t = (np.arange(face) + 0.5) / face * 2 - 1
    s, t, one = t[None] + 0 * t[:, None], t[:, None] + 0 * t[None], np.ones((face, face))
    faces = [(one, -t, -s), (-one, -t, s), (s, one, t), (s, -one, -t), (s, -t, one), (-s, -t, -one)]
    x, y, z = (np.stack(axis) for axis in zip(*faces, strict=True))
    return unit(np.stack([x, -z, y], axis=-1))


def _paint_sky(
    rng: Generator, face: int, sun: Lamp, zenith: ndarray, horizon: ndarray, cover: float
) -> Float[ndarray, "6 face face 3"]:
    """Return radiance: a gradient, the glow around the sun, clouds, and a dull ground below."""
    direction = cube_directions(face)
    above = direction[..., 2] > -0.02
    x, y, up = direction[above].T.astype(np.float32)
    tint, zenith, horizon = (c.astype(np.float32)[:, None] for c in (sun.colour, zenith, horizon))
    height = np.clip(up, 0, 1)
    near_sun = np.clip(np.float32(-sun.towards) @ np.stack([x, y, up]), 0, 1)
    air = horizon + (zenith - horizon) * height ** np.float32(0.45)
    glow = near_sun * near_sun * near_sun
    clear = 0.2 if cover > 0.7 else 1.0
    air += tint * (clear * (0.35 * glow**2 + 1.5 * glow**20))
    at = np.stack([y, x]) / (height + 0.18) * (SIDE / 8)
    noise = map_coordinates(fractal_noise(rng, 2, 8), at, order=1, mode="grid-wrap")
    density = np.clip((noise - (1 - cover)) * 3.2, 0, 1) * np.clip(height * 9, 0, 1)
    lit = (0.75 + 0.35 * glow - 0.45 * density * noise) * (0.35 + 0.65 * tint)
    ground = horizon[:, 0] * 0.5 + np.array([0.25, 0.22, 0.18])
    cube = np.empty((*above.shape, 3), np.float32)
    cube[:] = 0.32 * ground * (0.7 - sun.towards[2])
    cube[above] = (air + (lit * np.float32(rng.uniform(0.9, 1.15)) - air) * density).T
    return cube


def encode_ktx(cube: Float[ndarray, "6 face face 3"]) -> bytes:
    """Return the environment as a KTX cube map (R11F G11F B10F, all mips, harmonics as `sh`)."""
    levels = [cube]
    while levels[-1].shape[1] > 1:
        half = levels[-1].shape[1] // 2
        levels.append(levels[-1].reshape(6, half, 2, half, 2, 3).mean(axis=(2, 4)))
    coarse = next(level for level in levels if level.shape[1] <= 8)
    rows = "".join(" ".join(f"{value:.6g}" for value in row) + "\n" for row in harmonics(coarse))
    pair = b"sh\0" + rows.encode() + b"\0"
    pair = struct.pack("<I", len(pair)) + pair + bytes(-len(pair) % 4)
    packed, rgb = 0x8C3A, 0x1907  # GL_R11F_G11F_B10F, GL_RGB
    fields = (0x04030201, packed, 1, rgb, packed, packed, len(cube[0]), len(cube[0]), 0, 0, 6)
    header = b"\xabKTX 11\xbb\r\n\x1a\n" + struct.pack("<13I", *fields, len(levels), len(pair))
    content = header + pair
    for level in levels:
        half = np.clip(level, 0, 6e4).astype(np.float16).view(np.uint16).astype(np.uint32)
        # Half floats without sign, cut to 11, 11 and 10 bits.
        words = (half[..., 0] >> 4) | (half[..., 1] >> 4) << 11 | (half[..., 2] >> 5) << 22
        content += struct.pack("<I", words[0].nbytes) + words.astype("<u4").tobytes()
    return content


def harmonics(cube: Float[ndarray, "6 face face 3"]) -> Float[ndarray, "9 3"]:
    """Return the coefficients of irradiance / pi over Filament's basis of 9 polynomials."""
    direction = cube_directions(cube.shape[1]).reshape(-1, 3)
    # A pixel at angle a from the middle of its face covers cos(a)^3 of the solid angle.
    solid = np.abs(direction).max(axis=1) ** 3
    normals = unit(np.random.default_rng(0).normal(size=(64, 3)))
    weight = np.clip(normals @ direction.T, 0, None) * (solid / solid.sum() * 4)
    irradiance = weight @ cube.reshape(-1, 3)
    # The basis is that of the renderer's frame: y up, z towards us.
    x, y, z = normals[:, 0], normals[:, 2], -normals[:, 1]
    basis = np.stack([1 + 0 * x, y, z, x, y * x, y * z, 3 * z * z - 1, z * x, x * x - y * y], 1)
    return np.linalg.lstsq(basis, irradiance, rcond=None)[0]
