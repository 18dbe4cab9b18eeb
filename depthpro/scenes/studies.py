"""Objects without meaning, and close-ups: hair, fur and leaves before a scene of another family."""

from collections.abc import Callable

import numpy as np
from numpy import ndarray

from depthpro.scenes import furniture, outdoors
from depthpro.scenes.furniture import Thing, move
from depthpro.scenes.mesh import (
    Mesh,
    blob,
    box,
    lathe,
    leaves,
    place,
    random_rotation,
    ribbons,
    rotation,
    sheet,
    tube,
    unit,
)
from depthpro.scenes.setting import Lamp, Scene, Setting, build
from depthpro.scenes.sky import Environment, indoor_light, outdoor_sky
from depthpro.scenes.textures import Material, paint

_PATTERNS = ("fabric", "print", "poster", "wood", "brick", "gravel", "tiles", "plaster", "rock")


def objects(rng: np.random.Generator) -> Setting:
    """Return shapes of all kinds, at a scale of half a metre to ten, on a table, floor or in the air."""
    scale = float(np.exp(rng.uniform(np.log(0.5), np.log(10))))
    surface = _any_paint(rng, scale)
    parts: list[Thing] = [[(surface, place(box([80 * scale, 80 * scale, 0.1]), [0, 0, -0.05]))]]
    enclosed = rng.random() < 0.6
    if enclosed:
        wall, away = _any_paint(rng, scale), scale * rng.uniform(2.2, 5)
        half = np.array([away, away, away * rng.uniform(0.5, 1)])
        sides = [([0.1, 2 * half[1], half[2]], [s * half[0], 0, half[2] / 2]) for s in (-1, 1)]
        sides.append(([2 * half[0], 0.1, half[2]], [0, half[1], half[2] / 2]))
        parts.append([(wall, furniture.boxes(*sides))])
    for _ in range(int(rng.integers(10, 36))):
        size = scale * np.exp(rng.uniform(-3, -0.6))
        at = np.array([rng.normal(0, 0.6), rng.uniform(0.3, 2.0), 0]) * scale
        at[2] = size * 0.4 if rng.random() < 0.5 else abs(rng.normal(0.35, 0.3)) * scale
        mesh, thin = _shape(rng, size)
        material = _any_paint(rng, size * 2)._replace(thin=thin)
        parts.append([(material, place(mesh, at, random_rotation(rng)))])
    sky, sun = outdoor_sky(rng, 128)
    lamps: tuple[Lamp, ...] = ()
    if enclosed:
        sky = indoor_light(rng)._replace(backdrop=sky.cube)
        at = np.array([rng.normal(0, 1), rng.uniform(-0.5, 1), rng.uniform(1.2, 2)]) * scale
        lamps = (
            Lamp(
                at, np.array([0, 0.5 * scale, 0]) - at, np.array([1, 0.92, 0.8]), 1e5 * at[2] ** 2
            ),
        )
    eye = np.array([0, -0.6, rng.uniform(0.2, 0.9)]) * scale
    scene = Scene(build(parts, eye), sky, None if enclosed else sun, lamps)
    targets = rng.uniform([-0.4, 0.8, 0], [0.4, 1.6, 0.6], (8, 3)) * scale
    return Setting(scene, eye, np.array([0.15, 0.1, 0.08]) * scale, targets)


def _any_paint(rng: np.random.Generator, size: float) -> Material:
    """Return any material at all, with a pattern that suits things of this size."""
    if rng.random() < 0.4:
        return paint(rng, "accent" if rng.random() < 0.6 else "plaster", "smooth",
                     roughness=float(rng.uniform(0.1, 1)), metallic=float(rng.random() < 0.1))  # fmt: skip
    pattern = str(rng.choice(_PATTERNS))
    palette = "white" if pattern in ("print", "poster", "brick", "gravel") else "accent"
    if pattern in ("wood", "plaster", "rock", "fabric") and rng.random() < 0.6:
        palette = pattern
    return paint(rng, palette, pattern, tile_m=float(size * rng.uniform(0.3, 1.2)))


def _shape(rng: np.random.Generator, size: float) -> tuple[Mesh, bool]:
    """Return a shape about `size` metres large around the origin, and whether it is thin."""
    match int(rng.integers(7)):
        case 0:
            return box(size * rng.uniform(0.1, 1.4, 3)), False
        case 1:
            rough, dims = float(rng.choice([0, 0.08, 0.2])), size * rng.uniform(0.4, 1.4, 3)
            return blob(dims, rng.uniform(1, 8), rough, int(rng.integers(1 << 30)), 32), False
        case 2:
            knots = rng.uniform(0.1, 0.6, 5)
            radius = np.interp(np.linspace(0, 1, 14), np.linspace(0, 1, 5), knots)
            outline = size * np.array([0, *radius, 0])
            return lathe(outline, size * np.linspace(-0.7, 0.7, 16), 28), False
        case 3:
            path = np.cumsum(rng.normal(0, size * 0.3, (14, 3)), axis=0)
            return tube(path - path.mean(axis=0), size * rng.uniform(0.01, 0.1)), False
        case 4:
            count = int(rng.integers(40, 500))
            at = rng.normal(0, size * 0.45, (count, 3))
            slim = rng.uniform(0.2, 1)
            return leaves(at, size * rng.uniform(0.08, 0.4), unit(at), rng, slim), True
        case 5:
            angle = np.linspace(0, 2 * np.pi, 36)
            ring = np.stack([np.cos(angle), np.sin(angle), 0.1 * np.sin(3 * angle)], axis=1)
            return tube(size * 0.7 * ring, size * rng.uniform(0.02, 0.25), 12), False
        case _:
            u, v = np.meshgrid(np.linspace(-1, 1, 24), np.linspace(-1, 1, 24))
            ripples, phase = rng.uniform(1, 6, 2), rng.uniform(0, 6)
            wave = 0.3 * np.sin(ripples[0] * u + phase) * np.cos(ripples[1] * v)
            return sheet(size * np.stack([u, v, wave], axis=-1)), True


def close_up(rng: np.random.Generator, behind: Callable[[np.random.Generator], Setting]) -> Setting:
    """Return a head, an animal or a plant at 0.4 to 2 m before a scene of another family."""
    setting = behind(rng)
    away = float(np.exp(rng.uniform(np.log(0.45), np.log(1.8))))
    ahead = unit(setting.targets[0] - setting.at)
    middle = setting.at + ahead * away + rng.normal(0, 0.05, 3) * away
    match int(rng.integers(3)):
        case 0:
            subject = _head(rng)
        case 1:
            subject = _animal(rng, min(away * rng.uniform(0.25, 0.4), 0.4))
        case _:
            subject = _plant(rng, away * rng.uniform(0.5, 0.9))
    turn = np.arctan2(-ahead[0], ahead[1]) + rng.normal(0, 0.5)
    parts = dict(setting.scene.parts)
    for material, meshes in build([move(subject, middle, float(turn))], setting.at).items():
        parts[material] = [*parts.get(material, []), *meshes]
    targets = middle + rng.normal(0, 0.12, (8, 3)) * away
    return setting._replace(
        scene=setting.scene._replace(parts=parts),
        spread=setting.spread * 0 + 0.06 * away,
        targets=targets,
    )


def _head(rng: np.random.Generator) -> Thing:
    """Return a head of life size with hair, face and shoulders, facing -y."""
    skin, k = paint(rng, "skin", roughness=0.55, tile_m=0.3), rng.uniform(0.93, 1.07)
    hair = paint(rng, "hair", tile_m=0.15, roughness=0.55)
    top = paint(rng, "fabric", tile_m=0.15, roughness=0.95)
    white, dark = (
        Material("smooth", (0.8, 0.8, 0.78), roughness=0.2),
        Material("smooth", (0.03, 0.02, 0.02), roughness=0.1),
    )
    thing = [
        (skin, blob(np.array([0.155, 0.195, 0.23]) * k, 2.2, steps=36)),
        (skin, place(blob(np.array([0.11, 0.12, 0.12]) * k, 2.4, steps=28), [0, -0.045, -0.075])),
        (
            skin,
            tube([[0, 0.02, -0.06], [0, 0.03, -0.13], [0, 0.05, -0.2]], [0.055, 0.055, 0.07], 18),
        ),
        (skin, place(blob(np.array([0.032, 0.05, 0.055]) * k), np.array([0, -0.105, -0.02]) * k)),
        (
            Material("smooth", (0.45, 0.14, 0.12), roughness=0.5),
            place(blob(np.array([0.052, 0.02, 0.018]) * k), np.array([0, -0.1, -0.075]) * k),
        ),
        (top, place(blob([0.44 * k, 0.24, 0.36], 3.2, steps=30), [0, 0.06, -0.36])),
    ]
    for s in (-1, 1):
        thing += [(white, place(blob([0.028, 0.02, 0.02]), np.array([s * 0.034, -0.088, 0.015]) * k)),
                  (dark, place(blob([0.013, 0.013, 0.013]), np.array([s * 0.034, -0.096, 0.015]) * k)),
                  (hair, place(blob([0.045, 0.02, 0.009]), np.array([s * 0.034, -0.095, 0.037]) * k)),
                  (skin, place(blob([0.02, 0.045, 0.065]), np.array([s * 0.08, 0.005, 0.0]) * k))]  # fmt: skip
    count = int(rng.integers(2500, 7000))
    out = unit(rng.normal(size=(count, 3)) + [0, 0.35, 0.35])
    # The face stays free: no roots low in front.
    out = out[(out[:, 2] > 0.35) | (out[:, 1] > 0.1 - 0.3 * out[:, 2])]
    roots = out * np.array([0.077, 0.097, 0.115]) * k
    length, fall = np.exp(rng.uniform(np.log(0.03), np.log(0.35))), rng.uniform(0.2, 1.2)
    way = unit(out * [1, 1, 0.6] + [0, 0.35, 0] + rng.normal(0, rng.uniform(0.05, 0.5), out.shape))
    strands = ribbons(roots, way, length * rng.uniform(0.5, 1.2, len(out)), rng.uniform(0.0008, 0.003),
                      [0, 0.1, -fall if length > 0.08 else -0.1], rng, joints=7)  # fmt: skip
    cap = place(
        blob(np.array([0.16, 0.19, 0.19]) * k, 2.2, steps=30), np.array([0, 0.012, 0.024]) * k
    )
    return [*thing, (hair._replace(thin=True), strands), (hair, cap)]


def _animal(rng: np.random.Generator, size: float) -> Thing:
    """Return a furry animal's head and body, about `size` metres wide, facing -y."""
    fur, dark = (
        paint(rng, "fur", tile_m=size * 0.6, roughness=0.9),
        Material("smooth", (0.02, 0.02, 0.02), roughness=0.15),
    )
    centres = (
        np.array(
            [
                [0, 0, 0],
                [0, -0.42, -0.12],
                [0, 0.75, -0.65],
                [-0.33, 0.05, 0.45],
                [0.33, 0.05, 0.45],
            ]
        )
        * size
    )
    dims = (
        np.array(
            [
                [0.9, 0.8, 0.8],
                [0.45, 0.5, 0.4],
                [1.2, 1.7, 1.2],
                [0.24, 0.12, 0.4],
                [0.24, 0.12, 0.4],
            ]
        )
        * size
    )
    thing: Thing = [
        (fur, place(blob(d, 2.3, steps=30), c)) for c, d in zip(centres, dims, strict=True)
    ]
    thing.append(
        (
            dark,
            place(
                blob(np.array([0.16, 0.12, 0.1]) * size),
                centres[1] + [0, -0.25 * size, 0.07 * size],
            ),
        )
    )
    for s in (-1, 1):
        thing.append(
            (dark, place(blob(np.full(3, 0.11 * size)), np.array([s * 0.24, -0.36, 0.12]) * size))
        )
    shares = (2600, 900, 2600, 300, 300)
    roots, ways = [], []
    for centre, dim, count in zip(centres, dims, shares, strict=True):
        out = unit(rng.normal(size=(count, 3)))
        roots.append(centre + out * dim / 2)
        ways.append(out)
    way = unit(np.concatenate(ways) + [0, 0.55, -0.35] + rng.normal(0, 0.25, (sum(shares), 3)))
    length = size * rng.uniform(0.05, 0.2)
    strands = ribbons(np.concatenate(roots), way, length * rng.uniform(0.6, 1.3, len(way)),
                      size * rng.uniform(0.006, 0.016), [0, 0.2, -0.5], rng, joints=4)  # fmt: skip
    lighter = fur._replace(tint=tuple(min(1.0, 1.25 * c) for c in fur.tint))
    return [*thing, (lighter._replace(thin=True), strands)]


def _plant(rng: np.random.Generator, size: float) -> Thing:
    """Return a plant about `size` metres high around its middle: in a pot, or a leafy twig."""
    if rng.random() < 0.5:
        return move(furniture.potted_plant(rng, size), [0, 0, -size / 2])
    leaf, bark = paint(rng, "leaf", tile_m=0.05, roughness=0.5), paint(rng, "bark", tile_m=0.1)
    thing: Thing = []
    for _ in range(int(rng.integers(2, 6))):
        start = rng.normal(0, 0.12, 3) * size - [0, 0, 0.6 * size]
        path = start + np.cumsum(
            unit(rng.normal(0, 0.45, (9, 3)) + [0, 0, 1]) * size * 0.16, axis=0
        )
        thing.append((bark, tube(path, np.linspace(0.012, 0.003, 9) * size, 6)))
        count = int(rng.integers(14, 40))
        at = path[rng.integers(2, 9, count)] + rng.normal(0, 0.02, (count, 3)) * size
        way = unit(rng.normal(size=(count, 3)) + [0, 0, 0.3])
        thing.append(
            (
                leaf._replace(thin=True),
                ribbons(
                    at,
                    way,
                    size * rng.uniform(0.1, 0.3),
                    size * rng.uniform(0.03, 0.08),
                    [0, 0, -0.4],
                    rng,
                    6,
                ),
            )
        )
    return thing
