"""Rooms: four walls with openings, furniture along them and in the middle, clutter, people."""

import numpy as np

from depthpro.scenes import furniture, outdoors
from depthpro.scenes.furniture import Thing, boxes, move
from depthpro.scenes.mesh import box, place, rotation, unit
from depthpro.scenes.setting import Lamp, Scene, Setting, build, eye_height
from depthpro.scenes.sky import Sun, indoor_light, outdoor_sky
from depthpro.scenes.textures import Material, paint


def room(rng: np.random.Generator) -> Setting:
    """Return a furnished room with windows, its far wall at +y."""
    wide, deep, high = rng.uniform(2.8, 7.5), rng.uniform(3.2, 9), rng.uniform(2.35, 3.1)
    parts, sun_in = _shell(rng, wide, deep, high), rng.random() < 0.6
    for _ in range(int(rng.integers(4, 10))):
        parts.append(_along_wall(rng, wide, deep))
    for _ in range(int(rng.integers(1, 4))):
        at = [rng.uniform(-0.3, 0.3) * wide, rng.uniform(-0.1, 0.35) * deep, 0]
        parts.append(move(_group(rng), at, rng.choice([0, np.pi / 2, rng.uniform(0, 6)])))
    for _ in range(int(rng.integers(0, 9))):
        at = [rng.uniform(-0.45, 0.45) * wide, rng.uniform(-0.3, 0.45) * deep, 0]
        parts.append(move(furniture.clutter(rng, rng.uniform(0.1, 0.45)), at, rng.uniform(0, 6)))
    if rng.random() < 0.35:
        at = [rng.uniform(-0.3, 0.3) * wide, rng.uniform(0.0, 0.4) * deep, 0]
        parts.append(move(outdoors.person(rng), at, rng.uniform(-1.2, 1.2)))
    backdrop = outdoor_sky(rng, 128)[0].cube * rng.uniform(1.2, 3)
    light = indoor_light(rng)._replace(backdrop=backdrop.astype(np.float32))
    garden = paint(
        rng, *(("grass", None) if rng.random() < 0.5 else ("concrete", None)), tile_m=4.0
    )
    parts.append([(garden, place(box([120, 120, 0.1]), [0, 0, -rng.choice([0.4, 3.5, 9])]))])
    lamps = tuple(
        Lamp(
            np.array([rng.uniform(-0.3, 0.3) * wide, rng.uniform(-0.3, 0.3) * deep, high - 0.25]),
            np.array([*rng.normal(0, 0.2, 2), -1]),
            np.array([1, rng.uniform(0.75, 0.95), rng.uniform(0.5, 0.9)]),
            rng.uniform(0.8, 3) * high**2 * 2e4,
        )
        for _ in range(int(rng.integers(0 if sun_in else 1, 3)))
    )
    azimuth = rng.uniform(-np.pi, np.pi)
    low = unit(np.array([np.sin(azimuth), np.cos(azimuth), rng.uniform(0.25, 0.9)]))
    sun = Sun(low, np.array([1, 0.93, 0.82]), rng.uniform(1, 3.5) * 1e5) if sun_in else None
    eye = np.array(
        [rng.uniform(-0.3, 0.3) * wide, rng.uniform(-0.46, -0.2) * deep, eye_height(rng)]
    )
    scene = Scene(build(parts, eye), light, sun, lamps)
    targets = rng.uniform([-0.42, 0.1, 0], [0.42, 0.5, 1], (8, 3)) * [wide, deep, 1.6]
    return Setting(scene, eye, np.array([0.3, 0.2, 0.15]), targets)


def _shell(rng: np.random.Generator, wide: float, deep: float, high: float) -> list[Thing]:
    """Return floor, ceiling and four walls with openings, doors, pictures and curtains."""
    floor = [("wood", "planks", 1.6), ("plaster", "tiles", 1.8), ("fabric", "fabric", 0.5),
             ("concrete", None, 3.0)][rng.choice(4, p=[0.5, 0.2, 0.2, 0.1])]  # fmt: skip
    ground = paint(rng, floor[0], floor[1], floor[2], roughness=float(rng.uniform(0.35, 0.9)))
    white = paint(rng, "white", "plaster", 2.0)
    wall = paint(rng, "plaster", tile_m=2.0)
    accent = wall if rng.random() < 0.7 else paint(rng, *_ACCENT_WALLS[rng.integers(3)])
    parts: list[Thing] = [
        [(ground, place(box([wide + 0.4, deep + 0.4, 0.1]), [0, 0, -0.05]))],
        [(white, place(box([wide + 0.4, deep + 0.4, 0.1]), [0, 0, high + 0.05]))],
    ]
    sides = ((deep, wide / 2, -np.pi / 2), (deep, wide / 2, np.pi / 2), (wide, deep / 2, 0.0),
             (wide, deep / 2, np.pi))  # fmt: skip
    for number, (length, away, turn) in enumerate(sides):
        surface = accent if number == 2 else wall
        piece = _wall(rng, surface, white, length, high, windows=number < 3)
        parts.append(move(piece, rotation(turn) @ [0, away, 0], turn))
    if rng.random() < 0.5:
        rug = paint(rng, "fabric", tile_m=1.2, roughness=1.0)
        size = [rng.uniform(1.2, 2.5), rng.uniform(1.0, 2.0), 0.012]
        parts.append([(rug, place(box(size), [rng.uniform(-0.5, 0.5), 0.1 * deep, 0.006]))])
    return parts


_ACCENT_WALLS = (("brick", "brick"), ("wood", "planks"), ("accent", "plaster"))


def _wall(
    rng: np.random.Generator,
    surface: Material,
    trim: Material,
    length: float,
    high: float,
    windows: bool,
) -> Thing:
    """Return a wall along x whose inner face is y = 0, facing -y, with what is in and on it."""
    thick, x, thing = 0.22, -length / 2, []
    pieces, frame = [], []
    while length / 2 - x > 1.3:
        step = min(rng.uniform(1.2, 2.6), length / 2 - x)
        middle, kind = (
            x + step / 2,
            rng.choice(["window", "door", "picture", "plain"], p=[0.35, 0.15, 0.25, 0.25]),
        )
        opening = (0.0, 0.0, 0.0)
        if kind == "window" and windows:
            low = rng.choice([0.1, rng.uniform(0.75, 1.0)])
            opening = (step * rng.uniform(0.45, 0.8), low, min(high - 0.25, rng.uniform(1.9, 2.2)))
            frame += _window_bars(middle, opening, int(rng.integers(1, 4)))
            if rng.random() < 0.45:
                side = middle + rng.choice([-1, 1]) * (opening[0] / 2 + 0.05)
                thing += move(furniture.curtain(rng, 0.5, high - 0.12), [side, -0.09, 0])
        elif kind == "door" and step > 1.1:
            leaf = paint(rng, *(("wood", None) if rng.random() < 0.4 else ("plaster", "smooth")))
            thing += move(_door(leaf, trim), [middle, 0, 0])
        elif kind == "picture":
            w, h = rng.uniform(0.3, 1.0, 2)
            art = paint(rng, "white", "poster")
            at = np.array([middle, -0.015, rng.uniform(1.35, 1.65)])
            thing.append((art, place(box([w, 0.03, h], picture=True), at)))
            edge = paint(rng, "wood")
            thing.append((edge, place(box([w + 0.06, 0.02, h + 0.06]), at + [0, 0.005, 0])))
        w, low, top = opening
        if w:
            pieces += [([w, thick, low], [middle, thick / 2, low / 2]),
                       ([w, thick, high - top], [middle, thick / 2, (high + top) / 2])]  # fmt: skip
        for s in (-1, 1):
            flank = (step - w) / 2
            pieces.append(
                ([flank, thick, high], [middle + s * (w + flank) / 2, thick / 2, high / 2])
            )
        x += step
    rest = length / 2 - x + 0.22
    pieces.append(([rest, thick, high], [x + rest / 2, thick / 2, high / 2]))
    pieces.append(([0.22, thick, high], [-length / 2 - 0.11, thick / 2, high / 2]))
    skirting = [([length, 0.016, 0.08], [0, -0.008, 0.04])]
    return [*thing, (surface, boxes(*pieces)), (trim, boxes(*skirting, *frame))]


def _window_bars(middle: float, opening: tuple[float, float, float], panes: int) -> list:
    w, low, top = opening
    centre = (low + top) / 2
    bars = [
        ([0.05, 0.06, top - low], [middle + w * (i / panes - 0.5), 0.1, centre])
        for i in range(panes + 1)
    ]
    return [*bars, *(([w, 0.06, 0.05], [middle, 0.1, z]) for z in (low, top)),
            ([w + 0.1, 0.2, 0.03], [middle, 0.02, low])]  # fmt: skip


def _door(leaf: Material, trim: Material) -> Thing:
    """Return a closed door of 0.86 x 2.03 m in its frame."""
    frame = boxes(([0.07, 0.05, 2.1], [-0.465, -0.01, 1.05]), ([0.07, 0.05, 2.1], [0.465, -0.01, 1.05]),
                  ([1.0, 0.05, 0.07], [0, -0.01, 2.07]))  # fmt: skip
    steel = Material("smooth", (0.6, 0.6, 0.6), roughness=0.3, metallic=1.0)
    panel = boxes(([0.86, 0.04, 2.03], [0, -0.005, 1.015]), ([0.55, 0.05, 0.7], [0, -0.01, 0.55]),
                  ([0.55, 0.05, 0.7], [0, -0.01, 1.45]))  # fmt: skip
    return [(trim, frame), (leaf, panel), (steel, boxes(([0.12, 0.05, 0.02], [0.33, -0.06, 1.03])))]


def _along_wall(rng: np.random.Generator, wide: float, deep: float) -> Thing:
    """Return a piece of furniture with its back to one of the three walls in view."""
    make = [furniture.shelf, furniture.cabinet, furniture.sofa, furniture.floor_lamp,
            furniture.bed, furniture.cabinet, lambda r: furniture.potted_plant(r, r.uniform(0.4, 1.6))]  # fmt: skip
    thing = make[rng.integers(len(make))](rng)
    back = max(mesh.points[:, 1].max() for _, mesh in thing) + 0.03
    side = int(rng.integers(3))
    if side == 2:
        return move(thing, [rng.uniform(-0.4, 0.4) * wide, deep / 2 - back, 0])
    turn = (-1, 1)[side] * np.pi / 2
    at = rotation(turn) @ [0, wide / 2 - back, 0] + [0, rng.uniform(-0.2, 0.42) * deep, 0]
    return move(thing, at, float(turn))


def _group(rng: np.random.Generator) -> Thing:
    """Return a table with chairs around and clutter on it, or a seat."""
    if rng.random() < 0.3:
        return furniture.sofa(rng) if rng.random() < 0.6 else furniture.chair(rng)
    wide, deep = rng.uniform(0.6, 1.9), rng.uniform(0.6, 0.95)
    high = float(rng.choice([0.42, 0.74]))
    thing = furniture.table(rng, wide, deep, high)
    for _ in range(int(rng.integers(1, 8))):
        at = [rng.uniform(-0.4, 0.4) * wide, rng.uniform(-0.35, 0.35) * deep, high]
        thing += move(furniture.clutter(rng, rng.uniform(0.05, 0.3)), at, rng.uniform(0, 6))
    for side in (-1, 1) if high > 0.6 else ():
        for x in np.arange(-wide / 2 + 0.3, wide / 2 - 0.2, 0.6):
            if rng.random() < 0.7:
                turn = (0 if side > 0 else np.pi) + rng.normal(0, 0.2)
                thing += move(
                    furniture.chair(rng), [x, side * (deep / 2 + rng.uniform(0, 0.3)), 0], turn
                )
    return thing
