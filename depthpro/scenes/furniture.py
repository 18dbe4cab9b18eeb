"""Furniture and clutter, in real sizes."""

import numpy as np
from numpy.random import Generator

from depthpro.scenes.mesh import blob, box, drum, lathe, rotation, sheet, tube
from depthpro.scenes.plants import potted_plant
from depthpro.scenes.textures import paint
from depthpro.scenes.thing import Thing

_SIDES = np.array([-1, 1])
_CORNERS = ((-1, -1), (-1, 1), (1, -1), (1, 1))

_LATHES = {  # radius and height as shares of the size, from below
    "bottle": ([0, 0.16, 0.16, 0.15, 0.06, 0.05, 0.05, 0], [0, 0, 0.5, 0.62, 0.75, 0.95, 1, 1]),
    "bowl": ([0, 0.25, 0.45, 0.55, 0.52, 0.4, 0], [0, 0, 0.15, 0.4, 0.4, 0.16, 0.05]),
    "cup": ([0, 0.3, 0.36, 0.4, 0.37, 0.33, 0], [0, 0, 0.3, 0.85, 0.85, 0.1, 0.08]),
    "basket": ([0, 0.38, 0.5, 0.52, 0.47, 0.35, 0], [0, 0, 0.5, 1, 1, 0.1, 0.1]),
}


def clutter(rng: Generator, size: float) -> Thing:
    """Return some thing about `size` metres high: a package, vase, ball, books, cup or plant."""
    kind, material = rng.integers(9), paint(rng, "accent", roughness=float(rng.uniform(0.15, 0.8)))
    thing = Thing()
    if kind == 0:
        dims = np.array([rng.uniform(0.4, 1), rng.uniform(0.3, 0.8), 1]) * size
        printed = paint(rng, "white", "poster", 1.0)
        return thing.add(printed, box(dims, picture=True), [0, 0, size / 2])
    if kind == 1:
        knots = np.linspace(0, 1, 14)
        radius = np.interp(knots, np.linspace(0, 1, 5), rng.uniform(0.12, 0.42, 5)) * size
        return thing.add(material, lathe([0, *radius, 0], [0, *(knots * size), size * 0.98]))
    if kind == 2:
        return thing.blobs(material, [[*[size] * 3, 0, 0, size / 2]], rng.uniform(2, 3))
    if kind <= 4:
        level = 0.0
        for thick in size * rng.uniform(0.08, 0.22, rng.integers(2, 6)):
            cover = paint(rng, "accent", "poster" if rng.random() < 0.3 else None, size)
            turn = rng.normal(0, 0.15)
            thing.box(cover, [size, size * 0.7, thick], [0, 0, level + thick / 2], turn)
            level += thick
        return thing
    if kind == 8:
        return potted_plant(rng, size * 1.4)
    radius, height = _LATHES[str(rng.choice(list(_LATHES)))]
    return thing.add(material, lathe(np.array(radius) * size, np.array(height) * size))


def table(rng: Generator) -> Thing:
    """Return a dining or a coffee table with things on it, at times with chairs around."""
    wide, deep, high = rng.uniform(0.6, 1.9), rng.uniform(0.6, 0.95), rng.choice([0.42, 0.74])
    wood, thick, leg = paint(rng, "wood"), rng.uniform(0.018, 0.04), rng.uniform(0.025, 0.07)
    legs, thing, under = wood if rng.random() < 0.6 else paint(rng, "metal"), Thing(), high - thick
    if rng.random() < 0.2:
        deep = wide = min(wide, 1.2)
        thing.add(wood, drum(wide / 2, thick, 32), [0, 0, under])
        thing.add(legs, lathe([0.28 * wide, 0.03, 0.03], [0.02, 0.05, under]))
    else:
        x, y = (wide - leg) / 2 - 0.02, (deep - leg) / 2 - 0.02
        thing.box(wood, [wide, deep, thick], [0, 0, high - thick / 2])
        thing.boxes(legs, [[leg, leg, under, a * x, b * y, under / 2] for a, b in _CORNERS])
    for size in rng.uniform(0.05, 0.3, rng.integers(1, 9)):
        at = [rng.uniform(-0.35, 0.35) * wide, rng.uniform(-0.35, 0.35) * deep, high]
        thing.put(clutter(rng, size), at, rng.uniform(0, 6))
    for side in _SIDES if high > 0.6 else ():
        for x in np.arange(-wide / 2 + 0.3, wide / 2 - 0.2, 0.6):
            if rng.random() < 0.7:
                turn = (0 if side > 0 else np.pi) + rng.normal(0, 0.2)
                thing.put(chair(rng), [x, side * (deep / 2 + rng.uniform(0, 0.3)), 0], turn)
    return thing


def chair(rng: Generator) -> Thing:
    """Return a chair with slats or a panel for a back."""
    wood = paint(rng, "wood" if rng.random() < 0.6 else "paint")
    seat = paint(rng, "fabric") if rng.random() < 0.5 else wood
    high, wide, leg = rng.uniform(0.43, 0.48), rng.uniform(0.4, 0.48), rng.uniform(0.022, 0.04)
    back, edge = rng.uniform(0.36, 0.55), wide / 2 - leg / 2
    rows = [[leg, leg, high, a * edge, -edge, high / 2] for a in _SIDES]
    rows += [[leg, leg, high + back, a * edge, edge, (high + back) / 2] for a in _SIDES]
    if rng.random() < 0.6:
        slats = np.linspace(-edge, edge, rng.integers(3, 8))[1:-1]
        rows += [[0.02, 0.012, back, x, edge, high + back / 2] for x in slats]
        rows += [[wide, 0.02, 0.05, 0, edge, high + back - 0.025]]
    else:
        rows += [[wide, 0.015, back * 0.6, 0, edge, high + back * 0.7]]
    return Thing().boxes(wood, rows).blobs(seat, [[wide, wide, 0.06, 0, 0, high]], 7)


def sofa(rng: Generator) -> Thing:
    """Return a sofa or an armchair with cushions."""
    cloth, seats, thing = paint(rng, "fabric"), rng.integers(1, 4), Thing()
    wide, deep, arm = 0.65 * seats + 0.4, rng.uniform(0.82, 0.98), 0.2
    seat, back = [wide, deep, 0.3, 0, 0, 0.23], [wide, 0.24, 0.6, 0, deep / 2 - 0.12, 0.56]
    thing.blobs(cloth, [seat, back], 8)
    thing.blobs(cloth, [[arm, deep, 0.42, s * (wide - arm) / 2, 0, 0.4] for s in _SIDES], 7)
    for x in (np.arange(seats) - (seats - 1) / 2) * 0.65:
        thing.blobs(cloth, [[0.63, 0.65, 0.18, x, -0.08, 0.44]], 6)
        if rng.random() < 0.6:
            tilt, pillow = rotation(rng.normal(0, 0.3), -0.3), blob([0.42, 0.16, 0.4], 3.5)
            thing.add(paint(rng, "accent", "fabric", 0.3), pillow, [x, 0.2, 0.68], tilt)
    return thing


def bed(rng: Generator) -> Thing:
    """Return a bed with a mattress, pillows and a cover."""
    wide, linen = rng.choice([0.9, 1.4, 1.6, 1.8]), paint(rng, "plaster", "fabric", 0.4)
    head = [wide + 0.1, 0.05, rng.uniform(0.8, 1.2), 0, 1.05, 0.45]
    middles = [0.0] if wide < 1.2 else [-wide / 4, wide / 4]
    thing = Thing().boxes(paint(rng, "wood"), [[wide + 0.1, 2.1, 0.22, 0, 0, 0.2], head])
    thing.blobs(linen, [[wide, 2.0, 0.24, 0, 0, 0.42]], 10)
    thing.blobs(paint(rng, "fabric"), [[wide + 0.08, 1.35, 0.27, 0, -0.34, 0.44]], 9)
    return thing.blobs(linen, [[0.6, 0.4, 0.16, x, 0.72, 0.6] for x in middles], 4)


def shelf(rng: Generator) -> Thing:
    """Return shelves filled with books and clutter."""
    wood = paint(rng, "wood" if rng.random() < 0.6 else "plaster")
    wide, deep, step = rng.uniform(0.6, 1.4), rng.uniform(0.25, 0.36), rng.uniform(0.27, 0.38)
    boards = rng.integers(2, 7)
    high = boards * step
    rows = [[0.02, deep, high, side * wide / 2, 0, high / 2] for side in _SIDES]
    rows += [[wide, deep, 0.02, 0, 0, level * step + 0.01] for level in range(boards + 1)]
    thing = Thing().boxes(wood, [*rows, [wide, 0.01, high, 0, deep / 2, high / 2]])
    covers = [paint(rng, "accent") for _ in range(6)]
    for level in np.arange(boards) * step + 0.02:
        x = -wide / 2 + 0.03
        while x < wide / 2 - 0.06:
            if rng.random() < 0.85:
                w, d, h = rng.uniform([0.012, 0.13, 0.17], [0.05, 0.2, 0.25])
                at = [x + w / 2, rng.uniform(-0.05, 0.02), level + h / 2]
                thing.box(covers[rng.integers(6)], [w, d, h], at)
                x += w + 0.001
            else:
                if rng.random() < 0.5:
                    thing.put(clutter(rng, 0.14), [x + 0.1, 0, level])
                x += 0.2
    return thing


def cabinet(rng: Generator) -> Thing:
    """Return a cupboard, chest of drawers or kitchen unit with handles and things on top."""
    body = paint(rng, str(rng.choice(["wood", "plaster", "paint"], p=[0.5, 0.35, 0.15])))
    columns, rows = rng.integers(1, 5, 2)
    wide, deep = columns * rng.uniform(0.4, 0.6), rng.uniform(0.4, 0.62)
    high = float(rng.choice([0.75, 0.9, rng.uniform(1.6, 2.1)]))
    w, h, fronts, knobs = wide / columns, (high - 0.08) / rows, [], []
    for row, column in np.ndindex(rows, columns):
        x, z = (column + 0.5) * w - wide / 2, 0.08 + (row + 0.5) * h
        fronts.append([w - 0.012, 0.02, h - 0.012, x, -deep / 2 - 0.01, z])
        knobs.append([0.12, 0.025, 0.012, x, -deep / 2 - 0.03, z + h * 0.3])
    thing = Thing().box(body, [wide, deep, high], [0, 0, high / 2])
    thing.boxes(body, fronts).boxes(paint(rng, "metal"), knobs)
    for size in rng.uniform(0.08, 0.35, rng.integers(0, 6)):
        at = [rng.uniform(-0.4, 0.4) * wide, rng.uniform(-0.1, 0.1), high]
        thing.put(clutter(rng, size), at, rng.uniform(0, 6))
    return thing


def lamp(rng: Generator, high: float, hanging: bool = False) -> Thing:
    """Return a lamp with a glowing shade at `high`, on a foot or on a wire from the ceiling."""
    shade = paint(rng, "plaster", "fabric", 0.3)._replace(glow=float(rng.uniform(0.2, 1.5)))
    wide, metal = rng.uniform(0.12, 0.24), paint(rng, "metal")
    cover = lathe([wide, wide * rng.uniform(0.4, 1)], [high - 0.12, high + 0.14], 24)
    thing = Thing().thin(shade, cover)
    if hanging:
        return thing.add(metal, tube([[0, 0, high], [0, 0, high + 1], [0, 0, high + 2]], 0.006))
    thing.add(metal, tube([[0, 0, 0.02], [0, 0, high / 2], [0, 0, high]], 0.012))
    return thing.add(metal, drum(0.13, 0.025))


def curtain(rng: Generator, width: float, height: float) -> Thing:
    """Return a hanging cloth with folds, its upper edge at `height`."""
    x, z = np.linspace(-width / 2, width / 2, 48), np.linspace(0.02, height, 6)[:, None]
    depth = 0.035 * np.sin(x * rng.uniform(30, 60)) * (1.1 - 0.4 * z / height)
    lattice = np.stack(np.broadcast_arrays(x, depth, z), axis=-1)
    return Thing().thin(paint(rng, "fabric"), sheet(lattice))
