"""What one visitor's page holds, and what the tabs have in common."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import gradio as gr
from gradio.components import Component

from demo.crops import CropEstimate
from demo.pipeline import Analysis
from demo.truth import Truth
from demo.units import Units
from depthpro import Prediction

PARALLEL = 4
"""Visitors whose arithmetic runs at once; the network takes one at a time."""
KEEP_S = 3600
"""Results and files of a visitor live this long after their last use."""
PRIVATE: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
"""For handlers of the page that answer at once; programs have functions of their own."""
NETWORK: dict[str, Any] = {"concurrency_id": "network", "concurrency_limit": 1}
"""For handlers that call the network: one at a time, over all visitors."""

Point = tuple[float, float]
"""Column and row in pixels of the photo; pixel centres at integers."""


def _own_folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="depthpro-", ignore_cleanup_errors=True)


@dataclass(frozen=True, eq=False)
class Visit:
    """A photo's result and what its visitor did with it; a new photo starts a new one."""

    analysis: Analysis
    folder: tempfile.TemporaryDirectory = field(default_factory=_own_folder)
    """For this visitor's files; it goes when the visit goes."""
    hand_f_px: float | None = None
    """Focal length that was given by hand last, in pixels."""
    points: tuple[Point, ...] = ()
    """What is measured."""
    ruler: tuple[Point, ...] = ()
    """Up to two points whose distance is known, for calibration."""
    crops: tuple[CropEstimate, ...] = ()
    """What the network says about the photo's crops, if it was asked."""
    truth: Truth | None = None
    """True depth that was uploaded."""
    mirrored: Prediction | None = None
    """What the network says of the photo's mirror image, mirrored back."""


class Shared(NamedTuple):
    """What every tab reads, and what it may update beside itself."""

    visit: gr.State
    """A `Visit`, or None before there is a photo."""
    units: gr.Radio
    """"m" or "ft"."""
    beside: Sequence[Component]
    """What the page shows beside the tabs."""
    tell: Callable[[Visit | None, Units], list[Any]]
    """Return one update for each of `beside`. A tab that puts a visit with another focal length
    into the state also updates these, and itself."""


class Panel(NamedTuple):
    """One tab, and how it is shown."""

    tab: gr.Tab
    inputs: Sequence[Component]
    """What `show` takes after the visit and the units."""
    outputs: Sequence[Component]
    show: Callable[..., list[Any]]
    """(Visit | None, Units, *inputs) to one update for each output. Called when the tab is opened,
    and, if it is open, when photo, focal length or units change. None: no photo yet."""


def refusal(sentence: str) -> gr.Error:
    """Return an error that the page shows as it is."""
    return gr.Error(sentence[:1].upper() + sentence[1:], print_exception=False)


def needed(visit: Visit | None) -> Visit:
    """Return the visit, or say that a photo comes first."""
    if visit is None:
        raise refusal("Choose a photo first.")
    return visit


def forget(visit: Visit | None) -> None:
    """Remove a visitor's files."""
    if visit is not None:
        visit.folder.cleanup()
