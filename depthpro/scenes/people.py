"""People and animals, in real sizes, facing -y."""

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from depthpro.scenes.mesh import blob, lathe, ribbons, rotation, tube, unit
from depthpro.scenes.textures import Material, paint
from depthpro.scenes.thing import Thing

# A head is an egg with these bumps: direction, width, height.
_FACE = (
    (0, -1, -0.12, 0.15, 0.2), (0, -0.97, 0.1, 0.12, 0.07), (0.36, -0.9, 0.12, 0.17, -0.07),
    (-0.36, -0.9, 0.12, 0.17, -0.07), (0, -0.93, 0.32, 0.35, 0.03), (0, -0.75, -0.85, 0.3, 0.1),
    (0.5, -0.75, -0.25, 0.3, 0.04), (-0.5, -0.75, -0.25, 0.3, 0.04), (0, -0.9, -0.5, 0.18, 0.05),
    (0.9, -0.1, -0.7, 0.45, -0.12), (-0.9, -0.1, -0.7, 0.45, -0.12),
)  # fmt: skip
_HEAD = np.array([0.155, 0.2, 0.235])
# Head, muzzle, body, ears and legs as shares of an animal's size: width, depth, height, x, y, z.
_ANIMAL = (
    (0.9, 0.85, 0.8, 0, 0, 0), (0.45, 0.5, 0.38, 0, -0.42, -0.12), (1.2, 2.0, 1.15, 0, 0.95, -0.6),
    (0.26, 0.12, 0.42, -0.33, 0.05, 0.42), (0.26, 0.12, 0.42, 0.33, 0.05, 0.42),
    (0.34, 0.36, 1.2, -0.35, 0.35, -1.2), (0.34, 0.36, 1.2, 0.35, 0.35, -1.2),
    (0.36, 0.45, 1.2, -0.4, 1.6, -1.2), (0.36, 0.45, 1.2, 0.4, 1.6, -1.2),
)  # fmt: skip


def person(rng: Generator, strands: bool = False) -> Thing:
    """Return a person of 1.5 to 1.95 m who stands or walks; `strands` of hair are for close-ups."""
    skin, top, legs = paint(rng, "skin"), paint(rng, "fabric"), paint(rng, "fabric")
    shoe = paint(rng, "rubber" if rng.random() < 0.6 else "accent")
    stride, girth = rng.choice([0.0, rng.uniform(0.1, 0.32)]), rng.uniform(0.9, 1.25)
    sleeve = top if rng.random() < 0.7 else skin
    body = Thing()
    outline = np.array([0.12, 0.17, 0.16, 0.14, 0.17, 0.2, 0.18, 0.13, 0.06]) * girth
    trunk = lathe(outline, [0.84, 0.9, 0.98, 1.1, 1.25, 1.36, 1.42, 1.46, 1.49], 20)
    body.add(top, trunk._replace(points=trunk.points * [1, 0.62, 1]))
    for side in (-1, 1):
        step, lift = side * stride, rng.choice([0.0, 0.0, rng.uniform(0, 0.5)])
        ankle = np.array([side * 0.1, -step, 0.09 + max(0.0, -step) * 0.25])
        knee = [side * 0.1, -step * 0.5 - 0.02 - 0.1 * stride, 0.5]
        joints = _joints([side * 0.09, 0, 0.92], knee, ankle)
        body.add(legs, tube(joints, np.array([0.1, 0.085, 0.062, 0.058, 0.045]) * girth))
        body.blobs(shoe, [[0.1, 0.27, 0.1, *ankle - [0, 0.06, 0.04]]], 3)
        elbow = np.array([side * 0.26 * girth, step * 0.3 - lift * 0.3, 1.13 + lift * 0.1])
        hand = np.array([side * 0.24 * girth, step * 0.8 - 0.1 - lift, 0.9 + lift])
        joints = _joints([side * 0.19 * girth, 0, 1.41], elbow, hand)
        arm = np.array([0.062, 0.055, 0.045, 0.042, 0.035]) * girth
        body.add(top, tube(joints[:3], arm[:3] * 1.1)).add(sleeve, tube(joints[2:], arm[2:]))
        body.blobs(top, [[*[0.13 * girth] * 3, *joints[0]]])
        body.blobs(skin, [[0.08, 0.08, 0.16, *hand - [0, 0.02, 0.05]]])
    if rng.random() < 0.3:
        body.blobs(paint(rng, "accent"), [[0.3, 0.16, 0.42, 0, 0.2, 1.2]], 5)
    neck = [[0, 0.02, 1.42], [0, 0.01, 1.5], [0, -0.01, 1.58]]
    body.add(skin, tube(neck, [0.07, 0.058, 0.055], 14))
    nod = rotation(rng.normal(0, 0.3), rng.normal(0, 0.12))
    body.put(_head(rng, skin, strands), [0, -0.015, 1.635], nod)
    return Thing().put(body, scale=rng.uniform(1.5, 1.95) / 1.755)


def _joints(first: object, middle: object, last: object) -> ndarray:
    """Return the three joints of a limb and the middles between them."""
    a, b, c = np.array(first), np.array(middle), np.array(last)
    return np.array([a, (a + b) / 2, b, (b + c) / 2, c])


def _head(rng: Generator, skin: Material, strands: bool) -> Thing:
    """Return a head with hair around its own middle."""
    white = Material("smooth", (0.75, 0.73, 0.7), roughness=0.2)
    # Dark skin goes with dark hair.
    hairs = [paint(rng, "hair") for _ in range(1 if skin.tint[0] > 0.4 else 4)]
    hair = min(hairs, key=lambda material: material.tint[0])
    dark = Material("smooth", (0.04, 0.025, 0.02), roughness=0.1)
    red, green, blue = skin.tint
    lips = Material("smooth", (red * 0.8, green * 0.5, blue * 0.5), roughness=0.45)
    face = np.array(_FACE) * [1, 1, 1, 1, rng.uniform(0.7, 1.3)]
    thing = Thing().add(skin, blob(_HEAD, 2.2, face, 44))
    upper, lower = [0.045, 0.02, 0.008, 0, -0.092, -0.058], [0.04, 0.02, 0.01, 0, -0.09, -0.066]
    thing.blobs(lips, [upper, lower])
    for s in (-1, 1):
        thing.blobs(white, [[0.026, 0.018, 0.013, s * 0.032, -0.08, 0.014]])
        thing.blobs(dark, [[0.012, 0.012, 0.012, s * 0.032, -0.086, 0.014]])
        thing.blobs(hair, [[0.042, 0.014, 0.007, s * 0.033, -0.088, 0.034]])
        thing.blobs(skin, [[0.02, 0.045, 0.06, s * 0.076, 0.01, 0]])
    if rng.random() < 0.06:
        return thing
    # A cap that sinks into the head where the face is; long hair falls behind.
    open_face = [[0, -1, -0.35, 0.75, -0.4], [0, 0.4, -1, 0.5, -0.2]]
    cap = blob(_HEAD * rng.uniform([1.06, 1.05, 1.06], [1.25, 1.15, 1.14]), 2.2, open_face, 36)
    thing.add(hair, cap, [0, 0.012, 0.012])
    length = float(np.exp(rng.uniform(np.log(0.02), np.log(0.35))))
    if length > 0.1:
        thing.blobs(hair, [[0.19, 0.12, 0.1 + length, 0, 0.07, -length / 2 + 0.03]], 2.6)
    if strands:
        out = unit(rng.normal([0, 0.35, 0.35], 1, (rng.integers(2500, 6000), 3)))
        # The face stays free: no roots low in front.
        out = out[(out[:, 2] > 0.5) | (out[:, 1] > 0.15 - 0.3 * out[:, 2])]
        way = unit(out * [1, 1, 0.6] + rng.normal([0, 0.4, 0], rng.uniform(0.1, 0.5), out.shape))
        fall = [0, 0.1, -rng.uniform(0.3, 1.2) if length > 0.08 else -0.1]
        reach = length * rng.uniform(0.4, 1.0, len(out))
        roots, width = out * _HEAD * 0.53, rng.uniform(0.0008, 0.0025)
        thing.thin(hair, ribbons(rng, roots, way, reach, width, fall, joints=7))
    return thing


def animal(rng: Generator, size: float, strands: bool = False) -> Thing:
    """Return a furry animal with a head `size` metres wide; `strands` of fur are for close-ups."""
    fur = paint(rng, "fur", None, size * 0.6)
    dark = Material("smooth", (0.02, 0.02, 0.02), roughness=0.15)
    rows = np.array(_ANIMAL) * rng.uniform(0.85, 1.15, 6) * size
    thing = Thing().blobs(fur, rows, 2.3)
    eyes = [[0.11, 0.11, 0.11, s * 0.22, -0.38, 0.12] for s in (-1, 1)]
    thing.blobs(dark, np.array([*eyes, [0.17, 0.12, 0.1, 0, -0.68, -0.05]]) * size)
    if strands:
        # As many hairs on each part as its surface asks for.
        share = np.prod(rows[:, :2], axis=1)
        part = rng.choice(len(rows), 6500, p=share / share.sum())
        out = unit(rng.normal(size=(len(part), 3)))
        way = unit(out + rng.normal([0, 0.55, -0.35], 0.25, out.shape))
        reach = size * rng.uniform(0.06, 0.2) * rng.uniform(0.6, 1.3, len(part))
        roots = rows[part, 3:] + out * rows[part, :3] / 2
        mesh = ribbons(rng, roots, way, reach, size * rng.uniform(0.008, 0.018), [0, 0.2, -0.5])
        thing.thin(fur, mesh)
    return thing
