"""The tab "Focal length": by metadata, network or hand, and calibration with a known length."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gradio as gr
from gradio.components import Component

from demo import pipeline, screen
from demo.figures import problem
from demo.pipeline import FocalSource, Predictor
from demo.session import PRIVATE, REDRAW, Panel, Point, Session, Shared, require_photo, sentence
from demo.tabs.depth.style import depth_stats
from demo.tabs.focal.drawing import NAMES, calibration_text, from_above, sources_table
from demo.tabs.focal.focal import calibrate, f_35mm, focal_choices
from demo.tabs.measure.drawing import draw
from demo.tabs.measure.measure import Points3D, locate, measure, sky_sentence
from demo.units import PER_METRE, Units
from demo.viewer.viewer import on_click, viewer
from depthpro import Prediction
from depthpro.geometry import focal_from_fov, fov_from_focal
from depthpro.photos.exif import focal_px_from_35mm

_EMPTY = "Choose a photo; then two points whose distance you know."
_STEPS = (
    "Choose two points whose distance you know, one of them clearly farther away: along a "
    "floor, a table, a wall that leads away.",
    "Now choose the second point, clearly nearer or farther than the first.",
    "Type the true distance of the two points.",
)
# A choice redraws the table; the keyboard focus returns to the chosen source.
_CHOOSE = """
let chosen = null;
element.addEventListener('change', (event) => {
  chosen = event.target.value;
  trigger('select', { source: chosen });
});
watch('value', () => {
  const button = chosen && element.querySelector(`input[value="${chosen}"]`);
  if (button && document.activeElement === document.body) button.focus();
  chosen = null;
});
"""


_Choice = tuple[FocalSource, float | None]
"""A source, and the focal length in pixels if it is "hand"."""


def build(model: Predictor, shared: Shared) -> Panel:
    """Return the tab."""
    with gr.Tab("Focal length", id="focal") as entry:
        table = gr.HTML(elem_id="focal-sources", js_on_load=_CHOOSE)
        with gr.Row():
            f_px = gr.Number(label="Pixels", elem_id="f-px", min_width=80)
            f_mm = gr.Number(label="35 mm (mm)", elem_id="f-35mm", min_width=80)
            fov_deg = gr.Number(label="Degrees", elem_id="fov-deg", min_width=80)
        wrong, above = gr.HTML(elem_id="focal-problem"), gr.HTML(elem_id="focal-above")
        gr.HTML("<h2>Calibrate with a known length</h2>")
        view = viewer("Photo to calibrate with", "ruler-view", _EMPTY, clickable=True)
        with gr.Row(elem_id="ruler-row"):
            true = gr.Number(label="True length (m)", elem_id="true-length", min_width=110)
            use = gr.Button("Use this focal length", interactive=False, elem_id="use-ruler")
            clear = gr.Button("Clear points", interactive=False, elem_id="clear-ruler")
        note = gr.HTML(elem_id="ruler-note")
        # Inside the tab, because Gradio counts a state between two tabs as a tab.
        typed, sent = gr.State("m"), gr.State(None)
    # `typed` has the units of `true`, `sent` the photo that the browser has.
    ruler, inputs = [view, use, clear, note], [true, typed, sent]
    outputs = [table, f_px, f_mm, fov_deg, wrong, above, *ruler, *inputs]
    listen = partial(_listen, shared, inputs, outputs)
    listen([table.select], _use_source, mode="multiple")  # each choice counts
    listen([use.click], _use_ruler, [true])
    fields = [f_px, f_mm, fov_deg]
    for index, field in enumerate(fields):
        listen([field.submit, field.blur], partial(_use_number, index), fields)
    state = [shared.session, shared.units, true]
    on_click(view, _add_point, state, ruler)
    for event, handler in ((clear.click, _clear), (true.input, _redraw_ruler)):
        event(handler, state, ruler, **REDRAW)
    return Panel(entry, inputs, outputs, _show)


def _listen(
    shared: Shared,
    inputs: list[Component],
    outputs: list[Component],
    triggers: list[Any],
    choose: Callable[[Session, Any, Units], _Choice | None],
    fields: Sequence[gr.Number] = (),
    mode: Any = "always_last",
) -> None:
    """Have events choose another focal length, and redraw everything in the same answer.

    `choose` takes the values of `fields`, else the event's data, and returns None for no change.
    The events do not queue, which would take longer than the arithmetic. Outside its queue Gradio
    shows no errors, so the answer includes them.
    """

    def answer(event: gr.EventData, session: Session | None, units: Units, *values: Any) -> Any:
        *given, true, typed, sent = values
        if session is None:
            return gr.skip()
        error = ""
        with session.lock:
            try:
                choice = choose(session, given or event._data, units)
                if choice is None:
                    return gr.skip()
                session.analysis = pipeline.with_source(session.analysis, *choice)
                if session.analysis.source == "hand":
                    session.hand_f_px = session.analysis.f_px
            except ValueError as refused:
                error = problem(sentence(refused))
        updates = _show(session, units, true, typed, sent, error)
        return [*shared.sidebar_updates(session, units), *updates]

    gr.on(
        triggers,
        answer,
        [shared.session, shared.units, *fields, *inputs],
        [*shared.sidebar, *outputs],
        queue=False,
        trigger_mode=mode,
        **PRIVATE,
    )


def _use_source(session: Session, data: Any, units: Units) -> _Choice:
    source = data.get("source") if isinstance(data, dict) else None
    if source not in NAMES:
        raise ValueError(f"Expected one of the three sources; got {source!r}. Choose another one.")
    return source, session.hand_f_px


def _use_number(
    index: int, session: Session, shown: list[float | None], units: Units
) -> _Choice | None:
    """Use pixels, 35 mm equivalent or degrees (index 0, 1, 2); an empty field is filled again.

    Leaving a field counts only if it was edited, so that it no longer goes with the other two. It
    may go with a source that is no longer in use: the server may hear of the next choice first.
    """
    analysis, value = session.analysis, shown[index]
    if value is None:
        return analysis.source, session.hand_f_px
    choices = focal_choices(analysis, session.hand_f_px)
    if tuple(shown) in [_numbers(choice.f_px, analysis.prediction) for choice in choices]:
        return None
    width, height = analysis.prediction.width, analysis.prediction.height
    if index == 1:
        return "hand", focal_px_from_35mm(value, width, height)
    if index == 2:
        if not 0 < value < 180:
            raise ValueError(f"The field of view must be between 0 and 180 degrees, not {value:g}.")
        return "hand", focal_from_fov(value, width)
    return "hand", value


def _use_ruler(session: Session, shown: list[float | None], units: Units) -> _Choice:
    (true,) = shown
    points = _located(session)
    calibration = calibrate(points, (true or 0.0) / PER_METRE[units])
    if calibration.verdict != "focal length":
        raise ValueError("No focal length follows from these points; choose others.")
    return "hand", calibration.f_px


def _located(session: Session) -> Points3D:
    analysis = session.analysis
    return locate(analysis.prediction, session.ruler, analysis.provenance.depth_error)


def _numbers(f_px: float, prediction: Prediction) -> tuple[float, float, float]:
    """Return pixels, millimetres and degrees of a focal length, rounded for people."""
    width, height = prediction.width, prediction.height
    millimetres, fov_deg = f_35mm(f_px, width, height), fov_from_focal(f_px, width)
    return round(f_px, 1), round(millimetres, 2), round(fov_deg, 2)


def _show(
    session: Session | None,
    units: Units,
    true: float | None,
    typed: Units,
    sent: str | None,
    error: str = "",
) -> list[Any]:
    """Draw everything, and the photo unless the browser has it already."""
    label = f"True length ({units})"
    if session is None:
        off, field = gr.update(interactive=False), gr.update(label=label, value=None)
        view = screen.empty(_EMPTY)
        return ["", None, None, None, "", "", view, off, off, "", field, units, None]
    analysis, photo = session.analysis, str(session.folder)  # no two photos have the same
    field = gr.skip()
    if photo != sent or units != typed:
        true = None if photo != sent else true
        true = true and float(f"{true / PER_METRE[typed] * PER_METRE[units]:.6g}")
        field = gr.update(label=label, value=true)
    picture = screen.focal_length(analysis) if photo == sent else screen.photo(analysis)
    view, *others = _redraw_ruler(session, units, true)
    median_m = depth_stats(analysis.prediction).median_m
    return [
        sources_table(analysis, session.hand_f_px, units, median_m),
        *_numbers(analysis.f_px, analysis.prediction),
        error,
        from_above(analysis, session.hand_f_px),
        picture | screen.readout(units) | view,
        *others,
        field,
        units,
        photo,
    ]


def _add_point(
    point: Point, session: Session | None, units: Units, true: float | None
) -> list[Any]:
    """Add a point; a third one is the first of a new pair."""
    session, error = require_photo(session), ""
    with session.lock:
        earlier = session.ruler if len(session.ruler) < 2 else ()
        try:
            points = locate(session.analysis.prediction, [point])
            if points.sky.any():
                error = sky_sentence(points, first=len(earlier) + 1)
        except ValueError as refused:
            error = str(refused)
        if not error:
            session.ruler = (*earlier, point)
    return _redraw_ruler(session, units, true, error)


def _clear(session: Session | None, units: Units, true: float | None) -> list[Any]:
    session = require_photo(session)
    with session.lock:
        session.ruler = ()
    return _redraw_ruler(session, units, true)


def _redraw_ruler(
    session: Session | None, units: Units, true: float | None, error: str = ""
) -> list[Any]:
    """Return updates of drawing, use, clear and note."""
    if session is None:
        return [gr.skip()] * 4
    points = _located(session)
    usable, note, results = False, "", ()
    if points.sky.any():
        error = error or sky_sentence(points)
    elif len(session.ruler) == 2:
        results = measure(points, "distance")
        try:
            if true is not None and not error:
                calibration = calibrate(points, true / PER_METRE[units])
                usable = calibration.verdict == "focal length"
                note = calibration_text(calibration, points.width, points.height, units)
        except ValueError as refused:
            error = str(refused)
    if not note:
        note = f'<p class="hint" role="status">{_STEPS[len(session.ruler)]}</p>'
        note = (problem(error) if error else "") + note
    svg = draw(points, "distance", results, None, units)
    clear = gr.update(interactive=bool(session.ruler))
    return [{"svg": svg}, gr.update(interactive=usable), clear, note]
