"""A component that shows a photo in 3D: it sways until it is touched, and then turns by hand.

`viewer3d` makes it, `value` and `empty` are what it shows; its behaviour is in `viewer3d.js`.
"""

import html
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import gradio as gr
import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from demo.units import Units

View = Literal["surface", "points"]

_FOLDER = Path(__file__).parent
_CODES = 65534  # of depth, from the nearest to the farthest


class Lines(NamedTuple):
    """Straight lines of one colour."""

    segments: Float[ndarray, "n 2 3"]
    """Metres, in the frame that the `turn` of the file leads to."""
    colour: str
    """#rrggbb"""
    width_px: float
    """On the screen, at every distance."""


def viewer3d(
    label: str, elem_id: str, text: str, height: int = 520, render: bool = True
) -> gr.HTML:
    """Return the component, with a label for screen readers and a text in place of no photo.

    Its height in pixels never changes, but is less on narrow screens.
    """
    template, *scripts = (
        (_FOLDER / name).read_text(encoding="utf-8")
        for name in ("viewer3d.html", "shaders.js", "viewer3d.js")
    )
    return gr.HTML(
        empty(text),
        html_template=template.replace("LABEL", html.escape(label)).replace("HEIGHT", str(height)),
        js_on_load="\n".join(scripts),
        elem_id=elem_id,
        elem_classes=["viewer3d"],
        render=render,
    )


def empty(text: str) -> dict[str, Any]:
    """Return the component without a photo, with a sentence in its place."""
    return {"file": None, "empty": text}


def value(
    path: Path, photo: str, view: View = "surface", lines: Iterable[Lines] = (), units: Units = "m"
) -> dict[str, Any]:
    """Return what the component shows: a file of `pack`, as a surface or as points, with lines.

    While `photo` stays the same, so does the view of it as the visitor turned it.
    """
    return {
        # Gradio serves such a file, and adds its address as `url`.
        "file": {"path": str(path), "meta": {"_type": "gradio.FileData"}},
        "photo": photo,
        "view": view,
        "units": units,
        "lines": [
            {
                "segments": np.round(each.segments * (1, -1, -1), 4).ravel().tolist(),
                "colour": each.colour,
                "width": each.width_px,
            }
            for each in lines
        ],
    }


def pack(
    depth: Float[ndarray, "h w"],
    f_px: float,
    turn: Float[ndarray, "3 3"],
    middle_m: float,
    cells: Bool[ndarray, "h-1 w-1"],
    points: Bool[ndarray, "h w"],
    jpeg: bytes,
) -> bytes:
    """Return the file that the component draws, two bytes a pixel and the picture.

    Length of the header, little-endian, and the header as JSON; depth of `points` as logarithmic
    codes of 16 bits, 0 elsewhere; the `cells` of the surface as bits; the picture.

    Args:
        depth: Metres; a vertex each.
        f_px: Focal length in pixels of a picture as wide as the depth.
        turn: Rotation from the camera's frame to a level one: x right, y down, z ahead.
        middle_m: Depth of the point on the optical axis that the view turns about.
        cells: Cells of four pixels that are drawn as the surface.
        points: Pixels that are drawn as points, with all corners of the cells among them.
        jpeg: The picture on the surface.
    """
    near, far = (float(end) for end in (depth[points].min(), depth[points].max()))
    base, step = math.log(near), math.log(max(far / near, 1 + 1e-6)) / _CODES
    codes = np.where(points, np.round((np.log(depth) - base) / step) + 1, 0).astype("<u2")
    header = {
        "rows": len(depth),
        "columns": depth.shape[1],
        "fPx": f_px,
        "turn": (np.array([[1], [-1], [-1]]) * turn).ravel().tolist(),  # y up, z back
        "middleM": middle_m,
        "base": base - step,
        "step": step,
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    bits = np.packbits(cells, axis=None, bitorder="little")
    return b"".join((len(text).to_bytes(4, "little"), text, codes.tobytes(), bits.tobytes(), jpeg))
