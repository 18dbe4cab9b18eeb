"""The tab "3D": the photo as a surface, as points, as a chart and as a map, and its files."""

import html
import secrets
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

import gradio as gr
import numpy as np

from demo import export
from demo.pipeline import Analysis
from demo.session import PARALLEL, PRIVATE, REDRAW, Panel, Session, Shared, download_on_click
from demo.tabs.view3d import scene
from demo.tabs.view3d.chart import POINT_SIDE, chart
from demo.tabs.view3d.plan import ROOF_M, plan
from demo.tabs.view3d.space import PointMap, grid, scale_bar, unproject_level
from demo.units import Units, length
from depthpro import DepthPro
from depthpro.export import MAX_RATIO, surface_size

View = Literal["mesh", "points", "chart", "map"]

_VIEWS = {"mesh": "Surface", "points": "Points", "chart": "Chart with axes", "map": "Map"}
_PLACES = (("mesh", "points"), ("chart",), ("map",))  # views that each component shows
_PARTS = {"grid": "Grid on the ground", "frustum": "Camera", "scale_bar": "Scale bar"}
_FORMATS: dict[export.Format, str] = {
    "glb": "GLB, surface",
    "ply": "PLY, points",
    "obj": "OBJ, surface",
    "usdz": "USDZ, for iPhone and Mac",
    "stl": "STL, relief to print",
    "npz": "NPZ, depth",
    "depth-png": "PNG, depth in 16 bits",
    "colour-png": "PNG, depth in colours",
}
_SIDES: dict[View, int] = {
    "mesh": scene.VIEW_SIDE,
    "points": scene.POINT_SIDE,
    "chart": POINT_SIDE,
    "map": 640,
}
"""Points along the longer side."""


def build(model: DepthPro, shared: Shared) -> Panel:
    """Return the tab."""
    with gr.Tab("3D", id="solid") as tab:
        choices = [(label, key) for key, label in _VIEWS.items()]
        view = gr.Radio(choices, value="mesh", label="View", elem_id="look")
        surface = gr.Model3D(
            label="Drag to turn, scroll to zoom",
            display_mode="solid",
            clear_color=(0.09, 0.1, 0.12, 1.0),
            height=520,
            interactive=False,
            elem_id="surface",
        )
        figure = gr.Plot(
            label="The points in a chart with axes",
            show_label=False,
            visible=False,
            elem_id="chart",
        )
        above = gr.HTML(visible=False, elem_id="plan")
        note = gr.HTML(elem_id="solid-note")
        with gr.Row():
            percent = gr.Slider(
                1,
                50,
                value=round(100 * (MAX_RATIO - 1)),
                step=1,
                label="Cut where neighbouring depths differ by more than (%)",
                elem_id="cut",
            )
            parts = gr.CheckboxGroup(
                [(label, key) for key, label in _PARTS.items()],
                value=list(_PARTS),
                label="Draw",
                elem_id="parts",
            )
        _downloads(shared, percent)
    inputs, outputs = [view, percent, parts], [surface, figure, above, note, parts]
    triggers = [view.input, percent.change, parts.input]
    state = [shared.session, shared.units, *inputs, surface]
    gr.on(triggers, _redraw, state, outputs, **REDRAW)
    return Panel(tab, inputs, outputs, _show)


def _downloads(shared: Shared, percent: gr.Slider) -> None:
    """Offer single files."""
    with gr.Group(elem_id="solid-files"):
        kind = gr.Radio(
            [(_FORMATS[kind], kind) for kind in export.available()],
            value="glb",
            label="One file (the ZIP has them all)",
            info="True metres; the relief is in millimetres. Surfaces and points are cut as above.",
            elem_id="format",
        )
        with gr.Row(visible=False) as sizes:
            numbers = [
                gr.Number(value, label=label, elem_id=f"relief-{name}", min_width=110)
                for name, label, value in (
                    ("width", "Width (mm)", 100),
                    ("base", "Base (mm)", 2),
                    ("height", "Relief above it (mm)", 12),
                )
            ]
        button = gr.Button("Download this file", elem_id="prepare-file")
        download_on_click(button, _write, [shared.session, kind, percent, *numbers])
    kind.input(lambda kind: gr.update(visible=kind == "stl"), kind, sizes, **PRIVATE)


def _show(
    session: Session | None, units: Units, view: View, percent: float, parts: list[str]
) -> list[Any]:
    """Draw the chosen view from the position of the camera."""
    surface, figure, above = (gr.update(visible=view in views) for views in _PLACES)
    if session is None:
        places = [place | {"value": None} for place in (surface, figure, above)]
        return [*places, "", gr.skip()]
    rgb, ratio = session.analysis.rgb, _ratio(percent)
    space = _points(session.analysis, view)
    if view == "chart":
        figure["value"] = chart(rgb, space, ratio, parts, units)
    elif view == "map":
        above["value"] = plan(rgb, space, ratio, units)
    else:
        path = _new_file(session.folder / "view")
        notice = session.analysis.provenance.notice
        start = scene.write_view(path, rgb, space, notice, view, ratio, parts, units)
        surface |= {"value": str(path), "camera_position": start}
    text = f'<p class="hint">{caption(space, None if view == "map" else parts, units)}</p>'
    return [surface, figure, above, text, gr.update(visible=view != "map")]


def _new_file(folder: Path) -> Path:
    """Return a new name, since several redraws may run; of older files the last few stay."""
    for path in sorted(folder.glob("[0-9]*.glb"))[:-PARALLEL]:
        path.unlink(missing_ok=True)
    return folder / f"{time.monotonic_ns():020}-{secrets.token_hex(4)}.glb"


def _redraw(
    session: Session | None,
    units: Units,
    view: View,
    percent: float,
    parts: list[str],
    surface: gr.Model3D,
) -> list[Any]:
    """Draw the chosen view from the present position of the viewer's camera."""
    updates = _show(session, units, view, percent, parts)
    here = getattr(surface, "camera_position", None)
    if "camera_position" in updates[0] and here and None not in here:
        # Given exactly its own position, the viewer would return to the last one it was sent.
        updates[0]["camera_position"] = (here[0], here[1], here[2] * (1 + 1e-6))
    return updates


def caption(space: PointMap, parts: Collection[str] | None, units: Units = "m") -> str:
    """Return the sizes of the grid and the bar, and the ground, as HTML; no parts for the map."""
    sentences = []
    if parts is None:
        roof = length(ROOF_M, units)
        sentences.append(f"Everything more than {roof} above the camera is cut away.")
    elif "grid" in parts and space.ground is not None:
        sentences.append(f"Grid: {length(grid(space, units)[1], units)}.")
    if parts is not None and "scale_bar" in parts:
        left, right = scale_bar(space, units)
        sentences.append(f"Scale bar: {length(float(np.linalg.norm(right - left)), units)}.")
    ground = space.ground
    if ground is None:
        reason = html.escape(space.no_ground)
        sentences.append(f"No ground was found, so nothing is levelled. {reason}")
    else:
        pitch, height = ground.pitch_deg, length(ground.camera_height_m, units)
        way = "level" if abs(pitch) < 0.5 else f"{abs(pitch):.0f}° {'down' if pitch > 0 else 'up'}"
        sentences.append(
            f"The camera is {height} above the ground and looks {way}; "
            f"{ground.inlier_share:.0%} of the photo lies on the ground."
        )
    return " ".join(sentences)


def _points(analysis: Analysis, view: View) -> PointMap:
    return unproject_level(analysis, *surface_size(analysis.prediction, _SIDES[view]))


def _ratio(percent: float) -> float:
    return 1 + min(max(percent, 1), 50) / 100


def _write(session: Session, kind: export.Format, percent: float, *sizes: float | None) -> Path:
    """Write one file in the chosen format."""
    if kind == "stl" and None in sizes:
        raise ValueError("Give the width, the base and the height of the relief in millimetres.")
    relief_mm = [size or 0.0 for size in sizes]
    return export.write_file(session.analysis, session.folder, kind, _ratio(percent), relief_mm)
