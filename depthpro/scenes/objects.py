"""Objects: abstract shapes of any size."""

import numpy as np
from numpy.random import Generator

from depthpro.scenes.mesh import Mesh, blob, box, lathe, leaves, rotation, sheet, tube, unit
from depthpro.scenes.sky import Lamp, indoor_light, outdoor_light
from depthpro.scenes.textures import Material, paint
from depthpro.scenes.thing import Scene, Thing

_PATTERNS = ("fabric", "poster", "wood", "brick", "gravel", "tiles", "plaster", "rock", "planks")


def objects(rng: Generator) -> Scene:
    """Return a scene 0.5 to 10 m large of abstract shapes, on the ground and in the air."""
    scale, thing, enclosed = float(np.exp(rng.uniform(-0.7, 2.3))), Thing(), rng.random() < 0.6
    thing.box(_any_paint(rng, scale), [80 * scale, 80 * scale, 0.1], [0, 0, -0.05])
    if enclosed:
        away, wall = scale * rng.uniform(2.2, 5), _any_paint(rng, scale)
        high = away * rng.uniform(0.5, 1)
        sides = [[0.1, 2 * away, high, s * away, 0, high / 2] for s in (-1, 1)]
        thing.boxes(wall, [*sides, [2 * away, 0.1, high, 0, away, high / 2]])
    for size in scale * np.exp(rng.uniform(-3, -0.6, rng.integers(12, 50))):
        at = np.array([rng.normal(0, 0.6), rng.uniform(0.3, 2.0), 0]) * scale
        at[2] = size * 0.4 if rng.random() < 0.5 else abs(rng.normal(0.35, 0.3)) * scale
        mesh, thin = _shape(rng, size)
        material = _any_paint(rng, size * 2)._replace(thin=thin)
        thing.add(material, mesh, at, rotation(*rng.uniform(-np.pi, np.pi, 3)))
    light = outdoor_light(rng, 128)
    if enclosed:
        at = np.array([rng.normal(0, 1), rng.uniform(-0.5, 1), rng.uniform(1.2, 2)]) * scale
        way, warm = np.array([0, 0.5 * scale, 0]) - at, np.array([1, 0.92, 0.8])
        light = indoor_light(rng)._replace(lamps=(Lamp(way, warm, 1e5 * at[2] ** 2, at),))
    eye = np.array([0, -0.6, rng.uniform(0.2, 0.9)]) * scale
    targets = rng.uniform([-0.4, 0.8, 0], [0.4, 1.6, 0.6], (8, 3)) * scale
    return Scene(thing, light, eye, np.array([0.15, 0.1, 0.08]) * scale, targets)


def _any_paint(rng: Generator, size: float) -> Material:
    """Return a random material, with a pattern that suits things of this size."""
    palette = str(rng.choice(["accent", "plaster", "wood", "fabric", "rock", "metal"],
                             p=[0.35, 0.2, 0.15, 0.15, 0.1, 0.05]))  # fmt: skip
    if rng.random() < 0.4:
        return paint(rng, palette, "smooth", 1.0, float(rng.uniform(0.1, 1)))
    pattern = str(rng.choice(_PATTERNS))
    palette = "white" if pattern in ("poster", "brick") else palette  # they bring their colours
    return paint(rng, palette, pattern, float(size * rng.uniform(0.3, 1.2)))


def _shape(rng: Generator, size: float) -> tuple[Mesh, bool]:
    """Return a shape about `size` metres large around the origin, and whether it is thin."""
    kind, t = rng.integers(7), np.linspace(0, 2 * np.pi, 36)
    if kind == 0:
        return box(size * rng.uniform(0.1, 1.4, 3)), False
    if kind == 1:
        heights = rng.uniform(-1, 1, (10, 1)) * rng.choice([0, 0.15, 0.35])
        bumps = np.hstack([rng.normal(size=(10, 3)), rng.uniform(0.2, 0.7, (10, 1)), heights])
        return blob(size * rng.uniform(0.4, 1.4, 3), rng.uniform(1, 8), bumps, 32), False
    if kind == 2:
        radius = np.interp(np.linspace(0, 1, 14), np.linspace(0, 1, 5), rng.uniform(0.1, 0.6, 5))
        return lathe(size * np.array([0, *radius, 0]), size * np.linspace(-0.7, 0.7, 16), 28), False
    if kind == 3:
        path = np.cumsum(rng.normal(0, size * 0.3, (14, 3)), axis=0)
        return tube(path - path.mean(axis=0), size * rng.uniform(0.01, 0.1)), False
    if kind == 4:
        at = rng.normal(0, size * 0.45, (rng.integers(40, 500), 3))
        slim, length = rng.uniform(0.2, 1), size * rng.uniform(0.08, 0.4)
        return leaves(rng, at, length, unit(at), slim), True
    if kind == 5:
        ring = np.stack([np.cos(t), np.sin(t), 0.1 * np.sin(3 * t)], axis=1)
        return tube(size * 0.7 * ring, size * rng.uniform(0.02, 0.25), 12), False
    u, v = np.meshgrid(np.linspace(-1, 1, 24), np.linspace(-1, 1, 24))
    ripples, phase = rng.uniform(1, 6, 2), rng.uniform(0, 6)
    wave = 0.3 * np.sin(ripples[0] * u + phase) * np.cos(ripples[1] * v)
    return sheet(size * np.stack([u, v, wave], axis=-1)), True
