"""Rooms: four walls with openings, furniture along them and in the middle, clutter, people."""

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from depthpro.scenes.mesh import blob, box, drum, lathe, rotation, sheet, tube, unit
from depthpro.scenes.people import person
from depthpro.scenes.plants import potted_plant
from depthpro.scenes.sky import Lamp, indoor_light
from depthpro.scenes.textures import Material, paint
from depthpro.scenes.thing import Scene, Thing

# Palette, pattern and tile of floors and of the wall that differs.
_FLOORS = (("wood", "planks", 1.6), ("plaster", "tiles", 1.8), ("fabric", "fabric", 0.5),
           ("concrete", "concrete", 3.0))  # fmt: skip
_ACCENTS = (("white", "brick", 1.0), ("wood", "planks", 1.2), ("accent", "plaster", 2.0))
_SIDES = np.array([-1, 1])

_LATHES = {  # radius and height as shares of the size, from below
    "bottle": ([0, 0.16, 0.16, 0.15, 0.06, 0.05, 0.05, 0], [0, 0, 0.5, 0.62, 0.75, 0.95, 1, 1]),
    "bowl": ([0, 0.25, 0.45, 0.55, 0.52, 0.4, 0], [0, 0, 0.15, 0.4, 0.4, 0.16, 0.05]),
    "cup": ([0, 0.3, 0.36, 0.4, 0.37, 0.33, 0], [0, 0, 0.3, 0.85, 0.85, 0.1, 0.08]),
    "basket": ([0, 0.38, 0.5, 0.52, 0.47, 0.35, 0], [0, 0, 0.5, 1, 1, 0.1, 0.1]),
}


def room(rng: Generator) -> Scene:
    """Return a furnished room with windows, its far wall at +y."""
    size = wide, deep, high = rng.uniform([2.8, 3.2, 2.35], [7.5, 9, 3.1])
    thing, sunny = Thing(), rng.random() < 0.6

    def spot(x: float, y_least: float, y_most: float) -> ndarray:
        """Return a place on the floor; limits are shares of the room from its middle."""
        return np.array([*rng.uniform([-x, y_least], [x, y_most]) * size[:2], 0])

    _shell(rng, thing, wide, deep, high)
    for _ in range(rng.integers(4, 11)):
        _against_wall(rng, thing, wide, deep)
    for _ in range(rng.integers(1, 4)):
        piece = table(rng) if rng.random() < 0.7 else sofa(rng)
        thing.put(piece, spot(0.3, -0.1, 0.35), rng.choice([0, np.pi / 2, rng.uniform(0, 6)]))
    for tall in rng.uniform(0.1, 0.45, rng.integers(0, 12)):
        at = spot(0.45, -0.3, 0.45)
        thing.put(clutter(rng, tall), at, rng.uniform(0, 6))
    for _ in range(rng.choice(3, p=[0.6, 0.3, 0.1])):
        at = spot(0.3, 0, 0.4)
        thing.put(person(rng), at, rng.uniform(-1.2, 1.2))
    if rng.random() < 0.3:
        at = spot(0.3, 0, 0.4)
        thing.put(lamp(rng, high - rng.uniform(0.5, 0.9), hanging=True), at)
    garden = paint(rng, "grass" if rng.random() < 0.5 else "concrete")
    thing.box(garden, [120, 120, 0.1], [0, 0, -rng.choice([0.4, 3.5, 9])])
    lamps = []
    for _ in range(rng.integers(0 if sunny else 1, 3)):
        at = spot(0.3, -0.3, 0.3)
        at[2] = high - 0.25
        down = np.array([*rng.normal(0, 0.2, 2), -1])
        warm = rng.uniform([1, 0.75, 0.5], [1, 0.95, 0.9])
        lamps.append(Lamp(down, warm, rng.uniform(0.8, 3) * high**2 * 2e4, at))
    angle = rng.uniform(-np.pi, np.pi)
    low = unit([np.sin(angle), np.cos(angle), rng.uniform(0.25, 0.9)])
    if sunny:
        lamps.append(Lamp(-low, np.array([1, 0.93, 0.82]), rng.uniform(1, 3.5) * 1e5))
    light = indoor_light(rng)._replace(lamps=tuple(lamps))
    eye = spot(0.3, -0.46, -0.2)
    eye[2] = rng.uniform(0.8, 1.8) if rng.random() < 0.75 else rng.uniform(0.15, 0.8)
    targets = rng.uniform([-0.42, 0.1, 0], [0.42, 0.5, 1], (8, 3)) * [wide, deep, 1.7]
    return Scene(thing, light, eye, np.array([0.3, 0.2, 0.25]), targets)


def _shell(rng: Generator, thing: Thing, wide: float, deep: float, high: float) -> None:
    """Add floor, ceiling and four walls with openings, doors, pictures and curtains."""
    floor = _FLOORS[rng.choice(4, p=[0.5, 0.2, 0.2, 0.1])]
    white, wall = paint(rng, "white"), paint(rng, "plaster")
    accent = wall if rng.random() < 0.7 else paint(rng, *_ACCENTS[rng.integers(3)])
    ground = paint(rng, *floor)._replace(roughness=round(rng.uniform(0.35, 0.9), 2))
    thing.box(ground, [wide + 0.4, deep + 0.4, 0.1], [0, 0, -0.05])
    thing.box(white, [wide + 0.4, deep + 0.4, 0.1], [0, 0, high + 0.05])
    for number, turn in enumerate((-np.pi / 2, np.pi / 2, 0.0, np.pi)):
        length, away = (deep, wide / 2) if number < 2 else (wide, deep / 2)
        surface = accent if number == 2 else wall
        piece = _wall(rng, surface, white, length, high, windows=number < 3)
        thing.put(piece, rotation(turn) @ [0, away, 0], turn)
    if rng.random() < 0.5:
        size = [*rng.uniform([1.2, 1.0], [2.5, 2.0]), 0.012]
        carpet = paint(rng, "fabric", None, 1.2)
        thing.box(carpet, size, [rng.uniform(-0.5, 0.5), 0.1 * deep, 0.006])


def _wall(
    rng: Generator, surface: Material, trim: Material, length: float, high: float, windows: bool
) -> Thing:
    """Return a wall along x whose inner face is y = 0, facing -y, with what is in and on it."""
    thick, x, thing = 0.22, -length / 2, Thing()
    while length / 2 - x > 1.3:
        step = min(rng.uniform(1.2, 2.6), length / 2 - x)
        middle = x + step / 2
        kind = rng.choice(["window", "door", "picture", "plain"], p=[0.35, 0.15, 0.3, 0.2])
        w, low, top = 0.0, 0.0, 0.0
        if kind == "window" and windows:
            w, top = step * rng.uniform(0.45, 0.8), min(high - 0.25, rng.uniform(1.9, 2.2))
            low = rng.choice([0.1, rng.uniform(0.75, 1.0)])
            thing.put(_window(rng, trim, w, low, top), [middle, 0, 0])
            thing.box(surface, [w, thick, low], [middle, thick / 2, low / 2])
            thing.box(surface, [w, thick, high - top], [middle, thick / 2, (high + top) / 2])
            if rng.random() < 0.45:
                side = middle + rng.choice([-1, 1]) * (w / 2 + 0.05)
                thing.put(curtain(rng, 0.5, high - 0.12), [side, -0.09, 0])
        elif kind == "door" and step > 1.1:
            thing.put(_door(rng, trim), [middle, 0, 0])
        elif kind == "picture":
            wide, tall, level = rng.uniform([0.3, 0.3, 1.35], [1.0, 1.0, 1.65])
            art = box([wide, 0.03, tall], picture=True)
            thing.add(paint(rng, "white", "poster", 1.0), art, [middle, -0.015, level])
            thing.box(paint(rng, "wood"), [wide + 0.06, 0.02, tall + 0.06], [middle, -0.01, level])
        flank = (step - w) / 2
        for s in (-1, 1):
            at = [middle + s * (w + flank) / 2, thick / 2, high / 2]
            thing.box(surface, [flank, thick, high], at)
        x += step
    rest = length / 2 - x + thick
    thing.box(surface, [rest, thick, high], [x + rest / 2, thick / 2, high / 2])
    thing.box(surface, [thick, thick, high], [-(length + thick) / 2, thick / 2, high / 2])
    return thing.box(trim, [length, 0.016, 0.08], [0, -0.008, 0.04])


def _window(rng: Generator, trim: Material, w: float, low: float, top: float) -> Thing:
    """Return frame, bars and sill of a window, at times with a blind of thin slats."""
    panes, centre = rng.integers(1, 4), (low + top) / 2
    bars = np.linspace(-w / 2, w / 2, panes + 1)
    rows = [[0.05, 0.06, top - low, x, 0.1, centre] for x in bars]
    rows += [[w, 0.06, 0.05, 0, 0.1, low], [w, 0.06, 0.05, 0, 0.1, top]]
    if rng.random() < 0.2:
        slats = np.arange(top - 0.05, low + rng.uniform(0, 0.7) * (top - low), -0.05)
        rows += [[w - 0.04, 0.03, 0.004, 0, 0.03, z] for z in slats]
    return Thing().boxes(trim, [*rows, [w + 0.1, 0.2, 0.03, 0, 0.02, low]])


def _door(rng: Generator, trim: Material) -> Thing:
    """Return a closed door of 0.86 x 2.03 m in its frame."""
    leaf = paint(rng, "wood" if rng.random() < 0.4 else "plaster")
    panels = [[0.55, 0.05, 0.7, 0, -0.01, z] for z in (0.55, 1.45)]
    frame = [[0.07, 0.05, 2.1, s * 0.465, -0.01, 1.05] for s in (-1, 1)]
    thing = Thing().boxes(leaf, [[0.86, 0.04, 2.03, 0, -0.005, 1.015], *panels])
    thing.boxes(trim, [*frame, [1.0, 0.05, 0.07, 0, -0.01, 2.07]])
    return thing.box(paint(rng, "metal"), [0.12, 0.05, 0.02], [0.33, -0.06, 1.03])


def _against_wall(rng: Generator, thing: Thing, wide: float, deep: float) -> None:
    """Add a piece of furniture with its back to one of the three walls in view."""
    kind = rng.integers(7)
    if kind < 5:
        piece = (shelf, cabinet, sofa, bed, cabinet)[kind](rng)
    elif kind == 5:
        piece = lamp(rng, rng.uniform(0.4, 1.7))
    else:
        piece = potted_plant(rng, rng.uniform(0.4, 1.6))
    back = piece.extent()[1][1] + 0.03
    turn = rng.choice([-np.pi / 2, 0, np.pi / 2])
    if turn == 0:
        thing.put(piece, [rng.uniform(-0.4, 0.4) * wide, deep / 2 - back, 0])
    else:
        at = rotation(turn) @ [0, wide / 2 - back, 0] + [0, rng.uniform(-0.2, 0.42) * deep, 0]
        thing.put(piece, at, turn)


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
        corners = [[a * x, b * y] for a in _SIDES for b in _SIDES]
        thing.boxes(legs, [[leg, leg, under, *corner, under / 2] for corner in corners])
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
