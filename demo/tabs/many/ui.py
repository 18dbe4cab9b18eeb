"""The tab "Many & video": several photos at once, or a short video."""

from typing import Any, Literal

import gradio as gr

from demo.pipeline import Predictor
from demo.session import PRIVATE, Panel, Shared
from demo.tabs.many import film_ui, photos_ui

_What = Literal["photos", "film"]


def build(model: Predictor, shared: Shared) -> Panel:
    """Return the tab, which needs no photo on the left."""
    with gr.Tab("Many & video", id="many") as tab:
        what = gr.Radio(
            [("Several photos", "photos"), ("A short video", "film")],
            value="photos",
            label="What to make depth of",
            container=False,
            elem_id="many-what",
        )
        with gr.Column(elem_id="many-photos") as several:
            photos_ui.build(model, shared)
        with gr.Column(visible=False, elem_id="many-film") as film:
            film_ui.build(model, shared)
    what.input(_choose, what, [several, film], queue=False, **PRIVATE)
    return Panel(tab, [], [], _show)


def _choose(what: _What) -> list[Any]:
    return [gr.update(visible=what == each) for each in ("photos", "film")]


def _show(*_: Any) -> list[Any]:
    """Change nothing: what is shown here does not depend on the photo on the left."""
    return []
