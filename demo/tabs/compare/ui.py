"""The tab "Compare": two photos, two sets of weights, or a depth file, side by side."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from demo import figures, pipeline, screen
from demo.gradio_internals import uploaded
from demo.pipeline import Analysis, Predictor
from demo.session import NETWORK, REDRAW, Panel, Session, Shared, sentence
from demo.tabs.compare import compare as comparing
from demo.tabs.compare import drawing, weights
from demo.tabs.compare.compare import Kind, Other
from demo.tabs.sharpness.truth import SUFFIXES, Truth, known, read_truth
from demo.units import Units
from demo.viewer.viewer import viewer

_EMPTY = "Choose a photo to compare its depth."
_NO_OTHER = "Choose below what to compare it with."
_KINDS: list[tuple[str, Kind]] = [
    ("Another photo", "photo"),
    ("Other weights", "weights"),
    ("A depth file", "file"),
]
_LABELS: dict[Kind, tuple[str, list[str]]] = {
    "photo": ("Another photo", ["image", ".heic", ".heif"]),
    "weights": ("Weights: .safetensors of save_pretrained, deleted after use", [".safetensors"]),
    "file": ("Depth of this photo: NPZ, NPY, PFM, or grey PNG or TIFF", list(SUFFIXES)),
}
_OWN = "a file of mine"
# What is read at one side is read at the other one, too, if both show the same photo.
_LINK = """
const stages = ['#compare-a .stage', '#compare-b .stage'];
const other = (event) => {
  if (!event.isTrusted || !element.querySelector('[data-linked]')) return null;
  const from = stages.findIndex((name) => event.target.closest?.(name));
  const found = from < 0 ? null : document.querySelector(stages[1 - from]);
  return found && [document.querySelector(stages[from]), found];
};
for (const name of ['pointermove', 'pointerdown']) {
  document.addEventListener(name, (event) => {
    const pair = other(event);
    if (!pair) return;
    const [from, to] = pair.map((stage) => stage.getBoundingClientRect());
    pair[1].dispatchEvent(new PointerEvent('pointermove', {
      clientX: to.left + ((event.clientX - from.left) / from.width) * to.width,
      clientY: to.top + ((event.clientY - from.top) / from.height) * to.height,
      isPrimary: event.isPrimary, pointerType: event.pointerType,
    }));
  });
}
document.addEventListener('pointerout', (event) => {
  const pair = other(event);
  if (!pair || pair[0].contains(event.relatedTarget)) return;
  pair[1].dispatchEvent(new PointerEvent('pointerleave', { pointerType: event.pointerType }));
});
document.addEventListener('keydown', (event) => {
  const pair = other(event);
  if (pair) pair[1].dispatchEvent(new KeyboardEvent('keydown', event));
});
"""


def build(model: Predictor, shared: Shared) -> Panel:
    """Return the tab."""
    with gr.Tab("Compare", id="compare") as tab:
        sides = _sides()
        numbers = gr.HTML(elem_id="compare-numbers", js_on_load=_LINK)
        with gr.Column(visible=False) as differing:
            view = viewer("Photo with differences", "compare-view", _EMPTY)
            legend = gr.HTML(elem_id="compare-legend")
            aligned = gr.Checkbox(
                label="Scale B to the median of A", value=False, elem_id="compare-aligned"
            )
        facts = gr.HTML(elem_id="compare-facts")
        controls = what, name, file, scale_m, problem = _controls(model)
    drawn = [*sides, numbers, differing, view, legend, facts]
    state = [shared.session, shared.units, aligned]
    what.input(partial(_choose, model), what, list(controls[1:]), **REDRAW)
    aligned.input(_difference, [shared.session, aligned], [view, legend], **REDRAW)
    name.input(_offer_file, name, [file], **REDRAW)
    given = [shared.session, what, name, file, scale_m]
    for triggers, by_network in (
        ([file.upload, name.input], True),
        ([file.clear, file.delete, scale_m.submit, scale_m.blur], False),
    ):
        gr.on(
            triggers,
            partial(_take, model, by_network),
            given,
            [problem],
            show_progress_on=[sides[3]],
            preprocess=False,  # would open any path that a client sends
            api_visibility="private",
            **NETWORK,
        ).then(_redraw, state, drawn, **REDRAW)
    return Panel(tab, [aligned], [*drawn, name, file, problem], _show)


def _sides() -> list[gr.HTML]:
    """Return headings and pictures of both sides, and the colour bar below them."""
    parts = []
    with gr.Row(elem_id="compare-sides"):
        for letter in ("a", "b"):
            with gr.Column(min_width=220):
                parts.append(gr.HTML(elem_id=f"compare-title-{letter}"))
                label = f"Depth {letter.upper()}"
                parts.append(viewer(label, f"compare-{letter}", _EMPTY))
    return [*parts, gr.HTML(elem_id="compare-bar")]


def _controls(model: Predictor) -> tuple[gr.Radio, gr.Radio, gr.File, gr.Number, gr.HTML]:
    what = gr.Radio(_KINDS, value="photo", label="Compare with", elem_id="compare-what")
    names = [*weights.choices(model), _OWN]
    label, types = _LABELS["photo"]
    return (
        what,
        gr.Radio(names, label="Weights", visible=False, elem_id="compare-weights"),
        gr.File(label=label, file_types=types, height=110, elem_id="compare-file"),
        gr.Number(
            label="Metres of one step",
            info="Of whole numbers, where the file does not say it: 0.001 for millimetres.",
            value=None,
            visible=False,
            elem_id="compare-scale-m",
        ),
        gr.HTML(elem_id="compare-problem"),
    )


def _choose(model: Predictor, what: Kind) -> list[Any]:
    """Show the controls of a kind; a choice of weights only if there is one beside a file."""
    label, types = _LABELS[what]
    named = what == "weights" and bool(weights.choices(model))
    return [
        gr.update(visible=named, value=None),
        gr.update(label=label, file_types=types, value=None, visible=not named),
        gr.update(visible=what == "file", value=None),
        "",
    ]


def _offer_file(name: str) -> Any:
    return gr.update(visible=name == _OWN, value=None)


def _take(
    model: Predictor,
    by_network: bool,
    session: Session | None,
    what: Kind,
    name: str | None,
    file: dict[str, Any] | None,
    scale_m: float | None,
) -> Any:
    """Keep what the visitor chose in the session, or explain why that is impossible."""
    if session is None:
        return figures.problem("Choose the photo first.") if file else ""
    named = what == "weights" and name in weights.choices(model)
    if file is None and not named:
        other = None
    elif not by_network and what != "file":
        return gr.skip()
    else:
        try:
            path = None if named else uploaded(file)
            other = _other(model, session, what, name, path, scale_m or None)
        except (ValueError, OSError, MemoryError, RuntimeError, gr.Error) as error:
            return figures.problem(sentence(getattr(error, "message", None) or error))
    with session.lock:
        session.other = other
    return ""


def _other(
    model: Predictor,
    session: Session,
    what: Kind,
    name: str | None,
    path: Path | None,
    scale_m: float | None,
) -> Other:
    """Return what the visitor chose: by `path`, or weights by `name`."""
    analysis = session.analysis
    if what == "weights":
        device = str(model.device)
        second = weights.load_file(path, device) if path else weights.load(str(name), device)
        return Other(what, second.provenance.name, comparing.with_weights(second, analysis))
    if path is None:
        raise ValueError("Choose a file first.")
    if what == "file":
        height, width = analysis.rgb.shape[:2]
        return comparing.of_file(analysis, read_truth(path, height, width, scale_m))
    photo = pipeline.analyse(model, path)
    return Other(what, photo.name, photo)


def _show(session: Session | None, units: Units, aligned: bool) -> list[Any]:
    """Draw everything; a new photo has nothing to be compared with."""
    kept = session is not None and session.other is not None
    choices = [gr.skip() if kept else gr.update(value=None)] * 2
    return [*_redraw(session, units, aligned), *choices, ""]


def _redraw(session: Session | None, units: Units, aligned: bool) -> list[Any]:
    """Return updates of both sides, the bar, the numbers, the difference and the facts."""
    if session is None:
        nothing = screen.empty(_EMPTY)
        return ["", nothing, "", nothing, "", "", gr.update(visible=False), nothing, "", ""]
    analysis, other = session.analysis, _current(session)
    pictures = comparing.pictures(analysis, other)
    titles = _titles(analysis, other)
    first = drawing.side(analysis, pictures.a, titles[0], units)
    bar = drawing.range_bar(pictures, units)
    head = drawing.heading("A", titles[0])
    if other is None:
        second, none = screen.empty(_NO_OTHER), gr.update(visible=False)
        return [head, first, drawing.heading("B", "–"), second, bar, "", none, gr.skip(), "", ""]
    second = drawing.side(other.analysis, pictures.b, titles[1], units)
    same = other.kind != "photo"
    numbers = ""
    if same:
        agreement = comparing.agreement(comparing.maps(analysis, other))
        numbers = f"<div data-linked>{drawing.cards(agreement)}</div>"
    view, legend = _difference(session, aligned)
    if same:
        view = screen.photo(analysis) | screen.readout(units) | view
    truths = [_truth(session), _other_truth(session, other)]
    pairs = zip((analysis, other.analysis), truths, strict=True)
    facts = drawing.facts(analysis, other, [drawing.score(*pair) for pair in pairs], units)
    return [
        *(head, first, drawing.heading("B", titles[1]), second, bar, numbers),
        *(gr.update(visible=same), view, legend, facts),
    ]


def _difference(session: Session | None, aligned: bool) -> list[Any]:
    """Return updates of the difference and of its legend."""
    other = None if session is None else _current(session)
    if session is None or other is None or other.kind == "photo":
        return [gr.skip(), ""]
    maps = comparing.maps(session.analysis, other)
    share = comparing.difference(maps, aligned)
    layer, legend = drawing.difference_layer(share, aligned)
    over = screen.overlay(layer, "Differences in colours")
    return [over | {"overName": "Difference"}, legend]


def _current(session: Session) -> Other | None:
    """Return what the visitor chose, else the true depth of an example.

    The metres of a photo, and so of its depth by other weights, follow the focal length in use.
    """
    other, analysis = session.other, session.analysis
    if other is None:
        truth = known(analysis.rgb)
        if truth is None:
            return None
        return replace(comparing.of_file(analysis, truth), title=f"true depth, {truth.title}")
    if other.kind == "file" and other.file is not None:
        return comparing.of_file(analysis, other.file)
    if other.kind == "weights":
        own = other.analysis.estimated_f_px
        f_px = own if own and analysis.source == "network" else analysis.f_px
        return comparing.at_focal(other, f_px)
    return other


def _titles(analysis: Analysis, other: Other | None) -> tuple[str, str]:
    """Return what the sides show: the photos' names, or what predicts the depth of one photo."""
    if other is None or other.kind == "photo":
        return analysis.name, "" if other is None else other.title
    return f"weights {analysis.provenance.name}", other.title


def _truth(session: Session) -> Truth | None:
    return session.truth or known(session.analysis.rgb)


def _other_truth(session: Session, other: Other) -> Truth | None:
    """Return the truth that the other side is measured by, which is never itself."""
    if other.kind == "photo":
        return known(other.analysis.rgb)
    truth = _truth(session)
    return None if session.other is None or other.file is truth else truth
