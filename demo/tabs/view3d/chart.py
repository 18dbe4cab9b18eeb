"""The photo's points as a Plotly figure: axes in metres or feet, equal on all sides."""

from collections.abc import Collection

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from PIL import Image

from demo.tabs.view3d.space import PARTS, PointMap, Segments, held_pixels, lines_of
from demo.units import PER_METRE, Units
from depthpro.geometry import MAX_RATIO

POINT_SIDE = 224
"""Points along the longer side; more make browsers slow."""

_GREY = "#94a3b8"  # visible on light and on dark pages
_TEXT = "#64748b"


def chart(
    rgb: UInt8[ndarray, "hp wp 3"],
    space: PointMap,
    ratio: float = MAX_RATIO,
    parts: Collection[str] = PARTS,
    units: Units = "m",
) -> go.Figure:
    """Return the figure, seen from behind the camera: x right, y ahead, z up.

    `space` has `POINT_SIDE` points along its side; `ratio` cuts flying pixels, see `ratio_at`.
    """
    held = held_pixels(space, ratio)
    height, width = held.shape
    colours = Image.fromarray(rgb).resize((width, height), reducing_gap=1.0)
    scale = PER_METRE[units]
    points = _upright(space.points[held]) * scale
    figure = go.Figure(_cloud(points, colours, held, units))
    drawn = [points]
    for name, segments in lines_of(space, units).items():
        if name in parts:
            upright = _upright(segments) * scale
            figure.add_trace(_line(name, upright))
            drawn.append(upright.reshape(-1, 3))
    _set_scene(figure, np.concatenate(drawn), _upright(space.rotation[:, 2]) * scale, space, units)
    return figure


def _cloud(
    points: Float[ndarray, "n 3"], picture: Image.Image, held: Bool[ndarray, "h w"], units: Units
) -> go.Scatter3d:
    """Return the points with indices into 256 colours; Plotly takes seconds to check RGB values."""
    few = picture.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    palette = np.zeros((256, 3), int)
    used = np.array(few.getpalette("RGB")).reshape(-1, 3)
    palette[: len(used)] = used
    scale = [[i / 255, f"rgb({r},{g},{b})"] for i, (r, g, b) in enumerate(palette.tolist())]
    return go.Scatter3d(
        **dict(zip("xyz", points.astype(np.float32).T, strict=True)),
        mode="markers",
        marker={
            "size": 2,
            "color": np.asarray(few)[held],
            "colorscale": scale,
            "cmin": 0,
            "cmax": 255,
        },
        name="photo",
        hovertemplate=f"%{{x:.2f}} {units} right<br>%{{y:.2f}} {units} ahead<br>"
        f"%{{z:.2f}} {units} up<extra></extra>",
    )


def _line(name: str, segments: Segments) -> go.Scatter3d:
    gap = np.full((len(segments), 1, 3), np.nan)  # lifts the pen
    points = np.concatenate([segments, gap], axis=1).reshape(-1, 3).astype(np.float32)
    return go.Scatter3d(
        **dict(zip("xyz", points.T, strict=True)),
        mode="lines",
        line={"color": PARTS[name], "width": 3},
        name=name,
        hoverinfo="skip",
    )


def _set_scene(
    figure: go.Figure,
    drawn: Float[ndarray, "n 3"],
    ahead: Float[ndarray, "3"],
    space: PointMap,
    units: Units,
) -> None:
    """Give all axes one scale, and put the viewer behind the camera, which is at the origin.

    Plotly places its camera in a box around the middle of the axes whose sides are `aspectratio`.
    """
    low, high = np.minimum(drawn.min(axis=0), 0), np.maximum(drawn.max(axis=0), 0)
    size, middle = high - low, (high + low) / 2
    unit = float(size.max()) / 2
    usual = {"gridcolor": _GREY, "zerolinecolor": _GREY, "showbackground": False}
    ends = np.stack([low, high], axis=1).tolist()
    axes = {
        f"{axis}axis": {"title": {"text": f"{title} ({units})"}, "range": span, **usual}
        for axis, title, span in zip("xyz", ("right", "ahead", "up"), ends, strict=True)
    }
    target = ahead * space.middle_m  # on the optical axis
    # From the camera itself the axes would be out of sight.
    eye = -1.6 * target + np.array([0.8, 0, 0.9]) * np.linalg.norm(target)
    figure.update_layout(
        scene={
            **axes,
            "aspectmode": "manual",
            "aspectratio": _named(size / unit),
            "camera": {
                "eye": _named((eye - middle) / unit),
                "center": _named((target - middle) / unit),
                "up": {"x": 0, "y": 0, "z": 1},
            },
        },
        uirevision="constant",  # keeps the view as the visitor turned it
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        height=520,
        showlegend=False,
        paper_bgcolor="rgba(0,0,0,0)",
        font={"color": _TEXT},
    )


def _named(values: Float[ndarray, "3"]) -> dict[str, float]:
    return dict(zip("xyz", values.tolist(), strict=True))


def _upright(points: Float[ndarray, "*n 3"]) -> Float[ndarray, "*n 3"]:
    """Return points with z up, as Plotly has it: x right, y ahead."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1)
