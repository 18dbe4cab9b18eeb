"""The tab "3D": the photo as a surface, as points, as a chart and as a map, and its files."""

import html
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any, Literal

import gradio as gr

from demo import export
from demo.pipeline import Analysis, Predictor
from demo.session import REDRAW, Panel, Session, Shared, download_on_click
from demo.tabs.view3d import scene
from demo.tabs.view3d.chart import POINT_SIDE, chart
from demo.tabs.view3d.plan import ROOF_M, plan
from demo.tabs.view3d.space import PointMap, grid, unproject_level
from demo.units import Units, length
from demo.viewer3d.viewer3d import empty, viewer3d
from depthpro.export import surface_size
from depthpro.geometry import MAX_RATIO

View = Literal["surface", "points", "normals", "chart", "map"]

_VIEWS = {
    "surface": "Surface",
    "points": "Points",
    "normals": "Normals",
    "chart": "Chart with axes",
    "map": "Map",
}
_PLACES = (("surface", "points", "normals"), ("chart",), ("map",))  # views of each component
_PARTS = {"grid": "Grid on the ground", "camera": "Camera"}
_FILES: dict[str, dict[export.Format, str]] = {
    "3D, in metres": {
        "glb": "GLB surface",
        "ply": "PLY points",
        "obj": "OBJ surface",
        "usdz": "USDZ for iPhone, Mac",
    },
    "Depth": {
        "npz": "NPZ metres",
        "depth-png": "PNG 16 bits",
        "colour-png": "PNG in colours",
        "grey-png": "PNG grey, near white",
        "normals-png": "PNG normals",
    },
}
_RELIEF = (("width", "Width (mm)", 100), ("base", "Base (mm)", 2), ("height", "Relief (mm)", 12))
_SIDES: dict[View, int] = {"chart": POINT_SIDE, "map": 640}
"""Points along the longer side, if not those of the component."""
_EMPTY = "Choose a photo to see it in 3D."


def build(model: Predictor, shared: Shared) -> Panel:
    """Return the tab."""
    with gr.Tab("3D", id="solid") as tab:
        choices = [(label, key) for key, label in _VIEWS.items()]
        view = gr.Radio(choices, value="surface", label="View", elem_id="look")
        surface = viewer3d("The photo in 3D", "surface", _EMPTY)
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
                label="Cut where depth jumps by (%)",
                elem_id="cut",
                min_width=300,
            )
            parts = gr.CheckboxGroup(
                [(label, key) for key, label in _PARTS.items()],
                value=["grid"],
                label="Draw",
                elem_id="parts",
                min_width=240,
            )
        _downloads(shared, percent)
    inputs, outputs = [view, percent, parts], [surface, figure, above, note, parts]
    triggers = [view.input, percent.change, parts.input]
    gr.on(triggers, _show, [shared.session, shared.units, *inputs], outputs, **REDRAW)
    return Panel(tab, inputs, outputs, _show)


def _downloads(shared: Shared, percent: gr.Slider) -> None:
    """Offer single files, a button each."""
    with gr.Column(elem_id="solid-files"):
        for title, files in _FILES.items():
            gr.HTML(f"<b>{title}</b>")
            with gr.Row(elem_classes=["files"]):
                for kind, label in files.items():
                    if kind in export.available():
                        _file_button(shared, kind, label, [percent])
        gr.HTML("<b>Relief to print</b>")
        with gr.Row(elem_classes=["files"]):
            sizes = [
                gr.Number(value, label=label, elem_id=f"relief-{name}", min_width=90)
                for name, label, value in _RELIEF
            ]
            _file_button(shared, "stl", "STL relief", [percent, *sizes])


def _file_button(shared: Shared, kind: export.Format, label: str, inputs: list[Any]) -> None:
    button = gr.Button(label, size="sm", elem_id=f"file-{kind}", min_width=60)
    download_on_click(button, partial(_write, kind), [shared.session, *inputs])


def _show(
    session: Session | None, units: Units, view: View, percent: float, parts: list[str]
) -> list[Any]:
    """Draw the chosen view; the component keeps the position that the visitor turned it to."""
    surface, figure, above = (gr.update(visible=view in views) for views in _PLACES)
    if session is None:
        surface |= {"value": empty(_EMPTY)}
        return [surface, figure | {"value": None}, above | {"value": None}, "", gr.skip()]
    analysis, ratio = session.analysis, _ratio(percent)
    space = _points(analysis, view)
    if view == "chart":
        figure["value"] = chart(analysis.rgb, space, ratio, parts, units)
    elif view == "map":
        above["value"] = plan(analysis.rgb, space, ratio, units)
    else:
        folder = session.folder / "view"
        surface["value"] = scene.scene_of(analysis, space, folder, view, ratio, parts, units)
    text = f'<p class="hint">{caption(space, None if view == "map" else parts, units)}</p>'
    return [surface, figure, above, text, gr.update(visible=view != "map")]


def caption(space: PointMap, parts: Collection[str] | None, units: Units = "m") -> str:
    """Return the width of the grid's cells, and the ground, as HTML; no parts for the map."""
    sentences = []
    if parts is None:
        roof = length(ROOF_M, units)
        sentences.append(f"Everything more than {roof} above the camera is cut away.")
    elif "grid" in parts and space.ground is not None:
        sentences.append(f"Grid: {length(grid(space, units)[1], units)}.")
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
    side = _SIDES.get(view, scene.VIEW_SIDE)
    return unproject_level(analysis, *surface_size(analysis.prediction, side))


def _ratio(percent: float) -> float:
    return 1 + min(max(percent, 1), 50) / 100


def _write(kind: export.Format, session: Session, percent: float, *sizes: float | None) -> Path:
    """Write one file in the chosen format."""
    if None in sizes:
        raise ValueError("Give the width, the base and the height of the relief in millimetres.")
    relief_mm = [size or 0.0 for size in sizes]
    return export.write_file(session.analysis, session.folder, kind, _ratio(percent), relief_mm)
