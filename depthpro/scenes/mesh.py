"""Triangle meshes: the shapes that everything in a scene is made of.

World frame: x right, y ahead, z up, metres. Texture coordinates are metres too, so that a brick is
as large as a brick; where a picture fills a face they run from 0 to 1.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from numpy.random import Generator
from scipy.spatial.transform import Rotation

Numbers = ndarray | Sequence[Any] | float  # whatever NumPy can make an array of
Points = Float[ndarray, "n 3"]
Turn = Float[ndarray, "3 3"] | float  # a matrix, or a yaw in radians
UP = np.array([0.0, 0.0, 1.0])


class Mesh(NamedTuple):
    """Triangles with normals and texture coordinates, seen from the side of the normal."""

    points: Float[ndarray, "n 3"]
    normals: Float[ndarray, "n 3"]
    uv: Float[ndarray, "n 2"]
    faces: Int[ndarray, "f 3"]


def unit(vectors: Numbers) -> ndarray:
    """Return the vectors at length 1; a zero vector stays zero."""
    vectors = np.asarray(vectors, dtype=np.float64)
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-12)


def rotation(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> Float[ndarray, "3 3"]:
    """Return the matrix that rolls about y, then pitches about x, then turns about z (radians)."""
    return Rotation.from_euler("ZXY", [yaw, pitch, roll]).as_matrix()


def place(mesh: Mesh, at: Numbers, turn: Turn = 0.0, scale: float = 1.0) -> Mesh:
    """Return the mesh scaled, turned and then moved to `at`."""
    if not isinstance(turn, ndarray) and turn == 0:  # most parts of a thing
        return mesh._replace(points=mesh.points * scale + np.asarray(at))
    matrix = turn if isinstance(turn, ndarray) else rotation(turn)
    points = mesh.points @ (scale * matrix.T) + np.asarray(at)
    return mesh._replace(points=points, normals=mesh.normals @ matrix.T)


def join(meshes: list[Mesh]) -> Mesh:
    """Return one mesh of many."""
    points, normals, uv, faces = zip(*meshes, strict=True)
    starts = np.cumsum([0, *map(len, points[:-1])])
    shifted = [face + start for face, start in zip(faces, starts, strict=True)]
    return Mesh(*(np.concatenate(arrays) for arrays in (points, normals, uv, shifted)))


def turn_to(mesh: Mesh, eye: Numbers) -> Mesh:
    """Return the mesh with every triangle turned so that it is seen from `eye`."""
    a, b, c = (mesh.points[mesh.faces[:, corner]] for corner in range(3))
    away = np.einsum("ij,ij->i", np.cross(b - a, c - a), np.asarray(eye) - a) < 0
    return mesh._replace(faces=np.where(away[:, None], mesh.faces[:, ::-1], mesh.faces))


# Of each side of a cube: the normal, the way right and the way up, as seen from outside.
_NORMAL = np.concatenate([np.eye(3), -np.eye(3)])
_RIGHT = np.where(_NORMAL[:, 2:] != 0, [1.0, 0, 0], np.cross([0, 0, 1.0], _NORMAL))
_UP = np.cross(_NORMAL, _RIGHT)
_CORNERS = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
_QUAD = np.array([[0, 1, 2], [0, 2, 3]])


def box(size: Numbers, picture: bool = False) -> Mesh:
    """Return a box of a full size around 0; as a `picture`, a texture fills each face once."""
    half = np.asarray(size, dtype=np.float64) / 2
    across, up = _CORNERS[:, :1] * _RIGHT[:, None], _CORNERS[:, 1:] * _UP[:, None]
    points = (_NORMAL[:, None] + across + up).reshape(-1, 3) * half
    spans = 2 * np.abs(np.stack([_RIGHT @ half, _UP @ half], axis=1))
    uv = (np.ones((6, 2)) if picture else spans)[:, None] * ((_CORNERS * [1, -1] + 1) / 2)
    faces = (_QUAD + 4 * np.arange(6)[:, None, None]).reshape(-1, 3)
    return Mesh(points, np.repeat(_NORMAL, 4, axis=0), uv.reshape(-1, 2), faces)


def sheet(lattice: Float[ndarray, "m n 3"]) -> Mesh:
    """Return a smooth surface through points: v runs along axis 0, u along 1, seen from u x v."""
    rows, columns = lattice.shape[:2]
    along_u, along_v = np.gradient(lattice, axis=1), np.gradient(lattice, axis=0)
    wide = np.linalg.norm(along_u, axis=2).sum(1).max()
    high = np.linalg.norm(along_v, axis=2).sum(0).max()
    uv = np.stack(np.meshgrid(np.linspace(0, wide, columns), np.linspace(0, high, rows)), axis=-1)
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)]).reshape(-1, 3)
    normals = unit(np.cross(along_u, along_v)).reshape(-1, 3)
    return Mesh(lattice.reshape(-1, 3), normals, uv.reshape(-1, 2), faces)


def lathe(radius: Numbers, height: Numbers, steps: int = 20) -> Mesh:
    """Return a body turned about z from the radii at the given heights, listed from below."""
    angle = np.linspace(0, 2 * np.pi, steps)
    r, z = (np.asarray(value, dtype=np.float64)[:, None] for value in (radius, height))
    return sheet(np.stack([r * np.cos(angle), r * np.sin(angle), z + 0 * angle], axis=-1))


def drum(radius: float, thick: float, steps: int = 20) -> Mesh:
    """Return a disc with sharp edges that stands on z = 0."""
    outline = ([radius, 0.0], [thick] * 2), ([radius] * 2, [0.0, thick]), ([0.0, radius], [0.0] * 2)
    return join([lathe(r, z, steps) for r, z in outline])


def blob(size: Numbers, power: float = 2.0, bumps: Numbers | None = None, steps: int = 24) -> Mesh:
    """Return a superellipsoid of a full size: an egg at power 2, a cushion at 4, a block at 9.

    Each row of `bumps` is a direction (x, y, z), a width and a height of a swelling (or, below 0, a
    dent) on a sphere of radius 1.
    """
    u = np.linspace(0, 2 * np.pi, steps + 1)
    v = np.linspace(-np.pi / 2, np.pi / 2, steps // 2 + 1)[:, None]
    shape = np.stack([np.cos(v) * np.cos(u), np.cos(v) * np.sin(u), np.sin(v) + 0 * u], axis=-1)
    swell = np.ones(shape.shape[:2])
    for x, y, z, width, height in () if bumps is None else np.asarray(bumps):
        away = ((shape - unit([x, y, z])) ** 2).sum(axis=-1)
        swell += height * np.exp(-away / width**2)
    shape = np.sign(shape) * np.abs(shape) ** (2 / power) * swell[..., None]
    return sheet(shape * np.asarray(size) / 2)


def tube(path: Numbers, radius: Numbers, steps: int = 8) -> Mesh:
    """Return a tube along a path; `radius` is one number or one for each point."""
    path = np.asarray(path, dtype=np.float64)
    ahead = unit(np.gradient(path, axis=0))
    side = unit(np.cross(ahead, [0.31, 0.52, 0.79]))
    angle = np.linspace(0, 2 * np.pi, steps)[:, None]
    ring = side[:, None] * np.cos(angle) + np.cross(ahead, side)[:, None] * np.sin(angle)
    return sheet(path[:, None] + np.broadcast_to(radius, len(path))[:, None, None] * ring)


def ribbons(
    rng: Generator,
    roots: Points,
    towards: Points,
    length: Numbers,
    width: float,
    bend: Numbers = (0, 0, -0.3),
    joints: int = 4,
) -> Mesh:
    """Return narrow strips that taper to a point, turned at random: hair, grass, fronds.

    They leave the roots along unit vectors. `bend` is how far each tip is drawn off straight, a
    vector as a share of the length. They are thin.
    """
    n, t = len(roots), np.linspace(0, 1, joints)[:, None]
    across = unit(np.cross(towards, rng.normal(size=(n, 3))))
    reach = np.broadcast_to(length, n)[:, None, None]
    spine = roots[:, None] + reach * (towards[:, None] * t + np.asarray(bend) * t**2)
    half = width / 2 * across[:, None] * (1 - 0.9 * t)
    points = np.stack([spine - half, spine + half], axis=2).reshape(-1, 3)
    step = np.array([[0, 1, 2], [1, 3, 2]]) + 2 * np.arange(joints - 1)[:, None, None]
    faces = (step.reshape(-1, 3) + 2 * joints * np.arange(n)[:, None, None]).reshape(-1, 3)
    normals = np.repeat(np.cross(across, towards), 2 * joints, axis=0)
    strip = np.stack([np.tile([0, 0.02], joints), np.repeat(t[:, 0] * 0.2, 2)], axis=1)
    return Mesh(points, normals, (strip + rng.random((n, 1, 2))).reshape(-1, 2), faces)


def leaves(
    rng: Generator, centres: Points, size: Numbers, normals: Points, slim: float = 0.5
) -> Mesh:
    """Return rhombic leaves, turned at random and lit by `normals`. They are thin.

    Normals of the whole crown, not of each leaf, make it read as one body.
    """
    n = len(centres)
    along = unit(rng.normal(size=(n, 3)) - [0, 0, 0.4]) * np.broadcast_to(size, n)[:, None] / 2
    across = np.cross(along, unit(rng.normal(size=(n, 3)))) * slim
    corners = np.stack([-along, across, along, -across], axis=1)
    faces = (_QUAD + 4 * np.arange(n)[:, None, None]).reshape(-1, 3)
    uv = np.array([[0, 0.1], [0.05, 0.05], [0.1, 0.1], [0.05, 0.15]]) + rng.random((n, 1, 2))
    points = (centres[:, None] + corners).reshape(-1, 3)
    return Mesh(points, np.repeat(normals, 4, axis=0), uv.reshape(-1, 2), faces)
