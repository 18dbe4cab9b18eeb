"""The tab "Sharpness": contours, errors where true depth is known, and what a mirror changes."""

from functools import partial
from typing import Any, Literal, NamedTuple

import gradio as gr
from gradio.components import Component
from torch import Tensor

from demo import figures, screen
from demo.gradio_internals import uploaded
from demo.session import (
    KEEP_S,
    NETWORK,
    PARALLEL,
    PRIVATE,
    Panel,
    Session,
    Shared,
    refusal,
    require_photo,
    sentence,
)
from demo.tabs.sharpness import drawing
from demo.tabs.sharpness import sharpness as measures
from demo.tabs.sharpness.truth import SUFFIXES, Truth, known, read_truth, thinning
from demo.units import Units
from demo.viewer.viewer import viewer
from depthpro import DepthPro, Prediction

What = Literal["contours", "error", "mirror"]
Alignment = Literal["metric", "scaled"]

_EMPTY = "Choose a photo to see where its depth jumps."
_WHATS: list[tuple[str, What]] = [
    ("Contours", "contours"),
    ("Error", "error"),
    ("Flip consistency", "mirror"),
]
_NO_TRUTH = "No errors can be shown, since the true depth of this photo is not known; see below."
_NOT_MIRRORED = (
    "A network that is sure says the same of the photo and of its mirror image. To compare them, "
    "the network is called once more."
)
_PLAIN = {"over": None, "svg": ""}  # the photo alone


class Mirrored(NamedTuple):
    """What the network said of a mirrored photo, on its way into the session."""

    canonical: Tensor
    """Canonical inverse depth of the photo itself, which tells photos apart."""
    prediction: Prediction


class _Choices(NamedTuple):
    what: gr.Radio
    ratio: gr.Slider
    alignment: gr.Radio


class _Picture(NamedTuple):
    """What shows the choices; the last three are there for one of them each."""

    view: gr.HTML
    legend: gr.HTML
    ratio: gr.Slider
    alignment: gr.Radio
    run: gr.Button


class _Numbers(NamedTuple):
    cards: gr.HTML
    curve: gr.Plot
    truth: gr.HTML


class _Upload(NamedTuple):
    file: gr.File
    scale_m: gr.Number
    problem: gr.HTML


def build(model: DepthPro, shared: Shared) -> Panel:
    """Return the tab."""
    with gr.Tab("Sharpness", id="sharpness") as tab:
        choices, picture = _looks()
        numbers = _Numbers(
            gr.HTML(elem_id="sharp-cards"),
            gr.Plot(
                label="Boundary F1 and recall by threshold, as a chart",
                visible=False,
                show_label=False,
                elem_id="f1-curve",
            ),
            gr.HTML(elem_id="truth"),
        )
        upload = _upload()
        note = gr.HTML(drawing.limits(model.provenance), elem_id="sharp-note")
        fresh = gr.State(None, time_to_live=KEEP_S)
    state = [shared.session, *choices]
    gr.on(
        [choices.what.input, choices.ratio.change, choices.alignment.input],
        _drawn,
        state,
        picture,
        concurrency_limit=PARALLEL,
        trigger_mode="always_last",
        **PRIVATE,
    )
    event = picture.run.click(
        partial(_mirror, model),
        shared.session,
        fresh,
        show_progress_on=[picture.view],
        api_visibility="private",
        **NETWORK,
    )
    event.success(
        _keep,
        [*state, fresh],
        [fresh, *picture, numbers.cards],
        concurrency_limit=PARALLEL,
        **PRIVATE,
    )
    file, scale_m, problem = upload
    gr.on(
        [file.upload, file.clear, file.delete, scale_m.submit, scale_m.blur],
        _use_file,
        [*state, file, scale_m],
        [*picture, *numbers, problem],
        concurrency_limit=PARALLEL,
        show_progress="hidden",
        api_visibility="private",
        preprocess=False,  # would open whatever path a client says
    )
    outputs: list[Component] = [*picture, *numbers, file, problem, note]
    return Panel(tab, choices, outputs, _show)


def _looks() -> tuple[_Choices, _Picture]:
    what = gr.Radio(_WHATS, value="contours", label="Show", elem_id="sharp-what", container=False)
    view = viewer("Photo with contours or errors", "sharp-view", _EMPTY)
    legend = gr.HTML(elem_id="sharp-legend")
    ratio = gr.Slider(
        measures.LEAST_RATIO,
        measures.MOST_RATIO,
        value=1.05,
        step=0.01,
        label="Ratio t of neighbouring depths that makes a contour",
        elem_id="ratio",
    )
    alignment = gr.Radio(
        [("metric depth", "metric"), ("depth scaled by the median", "scaled")],
        value="metric",
        label="Error of",
        visible=False,
        elem_id="alignment",
    )
    run = gr.Button("Compare with the mirrored photo", visible=False, elem_id="mirror")
    return _Choices(what, ratio, alignment), _Picture(view, legend, ratio, alignment, run)


def _upload() -> _Upload:
    with gr.Accordion("Compare with depth of your own", open=False, elem_id="own-truth"):
        file = gr.File(
            label="True depth: NPZ, NPY, or 16-bit PNG; any size, the photo's shape",
            file_types=list(SUFFIXES),
            height=110,
            elem_id="truth-file",
        )
        scale_m = gr.Number(
            label="Metres of one step",
            info="Of whole numbers, where the file does not say it: 0.001 for millimetres.",
            value=None,
            elem_id="scale-m",
        )
        problem = gr.HTML(elem_id="truth-problem")
    return _Upload(file, scale_m, problem)


def _show(
    session: Session | None, units: Units, what: What, ratio: float, alignment: Alignment
) -> list[Any]:
    """Draw everything; a file that belongs to no truth is taken out of its field."""
    file = gr.skip() if session is not None and session.truth is not None else gr.update(value=None)
    picture = _drawn(session, what, ratio, alignment)
    if session is None:
        return [screen.nothing(_EMPTY), *picture[1:], *_told(None), file, "", gr.skip()]
    picture[0] = screen.photo(session.analysis) | screen.reading(units) | picture[0]
    made = session.analysis.provenance
    return [*picture, *_told(session), file, "", drawing.limits(made)]


def _drawn(session: Session | None, what: What, ratio: float, alignment: Alignment) -> list[Any]:
    """Return one update for each part of `_Picture`."""
    run = what == "mirror" and session is not None and session.mirrored is None
    shown = [gr.update(visible=each) for each in (what == "contours", what == "error", run)]
    if session is None:
        return [_PLAIN, "", *shown]
    prediction = session.analysis.prediction
    if what == "error":
        return [*_errors(prediction, _truth(session), alignment == "scaled"), *shown]
    if what == "mirror":
        return [*_differences(prediction, session.mirrored), *shown]
    ratio = measures.usual_ratio(ratio)
    found = measures.contours(prediction, ratio, _truth(session))
    layer = {"over": None, "svg": drawing.contour_layer(found)}
    return [layer, drawing.contour_legend(found, ratio), *shown]


def _errors(prediction: Prediction, truth: Truth | None, scaled: bool) -> tuple[Any, str]:
    if truth is None:
        return _PLAIN, figures.problem(_NO_TRUTH)
    error = measures.error_map(prediction, truth, scaled)
    limit = drawing.error_limit(error)
    layer = screen.over(drawing.error_layer(error, limit), "Errors of depth in colours")
    return layer | {"overName": "Error", "svg": ""}, drawing.error_legend(error, limit, scaled)


def _differences(prediction: Prediction, mirrored: Prediction | None) -> tuple[Any, str]:
    if mirrored is None:
        return _PLAIN, f'<p class="hint">{_NOT_MIRRORED}</p>'
    found = measures.difference(prediction, mirrored)
    limit = drawing.difference_limit(found)
    layer = screen.over(
        drawing.difference_layer(found, limit), "Difference to the mirror image in colours"
    )
    return layer | {"overName": "Change", "svg": ""}, drawing.difference_legend(found, limit)


def _told(session: Session | None) -> list[Any]:
    """Return one update for each part of `_Numbers`."""
    if session is None:
        return ["", gr.update(value=None, visible=False), ""]
    analysis, truth = session.analysis, _truth(session)
    if truth is None:
        return [_cards(session), gr.update(value=None, visible=False), drawing.truth_note(None)]
    compared = measures.compare(analysis.prediction, truth)
    chart = drawing.curve_chart(compared.curve)
    finer = thinning(truth, *analysis.rgb.shape[:2])
    return [
        drawing.cards(compared, _difference(session)),
        gr.update(value=chart, visible=compared.contours),
        drawing.truth_note(truth, finer),
    ]


def _cards(session: Session) -> str:
    truth = _truth(session)
    compared = None if truth is None else measures.compare(session.analysis.prediction, truth)
    return drawing.cards(compared, _difference(session))


def _difference(session: Session) -> measures.Difference | None:
    mirrored = session.mirrored
    return None if mirrored is None else measures.difference(session.analysis.prediction, mirrored)


def _truth(session: Session) -> Truth | None:
    return session.truth or known(session.analysis.rgb)


def _mirror(model: DepthPro, session: Session | None) -> Mirrored:
    """Call the network once more; the session may change in the meantime."""
    analysis = require_photo(session).analysis
    try:
        said = measures.mirrored(model, analysis)
    except MemoryError as error:
        raise refusal(error) from None
    return Mirrored(analysis.prediction.canonical_inverse_depth, said)


def _keep(
    session: Session | None,
    what: What,
    ratio: float,
    alignment: Alignment,
    fresh: Mirrored | None,
) -> list[Any]:
    """Put what the network said into the session, if it still is of this photo."""
    if session is None or fresh is None:
        return [gr.skip()] * 7
    if fresh.canonical is session.analysis.prediction.canonical_inverse_depth:
        with session.lock:
            session.mirrored = fresh.prediction
    return [None, *_drawn(session, what, ratio, alignment), _cards(session)]


def _use_file(
    session: Session | None,
    what: What,
    ratio: float,
    alignment: Alignment,
    file: dict[str, Any] | None,
    scale_m: float | None,
) -> list[Any]:
    """Compare with the depth in a file, or say what is wrong with it; without one, no more."""
    if session is None or (file is None and session.truth is None):
        said = figures.problem("Choose the photo first.") if file else ""
        return [*[gr.skip()] * 8, said]
    truth, problem = None, ""
    if file is not None:
        try:
            height, width = session.analysis.rgb.shape[:2]
            # An empty field says 0.
            truth = read_truth(uploaded(file), height, width, scale_m or None)
        except (ValueError, OSError, MemoryError) as error:
            problem = figures.problem(sentence(error))
    with session.lock:
        session.truth = truth
    return [*_drawn(session, what, ratio, alignment), *_told(session), problem]
