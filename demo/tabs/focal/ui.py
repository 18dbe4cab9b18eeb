"""The tab "Focal length": by metadata, network or hand; a known length; and what crops change."""

from collections.abc import Callable
from typing import Any, NamedTuple

import gradio as gr
from gradio.components import Component

from demo import pipeline, screen
from demo.figures import problem
from demo.pipeline import Analysis, FocalSource
from demo.session import PARALLEL, PRIVATE, Panel, Point, Session, Shared, require_photo, sentence
from demo.tabs.depth.look import reach
from demo.tabs.focal.crops_ui import build_crops, show_crops
from demo.tabs.focal.drawing import calibration_text, from_above, sources_table
from demo.tabs.focal.focal import Calibration, calibrate, f_35mm
from demo.tabs.measure.drawing import draw
from demo.tabs.measure.measure import Spots, locate, measure, sky_sentence
from demo.units import FEET_PER_METRE, Units
from demo.viewer.viewer import on_click, viewer
from depthpro import DepthPro
from depthpro.exif import focal_px_from_35mm
from depthpro.geometry import focal_from_fov

_MANY: dict[str, Any] = {"concurrency_limit": PARALLEL, **PRIVATE}
_EMPTY = "Choose a photo; then click on two points whose distance you know."
_STEPS = (
    "Click on two points whose distance you know, one of them clearly farther away: along a "
    "floor, a table, a wall that leads away.",
    "Now click on the second point, clearly nearer or farther than the first.",
    "Type the true distance of the two points.",
)
# A choice redraws the table; who chose by keyboard goes on from there.
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


class _Sources(NamedTuple):
    table: gr.HTML
    f_px: gr.Number
    f_mm: gr.Number
    fov_deg: gr.Number
    problem: gr.HTML


class _Ruler(NamedTuple):
    view: gr.HTML
    use: gr.Button
    clear: gr.Button
    said: gr.HTML


def build(model: DepthPro, shared: Shared) -> Panel:
    """Return the tab."""
    with gr.Tab("Focal length", id="focal") as tab:
        table = gr.HTML(elem_id="focal-sources", js_on_load=_CHOOSE)
        with gr.Row():
            numbers = [
                gr.Number(label=label, elem_id=elem_id, min_width=80)
                for label, elem_id in (
                    ("Pixels", "f-px"),
                    ("35 mm (mm)", "f-35mm"),
                    ("Degrees", "fov-deg"),
                )
            ]
        sources = _Sources(table, *numbers, problem=gr.HTML(elem_id="focal-problem"))
        above = gr.HTML(elem_id="focal-above")
        gr.HTML("<h3>Calibrate with a known length</h3>")
        view = viewer("Photo to calibrate with", "ruler-view", _EMPTY, clickable=True)
        with gr.Row(elem_id="ruler-row"):
            true = gr.Number(label="True length (m)", elem_id="true-length", min_width=110)
            use = gr.Button("Use this focal length", interactive=False, elem_id="use-ruler")
            clear = gr.Button("Clear points", interactive=False, elem_id="clear-ruler")
        ruler = _Ruler(view, use, clear, gr.HTML(elem_id="ruler-said"))
        asked = build_crops(model, shared)
        # In the tab: what lies between two tabs is counted as a tab by Gradio.
        typed, sent = gr.State("m"), gr.State(None)
    outputs: list[Component] = [*sources, above, *ruler, *asked, true, typed, sent]
    panel = Panel(tab, [true, typed, sent], outputs, _show)
    _wire_sources(shared, panel, sources)
    _wire_ruler(shared, panel, true, ruler)
    return panel


def _wire_sources(shared: Shared, panel: Panel, sources: _Sources) -> None:
    """Take another focal length: chosen in the table, or typed."""
    rescale = _rescaling(shared, panel)
    # Of each choice: the last one is not sent again in the place of one that came meanwhile.
    rescale([sources.table.select], _use_source, [], "multiple")
    takers = (_use_f_px, _use_35mm, _use_fov)
    for number, take in zip(sources[1:-1], takers, strict=True):
        rescale([number.submit, number.blur], take, [number])


def _wire_ruler(shared: Shared, panel: Panel, true: gr.Number, ruler: _Ruler) -> None:
    """Take two points and their distance, and the focal length that they imply."""
    state = [shared.session, shared.units, true]
    on_click(ruler.view, _choose, state, list(ruler))
    ruler.clear.click(_clear, state, list(ruler), **_MANY)
    true.input(_ruled, state, list(ruler), trigger_mode="always_last", **_MANY)
    _rescaling(shared, panel)([ruler.use.click], _use_ruler, [shared.units, true])


def _rescaling(shared: Shared, panel: Panel) -> Callable[..., None]:
    """Return what has events take a focal length, and draws all that follows in the same answer.

    What takes it returns whether it is another one than before.

    They do not queue, which would take longer than all the arithmetic. Gradio shows no sentence of
    an error outside its queue, so what is wrong is part of the answer too.
    """
    beside, outputs = len(shared.sidebar), len(panel.outputs)

    def wire(
        triggers: list[Any], take: Callable[..., bool], given: list[Any], mode: Any = "always_last"
    ) -> None:
        def answer(event: gr.EventData, session: Session | None, units: Units, *values: Any) -> Any:
            if session is None:
                return gr.skip()
            with session.lock:
                said = ""
                try:
                    # What was emptied is as it was before.
                    emptied = given and values[0] is None
                    if not emptied and not take(session, *(values[: len(given)] or [event])):
                        return gr.skip()
                except ValueError as error:
                    emptied, said = True, problem(sentence(error))
                if emptied:
                    fields = [gr.skip(), *_values(session.analysis), said]
                    return [gr.skip()] * beside + fields + [gr.skip()] * (outputs - len(fields))
                shown = _show(session, units, *values[len(given) :])
                return [*shared.sidebar_updates(session, units), *shown]

        gr.on(
            triggers,
            answer,
            [shared.session, shared.units, *given, *panel.inputs],
            [*shared.sidebar, *panel.outputs],
            queue=False,
            trigger_mode=mode,
            **PRIVATE,
        )

    return wire


def _show(
    session: Session | None, units: Units, true: float | None, typed: Units, sent: str | None
) -> list[Any]:
    """Draw everything, and the photo unless it is what was sent last."""
    label = f"True length ({units})"
    if session is None:
        off = gr.update(interactive=False)
        numbers = [None, None, None]
        field = gr.update(label=label, value=None)
        nothing = [screen.nothing(_EMPTY), off, off, ""]
        return ["", *numbers, "", "", *nothing, *show_crops(None), field, units, None]
    analysis, photo = session.analysis, str(session.folder)  # no two photos have the same
    if photo != sent:
        true = None
    elif true is not None and units != typed:
        true = float(f"{_metres(true, typed) * (FEET_PER_METRE if units == 'ft' else 1):.6g}")
    changed = photo != sent or units != typed
    field = gr.update(label=label, value=true) if changed else gr.skip()
    picture = screen.focal(analysis) if photo == sent else screen.photo(analysis)
    view, *others = _ruled(session, units, true)
    median_m = reach(analysis.prediction).median_m
    return [
        sources_table(analysis, session.hand_f_px, units, median_m),
        *_values(analysis),
        "",
        from_above(analysis, session.hand_f_px, units),
        picture | screen.reading(units) | view,
        *others,
        *show_crops(session),
        field,
        units,
        photo,
    ]


def _values(analysis: Analysis) -> tuple[float, float, float]:
    """Return pixels, millimetres and degrees, rounded for people."""
    prediction = analysis.prediction
    millimetres = f_35mm(analysis.f_px, prediction.width, prediction.height)
    return round(analysis.f_px, 1), round(millimetres, 2), round(prediction.fov_deg.item(), 2)


def _use_source(session: Session, event: gr.EventData) -> bool:
    source = event._data.get("source") if isinstance(event._data, dict) else None
    if source not in ("metadata", "network", "hand"):
        raise ValueError(f"Expected one of the three sources; got {source!r}. Choose another one.")
    return _rescaled(session, source, session.hand_f_px)


def _use_f_px(session: Session, f_px: float) -> bool:
    if f_px == _values(session.analysis)[0]:
        return False
    return _rescaled(session, "hand", f_px)


def _use_35mm(session: Session, millimetres: float) -> bool:
    if millimetres == _values(session.analysis)[1]:
        return False
    try:
        height, width = session.analysis.rgb.shape[:2]
        f_px = focal_px_from_35mm(millimetres, width, height)
    except ValueError:
        raise ValueError(
            f"The 35 mm equivalent must be a positive number of millimetres, not {millimetres:g}."
        ) from None
    return _rescaled(session, "hand", f_px)


def _use_fov(session: Session, fov_deg: float) -> bool:
    if fov_deg == _values(session.analysis)[2]:
        return False
    if not 0 < fov_deg < 180:
        raise ValueError(f"The field of view must be between 0 and 180 degrees, not {fov_deg:g}.")
    return _rescaled(session, "hand", focal_from_fov(fov_deg, session.analysis.prediction.width))


def _rescaled(session: Session, source: FocalSource, f_px: float | None) -> bool:
    session.analysis = pipeline.with_source(session.analysis, source, f_px)
    if source == "hand":
        session.hand_f_px = session.analysis.f_px
    return True


def _choose(point: Point, session: Session | None, units: Units, true: float | None) -> list[Any]:
    """Take a point; a third one is the first of a new pair."""
    session = require_photo(session)
    refused = ""
    with session.lock:
        earlier = session.ruler if len(session.ruler) < 2 else ()
        try:
            spots = locate(session.analysis.prediction, [point])
            if spots.sky.any():
                refused = sky_sentence(spots, first=len(earlier) + 1)
        except ValueError as error:
            refused = str(error)
        if not refused:
            session.ruler = (*earlier, point)
    return _ruled(session, units, true, refused)


def _clear(session: Session | None, units: Units, true: float | None) -> list[Any]:
    session = require_photo(session)
    with session.lock:
        session.ruler = ()
    return _ruled(session, units, true)


def _ruled(
    session: Session | None, units: Units, true: float | None, refused: str = ""
) -> list[Any]:
    """Return one update for each part of `_Ruler`; of the picture the drawing alone."""
    if session is None:
        return [gr.skip()] * len(_Ruler._fields)
    spots = locate(session.analysis.prediction, session.ruler)
    two = len(session.ruler) == 2 and not spots.sky.any()
    svg = draw(spots, "distance", measure(spots, "distance") if two else (), None, units)
    clear = gr.update(interactive=bool(session.ruler))
    found, said = None, refused
    if two and true is not None and not said:
        try:
            found = calibrate(spots, _metres(true, units))
        except ValueError as error:
            said = str(error)
    elif spots.sky.any() and not said:
        said = sky_sentence(spots)
    use = gr.update(interactive=found is not None and found.verdict == "follows")
    return [{"svg": svg}, use, clear, _told(spots, found, said, units)]


def _told(spots: Spots, found: Calibration | None, refused: str, units: Units) -> str:
    """Return what the length says, or what to do next, and what is wrong."""
    if found is not None:
        return calibration_text(found, spots.width, spots.height, units)
    step = f'<p class="hint" role="status">{_STEPS[len(spots.pixels)]}</p>'
    return (problem(refused) if refused else "") + step


def _use_ruler(session: Session, units: Units, true: float | None) -> bool:
    spots = locate(session.analysis.prediction, session.ruler)
    found = calibrate(spots, _metres(true or 0.0, units))
    if found.verdict != "follows":
        raise ValueError("No focal length follows from these points; choose others.")
    return _rescaled(session, "hand", found.f_px)


def _metres(value: float, units: Units) -> float:
    return value / (FEET_PER_METRE if units == "ft" else 1.0)
