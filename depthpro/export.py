"""Depth as files that other programs read, in metres. Each appears whole or not at all."""

import json
import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, UInt, UInt8
from numpy import ndarray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from depthpro.files import whole_file, whole_files
from depthpro.geometry import FAR_M as FAR_M
from depthpro.geometry import MAX_RATIO, intrinsics, ratio_at, surface_normals
from depthpro.prediction import Prediction
from depthpro.surfaces import exchange
from depthpro.surfaces.mesh import textured_surface, write_glb, write_ply
from depthpro.viz import colorize, depth_range, grey, normal_colours, with_colour_bar

Format = Literal[
    "npz", "depth-png", "colour-png", "glb", "ply",
    "grey-png", "normals-png", "cutout-png", "obj", "usdz", "stl",
]  # fmt: skip
FORMATS: tuple[Format, ...] = get_args(Format)
USUAL: tuple[Format, ...] = FORMATS[:5]  # what the command writes unless it is told what

_ENDS: dict[Format, str] = {
    "npz": ".npz", "depth-png": "_depth.png", "colour-png": "_colour.png", "glb": ".glb",
    "ply": ".ply", "grey-png": "_grey.png", "normals-png": "_normals.png",
    "cutout-png": "_cutout.png", "obj": "_obj.zip", "usdz": ".usdz", "stl": "_relief.stl",
}  # fmt: skip
# Vertices along the longer side: text files are ten times larger, phones show the USDZ, and a
# printer's line is 0.4 mm, so that a relief of 160 mm shows no more.
_MOST_VERTICES: dict[Format, int] = {"obj": 768, "usdz": 512, "stl": 400}
_MAX_16_BIT = 65535


@dataclass(frozen=True)
class Shape:
    """How files are cut and sized."""

    max_ratio: float = MAX_RATIO  # of depth where surfaces and points are cut; see `ratio_at`
    relief_mm: tuple[float, ...] = ()  # width, base and height, where not as in `exchange.relief`
    between_m: tuple[float, float] = (0.0, math.inf)  # nearest and farthest depth of the cut-out


def write_prediction(
    folder: str | Path,
    stem: str,
    rgb: UInt8[ndarray, "h w 3"],
    prediction: Prediction,
    notice: str,
    formats: Collection[Format] = USUAL,
    shape: Shape | None = None,
) -> list[Path]:
    """Write the depth of a photo, a batch of one, and return the files in order of `FORMATS`.

    All appear together, or none does. Names start with `stem`; every file holds the licence notice.
    Depth and pictures have the photo's size; surfaces and points have at most as many vertices
    along a side as the network's own map, which has no more detail. The OBJ is a ZIP.
    """
    prediction, shape = prediction.to("cpu"), shape or Shape()
    with whole_files(folder) as temporary:
        for kind, path in result_files(temporary, stem, formats).items():
            _write(kind, path, rgb, prediction, notice, shape)
    return list(result_files(folder, stem, formats).values())


def result_files(
    folder: str | Path, stem: str, formats: Collection[Format] = USUAL
) -> dict[Format, Path]:
    """Return the files that `write_prediction` writes, in order of `FORMATS`."""
    return {kind: Path(folder) / f"{stem}{_ENDS[kind]}" for kind in FORMATS if kind in formats}


def _write(
    kind: Format,
    path: Path,
    rgb: UInt8[ndarray, "h w 3"],
    prediction: Prediction,
    notice: str,
    shape: Shape,
) -> None:
    """Write one file: numbers or a picture of the photo's size; a surface, points or a relief."""
    if kind == "normals-png":
        write_png(path, normals_picture(prediction, prediction.height, prediction.width), notice)
        return
    if kind == "npz" or kind.endswith("png"):
        depth, f_px = prediction.depth[0].numpy(), float(prediction.f_px[0])
    else:
        side = prediction.canonical_inverse_depth.shape[-1]
        most = _MOST_VERTICES.get(kind, side)
        size = surface_size(prediction, most if kind == "stl" else min(side, most))
        depth, f_px = prediction.depth_at(*size)[0].numpy(), float(prediction.f_px_at(size[1])[0])
    cut = ratio_at(shape.max_ratio, max(depth.shape))
    match kind:
        case "npz":
            write_npz(path, depth, f_px, notice)
        case "depth-png":
            write_depth_png(path, depth, f_px, notice)
        case "colour-png":
            span = depth_range(depth)
            write_png(path, with_colour_bar(colorize(depth, span), span), notice)
        case "grey-png":
            near, far = span = depth_range(depth)
            write_png(path, grey(depth, span), notice, near_m=str(near), far_m=str(far))
        case "cutout-png":
            near, far = shape.between_m
            seen = np.where((depth >= near) & (depth <= far), np.uint8(255), np.uint8(0))
            write_png(path, np.dstack([rgb, seen]), notice)
        case "stl":
            exchange.write_stl(path, exchange.relief(depth, *shape.relief_mm), notice)
        case "ply":
            colours = Image.fromarray(rgb).resize(depth.shape[::-1], Image.Resampling.BOX)
            write_ply(path, np.asarray(colours), depth, f_px, notice, cut)
        case "glb":
            write_glb(path, textured_surface(rgb, depth, f_px, cut), notice)
        case "usdz":
            exchange.write_usdz(path, textured_surface(rgb, depth, f_px, cut), notice)
        case "obj":
            name = path.name.removesuffix(_ENDS[kind])
            exchange.write_obj_zip(path, textured_surface(rgb, depth, f_px, cut), name, notice)


def normals_picture(prediction: Prediction, height: int, width: int) -> UInt8[ndarray, "h w 3"]:
    """Return the normals of a photo as colours: smooth, since they are of the network's own map."""
    size = surface_size(prediction, prediction.canonical_inverse_depth.shape[-1])
    depth, f_px = prediction.depth_at(*size)[0].numpy(), float(prediction.f_px_at(size[1])[0])
    picture = Image.fromarray(normal_colours(surface_normals(depth, f_px)))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))


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
    """Write depth as 16-bit grey, in steps of `scale_m` metres (of `png_scale` if not given)."""
    scale_m = scale_m or png_scale(depth[::4, ::4])
    values = np.clip(np.round(depth / scale_m), 1, _MAX_16_BIT).astype(np.uint16)
    meaning = "depth in metres = value * scale_m; 65535: this far or farther"
    write_png(path, values, notice, scale_m=str(scale_m), f_px=repr(f_px), Description=meaning)


def png_scale(depth: Float[ndarray, "h w"]) -> float:
    """Return the metres of one step of 16 bits: 1 mm, 1 cm or 10 cm if 99 % fit, else 1 m."""
    reach = float(np.percentile(depth, 99))
    return next((s for s in (0.001, 0.01, 0.1) if reach <= s * _MAX_16_BIT), 1.0)


def write_png(path: str | Path, values: UInt[ndarray, "h w *c"], notice: str, **texts: str) -> None:
    """Write a picture as PNG, with the notice and other texts in its metadata."""
    chunks = PngInfo()
    for name, text in {**texts, "Copyright": notice}.items():
        chunks.add_text(name, text)
    with whole_file(path) as temporary:
        Image.fromarray(values).save(temporary, pnginfo=chunks, compress_level=1)


def write_json(path: str | Path, values: dict) -> None:
    """Write a dictionary as indented JSON."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
