"""The tab "Sharpness": contours, errors where true depth is known, and flip consistency."""

from functools import partial
from typing import Any, Literal

import gradio as gr

from demo import figures, screen
from demo.gradio_internals import uploaded
from demo.pipeline import Predictor
from demo.session import (
    NETWORK,
    PARALLEL,
    PRIVATE,
    REDRAW,
    Panel,
    Session,
    Shared,
    refusal,
    require_photo,
    sentence,
)
from demo.tabs.sharpness import drawing
from demo.tabs.sharpness import sharpness as measures
from demo.tabs.sharpness.truth import SUFFIXES, Truth, known, read_truth
from demo.units import Units
from demo.viewer.viewer import viewer
from depthpro import Prediction

Layer = Literal["contours", "error", "mirror"]
Alignment = Literal["metric", "scaled"]

_EMPTY = "Choose a photo to see where its depth jumps."
_LAYERS: list[tuple[str, Layer]] = [
    ("Contours", "contours"),
    ("Error", "error"),
    ("Flip consistency", "mirror"),
]
_NO_TRUTH = "No errors can be shown, since the true depth of this photo is not known; see below."
_NOT_MIRRORED = (
    "A reliable network predicts the same for the photo and for its mirror image. To compare them, "
    "the network is called once more."
)
_PHOTO_ALONE = {"over": None, "svg": ""}


def build(model: Predictor, shared: Shared) -> Panel:
    """Return the tab."""
    with gr.Tab("Sharpness", id="sharpness") as tab:
        layer = gr.Radio(
            _LAYERS, value="contours", label="Show", elem_id="sharp-what", container=False
        )
        picture = view, _, ratio, alignment, run = _picture()
        cards = gr.HTML(elem_id="sharp-cards")
        truth = gr.HTML(elem_id="truth")
        file, scale_m, problem = _upload()
        note = gr.HTML(drawing.limits(model.provenance), elem_id="sharp-note")
    choices = [layer, ratio, alignment]
    numbers = [cards, truth]
    triggers = [layer.input, ratio.change, alignment.input]
    gr.on(triggers, _redraw, [shared.session, *choices], list(picture), **REDRAW)
    run.click(
        partial(_mirror, model),
        shared.session,
        None,
        show_progress_on=[view],
        api_visibility="private",
        **NETWORK,
    ).success(
        lambda session, *choices: [*_redraw(session, *choices), *_numbers(session)],
        [shared.session, *choices],
        [*picture, *numbers],
        concurrency_limit=PARALLEL,
        **PRIVATE,
    )
    gr.on(
        [file.upload, file.clear, file.delete, scale_m.submit, scale_m.blur],
        _use_file,
        [shared.session, *choices, file, scale_m],
        [*picture, *numbers, problem],
        concurrency_limit=PARALLEL,
        show_progress="hidden",
        api_visibility="private",
        preprocess=False,  # would open any path that a client sends
    )
    return Panel(tab, choices, [*picture, *numbers, file, problem, note], _show)


def _picture() -> tuple[gr.HTML, gr.HTML, gr.Slider, gr.Radio, gr.Button]:
    """Return the picture, its legend, and controls of single layers."""
    return (
        viewer("Photo with contours or errors", "sharp-view", _EMPTY),
        gr.HTML(elem_id="sharp-legend"),
        gr.Slider(
            1.02,
            1.5,
            value=measures.LEAST_RATIO,
            step=0.01,
            label="Ratio t of neighbouring depths that makes a contour",
            elem_id="ratio",
        ),
        gr.Radio(
            [("metric depth", "metric"), ("depth scaled by the median", "scaled")],
            value="metric",
            label="Error of",
            visible=False,
            elem_id="alignment",
        ),
        gr.Button("Compare with the mirrored photo", visible=False, elem_id="mirror"),
    )


def _upload() -> tuple[gr.File, gr.Number, gr.HTML]:
    with gr.Accordion("Compare with depth of your own", open=False, elem_id="own-truth"):
        return (
            gr.File(
                label="True depth: NPZ, NPY, PFM, or grey PNG or TIFF; any size, the photo's shape",
                file_types=list(SUFFIXES),
                height=110,
                elem_id="truth-file",
            ),
            gr.Number(
                label="Metres of one step",
                info="Of whole numbers, where the file does not say it: 0.001 for millimetres.",
                value=None,
                elem_id="scale-m",
            ),
            gr.HTML(elem_id="truth-problem"),
        )


def _show(
    session: Session | None, units: Units, layer: Layer, ratio: float, alignment: Alignment
) -> list[Any]:
    """Draw everything; without an uploaded truth the file's field is emptied."""
    file = gr.skip() if session is not None and session.truth is not None else gr.update(value=None)
    picture, numbers = _redraw(session, layer, ratio, alignment), _numbers(session)
    if session is None:
        return [screen.empty(_EMPTY), *picture[1:], *numbers, file, "", gr.skip()]
    picture[0] = screen.photo(session.analysis) | screen.readout(units) | picture[0]
    return [*picture, *numbers, file, "", drawing.limits(session.analysis.provenance)]


def _redraw(
    session: Session | None, layer: Layer, ratio: float | None, alignment: Alignment
) -> list[Any]:
    """Return one update for each part of `_picture`."""
    can_run = layer == "mirror" and session is not None and session.mirrored is None
    visible = (layer == "contours", layer == "error", can_run)
    view, legend = _PHOTO_ALONE, ""
    if session is not None:
        prediction = session.analysis.prediction
        if layer == "error":
            view, legend = _errors(prediction, _truth(session), alignment == "scaled")
        elif layer == "mirror":
            view, legend = _differences(prediction, session.mirrored)
        else:
            ratio = ratio or measures.LEAST_RATIO
            contours = measures.contours(prediction, ratio, _truth(session))
            view = {"over": None, "svg": drawing.contour_layer(contours)}
            legend = drawing.contour_legend(contours, ratio)
    return [view, legend, *(gr.update(visible=each) for each in visible)]


def _errors(prediction: Prediction, truth: Truth | None, scaled: bool) -> tuple[Any, str]:
    if truth is None:
        return _PHOTO_ALONE, figures.problem(_NO_TRUTH)
    error = measures.error_map(prediction, truth, scaled)
    colours, legend = drawing.error_layer(error, scaled)
    layer = screen.overlay(colours, "Errors of depth in colours")
    return layer | {"overName": "Error", "svg": ""}, legend


def _differences(prediction: Prediction, mirrored: Prediction | None) -> tuple[Any, str]:
    if mirrored is None:
        return _PHOTO_ALONE, f'<p class="hint">{_NOT_MIRRORED}</p>'
    colours, legend = drawing.difference_layer(measures.difference(prediction, mirrored))
    layer = screen.overlay(colours, "Difference to the mirror image in colours")
    return layer | {"overName": "Change", "svg": ""}, legend


def _numbers(session: Session | None) -> list[Any]:
    """Return updates of the cards and of the note on the truth."""
    comparison, difference, truth = None, None, None
    if session is not None:
        prediction, truth = session.analysis.prediction, _truth(session)
        if truth is not None:
            comparison = measures.compare(prediction, truth)
        if session.mirrored is not None:
            difference = measures.difference(prediction, session.mirrored)
    note = "" if session is None else drawing.truth_note(truth)
    return [drawing.cards(comparison, difference), note]


def _truth(session: Session) -> Truth | None:
    return session.truth or known(session.analysis.rgb)


def _mirror(model: Predictor, session: Session | None) -> None:
    """Call the network once more; a new photo would have a new session."""
    session = require_photo(session)
    try:
        mirrored = measures.mirrored(model, session.analysis)
    except MemoryError as error:
        raise refusal(error) from None
    with session.lock:
        session.mirrored = mirrored


def _use_file(
    session: Session | None,
    layer: Layer,
    ratio: float,
    alignment: Alignment,
    file: dict[str, Any] | None,
    scale_m: float | None,
) -> list[Any]:
    """Compare with the depth in a file, or explain why that is impossible."""
    if session is None or (file is None and session.truth is None):
        return [*[gr.skip()] * 7, figures.problem("Choose the photo first.") if file else ""]
    truth, problem = None, ""
    if file is not None:
        try:
            height, width = session.analysis.rgb.shape[:2]
            # An empty field gives 0.
            truth = read_truth(uploaded(file), height, width, scale_m or None)
        except (ValueError, OSError, MemoryError) as error:
            problem = figures.problem(sentence(error))
    with session.lock:
        session.truth = truth
    return [*_redraw(session, layer, ratio, alignment), *_numbers(session), problem]
