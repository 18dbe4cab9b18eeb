"""The page's files: one at a time, or all in a ZIP with a README."""

import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypedDict, get_args

from PIL import Image

from demo.pipeline import Analysis
from depthpro.export import Shape, result_files, write_json, write_prediction
from depthpro.files import whole_file
from depthpro.geometry import MAX_DEPTH_M, MAX_RATIO, MIN_DEPTH_M
from depthpro.surfaces.exchange import has_usd
from depthpro.version import __version__

Format = Literal[
    "glb", "ply", "obj", "usdz", "stl", "npz", "depth-png", "colour-png", "grey-png", "normals-png"
]
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


_CONTENTS: dict[Format, str] = {
    "glb": "textured surface in metres: y up, the camera at the origin looks along -z",
    "ply": "coloured points in metres: x right, y down, z forward",
    "obj": "the surface as Wavefront OBJ with material and photo, in metres: y up",
    "usdz": "the surface for Quick Look on iPhone, iPad and Mac, in metres: y up",
    "stl": "a relief to print, watertight, in millimetres",
    "npz": "depth (h, w) in metres along the optical axis, f_px, intrinsics",
    "depth-png": "the same in 16 bits: metres = value * scale_m (a text chunk)",
    "colour-png": "inverse depth in colours, with a bar in metres",
    "grey-png": "inverse depth in 8 bits, near is white, as image generators take it",
    "normals-png": "normals as colours: red right, green up, blue towards the camera",
}


def available() -> list[Format]:
    """Return the formats that can be written on this machine."""
    return [kind for kind in FORMATS if kind != "usdz" or has_usd()]


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
        ratio: Surfaces and points are cut where depth steps by more; see `ratio_at`.
        relief_mm: Width, base and height of the relief; empty takes the defaults.

    Raises:
        ValueError: If the format is unknown or not `available`, or a size is out of range.
    """
    if kind not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}; got {kind!r}")
    notice, shape = analysis.provenance.notice, Shape(ratio, tuple(relief_mm))
    prediction = analysis.prediction
    return write_prediction(
        folder, analysis.name, analysis.rgb, prediction, notice, (kind,), shape
    )[0]


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
    files = result_files("", analysis.name, kinds)
    contents = [(files[kind].name, _CONTENTS[kind]) for kind in kinds]
    contents += [
        (f"{analysis.name}.jpg", "the photo as the network saw it: upright, sRGB, no metadata"),
        (f"{analysis.name}.json", "focal length and its origin, field of view, weights, licence"),
    ]
    listed = "\n".join(f"{name}\n    {content}" for name, content in contents)
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
