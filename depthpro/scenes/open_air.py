"""Streets and nature: scenes under the sky."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.typing import ArrayLike

from depthpro.scenes import outdoors
from depthpro.scenes.furniture import Thing, boxes, move
from depthpro.scenes.mesh import box, leaves, place, sheet, tube, unit
from depthpro.scenes.setting import Scene, Setting, build, eye_height
from depthpro.scenes.sky import outdoor_sky
from depthpro.scenes.textures import Material, paint


def street(rng: np.random.Generator) -> Setting:
    """Return a street that runs along +y between houses, with cars, people and trees."""
    half, walk, far = rng.uniform(2.8, 7), rng.uniform(1.6, 4.5), 170.0
    asphalt = paint(rng, "asphalt", tile_m=3.0, roughness=0.9)
    pavement = paint(rng, "concrete", "tiles" if rng.random() < 0.6 else None, tile_m=2.0)
    ground = paint(rng, "grass" if rng.random() < 0.5 else "concrete", tile_m=4.0)
    parts: list[Thing] = [
        [(ground, place(box([700, 900, 0.1]), [0, 300, -0.08]))],
        [(asphalt, place(box([2 * half, 900, 0.1]), [0, 300, -0.05]))],
        _markings(rng, half),
    ]
    bark, leaf = paint(rng, "bark"), paint(rng, "leaf", roughness=0.9, tile_m=0.3)
    trees = [outdoors.tree(rng, rng.uniform(5, 9), bark, leaf) for _ in range(3)]
    cars = [outdoors.car(rng) for _ in range(5)]
    for side in (-1, 1):
        kerb = [(pavement, place(box([walk, 900, 0.14]), [side * (half + walk / 2), 300, 0.07]))]
        parts += [kerb, *_houses(rng, side, half + walk, far, trees)]
        parts += _roadside(rng, side, half, trees, cars)
    for _ in range(int(rng.integers(0, 5))):
        side = rng.choice([-1, 1])
        at = [side * half * rng.uniform(0.25, 0.5), rng.uniform(9, 80), 0]
        parts.append(
            move(cars[rng.integers(5)], at, (np.pi if side > 0 else 0) + rng.normal(0, 0.04))
        )
    for _ in range(int(rng.integers(1, 10))):
        x = rng.choice([-1, 1]) * (half + rng.uniform(0.3, walk)) if rng.random() < 0.85 else 0.0
        at = [x, rng.uniform(3, 35), 0.14 * (x != 0)]
        parts.append(move(outdoors.person(rng), at, rng.choice([0, np.pi]) + rng.normal(0, 0.4)))
    sky, sun = outdoor_sky(rng)
    x = rng.uniform(-1, 1) * (half + walk * 0.8)
    eye = np.array([x, 0, eye_height(rng) + 0.14 * (abs(x) > half)])
    targets = np.stack(
        [rng.normal(0, 5, 8) - 0.3 * x, rng.uniform(14, 40, 8), rng.uniform(0, 4, 8)], 1
    )
    scene = Scene(build(parts, eye), sky, sun)
    return Setting(
        scene, eye, np.array([0.5, 1.0, 0.15]), targets, float(np.exp(rng.uniform(5, 8)))
    )


def _grown(rng: np.random.Generator, trees: list[Thing], at: ArrayLike) -> Thing:
    """Return one of the trees at a place, of another size and turned."""
    tree = trees[rng.integers(len(trees))]
    return move(tree, at, rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1.35))


def _markings(rng: np.random.Generator, half: float) -> Thing:
    """Return white lines 12 cm wide, and at times a crossing."""
    white = paint(rng, "white", "plaster", roughness=0.9)
    thing: Thing = []
    if rng.random() < 0.8:
        thing.append(
            (white, boxes(*(([0.12, 3, 0.012], [0, y, 0]) for y in np.arange(-10, 160, 9))))
        )
    if rng.random() < 0.4:
        y, xs = rng.uniform(6, 25), np.arange(-half + 0.5, half - 0.4, 1.0)
        thing.append((white, boxes(*(([0.5, 3, 0.012], [x, y, 0]) for x in xs))))
    return thing


def _houses(
    rng: np.random.Generator, side: int, edge: float, far: float, trees: list[Thing]
) -> list[Thing]:
    """Return the row of houses on one side, with gaps of trees and walls."""
    parts: list[Thing] = []
    y, storey, back = -14.0, rng.uniform(2.9, 3.5), rng.choice([0.0, rng.uniform(1, 7)])
    storeys = int(rng.integers(1, 7))
    while y < far:
        length = rng.uniform(7, 20)
        at = [side * (edge + back), y + length / 2, 0]
        turn = side * np.pi / 2 * -1
        if rng.random() < 0.82:
            high = storey * np.clip(storeys + rng.integers(-1, 3), 1, 9)
            parts.append(move(_house(rng, length, high, storey), at, turn))
        else:
            for _ in range(int(rng.integers(1, 4))):
                spot = np.array(at) + [side * rng.uniform(1, 9), rng.uniform(-4, 4), 0]
                parts.append(_grown(rng, trees, spot))
            fence = (
                paint(rng, "brick", "brick") if rng.random() < 0.5 else paint(rng, "wood", "planks")
            )
            parts.append(
                [
                    (
                        fence,
                        place(box([0.2, length, rng.uniform(0.8, 2)]), np.array(at) + [0, 0, 0.6]),
                    )
                ]
            )
        y += length + rng.choice([0, 0, rng.uniform(1, 6)])
    return parts


def _house(rng: np.random.Generator, length: float, high: float, storey: float) -> Thing:
    """Return a house whose front is y = 0, facing -y: windows as a picture, door, shop, roof."""
    kind = "facade" if rng.random() < 0.8 else "brick"
    front = paint(rng, kind, kind, tile_m=4 * storey if kind == "facade" else 1.0)
    deep = rng.uniform(8, 12)
    body = place(box([length, deep, high]), [0, deep / 2, high / 2])
    thing: Thing = [(front, body)]
    trim = paint(rng, "plaster", tile_m=2.0)
    ledges = [([length + 0.1, 0.35, 0.25], [0, 0, high])]
    if rng.random() < 0.5:
        ledges.append(([length + 0.04, 0.16, 0.2], [0, 0, storey]))
    thing.append((trim, boxes(*ledges)))
    if rng.random() < 0.5:
        tiles = paint(rng, "brick", "bark", tile_m=1.5)._replace(tint=(0.33, 0.12, 0.07))
        rise, half = rng.uniform(1.5, 3.5), length / 2 + 0.3
        for y, slope in ((-0.4, 1), (deep + 0.4, -1)):
            ridge = np.array(
                [
                    [[-half, y, high], [half, y, high]],
                    [[-half, deep / 2, high + rise], [half, deep / 2, high + rise]],
                ]
            )
            thing.append((tiles, sheet(ridge if slope > 0 else ridge[:, ::-1].copy())))
    for x in np.arange(-length / 2 + 1.5, length / 2 - 1, rng.uniform(3, 8)):
        if rng.random() < 0.45:
            glass = paint(rng, "glass", roughness=0.15)
            sign = paint(rng, "accent", "print" if rng.random() < 0.5 else None, tile_m=3.0)
            thing += [(glass, place(box([2.4, 0.1, 2.1]), [x, 0, 1.25])),
                      (sign, place(box([2.5, 0.3, 0.5]), [x, -0.05, 2.6]))]  # fmt: skip
        else:
            leaf = paint(rng, "wood") if rng.random() < 0.5 else paint(rng, "paint")
            thing += [(leaf, place(box([0.95, 0.12, 2.1]), [x, 0, 1.05])),
                      (trim, boxes(([1.2, 0.1, 0.15], [x, -0.02, 2.18]), ([1.2, 0.5, 0.15], [x, -0.2, 0.07])))]  # fmt: skip
        if kind == "brick":
            for level in np.arange(storey * 1.5, high, storey):
                pane = paint(rng, "glass", roughness=0.15)
                thing += [(trim, place(box([1.3, 0.1, 1.6]), [x, 0, level])),
                          (pane, place(box([1.1, 0.16, 1.4]), [x, 0, level]))]  # fmt: skip
    return thing


def _roadside(
    rng: np.random.Generator, side: int, half: float, trees: list[Thing], cars: list[Thing]
) -> list[Thing]:
    """Return what stands along the kerb: parked cars, trees, lamps, signs, bins, benches, a fence."""
    parts: list[Thing] = []
    if half > 3.4 and rng.random() < 0.75:
        y = rng.uniform(2, 12)
        while y < 70:
            if rng.random() < 0.75:
                turn = (np.pi if side > 0 else 0) + rng.normal(0, 0.02)
                parts.append(move(cars[rng.integers(5)], [side * (half - 1.1), y, 0], turn))
            y += rng.uniform(5.2, 7.5)
    makers = (outdoors.street_lamp, outdoors.street_sign, outdoors.litter_bin, outdoors.bench,
              outdoors.street_sign)  # fmt: skip
    planted = rng.random() < 0.5
    for y in np.arange(rng.uniform(2, 9), 90, rng.uniform(7, 14)):
        at = [side * (half + 0.5), y, 0.14]
        if planted:
            parts.append(_grown(rng, trees, at))
        maker = makers[rng.integers(5)]
        parts.append(
            move(
                maker(rng),
                [at[0], y + 1.5, 0.14],
                side * np.pi / 2 if maker is not outdoors.street_sign else 0.0,
            )
        )
    if rng.random() < 0.3:
        rail, x = paint(rng, "rubber", roughness=0.6), side * (half + 0.15)
        posts = [([0.03, 0.03, 1.0], [x, y, 0.6]) for y in np.arange(3, 40, rng.uniform(0.12, 1.5))]
        parts.append([(rail, boxes(([0.04, 37, 0.04], [x, 21.5, 1.1]), *posts))])
    if rng.random() < 0.25:
        wire = np.linspace(0, 1, 16)
        line = np.stack([0 * wire + side * (half + 0.6), wire * 60, 6.5 - 3 * wire * (1 - wire)], 1)
        parts.append([(paint(rng, "rubber"), tube(line, 0.015, 4))])
    return parts


def nature(rng: np.random.Generator) -> Setting:
    """Return a landscape: meadow, wood or stony ground that ends in hills."""
    height_at = _terrain(rng)
    kind = rng.choice(["meadow", "wood", "stones"], p=[0.4, 0.4, 0.2])
    bare = str(rng.choice(["soil", "rock"]))
    ground = paint(rng, bare if kind == "stones" else "grass" if rng.random() < 0.7 else "soil",
                   "gravel" if kind == "stones" and rng.random() < 0.5 else None, tile_m=3.0)  # fmt: skip
    axis = np.sinh(np.linspace(-6, 6, 130)) / np.sinh(6) * 1800
    x, y = np.meshgrid(axis, axis)
    parts: list[Thing] = [[(ground, sheet(np.stack([x, y, height_at(x, y)], axis=-1)))]]

    def spot(near: float, far: float, width: float) -> ndarray:
        away, angle = np.exp(rng.uniform(np.log(near), np.log(far))), rng.normal(0, width)
        x, y = np.array(away * np.sin(angle)), np.array(away * np.cos(angle))
        return np.array([x, y, height_at(x, y)])

    barks, greens = ([paint(rng, p, tile_m=0.4) for _ in range(3)] for p in ("bark", "leaf"))
    tall = rng.uniform(4, 14)
    trees = [outdoors.tree(rng, tall, barks[number % 3], greens[number % 3]) for number in range(5)]
    for _ in range(int(rng.integers(14, 34)) if kind == "wood" else int(rng.integers(2, 12))):
        at = spot(3.5 if kind == "wood" else 8, 110, 0.6)
        parts.append(_grown(rng, trees, at))
    stone = paint(rng, "rock", tile_m=1.5, roughness=0.95)
    for _ in range(int(rng.integers(20, 60)) if kind == "stones" else int(rng.integers(0, 9))):
        at = spot(1.5, 60, 0.7)
        size = np.hypot(*at[:2]) * rng.uniform(0.02, 0.16)
        parts.append(move(outdoors.rock(rng, min(size, 5), stone), at))
    for _ in range(int(rng.integers(1, 9))):
        parts.append(
            move(
                outdoors.bush(rng, rng.uniform(0.4, 1.8), greens[rng.integers(3)]),
                spot(2.5, 40, 0.6),
            )
        )
    parts += _undergrowth(rng, height_at, kind != "stones")
    if rng.random() < 0.35:
        parts.append(_fence(rng, height_at))
    for _ in range(int(rng.integers(0, 3)) if rng.random() < 0.6 else 0):
        parts.append(move(outdoors.person(rng), spot(2.5, 20, 0.35), rng.uniform(0, 6)))
    sky, sun = outdoor_sky(rng)
    eye = np.array([0, 0, eye_height(rng) * rng.choice([1, 1, 0.4])])
    targets = np.stack([rng.normal(0, 5, 8), np.full(8, 20), rng.uniform(-2.5, 3.5, 8)], axis=1)
    return Setting(Scene(build(parts, eye), sky, sun), eye, np.array([0.3, 0.3, 0.05]), targets,
                   float(np.exp(rng.uniform(5.5, 8))))  # fmt: skip


def _terrain(rng: np.random.Generator) -> Callable[[ndarray, ndarray], ndarray]:
    """Return the height of the ground in metres; it is 0 at the origin and hilly far away."""
    folds = _waves(rng, rng.normal(0, 0.35, (6, 2)) / 1.9 ** np.arange(6)[:, None], 1.8)
    ridges = _waves(rng, rng.normal(0, 0.006, (4, 2)) * 2.0 ** np.arange(4)[:, None], 0.5)
    small, steep = rng.uniform(0.02, 0.16), rng.uniform(0, 0.22)

    def height_at(x: ndarray, y: ndarray) -> ndarray:
        away = np.hypot(x, y)
        near = small * folds(x, y) * np.clip(away / 4, 0, 1)
        return np.asarray(near + steep * np.maximum(away - 90, 0) * (0.45 + 0.35 * ridges(x, y)))

    return height_at


def _waves(
    rng: np.random.Generator, vectors: Float[ndarray, "n 2"], gain: float
) -> Callable[[ndarray, ndarray], ndarray]:
    """Return a sum of plane waves of height 1, gain, gain² and so on."""
    phases = rng.uniform(0, 2 * np.pi, len(vectors))
    heights = gain ** np.arange(len(vectors))

    def value_at(x: ndarray, y: ndarray) -> ndarray:
        along = np.multiply.outer(x, vectors[:, 0]) + np.multiply.outer(y, vectors[:, 1])
        return np.asarray(np.sin(along + phases) @ heights)

    return value_at


def _undergrowth(
    rng: np.random.Generator, height_at: Callable[[ndarray, ndarray], ndarray], lush: bool
) -> list[Thing]:
    """Return grass around the camera, dry or green, some of it high, with flowers at times."""
    parts: list[Thing] = []
    lean = rng.normal(0, 0.3, 2)
    for _ in range(int(rng.integers(1, 4)) if lush else int(rng.integers(0, 2))):
        count, far = int(rng.integers(1200, 4500)), rng.uniform(4, 16)
        away, angle = (
            np.exp(rng.uniform(np.log(0.6), np.log(far), count)),
            rng.uniform(-1.1, 1.1, count),
        )
        x, y = away * np.sin(angle), away * np.cos(angle)
        roots = np.stack([x, y, height_at(x, y) - 0.01], axis=1)
        blades = outdoors.grass(
            rng, roots, np.exp(rng.uniform(-2.8, -1)), rng.uniform(0.004, 0.011), lean
        )
        blade = paint(rng, "grass", tile_m=0.3, roughness=0.9)._replace(thin=True)
        parts.append([(blade, blades)])
        if rng.random() < 0.35:
            some = roots[rng.random(count) < 0.05] + [0, 0, np.exp(rng.uniform(-2.3, -1.2))]
            up = np.tile([0.0, 0, 1], (len(some), 1))
            petals = leaves(np.repeat(some, 4, 0), 0.03, np.repeat(up, 4, 0), rng, slim=0.8)
            parts.append([(paint(rng, "accent")._replace(thin=True), petals)])
    return parts


def _fence(rng: np.random.Generator, height_at: Callable[[ndarray, ndarray], ndarray]) -> Thing:
    """Return a wooden fence that runs off into the distance."""
    wood, count = paint(rng, "wood", tile_m=0.5), 24
    step = 2.0 * unit(np.array([rng.normal(0, 0.5), 1.0]))
    along = np.arange(count)
    x, y = rng.uniform(-4, 4) + step[0] * along, 3 + step[1] * along
    foot = np.stack([x, y, height_at(x, y)], axis=1)
    posts = boxes(*(([0.1, 0.1, 1.25], at + [0, 0, 0.55]) for at in foot))
    return [(wood, posts), *((wood, tube(foot + [0, 0, z], 0.035, 5)) for z in (0.4, 0.75, 1.1))]
