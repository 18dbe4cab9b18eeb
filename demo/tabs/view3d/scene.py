"""The 3D view as GLB: the photo as a surface or as points, with a grid, a camera and a scale bar.

In the file y is up and z points back, as viewers expect; where a ground was found it is level.
"""

import math
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy import ndarray
from PIL import Image, ImageColor

from demo.tabs.view3d.space import (
    PARTS,
    PointMap,
    Segments,
    held_pixels,
    lines_of,
)
from demo.units import Units
from depthpro.export import FAR_M, MAX_RATIO, textured_surface, write_glb
from depthpro.geometry import CUT_SIDE, ratio_at

if TYPE_CHECKING:  # takes longer to import than the rest of this module
    import trimesh

VIEW_SIDE = CUT_SIDE
"""Vertices along the longer side of the surface; more take a browser seconds."""
POINT_SIDE = 360
"""Points along the longer side; each is a square with four vertices."""

_POINT_SIZE = 0.85  # of a pixel
_TEXTURE_SIDE = 1536
_HALF_WIDTH = 0.0012  # of a line, for each metre from the camera
_BEHIND = 1.15  # distance of the viewer over the camera's: the frustum is in sight

_TO_GL = np.array([1.0, -1.0, -1.0])


def write_view(
    path: str | Path,
    rgb: UInt8[ndarray, "hp wp 3"],
    space: PointMap,
    notice: str,
    kind: Literal["mesh", "points"] = "mesh",
    ratio: float = MAX_RATIO,
    parts: Collection[str] = PARTS,
    units: Units = "m",
) -> tuple[float, float, float]:
    """Write the photo in 3D as GLB, as the page shows it, and return the viewer's first position.

    That is behind the photo's camera: degrees about the vertical through the middle, where 90 is
    the front, degrees from straight above, and metres to the middle.

    A surface of `VIEW_SIDE`, or points of `POINT_SIDE`, loads at once. It is cut where neighbouring
    depths differ by more than `ratio`; see `ratio_at`.
    """
    import trimesh

    texture = small_texture(rgb)
    photo = surface(texture, space, ratio) if kind == "mesh" else point_mesh(texture, space, ratio)
    scene = trimesh.Scene({"photo": photo})
    lines = lines_of(space, units)
    for name, segments in lines.items():
        if name in parts:
            thickness = 4 if name == "scale_bar" else 1
            scene.add_geometry(line_mesh(segments, PARTS[name], thickness), geom_name=name)
    drawn = (space.points[space.depth <= FAR_M], *lines.values())
    middle = space.rotation[:, 2] * space.middle_m * _TO_GL  # on the optical axis
    centre = _centred(np.concatenate([part.reshape(-1, 3) for part in drawn]), middle)
    scene.add_geometry(centre, geom_name="middle")
    write_glb(path, scene, notice)
    return _start(middle)


def small_texture(rgb: UInt8[ndarray, "h w 3"]) -> UInt8[ndarray, "h2 w2 3"]:
    """Return the photo at a size for the page, by averaging blocks of pixels, which is fast."""
    factor = -(-max(rgb.shape[:2]) // _TEXTURE_SIDE)
    return rgb if factor == 1 else np.asarray(Image.fromarray(rgb).reduce(factor))


def surface(rgb: UInt8[ndarray, "h w 3"], space: PointMap, ratio: float) -> "trimesh.Trimesh":
    """Return the photo as a textured surface in the viewer's frame."""
    cut = ratio_at(ratio, max(space.depth.shape))
    mesh = textured_surface(rgb, space.depth, space.f_px, cut)
    # The rotation is for y down and z ahead; both are reversed here.
    mesh.vertices = mesh.vertices @ (_TO_GL[:, None] * space.rotation * _TO_GL).T
    return mesh


def point_mesh(rgb: UInt8[ndarray, "h w 3"], space: PointMap, ratio: float) -> "trimesh.Trimesh":
    """Return the photo as points in the viewer's frame: each a square that faces the camera."""
    held = held_pixels(space, ratio)
    rows, columns = np.nonzero(held)
    height, width = held.shape
    half = space.depth[held] * (_POINT_SIZE / 2 / space.f_px)
    corners = np.array([[-1, -1, 0], [-1, 1, 0], [1, 1, 0], [1, -1, 0]]) @ space.rotation.T
    points = (space.points[held][:, None] + half[:, None, None] * corners) * _TO_GL
    uv = np.stack([(columns + 0.5) / width, 1 - (rows + 0.5) / height], axis=1)
    first = 4 * np.arange(len(rows))[:, None]
    faces = np.concatenate([first + np.array([0, 1, 2]), first + np.array([0, 2, 3])])
    texture = Image.fromarray(rgb)
    texture.format = "JPEG"
    uv = np.repeat(uv, 4, axis=0)
    return _mesh(points.reshape(-1, 3), faces, uv, baseColorTexture=texture)


def line_mesh(segments: Segments, colour: str, thickness: float = 1) -> "trimesh.Trimesh":
    """Return lines as beams that look equally thin at every distance from the camera."""
    points = segments * _TO_GL
    along = points[:, 1] - points[:, 0]
    along = along / np.linalg.norm(along, axis=1, keepdims=True)
    upright = np.abs(along[:, 1:2]) > 0.9
    side = np.cross(along, np.where(upright, [1.0, 0, 0], [0, 1.0, 0]))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    over = np.cross(side, along)
    around = np.stack([side + over, over - side, -side - over, side - over], axis=1)  # (n 4 3)
    half = thickness * _HALF_WIDTH * np.linalg.norm(points, axis=2)  # (n 2)
    corners = points[:, :, None] + half[:, :, None, None] * around[:, None]  # (n 2 4 3)
    quads = np.array([[i, (i + 1) % 4, 4 + (i + 1) % 4, 4 + i] for i in range(4)])
    quads = np.concatenate([quads, [[3, 2, 1, 0], [4, 5, 6, 7]]])
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    faces = (8 * np.arange(len(points))[:, None, None] + faces).reshape(-1, 3)
    return _mesh(corners.reshape(-1, 3), faces, baseColorFactor=_linear(colour))


def _start(middle: Float[ndarray, "3"]) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in -middle)
    distance = math.hypot(x, y, z)
    around, down = math.atan2(z, x), math.acos(y / distance)
    return math.degrees(around), math.degrees(down), _BEHIND * distance


def _centred(points: Float[ndarray, "n 3"], middle: Float[ndarray, "3"]) -> "trimesh.Trimesh":
    """Return a triangle without area that centres the scene's bounds, which the viewer turns about.

    Without it one far point would move the centre.
    """
    ends = np.stack([points.min(axis=0), points.max(axis=0)]) * _TO_GL
    half = 1.05 * np.abs(ends - middle).max(axis=0)
    points = np.stack([middle - half, middle - half, middle + half])
    return _mesh(points, np.array([[0, 1, 2]]), baseColorFactor=_linear("black"))


def _linear(colour: str) -> list[int]:
    """Return an sRGB colour as the linear one that glTF takes, opaque."""
    return [*(round(255 * (value / 255) ** 2.2) for value in ImageColor.getrgb(colour)[:3]), 255]


def _mesh(
    points: Float[ndarray, "n 3"],
    faces: Int[ndarray, "f 3"],
    uv: Float[ndarray, "n 2"] | None = None,
    **colour: Any,
) -> "trimesh.Trimesh":
    import trimesh
    from trimesh.visual.material import PBRMaterial
    from trimesh.visual.texture import TextureVisuals

    material = PBRMaterial(metallicFactor=0.0, doubleSided=True, **colour)
    visual = TextureVisuals(uv=uv, material=material)
    return trimesh.Trimesh(points, faces, visual=visual, process=False)
