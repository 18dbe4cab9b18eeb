"""The photo in 3D as GLB and PLY: surfaces and points in metres, cut at edges."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image
from plyfile import PlyData, PlyElement

from depthpro.files import whole_file
from depthpro.geometry import FAR_M, MAX_RATIO, grid_faces, solid_cells, solid_pixels, unproject

if TYPE_CHECKING:  # takes longer to import than the rest of this module
    import trimesh

_MAX_TEXTURE = 4096  # pixels; every GPU can hold it


def textured_surface(
    rgb: UInt8[ndarray, "h w 3"],
    depth: Float[ndarray, "hd wd"],
    f_px: float,
    max_ratio: float = MAX_RATIO,
) -> "trimesh.Trimesh":
    """Return the photo as a surface in metres: x right, y up, the camera looks along -z.

    The photo becomes the texture. Each pixel of the depth, which may be smaller, is a vertex; the
    focal length is for a picture of its width. `solid_cells` cuts the surface by `max_ratio` and
    at `FAR_M`, where the sky begins; if that leaves nothing, it is whole.
    """
    import trimesh
    from trimesh.visual.material import PBRMaterial
    from trimesh.visual.texture import TextureVisuals

    height, width = depth.shape
    cells = solid_cells(depth, max_ratio, FAR_M)
    if not cells.any():  # viewers do not open a surface without faces
        cells = np.ones_like(cells)
    points = unproject(depth, f_px).reshape(-1, 3) * np.array([1, -1, -1], depth.dtype)
    row, column = np.indices(depth.shape).reshape(2, -1)
    # trimesh counts v from the bottom and turns it for glTF
    uv = np.stack([(column + 0.5) / width, 1 - (row + 0.5) / height], axis=1)
    texture = Image.fromarray(rgb)
    texture.thumbnail((_MAX_TEXTURE, _MAX_TEXTURE))
    texture.format = "JPEG"  # tells trimesh how to store it; PNG would be ten times larger
    material = PBRMaterial(
        baseColorTexture=texture, metallicFactor=0.0, roughnessFactor=1.0, doubleSided=True
    )
    visual = TextureVisuals(uv=uv, material=material)
    surface = trimesh.Trimesh(points, grid_faces(cells), visual=visual, process=False)
    surface.remove_unreferenced_vertices()
    return surface


def write_glb(path: str | Path, surface: "trimesh.Trimesh | trimesh.Scene", notice: str) -> None:
    """Write a surface as binary glTF, in metres, with the notice as the asset's copyright."""
    import trimesh
    from trimesh.exchange.gltf import export_glb

    scene = surface if isinstance(surface, trimesh.Scene) else trimesh.Scene(surface)

    def finish(tree: dict) -> None:
        # A photo is lit already: without this viewers light it a second time.
        tree["extensionsUsed"] = ["KHR_materials_unlit"]
        for material in tree["materials"]:
            material["extensions"] = {"KHR_materials_unlit": {}}
        tree["asset"]["copyright"] = notice

    with whole_file(path) as temporary:
        temporary.write_bytes(export_glb(scene, tree_postprocessor=finish))


def write_ply(
    path: str | Path,
    rgb: UInt8[ndarray, "h w 3"],
    depth: Float[ndarray, "h w"],
    f_px: float,
    notice: str,
    max_ratio: float = MAX_RATIO,
) -> None:
    """Write a coloured point cloud in metres as binary PLY: x right, y down, z forward.

    Colours have the size of the depth, and the focal length is for a picture of that width. Points
    beyond `FAR_M` and flying pixels, which are on no cell that `solid_cells` leaves, are left out,
    unless that leaves nothing.
    """
    kept = solid_pixels(solid_cells(depth, max_ratio, FAR_M))
    if not kept.any():
        kept[:] = True
    points, colours = unproject(depth, f_px)[kept], rgb[kept]
    columns, names = [*points.T, *colours.T], "x, y, z, red, green, blue"
    vertices = np.rec.fromarrays(columns, formats="<f4,<f4,<f4,u1,u1,u1", names=names)
    plain = " ".join(notice.split()).encode("ascii", "backslashreplace").decode()  # PLY is ASCII
    comments = ["metres; x right, y down, z forward", plain]
    data = PlyData([PlyElement.describe(vertices, "vertex")], byte_order="<", comments=comments)
    with whole_file(path) as temporary:
        data.write(temporary)
