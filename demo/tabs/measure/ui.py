"""The tab "Measure": points chosen on the photo, and what lies between them, each with its ±."""

import html
from typing import Any

import gradio as gr

from demo import screen
from demo.ground import GroundResult, ground_of
from demo.session import PARALLEL, PRIVATE, Panel, Point, Session, Shared, require_photo
from demo.tabs.measure import table as measure_table
from demo.tabs.measure.drawing import draw
from demo.tabs.measure.measure import (
    MAX_POINTS,
    Kind,
    Spots,
    locate,
    measure,
    measure_all,
    sky_sentence,
)
from demo.units import Units
from demo.viewer.viewer import on_click, viewer
from depthpro import DepthPro

_EMPTY = "Choose a photo; then click on it to measure."
_KINDS: list[tuple[str, Kind]] = [
    ("Distance", "distance"),
    ("Height", "height"),
    ("Angle", "angle"),
    ("Area", "area"),
]


def build(model: DepthPro, shared: Shared) -> Panel:
    """Return the tab."""
    with gr.Tab("Measure", id="measure") as tab:
        kind = gr.Radio(
            _KINDS, value="distance", label="Measure", elem_id="measure-kind", container=False
        )
        view = viewer("Photo to measure in", "measure-view", _EMPTY, clickable=True)
        said = gr.HTML(elem_id="measure-said")
        with gr.Row():
            undo = gr.Button("Undo", size="sm", min_width=80, interactive=False)
            clear = gr.Button("Clear", size="sm", min_width=80, interactive=False)
            file = gr.DownloadButton(
                "Save CSV", size="sm", min_width=80, interactive=False, elem_id="measure-csv"
            )
        table = gr.HTML(elem_id="measure-table")
        note = gr.HTML()
    outputs = [view, said, undo, clear, file, table]
    state = [shared.session, shared.units, kind]
    on_click(view, _add, state, outputs)
    for button, change in ((undo, _without_last), (clear, _without_any)):
        button.click(change, state, outputs, concurrency_limit=PARALLEL, **PRIVATE)
    kind.input(
        _drawn,
        state,
        outputs,
        concurrency_limit=PARALLEL,
        trigger_mode="always_last",
        **PRIVATE,
    )
    return Panel(tab, [kind], [*outputs, note], _show)


def _show(session: Session | None, units: Units, kind: Kind) -> list[Any]:
    if session is None:
        off = gr.update(interactive=False)
        return [screen.nothing(_EMPTY), "", off, off, off, "", ""]
    view, *others = _drawn(session, units, kind)
    view = screen.photo(session.analysis) | screen.reading(units) | view
    return [view, *others, _paragraph("hint", measure_table.precision(session.analysis))]


def _add(point: Point, session: Session | None, units: Units, kind: Kind) -> list[Any]:
    session = require_photo(session)
    with session.lock:
        refused = _refused(session, point)
        if not refused:
            session.points = (*session.points, point)
    return _drawn(session, units, kind, refused)


def _without_last(session: Session | None, units: Units, kind: Kind) -> list[Any]:
    session = require_photo(session)
    with session.lock:
        session.points = session.points[:-1]
    return _drawn(session, units, kind)


def _without_any(session: Session | None, units: Units, kind: Kind) -> list[Any]:
    session = require_photo(session)
    with session.lock:
        session.points = ()
    return _drawn(session, units, kind)


def _refused(session: Session, point: Point) -> str:
    """Return why a point cannot be added, or nothing."""
    if len(session.points) >= MAX_POINTS:
        return f"{MAX_POINTS} points are the most; undo or clear some first."
    if session.points and session.points[-1] == point:
        return f"This is point {len(session.points)} already; choose another place."
    try:
        spots = locate(session.analysis.prediction, [point])
    except ValueError as error:
        return str(error)
    if spots.sky.any():
        return sky_sentence(spots, first=len(session.points) + 1)
    return ""


def _drawn(session: Session | None, units: Units, kind: Kind, refused: str = "") -> list[Any]:
    """Return one update for each component; of the picture the drawing alone."""
    if session is None:
        return [gr.skip() for _ in range(6)]
    analysis = session.analysis
    spots = locate(analysis.prediction, session.points)
    search = ground_of(analysis.prediction)
    problem = refused or _problem(spots, kind, search, units)
    possible = not spots.sky.any() and (kind != "height" or search.ground is not None)
    results = measure(spots, kind, search.ground) if possible else ()
    some = gr.update(interactive=bool(session.points))
    said = _said(
        problem,
        measure_table.headline(results, units),
        measure_table.hint(kind, len(session.points)),
    )
    return [
        {"svg": draw(spots, kind, results, search.ground, units)},
        said,
        some,
        some,
        _file(session, spots, search, units),
        measure_table.table(results, units),
    ]


def _problem(spots: Spots, kind: Kind, search: GroundResult, units: Units) -> str:
    """Return why there are no results, or why they are doubtful, or nothing."""
    if spots.sky.any():
        return sky_sentence(spots)
    if kind == "height" and search.ground is None:
        return f"No ground was found, so there are no heights. {search.reason}"
    return measure_table.warning(spots, kind, units)


def _said(problem: str, headline: str, hint: str) -> str:
    """Return what is wrong, what is measured, and what to do next."""
    sentences = {"problem": problem, "headline": headline, "hint": hint}
    said = "".join(_paragraph(name, text) for name, text in sentences.items() if text)
    return f'<div role="status">{said}</div>'


def _paragraph(name: str, text: str) -> str:
    return f'<p class="{name}">{html.escape(text)}</p>'


def _file(session: Session, spots: Spots, search: GroundResult, units: Units) -> Any:
    """Write what the points allow as CSV, for the button."""
    if not session.points or spots.sky.any():
        return gr.update(value=None, interactive=False)
    results = measure_all(spots, search.ground)
    path = session.folder / f"{session.analysis.name}_measurements.csv"
    text = measure_table.csv_text(session.analysis, spots, results, units)
    path.write_text(text, encoding="utf-8")
    return gr.update(value=str(path), interactive=True)
