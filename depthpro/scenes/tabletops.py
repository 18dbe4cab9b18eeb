"""Tabletops: many small things on a table, on the floor, in a crate, or before a wall."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.random import Generator

from depthpro.scenes.mesh import blob, box, drum, lathe, rotation, unit
from depthpro.scenes.rooms import clutter, room
from depthpro.scenes.textures import Material, paint
from depthpro.scenes.thing import Scene, Thing

_FABRICS = ("fabric", "poster", "planks", "plaster", "brick")
_SIDES = np.array([-1, 1])


def tabletop(rng: Generator) -> Scene:
    """Return small things at 0.3 to 1.6 m, seen from the side or from above, in a room."""
    scene = room(rng)
    ahead = unit((scene.targets[0] - scene.eye) * [1, 1, 0])
    turn = float(np.arctan2(-ahead[0], ahead[1]))
    away = float(np.exp(rng.uniform(np.log(0.35), np.log(1.5))))
    pitch = np.radians(rng.choice([rng.uniform(8, 40), rng.uniform(35, 88)], p=[0.6, 0.4]))
    high = float(rng.choice([0.0, 0.45, 0.74, 0.9], p=[0.25, 0.1, 0.5, 0.15]))
    group = Thing()  # in a frame of its own: its middle is at 0, the camera at -y
    room_for = _support(rng, group, high) if high else np.full(2, 2.0)
    if rng.random() < 0.3:
        _backdrop(rng, group, away, high)
    spread = away * rng.uniform(0.2, 0.5)
    if rng.random() < 0.25:
        _crate(rng, group, float(np.clip(away * rng.uniform(0.25, 0.6), 0.12, 0.6)))
    else:
        places = rng.normal(0, spread, (rng.integers(1, 14), 2))
        _things(rng, group, np.clip(places, -room_for, room_for))
    middle = scene.eye + ahead * away * np.cos(pitch)
    middle[2] = high
    eye = middle - ahead * away * np.cos(pitch) + [0, 0, away * np.sin(pitch)]
    scene.thing.put(group, middle, turn)
    targets = middle + rng.normal(0, 0.12, (8, 3)) * away + [0, 0, 0.04]
    return scene._replace(eye=eye, spread=np.full(3, 0.12 * away), targets=targets)


def _support(rng: Generator, group: Thing, high: float) -> ndarray:
    """Add a table whose top is z = 0, and return how far from 0 things may stand along x and y."""
    wide = float(rng.uniform(0.6, 1.8))
    palette, pattern = (("wood", "planks"), ("white", "smooth"), ("wood", None), ("plaster", None),
                        ("fabric", "fabric"))[rng.integers(5)]  # fmt: skip
    rough = float(rng.uniform(0.25, 0.9))
    top = paint(rng, palette, pattern, float(rng.uniform(0.4, 2)), rough)
    thick, deep = float(rng.uniform(0.02, 0.05)), wide * float(rng.uniform(0.5, 0.9))
    shift = float(rng.uniform(-0.15, 0.25)) * deep
    if rng.random() < 0.2:
        group.add(top, drum(wide / 2, thick, 40), [0, shift, -thick])
    else:
        group.box(top, [wide, deep, thick], [0, shift, -thick / 2])
    leg, x, y = 0.05, wide / 2 - 0.06, deep / 2 - 0.06
    corners = [[a * x, shift + b * y] for a in _SIDES for b in _SIDES]
    rows = [[leg, leg, high - thick, *corner, -(high + thick) / 2] for corner in corners]
    group.boxes(paint(rng, "metal" if rng.random() < 0.5 else "wood"), rows)
    return np.array([0.4 * wide, 0.45 * deep - abs(shift)])


def _backdrop(rng: Generator, group: Thing, away: float, high: float) -> None:
    """Add a wall, a hanging cloth or a picture close behind the things, at times at an angle."""
    pattern = str(rng.choice(_FABRICS))
    palette = "white" if pattern in ("poster", "brick") else "fabric"
    surface = paint(rng, palette, pattern, float(rng.uniform(0.2, 1.0)))
    behind = away * float(rng.uniform(0.25, 0.7))
    angle = float(rng.normal(0, 0.3))
    size = [6 * away, 0.03, high + 3 * away]
    group.box(surface, size, [0, behind + 0.02, size[2] / 2 - high], angle)


def _crate(rng: Generator, group: Thing, wide: float) -> None:
    """Add an open box filled with a heap of things of one or of many kinds."""
    deep, tall = wide * float(rng.uniform(0.6, 1)), wide * float(rng.uniform(0.2, 0.6))
    wall, side = 0.008, paint(rng, "accent", roughness=float(rng.uniform(0.2, 0.8)))
    group.boxes(side, [[wide, deep, wall, 0, 0, wall / 2]])
    rows = [[wall, deep, tall, s * wide / 2, 0, tall / 2] for s in _SIDES]
    group.boxes(side, [*rows, *([wide, wall, tall, 0, s * deep / 2, tall / 2] for s in _SIDES)])
    size = wide * float(rng.uniform(0.1, 0.3))
    alike = rng.random() < 0.5
    kind = int(rng.integers(3))
    colours = [paint(rng, "accent", roughness=float(rng.uniform(0.2, 0.8))) for _ in range(5)]
    prints = [paint(rng, "white", "poster", 1.0) for _ in range(3)]
    layers = max(int(tall / size), 1)
    for layer in range(layers + 1):
        for _ in range(int(wide * deep / size**2 * 0.8) + 1):
            at = rng.uniform([-0.45, -0.45, 0], [0.45, 0.45, 0]) * [wide, deep, 0]
            at[2] = (layer + 0.5) * size * 0.8 + rng.normal(0, 0.1) * size
            which = kind if alike else int(rng.integers(3))
            colour = colours[0 if alike else rng.integers(5)]
            tilt = rotation(*rng.uniform(-np.pi, np.pi, 3))
            _heap_part(rng, group, which, size, at, tilt, colour, prints[rng.integers(3)])


def _heap_part(
    rng: Generator, group: Thing, kind: int, size: float, at: ndarray, tilt: ndarray,
    colour: Material, printed: Material,
) -> None:  # fmt: skip
    """Add one thing of a heap: a fruit, a package or a can."""
    if kind == 0:
        fruit = blob(size * rng.uniform(0.8, 1.2, 3) * [1, 1, 1.2], rng.uniform(1.9, 2.4), steps=16)
        group.add(colour, fruit, at, tilt)
    elif kind == 1:
        group.add(printed, box(size * rng.uniform([0.3, 0.6, 0.8], 1.4), picture=True), at, tilt)
    else:
        group.add(printed, drum(size * 0.35, size), at, tilt)


def _things(rng: Generator, group: Thing, places: Float[ndarray, "n 2"]) -> None:
    """Add packages, cans, crockery, books and plants: standing, lying, leaning, stacked."""
    for x, y in places:
        at = np.array([x, y, 0])
        yaw = float(rng.uniform(-np.pi, np.pi))
        kind = rng.integers(7)
        if kind <= 1:
            size = rng.uniform([0.08, 0.03, 0.1], [0.2, 0.09, 0.32])
            if rng.random() < 0.4:  # it lies
                size = size[[0, 2, 1]]
            body, printed = box(size, picture=True), paint(rng, "white", "poster", 1.0)
            lean = rotation(yaw, float(rng.uniform(0, 0.35)) * (rng.random() < 0.2))
            group.add(printed, body, [x, y, size[2] / 2], lean)
            if rng.random() < 0.25:
                group.put(clutter(rng, float(rng.uniform(0.05, 0.12))), [x, y, size[2]], yaw)
        elif kind == 2:
            radius, tall = rng.uniform([0.025, 0.06], [0.05, 0.2])
            metal = paint(rng, "white", "poster", 0.2, 0.4)
            lying = rotation(yaw, np.pi / 2)
            if rng.random() < 0.25:
                group.add(metal, drum(radius, tall, 28), [x, y, radius], lying)
            else:
                group.add(metal, drum(radius, tall, 28), at)
        elif kind == 3:  # a sheet of paper, a magazine or a tray
            size = [*rng.uniform([0.15, 0.2], [0.3, 0.42]), float(rng.uniform(0.001, 0.015))]
            page = paint(rng, "white", "poster", 1.0)
            group.add(page, box(size, picture=True), [x, y, size[2] / 2], yaw)
        elif kind == 4:  # a plate
            wide, rim = float(rng.uniform(0.07, 0.15)), float(rng.uniform(0.01, 0.04))
            dish = lathe(wide * np.array([0, 0.6, 1, 0.97, 0.6, 0]), [0, 0, rim, rim, 0.008, 0.006])
            group.add(paint(rng, "white" if rng.random() < 0.5 else "accent"), dish, at)
        else:
            group.put(clutter(rng, float(np.exp(rng.uniform(-3, -1.25)))), at, yaw)
