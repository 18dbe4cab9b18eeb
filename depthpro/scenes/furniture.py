"""Things that stand in rooms, at the sizes they have, each around its own foot and facing -y."""

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike

from depthpro.scenes.mesh import (
    Mesh,
    blob,
    box,
    disc_body,
    join,
    lathe,
    place,
    ribbons,
    rotation,
    sheet,
    tube,
    unit,
)
from depthpro.scenes.textures import Material, paint

Thing = list[tuple[Material, Mesh]]
"""Meshes and what they are made of, in the thing's own frame."""


def move(thing: Thing, at: ArrayLike, turn: ndarray | float = 0.0, scale: float = 1.0) -> Thing:
    """Return the thing scaled, turned and then moved to `at`."""
    return [(material, place(mesh, at, turn, scale)) for material, mesh in thing]


def boxes(*sizes_and_places: tuple[ArrayLike, ArrayLike]) -> Mesh:
    """Return boxes of the given sizes with their middles at the given places, as one mesh."""
    return join([place(box(size), at) for size, at in sizes_and_places])


def table(rng: np.random.Generator, width: float, depth: float, height: float) -> Thing:
    """Return a table on four legs, or on a round foot with a round top."""
    wood = paint(rng, "wood", tile_m=0.8)
    legs = wood if rng.random() < 0.6 else paint(rng, "metal", roughness=0.4)
    thick, leg = rng.uniform(0.018, 0.04), rng.uniform(0.025, 0.07)
    if rng.random() < 0.2:
        top = place(disc_body(width / 2, thick, 32), [0, 0, height - thick])
        foot = lathe([0.28 * width, 0.03, 0.03], [0.02, 0.05, height - thick])
        return [(wood, top), (legs, foot)]
    x, y = (width - leg) / 2 - 0.02, (depth - leg) / 2 - 0.02
    under = height - thick
    feet = [([leg, leg, under], [a * x, b * y, under / 2]) for a in (-1, 1) for b in (-1, 1)]
    return [(wood, place(box([width, depth, thick]), [0, 0, height - thick / 2])),
            (legs, boxes(*feet))]  # fmt: skip


def chair(rng: np.random.Generator) -> Thing:
    """Return a chair with slats or a panel for a back."""
    wood = paint(rng, *(("wood", None) if rng.random() < 0.6 else ("paint", None)))
    seat = paint(rng, "fabric", tile_m=0.3) if rng.random() < 0.5 else wood
    high, wide, leg = rng.uniform(0.43, 0.48), rng.uniform(0.4, 0.48), rng.uniform(0.022, 0.04)
    back, edge = rng.uniform(0.36, 0.55), wide / 2 - leg / 2
    parts = [([leg, leg, high], [a * edge, -edge, high / 2]) for a in (-1, 1)]
    parts += [([leg, leg, high + back], [a * edge, edge, (high + back) / 2]) for a in (-1, 1)]
    if rng.random() < 0.6:
        slats = np.linspace(-edge, edge, int(rng.integers(3, 8)))[1:-1]
        parts += [([0.02, 0.012, back], [x, edge, high + back / 2]) for x in slats]
        parts.append(([wide, 0.02, 0.05], [0, edge, high + back - 0.025]))
    else:
        parts.append(([wide, 0.015, back * 0.6], [0, edge, high + back * 0.7]))
    pad = place(blob([wide, wide, 0.06], 7), [0, 0, high])
    return [(wood, boxes(*parts)), (seat, pad)]


def sofa(rng: np.random.Generator) -> Thing:
    """Return a sofa or an armchair with cushions."""
    cloth, seats = paint(rng, "fabric", tile_m=0.25, roughness=0.95), int(rng.integers(1, 4))
    width, depth, arm = 0.65 * seats + 0.4, rng.uniform(0.82, 0.98), 0.2
    thing = [(cloth, place(blob([width, depth, 0.3], 9), [0, 0, 0.23])),
             (cloth, place(blob([width, 0.24, 0.6], 7), [0, depth / 2 - 0.12, 0.56]))]  # fmt: skip
    for side in (-1, 1):
        thing.append(
            (cloth, place(blob([arm, depth, 0.42], 7), [side * (width - arm) / 2, 0, 0.4]))
        )
    for seat in range(seats):
        x = (seat - (seats - 1) / 2) * 0.65
        thing.append((cloth, place(blob([0.63, 0.65, 0.18], 6), [x, -0.08, 0.44])))
        if rng.random() < 0.6:
            pillow = paint(rng, "accent", "fabric", tile_m=0.3)
            tilt = rotation(rng.normal(0, 0.3), -0.3)
            thing.append((pillow, place(blob([0.42, 0.16, 0.4], 3.5), [x, 0.2, 0.68], tilt)))
    return thing


def bed(rng: np.random.Generator) -> Thing:
    """Return a bed with a mattress, pillows and a cover."""
    wood, width = paint(rng, "wood", tile_m=0.8), float(rng.choice([0.9, 1.4, 1.6, 1.8]))
    sheet_cloth = paint(rng, "plaster", "fabric", tile_m=0.4)
    cover = paint(rng, "fabric", tile_m=0.5, roughness=0.95)
    frame = boxes(([width + 0.1, 2.1, 0.22], [0, 0, 0.2]),
                  ([width + 0.1, 0.05, rng.uniform(0.8, 1.2)], [0, 1.05, 0.45]))  # fmt: skip
    thing = [(wood, frame), (sheet_cloth, place(blob([width, 2.0, 0.24], 10), [0, 0, 0.42])),
             (cover, place(blob([width + 0.08, 1.35, 0.27], 9, 0.006), [0, -0.34, 0.44]))]  # fmt: skip
    for x in (0.0,) if width < 1.2 else (-width / 4, width / 4):
        thing.append((sheet_cloth, place(blob([0.6, 0.4, 0.16], 4), [x, 0.72, 0.6])))
    return thing


def shelf(rng: np.random.Generator) -> Thing:
    """Return shelves filled with books and clutter."""
    wood = paint(rng, *(("wood", None) if rng.random() < 0.6 else ("plaster", "smooth")))
    wide, deep, step = rng.uniform(0.6, 1.4), rng.uniform(0.25, 0.36), rng.uniform(0.27, 0.38)
    boards = int(rng.integers(2, 7))
    high = boards * step
    parts = [([0.02, deep, high], [side * wide / 2, 0, high / 2]) for side in (-1, 1)]
    parts += [([wide, deep, 0.02], [0, 0, level * step + 0.01]) for level in range(boards + 1)]
    parts.append(([wide, 0.01, high], [0, deep / 2, high / 2]))
    thing = [(wood, boxes(*parts))]
    covers = [paint(rng, "accent", "print" if rng.random() < 0.3 else None) for _ in range(6)]
    for level in range(boards):
        x = -wide / 2 + 0.03
        while x < wide / 2 - 0.06:
            if rng.random() < 0.85:
                size = [rng.uniform(0.012, 0.05), rng.uniform(0.13, 0.2), rng.uniform(0.17, 0.25)]
                at = [x + size[0] / 2, rng.uniform(-0.05, 0.02), level * step + 0.02 + size[2] / 2]
                thing.append((covers[rng.integers(6)], place(box(size), at)))
                x += size[0] + 0.001
            elif rng.random() < 0.5:
                thing += move(clutter(rng, 0.14), [x + 0.1, 0, level * step + 0.02])
                x += 0.2
            else:
                x += rng.uniform(0.05, 0.3)
    return thing


def cabinet(rng: np.random.Generator) -> Thing:
    """Return a cupboard, chest of drawers or kitchen unit with handles and things on top."""
    body = paint(rng, *(("wood", None) if rng.random() < 0.5 else ("plaster", "smooth")))
    handle = paint(rng, "metal", roughness=0.35, metallic=1.0)
    columns, rows = int(rng.integers(1, 5)), int(rng.integers(1, 5))
    wide, deep, high = columns * rng.uniform(0.4, 0.6), rng.uniform(0.4, 0.62), 0.0
    high = float(rng.choice([0.75, 0.9, rng.uniform(1.6, 2.1)]))
    fronts, knobs = [], []
    for row, column in np.ndindex(rows, columns):
        w, h = wide / columns, (high - 0.08) / rows
        x, z = (column + 0.5) * w - wide / 2, 0.08 + (row + 0.5) * h
        fronts.append(([w - 0.012, 0.02, h - 0.012], [x, -deep / 2 - 0.01, z]))
        knobs.append(([0.12, 0.025, 0.012], [x, -deep / 2 - 0.03, z + h * 0.3]))
    thing = [
        (body, boxes(([wide, deep, high], [0, 0, high / 2]), *fronts)),
        (handle, boxes(*knobs)),
    ]
    for _ in range(int(rng.integers(0, 5))):
        at = [rng.uniform(-0.4, 0.4) * wide, rng.uniform(-0.1, 0.1), high]
        thing += move(clutter(rng, rng.uniform(0.08, 0.35)), at, rng.uniform(0, 6))
    return thing


def floor_lamp(rng: np.random.Generator) -> Thing:
    """Return a lamp on a pole with a glowing shade."""
    high, metal = rng.uniform(0.4, 1.7), paint(rng, "metal", roughness=0.4, metallic=1.0)
    shade = paint(rng, "plaster", "fabric", tile_m=0.3, glow=float(rng.uniform(0.2, 1.5)))
    pole = tube([[0, 0, 0.02], [0, 0, high / 2], [0, 0, high]], 0.012)
    wide = rng.uniform(0.12, 0.24)
    cover = lathe([wide, wide * rng.uniform(0.4, 1)], [high - 0.12, high + 0.14], 24)
    return [(metal, join([pole, disc_body(0.13, 0.025)])), (shade._replace(thin=True), cover)]


def potted_plant(rng: np.random.Generator, size: float) -> Thing:
    """Return a plant `size` metres high: fronds or leaves over a pot."""
    pot_high, green = size * 0.28, paint(rng, "leaf", roughness=0.6, tile_m=0.1)
    wide = pot_high * rng.uniform(0.4, 0.6)
    pot = lathe(
        [0, wide * 0.75, wide, wide * 0.9, 0], [0, 0, pot_high, pot_high, pot_high * 0.9], 24
    )
    count = int(rng.integers(25, 110))
    up = unit(rng.normal(size=(count, 3)) * [1, 1, 0.5] + [0, 0, rng.uniform(0.6, 1.6)])
    fronds = ribbons(np.tile([0, 0, pot_high * 0.9], (count, 1)), up,
                     size * rng.uniform(0.35, 0.8, count), size * rng.uniform(0.03, 0.12),
                     [0, 0, -rng.uniform(0.1, 0.7)], rng, joints=6)  # fmt: skip
    return [(paint(rng, "accent"), pot), (green._replace(thin=True), fronds)]


def clutter(rng: np.random.Generator, size: float) -> Thing:
    """Return some thing about `size` metres high: box, vase, bottle, ball, books, bowl or plant."""
    material = paint(rng, "accent", roughness=float(rng.uniform(0.15, 0.8)))
    match int(rng.integers(7)):
        case 0:
            printed = paint(rng, "white", "print", tile_m=1.0)
            dims = np.array([rng.uniform(0.4, 1), rng.uniform(0.3, 0.8), 1]) * size
            return [(printed, place(box(dims, picture=True), [0, 0, size / 2]))]
        case 1:
            knots = np.linspace(0, 1, 14)
            radius = np.interp(knots, np.linspace(0, 1, 5), rng.uniform(0.12, 0.42, 5)) * size
            return [(material, lathe([0, *radius, 0], [0, *(knots * size), size * 0.98]))]
        case 2:
            neck = [0, 0.16, 0.16, 0.15, 0.06, 0.05, 0.05, 0]
            levels = np.array([0, 0, 0.5, 0.62, 0.75, 0.95, 1, 1]) * size
            return [(material, lathe(np.array(neck) * size, levels))]
        case 3:
            return [(material, place(blob([size] * 3, rng.uniform(2, 3)), [0, 0, size / 2]))]
        case 4:
            pile: Thing = []
            level = 0.0
            for _ in range(int(rng.integers(2, 6))):
                thick, turn = size * rng.uniform(0.08, 0.22), rng.normal(0, 0.15)
                cover = paint(rng, "accent", "print" if rng.random() < 0.5 else None, tile_m=size)
                book = box([size, size * 0.7, thick])
                pile.append((cover, place(book, [0, 0, level + thick / 2], turn)))
                level += thick
            return pile
        case 5:
            radius = np.array([0, 0.25, 0.45, 0.55, 0.52, 0.4, 0]) * size
            return [(material, lathe(radius, np.array([0, 0, 0.15, 0.4, 0.4, 0.16, 0.05]) * size))]
        case _:
            return potted_plant(rng, size * 1.4)


def curtain(rng: np.random.Generator, width: float, height: float) -> Thing:
    """Return a hanging cloth with folds, its upper edge at `height` and facing -y."""
    cloth = paint(rng, "fabric", tile_m=0.4, roughness=0.95)
    x = np.linspace(-width / 2, width / 2, 48)
    z = np.linspace(0.02, height, 6)[:, None]
    depth = 0.035 * np.sin(x * rng.uniform(30, 60)) * (1.1 - 0.4 * z / height)
    lattice = np.stack(np.broadcast_arrays(x, depth, z), axis=-1)
    return [(cloth._replace(thin=True), sheet(lattice))]
