"""The files that the page gives away: a surface to look at, and one ZIP with everything."""

import math
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from demo.pipeline import Analysis
from depthpro.export import (
    surface_size,
    textured_surface,
    write_glb,
    write_json,
    write_prediction,
)
from depthpro.files import whole_file
from depthpro.geometry import MAX_DEPTH_M, MIN_DEPTH_M
from depthpro.version import __version__

_VIEW_SIDE = 512  # vertices along the longer side of the surface in the page
_VIEW_TEXTURE = 1536

_README = """Depth of {name}

{name}.npz
    depth (h, w) in metres along the optical axis, f_px, intrinsics
{name}_depth.png
    the same in 16 bits: metres = value * scale_m (a text chunk of the file)
{name}_colour.png
    inverse depth in colours, with a bar in metres
{name}.glb
    textured surface in metres: y up, the camera at the origin looks along -z
{name}.ply
    coloured points in metres: x right, y down, z forward
{name}.jpg
    the photo as the network saw it: upright, sRGB, without metadata
{name}.json
    focal length and where it comes from, field of view, weights, licence

{notice}
"""


class View(NamedTuple):
    """A surface, and where its viewer's camera starts: at the camera that took the photo."""

    path: Path
    around_deg: float
    """Angle about the vertical axis through the middle of the surface; 90 is the front."""
    down_deg: float
    """Angle from straight above."""
    distance_m: float
    """Distance to the middle of the surface."""


def view_glb(analysis: Analysis, folder: str | Path) -> View:
    """Write the surface that the page shows, small enough to load at once."""
    prediction = analysis.prediction
    height, width = surface_size(prediction, _VIEW_SIDE)
    texture = Image.fromarray(analysis.rgb)
    texture.thumbnail((_VIEW_TEXTURE, _VIEW_TEXTURE))
    depth = prediction.depth_at(height, width)[0].numpy()
    surface = textured_surface(np.asarray(texture), depth, prediction.f_px_at(width).item())
    path = Path(folder) / "surface.glb"
    write_glb(path, surface, analysis.provenance.notice)
    x, y, z = (float(side) for side in -surface.bounds.mean(axis=0))  # from there to the camera
    distance = math.hypot(x, y, z)
    return View(
        path, math.degrees(math.atan2(z, x)), math.degrees(math.acos(y / distance)), distance
    )


def bundle(analysis: Analysis, folder: str | Path) -> Path:
    """Write a ZIP with every file and what they mean, and return its path."""
    folder, notice = Path(folder), analysis.provenance.notice
    files = write_prediction(folder, analysis.name, analysis.rgb, analysis.prediction, notice)
    photo, metadata = folder / f"{analysis.name}.jpg", folder / f"{analysis.name}.json"
    readme = folder / "README.txt"
    with whole_file(photo) as temporary:
        Image.fromarray(analysis.rgb).save(temporary, quality=92)
    write_json(metadata, describe(analysis))
    readme.write_text(_README.format(name=analysis.name, notice=notice), encoding="utf-8")
    path = folder / f"{analysis.name}_depth.zip"
    with whole_file(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for file in [*files, photo, metadata, readme]:
            # Pictures are packed already, and float depth hardly shrinks.
            archive.write(file, file.name)
            file.unlink()
    return path


def describe(analysis: Analysis) -> dict:
    """Return what is known about a result, with units, for programs."""
    prediction, made = analysis.prediction, analysis.provenance
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
        "fov_deg": prediction.fov_deg.item(),
        "estimated_f_px": analysis.estimated_f_px,
        "metadata_f_px": analysis.metadata_f_px,
        "depth_unit": "metre along the optical axis",
        "depth_clamped_to_m": [MIN_DEPTH_M, MAX_DEPTH_M],
        "weights": made.name,
        "weights_licence": made.licence,
        "weights_record": made.record,
        "depthpro_version": __version__,
    }
