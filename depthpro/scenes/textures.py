"""Materials: colours of real surfaces, and patterns drawn with NumPy.

A pattern is a picture of 256 x 256, always the same for the same name and variant, so that a worker
draws it once. Most are near white and take their colour from the material's tint; brick and poster
bring their own.
"""

import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from numpy.random import Generator
from PIL import Image

SIDE = 256  # pixels
VARIANTS = 24  # pictures of each pattern


class Material(NamedTuple):
    """How a surface looks. Equal materials share one draw call."""

    pattern: str
    tint: tuple[float, float, float]  # linear albedo that multiplies the pattern
    variant: int = 0
    tile_m: float = 1.0  # metres along the side of one picture of the pattern
    roughness: float = 0.8
    metallic: float = 0.0
    glow: float = 0.0  # light given off, in multiples of the tint
    thin: bool = False  # leaves, hair, cloth: one layer of triangles, each turned to the eye


# Pattern, metres along the side of its picture, roughness, colours in sRGB.
PALETTES = {
    "plaster": ("plaster", 2.0, 0.8,
        "f2eee6 e9e2d0 d9d4c7 cfd3d2 e6d5c3 c3ccbf b7c1cc dcc3ab f5f3ef 9aa3a8 d8a48f"),
    "concrete": ("concrete", 3.0, 0.85, "a8a49b b8b3aa 96948f aba597 c0bbb0"),
    "asphalt": ("asphalt", 3.0, 0.9, "6a6a6b 7b7978 5c5d60 858280"),
    "wood": ("wood", 0.8, 0.6,
        "6b4428 8b5e3c a9784f c39a6b d3b68e 46301f 7d6a58 b58a5a d8c3a0 a08060"),
    "fabric": ("fabric", 0.4, 0.95,
        "39465a 77879a b8a990 8a4038 55664a d9cfc0 2a2a2f c08b5c a3a3a0 6c4f63 e4dfd6 8fa3a8"),
    "paint": ("smooth", 1.0, 0.3,
        "ededed 26262a 7c8087 a7abb0 8c1f1f 27406b 3c4a3c c9c4b8 5d2b2b b7a26a dcdfe2 4b5257"),
    "accent": ("smooth", 1.0, 0.5,
        "b3392f d88c2b e3c04d 4e7a4b 2f6f86 355a94 7a4a7d c96f7e f0ede6 303236 97c0c9 c7a98b"),
    "leaf": ("leaf", 0.2, 0.9,
        "55722e 6f9139 82a548 5d8240 97aa4c 7c9450 a3ad50 b0923f 71803a 4c6a35"),
    "grass": ("grass", 4.0, 0.9, "7a8c42 8fa04e 6f8a40 b0ae6c c4bb80"),
    "soil": ("soil", 4.0, 0.95, "8a7254 9f8565 745d49 b09a78 7d6a5a b8a480"),
    "rock": ("rock", 1.5, 0.95, "8d8880 a19a8e 77736d b3a995 6a6762 998a76"),
    "bark": ("bark", 0.4, 0.95, "6d5c4d 7f6d5b 5a4d43 958473 a39a8c"),
    "skin": ("smooth", 1.0, 0.55, "eccdb8 e0bca4 d0a88c b88c70 94705a 7a5c4a f0d8c8 e6c4ae"),
    "hair": ("hair", 0.15, 0.55, "1c1613 2d211a 4a3324 6e4f33 a37b4c b39a70 8d8a88 7a4a30"),
    "fur": ("hair", 0.15, 0.9, "d9c4a0 8f6f4c 5d4d41 e9e3d8 a9835a 7f7a76 3a3532 b87f4a"),
    "metal": ("smooth", 1.0, 0.4, "c8c8c6 9a9c9e 8f8f92 5d6063 d6d3cc"),
    "facade": ("facade", 13.0, 0.9,
        "e6dccb d5c3a8 c9b8a5 b9a08c dcd6cc c7cdd0 e8d3b0 b07a62 a8988a f0e9dc 8d9296"),
    "roof": ("bark", 3.0, 0.9, "8a4a35 6d4436 5c5654 77706c"),
    "rubber": ("smooth", 1.0, 0.7, "202022 2c2c2d"),
    "glass": ("smooth", 1.0, 0.1, "2d363b 353d40 262c32"),
    "white": ("plaster", 2.0, 0.85, "ffffff"),
}  # fmt: skip

_TONES = {
    # Dark end in sRGB (the light one is white); first and last octave, gain and stretch of noise.
    "smooth": (0.97, 1, 4, 0.6, 1),
    "plaster": (0.92, 3, 8, 0.85, 1),
    "concrete": (0.75, 2, 8, 0.75, 1),
    "asphalt": (0.6, 2, 8, 0.95, 1),
    "leaf": (0.7, 2, 7, 0.8, 1),
    "grass": (0.5, 2, 8, 0.95, 1),
    "soil": (0.5, 1, 8, 0.92, 1),
    "gravel": (0.3, 5, 8, 0.95, 1),
    "rock": (0.5, 1, 8, 0.75, 1),
    "bark": (0.45, 2, 6, 0.75, 4),
    "wood": (0.62, 1, 5, 0.8, 8),
    "hair": (0.55, 3, 5, 0.8, 8),
}


def srgb_to_linear(value: Float[ndarray, "..."]) -> Float[ndarray, "..."]:
    """Return linear light for sRGB values in [0, 1]."""
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def pick_tint(rng: Generator, palette: str) -> tuple[float, float, float]:
    """Return a linear colour near one of the palette's."""
    text = str(rng.choice(PALETTES[palette][3].split()))
    colour = srgb_to_linear(np.array([int(text[i : i + 2], 16) for i in (0, 2, 4)]) / 255)
    colour = colour * np.exp(rng.normal(0, 0.12) + rng.normal(0, 0.04, 3))
    red, green, blue = np.clip(colour, 0.004, 1).tolist()
    return red, green, blue


def paint(
    rng: Generator,
    palette: str,
    pattern: str | None = None,
    tile_m: float | None = None,
    roughness: float | None = None,
) -> Material:
    """Return a material with a colour of the palette, and its own pattern and size by default."""
    own, size, rough, _ = PALETTES[palette]
    name, tint = pattern or own, pick_tint(rng, palette)
    if name in _TONES:  # the mean of the pattern is to have the colour
        middle = float(srgb_to_linear(np.array((1 + _TONES[name][0]) / 2)))
        scale = min(1 / middle, 1 / max(tint))
        tint = (tint[0] * scale, tint[1] * scale, tint[2] * scale)
    rough = rough * rng.uniform(0.85, 1.05) if roughness is None else roughness
    metal = 0.9 if palette == "metal" else 0.0
    return Material(name, tint, int(rng.integers(VARIANTS)), tile_m or size, round(rough, 2), metal)


def fractal_noise(
    rng: Generator, first: int = 1, last: int = 7, gain: float = 0.6, stretch: int = 1
) -> Float[ndarray, "256 256"]:
    """Return smooth noise in [0, 1] that tiles: octaves of 2^first to 2^last cells down a side.

    Each octave is `gain` times as high as the one before, and has `stretch` times as many cells
    across as down.
    """
    total = np.zeros((2, 2), np.float32)
    for octave in range(first, last + 1):
        rows, columns = 2**octave, min(SIDE, 2**octave * stretch)
        # Octave upon octave, each on as few pixels as it has cells: half the time.
        total = _enlarge(total, rows, columns)
        total += rng.random((rows, columns), np.float32) * np.float32(gain ** (octave - first))
    total = _enlarge(total, SIDE, SIDE)
    return (total - total.min()) / (np.ptp(total) + 1e-6)


def _enlarge(cells: Float[ndarray, "h w"], rows: int, columns: int) -> Float[ndarray, "r c"]:
    """Return the cells between which smooth values lie, as a picture that still tiles."""
    height, width = cells.shape
    wrapped = Image.fromarray(np.pad(cells, 2, mode="wrap"))
    inside = (2, 2, width + 2, height + 2)
    return np.array(wrapped.resize((columns, rows), Image.Resampling.BICUBIC, inside))


def draw_pattern(name: str, variant: int) -> UInt8[ndarray, "256 256 3"]:
    """Return the picture of a pattern in sRGB; the same for the same name and variant."""
    rng = np.random.default_rng([zlib.crc32(name.encode()), variant])
    colour = _PAINTERS[name](rng) if name in _PAINTERS else _two_tone(rng, *_TONES[name])
    colour = np.broadcast_to(colour if colour.ndim == 3 else colour[..., None], (SIDE, SIDE, 3))
    return (np.clip(colour, 0, 1) * 255).astype(np.uint8)


def _two_tone(
    rng: Generator, dark: float, first: int, last: int, gain: float, stretch: int
) -> ndarray:
    """Return near-white noise with a slight drift of hue, for a tint to colour."""
    tone = dark + (1 - dark) * fractal_noise(rng, first, last, gain, stretch)
    drift = (fractal_noise(rng, 1, 4) - 0.5) * np.float32(1 - dark)
    # Channel by channel: NumPy is slow where the last axis has length three.
    hues = rng.normal(0, 0.15, 3).astype(np.float32)
    return np.stack([tone * (1 + drift * hue) for hue in hues], axis=-1)


def _courses(
    rng: Generator, rows: int, columns: int, shift: float, joint: float, spread: float
) -> tuple[ndarray, ndarray]:
    """Return where the joints are, and the tone of every brick, tile or board."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE * [[[rows]], [[columns]]]
    x = x + shift * (y.astype(int) % 2)
    tone = 1 - spread * rng.random((rows, columns))[y.astype(int), x.astype(int) % columns]
    return (y % 1 < joint) | (x % 1 < joint * columns / rows), tone


def _bricks(rng: Generator) -> ndarray:
    """Return twelve courses of four bricks, each of its own burn; one picture is a metre."""
    joint, burn = _courses(rng, 12, 4, 0.5, 0.13, 0.4)
    base = np.array([[0.66, 0.38, 0.29], [0.74, 0.6, 0.46], [0.55, 0.35, 0.3]])[rng.integers(3)]
    grain = 0.85 + 0.15 * fractal_noise(rng, 3, 8, 0.8)[..., None]
    return np.where(joint[..., None], rng.uniform(0.5, 0.78), base * burn[..., None]) * grain


def _tiles(rng: Generator) -> ndarray:
    """Return square tiles, near white; every second one may be darker."""
    count = 2 * int(rng.integers(2, 4))
    joint, tone = _courses(rng, count, count, 0, 0.05, 0.08)
    y, x = np.mgrid[0:SIDE, 0:SIDE] * count // SIDE
    tone = tone * np.where((x + y) % 2, 1, rng.choice([1, 1, rng.uniform(0.35, 0.8)]))
    return np.where(joint, rng.uniform(0.5, 0.85), tone) * (0.92 + 0.08 * fractal_noise(rng))


def _planks(rng: Generator) -> ndarray:
    """Return eight boards with grain along them, near white."""
    joint, tone = _courses(rng, 8, 2, rng.random(), 0.04, 0.3)
    grain = 0.75 + 0.25 * fractal_noise(rng, 1, 5, 0.8, 8)
    return np.where(joint, 0.45, tone * grain.T).T


def _weave(rng: Generator) -> ndarray:
    """Return cloth, near white: threads, and at times stripes or checks."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE * 2 * np.pi
    tone = 0.85 + 0.07 * np.sin(64 * x) + 0.07 * np.sin(64 * y)
    count, across, down = rng.integers(2, 14), *(rng.random(2) < [0.4, 0.2])
    tone = tone * (
        1 - 0.2 * across * (np.sin(count * x) > 0) - 0.2 * down * (np.sin(count * y) > 0)
    )
    return tone * (0.88 + 0.12 * fractal_noise(rng))


def _facade(rng: Generator) -> ndarray:
    """Return four storeys of four windows; one picture is 12 to 14 metres."""
    wall = _two_tone(rng, 0.85, 1, 8, 0.7, 1)
    h, w = (64 * rng.uniform((0.42, 0.28), (0.66, 0.62))).astype(int)
    frame, sill = rng.uniform(0.35, 1.0), rng.choice([0.6, 1.0])
    for row, column in np.ndindex(4, 4):
        y, x = row * 64 + (64 - h) // 2, column * 64 + (64 - w) // 2
        wall[y - 2 : y + h + 2, x - 2 : x + w + 2] = frame
        bright, dim = rng.uniform((0.25, 0.08), (0.55, 0.2))
        wall[y : y + h, x : x + w] = np.linspace(bright, dim, h)[:, None, None] * [0.85, 0.95, 1.05]
        if rng.random() < 0.3:  # a curtain or a blind
            wall[y : y + int(h * rng.uniform(0.2, 0.9)), x : x + w] = rng.uniform(0.5, 0.85)
        wall[y : y + h, x + w // 2 : x + w // 2 + 2] = frame
        wall[y + h + 2 : y + h + 5, x - 4 : x + w + 4] *= sill
    return wall


def _poster(rng: Generator) -> ndarray:
    """Return a picture or a printed surface: hills, or discs, bars and lines of text."""
    colours = [np.array(pick_tint(rng, "accent")) ** 0.45 for _ in range(6)]
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    image = colours[0] * (1 - y[..., None]) + colours[4 * (rng.random() < 0.5)] * y[..., None]
    if rng.random() < 0.35:
        for layer in range(int(rng.integers(2, 5))):
            edge = 0.35 + 0.16 * layer + 0.25 * (fractal_noise(rng, 2, 6)[0] - 0.5)
            image[y > edge] = colours[1 + layer] * (0.8 - 0.12 * layer)
        return image * (0.85 + 0.15 * fractal_noise(rng)[..., None])
    for _ in range(int(rng.integers(3, 14))):
        (cx, cy), size, angle = rng.random(2), rng.uniform(0.03, 0.3), rng.uniform(0, 3)
        u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        v = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
        bar = (np.abs(u) < size) & (np.abs(v) < size * rng.uniform(0.1, 1))
        image[bar if rng.random() < 0.5 else np.hypot(u, v) < size] = colours[rng.integers(6)]
    for line in range(int(rng.integers(20, 250)), 245, 12):
        image[line : line + 4, 20 : int(rng.integers(90, 236))] = colours[5] * 0.8
    return image


_PAINTERS: dict[str, Callable[[Generator], ndarray]] = {
    "brick": _bricks,
    "tiles": _tiles,
    "planks": _planks,
    "fabric": _weave,
    "facade": _facade,
    "poster": _poster,
}
