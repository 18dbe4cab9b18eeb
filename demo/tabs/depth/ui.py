"""The tab "Depth": photo and coloured depth with a divider; depth under the pointer."""

from functools import partial
from typing import Any, Literal, NamedTuple

import gradio as gr

from demo import figures, screen
from demo.pipeline import Predictor
from demo.screen import SKY_M, DepthKind
from demo.session import REDRAW, Panel, Session, Shared
from demo.tabs.depth.style import CMAPS, DepthStyle, draw, fixed_range, typed_range
from demo.units import Units
from demo.viewer.viewer import viewer
from depthpro.viz import DepthRange, Scale

_EMPTY = "Depth appears here: near is red, far is blue."
_ENDS = ("Near", "Far")
_WORDS = f"""<details class="weights"><summary>What do these words mean?</summary><ul>
<li><b>Axis</b>: depth straight ahead of the camera, as depth maps have it. <b>Ray</b>: the distance
along the line of sight, as a tape measure has it; larger towards the corners.</li>
<li><b>Inverse</b>: colours follow 1/distance, so near things get most of them, as in the network.
<b>Log</b>: equal steps of colour for equal ratios. <b>Linear</b>: for equal metres.</li>
<li><b>Clamped</b> pixels lie outside of the range and have its end colours, with dots.
<b>Sky</b> is all beyond {SKY_M / 1000:.0f} km.</li></ul></details>"""
_UNCHANGED = [gr.skip()] * 6  # all outputs but the last, an error in the range


class _Choices(NamedTuple):
    """The values of the controls, in their order."""

    cmap: str
    scale: Scale
    kind: DepthKind
    marks: bool
    mode: Literal["automatic", "fixed"]
    shown: DepthRange | None
    """The range in metres on the page; None before the first photo."""


def build(model: Predictor, shared: Shared) -> Panel:
    """Return the tab."""
    with gr.Tab("Depth", id="depth") as tab:
        with gr.Row(elem_id="result"):
            with gr.Column(scale=3, min_width=300, elem_id="picture"):
                view = viewer("Photo and depth", "depth-view", _EMPTY)
                bar = gr.HTML(elem_id="depth-bar")
            with gr.Column(scale=2, min_width=300, elem_id="facts"):
                for fact in shared.sidebar:
                    fact.render()
        with gr.Row(elem_classes=["choices"]):
            cmap = gr.Dropdown(
                list(CMAPS.items()), value="turbo", label="Colours", elem_id="cmap", min_width=110
            )
            kind = _radio("Depth along the", "kind", axis="z", ray="ray")
            scale = _radio("Scale", "scale", inverse="inverse", log="log", linear="linear")
            mode = _radio("Range", "range", automatic="automatic", fixed="fixed")
            ends = [
                gr.Number(label=f"{name} (m)", elem_id=name.lower(), min_width=80) for name in _ENDS
            ]
            marks = gr.Checkbox(True, label="Mark sky and clamped pixels", elem_id="marks")
        problem = gr.HTML(elem_id="range-problem")
        gr.HTML(_WORDS, elem_id="words")
        # Inside the tab, because Gradio counts a state between two tabs as a tab.
        shown, sent = gr.State(None), gr.State(None)
    inputs = [cmap, scale, kind, marks, mode, shown]
    outputs = [view, bar, mode, shown, *ends, problem]
    common = [shared.session, shared.units, *inputs]
    gr.on([each.input for each in (cmap, scale, kind, marks)], _redraw, common, outputs, **REDRAW)
    for typed, triggers in (
        (False, [mode.input]),
        (True, [trigger for end in ends for trigger in (end.submit, end.blur)]),
    ):
        handler = partial(_use_range, typed=typed)
        gr.on(triggers, handler, [*common, *ends], outputs, **REDRAW)
    return Panel(tab, [*inputs, sent], [*outputs, sent], _show, [("span", shown)])


def _radio(label: str, elem_id: str, **choices: str) -> gr.Radio:
    """Return a radio of labels and values; the first is chosen."""
    first = next(iter(choices.values()))
    return gr.Radio(list(choices.items()), value=first, label=label, elem_id=elem_id, min_width=150)


def _show(session: Session | None, units: Units, *values: Any) -> list[Any]:
    """Draw depth, and the photo unless the browser has it already."""
    *choices, sent = values
    if session is None:
        ends = [gr.update(label=f"{name} ({units})", value=None) for name in _ENDS]
        return [screen.empty(_EMPTY), "", gr.skip(), gr.skip(), *ends, "", None]
    photo = str(session.folder)  # no two photos have the same
    view, *others = _redraw(session, units, *choices)
    picture = screen.focal_length if photo == sent else screen.photo
    return [picture(session.analysis) | view, *others, photo]


def _redraw(session: Session | None, units: Units, *values: Any) -> list[Any]:
    """Draw depth, and write its range into the fields."""
    if session is None:
        return [*_UNCHANGED, gr.skip()]
    choices, prediction = _Choices(*values), session.analysis.prediction
    fixed = choices.shown if choices.mode == "fixed" else None
    style = DepthStyle(choices.cmap, choices.scale, choices.kind, fixed, choices.marks)
    height, width = screen.preview_size(session.analysis)
    depth = prediction.depth_at(height, width)[0].numpy()
    picture = draw(depth, prediction.f_px_at(width).item(), style)
    bar = figures.colour_bar(picture.span, style.cmap, style.scale, units)
    ends = zip(_ENDS, typed_range(picture.span, units), strict=True)
    return [
        screen.overlay(picture.rgb, "Depth in colours") | screen.readout(units, style.kind),
        bar + figures.legend(picture, style, units),
        "automatic" if fixed is None else "fixed",
        picture.span,
        *(gr.update(value=value, label=f"{name} ({units})") for name, value in ends),
        "",
    ]


def _use_range(session: Session | None, units: Units, *values: Any, typed: bool) -> list[Any]:
    """Use the photo's own range or the one in the fields; if that is wrong, change nothing.

    The values are `_Choices`, near and far; `typed` tells a changed field from a chosen mode.
    """
    *chosen, near, far = values
    choices = _Choices(*chosen)
    shown = choices.shown
    if typed and shown is not None and (near, far) == typed_range(shown, units):
        return [*_UNCHANGED, ""]
    if not typed and choices.mode == "automatic":
        return _redraw(session, units, *choices)
    if session is None and (near is None or far is None):
        return [*_UNCHANGED, gr.skip()]
    try:
        shown = fixed_range(near, far, units)
    except ValueError as error:
        return [*_UNCHANGED, figures.problem(str(error))]
    view, bar = gr.skip(), gr.skip()
    if session is not None:
        view, bar, *_ = _redraw(session, units, *choices._replace(mode="fixed", shown=shown))
    # The fields are left alone: the visitor may still be typing.
    return [view, bar, "fixed", shown, gr.skip(), gr.skip(), ""]
