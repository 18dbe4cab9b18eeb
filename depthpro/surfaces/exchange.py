"""Files for other programs: OBJ, USDZ for Apple's Quick Look, STL for printers."""

import importlib.util
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from depthpro.files import whole_file
from depthpro.geometry import grid_faces
from depthpro.viz import depth_range

if TYPE_CHECKING:  # takes longer to import than the rest of this module
    import trimesh

RELIEF_MM = {"width": (20.0, 500.0), "base": (0.5, 20.0), "relief": (1.0, 100.0)}
"""Least and greatest sizes of a relief."""

# Emissive and otherwise black, so that viewers do not light the photo a second time.
_USD = """#usda 1.0
(
    defaultPrim = "Photo"
    metersPerUnit = 1
    upAxis = "Y"
)
def Xform "Photo" (kind = "component")
{
    def Mesh "Surface" (prepend apiSchemas = ["MaterialBindingAPI"])
    {
        uniform bool doubleSided = 1
        float3[] extent
        int[] faceVertexCounts
        int[] faceVertexIndices
        point3f[] points
        texCoord2f[] primvars:st (interpolation = "vertex")
        uniform token subdivisionScheme = "none"
        rel material:binding = </Photo/Material>
    }
    def Material "Material"
    {
        token outputs:surface.connect = </Photo/Material/Look.outputs:surface>
        def Shader "Look"
        {
            uniform token info:id = "UsdPreviewSurface"
            color3f inputs:diffuseColor = (0, 0, 0)
            color3f inputs:emissiveColor.connect = </Photo/Material/Photo.outputs:rgb>
            float inputs:roughness = 1
            token outputs:surface
        }
        def Shader "Photo"
        {
            uniform token info:id = "UsdUVTexture"
            asset inputs:file = @./photo.jpg@
            token inputs:sourceColorSpace = "sRGB"
            float2 inputs:st.connect = </Photo/Material/Places.outputs:result>
            token inputs:wrapS = "clamp"
            token inputs:wrapT = "clamp"
            float3 outputs:rgb
        }
        def Shader "Places"
        {
            uniform token info:id = "UsdPrimvarReader_float2"
            string inputs:varname = "st"
            float2 outputs:result
        }
    }
}
"""


def has_usd() -> bool:
    """Return whether usd-core is installed, which writes USDZ."""
    return importlib.util.find_spec("pxr") is not None


def require_usd() -> None:
    """Refuse to write USDZ without usd-core, with the remedy."""
    if not has_usd():
        raise ValueError("USDZ needs usd-core: `pip install usd-core`, or choose GLB.")


def write_obj_zip(path: str | Path, surface: "trimesh.Trimesh", stem: str, notice: str) -> None:
    """Write the three files of a Wavefront OBJ as a ZIP, in metres: y up.

    Their names start with `stem`, where all but ASCII letters and digits becomes "_".
    """
    import trimesh
    from trimesh.exchange.obj import export_obj
    from trimesh.visual.material import SimpleMaterial
    from trimesh.visual.texture import TextureVisuals

    stem = "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in stem)
    notice = " ".join(notice.split())  # one line of a comment
    white, black = (255, 255, 255), (0, 0, 0)  # viewers multiply the photo by white
    photo = _visual(surface).material.baseColorTexture
    material = SimpleMaterial(photo, white, black, black, name=stem)
    visual = TextureVisuals(uv=_visual(surface).uv, material=material)
    text, files = export_obj(
        trimesh.Trimesh(surface.vertices, surface.faces, visual=visual, process=False),
        include_normals=False,
        return_texture=True,
        digits=5,
        mtl_name=f"{stem}.mtl",
        header=f"metres; y up, the camera at the origin looks along -z\n# {notice}",
    )
    with (
        whole_file(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        for name, content in {f"{stem}.obj": text, **files}.items():
            archive.writestr(name, content)


def write_usdz(path: str | Path, surface: "trimesh.Trimesh", notice: str) -> None:
    """Write a textured surface as USDZ, in metres: y up, unlit. Needs usd-core."""
    require_usd()
    with whole_file(path) as temporary, tempfile.TemporaryDirectory(dir=temporary.parent) as folder:
        _visual(surface).material.baseColorTexture.save(Path(folder, "photo.jpg"), quality=92)
        source, package = str(Path(folder, "surface.usdc")), Path(folder, "package.usdz")
        _usd_layer(surface, notice).Export(source)
        if not _pxr("UsdUtils").CreateNewUsdzPackage(source, str(package)):
            raise ValueError("usd-core could not write the USDZ; choose GLB.")
        package.replace(temporary)


def relief(
    depth: Float[ndarray, "h w"],
    width_mm: float = 100.0,
    base_mm: float = 2.0,
    relief_mm: float = 12.0,
) -> "trimesh.Trimesh":
    """Return a watertight relief to print, in millimetres: x right, y up, z towards the viewer.

    Heights are linear in inverse depth, so that near things keep their shape and the distance
    takes little room; they are clipped to the 1st and 99th percentile. The base is the thickness
    at the farthest depth, the relief the height of the nearest depth above it.

    Raises:
        ValueError: If a size is out of the range in `RELIEF_MM`.
    """
    import trimesh

    sizes = {"width": width_mm, "base": base_mm, "relief": relief_mm}
    for name, size in sizes.items():
        least, greatest = RELIEF_MM[name]
        if not least <= size <= greatest:
            raise ValueError(
                f"The {name} of a relief must be {least:g} to {greatest:g} mm, got {size}."
            )
    rows, columns = depth.shape
    near, far = depth_range(depth)
    level = np.clip((1 / depth - 1 / far) / (1 / near - 1 / far), 0, 1)
    step = width_mm / (columns - 1)
    x, y = np.meshgrid(np.arange(columns) * step, np.arange(rows)[::-1] * step)
    top = np.stack([x, y, base_mm + relief_mm * level], axis=-1).reshape(-1, 3)
    number = np.arange(rows * columns).reshape(rows, columns)
    rim = np.concatenate(  # clockwise as seen from above
        [number[0, :-1], number[:-1, -1], number[-1, :0:-1], number[:0:-1, 0]]
    )
    foot = top[rim] * [1, 1, 0]
    middle = top.mean(axis=0) * [1, 1, 0]
    here = len(top) + np.arange(len(rim))
    there, centre = np.roll(here, -1), np.full(len(rim), len(top) + len(rim))
    faces = [
        grid_faces(np.ones((rows - 1, columns - 1), bool)),
        np.stack([rim, np.roll(rim, -1), there], axis=1),
        np.stack([rim, there, here], axis=1),
        np.stack([here, there, centre], axis=1),
    ]
    return trimesh.Trimesh(
        np.concatenate([top, foot, middle[None]]), np.concatenate(faces), process=False
    )


def write_stl(path: str | Path, solid: "trimesh.Trimesh", notice: str) -> None:
    """Write a solid as binary STL, with as much of the notice as its header of 80 bytes holds."""
    from trimesh.exchange.stl import export_stl

    header = f"mm; {' '.join(notice.split())}".encode("ascii", "replace")[:80].ljust(80)
    with whole_file(path) as temporary:
        temporary.write_bytes(header + export_stl(solid)[80:])


def _usd_layer(surface: "trimesh.Trimesh", notice: str) -> Any:
    """Return the USD layer: its structure from `_USD`, the numbers from arrays."""
    vt, layer = _pxr("Vt"), _pxr("Sdf").Layer.CreateAnonymous(".usda")
    layer.ImportFromString(_USD)
    layer.documentation = notice
    layer.customLayerData = {"copyright": notice}
    stage = _pxr("Usd").Stage.Open(layer)  # the mesh lives as long as this does
    mesh = stage.GetPrimAtPath("/Photo/Surface")
    points, faces = surface.vertices.astype(np.float32), surface.faces.astype(np.int32)
    extent = np.stack([points.min(axis=0), points.max(axis=0)])
    for name, values in (
        ("points", vt.Vec3fArray.FromNumpy(points)),
        ("extent", vt.Vec3fArray.FromNumpy(extent)),
        ("faceVertexCounts", vt.IntArray.FromNumpy(np.full(len(faces), 3, np.int32))),
        ("faceVertexIndices", vt.IntArray.FromNumpy(faces.ravel())),
        ("primvars:st", vt.Vec2fArray.FromNumpy(np.asarray(_visual(surface).uv, np.float32))),
    ):
        mesh.GetAttribute(name).Set(values)
    return layer


def _pxr(name: str) -> Any:
    """Return a module of usd-core, which not every machine has."""
    return importlib.import_module(f"pxr.{name}")


def _visual(surface: "trimesh.Trimesh") -> Any:
    """Return the texture of a surface, whose type trimesh leaves open."""
    return surface.visual
