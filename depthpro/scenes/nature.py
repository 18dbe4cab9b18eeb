"""Nature: meadow, wood or stony ground that ends in hills."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.random import Generator

from depthpro.scenes.mesh import UP, leaves, ribbons, sheet, tube, unit
from depthpro.scenes.people import animal, person
from depthpro.scenes.plants import bush, rock, tree
from depthpro.scenes.sky import outdoor_light
from depthpro.scenes.textures import paint
from depthpro.scenes.thing import Scene, Thing

Ground = Callable[[ndarray, ndarray], ndarray]

# Least and most + 1 of trees, rocks and bushes; nearest tree in metres; palettes of the ground.
_KINDS = {
    "meadow": ((2, 12), (0, 9), (1, 9), 8.0, ("grass", "grass", "soil")),
    "wood": ((14, 34), (0, 9), (2, 12), 3.0, ("grass", "soil", "soil")),
    "stones": ((1, 8), (20, 60), (0, 5), 8.0, ("soil", "rock", "rock")),
}


def nature(rng: Generator) -> Scene:
    """Return a landscape around the camera."""
    ground, thing = _terrain(rng), Thing()
    kind = str(rng.choice(list(_KINDS), p=[0.4, 0.4, 0.2]))
    n_trees, n_rocks, n_bushes, clearing, covers = _KINDS[kind]
    cover = str(rng.choice(covers))
    gravel = kind == "stones" and rng.random() < 0.5
    axis = np.sinh(np.linspace(-6, 6, 130)) / np.sinh(6) * 1800
    x, y = np.meshgrid(axis, axis)
    surface = sheet(np.stack([x, y, ground(x, y)], axis=-1))
    # Texture in metres as seen from above, bent so that its repetition makes no rows.
    flat = surface.points[:, :2]
    surface = surface._replace(uv=flat + 1.5 * np.sin(flat[:, ::-1] / 5 + rng.uniform(0, 6, 2)))
    thing.add(paint(rng, cover, "gravel" if gravel else None), surface)

    def spot(near: float, far: float, width: float) -> ndarray:
        away, angle = np.exp(rng.uniform(np.log(near), np.log(far))), rng.normal(0, width)
        x, y = np.array(away * np.sin(angle)), np.array(away * np.cos(angle))
        return np.array([x, y, ground(x, y)])

    barks, greens = ([paint(rng, palette) for _ in range(3)] for palette in ("bark", "leaf"))
    tall, stone = rng.uniform(4, 14), paint(rng, "rock")
    trees = [tree(rng, tall, barks[i % 3], greens[i % 3]) for i in range(5)]
    for i in range(rng.integers(*n_trees)):
        at, scale = spot(clearing, 110, 0.6), rng.uniform(0.6, 1.35)
        thing.put(trees[i % 5], at, rng.uniform(0, 6), scale)
    for _ in range(rng.integers(*n_rocks)):
        at = spot(1.5, 60, 0.7)
        thing.put(rock(rng, min(np.hypot(*at[:2]) * rng.uniform(0.02, 0.16), 5), stone), at)
    for _ in range(rng.integers(*n_bushes)):
        thing.put(bush(rng, rng.uniform(0.4, 1.8), greens[rng.integers(3)]), spot(2.5, 40, 0.6))
    for _ in range(rng.integers(0 if kind == "stones" else 1, 4)):
        _undergrowth(rng, thing, ground)
    if rng.random() < 0.35:
        _fence(rng, thing, ground)
    for _ in range(rng.choice(4, p=[0.55, 0.2, 0.15, 0.1])):
        thing.put(person(rng), spot(2.5, 20, 0.35), rng.uniform(0, 6))
    for _ in range(rng.choice(4, p=[0.75, 0.1, 0.1, 0.05])):
        size = rng.uniform(0.12, 0.35)
        thing.put(animal(rng, size), spot(2.5, 20, 0.35) + 1.75 * size * UP, rng.uniform(0, 6))
    levels = rng.normal(1.5, 0.2), rng.uniform(0.3, 1), rng.uniform(2, 5)
    level = rng.choice(levels, p=[0.6, 0.28, 0.12])
    targets = np.column_stack([rng.normal(0, 5, 8), np.full(8, 20), level + rng.uniform(-5, 3, 8)])
    spread = np.array([0.3, 0.3, 0.05])
    return Scene(thing, outdoor_light(rng), np.array([0, 0, level]), spread, targets)


def _terrain(rng: Generator) -> Ground:
    """Return the height of the ground in metres; it is 0 at the origin and hilly far away."""
    folds = _waves(rng, rng.normal(0, 0.35, (6, 2)) / 1.9 ** np.arange(6)[:, None], 1.8)
    ridges = _waves(rng, rng.normal(0, 0.006, (4, 2)) * 2.0 ** np.arange(4)[:, None], 0.5)
    small, steep = rng.uniform(0.02, 0.16), rng.uniform(0, 0.22)

    def height_at(x: ndarray, y: ndarray) -> ndarray:
        away = np.hypot(x, y)
        near = small * folds(x, y) * np.clip(away / 4, 0, 1)
        return np.asarray(near + steep * np.maximum(away - 90, 0) * (0.45 + 0.35 * ridges(x, y)))

    return height_at


def _waves(rng: Generator, vectors: Float[ndarray, "n 2"], gain: float) -> Ground:
    """Return a sum of plane waves of height 1, gain, gain² and so on."""
    phases = rng.uniform(0, 2 * np.pi, len(vectors))
    heights = gain ** np.arange(len(vectors))

    def value_at(x: ndarray, y: ndarray) -> ndarray:
        along = np.multiply.outer(x, vectors[:, 0]) + np.multiply.outer(y, vectors[:, 1])
        return np.asarray(np.sin(along + phases) @ heights)

    return value_at


def _undergrowth(rng: Generator, thing: Thing, ground: Ground) -> None:
    """Add grass around the camera, dry or green, low or high, with flowers at times."""
    count, far = rng.integers(1200, 4500), rng.uniform(4, 16)
    away = np.exp(rng.uniform(np.log(0.6), np.log(far), count))
    angle, height = rng.uniform(-1.1, 1.1, count), np.exp(rng.uniform(-2.8, -1))
    x, y = away * np.sin(angle), away * np.cos(angle)
    roots = np.stack([x, y, ground(x, y) - 0.01], axis=1)
    up = unit(rng.normal(0, 0.3, (count, 3)) + UP)
    length, bend = height * rng.uniform(0.4, 1.3, count), [*rng.normal(0, 0.3, 2), -0.2]
    blades = ribbons(rng, roots, up, length, rng.uniform(0.004, 0.011), bend, joints=3)
    # Lit as the meadow that they are, not as strips that stand in it.
    level = blades._replace(normals=unit(0.5 * blades.normals + UP))
    thing.thin(paint(rng, "grass", None, 0.3), level)
    if rng.random() < 0.35:
        heads = np.repeat(roots[rng.random(count) < 0.05] + height * UP, 4, axis=0)
        petals = leaves(rng, heads, 0.03, np.tile(UP, (len(heads), 1)), slim=0.8)
        thing.thin(paint(rng, "accent"), petals)


def _fence(rng: Generator, thing: Thing, ground: Ground) -> None:
    """Add a fence of posts with rails or wires that runs off into the distance."""
    wood, along, step = paint(rng, "wood"), np.arange(24), 2.0 * unit([rng.normal(0, 0.5), 1.0])
    x, y = rng.uniform(-4, 4) + step[0] * along, 3 + step[1] * along
    foot = np.stack([x, y, ground(x, y)], axis=1)
    thing.boxes(wood, [[0.1, 0.1, 1.25, *at + 0.55 * UP] for at in foot])
    thick = rng.choice([0.035, 0.006])
    for level in (0.4, 0.75, 1.1):
        thing.add(wood, tube(foot + level * UP, thick, 5))
