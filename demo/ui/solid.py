"""The tab "3D": the photo as a surface in metres."""

from typing import Any

import gradio as gr

from demo import export
from demo.ui.visit import Panel, Shared, Visit
from demo.units import Units
from depthpro import DepthPro


def build(model: DepthPro, shared: Shared) -> Panel:
    """Return the tab."""
    with gr.Tab("3D", id="solid") as tab:
        surface = gr.Model3D(
            label="Surface in metres: drag to turn, scroll to move closer",
            display_mode="solid",
            clear_color=(0.09, 0.1, 0.12, 1.0),
            height=520,
            interactive=False,
            elem_id="surface",
        )
    return Panel(tab, [], [surface], _show)


def _show(visit: Visit | None, units: Units) -> list[Any]:
    if visit is None:
        return [None]
    view = export.view_glb(visit.analysis, visit.folder.name)
    camera = (view.around_deg, view.down_deg, view.distance_m)
    return [gr.update(value=str(view.path), camera_position=camera)]
