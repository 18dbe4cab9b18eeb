"""The tab "Play": one effect at a time, large, with its controls below it."""

import html
import math
from pathlib import Path
from typing import Any, Literal

import gradio as gr

from demo import screen
from demo.pipeline import Predictor
from demo.session import (
    REDRAW,
    Panel,
    Point,
    Session,
    Shared,
    download_on_click,
    refusal,
    require_photo,
)
from demo.tabs.effects import make
from demo.tabs.effects.choices import Choices, Effect, limits_for, rounded
from demo.tabs.effects.files import film_uri, on_squares
from demo.units import PER_METRE, Units
from demo.viewer.viewer import on_click, viewer

_EMPTY = "Choose a photo; then play with it here."
_EFFECTS: dict[Effect, str] = {
    "refocus": "Refocus",
    "move": "Move the camera",
    "sway": "Wiggle",
    "stereo": "Stereo",
    "fog": "Fog",
    "cut": "Cut out",
}
_HINTS: dict[Effect, str] = {
    "refocus": "Tap or click on what should be sharp",
    "move": "Tap or click on what keeps its size in a dolly zoom",
    "sway": "",
    "stereo": "Tap or click on what should lie on the screen",
    "fog": "Tap or click on how far one can see",
    "cut": "Tap or click on what should stay",
}
_DISTANCES: dict[Effect, str] = {
    "refocus": "Focus distance",
    "move": "Dolly zoom keeps the size at",
    "sway": "Distance that stands still",
    "stereo": "Distance of the screen",
}
_USES: dict[Effect, tuple[str, ...]] = {
    "refocus": ("distance_m", "f_number"),
    "move": ("right_m", "up_m", "forward_m", "dolly", "distance_m"),
    "sway": ("distance_m", "sway_m", "film"),
    "stereo": ("distance_m", "eyes_mm", "kind"),
    "fog": ("visibility_m", "colour"),
    "cut": ("near_m", "far_m", "softness"),
}
"""The controls of each effect, in the order of `Choices`."""
_LENGTHS = {
    "distance_m": "Focus distance",
    "right_m": "To the right",
    "up_m": "Up",
    "forward_m": "Forward",
    "sway_m": "Sway to each side",
    "visibility_m": "Visibility",
    "near_m": "Nearest that stays",
    "far_m": "Farthest that stays",
}
_SMALL = ("right_m", "up_m", "forward_m", "sway_m")
"""Lengths in centimetres or inches."""
_AROUND = 0.7, 1.4
"""Nearest and farthest depth that stay around a chosen point, as shares of its depth."""


def build(model: Predictor, shared: Shared) -> Panel:
    """Return the tab."""
    with gr.Tab("Play", id="play") as tab:
        effects = [(label, key) for key, label in _EFFECTS.items()]
        effect = gr.Radio(
            effects, value="refocus", label="Effect", elem_id="play-effect", container=False
        )
        view = viewer("Result", "play-view", _EMPTY, clickable=True)
        other = gr.HTML(visible="hidden", elem_id="play-other")
        note = gr.HTML(elem_id="play-note")
        with gr.Row(elem_id="play-controls"):
            controls = _controls()
        save = gr.Button("Download", interactive=False, elem_id="play-save")
        download = [shared.session, shared.units, effect, *controls.values()]
        download_on_click(save, _write, download)
        shown = gr.State(None)  # folder of the photo, focal length and units of the sliders
    inputs = [effect, *controls.values()]
    results = [view, other, note, save]
    state = [shared.session, shared.units, *inputs]
    for control in controls.values():
        control.input(_redraw, state, results, **REDRAW)
    sliders = [controls[name] for name in _LENGTHS]
    outputs = [*results, *sliders]
    effect.input(_switch, state, [*results, *controls.values()], **REDRAW)
    on_click(view, _point_at, state, outputs)
    return Panel(tab, [*inputs, shown], [*outputs, shown], _show)


def _controls() -> dict[str, Any]:
    """Return the controls of all effects by their names in `Choices`, in its order."""
    films = [("MP4, for all players", "mp4"), ("GIF", "gif")]
    kinds = [("Red-cyan glasses", "anaglyph"), ("Side by side", "side-by-side")]
    made: dict[str, Any] = {}

    def slider(name: str, label: str, least: float, most: float, value: float, step: float) -> None:
        made[name] = gr.Slider(
            least, most, value, step=step, label=label, buttons=[], **_options(name)
        )

    def distance(name: str) -> None:
        slider(name, _label(name, "m"), 0, 10, 1, 0.01)

    for name in ("right_m", "up_m", "forward_m"):
        distance(name)
    made["dolly"] = gr.Checkbox(False, label="Dolly zoom", **_options("dolly"))
    distance("distance_m")
    slider("f_number", "Aperture (f-number)", 0.5, 16, 1.4, 0.1)
    distance("sway_m")
    made["film"] = gr.Radio(films, value="mp4", label="File", **_options("film"))
    slider("eyes_mm", "Distance of the eyes (mm)", 10, 300, 63, 1)
    made["kind"] = gr.Radio(kinds, value="anaglyph", label="For", **_options("kind"))
    distance("visibility_m")
    made["colour"] = gr.ColorPicker("#c8d0d8", label="Colour of the fog", **_options("colour"))
    distance("near_m")
    distance("far_m")
    slider("softness", "Soft edge (% of the distance)", 0, 40, 5, 1)
    return made


def _options(name: str) -> dict[str, Any]:
    return {
        "elem_id": f"play-{name.removesuffix('_m').removesuffix('_mm').replace('_', '-')}",
        "visible": name in _USES["refocus"],
        "min_width": 240,
    }


def _show(session: Session | None, units: Units, *given: Any) -> list[Any]:
    """Draw the chosen effect; a new photo starts with the choices that suit it."""
    *values, shown = given
    if session is None:
        lengths = [gr.skip()] * len(_LENGTHS)
        off = gr.update(interactive=False)
        empty = gr.update(value=screen.empty(_EMPTY), visible=True)
        return [empty, gr.update(value="", visible="hidden"), "", off, *lengths, None]
    now = str(session.folder), session.analysis.f_px, units
    lengths = _lengths(session, units, values, shown)
    by_name = dict(zip(_LENGTHS, lengths, strict=True))
    for place, name in enumerate(Choices._fields):
        if name in by_name:
            values[place] = by_name[name]["value"]
    view, *others = _redraw(session, units, *values)
    view = screen.readout(units) | _value(view)
    if shown is None or shown[0] != now[0]:
        view = screen.photo(session.analysis) | view | {"percent": 3}
    else:
        view |= screen.focal_length(session.analysis)
    return [gr.update(value=view, visible=_visible(values)), *others, *lengths, now]


def _lengths(session: Session, units: Units, values: list[Any], shown: Any) -> list[Any]:
    """Return updates of the sliders of lengths: for a new photo anew, else in other units."""
    limits = limits_for(make.page_scene(session.analysis))
    effect = values[0]
    now = str(session.folder), session.analysis.f_px
    *then, old_units = shown or (None, None, units)
    updates = []
    for name in _LENGTHS:
        least, most, value, step = rounded(limits[name], _size_m(name, units))
        if now == tuple(then):
            given = values[Choices._fields.index(name)]
            value = given * _size_m(name, old_units) / _size_m(name, units)
            value = round(round(value / step) * step, 6) if old_units != units else value
        updates.append(
            gr.update(
                minimum=least,
                maximum=most,
                value=min(max(value, least), most),
                step=step,
                label=_label(name, units, effect),
            )
        )
    return updates


def _switch(session: Session | None, units: Units, *values: Any) -> list[Any]:
    """Show another effect and its controls."""
    effect = values[0]
    updates = []
    for name in Choices._fields[1:]:
        update: dict[str, Any] = {"visible": name in _USES[effect]}
        if name == "distance_m" and effect in _DISTANCES:
            update["label"] = _label(name, units, effect)
        updates.append(gr.update(**update))
    return [*_redraw(session, units, *values), *updates]


def _point_at(point: Point, session: Session | None, units: Units, *values: Any) -> list[Any]:
    """Take the depth at a point of the photo as the distance of the effect."""
    session = require_photo(session)
    scene = make.page_scene(session.analysis)
    rows, columns = scene.inverse.shape
    width, height = session.analysis.prediction.width, session.analysis.prediction.height
    column = min(columns - 1, max(0, int((point[0] + 0.5) * columns / width)))
    row = min(rows - 1, max(0, int((point[1] + 0.5) * rows / height)))
    depth_m = 1 / max(float(scene.inverse[row, column]), 1e-4)
    limits, chosen, updates = limits_for(scene), list(values), []
    for name in _LENGTHS:
        wanted = _at_point(name, values[0], depth_m)
        least, most, _, step = rounded(limits[name], _size_m(name, units))
        if wanted is None:
            updates.append(gr.skip())
            continue
        value = min(max(wanted / _size_m(name, units), least), most)
        value = round(value, max(0, 1 - math.floor(math.log10(step))))
        chosen[Choices._fields.index(name)] = value
        updates.append(gr.update(value=value))
    return [*_redraw(session, units, *chosen), *updates]


def _at_point(name: str, effect: Effect, depth_m: float) -> float | None:
    """Return what a length becomes when a point at this depth is chosen; None leaves it."""
    if name == "distance_m" and effect in _DISTANCES:
        return depth_m
    if name == "visibility_m" and effect == "fog":
        return depth_m
    if name in ("near_m", "far_m") and effect == "cut":
        return depth_m * _AROUND[name == "far_m"]
    return None


def _redraw(session: Session | None, units: Units, *values: Any) -> list[Any]:
    """Return updates of both pictures, the sentence and the button."""
    if session is None:
        return [gr.skip()] * 4
    scene = make.page_scene(session.analysis)
    try:
        chosen = _in_metres(session, units, values)
        view, other = _pictures(session, chosen)
        text = make.sentence(scene, chosen, units)
    except (ValueError, TypeError) as error:
        raise refusal(error) from None
    kind = make.suffix(chosen)[1:].upper().replace("JPG", "JPEG")
    hint = f"{_HINTS[chosen.effect]}; with the keyboard: arrow keys, then Enter."
    return [
        gr.update(value=view | {"hint": hint}, visible=_visible(values)),
        gr.update(value=other, visible=True if other else "hidden"),
        f'<p class="hint" role="status">{html.escape(text)}</p>',
        gr.update(value=f"Download {kind}", interactive=True),
    ]


def _pictures(session: Session, chosen: Choices) -> tuple[dict[str, Any], str]:
    """Return the value of the viewer, and HTML in its place for what has another shape."""
    label = _EFFECTS[chosen.effect]
    if chosen.effect == "sway":
        frames = make.sway(session.analysis, chosen)
        height, width = frames[0].shape[:2]
        play = f'autoplay loop muted playsinline controls style="aspect-ratio: {width} / {height}"'
        uri = film_uri(frames, session.analysis.provenance.notice)
        return {}, f'<video src="{uri}" aria-label="{label}" {play}></video>'
    rgb = make.picture(make.page_scene(session.analysis), chosen)
    if chosen.effect == "stereo" and chosen.kind == "side-by-side":
        uri = screen.picture_uri(rgb, "JPEG")
        return {}, f'<img src="{uri}" alt="Left and right eye side by side">'
    shown = on_squares(rgb) if chosen.effect == "cut" else rgb
    uri = screen.picture_uri(shown, "JPEG")
    return {"over": uri, "overAlt": label, "overName": label}, ""


def _in_metres(session: Session, units: Units, values: Any) -> Choices:
    """Return the choices in metres; what stays ends nowhere at the end of its slider."""
    chosen = Choices(*values)
    lengths = {name: getattr(chosen, name) * _size_m(name, units) for name in _LENGTHS}
    most = rounded(limits_for(make.page_scene(session.analysis))["far_m"], _size_m("far_m", units))
    if chosen.far_m >= most[1]:
        lengths["far_m"] = math.inf
    return chosen._replace(**lengths)


def _write(session: Session, units: Units, *values: Any) -> Path:
    """Write the result as a file."""
    return make.write(session.analysis, session.folder, _in_metres(session, units, values))


def _visible(values: Any) -> bool | Literal["hidden"]:
    """Return whether the viewer is to be seen: some results have another shape than the photo."""
    chosen = Choices(*values)
    beside = chosen.effect == "stereo" and chosen.kind == "side-by-side"
    return "hidden" if beside or chosen.effect == "sway" else True


def _value(update: dict[str, Any]) -> dict[str, Any]:
    return update["value"]


def _size_m(name: str, units: Units) -> float:
    """Return the unit of a slider in metres."""
    small = {"m": 0.01, "ft": 0.0254}
    return small[units] if name in _SMALL else 1 / PER_METRE[units]


def _label(name: str, units: Units, effect: Effect = "refocus") -> str:
    text = _DISTANCES.get(effect, _LENGTHS[name]) if name == "distance_m" else _LENGTHS[name]
    unit = {"m": "cm", "ft": "in"}[units] if name in _SMALL else units
    end = "; end: all" if name == "far_m" else ""
    return f"{text} ({unit}{end})"
