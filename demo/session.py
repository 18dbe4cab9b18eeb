"""What one visitor's page holds, and what the tabs have in common."""

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


def _own_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="depthpro-"))


@dataclass(eq=False)
class Visit:
    """A photo's result and what its visitor did with it; a new photo starts a new one.

    What visitors do changes it in place, under its lock: of two things at once none is lost, and
    what ends after a new photo has come touches the former photo alone.
    """

    analysis: Analysis
    folder: Path = field(default_factory=_own_folder)
    """For this visitor's files; it goes when nobody holds the visit any more."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while anything here changes."""
    left: bool = False
    """Whether another photo has come."""
    hand_f_px: float | None = None
    """Focal length that was given by hand last, in pixels."""
    points: tuple[Point, ...] = ()
    """What is measured."""
    ruler: tuple[Point, ...] = ()
    """Up to two points whose distance is known, for calibration."""
    truth: Truth | None = None
    """True depth that was uploaded."""
    mirrored: Prediction | None = None
    """What the network says of the photo's mirror image, mirrored back."""

    def __post_init__(self) -> None:
        """See to it that the files go, also when the process ends."""
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)


class Shared(NamedTuple):
    """What every tab reads, and what it may update beside itself."""

    visit: gr.State
    """A `Visit`, or None before there is a photo."""
    units: gr.Radio
    """"m" or "ft"."""
    beside: Sequence[Component]
    """What the page shows beside the tabs."""
    tell: Callable[[Visit | None, Units], list[Any]]
    """Return one update for each of `beside`. A tab that changes the focal length also updates
    these, and itself."""


class Panel(NamedTuple):
    """One tab, and how it is shown."""

    tab: gr.Tab
    inputs: Sequence[Component]
    """What `show` takes after the visit and the units."""
    outputs: Sequence[Component]
    show: Callable[..., list[Any]]
    """(Visit | None, Units, *inputs) to one update for each output. Called when the tab is opened,
    and, if it is open, when photo, focal length or units change. None: no photo yet."""


def sentence(error: Exception | str) -> str:
    """Return an error as the page says it."""
    text = str(error) or "There is too little memory for this photo; take a smaller one."
    return text[:1].upper() + text[1:]


def refusal(error: Exception | str) -> gr.Error:
    """Return an error that the page shows as it is."""
    return gr.Error(sentence(error), print_exception=False)


def needed(visit: Visit | None) -> Visit:
    """Return the visit, or say that a photo comes first."""
    if visit is None:
        raise refusal("Choose a photo first.")
    return visit


def still(visit: Visit, analysis: Analysis) -> None:
    """See to it that a file is of what the page shows now; to be called once it is written."""
    if visit.left or visit.analysis is not analysis:
        raise refusal("The photo or its focal length changed in the meantime; make the file again.")
