"""A visitor's session, and what the tabs have in common."""

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
from demo.tabs.sharpness.truth import Truth
from demo.units import Units
from depthpro import Prediction

PARALLEL = 4
"""Visitors whose arithmetic runs at once; the network takes one at a time."""
KEEP_S = 3600
"""Files live this long, and what a visitor has left: a photo's result, or one for programs."""
PRIVATE: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
"""For handlers of the page that answer at once; programs have functions of their own."""
REDRAW: dict[str, Any] = {
    "concurrency_limit": PARALLEL,
    "trigger_mode": "always_last",
    **PRIVATE,
}
"""For handlers that redraw after a choice: of several choices in a row the last one counts."""
NETWORK: dict[str, Any] = {"concurrency_id": "network", "concurrency_limit": 1}
"""For handlers that call the network: one at a time, over all visitors."""

Point = tuple[float, float]
"""Column and row in pixels of the photo; pixel centres at integers."""


@dataclass(eq=False)
class Session:
    """A photo's result and what its visitor did with it; a new photo starts a new one.

    Handlers change it in place, under its lock, so that none of two changes at once is lost, and
    one that ends after a new photo has come changes the former photo alone.
    """

    analysis: Analysis
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="depthpro-")))
    """For this visitor's files; deleted when nobody holds the session any more."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while anything here changes."""
    left: bool = False
    """Whether another photo has come."""
    hand_f_px: float | None = None
    """The last focal length given by hand, in pixels."""
    points: tuple[Point, ...] = ()
    """Points to measure between."""
    ruler: tuple[Point, ...] = ()
    """Up to two points whose distance is known, for calibration."""
    truth: Truth | None = None
    """True depth that was uploaded."""
    mirrored: Prediction | None = None
    """Prediction for the photo's mirror image, mirrored back."""

    def __post_init__(self) -> None:
        """Delete the folder with the session, also when the process ends."""
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)


class Shared(NamedTuple):
    """What every tab reads, and the sidebar that it may update."""

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


def sentence(error: Exception | str) -> str:
    """Return an error as a sentence for visitors."""
    text = str(error) or "There is too little memory for this photo; take a smaller one."
    return text[:1].upper() + text[1:]


def refusal(error: Exception | str) -> gr.Error:
    """Return an error that the page shows as it is."""
    return gr.Error(sentence(error), print_exception=False)


def require_photo(session: Session | None) -> Session:
    """Return the session, or say that a photo comes first."""
    if session is None:
        raise refusal("Choose a photo first.")
    return session


def ensure_current(session: Session, analysis: Analysis) -> None:
    """Refuse a file that is no longer of what the page shows; called once it is written."""
    if session.left or session.analysis is not analysis:
        raise refusal("The photo or its focal length changed in the meantime; make the file again.")


def download_file(
    session: Session | None, write: Callable[[Analysis, Path], Path], label: str
) -> dict[str, Any]:
    """Write a file, and return the update of the button that saves it."""
    session = require_photo(session)
    analysis = session.analysis
    try:
        path = write(analysis, session.folder)
    except (ValueError, OSError, MemoryError) as error:
        raise refusal(error) from None
    ensure_current(session, analysis)
    megabytes = path.stat().st_size / 1e6
    return gr.update(value=str(path), label=f"{label} ({megabytes:.1f} MB)", visible=True)


def download_on_click(
    prepare: gr.Button, write: Callable[..., dict[str, Any]], inputs: Any, save: gr.DownloadButton
) -> None:
    """Have a button write a file, and the browser download it at once."""
    event = prepare.click(write, inputs, save, concurrency_limit=PARALLEL, api_visibility="private")
    click = f"() => setTimeout(() => document.querySelector('#{save.elem_id}')?.click(), 300)"
    event.success(None, js=click, api_visibility="private")
