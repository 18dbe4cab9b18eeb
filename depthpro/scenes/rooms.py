"""Rooms: four walls with openings, furniture along them and in the middle, clutter, people."""

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from depthpro.scenes import furniture
from depthpro.scenes.mesh import box, rotation, unit
from depthpro.scenes.people import person
from depthpro.scenes.plants import potted_plant
from depthpro.scenes.sky import Lamp, indoor_light
from depthpro.scenes.textures import Material, paint
from depthpro.scenes.thing import Scene, Thing

# Palette, pattern and tile of floors and of the wall that differs.
_FLOORS = (("wood", "planks", 1.6), ("plaster", "tiles", 1.8), ("fabric", "fabric", 0.5),
           ("concrete", "concrete", 3.0))  # fmt: skip
_ACCENTS = (("white", "brick", 1.0), ("wood", "planks", 1.2), ("accent", "plaster", 2.0))
_ALONG = (furniture.shelf, furniture.cabinet, furniture.sofa, furniture.bed, furniture.cabinet)


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
        piece = furniture.table(rng) if rng.random() < 0.7 else furniture.sofa(rng)
        thing.put(piece, spot(0.3, -0.1, 0.35), rng.choice([0, np.pi / 2, rng.uniform(0, 6)]))
    for tall in rng.uniform(0.1, 0.45, rng.integers(0, 12)):
        at = spot(0.45, -0.3, 0.45)
        thing.put(furniture.clutter(rng, tall), at, rng.uniform(0, 6))
    for _ in range(rng.choice(3, p=[0.6, 0.3, 0.1])):
        at = spot(0.3, 0, 0.4)
        thing.put(person(rng), at, rng.uniform(-1.2, 1.2))
    if rng.random() < 0.3:
        at = spot(0.3, 0, 0.4)
        thing.put(furniture.lamp(rng, high - rng.uniform(0.5, 0.9), hanging=True), at)
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
    eye[2] = rng.uniform(0.8, 1.8)
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
                thing.put(furniture.curtain(rng, 0.5, high - 0.12), [side, -0.09, 0])
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
        piece = _ALONG[kind](rng)
    elif kind == 5:
        piece = furniture.lamp(rng, rng.uniform(0.4, 1.7))
    else:
        piece = potted_plant(rng, rng.uniform(0.4, 1.6))
    back = piece.extent()[1][1] + 0.03
    turn = rng.choice([-np.pi / 2, 0, np.pi / 2])
    if turn == 0:
        thing.put(piece, [rng.uniform(-0.4, 0.4) * wide, deep / 2 - back, 0])
    else:
        at = rotation(turn) @ [0, wide / 2 - back, 0] + [0, rng.uniform(-0.2, 0.42) * deep, 0]
        thing.put(piece, at, turn)
