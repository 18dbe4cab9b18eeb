"""Depth as files that other programs read, in metres. Each appears whole or not at all."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from jaxtyping import Float, UInt8, UInt16
from numpy import ndarray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from plyfile import PlyData, PlyElement

from depthpro.files import whole_file, whole_files
from depthpro.geometry import (
    grid_faces,
    intrinsics,
    ratio_at,
    solid_cells,
    solid_pixels,
    unproject,
)
from depthpro.prediction import Prediction
from depthpro.viz import colorize, depth_range, with_colour_bar

if TYPE_CHECKING:  # takes longer to import than the rest of this module
    import trimesh

Format = Literal["npz", "depth-png", "colour-png", "glb", "ply"]
FORMATS: tuple[Format, ...] = get_args(Format)
Picture = UInt8[ndarray, "h w c"] | UInt8[ndarray, "h w"] | UInt16[ndarray, "h w"]

MAX_RATIO = 1.08  # neighbouring pixels whose depths differ by more lie on different surfaces
FAR_M = 200.0  # 3D files end here: farther points are sky or guesses, and would dwarf the rest
_MAX_TEXTURE = 4096  # pixels; every GPU can hold it
_MAX_16_BIT = 65535


def write_prediction(
    folder: str | Path,
    stem: str,
    rgb: UInt8[ndarray, "h w 3"],
    prediction: Prediction,
    notice: str,
    formats: Collection[Format] = FORMATS,
) -> list[Path]:
    """Write the depth of a photo in several formats, and return the files in order of `FORMATS`.

    All appear together, or none does. Names start with `stem`; every file holds the licence notice.
    Depth and pictures have the photo's size. The surface and the points have at most as many
    vertices along a side as the network's own map: beyond that there is no more detail. The
    prediction is a batch of one.
    """
    with whole_files(folder) as temporary:
        files = result_files(temporary, stem, formats)
        _write(files, rgb, prediction.to("cpu"), notice)
    return list(result_files(folder, stem, formats).values())


def result_files(
    folder: str | Path, stem: str, formats: Collection[Format] = FORMATS
) -> dict[Format, Path]:
    """Return the files that `write_prediction` writes, in order of `FORMATS`."""
    ends = dict(zip(FORMATS, (".npz", "_depth.png", "_colour.png", ".glb", ".ply"), strict=True))
    return {kind: Path(folder) / f"{stem}{end}" for kind, end in ends.items() if kind in formats}


def _write(
    files: dict[Format, Path], rgb: UInt8[ndarray, "h w 3"], prediction: Prediction, notice: str
) -> None:
    depth, f_px = prediction.depth[0].numpy(), float(prediction.f_px[0])
    if "npz" in files:
        write_npz(files["npz"], depth, f_px, notice)
    if "depth-png" in files:
        write_depth_png(files["depth-png"], depth, f_px, notice)
    if "colour-png" in files:
        span = depth_range(depth)
        write_png(files["colour-png"], with_colour_bar(colorize(depth, span), span), notice)
    height, width = surface_size(prediction, prediction.canonical_inverse_depth.shape[-1])
    coarse = prediction.depth_at(height, width)[0].numpy()
    f_coarse, cut = float(prediction.f_px_at(width)[0]), ratio_at(MAX_RATIO, max(height, width))
    if "glb" in files:
        write_glb(files["glb"], textured_surface(rgb, coarse, f_coarse, cut), notice)
    if "ply" in files:
        colours = np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BOX))
        write_ply(files["ply"], colours, coarse, f_coarse, notice, cut)


def fit_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Return the size with the same shape whose longer side is at most `side`, in pixels."""
    scale = min(1.0, side / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def surface_size(prediction: Prediction, side: int) -> tuple[int, int]:
    """Return rows and columns of a surface at most `side` long; at least the two it needs."""
    height, width = fit_size(prediction.height, prediction.width, side)
    return max(2, height), max(2, width)


def write_npz(path: str | Path, depth: Float[ndarray, "h w"], f_px: float, notice: str) -> None:
    """Write depth in metres, focal length and camera matrix as a NumPy archive."""
    with whole_file(path) as temporary:
        np.savez(
            temporary,
            depth=depth.astype(np.float32),
            f_px=f_px,
            intrinsics=intrinsics(f_px, *depth.shape),
            units="metres along the optical axis; f_px and intrinsics in pixels",
            notice=notice,
        )


def write_depth_png(
    path: str | Path,
    depth: Float[ndarray, "h w"],
    f_px: float,
    notice: str,
    scale_m: float | None = None,
) -> None:
    """Write depth as 16-bit grey, with the metres of one step in the text chunk `scale_m`.

    The step is that of `png_scale`, or given, so that several files have the same.
    """
    scale_m = scale_m or png_scale(depth[::4, ::4])
    values = np.clip(np.round(depth / scale_m), 1, _MAX_16_BIT).astype(np.uint16)
    meaning = "depth in metres = value * scale_m; 65535: this far or farther"
    write_png(path, values, notice, scale_m=str(scale_m), f_px=repr(f_px), Description=meaning)


def png_scale(depth: Float[ndarray, "h w"]) -> float:
    """Return the metres of one step in 16 bits: the finest that holds 99 % of the pixels.

    It is 1 mm, 1 cm, 10 cm or 1 m.
    """
    reach = float(np.percentile(depth, 99))
    return next((s for s in (0.001, 0.01, 0.1) if reach <= s * _MAX_16_BIT), 1.0)


def write_png(path: str | Path, values: Picture, notice: str, **texts: str) -> None:
    """Write a picture as PNG, with the notice and other texts in its metadata."""
    chunks = PngInfo()
    for name, text in {**texts, "Copyright": notice}.items():
        chunks.add_text(name, text)
    with whole_file(path) as temporary:
        Image.fromarray(values).save(temporary, pnginfo=chunks, compress_level=1)


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
    beyond `FAR_M` and flying pixels, whose neighbours' depths differ by more than `max_ratio`, are
    left out, unless that leaves nothing.
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


def write_json(path: str | Path, values: dict) -> None:
    """Write a dictionary as indented JSON."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def textured_surface(
    rgb: UInt8[ndarray, "h w 3"],
    depth: Float[ndarray, "hd wd"],
    f_px: float,
    max_ratio: float = MAX_RATIO,
) -> "trimesh.Trimesh":
    """Return the photo as a surface in metres: x right, y up, the camera looks along -z.

    The photo becomes the texture. Each pixel of the depth, which may be smaller, is a vertex; the
    focal length is for a picture of its width. The surface is cut where neighbouring depths differ
    by more than `max_ratio`, and ends at `FAR_M`; if that leaves nothing, it is whole.
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
