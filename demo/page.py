"""The page: a photo on the left, and the tabs beside it."""

import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.helpers import Examples
from gradio.themes import Default
from starlette.middleware import Middleware

from demo import export, figures, hosting, lessons, links, pipeline, preview, screen
from demo.api import programs
from demo.gradio_internals import as_upload, uploaded
from demo.learn.routes import routes
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
from demo.tabs.depth import ui as depth
from demo.tabs.focal import ui as focal
from demo.tabs.measure import ui as measure
from demo.tabs.sharpness import truth
from demo.tabs.sharpness import ui as sharpness
from demo.tabs.view3d import ui as view3d
from demo.units import Units
from depthpro import DepthPro

_EXAMPLES = ("coffee.png", "astronaut.png", "chelsea.png", "rocket.jpg", "motorcycle_left.png")
_TABS = (depth, focal, view3d, measure, sharpness)
_SHOWN = (".jpg", ".jpeg", ".png", ".webp")  # what browsers can show


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
        ),
        "css": (Path(__file__).parent / "page.css").read_text(encoding="utf-8"),
        # Gradio puts `css` inside the page's margins; narrower ones for phones come from outside.
        "head": '<link rel="icon" href="favicon.ico"><style>@media (max-width: 767px) '
        "{ .gradio-container .main.fillable { padding: 12px !important; } }</style>",
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


def build_page(model: DepthPro, note: str = "") -> gr.Blocks:
    """Return the page for a network, with a note to visitors about the network."""
    with gr.Blocks(
        title="Depth Pro", delete_cache=(KEEP_S, KEEP_S), analytics_enabled=False
    ) as page:
        session = gr.State(None)
        gr.Markdown(
            "# Depth Pro\nOne photo in, depth in metres out, without any camera data. "
            f"{lessons.entry()}",
            elem_id="title",
        )
        gr.HTML(figures.banner(model.provenance, note))
        hosting.restart_notice()
        with gr.Row(elem_id="desk"):
            with gr.Column(scale=2, min_width=260, elem_id="left"):
                photo = gr.Image(
                    label="Photo",
                    type="filepath",
                    image_mode=None,
                    sources=["upload", "clipboard", "webcam"],
                    height=300,
                    elem_id="photo",
                    alt_text="The photo as it was given",
                )
                problem = gr.HTML(elem_id="problem")
                examples = _examples(photo)
                with gr.Column(elem_id="facts"):
                    summary = gr.HTML(figures.EMPTY_SUMMARY, elem_id="summary")
                    units = gr.Radio(
                        [("metres", "m"), ("feet", "ft")], value="m", label="Units", elem_id="units"
                    )
                    everything = _download(session)
                    share = links.share()
            with gr.Column(scale=3, min_width=320, elem_id="right"):
                shared = Shared(session, units, [summary, everything], _sidebar)
                active = gr.State(0)
                with gr.Tabs(elem_id="tabs") as tabs:
                    panels = [tab.build(model, shared) for tab in _TABS]
        refresh = _wire_panels(shared, active, panels)
        known = {path.stem: path for path in _example_paths()}
        opened = links.wire(page, shared, panels, tabs, active, share, known)
        asked = opened.example.change(
            lambda name: as_upload(known[name]), opened.example, photo, **PRIVATE
        )
        chosen = (photo.input, examples.load_input_event.then, asked.then)
        _wire_photo(model, shared, photo, chosen, [problem, summary], refresh)
        if lesson_cards := lessons.cards():
            with gr.Accordion("Learn how it works: the lessons", open=False, elem_id="learn"):
                gr.HTML(lesson_cards)
        refresh(opened.event.then)  # numbers would show 0 before there are any
        programs.register(model, page)
    return page.queue(max_size=16)


def _download(session: gr.State) -> gr.Button:
    """Return the button that writes and saves the ZIP."""
    label = "Download everything (ZIP)"
    button = gr.Button(label, variant="primary", visible=False, elem_id="prepare")
    download_on_click(button, _bundle, [session])
    return button


def _examples(photo: gr.Image) -> Examples:
    """Return the example photos: scikit-image's and rendered ones."""
    return gr.Examples(
        [[str(path)] for path in _example_paths()],
        inputs=photo,
        cache_examples=False,
        label="Examples",
        api_visibility="private",
    )


def _example_paths() -> list[Path]:
    folder = Path(str(files("skimage") / "data"))
    return [*(folder / name for name in _EXAMPLES), *(truth.EXAMPLES / n for n in truth.RENDERED)]


def _wire_panels(
    shared: Shared, active: gr.State, panels: Sequence[Panel]
) -> Callable[[Any], None]:
    """Update the open tab and the sidebar on events; return a function that adds an event.

    Tabs that are not open are computed when they are opened.
    """
    inputs = [shared.session, active, shared.units, *(c for p in panels for c in p.inputs)]
    outputs = [*shared.sidebar, *(c for p in panels for c in p.outputs)]

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

    def show_all(session: Session | None, active: int, units: Units, *values: Any) -> list[Any]:
        updates, start = shared.sidebar_updates(session, units), 0
        for number, panel in enumerate(panels):
            own = values[start : start + len(panel.inputs)]
            start += len(panel.inputs)
            if session is None or number == active:
                updates += show(number, session, units, *own)
            else:
                updates += [gr.skip()] * len(panel.outputs)
        return updates

    def refresh(listen: Any) -> None:
        listen(show_all, inputs, outputs, **REDRAW)

    refresh(shared.units.input)
    for index, panel in enumerate(panels):
        panel.tab.select(lambda index=index: index, None, active, queue=False, **PRIVATE)
        own = [shared.session, shared.units, *panel.inputs]
        panel.tab.select(partial(show, index), own, list(panel.outputs), **REDRAW)
    return refresh


def _wire_photo(
    model: DepthPro,
    shared: Shared,
    photo: gr.Image,
    chosen: Sequence[Callable[..., Any]],
    messages: list[gr.HTML],
    refresh: Callable[[Any], None],
) -> None:
    """Predict depth of every photo that is chosen, then show the photo and all tabs."""
    # The chosen photo, and the picture to show in its place: none if it was refused, the decoded
    # one if no browser can show it.
    taken = gr.State(None)
    for trigger in chosen:
        event = trigger(
            partial(_estimate, model),
            [shared.units, photo],
            [shared.session, taken, *messages],
            preprocess=False,  # would open the file, before `load_image` can explain
            show_progress_on=messages[-1:],
            trigger_mode="always_last",  # else the next photo would be ignored
            api_visibility="private",
            **NETWORK,
        )
        event.then(
            _show_taken, [photo, taken], [photo, taken], queue=False, preprocess=False, **PRIVATE
        )
        refresh(event.then)


def _estimate(model: DepthPro, units: Units, photo: dict[str, Any] | None) -> list[Any]:
    """Predict depth of a photo, or explain why that is impossible."""
    if photo is None:
        return [None, None, "", figures.EMPTY_SUMMARY]
    try:
        path = uploaded(photo)
        analysis = pipeline.analyse(model, path)
    # RuntimeError: torch, of a GPU. gr.Error: a Space that has no GPU to lend.
    except (ValueError, OSError, MemoryError, RuntimeError, gr.Error) as error:
        text = sentence(error.message if isinstance(error, gr.Error) else error)
        return [None, (photo, None), figures.problem(text), figures.EMPTY_SUMMARY]
    shown = gr.skip() if path.suffix.lower() in _SHOWN else screen.preview(analysis)
    return [Session(analysis), (photo, shown), "", figures.summary(analysis, units)]


def _show_taken(
    photo: dict[str, Any] | None, taken: tuple[dict[str, Any], Any] | None
) -> list[Any]:
    """Show the photo as it was decoded, unless another one has been chosen in the meantime."""
    same = photo and taken and photo.get("path") == taken[0].get("path")
    return [taken[1] if taken and same else gr.skip(), None]


def _sidebar(session: Session | None, units: Units) -> list[Any]:
    """Return the figures and the button below the photo."""
    if session is None:
        return [figures.EMPTY_SUMMARY, gr.update(visible=False)]
    return [figures.summary(session.analysis, units), gr.update(visible=True)]


def _bundle(session: Session) -> Path:
    return export.bundle(session.analysis, session.folder)
