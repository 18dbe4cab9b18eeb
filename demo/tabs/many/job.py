"""Work in small pieces: it can be watched and cancelled, and others have their turn in between."""

import secrets
import shutil
import threading
import time
import weakref
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import gradio as gr
from jaxtyping import UInt8
from numpy import ndarray

from demo.gradio_internals import upload_folder

TURN_S = 0.8
"""Seconds of work after which other visitors have their turn."""
# RuntimeError: torch, of a GPU. gr.Error: a Space that has no GPU to lend.
EXPECTED = (ValueError, OSError, MemoryError, RuntimeError, gr.Error)
"""What may go wrong with a visitor's file; it is shown, and is no error of the page."""
Result = TypeVar("Result")


class Step(NamedTuple):
    """The piece of work that comes next."""

    share: float
    """Of all the work that is done already, in [0, 1)."""
    text: str
    network: bool
    """Whether the piece calls the network."""
    picture: UInt8[ndarray, "h w 3"] | None = None
    """What the last piece made, small."""


Work = Generator[Step, None, Result]
"""Yields each step before it is done, and returns the result."""


class Folder:
    """A folder that Gradio serves; deleted with the last reference, or when the process ends."""

    def __init__(self) -> None:
        """Make the folder, under a name that nobody can guess."""
        self.path: Path = upload_folder() / f"depthpro-{secrets.token_urlsafe()}"
        self.path.mkdir(parents=True, mode=0o700)
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


@dataclass(eq=False)
class Job:
    """Work of one visitor, and what it has made so far."""

    work: Work[Any]
    product: Any
    """What the work fills."""
    step: Step | None = None
    """The next one; None when the work is over."""
    error: Exception | None = None
    """Why the work ended early."""
    cancelled: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while the work goes on."""
    started: float = field(default_factory=time.monotonic)
    turn: str = ""
    """Token of the turn that comes next; others are late."""

    def __post_init__(self) -> None:
        """Find the first step, which costs nothing."""
        self._advance()

    def take_turn(self, network: bool) -> None:
        """Work for `TURN_S` on steps that call the network, or on others."""
        with self.lock:
            end = time.monotonic() + TURN_S
            while self.step and self.step.network == network and time.monotonic() < end:
                if self.cancelled:
                    break
                self._advance()
            if self.cancelled:
                self._close()
            self.turn = secrets.token_hex(8)

    def cancel(self) -> None:
        """End the work at once, or after the piece that is being done."""
        self.cancelled = True
        if self.lock.acquire(blocking=False):
            try:
                self._close()
            finally:
                self.lock.release()

    @property
    def over(self) -> bool:
        """Whether nothing more comes."""
        return self.step is None

    @property
    def seconds_to_go(self) -> float | None:
        """An estimate from the time that was needed so far; None at the beginning."""
        if self.step is None or self.step.share < 0.01:
            return None
        return (time.monotonic() - self.started) * (1 / self.step.share - 1)

    def _advance(self) -> None:
        try:
            self.step = next(self.work)
        except StopIteration:
            self.step = None
        except EXPECTED as error:
            self.step, self.error = None, error

    def _close(self) -> None:
        self.work.close()
        self.step = None


def finish(work: Work[Result]) -> Result:
    """Do all of a work at once, and return its result."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value
