"""The strip above the tabs: a place for a photo of one's own, and the examples."""

import base64
import html
import io
from typing import Any

import gradio as gr
from PIL import Image

from demo import examples

_SIDE = 192  # of a thumbnail, which is shown at half of that

_SCRIPT = """
const buttons = [...element.querySelectorAll('button')];
const mark = () => buttons.forEach((each) => {
  each.setAttribute('aria-pressed', each.dataset.name === props.value.chosen);
});
buttons.forEach((each) => each.addEventListener('click', () => {
  window.depthproPhoto = null; // see hosting.js
  trigger('click', { name: each.dataset.name });
}));
watch('value', mark);
mark();
"""

# The photo stands under the divider at once, and the upload is kept for a restart of the server.
TAKE = """(photo) => {
  window.depthproPhoto = photo?.url;
  if (photo?.url) {
    fetch(photo.url);
    window.dispatchEvent(new CustomEvent('depthpro-photo', { detail: photo.url }));
  }
  return [photo];
}"""
"""What the browser does when a photo is chosen, before the server is asked."""


def upload() -> gr.Image:
    """Return the place for a photo: a file, the clipboard or the camera."""
    return gr.Image(
        label="Your photo",
        type="filepath",
        image_mode=None,
        sources=["upload", "clipboard", "webcam"],
        height=150,
        placeholder="Drop a photo, or choose one",
        elem_id="photo",
    )


def thumbnails() -> gr.HTML:
    """Return the examples as buttons; the value names the one that is shown."""
    buttons = "".join(
        f'<button type="button" data-name="{name}"><img src="{_thumbnail(name)}" alt="">'
        f"<span>{html.escape(title)}</span></button>"
        for name, title in examples.TITLES.items()
    )
    template = f'<div role="group" aria-label="Examples">{buttons}</div>'
    return gr.HTML(chosen(None), html_template=template, js_on_load=_SCRIPT, elem_id="examples")


def chosen(name: str | None) -> dict[str, Any]:
    """Return the value that marks an example, or none."""
    return {"chosen": name}


def name_of(event: gr.EventData) -> str:
    """Return the name of the example that was clicked, as the browser sent it."""
    return str(event._data.get("name")) if isinstance(event._data, dict) else ""


def _thumbnail(name: str) -> str:
    """Return the middle of an example as a data URI."""
    with Image.open(examples.path(name)) as photo:
        side = min(photo.size)
        left, top = (photo.width - side) // 2, (photo.height - side) // 2
        middle = photo.convert("RGB").crop((left, top, left + side, top + side))
    buffer = io.BytesIO()
    middle.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
