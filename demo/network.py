"""The network at work: its weights load in the background, and an example warms it up."""

import contextlib
import contextvars
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
import torch
from tqdm.auto import tqdm

from demo import examples
from demo.pipeline import EMBEDDED, PUBLISHED, Analysis, analyse, borrow_gpu
from depthpro import DepthPro, Prediction, checkpoint
from depthpro.checkpoint import OWN_LICENCE, PUBLISHED_LICENCE, Provenance
from depthpro.model import default_device, require_int8, usable_device

_TICK_S = 0.5  # between two updates of a progress bar: each takes the browser some time


class Network:
    """A network whose weights may still load; `infer` is that of `DepthPro`, and waits for them.

    When they are there, the first example is worked out, so that the first photo is as fast as the
    second. Every example is worked out once, for all visitors.
    """

    def __init__(
        self, name: str, load: Callable[[type[tqdm]], tuple[DepthPro, str]], warm_up: bool = True
    ) -> None:
        """Start to load; `load` takes a class for progress bars, and returns a note to visitors."""
        published = checkpoint.is_on_hub(name)
        self.provenance = Provenance(name, PUBLISHED_LICENCE if published else OWN_LICENCE)
        """Of the weights that are at work, or, before, of those that are expected."""
        self.note = ""
        """What visitors should know about the weights."""
        self.seconds = 2.0
        """What the last photo took; a guess before the first."""
        self._bars: list[tqdm] = []
        self._loaded, self._lock = threading.Event(), threading.Lock()
        self._examples: dict[str, Analysis] = {}
        threading.Thread(target=self._start, args=[load, warm_up], daemon=True).start()

    @property
    def ready(self) -> bool:
        """Whether the weights are there."""
        return self._loaded.is_set()

    @property
    def device(self) -> torch.device:
        """Where the network computes, or will."""
        return self._model.device if self.ready else default_device()

    @property
    def fov(self) -> torch.nn.Module | None:
        """The head for the field of view, if the network has one."""
        self._loaded.wait()
        return self._model.fov

    def infer(self, *args: Any, **kwargs: Any) -> Prediction:
        """Return `DepthPro.infer` of a photo, when the weights are there."""
        self._loaded.wait()
        start = time.perf_counter()
        prediction = self._model.infer(*args, **kwargs)
        self.seconds = time.perf_counter() - start
        return prediction

    def example(self, name: str) -> Analysis:
        """Return the analysis of an example, which all visitors share."""
        with self._lock:
            if name not in self._examples:
                self._examples[name] = analyse(self, examples.path(name))
            return self._examples[name]

    def loading(self) -> tuple[float | None, str]:
        """Return how much of the weights has come, if that is known, and what happens."""
        name = self.provenance.name
        bar = max(self._bars, key=lambda each: each.total or 0, default=None)
        if self._loaded.is_set() or bar is None or not bar.total:
            return None, f"The network {name} starts"
        if bar.n >= bar.total:
            return None, f"The weights {name} are read"
        rate = bar.n / max(time.time() - bar.start_t, 0.1)
        left = f", about {(bar.total - bar.n) / rate:.0f} s to go" if rate else ""
        sizes = f"{bar.n / 1e9:.2f} of {bar.total / 1e9:.2f} GB"
        return bar.n / bar.total, f"The weights {name} are downloaded: {sizes}{left}"

    def _start(self, load: Callable[[type[tqdm]], tuple[DepthPro, str]], warm_up: bool) -> None:
        """Load the weights, and work out the first example."""
        bars = self._bars

        class Bar(tqdm):
            """A progress bar that the page shows, too."""

            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                if self.unit == "B":
                    bars.append(self)

        self._model, self.note = load(Bar)
        self.provenance = self._model.provenance
        self._loaded.set()
        if warm_up:  # which an end of the process waits for: torch aborts where it is cut off
            threading.Thread(target=self.example, args=[examples.FIRST]).start()


def start(name: str | None, device: str | None = None, *, int8: bool = False) -> Network:
    """Return the network for the page: by name, else the published one on CUDA, else "small".

    What comes from the hub loads in the background; if it cannot be had, the embedded network takes
    its place. On ZeroGPU all loads at once, since a GPU is given only to what is there at launch.

    Raises:
        ValueError: If there are no such weights on this machine, they cannot be read, or the device
            cannot be used.
    """
    device = device or ("cpu" if int8 else None)
    target = default_device() if device is None else usable_device(device)
    if int8:
        require_int8(target)
    wanted = name or (PUBLISHED if target.type == "cuda" else EMBEDDED)
    dtype = torch.int8 if int8 else None

    def load(bar: type[tqdm]) -> tuple[DepthPro, str]:
        try:
            checkpoint.download(wanted, bar)
            return DepthPro.from_pretrained(wanted, device=device, dtype=dtype), ""
        except (ValueError, MemoryError, torch.OutOfMemoryError) as error:
            reason = f"The weights {wanted} could not be loaded: {error}"
            return DepthPro.from_pretrained(EMBEDDED, device=device), reason

    if not checkpoint.is_on_hub(wanted):
        return loaded(DepthPro.from_pretrained(wanted, device=device, dtype=dtype))
    return loaded(*load(tqdm)) if sys.modules.get("spaces") else Network(wanted, load)


def loaded(model: DepthPro, note: str = "") -> Network:
    """Return a network that is there, and only has to warm up."""
    borrowed = borrow_gpu(model)
    lent = bool(sys.modules.get("spaces"))  # ZeroGPU lends to visitors alone
    network = Network(model.provenance.name, lambda _: (borrowed, note), not lent)
    network.provenance = model.provenance
    return network


@contextlib.contextmanager
def counting(progress: gr.Progress, seconds: float, text: str) -> Iterator[None]:
    """Show progress while the block runs, which takes some seconds as far as is known."""
    done = threading.Event()

    def count() -> None:
        start = time.perf_counter()
        while not done.wait(_TICK_S):
            past = time.perf_counter() - start
            left = f"about {seconds - past:.0f} s to go" if past < seconds else f"{past:.0f} s"
            progress(min(past / max(seconds, 0.1), 0.97), desc=f"{text}: {left}")

    # Gradio finds the visitor by the context.
    thread = threading.Thread(target=contextvars.copy_context().run, args=[count], daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
