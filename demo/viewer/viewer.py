"""A component of a photo and a second picture, with numbers under the pointer, and clicks.

Its values are those of `demo.screen`, its behaviour is in `viewer.js`.
"""

import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from demo import screen
from demo.session import Point

_FOLDER = Path(__file__).parent


def viewer(label: str, elem_id: str, empty: str, *, clickable: bool = False) -> gr.HTML:
    """Return the component, with a label for screen readers and a sentence in place of no photo.

    If it is `clickable`, a click, or Enter at the crosshair, chooses a point; see `on_click`.
    """
    template = (_FOLDER / "viewer.html").read_text(encoding="utf-8")
    script = (_FOLDER / "viewer.js").read_text(encoding="utf-8")
    # Not as props: Gradio drops them where a tab is opened for the first time.
    return gr.HTML(
        screen.empty(empty),
        html_template=template.replace("LABEL", html.escape(label)),
        js_on_load=f"const CLICKABLE = {json.dumps(clickable)};\n{script}",
        elem_id=elem_id,
        elem_classes=["viewer"],
    )


def on_click(view: gr.HTML, handler: Callable[..., Any], inputs: Any, outputs: Any) -> Any:
    """Call `handler(point, *inputs)` when a point of the photo is chosen; return the event."""

    def chosen(event: gr.EventData, *values: Any) -> Any:
        return handler(_point(event), *values)

    return view.click(
        chosen,
        inputs,
        outputs,
        show_progress="hidden",
        api_visibility="private",
        queue=True,
        trigger_mode="multiple",  # else who clicks fast loses points
    )


def _point(event: gr.EventData) -> Point:
    data = event._data if isinstance(event._data, dict) else {}
    return float(data["x"]), float(data["y"])
