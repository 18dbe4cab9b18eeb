"""The page's files: one at a time, or all in a ZIP with a README."""

import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypedDict, get_args

import numpy as np
from PIL import Image

from demo import formats
from demo.pipeline import Analysis
from depthpro.export import (
    MAX_RATIO,
    surface_size,
    textured_surface,
    write_glb,
    write_json,
    write_ply,
    write_prediction,
)
from depthpro.files import whole_file
from depthpro.geometry import MAX_DEPTH_M, MIN_DEPTH_M, ratio_at
from depthpro.version import __version__

Format = Literal["glb", "ply", "obj", "usdz", "stl", "npz", "depth-png", "colour-png"]
FORMATS: tuple[Format, ...] = get_args(Format)
"""All formats; `available` returns those that can be written on this machine."""


class Description(TypedDict):
    """Focal length, its origin, and the weights of a result, for programs."""

    name: str
    width_px: int
    height_px: int
    f_px: float
    f_px_source: str
    focal_doubt: str
    fov_deg: float
    estimated_f_px: float | None
    metadata_f_px: float | None
    depth_unit: str
    depth_clamped_to_m: list[float]
    weights: str
    weights_licence: str
    weights_record: str
    depthpro_version: str


_FILES: dict[Format, tuple[str, str]] = {
    "glb": (".glb", "textured surface in metres: y up, the camera at the origin looks along -z"),
    "ply": (".ply", "coloured points in metres: x right, y down, z forward"),
    "obj": ("_obj.zip", "the surface as Wavefront OBJ with material and photo, in metres: y up"),
    "usdz": (".usdz", "the surface for Quick Look on iPhone, iPad and Mac, in metres: y up"),
    "stl": ("_relief.stl", "a relief to print, watertight, in millimetres"),
    "npz": (".npz", "depth (h, w) in metres along the optical axis, f_px, intrinsics"),
    "depth-png": ("_depth.png", "the same in 16 bits: metres = value * scale_m (a text chunk)"),
    "colour-png": ("_colour.png", "inverse depth in colours, with a bar in metres"),
}
"""End of the file's name, and its content."""
# Vertices along the longer side: text files are ten times larger, and phones show the USDZ.
_MOST_VERTICES: dict[Format, int] = {"obj": 768, "usdz": 512}
_RELIEF_SIDE = 400  # a printer's line is 0.4 mm: a 160 mm print shows no more


def available() -> list[Format]:
    """Return the formats that can be written on this machine."""
    return [kind for kind in FORMATS if kind != "usdz" or formats.has_usd()]


def write_file(
    analysis: Analysis,
    folder: str | Path,
    kind: Format,
    ratio: float = MAX_RATIO,
    relief_mm: Sequence[float] = (),
) -> Path:
    """Write one file with the licence notice in it, and return its path.

    Args:
        analysis: The photo.
        folder: Folder of the file.
        kind: One of `FORMATS`. The OBJ is a ZIP of its three files.
        ratio: Surfaces and points are cut where depth jumps by more; see `ratio_at`.
        relief_mm: Width, base and height of the relief; empty takes the defaults.

    Raises:
        ValueError: If the format is unknown or not `available`, or a size is out of range.
    """
    if kind not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}; got {kind!r}")
    prediction, notice = analysis.prediction, analysis.provenance.notice
    path = Path(folder, analysis.name + _FILES[kind][0])
    if kind in ("npz", "depth-png", "colour-png"):
        write_prediction(folder, analysis.name, analysis.rgb, prediction, notice, (kind,))
        return path
    side = prediction.canonical_inverse_depth.shape[-1]  # there is no detail for more vertices
    side = _RELIEF_SIDE if kind == "stl" else min(side, _MOST_VERTICES.get(kind, side))
    height, width = surface_size(prediction, side)
    depth = prediction.depth_at(height, width)[0].numpy()
    f_px, cut = float(prediction.f_px_at(width)[0]), ratio_at(ratio, max(height, width))
    if kind == "stl":
        formats.write_stl(path, formats.relief(depth, *relief_mm), notice)
    elif kind == "ply":
        colours = Image.fromarray(analysis.rgb).resize((width, height), Image.Resampling.BOX)
        write_ply(path, np.asarray(colours), depth, f_px, notice, cut)
    else:
        surface = textured_surface(analysis.rgb, depth, f_px, cut)
        if kind == "glb":
            write_glb(path, surface, notice)
        elif kind == "usdz":
            formats.write_usdz(path, surface, notice)
        else:
            formats.write_obj_zip(path, surface, analysis.name, notice)
    return path


def bundle(analysis: Analysis, folder: str | Path) -> Path:
    """Write a ZIP with every file and a README, and return its path."""
    kinds = available()
    path = Path(folder) / f"{analysis.name}_depth.zip"
    with (
        whole_file(path) as temporary,
        zipfile.ZipFile(temporary, "w") as archive,
        # Single files of the same names may be written at the same time.
        tempfile.TemporaryDirectory(dir=folder) as parts,
    ):
        for kind in kinds:
            file = write_file(analysis, parts, kind)
            # Stored: pictures are packed already, and float depth hardly shrinks.
            archive.write(file, file.name)
            file.unlink()
        photo, metadata = (Path(parts, analysis.name + end) for end in (".jpg", ".json"))
        notice = analysis.provenance.notice.encode()
        Image.fromarray(analysis.rgb).save(photo, quality=92, comment=notice)
        write_json(metadata, dict(describe(analysis)))
        for file in (photo, metadata):
            archive.write(file, file.name)
        archive.writestr("README.txt", _readme(analysis, kinds))
    return path


def _readme(analysis: Analysis, kinds: Sequence[Format]) -> str:
    contents = [_FILES[kind] for kind in kinds]
    contents += [
        (".jpg", "the photo as the network saw it: upright, sRGB, no metadata"),
        (".json", "focal length and its origin, field of view, weights, licence"),
    ]
    listed = "\n".join(f"{analysis.name}{end}\n    {content}" for end, content in contents)
    return f"Depth of {analysis.name}\n\n{listed}\n\n{analysis.provenance.notice}\n"


def describe(analysis: Analysis) -> Description:
    """Return the focal length, its origin, and the weights of a result, for programs."""
    prediction, provenance = analysis.prediction, analysis.provenance
    return {
        "name": analysis.name,
        "width_px": prediction.width,
        "height_px": prediction.height,
        "f_px": analysis.f_px,
        "f_px_source": {
            "metadata": f"metadata: {analysis.metadata_field}",
            "network": "estimated by the network",
            "hand": "given by hand",
        }[analysis.source],
        "focal_doubt": analysis.focal_doubt,
        "fov_deg": prediction.fov_deg.item(),
        "estimated_f_px": analysis.estimated_f_px,
        "metadata_f_px": analysis.metadata_f_px,
        "depth_unit": "metre along the optical axis",
        "depth_clamped_to_m": [MIN_DEPTH_M, MAX_DEPTH_M],
        "weights": provenance.name,
        "weights_licence": provenance.licence,
        "weights_record": provenance.record,
        "depthpro_version": __version__,
    }
