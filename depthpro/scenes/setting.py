"""What a family makes: a scene, and from where to look at it."""

from typing import NamedTuple

import numpy as np
from numpy import ndarray

from depthpro.scenes.furniture import Thing
from depthpro.scenes.mesh import Mesh, place, turn_to
from depthpro.scenes.sky import Environment, Sun
from depthpro.scenes.textures import Material


class Lamp(NamedTuple):
    """A light in a room that shines in a wide cone."""

    at: ndarray
    towards: ndarray
    colour: ndarray
    candela: float


class Scene(NamedTuple):
    """All that is rendered."""

    parts: dict[Material, list[Mesh]]
    environment: Environment
    sun: Sun | None = None
    lamps: tuple[Lamp, ...] = ()


class Setting(NamedTuple):
    """A scene and how it may be photographed. The camera looks along +y, more or less."""

    scene: Scene
    at: ndarray
    """Where the photographer's eye is."""
    spread: ndarray
    """How far, in metres along x, y and z, views may be from there."""
    targets: ndarray
    """Points to look at."""
    haze_m: float = np.inf
    """Distance at which haze has taken two thirds of the contrast."""


def build(parts: list[Thing], eye: ndarray) -> dict[Material, list[Mesh]]:
    """Return the meshes of all things by material, the thin ones turned to the eye.

    Every thing is shifted by its own millimetre or less: where two faces share a plane, the one
    that is drawn first wins, and the renderer's order differs from run to run.
    """
    by_material: dict[Material, list[Mesh]] = {}
    for number, thing in enumerate(parts, start=1):
        shift = 0.002 * ((number * np.array([0.6180, 0.7549, 0.5698])) % 1 - 0.5)
        for material, mesh in thing:
            seen = turn_to(mesh, eye) if material.thin else mesh
            by_material.setdefault(material, []).append(place(seen, shift))
    return by_material


def eye_height(rng: np.random.Generator) -> float:
    """Return metres above the ground: mostly those of a standing or sitting photographer."""
    return float(np.clip(rng.normal(1.45, 0.28), 0.4, 2.1))
