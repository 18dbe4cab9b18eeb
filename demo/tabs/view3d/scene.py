"""What the 3D component shows of a photo: surface, points or normals, with a grid and a camera."""

import io
import secrets
import time
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from demo.pipeline import Analysis
from demo.session import PARALLEL
from demo.tabs.view3d.space import PARTS, PointMap, held_cells, lines_of, unproject_level
from demo.units import Units
from demo.viewer3d.viewer3d import Lines, pack, value
from depthpro.export import normals_picture, surface_size
from depthpro.files import whole_file
from depthpro.geometry import CUT_SIDE, MAX_RATIO, solid_pixels

View = Literal["surface", "points", "normals"]

VIEW_SIDE = CUT_SIDE
"""Vertices along the longer side."""
FIRST_SIDE = 384
"""Vertices along the longer side where 3D is not asked for: a file of half a megabyte."""

_PICTURE_SIDE = 1536
_LINE_PX = {"grid": 1.0, "camera": 1.6}


def first_scene(analysis: Analysis, folder: Path, units: Units = "m") -> dict[str, Any]:
    """Return the surface of a photo with its grid, for a component that is small and comes first.

    The file is written to the folder, which must be one that Gradio may read: a temporary one.
    """
    space = unproject_level(analysis, *surface_size(analysis.prediction, FIRST_SIDE))
    return scene_of(analysis, space, folder, units=units, side=1024)


def scene_of(
    analysis: Analysis,
    space: PointMap,
    folder: Path,
    view: View = "surface",
    ratio: float = MAX_RATIO,
    parts: Collection[str] = ("grid",),
    units: Units = "m",
    side: int = _PICTURE_SIDE,
) -> dict[str, Any]:
    """Return the value of the component `viewer3d`, and write its file to the folder.

    Surface and points are cut where depth steps by more than `ratio`, see `ratio_at`, and without
    the sky; the picture on them has at most `side` pixels.
    """
    cells = held_cells(space, ratio)
    picture = analysis.rgb
    if view == "normals":
        picture = normals_picture(analysis.prediction, *space.depth.shape)
    packed = pack(
        space.depth,
        space.f_px,
        space.rotation,
        space.middle_m,
        cells,
        solid_pixels(cells),
        _jpeg(picture, side),
    )
    path = _new_file(folder)
    with whole_file(path) as temporary:
        temporary.write_bytes(packed)
    lines = [
        Lines(segments, PARTS[name], _LINE_PX[name])
        for name, segments in lines_of(space, units).items()
        if name in parts
    ]
    photo = f"{analysis.name} {zlib.crc32(analysis.rgb[::16, ::16].tobytes()):08x}"
    return value(path, photo, "points" if view == "points" else "surface", lines, units)


def _jpeg(rgb: UInt8[ndarray, "h w 3"], side: int) -> bytes:
    """Return a picture at a size for the page, by averaging blocks of pixels, which is fast."""
    image, buffer = Image.fromarray(rgb), io.BytesIO()
    image = image.reduce(-(-max(rgb.shape[:2]) // side))
    image.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _new_file(folder: Path) -> Path:
    """Return a new name, since several redraws may run; of older files the last few stay."""
    for path in sorted(folder.glob("[0-9]*.bin"))[:-PARALLEL]:
        path.unlink(missing_ok=True)
    return folder / f"{time.monotonic_ns():020}-{secrets.token_hex(4)}.bin"
