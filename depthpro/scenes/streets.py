"""Streets: a road between houses, with cars, people, trees, lamps, signs, benches and bins."""

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from depthpro.scenes.mesh import UP, Mesh, box, drum, join, lathe, place, rotation, sheet, tube
from depthpro.scenes.people import person
from depthpro.scenes.plants import tree
from depthpro.scenes.sky import outdoor_light
from depthpro.scenes.textures import Material, paint
from depthpro.scenes.thing import Scene, Thing

KERB_M = 0.14
_FAR_M = 170.0
_SIDES = np.array([-1, 1])


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
    cars = [car(rng) for _ in range(5)]
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
        make = (street_lamp, street_sign, litter_bin, bench, bicycle)[rng.integers(5)]
        turn = 0.0 if make is street_sign else side * np.pi / 2
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


def car(rng: Generator) -> Thing:
    """Return a car of 3.8 to 5 m with glass, wheels, lights and plates, its front towards -y."""
    long, wide, high = rng.uniform([3.8, 1.68, 1.4], [5.0, 1.9, 1.85])
    body, glass, hatch = paint(rng, "paint"), paint(rng, "glass"), rng.random() < 0.5
    belt = high * 0.62
    y = np.array([-0.5, -0.49, -0.45, -0.28, -0.2, 0.3, 0.42, 0.49, 0.5]) * long
    top = np.array([0.5, 0.62, 0.72, 0.92, 1.0, 1.0, 1.0 if hatch else 0.96, 0.9, 0.55]) * belt
    half = np.array([0.86, 0.93, 0.97, 1, 1, 1, 0.99, 0.95, 0.88]) * wide / 2
    thing = Thing().add(body, _loft(y, 0.22 + 0 * y, top, half, half * 0.94))
    ends = (0.36, 0.47) if hatch else (0.24, 0.38)
    y = np.array([-0.24, -0.08, 0.05, 0.25 - 0.12 * (not hatch), *ends]) * long
    roof = np.array([belt, high * 0.97, high, high * 0.99, high * 0.93, belt])
    rail = np.array([0.93, 0.78, 0.76, 0.76, 0.78, 0.9]) * wide / 2
    thing.add(glass, _loft(y, 0 * y + belt * 0.93, roof, 0 * y + wide * 0.47, rail))
    lid = np.linspace(y[1] + 0.05, y[4] - 0.05, 6)
    crown, edge = np.interp(lid, y, roof) + 0.012, np.interp(lid, y, rail)
    thing.add(body, sheet(np.stack([np.stack([-s * edge, lid, crown], -1) for s in (-1, 0, 1)])))
    for s in _SIDES:
        sill = s * wide * 0.47
        thing.add(body, tube(np.stack([s * rail[1:5] * 1.01, y[1:5], roof[1:5]], axis=1), 0.035, 6))
        for foot, top in ((0, 1), (5, 4)):
            post = [[sill, y[foot], belt], [s * rail[top], y[top], roof[top]]]
            thing.add(body, tube(post, 0.04, 6))
        middle = [[sill, 0.06, belt], [s * rail[2], 0.06, high * 0.98]]
        thing.add(body, tube(middle, 0.04, 6))
    return _trim(rng, thing, long, wide, belt)


def _trim(rng: Generator, thing: Thing, long: float, wide: float, belt: float) -> Thing:
    """Add wheels, bumpers, lamps, plates and mirrors."""
    tyre, rim, radius = paint(rng, "rubber"), paint(rng, "metal"), rng.uniform(0.3, 0.36)
    lamp = Material("smooth", (0.9, 0.9, 0.85), roughness=0.2)
    tail = lamp._replace(tint=(0.5, 0.02, 0.02))
    turn = rotation(0, 0, np.pi / 2)
    for s in _SIDES:
        for y in (-0.31 * long, 0.3 * long):
            inner = s * (wide / 2 - 0.105) - 0.105
            thing.add(tyre, drum(radius, 0.21), [inner, y, radius], turn)
            thing.add(rim, drum(radius * 0.62, 0.216), [inner - 0.003, y, radius], turn)
    x, front, back = wide * 0.36 * _SIDES, -0.487 * long, 0.488 * long
    thing.boxes(lamp, [[0.3, 0.08, 0.14, a, front, belt * 0.6] for a in x])
    thing.boxes(tail, [[0.22, 0.08, 0.2, a, back, belt * 0.72] for a in x])
    plates = [[0.52, 0.02, 0.11, 0, -0.503 * long, 0.42], [0.52, 0.02, 0.11, 0, 0.503 * long, 0.5]]
    thing.boxes(Material("smooth", (0.85, 0.85, 0.8)), plates)
    grille = [wide * 0.5, 0.03, 0.14, 0, -0.5 * long, 0.52]
    floor = [wide * 0.96, long * 0.97, 0.12, 0, 0, 0.22]
    mirrors = [[0.2, 0.12, 0.14, s * (wide / 2 + 0.08), -0.2 * long, belt + 0.06] for s in _SIDES]
    return thing.boxes(tyre, [grille, floor]).blobs(tyre, mirrors, 4)


def _loft(y: ndarray, floor: ndarray, top: ndarray, low: ndarray, high: ndarray) -> Mesh:
    """Return a closed shell along y whose cross-section is a rounded trapezium."""
    half = [(low * 0.9, floor), (low, floor + 0.12), (low, (floor + top) / 2), (high, top - 0.04),
            (high * 0.9, top)]  # fmt: skip
    across = [(-x, z) for x, z in half] + half[::-1]
    rings = np.stack([np.stack([x, y, z], axis=-1) for x, z in across], axis=0)
    front, back = rings[::-1, 0], rings[:, -1]
    caps = [sheet(np.stack([ring, 0 * ring + ring.mean(axis=0)])) for ring in (front, back)]
    return join([sheet(rings[::-1]), *caps])


def street_lamp(rng: Generator) -> Thing:
    """Return a lamp post that leans over -y."""
    high, metal = rng.uniform(4, 8), paint(rng, "metal")
    path = [[0, 0, 0], [0, 0, high * 0.8], [0, -0.3, high], [0, -1.5, high + 0.15]]
    return Thing().add(metal, tube(path, 0.06)).box(metal, [0.25, 0.6, 0.1], [0, -1.6, high + 0.12])


def street_sign(rng: Generator) -> Thing:
    """Return a traffic sign of 0.6 m or a notice on a post."""
    high = rng.uniform(2.1, 2.6)
    post = tube([[0, 0, 0], [0, 0, 1], [0, 0, high + 0.25]], 0.03)
    thing = Thing().add(paint(rng, "metal"), post)
    if rng.random() < 0.5:
        disc = place(drum(0.3, 0.02, 24), [0, 0, 0], rotation(0, np.pi / 2))
        return thing.add(paint(rng, "accent"), disc, [0, -0.04, high])
    plate = box([*rng.uniform([0.4, 0.02, 0.3], [0.9, 0.02, 0.7])], picture=True)
    return thing.add(paint(rng, "white", "poster", 1.0), plate, [0, -0.05, high])


def bench(rng: Generator) -> Thing:
    """Return a park bench of 1.6 m."""
    slats = [[1.6, 0.09, 0.03, 0, y, 0.45] for y in (-0.2, -0.09, 0.02, 0.13)]
    slats += [[1.6, 0.03, 0.09, 0, 0.22, z] for z in (0.6, 0.73, 0.86)]
    iron = [[0.05, 0.45, 0.04, x, 0, 0.42] for x in (-0.65, 0.65)]
    for x in (-0.65, 0.65):
        iron += [[0.05, 0.05, h, x, y, h / 2] for y, h in ((-0.2, 0.44), (0.24, 0.9))]
    return Thing().boxes(paint(rng, "wood"), slats).boxes(paint(rng, "rubber"), iron)


def litter_bin(rng: Generator) -> Thing:
    """Return a bin of 0.7 to 1.1 m: a drum, or a box with a lid."""
    colour, high = paint(rng, "paint"), rng.uniform(0.7, 1.1)
    if rng.random() < 0.5:
        outline = [0, 0, high * 0.9, high, high]
        return Thing().add(colour, lathe([0, 0.22, 0.25, 0.2, 0], outline))
    thing = Thing().box(colour, [0.58, 0.6, high * 0.92], [0, 0, high * 0.46])
    return thing.box(paint(rng, "rubber"), [0.62, 0.66, high * 0.08], [0, 0, high * 0.96])


def bicycle(rng: Generator) -> Thing:
    """Return a bicycle, its front towards -y."""
    frame, tyre, t = paint(rng, "accent"), paint(rng, "rubber"), np.linspace(0, 2 * np.pi, 25)
    thing = Thing()
    for y in (-0.52, 0.52):
        ring = np.stack([0 * t, y + 0.33 * np.sin(t), 0.35 + 0.33 * np.cos(t)], axis=1)
        thing.add(tyre, tube(ring, 0.02, 6))
        for angle in np.arange(0, np.pi, np.pi / 7):
            way = 0.33 * np.array([0, np.sin(angle), np.cos(angle)])
            thing.add(tyre, tube(np.add([[0, y, 0.35]], [-way, way]), 0.003, 4))
    crank, saddle, head = [0, 0.06, 0.3], [0, 0.2, 0.9], [0, -0.4, 0.85]
    pairs = ((crank, saddle), (crank, head), ([0, 0.16, 0.75], head), (crank, [0, 0.52, 0.35]),
             ([0, 0.16, 0.75], [0, 0.52, 0.35]), ([0, -0.38, 1.0], [0, -0.52, 0.35]),
             ([-0.28, -0.36, 1.02], [0.28, -0.36, 1.02]))  # fmt: skip
    for pair in pairs:
        thing.add(frame, tube(pair, 0.016, 6))
    return thing.blobs(tyre, [[0.14, 0.26, 0.06, 0, 0.22, 0.92]], 3)
