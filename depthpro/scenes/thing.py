"""Things: meshes and their materials, put together part by part; and scenes made of them."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from depthpro.scenes.mesh import Mesh, Numbers, blob, box, join, place, turn_to
from depthpro.scenes.sky import Light
from depthpro.scenes.textures import Material


class Thing:
    """A thing in a frame of its own: most stand on z = 0 and face -y."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.parts: list[tuple[Material, Mesh]] = []

    def add(
        self, material: Material, mesh: Mesh, at: Numbers = (0, 0, 0), turn: ndarray | float = 0.0
    ) -> "Thing":
        """Add a mesh, turned and then moved to `at`, and return the thing."""
        self.parts.append((material, place(mesh, at, turn)))
        return self

    def thin(self, material: Material, mesh: Mesh) -> "Thing":
        """Add leaves, hair or cloth: one layer, of which every triangle is to face the eye."""
        return self.add(material._replace(thin=True), mesh)

    def box(
        self, material: Material, size: Numbers, at: Numbers, turn: ndarray | float = 0.0
    ) -> "Thing":
        """Add a box with its middle at `at`."""
        return self.add(material, box(size), at, turn)

    def boxes(self, material: Material, rows: Iterable[Numbers]) -> "Thing":
        """Add a box for each row of width, depth, height and the middle's x, y, z."""
        for row in rows:
            size, at = np.split(np.asarray(row, dtype=np.float64), 2)
            self.add(material, box(size), at)
        return self

    def blobs(self, material: Material, rows: Iterable[Numbers], power: float = 2.0) -> "Thing":
        """Add an egg (or, with more `power`, a cushion) for each row, as `boxes` does."""
        for row in rows:
            size, at = np.split(np.asarray(row, dtype=np.float64), 2)
            self.add(material, blob(size, power), at)
        return self

    def put(
        self,
        other: "Thing",
        at: Numbers = (0, 0, 0),
        turn: ndarray | float = 0.0,
        scale: float = 1.0,
    ) -> "Thing":
        """Add another thing, scaled, turned and then moved to `at`."""
        self.parts += [(material, place(mesh, at, turn, scale)) for material, mesh in other.parts]
        return self

    def extent(self) -> tuple[ndarray, ndarray]:
        """Return the least and the greatest x, y, z."""
        points = np.concatenate([mesh.points for _, mesh in self.parts])
        return points.min(axis=0), points.max(axis=0)


class Scene(NamedTuple):
    """A scene and where it may be photographed from, roughly along +y."""

    thing: Thing
    light: Light
    eye: ndarray
    """Where the photographer's eye is."""
    spread: ndarray
    """How far views may be from there, in metres along x, y and z."""
    targets: ndarray
    """Points to look at."""


def by_material(thing: Thing, eye: ndarray) -> dict[Material, Mesh]:
    """Return one mesh for each material, near parts first, the thin ones turned to the eye.

    In this order, more of the hidden surfaces fail the depth test before they are shaded.
    Triangles are not sorted one by one, since neighbours share corners.

    Every mesh is shifted by less than half a millimetre of its own: where two faces share a plane,
    the one that is drawn first wins, and the renderer's order differs from run to run.
    """
    found: dict[Material, list[Mesh]] = {}
    for number, (material, mesh) in enumerate(thing.parts, start=1):
        shift = 8e-4 * ((number * np.array([0.6180, 0.7549, 0.5698])) % 1 - 0.5)
        seen = turn_to(mesh, eye) if material.thin else mesh
        found.setdefault(material, []).append(seen._replace(points=seen.points + shift))

    def away(mesh: Mesh) -> float:
        return float(np.linalg.norm(mesh.points.mean(axis=0) - eye))

    return {material: join(sorted(meshes, key=away)) for material, meshes in found.items()}
