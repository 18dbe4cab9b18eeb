"""A visitor's session, and the types and helpers that all tabs use."""

import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from gradio.components import Component

from demo.pipeline import Analysis
from demo.tabs.compare.compare import Other
from demo.tabs.sharpness.truth import Truth
from demo.units import Units
from depthpro import Prediction

PARALLEL = 4
"""Visitors whose arithmetic runs at the same time; the network takes one."""
KEEP_S = 3600
"""Seconds that files and results are kept."""
PRIVATE: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
"""For handlers that answer at once and are not offered to programs."""
REDRAW: dict[str, Any] = {
    "concurrency_limit": PARALLEL,
    "trigger_mode": "always_last",
    **PRIVATE,
}
"""For handlers that redraw after a choice; of several choices in a row the last one counts."""
NETWORK: dict[str, Any] = {"concurrency_id": "network", "concurrency_limit": 1}
"""For handlers that call the network: one at a time, over all visitors."""

Point = tuple[float, float]
"""Column and row in pixels of the photo; pixel centres at integers."""


@dataclass(eq=False)
class Session:
    """A photo's analysis and the visitor's input; a new photo starts a new session.

    Handlers change it in place, under its lock. One that ends after a new photo has come changes
    the session of the former photo alone.
    """

    analysis: Analysis
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="depthpro-")))
    """For this visitor's files; deleted with the last reference to the session."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while anything here changes."""
    hand_f_px: float | None = None
    """The last focal length given by hand, in pixels."""
    points: tuple[Point, ...] = ()
    """Points to measure between."""
    ruler: tuple[Point, ...] = ()
    """Up to two points whose distance is known, for calibration."""
    truth: Truth | None = None
    """True depth that was uploaded."""
    other: Other | None = None
    """What the photo is compared with."""
    mirrored: Prediction | None = None
    """Prediction for the photo's mirror image, mirrored back."""

    drawn: dict[int, tuple[Analysis, Units]] = field(default_factory=dict)
    """Analysis and units that each tab shows, by its number."""

    def __post_init__(self) -> None:
        """Delete the folder with the session, or when the process ends."""
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)


class Shared(NamedTuple):
    """Inputs of every tab, and the sidebar that it may update."""

    session: gr.State
    """A `Session`, or None before there is a photo."""
    units: gr.Radio
    """"m" or "ft"."""
    sidebar: Sequence[Component]
    """Components of the sidebar."""
    sidebar_updates: Callable[[Session | None, Units], list[Any]]
    """Returns one update for each of `sidebar`, for tabs that change the focal length."""


class Panel(NamedTuple):
    """One tab, and the function that draws it."""

    tab: gr.Tab
    inputs: Sequence[Component]
    """Arguments of `show` after the session and the units."""
    outputs: Sequence[Component]
    show: Callable[..., list[Any]]
    """(Session | None, Units, *inputs) to one update for each output. Called when the tab is
    opened, and, if it is open, when photo, focal length or units change. None: no photo yet."""
    settings: Sequence[tuple[str, Component]] = ()
    """What links keep besides the choices among the inputs, by name: see `demo.links`."""


def sentence(error: Exception | str) -> str:
    """Return an error as a sentence for visitors."""
    text = str(error) or "There is too little memory for this photo; take a smaller one."
    return text[:1].upper() + text[1:]


def refusal(error: Exception | str) -> gr.Error:
    """Return an error that the page shows without a traceback."""
    return gr.Error(sentence(error), print_exception=False)


def require_photo(session: Session | None) -> Session:
    """Return the session, or ask for a photo."""
    if session is None:
        raise refusal("Choose a photo first.")
    return session


def download_on_click(
    button: gr.Button, write: Callable[..., Path], inputs: Sequence[Component]
) -> None:
    """Have a button with an `elem_id` write a file, and the browser save it.

    `inputs` are the state with the session, and the components of the other arguments of `write`.
    """
    file = gr.DownloadButton(visible="hidden", elem_id=f"{button.elem_id}-download")

    def answer(session: Session | None, *values: Any) -> str:
        try:
            return str(write(require_photo(session), *values))
        except (ValueError, OSError, MemoryError) as error:
            raise refusal(error) from None

    event = button.click(answer, inputs, file, concurrency_limit=PARALLEL, api_visibility="private")
    click = f"() => setTimeout(() => document.querySelector('#{file.elem_id}').click(), 300)"
    event.success(None, js=click, api_visibility="private")
