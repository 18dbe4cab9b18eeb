"""Files that other people's programs open: OBJ, USDZ for Apple's Quick Look, STL for printers."""

import importlib
import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from jaxtyping import Float
from numpy import ndarray
from PIL import Image

from depthpro.files import whole_file
from depthpro.geometry import grid_faces
from depthpro.viz import depth_range

RELIEF_MM = {"width": (20.0, 500.0), "base": (0.5, 20.0), "relief": (1.0, 100.0)}
"""Least and greatest sizes of a relief."""

_RELIEF_SIDE = 400  # a printer's line is 0.4 mm: a 160 mm print shows no more

# A photo is lit already: it shines by itself, and takes no other light.
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
    """Return whether USDZ can be written: whether usd-core is installed."""
    try:
        importlib.import_module("pxr")
    except ImportError:
        return False
    return True


def obj_files(surface: trimesh.Trimesh, stem: str, notice: str) -> dict[str, bytes]:
    """Return the three files of a Wavefront OBJ by their names; they belong in one folder.

    Args:
        surface: Textured, as of `depthpro.export.textured_surface`.
        stem: How the names start; letters that old readers trip over become "_".
        notice: Licence notice, kept as a comment.
    """
    stem = "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in stem)
    comment = f"# metres; y up, the camera at the origin looks along -z\n# {_one_line(notice)}\n"
    faces = np.repeat(surface.faces + 1, 2, axis=1)  # a corner's position and its uv share a number
    parts = [
        f"{comment}mtllib {stem}.mtl\nusemtl photo\n",
        _lines("v %.6g %.6g %.6g\n", surface.vertices),
        _lines("vt %.5f %.5f\n", _uv(surface)),
        _lines("f %d/%d %d/%d %d/%d\n", faces),
    ]
    material = f"{comment}newmtl photo\nKd 1 1 1\nillum 0\nmap_Kd {stem}.jpg\n"
    return {
        f"{stem}.obj": "".join(parts).encode(),
        f"{stem}.mtl": material.encode(),
        f"{stem}.jpg": _jpeg(surface),
    }


def write_usdz(path: str | Path, surface: trimesh.Trimesh, notice: str) -> None:
    """Write a textured surface as USDZ: one metre a unit, y up, shown as the photo is, unlit.

    Raises:
        ValueError: If usd-core is not installed.
    """
    if not has_usd():
        raise ValueError("USDZ needs usd-core: `pip install usd-core`, or choose GLB.")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as name, whole_file(path) as temporary:
        folder = Path(name)
        (folder / "photo.jpg").write_bytes(_jpeg(surface))
        layer = _usd_layer(surface, notice)
        package = folder / "package.usdz"
        if not (
            layer.Export(str(folder / "surface.usdc"))
            and _pxr("UsdUtils").CreateNewUsdzPackage(str(folder / "surface.usdc"), str(package))
        ):
            raise ValueError(f"usd-core could not write {path.name}; choose GLB.")
        package.replace(temporary)


def relief(
    depth: Float[ndarray, "h w"],
    width_mm: float = 100.0,
    base_mm: float = 2.0,
    relief_mm: float = 12.0,
) -> trimesh.Trimesh:
    """Return a watertight relief to print, in millimetres: x right, y up, z towards the viewer.

    Heights are linear in inverse depth, so that near things keep their shape and the distance
    takes little room; from the 1st to the 99th percentile, what is beyond is level.

    Args:
        depth: Metres; one vertex a pixel.
        width_mm: From the left edge to the right one.
        base_mm: Thickness where it is farthest.
        relief_mm: How much the nearest stands out above that.

    Raises:
        ValueError: If a size is out of the range in `RELIEF_MM`.
    """
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


def relief_size(height: int, width: int) -> tuple[int, int]:
    """Return rows and columns of a relief of a photo; at least the two it needs."""
    scale = min(1.0, _RELIEF_SIDE / max(height, width))
    return max(2, round(height * scale)), max(2, round(width * scale))


def write_stl(path: str | Path, solid: trimesh.Trimesh, notice: str) -> None:
    """Write a solid as binary STL, with as much of the notice as its header holds (80 letters)."""
    corners = solid.triangles.astype("<f4")
    triangles = np.zeros(
        len(corners), [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("unused", "<u2")]
    )
    triangles["corners"] = corners
    triangles["normal"] = solid.face_normals
    header = f"mm; {_one_line(notice)}".encode("ascii", "replace")[:80].ljust(80)
    with whole_file(path) as temporary:
        temporary.write_bytes(header + np.uint32(len(corners)).tobytes() + triangles.tobytes())


def _usd_layer(surface: trimesh.Trimesh, notice: str) -> Any:
    """Return the layer of a package: the frame from text, the numbers from arrays."""
    vt, usd = _pxr("Vt"), _pxr("Usd")
    layer = _pxr("Sdf").Layer.CreateAnonymous(".usda")
    layer.ImportFromString(_USD)
    layer.documentation = notice
    layer.customLayerData = {"copyright": notice}
    stage = usd.Stage.Open(layer)  # the mesh lives as long as this does
    mesh = stage.GetPrimAtPath("/Photo/Surface")
    points, faces = surface.vertices.astype(np.float32), surface.faces.astype(np.int32)
    extent = np.stack([points.min(axis=0), points.max(axis=0)])
    for name, values in (
        ("points", vt.Vec3fArray.FromNumpy(points)),
        ("extent", vt.Vec3fArray.FromNumpy(extent)),
        ("faceVertexCounts", vt.IntArray.FromNumpy(np.full(len(faces), 3, np.int32))),
        ("faceVertexIndices", vt.IntArray.FromNumpy(faces.ravel())),
        ("primvars:st", vt.Vec2fArray.FromNumpy(_uv(surface).astype(np.float32))),
    ):
        mesh.GetAttribute(name).Set(values)
    return layer


def _pxr(name: str) -> Any:
    """Return a module of usd-core, which not every machine has."""
    return importlib.import_module(f"pxr.{name}")


def _lines(template: str, values: ndarray) -> str:
    """Return one line a row; far faster than formatting row by row."""
    return (template * len(values)) % tuple(values.ravel().tolist())


def _uv(surface: trimesh.Trimesh) -> Float[ndarray, "n 2"]:
    return np.asarray(getattr(surface.visual, "uv"))  # noqa: B009


def _jpeg(surface: trimesh.Trimesh) -> bytes:
    texture: Image.Image = getattr(surface.visual, "material").baseColorTexture  # noqa: B009
    buffer = io.BytesIO()
    texture.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def _one_line(text: str) -> str:
    return " ".join(text.split())
