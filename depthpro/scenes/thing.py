"""Things: meshes and their materials, put together part by part; and scenes made of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from depthpro.scenes.mesh import Mesh, Numbers, Turn, blob, box, join, place, turn_to
from depthpro.scenes.sky import Light
from depthpro.scenes.textures import Material


@dataclass
class Thing:
    """A thing in a frame of its own: most stand on z = 0 and face -y."""

    parts: list[tuple[Material, Mesh]] = field(default_factory=list)

    def add(
        self, material: Material, mesh: Mesh, at: Numbers = (0, 0, 0), turn: Turn = 0.0
    ) -> "Thing":
        """Add a mesh, turned and then moved to `at`, and return the thing."""
        self.parts.append((material, place(mesh, at, turn)))
        return self

    def thin(self, material: Material, mesh: Mesh) -> "Thing":
        """Add leaves, hair or cloth: one layer, of which every triangle is to face the eye."""
        return self.add(material._replace(thin=True), mesh)

    def box(self, material: Material, size: Numbers, at: Numbers, turn: Turn = 0.0) -> "Thing":
        """Add a box with its middle at `at`."""
        return self.add(material, box(size), at, turn)

    def boxes(self, material: Material, rows: Iterable[Numbers]) -> "Thing":
        """Add a box for each row of width, depth, height and the middle's x, y, z."""
        for row in np.asarray(list(rows), dtype=np.float64).reshape(-1, 6):
            self.add(material, box(row[:3]), row[3:])
        return self

    def blobs(self, material: Material, rows: Iterable[Numbers], power: float = 2.0) -> "Thing":
        """Add an egg (or, with more `power`, a cushion) for each row, as `boxes` does."""
        for row in np.asarray(list(rows), dtype=np.float64).reshape(-1, 6):
            self.add(material, blob(row[:3], power), row[3:])
        return self

    def put(
        self, other: "Thing", at: Numbers = (0, 0, 0), turn: Turn = 0.0, scale: float = 1.0
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
    spread: ndarray  # how far cameras may be from `eye`, in metres along x, y and z
    targets: ndarray  # points to look at


def by_material(thing: Thing, eye: ndarray) -> dict[Material, Mesh]:
    """Return one mesh for each material, the thin ones turned to the eye.

    Near parts come first: more of the hidden surfaces fail the depth test before they are shaded.
    Every part is shifted by less than half a millimetre of its own, so that no two faces share a
    plane: there the one drawn first wins, and the renderer's order differs from run to run.
    """
    parts: dict[Material, list[Mesh]] = {}
    for number, (material, mesh) in enumerate(thing.parts, start=1):
        shift = 8e-4 * ((number * np.array([0.6180, 0.7549, 0.5698])) % 1 - 0.5)
        seen = turn_to(mesh, eye) if material.thin else mesh
        parts.setdefault(material, []).append(seen._replace(points=seen.points + shift))

    def distance(mesh: Mesh) -> float:
        return float(np.linalg.norm(mesh.points.mean(axis=0) - eye))

    return {material: join(sorted(meshes, key=distance)) for material, meshes in parts.items()}
