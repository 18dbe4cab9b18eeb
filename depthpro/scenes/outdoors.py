"""Things that stand outdoors, at the sizes they have: plants, rocks, people, cars, street furniture."""

import numpy as np
from numpy import ndarray

from depthpro.scenes.furniture import Thing, boxes
from depthpro.scenes.mesh import (
    Mesh,
    blob,
    box,
    disc_body,
    join,
    lathe,
    leaves,
    place,
    ribbons,
    rotation,
    sheet,
    tube,
    unit,
)
from depthpro.scenes.textures import Material, paint


def tree(rng: np.random.Generator, height: float, bark: Material, leaf: Material) -> Thing:
    """Return a tree: a conifer, a bare one, or one with a crown of leaves around its branches."""
    lean, t = rng.normal(0, 0.05 * height, 2), np.linspace(0, 1, 8)[:, None]
    top = np.array([*lean, height * rng.uniform(0.75, 0.95)])
    thick = height * rng.uniform(0.012, 0.022) + 0.02
    trunk = t * top + rng.normal(0, 0.008 * height, (8, 3)) * np.sin(np.pi * t)
    wood = [tube(trunk, np.linspace(thick, thick * 0.3, 8))]
    kind = rng.choice(["broad", "conifer", "bare"], p=[0.65, 0.25, 0.1])
    tips: list[ndarray] = []
    for _ in range(int(rng.integers(9, 18)) if kind != "conifer" else 0):
        start = trunk[rng.integers(2, 8)]
        way = unit([*rng.normal(0, 1, 2), rng.uniform(0.1, 1.1)])
        path = start + way * height * rng.uniform(0.16, 0.34) * t
        path = path + rng.normal(0, 0.012 * height, (8, 3)) * t
        wood.append(tube(path, np.linspace(thick * 0.4, thick * 0.06, 8), 5))
        tips.extend(path[3:])
    thing = [(bark, join(wood))]
    if kind == "bare":
        return thing
    if kind == "conifer":
        count = int(rng.integers(700, 1300))
        level = 1 - np.sqrt(rng.random(count)) * 0.88
        angle, out = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.uniform(0.2, 1, count))
        tier = 0.75 + 0.25 * ((level * 11) % 1)
        reach = (1 - level) * height * rng.uniform(0.18, 0.28) * out * (1.25 - tier * 0.4)
        at = np.stack([reach * np.cos(angle), reach * np.sin(angle), level * height], axis=1)
        normals = unit(np.stack([np.cos(angle), np.sin(angle), 0.5 + 0 * angle], axis=1))
        return [
            *thing,
            (leaf._replace(thin=True), leaves(at, height * 0.06, normals, rng, slim=0.45)),
        ]
    count = int(rng.integers(900, 1800))
    ends = np.array(tips)
    at = ends[rng.integers(len(ends), size=count)] + rng.normal(0, 0.045 * height, (count, 3))
    normals = unit(at - at.mean(axis=0) + [0, 0, 0.15 * height])
    size = height * rng.uniform(0.034, 0.055) * rng.uniform(0.6, 1.3, count)
    return [*thing, (leaf._replace(thin=True), leaves(at, size, normals, rng, slim=0.55))]


def bush(rng: np.random.Generator, size: float, leaf: Material) -> Thing:
    """Return a bush `size` metres high."""
    count = int(rng.integers(350, 800))
    out = unit(rng.normal(size=(count, 3))) * rng.uniform(0.55, 1, (count, 1)) ** 0.5
    at = out * [0.6, 0.6, 0.5] * size + [0, 0, 0.45 * size]
    at[:, 2] = np.maximum(at[:, 2], 0.01)
    body = place(blob(np.array([0.9, 0.9, 0.8]) * size), [0, 0, 0.4 * size])
    dark = leaf._replace(tint=(leaf.tint[0] * 0.4, leaf.tint[1] * 0.4, leaf.tint[2] * 0.4))
    return [
        (dark, body),
        (
            leaf._replace(thin=True),
            leaves(at, size * rng.uniform(0.07, 0.14), unit(out + [0, 0, 0.3]), rng),
        ),
    ]


def grass(
    rng: np.random.Generator, roots: ndarray, height: float, width: float, lean: ndarray
) -> Mesh:
    """Return blades that grow from the roots, about `height` metres high."""
    n = len(roots)
    up = unit(rng.normal(0, 0.3, (n, 3)) + [0, 0, 1])
    return ribbons(
        roots, up, height * rng.uniform(0.4, 1.3, n), width, [*lean, -0.2], rng, joints=3
    )


def rock(rng: np.random.Generator, size: float, stone: Material) -> Thing:
    """Return a boulder `size` metres wide, sunk a little into the ground."""
    dims = size * rng.uniform(0.6, 1.1, 3) * [1, 1, 0.75]
    body = blob(dims, rng.uniform(2, 4), 0.06, int(rng.integers(1 << 30)), 26)
    return [(stone, place(body, [0, 0, dims[2] * 0.25], rng.uniform(0, 6)))]


def person(rng: np.random.Generator) -> Thing:
    """Return a person of 1.5 to 1.95 m, standing or in mid-stride, facing -y."""
    k = rng.uniform(1.5, 1.95) / 1.75
    skin, hair = paint(rng, "skin", roughness=0.6), paint(rng, "hair", tile_m=0.2)
    top, legs = paint(rng, "fabric", tile_m=0.3), paint(rng, "fabric", tile_m=0.3)
    shoe = paint(rng, "rubber") if rng.random() < 0.7 else paint(rng, "accent")
    stride, swing = rng.choice([0.0, rng.uniform(0.1, 0.32)]), rng.uniform(0, 0.25)
    girth = rng.uniform(0.9, 1.25)
    flat = np.array([1, 0.62, 1]) * k
    trunk = lathe(np.array([0.12, 0.17, 0.16, 0.14, 0.17, 0.2, 0.17, 0.06]) * girth,
                  [0.84, 0.9, 0.98, 1.1, 1.25, 1.38, 1.45, 1.5], 18)  # fmt: skip
    thing: Thing = [(top, trunk._replace(points=trunk.points * flat))]
    for side in (-1, 1):
        step = side * stride
        hip, knee = [side * 0.09, 0, 0.92], [side * 0.1, -step * 0.5 - 0.02 * abs(step), 0.5]
        ankle = [side * 0.1, -step, 0.09 + max(0.0, -step) * 0.25]
        limb = np.array([hip, np.mean([hip, knee], 0), knee, np.mean([knee, ankle], 0), ankle]) * k
        thing.append((legs, tube(limb, np.array([0.1, 0.085, 0.062, 0.058, 0.045]) * k * girth)))
        foot = np.array([side * 0.1, ankle[1] - 0.06, ankle[2] - 0.04]) * k
        thing.append((shoe, place(blob(np.array([0.1, 0.27, 0.1]) * k, 3), foot)))
        reach = -step * 0.8 + swing
        shoulder = np.array([side * 0.2 * girth, 0, 1.42])
        elbow = np.array([side * 0.26 * girth, reach * -0.25, 1.13])
        hand = np.array([side * 0.25 * girth, -reach * 0.9 - 0.05, 0.9])
        arm = np.array([shoulder, (shoulder + elbow) / 2, elbow, (elbow + hand) / 2, hand]) * k
        thing.append((top, tube(arm, np.array([0.06, 0.055, 0.045, 0.042, 0.035]) * k * girth)))
        thing.append((skin, place(blob(np.array([0.08, 0.08, 0.16]) * k), hand * k - [0, 0, 0.05])))
    thing += [(skin, tube(np.array([[0, 0, 1.44], [0, 0, 1.5], [0, -0.01, 1.58]]) * k, 0.055 * k)),
              (skin, place(blob(np.array([0.155, 0.19, 0.235]) * k, 2.2), np.array([0, -0.01, 1.64]) * k)),
              (hair, place(blob(np.array([0.175, 0.2, 0.2]) * k, 2.2), np.array([0, 0.015, 1.675]) * k))]  # fmt: skip
    if rng.random() < 0.3:
        bag = place(blob(np.array([0.3, 0.16, 0.42]) * k, 5), np.array([0, 0.2, 1.2]) * k)
        thing.append((paint(rng, "accent"), bag))
    return thing


def car(rng: np.random.Generator) -> Thing:
    """Return a car of 3.8 to 5 m with glass, wheels, lights and plates, its front towards -y."""
    long, wide, high = rng.uniform(3.8, 5.0), rng.uniform(1.68, 1.9), rng.uniform(1.4, 1.85)
    body, glass = paint(rng, "paint", roughness=0.3), paint(rng, "glass", roughness=0.1)
    belt, hatch = high * 0.62, rng.random() < 0.5
    y = np.array([-0.5, -0.49, -0.45, -0.28, -0.2, 0.3, 0.42, 0.49, 0.5]) * long
    top = np.array([0.5, 0.62, 0.72, 0.92, 1.0, 1.0, 1.0 if hatch else 0.96, 0.9, 0.55]) * belt
    half = np.array([0.86, 0.93, 0.97, 1, 1, 1, 0.99, 0.95, 0.88]) * wide / 2
    lower = _loft(y, 0.22 + 0 * y, top, half, half * 0.94)
    y = (
        np.array([-0.24, -0.08, 0.05, 0.25, 0.36 if hatch else 0.24, 0.47 if hatch else 0.38])
        * long
    )
    roof = np.array([belt, high * 0.97, high, high * 0.99, high * 0.93, belt])
    rail = np.array([0.93, 0.78, 0.76, 0.76, 0.78, 0.9]) * wide / 2
    cabin = _loft(y, 0 * y + belt * 0.93, roof, 0 * y + wide * 0.47, rail)
    lid = np.linspace(y[1] + 0.05, y[4] - 0.05, 6)
    crown = np.interp(lid, y, roof) + 0.012
    edge = np.interp(lid, y, rail)
    panel = np.stack([np.stack([-s * edge, lid, crown], axis=-1) for s in (-1, 0, 1)], axis=0)
    posts = []
    for s in (-1, 1):
        sill = s * wide * 0.47
        posts.append(tube(np.stack([s * rail[1:5] * 1.01, y[1:5], roof[1:5]], axis=1), 0.035, 6))
        for foot, head in ((0, 1), (5, 4)):
            ends = [[sill, y[foot], belt], [s * rail[head], y[head], roof[head]]]
            posts.append(tube(ends, 0.04, 6))
        posts.append(tube([[sill, 0.06, belt], [s * rail[2], 0.06, high * 0.98]], 0.04, 6))
    thing = [(body, join([lower, sheet(panel), *posts])), (glass, cabin)]
    return thing + _car_trim(rng, long, wide, belt)


def _car_trim(rng: np.random.Generator, long: float, wide: float, belt: float) -> Thing:
    """Return wheels, bumpers, lamps, plates and mirrors."""
    tyre, rim = paint(rng, "rubber", roughness=0.9), paint(rng, "metal", roughness=0.35)
    turn, radius = rotation(0, 0, np.pi / 2), rng.uniform(0.3, 0.36)
    wheels, rims = [], []
    for side in (-1, 1):
        for y in (-0.31 * long, 0.3 * long):
            inner = side * (wide / 2 - 0.2)
            wheels.append(place(disc_body(radius, 0.21), [inner, y, radius], turn))
            rims.append(place(disc_body(radius * 0.62, 0.216), [inner - 0.003, y, radius], turn))
    lamp = Material("smooth", (0.9, 0.9, 0.85), roughness=0.2)
    tail = Material("smooth", (0.5, 0.02, 0.02), roughness=0.3)
    x, front, back = wide * 0.36, -0.487 * long, 0.488 * long
    lamps = boxes(*(([0.3, 0.08, 0.14], [s * x, front, belt * 0.6]) for s in (-1, 1)))
    tails = boxes(*(([0.22, 0.08, 0.2], [s * x, back, belt * 0.72]) for s in (-1, 1)))
    plates = boxes(
        ([0.52, 0.02, 0.11], [0, -0.503 * long, 0.42]), ([0.52, 0.02, 0.11], [0, 0.503 * long, 0.5])
    )
    dark = boxes(
        ([wide * 0.5, 0.03, 0.14], [0, -0.5 * long, 0.52]),
        ([wide * 0.96, long * 0.97, 0.12], [0, 0, 0.22]),
    )
    mirrors = join(
        [
            place(blob([0.2, 0.12, 0.14], 4), [s * (wide / 2 + 0.08), -0.2 * long, belt + 0.06])
            for s in (-1, 1)
        ]
    )
    return [(tyre, join([*wheels, dark])), (rim, join(rims)), (lamp, lamps), (tail, tails),
            (Material("smooth", (0.85, 0.85, 0.8)), plates), (tyre, mirrors)]  # fmt: skip


def _loft(y: ndarray, floor: ndarray, top: ndarray, low: ndarray, high: ndarray) -> Mesh:
    """Return a closed shell along y whose cross-section is a rounded trapezium."""
    across = [(-low * 0.9, floor), (-low, floor + 0.12), (-low, (floor + top) / 2), (-high, top - 0.04),
              (-high * 0.9, top), (high * 0.9, top), (high, top - 0.04), (low, (floor + top) / 2),
              (low, floor + 0.12), (low * 0.9, floor)]  # fmt: skip
    rings = np.stack([np.stack([x, y, z], axis=-1) for x, z in across], axis=0)
    front, back = rings[::-1, 0], rings[:, -1]
    caps = [sheet(np.stack([ring, 0 * ring + ring.mean(axis=0)])) for ring in (front, back)]
    return join([sheet(rings[::-1]), *caps])


def street_lamp(rng: np.random.Generator) -> Thing:
    """Return a lamp post that leans over -y."""
    high, metal = rng.uniform(4, 8), paint(rng, "metal", roughness=0.5)
    pole = tube([[0, 0, 0], [0, 0, high * 0.8], [0, -0.3, high], [0, -1.5, high + 0.15]], 0.06)
    return [(metal, join([pole, place(box([0.25, 0.6, 0.1]), [0, -1.6, high + 0.12])]))]


def street_sign(rng: np.random.Generator) -> Thing:
    """Return a traffic sign of 0.6 m or a notice on a post."""
    post, high = paint(rng, "metal", roughness=0.5), rng.uniform(2.1, 2.6)
    face = paint(rng, "white", "print")
    if rng.random() < 0.5:
        plate = place(disc_body(0.3, 0.02, 24), [0, -0.04, high], rotation(0, np.pi / 2))
        face = paint(rng, "accent")
    else:
        plate = place(
            box([rng.uniform(0.4, 0.9), 0.02, rng.uniform(0.3, 0.7)], True), [0, -0.05, high]
        )
    return [(post, tube([[0, 0, 0], [0, 0, 1], [0, 0, high + 0.25]], 0.03)), (face, plate)]


def bench(rng: np.random.Generator) -> Thing:
    """Return a park bench of 1.6 m, facing -y."""
    wood, iron = paint(rng, "wood", tile_m=0.6), paint(rng, "rubber", roughness=0.6)
    slats = [([1.6, 0.09, 0.03], [0, y, 0.45]) for y in (-0.2, -0.09, 0.02, 0.13)]
    slats += [([1.6, 0.03, 0.09], [0, 0.22, z]) for z in (0.6, 0.73, 0.86)]
    legs = [([0.05, 0.45, 0.04], [x, 0, 0.42]) for x in (-0.65, 0.65)]
    legs += [
        ([0.05, 0.05, h], [x, y, h / 2])
        for x in (-0.65, 0.65)
        for y, h in ((-0.2, 0.44), (0.24, 0.9))
    ]
    return [(wood, boxes(*slats)), (iron, boxes(*legs))]


def litter_bin(rng: np.random.Generator) -> Thing:
    """Return a bin of 0.7 to 1.1 m: a drum, or a box with a lid."""
    colour, high = paint(rng, "paint"), rng.uniform(0.7, 1.1)
    if rng.random() < 0.5:
        return [(colour, lathe([0, 0.22, 0.25, 0.2, 0], [0, 0, high * 0.9, high, high]))]
    dark = paint(rng, "rubber")
    return [(colour, place(box([0.58, 0.6, high * 0.92]), [0, 0, high * 0.46])),
            (dark, place(box([0.62, 0.66, high * 0.08]), [0, 0, high * 0.96]))]  # fmt: skip
