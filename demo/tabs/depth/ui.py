"""The tab "Depth": photo | depth in colours as one likes them, and the depth under the pointer."""

from typing import Any, Literal, NamedTuple

import gradio as gr

from demo import figures, screen
from demo.screen import DepthKind
from demo.session import PARALLEL, PRIVATE, Panel, Session, Shared
from demo.tabs.depth import look
from demo.tabs.depth.look import Look
from demo.units import Units
from demo.viewer.viewer import viewer
from depthpro import DepthPro
from depthpro.viz import DepthRange, Scale

_EMPTY = "Depth appears here: near is red, far is blue."
_ENDS = ("Near", "Far")


class _Chosen(NamedTuple):
    """What a visitor chose, in the order of the components."""

    cmap: str
    scale: Scale
    kind: DepthKind
    marks: bool
    mode: Literal["automatic", "fixed"]
    shown: DepthRange | None
    """The range in metres that is shown; None before there was a photo."""

    @property
    def look(self) -> Look:
        fixed = self.shown if self.mode == "fixed" else None
        return Look(self.cmap, self.scale, self.kind, fixed, self.marks)


def build(model: DepthPro, shared: Shared) -> Panel:
    """Return the tab."""
    with gr.Tab("Depth", id="depth") as tab:
        view = viewer("Photo and depth", "depth-view", _EMPTY)
        bar = gr.HTML(elem_id="depth-bar")
        choices, ends = _choices()
        problem = gr.HTML(elem_id="range-problem")
        # In the tab: what lies between two tabs is counted as a tab by Gradio.
        shown, sent = gr.State(None), gr.State(None)
    cmap, scale, kind, marks, mode = choices
    inputs, outputs = [*choices, shown], [view, bar, mode, shown, *ends, problem]
    common = [shared.session, shared.units, *inputs]
    for triggers, handler, more in (
        ([each.input for each in (cmap, scale, kind, marks)], _redraw, []),
        ([mode.input], _use_mode, ends),
        ([trigger for end in ends for trigger in (end.submit, end.blur)], _use_ends, ends),
    ):
        gr.on(
            triggers,
            handler,
            [*common, *more],
            outputs,
            concurrency_limit=PARALLEL,
            trigger_mode="always_last",
            **PRIVATE,
        )
    return Panel(tab, [*inputs, sent], [*outputs, sent], _show)


def _choices() -> tuple[list[Any], list[Any]]:
    """Return the components of what `_Chosen` holds but `shown`, and the ends of the range."""
    with gr.Row(elem_classes=["choices"]):
        cmap = gr.Dropdown(
            list(look.CMAPS.items()), value="turbo", label="Colours", elem_id="cmap", min_width=110
        )
        kind = _radio("Depth along the", "kind", axis="z", ray="ray")
        scale = _radio("Scale", "scale", inverse="inverse", log="log", linear="linear")
        mode = _radio("Range", "range", automatic="automatic", fixed="fixed")
        ends = [
            gr.Number(label=f"{name} (m)", elem_id=name.lower(), min_width=80) for name in _ENDS
        ]
        marks = gr.Checkbox(True, label="Mark sky and clamped pixels", elem_id="marks")
    return [cmap, scale, kind, marks, mode], ends


def _radio(label: str, elem_id: str, **choices: str) -> gr.Radio:
    """Return a radio of labels and values; the first is chosen."""
    first = next(iter(choices.values()))
    return gr.Radio(list(choices.items()), value=first, label=label, elem_id=elem_id, min_width=150)


def _show(session: Session | None, units: Units, *values: Any) -> list[Any]:
    """Draw depth, and the photo unless it is what was sent last."""
    *chosen, sent = values
    if session is None:
        ends = [gr.update(label=f"{name} ({units})", value=None) for name in _ENDS]
        return [screen.nothing(_EMPTY), "", gr.skip(), gr.skip(), *ends, "", None]
    photo = str(session.folder)  # no two photos have the same
    view, *others = _redraw(session, units, *chosen)
    known = screen.focal if photo == sent else screen.photo
    return [known(session.analysis) | view, *others, photo]


def _redraw(session: Session | None, units: Units, *values: Any) -> list[Any]:
    """Draw depth alone, and say in the fields which range it has."""
    if session is None:
        return [gr.skip()] * 7
    chosen, prediction = _Chosen(*values), session.analysis.prediction
    height, width = screen.preview_size(session.analysis)
    depth = prediction.depth_at(height, width)[0].numpy()
    picture = look.draw(depth, prediction.f_px_at(width).item(), chosen.look)
    bar = figures.colour_bar(picture.span, chosen.cmap, chosen.scale, units)
    return [
        screen.over(picture.rgb, "Depth in colours") | screen.reading(units, chosen.kind),
        bar + figures.legend(picture, chosen.look, units),
        "automatic" if chosen.look.fixed is None else "fixed",
        picture.span,
        *(
            gr.update(value=value, label=f"{name} ({units})")
            for name, value in zip(_ENDS, look.typed_range(picture.span, units), strict=True)
        ),
        "",
    ]


def _use_mode(session: Session | None, units: Units, *values: Any) -> list[Any]:
    """Follow each photo again, or keep to the range that the fields say."""
    *chosen, near, far = values
    if _Chosen(*chosen).mode == "automatic":
        return _redraw(session, units, *chosen)
    return _fixed(session, units, _Chosen(*chosen), near, far)


def _use_ends(session: Session | None, units: Units, *values: Any) -> list[Any]:
    """Keep to the range that was typed, if it is not the one that is shown."""
    *chosen, near, far = values
    shown = _Chosen(*chosen).shown
    if shown is not None and (near, far) == look.typed_range(shown, units):
        return [*[gr.skip()] * 6, ""]
    return _fixed(session, units, _Chosen(*chosen), near, far)


def _fixed(
    session: Session | None, units: Units, chosen: _Chosen, near: float | None, far: float | None
) -> list[Any]:
    """Draw with the range in the fields, or say what is wrong with it and leave all as it is."""
    if session is None and (near is None or far is None):
        return [gr.skip()] * 7
    try:
        shown = look.fixed_range(near, far, units)
    except ValueError as error:
        return [*[gr.skip()] * 6, figures.problem(str(error))]
    chosen = chosen._replace(mode="fixed", shown=shown)
    if session is None:
        return [gr.skip(), gr.skip(), chosen.mode, shown, gr.skip(), gr.skip(), ""]
    view, bar, mode, span, *_ = _redraw(session, units, *chosen)
    # The fields are left alone: somebody may be typing in them.
    return [view, bar, mode, span, gr.skip(), gr.skip(), ""]
