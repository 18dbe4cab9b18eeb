"""Plants and stones, in real sizes."""

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from depthpro.scenes.mesh import UP, blob, lathe, leaves, ribbons, tube, unit
from depthpro.scenes.textures import Material, paint
from depthpro.scenes.thing import Thing


def potted_plant(rng: Generator, size: float) -> Thing:
    """Return a plant `size` metres high: fronds over a pot."""
    high, count = size * 0.28, int(rng.integers(25, 110))
    wide = high * rng.uniform(0.4, 0.6)
    pot = lathe([0, wide * 0.75, wide, wide * 0.9, 0], [0, 0, high, high, high * 0.9], 24)
    up = unit(rng.normal(size=(count, 3)) * [1, 1, 0.5] + [0, 0, rng.uniform(0.6, 1.6)])
    roots = np.tile([0, 0, high * 0.9], (count, 1))
    length, width = size * rng.uniform(0.35, 0.8, count), size * rng.uniform(0.03, 0.12)
    fronds = ribbons(rng, roots, up, length, width, [0, 0, -rng.uniform(0.1, 0.7)], joints=6)
    return Thing().add(paint(rng, "accent"), pot).thin(paint(rng, "leaf"), fronds)


def twigs(rng: Generator, size: float) -> Thing:
    """Return leafy twigs about `size` metres high, around their middle."""
    leaf, bark, thing = paint(rng, "leaf", None, 0.05), paint(rng, "bark", None, 0.1), Thing()
    for _ in range(rng.integers(2, 6)):
        steps = unit(rng.normal(0, 0.45, (9, 3)) + UP) * size * 0.16
        path = rng.normal(0, 0.12, 3) * size - [0, 0, 0.6 * size] + np.cumsum(steps, axis=0)
        thing.add(bark, tube(path, np.linspace(0.012, 0.003, 9) * size, 6))
        count = rng.integers(14, 40)
        at = path[rng.integers(2, 9, count)] + rng.normal(0, 0.02, (count, 3)) * size
        way = unit(rng.normal(size=(count, 3)) + 0.3 * UP)
        length, width = size * rng.uniform(0.1, 0.3), size * rng.uniform(0.03, 0.08)
        thing.thin(leaf, ribbons(rng, at, way, length, width, joints=6))
    return thing


def tree(rng: Generator, height: float, bark: Material, leaf: Material) -> Thing:
    """Return a tree: a conifer, a bare one, or one with a crown of leaves around its branches."""
    kind = rng.choice(["broad", "conifer", "bare"], p=[0.65, 0.2, 0.15])
    t = np.linspace(0, 1, 8)[:, None]
    top = np.array([*rng.normal(0, 0.05 * height, 2), height * rng.uniform(0.75, 0.95)])
    thick = height * rng.uniform(0.012, 0.022) + 0.02
    trunk = t * top + rng.normal(0, 0.008 * height, (8, 3)) * np.sin(np.pi * t)
    thing = Thing().add(bark, tube(trunk, np.linspace(thick, thick * 0.3, 8)))
    if kind == "conifer":
        count = rng.integers(700, 1300)
        level = 1 - np.sqrt(rng.random(count)) * 0.88
        angle, out = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.uniform(0.2, 1, count))
        tier = 1.25 - 0.4 * (0.75 + 0.25 * ((level * 11) % 1))
        reach = (1 - level) * height * rng.uniform(0.18, 0.28) * out * tier
        way = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
        at = reach[:, None] * way + level[:, None] * [0, 0, height]
        return thing.thin(leaf, leaves(rng, at, height * 0.06, unit(way + 0.6 * UP), slim=0.45))
    tips: list[ndarray] = []
    for _ in range(rng.integers(9, 18)):
        way = unit([*rng.normal(0, 1, 2), rng.uniform(0.1, 1.1)])
        path = trunk[rng.integers(2, 8)] + way * height * rng.uniform(0.16, 0.34) * t
        path = path + rng.normal(0, 0.012 * height, (8, 3)) * t
        thing.add(bark, tube(path, np.linspace(thick * 0.4, thick * 0.06, 8), 5))
        tips.extend(path[3:])
    if kind == "bare":
        ends = np.array(tips)[rng.integers(len(tips), size=160)]
        way = unit(rng.normal(size=(160, 3)) + 0.6 * UP)
        return thing.thin(bark, ribbons(rng, ends, way, height * 0.09, height * 0.003))
    count = rng.integers(900, 1800)
    at = np.array(tips)[rng.integers(len(tips), size=count)]
    at = at + rng.normal(0, 0.045 * height, (count, 3))
    normals = unit(at - at.mean(axis=0) + 0.25 * height * UP)
    size = height * rng.uniform(0.034, 0.055) * rng.uniform(0.6, 1.3, count)
    return thing.thin(leaf, leaves(rng, at, size, normals))


def bush(rng: Generator, size: float, leaf: Material) -> Thing:
    """Return a bush `size` metres high."""
    count = rng.integers(600, 1300)
    out = unit(rng.normal(size=(count, 3))) * rng.uniform(0.15, 1, (count, 1)) ** 0.5
    at = out * rng.uniform([0.4, 0.4, 0.45], [0.75, 0.75, 0.55]) * size + 0.45 * size * UP
    at[:, 2] = np.maximum(at[:, 2], 0.01)
    crown = leaves(rng, at, size * rng.uniform(0.08, 0.17), unit(out + 0.5 * UP))
    return Thing().thin(leaf, crown)


def rock(rng: Generator, size: float, stone: Material) -> Thing:
    """Return a boulder `size` metres wide, sunk a little into the ground."""
    dims = size * rng.uniform(0.6, 1.1, 3) * [1, 1, 0.75]
    bumps = np.hstack([rng.normal(size=(14, 3)), rng.uniform([[0.2, -0.2]], [[0.7, 0.2]], (14, 2))])
    body = blob(dims, rng.uniform(2, 4), bumps, 30)
    return Thing().add(stone, body, [0, 0, dims[2] * 0.25], rng.uniform(0, 6))
