"""Links that open an example, a tab and settings; and settings that the browser remembers.

A link is the page's address with a query such as `?tab=measure&example=room&units=ft`. A setting
is named by its component's `elem_id`. What nobody knows is left out: an example is only ever one of
the page's own, by its name, and a setting only one of its component's choices.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import gradio as gr
import numpy as np
from gradio.components import Component

from demo.session import PRIVATE, REDRAW, Panel, Session, Shared
from depthpro import load_image
from depthpro.viz import DepthRange

_KEY = "depthpro-settings"  # in the browser's storage
_SIMPLE = (gr.Radio, gr.Dropdown, gr.Slider, gr.Checkbox, gr.CheckboxGroup)
_REMEMBER = "(value, kept) => ({ ...kept, %s: String(value) })"
# The address is the browser's: the server does not know what lies before it. Where a page may not
# write to the clipboard, the selected text can be copied.
_COPY = """
async (query) => {
  const link = new URL(`?${query}`, window.location.href.split(/[?#]/)[0]).href;
  try { await navigator.clipboard.writeText(link); }
  catch {
    setTimeout(() => {
      document.querySelector('#share-link textarea, #share-link input')?.select();
      document.execCommand('copy');
    }, 200);
  }
  return link;
}
"""
_NO_PHOTO = "Copied: the tab and the settings, not your photo, which stays with you."
_COPIED = "Copied: the example, the tab and the settings."


class Share(NamedTuple):
    """The button, and the field that shows the link."""

    button: gr.Button
    link: gr.Textbox


class Opened(NamedTuple):
    """What happens when the page is opened."""

    event: Any
    """Ends when the settings are applied; more can follow by `event.then`."""
    example: gr.State
    """Name of the example that the link asks for, or None; its `change` event follows."""


def share() -> Share:
    """Return the button "Share this view", and below it the field for the link."""
    return Share(
        gr.Button("Share this view", size="sm", elem_id="share"),
        gr.Textbox(
            label="Link to this view",
            visible=False,
            interactive=False,
            max_lines=1,
            buttons=["copy"],
            elem_id="share-link",
        ),
    )


def wire(
    page: gr.Blocks,
    shared: Shared,
    panels: Sequence[Panel],
    tabs: gr.Tabs,
    active: gr.State,
    share: Share,
    examples: Mapping[str, Path],
) -> Opened:
    """Apply links and remembered settings when the page is opened, and make links of its state.

    `active` holds the number of the open tab; `examples` are the photos that a link may ask for. Of
    what a link says nothing, the remembered settings count; none of them if it has settings.
    """
    known = settings(shared, panels)
    names = [panel.tab.id for panel in panels]
    kept, example = gr.BrowserState({}, storage_key=_KEY, secret=_KEY), gr.State(None)

    def apply(remembered: Any, request: gr.Request) -> list[Any]:
        query = dict(request.query_params)
        own = read(query, known)
        if not own and isinstance(remembered, dict):
            own = read(remembered, known)
        tab, wanted = query.get("tab"), query.get("example")
        opened = [gr.skip()] * 2
        if tab in names:
            opened = [gr.Tabs(selected=tab), names.index(tab)]
        values = [own.get(name, gr.skip()) for name in known]
        return [*opened, wanted if wanted in examples else None, *values]

    def address(session: Session | None, number: int, *values: Any) -> Any:
        name = None if session is None else _example(session, examples)
        query = {"tab": names[number], **({"example": name} if name else {})}
        query |= write(dict(zip(known, values, strict=True)), known)
        info = _NO_PHOTO if session is not None and name is None else _COPIED
        return gr.Textbox(urlencode(query, safe=","), info=info, visible=True)

    event = page.load(apply, kept, [tabs, active, example, *known.values()], **REDRAW)
    copied = share.button.click(
        address, [shared.session, active, *known.values()], share.link, **REDRAW
    )
    copied.then(None, share.link, share.link, js=_COPY, **PRIVATE)
    for name, component in known.items():
        if isinstance(component, _SIMPLE):
            script = _REMEMBER % json.dumps(name)
            component.input(None, [component, kept], kept, js=script, **PRIVATE)
    return Opened(event, example)


def _example(session: Session, examples: Mapping[str, Path]) -> str | None:
    """Return the name of the example that is shown; None for a photo that was uploaded."""
    name, rgb = session.analysis.name, session.analysis.rgb
    path = examples.get(name)
    return name if path is not None and np.array_equal(load_image(path).rgb, rgb) else None


def settings(shared: Shared, panels: Sequence[Panel]) -> dict[str, Component]:
    """Return what links set, by name: the units, every simple input of a tab, and its `settings`.

    A simple input is a choice, a slider or a box to tick that has an `elem_id`.
    """
    inputs = [shared.units, *(each for panel in panels for each in panel.inputs)]
    simple = {each.elem_id: each for each in inputs if isinstance(each, _SIMPLE) and each.elem_id}
    return simple | {name: state for panel in panels for name, state in panel.settings}


def read(texts: Mapping[str, Any], known: Mapping[str, Component]) -> dict[str, Any]:
    """Return the values of known settings from their texts, without what is not allowed."""
    found = {name: _read(known[name], str(text)) for name, text in texts.items() if name in known}
    return {name: value for name, value in found.items() if value is not None}


def write(values: Mapping[str, Any], known: Mapping[str, Component]) -> dict[str, str]:
    """Return texts from which `read` gives the values: of the units and of all that was changed."""
    automatic = values.get("range") == "automatic"  # the range follows from the photo
    return {
        name: _write(value)
        for name, value in values.items()
        if value is not None
        and not (automatic and isinstance(value, DepthRange))
        and (name == "units" or value != getattr(known[name], "value", None))
    }


def _write(value: Any) -> str:
    """Return what JavaScript's `String` gives; a range as its ends."""
    if isinstance(value, DepthRange):
        return f"{value.near_m:.6g},{value.far_m:.6g}"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def _read(component: Component, text: str) -> Any:
    """Return a value for the component; None if it cannot have it."""
    if isinstance(component, gr.Checkbox):
        return {"true": True, "false": False}.get(text)
    if isinstance(component, gr.Slider):
        value = _number(text)
        if value is None or not component.minimum <= value <= component.maximum:
            return None
        return int(value) if value.is_integer() else value
    if isinstance(component, gr.CheckboxGroup):
        chosen = [each for each in text.split(",") if each]
        return chosen if set(chosen) <= {value for _, value in component.choices} else None
    if isinstance(component, gr.Radio | gr.Dropdown):
        return next((value for _, value in component.choices if str(value) == text), None)
    near_m, far_m = (_number(end) for end in (*text.split(","), "", "")[:2])
    if near_m is None or far_m is None or not 0 < near_m < far_m:
        return None
    return DepthRange(near_m, far_m)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
