"""A picture to look at closely: photo | second picture, numbers under the pointer, clicks.

A custom component of plain HTML: what it shows is `demo.screen`'s, how it behaves `viewer.js`'s.
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
    """Return the component; listen with `on_click` if it is `clickable`.

    Args:
        label: What screen readers call it.
        elem_id: Its id in the page.
        empty: The sentence that it shows before there is a photo.
        clickable: Whether a click, or Enter at the crosshair, chooses a point.
    """
    template = (_FOLDER / "viewer.html").read_text(encoding="utf-8")
    script = (_FOLDER / "viewer.js").read_text(encoding="utf-8")
    # Not as props: Gradio drops them where a tab is opened for the first time.
    return gr.HTML(
        screen.nothing(empty),
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
