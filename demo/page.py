"""The page: a strip to choose a photo from, and the tabs below it."""

import asyncio
import itertools
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.themes import Default
from starlette.middleware import Middleware

from demo import examples, export, figures, hosting, lessons, links, pipeline, preview, strip
from demo.api import programs
from demo.gradio_internals import uploaded
from demo.learn.routes import routes
from demo.network import Network, counting, loaded
from demo.session import (
    KEEP_S,
    NETWORK,
    PRIVATE,
    REDRAW,
    Panel,
    Session,
    Shared,
    download_on_click,
    sentence,
)
from demo.tabs.compare import ui as compare
from demo.tabs.depth import ui as depth
from demo.tabs.effects import ui as effects
from demo.tabs.focal import ui as focal
from demo.tabs.many import ui as many
from demo.tabs.measure import ui as measure
from demo.tabs.sharpness import ui as sharpness
from demo.tabs.view3d import ui as view3d
from demo.tabs.view3d.scene import first_scene
from demo.units import Units
from demo.viewer3d.viewer3d import empty, viewer3d
from depthpro import DepthPro

_TABS = (
    depth,
    focal,
    view3d,
    measure,
    effects,
    sharpness,
    compare,
    many,
)
_PROGRESS = gr.Progress()
_REDRAW_OPEN_TAB = """() => [...document.querySelectorAll('.redraw')]
  .find((each) => each.closest('[role=tabpanel]').offsetParent)?.click()"""
# Where people want less motion, a film waits until it is started by hand.
_STILL = """document.addEventListener('play', ({ target }) => {
  if (!target.autoplay || !matchMedia('(prefers-reduced-motion: reduce)').matches) return;
  target.autoplay = false;
  target.pause();
}, true);"""
_TURN = "The photo in 3D appears here."
# The theme's own are too pale to read: at least 4.5 to 1.
_CONTRAST: dict[str, Any] = {
    "body_text_color_subdued": "*neutral_600",
    "body_text_color_subdued_dark": "*neutral_400",
    "block_label_text_color": "*neutral_600",
    "block_label_text_color_dark": "*neutral_300",
    "block_info_text_color": "*neutral_600",
    "block_info_text_color_dark": "*neutral_400",
    "block_title_text_color": "*neutral_700",
    "button_primary_background_fill": "*primary_700",
    "button_primary_background_fill_dark": "*primary_700",
    "button_primary_background_fill_hover": "*primary_800",
    "button_primary_background_fill_hover_dark": "*primary_800",
    "input_placeholder_color": "*neutral_500",
    "input_placeholder_color_dark": "*neutral_400",
}


def serve(
    page: gr.Blocks,
    host: str | None = None,
    port: int | None = None,
    accounts: list[tuple[str, str]] | None = None,
) -> None:
    """Serve the page until it is stopped, and delete its visitors' files.

    The defaults of host and port are GRADIO_SERVER_NAME and GRADIO_SERVER_PORT, else this machine
    only, and the first free port from 7860. With accounts, visitors and programs have to log in.
    """
    # Spaces and servers stop a process by this signal, which would end it without cleaning up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        page.launch(server_name=host, server_port=port, **launch_options(accounts))


def launch_options(accounts: list[tuple[str, str]] | None = None) -> dict[str, Any]:
    """Return arguments of `launch`: the page's looks and limits, and a login if accounts are given.

    They are good for one launch, since Gradio changes them.
    """
    return {
        "theme": Default(
            primary_hue="teal",
            neutral_hue="slate",
            font=["system-ui", "sans-serif"],  # named fonts would be fetched from outside
            font_mono=["ui-monospace", "monospace"],
        ).set(**_CONTRAST),
        "css": (Path(__file__).parent / "page.css").read_text(encoding="utf-8"),
        # Gradio puts `css` inside the page's margins; narrower ones for phones come from outside.
        "head": '<link rel="icon" href="favicon.ico"><style>@media (max-width: 767px) '
        "{ .gradio-container .main.fillable { padding: 12px !important; } }</style>"
        f"<script>{_STILL}</script>",
        "max_file_size": "100mb",
        "footer_links": ["api", "gradio"],
        "run_history": False,
        "ssr_mode": False,
        "auth": accounts,
        # Gradio's MCP server lets everybody in, and cannot log in itself. Without the package
        # Gradio would only print that it is missing.
        "mcp_server": accounts is None and find_spec("mcp") is not None,
        # Each holds some 50 MB with a photo of 12 megapixels, and Gradio forgets none for its age.
        "state_session_capacity": 100,
        "app_kwargs": {
            "middleware": [Middleware(hosting.PathOfProxy), Middleware(preview.Head)],
            "routes": [*routes(), *preview.routes()],
        },
    }


def build_page(model: DepthPro | Network) -> gr.Blocks:
    """Return the page for a network, which may still load."""
    network = model if isinstance(model, Network) else loaded(model)
    with gr.Blocks(
        title="Depth Pro", delete_cache=(KEEP_S, KEEP_S), analytics_enabled=False
    ) as page:
        session = gr.State(None)
        with gr.Row(elem_id="top"):
            gr.Markdown(
                "# Depth Pro\nOne photo in, depth in metres out, without any camera data. "
                f"{lessons.entry()}",
                elem_id="title",
            )
            units = gr.Radio(
                [("metres", "m"), ("feet", "ft")], value="m", label="Units", elem_id="units"
            )
            share = links.share()
        hosting.restart_notice()
        with gr.Row(elem_id="strip"):
            photo, thumbnails = strip.upload(), strip.thumbnails()
        problem = gr.HTML(elem_id="problem")
        shared = Shared(session, units, _facts(session), partial(_sidebar, network))
        active = gr.State(0)
        with gr.Tabs(elem_id="tabs") as tabs:
            panels = [tab.build(network, shared) for tab in _TABS]
        refresh = _wire_panels(shared, active, panels)
        known = {name: examples.path(name) for name in examples.TITLES}
        opened = links.wire(page, shared, panels, tabs, active, share, known)
        _wire_photo(network, opened, shared, photo, thumbnails, problem, panels, refresh)
        if lesson_cards := lessons.cards():
            with gr.Accordion("Learn how it works: the lessons", open=False, elem_id="learn"):
                gr.HTML(lesson_cards)
        programs.register(network, page)
    return page.queue(max_size=16)


def _facts(session: gr.State) -> list[Component]:
    """Return what the tab "Depth" shows of a photo beside depth: figures, a ZIP, the weights."""
    label = "Download everything (ZIP)"
    button = gr.Button(label, variant="primary", visible=False, elem_id="prepare", render=False)
    download_on_click(button, _bundle, [session])
    summary = gr.HTML(figures.EMPTY_SUMMARY, elem_id="summary", render=False)
    solid = viewer3d("The photo in 3D", "first-solid", _TURN, height=330, render=False)
    return [summary, button, solid, gr.HTML(elem_id="weights", render=False)]


def _wire_panels(shared: Shared, active: gr.State, panels: Sequence[Panel]) -> Callable[[Any], Any]:
    """Draw each tab when it is opened; return a function that has an event draw the open one.

    Tabs that are not open are drawn when they are opened.
    """

    def show(number: int, session: Session | None, units: Units, *values: Any) -> list[Any]:
        """Draw a tab, unless it shows this already: then the visitor's view of it stays."""
        panel = panels[number]
        if session is None:
            return panel.show(None, units, *values)
        if session.drawn.get(number) == (session.analysis, units):
            return [gr.skip()] * len(panel.outputs)
        analysis = session.analysis
        updates = panel.show(session, units, *values)
        session.drawn[number] = analysis, units
        return updates

    for index, panel in enumerate(panels):
        with panel.tab:
            again = gr.Button(visible="hidden", elem_classes=["redraw"])
        own = [shared.session, shared.units, *panel.inputs]
        panel.tab.select(lambda index=index: index, None, active, queue=False, **PRIVATE)
        gr.on(
            [panel.tab.select, again.click],
            partial(show, index),
            own,
            list(panel.outputs),
            **REDRAW,
        )

    def refresh(listen: Any) -> Any:
        # Not one event for all tabs: each output that could change costs the browser some time.
        listen(None, None, None, js=_REDRAW_OPEN_TAB, **PRIVATE)
        inputs = [shared.session, shared.units]
        return listen(shared.sidebar_updates, inputs, list(shared.sidebar), **REDRAW)

    refresh(shared.units.input)
    return refresh


def _empty_panels(listen: Any, shared: Shared, panels: Sequence[Panel]) -> Any:
    """Have an event draw every tab without a photo: numbers would show 0 instead; return it."""

    def show(units: Units, *values: Any) -> list[Any]:
        given = iter(values)
        shown = [p.show(None, units, *itertools.islice(given, len(p.inputs))) for p in panels]
        return [*shared.sidebar_updates(None, units), *itertools.chain(*shown)]

    inputs = [shared.units, *(each for panel in panels for each in panel.inputs)]
    outputs = [*shared.sidebar, *(each for panel in panels for each in panel.outputs)]
    return listen(show, inputs, outputs, **REDRAW)


def _wire_photo(
    network: Network,
    opened: links.Opened,
    shared: Shared,
    photo: gr.Image,
    thumbnails: gr.HTML,
    problem: gr.HTML,
    panels: Sequence[Panel],
    refresh: Callable[[Any], Any],
) -> None:
    """Open with an example; predict depth of every photo that is chosen, and show all tabs."""
    outputs = [shared.session, problem, thumbnails]
    # Over the picture of the tab that is open.
    shown: dict[str, Any] = {"show_progress_on": [p.outputs[0] for p in panels if p.outputs]}
    shown |= {"trigger_mode": "always_last", "api_visibility": "private"}
    chosen = gr.State(None)
    wait, open_ = partial(_wait, network), partial(_open, network)
    event = _empty_panels(opened.event.then, shared, panels)
    event = event.then(wait, None, problem, concurrency_limit=None, **shown)
    event = event.then(open_, [opened.example, chosen], outputs, **shown, **NETWORK)
    refresh(event.then)
    # Cleared at once, so that it takes the next one.
    taken = photo.input(
        lambda photo: (photo, None),
        photo,
        [chosen, photo],
        js=strip.TAKE,
        preprocess=False,  # would open the file, before `load_image` can explain
        queue=False,
        trigger_mode="multiple",  # else a photo that comes fast would be lost
        **PRIVATE,
    )
    event = taken.then(partial(_estimate, network), chosen, outputs, **shown, **NETWORK)
    refresh(event.then)

    def take_example(event: gr.EventData, progress: gr.Progress = _PROGRESS) -> list[Any]:
        name = strip.name_of(event)
        return [*_answer(network, lambda: network.example(name), progress, name), name]

    event = thumbnails.click(take_example, None, [*outputs, chosen], **shown, **NETWORK)
    refresh(event.then)


async def _wait(network: Network, progress: gr.Progress = _PROGRESS) -> str:
    """Show how the weights come, until they are there."""
    while not network.ready:
        progress(*network.loading())
        await asyncio.sleep(0.5)
    return ""


def _open(network: Network, example: str | None, chosen: Any) -> list[Any]:
    """Open with the example of the link, or the first one, unless something has been chosen."""
    if chosen is not None:
        return [gr.skip()] * 3
    name = example or examples.FIRST
    return [Session(network.example(name)), "", strip.chosen(name)]


def _estimate(
    network: Network, photo: dict[str, Any] | None, progress: gr.Progress = _PROGRESS
) -> list[Any]:
    """Predict depth of a photo."""
    return _answer(network, lambda: pipeline.analyse(network, uploaded(photo)), progress)


def _answer(
    network: Network,
    analyse: Callable[[], pipeline.Analysis],
    progress: gr.Progress,
    example: str | None = None,
) -> list[Any]:
    """Return a session for a photo, or explain why there is none."""
    while not network.ready:
        progress(*network.loading())
        time.sleep(0.5)
    try:
        with counting(progress, network.seconds, "The network estimates depth"):
            return [Session(analyse()), "", strip.chosen(example)]
    # RuntimeError: torch, of a GPU. gr.Error: a Space that has no GPU to lend.
    except (ValueError, OSError, MemoryError, RuntimeError, gr.Error) as error:
        text = sentence(error.message if isinstance(error, gr.Error) else error)
        return [None, figures.problem(text), strip.chosen(None)]


def _sidebar(network: Network, session: Session | None, units: Units) -> list[Any]:
    """Return the figures, the button and the weights below the picture."""
    if session is None:
        weights = figures.weights(network.provenance, network.note)
        return [figures.EMPTY_SUMMARY, gr.update(visible=False), empty(_TURN), weights]
    analysis = session.analysis
    return [
        figures.summary(analysis, units),
        gr.update(visible=True),
        first_scene(analysis, session.folder / "first", units),
        figures.weights(analysis.provenance, network.note),
    ]


def _bundle(session: Session) -> Path:
    return export.bundle(session.analysis, session.folder)
