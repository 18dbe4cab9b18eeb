"""The tab "Focal length": by metadata, by the network, by hand; each rescales depth exactly."""

from dataclasses import replace
from typing import Any

import gradio as gr

from demo import pipeline
from demo.pipeline import Analysis, FocalSource
from demo.ui.visit import PARALLEL, PRIVATE, Panel, Shared, Visit, needed, refusal
from demo.units import Units
from depthpro import DepthPro
from depthpro.geometry import focal_from_fov

_SOURCES = {"metadata": "Photo's metadata", "network": "Network's estimate", "hand": "By hand"}


def build(model: DepthPro, shared: Shared) -> Panel:
    """Return the tab."""
    with gr.Tab("Focal length", id="focal") as tab:
        source = gr.Radio(
            [(label, key) for key, label in _SOURCES.items()],
            label="Focal length",
            info="Depth is proportional to it. Changing it rescales everything at once.",
            elem_id="focal-source",
        )
        with gr.Row():
            f_px = gr.Number(label="Focal length (px)", elem_id="f-px", min_width=120)
            fov_deg = gr.Number(label="Field of view (°)", elem_id="fov-deg", min_width=120)
    outputs, events = [source, f_px, fov_deg], []
    for triggers, handler, component in (
        ([source.input], _use_source, source),
        ([f_px.submit, f_px.blur], _use_f_px, f_px),
        ([fov_deg.submit, fov_deg.blur], _use_fov, fov_deg),
    ):
        event = gr.on(
            triggers,
            handler,
            [shared.visit, component],
            shared.visit,
            concurrency_limit=PARALLEL,
            **PRIVATE,
        )
        event.failure(_show, [shared.visit, shared.units], outputs, **PRIVATE)
        events.append(event)
    return Panel(tab, [], outputs, _show, events)


def _show(visit: Visit | None, units: Units) -> list[Any]:
    if visit is None:
        return [gr.update(value=None), None, None]
    analysis = visit.analysis
    has = {"metadata": analysis.metadata_f_px, "network": analysis.estimated_f_px, "hand": 1}
    choices = [(label, key) for key, label in _SOURCES.items() if has[key] is not None]
    return [gr.update(choices=choices, value=analysis.source), *_field_values(analysis)]


def _use_source(visit: Visit | None, source: FocalSource) -> Visit:
    visit = needed(visit)
    return _rescaled(visit, source, visit.analysis.f_px)


def _use_f_px(visit: Visit | None, f_px: float | None) -> Any:
    visit = needed(visit)
    if f_px == _field_values(visit.analysis)[0]:
        return gr.skip()  # the field was left as it was
    return _rescaled(visit, "hand", f_px)


def _use_fov(visit: Visit | None, fov_deg: float | None) -> Any:
    visit = needed(visit)
    if fov_deg == _field_values(visit.analysis)[1]:
        return gr.skip()
    if fov_deg is None or not 0 < fov_deg < 180:
        raise refusal(f"The field of view must be between 0 and 180 degrees, not {fov_deg}.")
    return _rescaled(visit, "hand", focal_from_fov(fov_deg, visit.analysis.prediction.width))


def _rescaled(visit: Visit, source: FocalSource, f_px: float | None) -> Visit:
    try:
        return replace(visit, analysis=pipeline.with_source(visit.analysis, source, f_px))
    except ValueError as error:
        raise refusal(str(error)) from None


def _field_values(analysis: Analysis) -> tuple[float, float]:
    """Return what the number fields show: pixels and degrees, rounded."""
    return round(analysis.f_px, 1), round(analysis.prediction.fov_deg.item(), 2)
