"""A short video: choose, watch, and download its depth."""

import secrets
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from demo.figures import problem
from demo.gradio_internals import uploaded
from demo.movies import Film, describe_film
from demo.pipeline import Predictor
from demo.session import PARALLEL, PRIVATE, Shared, sentence
from demo.tabs.many import drawing
from demo.tabs.many.clip import (
    MAX_SECONDS,
    Clip,
    Cut,
    Focal,
    cut_film,
    given_focal,
    median_focal,
    predict,
)
from demo.tabs.many.film import Layout, write_film, write_pictures
from demo.tabs.many.job import Job, Work
from demo.tabs.many.smoothing import MOST, check_strength
from demo.tabs.many.turns import begin, take_turns
from demo.units import Units

_NETWORK_SHARE = 0.8  # of the time; the rest is drawing
_HINT = (
    "Field of view and focal length: 0 takes the median of the network's estimates. Smoothing "
    "blends a frame's depth with the frames before where the scene stands still, and evens the "
    "scale alone where something moves; 0 is off, 0.5 follows changes one frame late, 0.9 nine."
)


@dataclass(eq=False)
class _Show:
    """What the visitor has: the network's maps, and how they were drawn last."""

    clip: Clip | None = None
    focal: Focal | None = None
    smoothing: float = 0.0
    film: Path | None = None
    pictures: Path | None = None


def build(model: Predictor, shared: Shared) -> None:
    """Add the controls to the group that is being built."""
    source = gr.Video(
        label=f"Video: at most {MAX_SECONDS:.0f} s are used, and 100 MB", elem_id="film"
    )
    note = gr.HTML(elem_id="film-note")
    cut, look = _choices()
    with gr.Row(elem_id="film-buttons"):
        start = gr.Button("Make the depth video", variant="primary", elem_id="film-start")
        cancel = gr.Button("Cancel", visible=False, elem_id="film-cancel")
    bar = gr.HTML(elem_id="film-progress")
    result, cards, save, zip_up, save_zip = _results()
    show, job = gr.State(None), gr.State(None)
    outputs = [bar, result, cards, start, cancel, save, zip_up, save_zip]
    turns = take_turns("film", job, [shared.units], outputs, _update)
    options: dict[str, Any] = {"preprocess": False, "concurrency_limit": PARALLEL, **PRIVATE}
    gr.on(
        [source.upload, source.clear, source.stop_recording],
        _look_at,
        [source],
        [note, *cut[:2]],
        **options,
    )
    start.click(
        partial(_start, model),
        [show, shared.units, source, *cut, *look],
        [show, job, *turns, *outputs],
        **options,
    )
    zip_up.click(_zip_up, [show, shared.units], [job, *turns, *outputs], **options)
    cancel.click(_cancel, [job, shared.units], outputs, queue=False, **PRIVATE)


def _choices() -> tuple[list[Component], list[Component]]:
    """Return the controls of the cut (start, length, frames a second) and of the look."""

    def number(value: float, label: str, elem_id: str) -> gr.Number:
        # Gradio shows 0 for no value.
        return gr.Number(value, label=label, minimum=0, elem_id=elem_id, min_width=80)

    with gr.Row(elem_classes=["choices"], elem_id="film-choices"):
        cut = [
            number(0, "Start (s)", "film-start-s"),
            number(MAX_SECONDS, "Length (s)", "film-length-s"),
            gr.Radio(
                [("10", 10), ("15", 15), ("30", 30)],
                value=15,
                label="Frames a second",
                elem_id="film-fps",
                min_width=150,
            ),
        ]
        layout = gr.Radio(
            [("beside", "beside"), ("below", "below"), ("alone", "alone")],
            value="beside",
            label="Where the depth stands",
            elem_id="film-layout",
            min_width=150,
        )
        look = [
            number(0, "Field of view (°)", "film-fov"),
            number(0, "or focal length (px)", "film-f-px"),
            layout,
            gr.Slider(0, MOST, 0.5, step=0.05, label="Smoothing over time", elem_id="film-smooth"),
        ]
    gr.HTML(f'<p class="hint">{_HINT}</p>')
    return cut, look


def _results() -> tuple[gr.Video, gr.HTML, gr.DownloadButton, gr.Button, gr.DownloadButton]:
    """Return the film that was made, its figures, and the buttons for its files."""
    result = gr.Video(
        label="Depth of the video",
        show_label=False,  # it would cover a corner
        interactive=False,
        visible=False,
        loop=True,
        buttons=[],
        elem_id="film-result",
    )
    cards = gr.HTML(elem_id="film-cards")
    with gr.Row(elem_id="film-files"):
        save = gr.DownloadButton(
            "Download the video (MP4)", variant="primary", visible=False, elem_id="film-save"
        )
        zip_up = gr.Button("Make a ZIP of 16-bit PNGs", visible=False, elem_id="film-zip")
        save_zip = gr.DownloadButton(
            "Download the 16-bit PNGs (ZIP)", visible=False, elem_id="film-save-zip"
        )
    return result, cards, save, zip_up, save_zip


def _look_at(source: Any) -> list[Any]:
    """Say what is known of a film, and set the fields of the cut."""
    if source is None:
        return ["", 0, MAX_SECONDS]
    try:
        film = describe_film(uploaded(source, "video"))
    except (ValueError, OSError) as error:
        return [problem(sentence(error)), 0, MAX_SECONDS]
    return [drawing.film_note(film), 0, round(min(film.duration_s, MAX_SECONDS), 3)]


def _start(
    model: Predictor,
    show: _Show | None,
    units: Units,
    source: Any,
    start_s: float | None,
    length_s: float | None,
    fps: int,
    *look: Any,
) -> list[Any]:
    """Begin with a film, or say why not; what the network said already is used again."""
    show = show or _Show()
    fov_deg, f_px, layout, smoothing = look
    try:
        smoothing = check_strength(smoothing)
        if source is None:
            raise ValueError("Choose a video first.")
        film = describe_film(uploaded(source, "video"))
        cut = cut_film(film, start_s or 0.0, length_s or None, float(fps))
        given = given_focal(film, f_px or None, fov_deg or None)
    except (ValueError, OSError) as error:
        return [*[gr.skip()] * 4, problem(sentence(error)), *[gr.skip()] * 7]
    known = show.clip if show.clip and (show.clip.film, show.clip.cut) == (film, cut) else None
    fresh = _Show(known, given, smoothing)
    job = Job(_work(model, fresh, film, cut, layout), fresh)
    return [fresh, job, *begin(job), *_update(job, units)]


def _work(model: Predictor, show: _Show, film: Film, cut: Cut, layout: Layout) -> Work[None]:
    """Call the network unless it was called before, and draw."""
    before = 0.0
    if show.clip is None:
        show.clip = yield from predict(model, film, cut, _NETWORK_SHARE)
        before = _NETWORK_SHARE
    clip, show.focal = show.clip, show.focal or median_focal(show.clip)
    path = _new_path(clip, ".mp4")
    show.film = yield from write_film(clip, show.focal, show.smoothing, layout, path, before)


def _new_path(clip: Clip, suffix: str) -> Path:
    """Return a path that no file had: browsers keep what they have under the old address."""
    return clip.folder.path / secrets.token_hex(4) / f"{clip.film.path.stem[:80]}_depth{suffix}"


def _zip_up(show: _Show | None, units: Units) -> list[Any]:
    """Begin to write the pictures of the film that is shown."""
    if show is None or show.clip is None or show.focal is None:
        return [gr.skip()] * 11
    clip, focal = show.clip, show.focal

    def work() -> Work[None]:
        path = _new_path(clip, ".zip")
        show.pictures = yield from write_pictures(clip, focal, show.smoothing, path)

    job = Job(work(), show)
    return [job, *begin(job), *_update(job, units)]


def _cancel(job: Job | None, units: Units) -> list[Any]:
    if job is None:
        return [gr.skip()] * 8
    job.cancel()
    return _update(job, units)


def _update(job: Job, units: Units) -> list[Any]:
    """Return updates of progress, result, cards and the buttons."""
    show: _Show = job.product
    going = not job.over and not job.cancelled
    film, pictures = (path and str(path) for path in (show.film, show.pictures))
    cards = ""
    if film and show.clip and show.focal:
        cards = drawing.clip_cards(show.clip, show.focal, units)
    return [
        drawing.progress(job, "" if job.cancelled else "Done."),
        gr.skip() if film and going else gr.update(visible=bool(film), value=film),
        cards,
        gr.update(visible=not going),
        gr.update(visible=going),
        gr.update(visible=bool(film), value=film),
        gr.update(visible=bool(film) and not pictures and not going),
        gr.update(visible=bool(pictures), value=pictures),
    ]
