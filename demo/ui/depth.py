"""The tab "Depth": photo | depth in colours, and the depth under the pointer."""

from typing import Any

import gradio as gr

from demo import figures, screen
from demo.ui.viewer import viewer
from demo.ui.visit import Panel, Shared, Visit
from demo.units import Units
from depthpro import DepthPro
from depthpro.viz import colorize, depth_range

_EMPTY = "Depth appears here: near is red, far is blue."


def build(model: DepthPro, shared: Shared) -> Panel:
    """Return the tab."""
    with gr.Tab("Depth", id="depth") as tab:
        view = viewer("Photo and depth", "depth-view", _EMPTY)
        bar = gr.HTML(elem_id="depth-bar")
    return Panel(tab, [], [view, bar], _show)


def _show(visit: Visit | None, units: Units) -> list[Any]:
    if visit is None:
        return [screen.nothing(_EMPTY), ""]
    analysis = visit.analysis
    height, width = screen.preview_size(analysis)
    depth = analysis.prediction.depth_at(height, width)[0].numpy()
    span = depth_range(depth)
    shown = screen.over(colorize(depth, span), "Its depth in colours")
    value = screen.photo(analysis) | shown | screen.reading(units)
    return [value, figures.colour_bar(span)]
