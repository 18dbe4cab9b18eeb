"""The tab "Focal length": by metadata, network or hand; a known length; and what crops change."""

from dataclasses import replace
from functools import partial
from typing import Any

import gradio as gr

from demo import pipeline, screen
from demo.focal import calibrate, crop_estimates, f_35mm
from demo.focal_drawing import NAMES, calibration_text, crops_drawing, from_above, sources_table
from demo.measure import locate
from demo.measure_drawing import draw
from demo.pipeline import Analysis, FocalSource
from demo.ui.viewer import on_click, viewer
from demo.ui.visit import NETWORK, PARALLEL, PRIVATE, Panel, Point, Shared, Visit, needed, refusal
from demo.units import FEET_PER_METRE, Units
from depthpro import DepthPro
from depthpro.geometry import focal_from_fov
from depthpro.image import focal_px_from_35mm

_EMPTY = "Choose a photo; then click on two points whose distance you know."
_HINT = '<p class="hint">Click on two points whose distance you know, one clearly farther.</p>'


def build(model: DepthPro, shared: Shared) -> Panel:
    """Return the tab."""
    with gr.Tab("Focal length", id="focal") as tab:
        source = gr.Radio(
            [(label, key) for key, label in NAMES.items()],
            label="Focal length",
            info="Depth is proportional to it. Choose, or type a number and press Enter.",
            elem_id="focal-source",
        )
        with gr.Row():
            f_px = gr.Number(label="Pixels", elem_id="f-px", min_width=90)
            f_mm = gr.Number(label="35 mm equivalent (mm)", elem_id="f-35mm", min_width=90)
            fov_deg = gr.Number(label="Field of view (°)", elem_id="fov-deg", min_width=90)
        table = gr.HTML(elem_id="focal-table")
        above = gr.HTML(elem_id="focal-above")
        with gr.Accordion("Calibrate with a known length", open=False, elem_id="calibrate"):
            view = viewer("Photo to calibrate with", "ruler-view", _EMPTY, clickable=True)
            with gr.Row():
                true = gr.Number(label="True length", elem_id="true-length", min_width=120)
                use = gr.Button("Use this focal length", interactive=False, elem_id="use-ruler")
            said = gr.HTML(_HINT, elem_id="ruler-said")
        with gr.Accordion("What the network says about crops", open=False, elem_id="crops"):
            ask = gr.Button("Ask it about four crops", elem_id="ask-crops")
            answer = gr.HTML(elem_id="crops-said")
    fields, ruler = [source, f_px, f_mm, fov_deg], [view, use, said]
    events = []
    for triggers, handler, component in (
        ([source.input], _use_source, source),
        ([f_px.submit], _use_f_px, f_px),
        ([f_mm.submit], _use_35mm, f_mm),
        ([fov_deg.submit], _use_fov, fov_deg),
    ):
        event = gr.on(
            triggers,
            handler,
            [shared.visit, component],
            shared.visit,
            concurrency_limit=PARALLEL,
            **PRIVATE,
        )
        event.failure(_fields, shared.visit, fields, **PRIVATE)
        events.append(event)
    state = [shared.visit, shared.units, true]
    on_click(view, _choose, state, [shared.visit, *ruler])
    true.change(_ruled, state, ruler, concurrency_limit=PARALLEL, **PRIVATE)
    events.append(use.click(_use_ruler, state, shared.visit, concurrency_limit=PARALLEL, **PRIVATE))

    ask.click(
        partial(_ask, model),
        shared.visit,
        [shared.visit, answer],
        show_progress_on=[answer],
        api_visibility="private",
        **NETWORK,
    )
    return Panel(tab, [true], [*fields, table, above, *ruler, answer], _show, events)


def _show(visit: Visit | None, units: Units, true: float | None) -> list[Any]:
    if visit is None:
        off = gr.update(interactive=False)
        return [
            gr.update(value=None),
            None,
            None,
            None,
            "",
            "",
            screen.nothing(_EMPTY),
            off,
            "",
            "",
        ]
    analysis = visit.analysis
    view, *others = _ruled(visit, units, true)
    view = screen.photo(analysis) | screen.reading(units) | view
    crops = crops_drawing(visit.crops, analysis) if visit.crops else ""
    drawn = [sources_table(analysis), from_above(analysis, units)]
    return [*_fields(visit), *drawn, view, *others, crops]


def _fields(visit: Visit | None) -> list[Any]:
    """Return the choice of sources and what the number fields show."""
    if visit is None:
        return [gr.skip()] * 4
    analysis = visit.analysis
    has = {"metadata": analysis.metadata_f_px, "network": analysis.estimated_f_px, "hand": 1}
    choices = [(label, key) for key, label in NAMES.items() if has[key] is not None]
    return [gr.update(choices=choices, value=analysis.source), *_values(analysis)]


def _values(analysis: Analysis) -> tuple[float, float, float]:
    """Return what the number fields show: pixels, millimetres and degrees, rounded."""
    prediction = analysis.prediction
    millimetres = f_35mm(analysis.f_px, prediction.width, prediction.height)
    return round(analysis.f_px, 1), round(millimetres, 2), round(prediction.fov_deg.item(), 2)


def _use_source(visit: Visit | None, source: FocalSource) -> Visit:
    visit = needed(visit)
    return _rescaled(visit, source, visit.analysis.f_px)


def _use_f_px(visit: Visit | None, f_px: float | None) -> Any:
    visit = needed(visit)
    if f_px == _values(visit.analysis)[0]:
        return gr.skip()  # the field was left as it was
    return _rescaled(visit, "hand", f_px)


def _use_35mm(visit: Visit | None, millimetres: float | None) -> Any:
    visit = needed(visit)
    if millimetres == _values(visit.analysis)[1]:
        return gr.skip()
    if millimetres is None or not 0 < millimetres < 1e5:
        raise refusal(f"The 35 mm equivalent must be positive, in millimetres, not {millimetres}.")
    prediction = visit.analysis.prediction
    f_px = focal_px_from_35mm(millimetres, prediction.width, prediction.height)
    return _rescaled(visit, "hand", f_px)


def _use_fov(visit: Visit | None, fov_deg: float | None) -> Any:
    visit = needed(visit)
    if fov_deg == _values(visit.analysis)[2]:
        return gr.skip()
    if fov_deg is None or not 0 < fov_deg < 180:
        raise refusal(f"The field of view must be between 0 and 180 degrees, not {fov_deg}.")
    return _rescaled(visit, "hand", focal_from_fov(fov_deg, visit.analysis.prediction.width))


def _use_ruler(visit: Visit | None, units: Units, true: float | None) -> Visit:
    visit = needed(visit)
    try:
        f_px = calibrate(visit.analysis, visit.ruler, _metres(true, units)).f_px
    except ValueError as error:
        raise refusal(str(error)) from None
    if f_px is None:
        raise refusal("No focal length follows from these points; choose others.")
    return _rescaled(visit, "hand", f_px)


def _rescaled(visit: Visit, source: FocalSource, f_px: float | None) -> Visit:
    try:
        return replace(visit, analysis=pipeline.with_source(visit.analysis, source, f_px))
    except ValueError as error:
        raise refusal(str(error)) from None


def _choose(point: Point, visit: Visit | None, units: Units, true: float | None) -> list[Any]:
    """Take a third point for the first of a new pair."""
    visit = needed(visit)
    earlier = visit.ruler if len(visit.ruler) < 2 else ()
    visit = replace(visit, ruler=(*earlier, point))
    return [visit, *_ruled(visit, units, true)]


def _ruled(visit: Visit | None, units: Units, true: float | None) -> list[Any]:
    """Return the points on the photo, whether they tell a focal length, and which."""
    off = gr.update(interactive=False)
    if visit is None or not visit.ruler:
        return [{"svg": ""}, off, _HINT]
    spots = locate(visit.analysis.prediction, visit.ruler)
    view = {"svg": draw(spots, "distance", (), None, units)}
    if len(visit.ruler) < 2 or not true:
        need = "the second point" if len(visit.ruler) < 2 else "their true distance"
        return [view, off, f'<p class="hint">Now {need}.</p>']
    try:
        calibration = calibrate(visit.analysis, visit.ruler, _metres(true, units))
    except ValueError as error:
        return [view, off, f'<p class="problem" role="alert">{error}</p>']
    usable = gr.update(interactive=calibration.f_px is not None)
    return [view, usable, calibration_text(calibration, units)]


def _ask(model: DepthPro, visit: Visit | None) -> list[Any]:
    """Ask the network about crops; the answer stays with the visit."""
    visit = needed(visit)
    try:
        visit = replace(visit, crops=crop_estimates(model, visit.analysis))
    except ValueError as error:
        raise refusal(str(error)) from None
    return [visit, crops_drawing(visit.crops, visit.analysis)]


def _metres(value: float | None, units: Units) -> float:
    return (value or 0.0) / (FEET_PER_METRE if units == "ft" else 1.0)
