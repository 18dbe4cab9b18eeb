"""Streets: a road between houses, with cars, people, trees, lamps, signs, benches and bins."""

import numpy as np
from numpy.random import Generator

from depthpro.scenes import vehicles
from depthpro.scenes.mesh import UP, sheet, tube
from depthpro.scenes.people import person
from depthpro.scenes.plants import tree
from depthpro.scenes.sky import outdoor_light
from depthpro.scenes.textures import Material, paint
from depthpro.scenes.thing import Scene, Thing

KERB_M = 0.14
_FAR_M = 170.0
_ROADSIDE = (vehicles.street_lamp, vehicles.street_sign, vehicles.litter_bin, vehicles.bench,
             vehicles.bicycle)  # fmt: skip


def street(rng: Generator) -> Scene:
    """Return a street that runs along +y between houses."""
    half, walk, thing = rng.uniform(2.8, 7), rng.uniform(1.6, 4.5), Thing()
    pavement = paint(rng, "concrete", "tiles" if rng.random() < 0.6 else None, 2.0)
    land = paint(rng, "grass" if rng.random() < 0.5 else "concrete")
    thing.box(land, [700, 900, 0.1], [0, 300, -0.08])
    thing.box(paint(rng, "asphalt"), [2 * half, 900, 0.1], [0, 300, -0.05])
    _markings(rng, thing, half)
    bark, leaf = paint(rng, "bark"), paint(rng, "leaf")
    trees = [tree(rng, rng.uniform(5, 9), bark, leaf) for _ in range(3)]
    cars = [vehicles.car(rng) for _ in range(5)]
    for side in (-1, 1):
        thing.box(pavement, [walk, 900, KERB_M], [side * (half + walk / 2), 300, KERB_M / 2])
        _houses(rng, thing, side, half + walk, trees)
        _roadside(rng, thing, side, half, trees, cars)
        for y in rng.uniform(9, 80, rng.integers(0, 3)):
            turn = (np.pi if side > 0 else 0) + rng.normal(0, 0.04)
            thing.put(cars[rng.integers(5)], [side * half * rng.uniform(0.25, 0.5), y, 0], turn)
    for _ in range(rng.integers(1, 12)):
        crossing = rng.random() < 0.15
        x = 0.0 if crossing else rng.choice([-1, 1]) * (half + rng.uniform(0.3, walk))
        at = [x, np.exp(rng.uniform(0.9, 3.6)), 0.0 if crossing else KERB_M]
        thing.put(person(rng), at, rng.choice([0, np.pi]) + rng.normal(0, 0.5))
    x = rng.uniform(-1, 1) * (half + walk * 0.8)
    levels = rng.normal(1.55, 0.15), rng.uniform(0.4, 1.2), rng.uniform(2, 6)
    level = rng.choice(levels, p=[0.7, 0.2, 0.1])
    eye = np.array([x, 0, level + KERB_M * (abs(x) > half)])
    along = rng.normal(-0.3 * x, 5, 8), rng.uniform(14, 40, 8), rng.uniform(0, 4, 8)
    targets = np.column_stack(along)
    for target in targets[:2]:  # some look across, at a front
        target[:] = -np.sign(x) * (half + walk), rng.uniform(2, 9), rng.uniform(0.5, 4)
    return Scene(thing, outdoor_light(rng), eye, np.array([0.5, 1.0, 0.15]), targets)


def _markings(rng: Generator, thing: Thing, half: float) -> None:
    """Add white lines 12 cm wide, and at times a crossing."""
    white = paint(rng, "white")
    if rng.random() < 0.8:
        thing.boxes(white, [[0.12, 3, 0.012, 0, y, 0] for y in range(-10, 160, 9)])
    if rng.random() < 0.4:
        y = rng.uniform(6, 25)
        stripes = np.arange(-half + 0.5, half - 0.4)
        thing.boxes(white, [[0.5, 3, 0.012, x, y, 0] for x in stripes.tolist()])


def _houses(rng: Generator, thing: Thing, side: int, edge: float, trees: list[Thing]) -> None:
    """Add the row of houses on one side, with gaps of trees behind walls and fences."""
    y, storey, storeys = -14.0, rng.uniform(2.9, 3.5), rng.integers(1, 7)
    back = rng.choice([0.0, rng.uniform(1, 7)])
    looks = [[paint(rng, name) for name in ("plaster", "roof", "glass", "wood")] for _ in range(2)]
    while y < _FAR_M:
        length, at = rng.uniform(7, 20), np.array([side * (edge + back), y, 0])
        at[1] += length / 2
        if rng.random() < 0.82:
            high = storey * np.clip(storeys + rng.integers(-1, 3), 1, 9)
            house = _house(rng, length, high, storey, looks[rng.integers(2)])
            thing.put(house, at, -side * np.pi / 2)
        else:
            for _ in range(rng.integers(1, 4)):
                spot = at + rng.uniform([1, -4, 0], [9, 4, 0]) * [side, 1, 1]
                thing.put(trees[rng.integers(3)], spot, rng.uniform(0, 6), rng.uniform(0.6, 1.35))
            high = rng.uniform(0.8, 2)
            if rng.random() < 0.5:
                wall = paint(rng, "white", "brick", 1.0)
                thing.box(wall, [0.2, length, high], at + high / 2 * UP)
            else:
                rows = np.arange(-length / 2, length / 2, 0.14)
                wood = looks[0][3]
                thing.boxes(wood, [[0.02, 0.09, high, at[0], at[1] + t, high / 2] for t in rows])
        y += length + rng.choice([0, 0, rng.uniform(1, 6)])


def _house(
    rng: Generator, length: float, high: float, storey: float, looks: list[Material]
) -> Thing:
    """Return a house whose front is y = 0, facing -y: windows as a picture, door, shop, roof."""
    trim, tiles, glass, wood = looks
    deep, plain = rng.uniform(8, 12), rng.random() < 0.25
    front = paint(rng, "white", "brick", 1.0) if plain else paint(rng, "facade", None, 4 * storey)
    thing = Thing().box(front, [length, deep, high], [0, deep / 2, high / 2])
    thing.box(trim, [length + 0.1, 0.35, 0.25], [0, 0, high])
    if rng.random() < 0.5:
        thing.box(trim, [length + 0.04, 0.16, 0.2], [0, 0, storey])
    if rng.random() < 0.5:
        rise, half = rng.uniform(1.5, 3.5), length / 2 + 0.3
        x, y = np.meshgrid([-half, half], [-0.4, deep / 2, deep + 0.4])
        for rows in (slice(0, 2), slice(1, 3)):
            z = np.array([[high] * 2, [high + rise] * 2, [high] * 2])
            thing.add(tiles, sheet(np.stack([x, y, z], axis=-1)[rows]))
    for x in np.arange(-length / 2 + 1.5, length / 2 - 1, rng.uniform(3, 8)):
        if rng.random() < 0.45:
            sign = paint(rng, "accent", "poster" if rng.random() < 0.3 else None, 3.0)
            thing.box(glass, [2.4, 0.1, 2.1], [x, 0, 1.25])
            thing.box(sign, [2.5, 0.3, 0.5], [x, -0.05, 2.6])
        else:
            thing.box(wood, [0.95, 0.12, 2.1], [x, 0, 1.05])
            thing.boxes(trim, [[1.2, 0.1, 0.15, x, -0.02, 2.18], [1.2, 0.5, 0.15, x, -0.2, 0.07]])
        for level in np.arange(storey * 1.5, high, storey) if plain else ():
            thing.box(trim, [1.3, 0.1, 1.6], [x, 0, level])
            thing.box(glass, [1.1, 0.16, 1.4], [x, 0, level])
            if rng.random() < 0.3:
                bars = [
                    [0.02, 0.02, 0.9, x + t, -1, level - 0.4] for t in np.arange(-0.95, 1, 0.12)
                ]
                thing.box(trim, [2, 1.05, 0.12], [x, -0.5, level - 0.9])
                thing.boxes(wood, [*bars, [2, 0.04, 0.04, x, -1, level + 0.05]])
    return thing


def _roadside(
    rng: Generator, thing: Thing, side: int, half: float, trees: list[Thing], cars: list[Thing]
) -> None:
    """Line the kerb with parked cars, trees, lamps, signs, bins, a railing, wires."""
    if half > 3.4 and rng.random() < 0.75:
        for y in np.arange(rng.uniform(2, 12), 70, rng.uniform(5.2, 7.5)):
            if rng.random() < 0.75:
                turn = (np.pi if side > 0 else 0) + rng.normal(0, 0.02)
                thing.put(cars[rng.integers(5)], [side * (half - 1.1), y, 0], turn)
    x, planted = side * (half + 0.5), rng.random() < 0.5
    for y in np.arange(rng.uniform(2, 9), 90, rng.uniform(7, 14)):
        if planted:
            turn, scale = rng.uniform(0, 6), rng.uniform(0.6, 1.35)
            thing.put(trees[rng.integers(3)], [x, y, KERB_M], turn, scale)
        make = _ROADSIDE[rng.integers(5)]
        turn = 0.0 if make is vehicles.street_sign else side * np.pi / 2
        thing.put(make(rng), [x, y + 1.5, KERB_M], turn)
    dark = paint(rng, "rubber")
    if rng.random() < 0.3:
        x, posts = side * (half + 0.15), np.arange(3, 40, rng.uniform(0.12, 1.5))
        thing.boxes(dark, [[0.03, 0.03, 1.0, x, y, 0.6] for y in posts])
        thing.box(dark, [0.04, 37, 0.04], [x, 21.5, 1.1])
    for level in rng.uniform(5.5, 7.5, rng.choice([0, 0, 1, 3])):
        t = np.linspace(0, 1, 16)
        line = np.column_stack([0 * t + side * (half + 0.6), t * 60, level - 3 * t * (1 - t)])
        thing.add(dark, tube(line, 0.015, 4))
