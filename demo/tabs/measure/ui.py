"""The tab "Measure": points on the photo, and lengths, angles and areas between them, with ±."""

import html
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from demo import screen
from demo.pipeline import Predictor
from demo.session import REDRAW, Panel, Point, Session, Shared, download_on_click, require_photo
from demo.tabs.measure import table as measure_table
from demo.tabs.measure.drawing import draw
from demo.tabs.measure.measure import (
    MAX_POINTS,
    Kind,
    Points3D,
    locate,
    measure,
    measure_all,
    sky_sentence,
)
from demo.tabs.measure.true_lengths import with_truth
from demo.tabs.sharpness.truth import Truth, known
from demo.units import Units
from demo.viewer.viewer import on_click, viewer

_EMPTY = "Choose a photo; then points on it, to measure."
_KINDS: list[tuple[str, Kind]] = [
    ("Distance", "distance"),
    ("Height", "height"),
    ("Angle", "angle"),
    ("Area", "area"),
]


def build(model: Predictor, shared: Shared) -> Panel:
    """Return the tab."""
    with gr.Tab("Measure", id="measure") as tab:
        kind = gr.Radio(
            _KINDS, value="distance", label="Measure", elem_id="measure-kind", container=False
        )
        view = viewer("Photo to measure in", "measure-view", _EMPTY, clickable=True)
        sentences = gr.HTML(elem_id="measure-note")
        with gr.Row():
            undo, clear, save = (
                gr.Button(label, size="sm", min_width=80, interactive=False, elem_id=elem_id)
                for label, elem_id in (
                    ("Undo", "measure-undo"),
                    ("Clear", "measure-clear"),
                    ("Save CSV", "measure-csv"),
                )
            )
            download_on_click(save, _write_csv, [shared.session, shared.units])
        table = gr.HTML(elem_id="measure-table")
        note = gr.HTML()
    outputs = [view, sentences, undo, clear, save, table]
    state = [shared.session, shared.units, kind]
    on_click(view, _add, state, outputs)
    for event, handler in (
        (undo.click, partial(_keep, slice(-1))),
        (clear.click, partial(_keep, slice(0))),
        (kind.input, _redraw),
    ):
        event(handler, state, outputs, **REDRAW)
    return Panel(tab, [kind], [*outputs, note], _show)


def _show(session: Session | None, units: Units, kind: Kind) -> list[Any]:
    if session is None:
        off = gr.update(interactive=False)
        return [screen.empty(_EMPTY), "", off, off, off, "", ""]
    view, *others = _redraw(session, units, kind)
    view = screen.photo(session.analysis) | screen.readout(units) | view
    return [view, *others, _paragraph("hint", measure_table.precision(session.analysis))]


def _add(point: Point, session: Session | None, units: Units, kind: Kind) -> list[Any]:
    session = require_photo(session)
    with session.lock:
        problem = _point_problem(session, point)
        if not problem:
            session.points = (*session.points, point)
    return _redraw(session, units, kind, problem)


def _keep(part: slice, session: Session | None, units: Units, kind: Kind) -> list[Any]:
    """Keep a part of the points."""
    session = require_photo(session)
    with session.lock:
        session.points = session.points[part]
    return _redraw(session, units, kind)


def _point_problem(session: Session, point: Point) -> str:
    """Return the reason why a point cannot be added; empty if it can."""
    if len(session.points) >= MAX_POINTS:
        return f"{MAX_POINTS} points are the most; undo or clear some first."
    if session.points and session.points[-1] == point:
        return f"This is point {len(session.points)} already; choose another place."
    try:
        points = locate(session.analysis.prediction, [point])
    except ValueError as error:
        return str(error)
    return sky_sentence(points, first=len(session.points) + 1) if points.sky.any() else ""


def _redraw(session: Session | None, units: Units, kind: Kind, problem: str = "") -> list[Any]:
    """Return updates of drawing, sentences, the three buttons and table."""
    if session is None:
        return [gr.skip()] * 6
    points = _located(session)
    ground, reason = session.analysis.ground
    results = ()
    if points.sky.any():
        problem = problem or sky_sentence(points)
    elif kind == "height" and ground is None:
        problem = problem or f"No ground was found, so there are no heights. {reason}"
    else:
        problem = problem or measure_table.warning(points, kind, units)
        results = with_truth(measure(points, kind, ground), points, _truth(session))
    sentences = {
        "problem": problem,
        "headline": measure_table.headline(results, units),
        "hint": measure_table.hint(kind, len(session.points)),
    }
    status = "".join(_paragraph(name, text) for name, text in sentences.items() if text)
    return [
        {"svg": draw(points, kind, results, ground, units)},
        f'<div role="status">{status}</div>',
        *[gr.update(interactive=bool(session.points))] * 3,
        measure_table.table(results, units),
    ]


def _located(session: Session) -> Points3D:
    analysis = session.analysis
    return locate(analysis.prediction, session.points, analysis.provenance.depth_error)


def _truth(session: Session) -> Truth | None:
    return session.truth or known(session.analysis.rgb)


def _write_csv(session: Session, units: Units) -> Path:
    """Write all measurements between the points."""
    analysis = session.analysis
    points = _located(session)
    results = measure_all(points, analysis.ground.ground)
    results = with_truth(results, points, _truth(session))
    path = session.folder / f"{analysis.name}_measurements.csv"
    path.write_text(measure_table.csv_text(analysis, points, results, units), encoding="utf-8")
    return path


def _paragraph(name: str, text: str) -> str:
    return f'<p class="{name}">{html.escape(text)}</p>'
