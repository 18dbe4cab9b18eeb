"""From a photo to its analysis: one call of the network, and the focal length in use."""

import contextlib
import ctypes
import dataclasses
import functools
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from jaxtyping import UInt8
from numpy import ndarray

from demo.ground import GroundResult, ground_of
from depthpro import DepthPro, Prediction, load_image
from depthpro.checkpoint import Provenance
from depthpro.geometry import check_focal
from depthpro.prediction import focals_disagree

PUBLISHED = "apple/DepthPro"
EMBEDDED = "small"
FocalSource = Literal["metadata", "network", "hand"]
GPU_SECONDS = 20
"""Time for which a call of the network borrows a GPU on ZeroGPU; short calls wait less."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """A photo, its predicted depth, and the focal length in use."""

    name: str
    """The photo's file name without its suffix."""
    rgb: UInt8[ndarray, "h w 3"]
    prediction: Prediction
    metadata_f_px: float | None
    """Focal length in pixels by the photo's metadata, if it has one."""
    metadata_field: str | None
    """The field of the metadata that gave it."""
    source: FocalSource
    provenance: Provenance

    @property
    def f_px(self) -> float:
        """The focal length in use, in pixels of the photo."""
        return self.prediction.f_px.item()

    @property
    def estimated_f_px(self) -> float | None:
        """The network's focal length in pixels; None if it has no field-of-view head."""
        estimated = self.prediction.estimated_f_px
        return None if estimated is None else estimated.item()

    @property
    def focal_doubt(self) -> str:
        """Why the focal length may be wrong, in a sentence; "" without doubt."""
        if self.metadata_f_px is None:
            return f"In the photo's metadata, {self.metadata_field}." if self.metadata_field else ""
        estimated = self.estimated_f_px
        if estimated is None or not focals_disagree(self.metadata_f_px, estimated):
            return ""
        return (
            f"The photo's metadata gives {self.metadata_f_px:.0f} px, the network estimates "
            f"{estimated:.0f} px: choose on the tab “Focal length”."
        )

    @functools.cached_property
    def ground(self) -> GroundResult:
        """The ground for the focal length in use, or why there is none; fitted on first use."""
        return ground_of(self.prediction)


def borrow_gpu(model: DepthPro) -> DepthPro:
    """Return the network; on ZeroGPU each call of its `infer` borrows a GPU, and nothing else does.

    Predictions come back on the CPU: a GPU's memory is gone when it is given back. Call this before
    the page is launched, which is when Spaces looks for such functions.
    """
    try:
        spaces = importlib.import_module("spaces")
    except ImportError:
        return model
    infer = model.infer

    @spaces.GPU(duration=GPU_SECONDS)
    @functools.wraps(infer)  # the network is not among the arguments, which are pickled
    def borrowed(*args: Any, **kwargs: Any) -> Prediction:
        return infer(*args, **kwargs).to("cpu")

    model.infer = borrowed
    return model


class Predictor(Protocol):
    """What predicts depth: `DepthPro`, or a network that still loads."""

    infer: Callable[..., Prediction]
    provenance: Provenance

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        ...

    @property
    def fov(self) -> Any:
        """The head for the field of view, or None."""
        ...


def analyse(model: Predictor, path: str | Path) -> Analysis:
    """Predict depth and focal length of a photo: the one call of the network.

    The focal length is the metadata's where there is one, else the network's estimate.
    """
    photo = load_image(path)
    prediction = model.infer(photo.rgb, photo.f_px).to("cpu")
    _trim_memory()
    return Analysis(
        name=Path(path).stem,
        rgb=photo.rgb,
        prediction=prediction,
        metadata_f_px=photo.f_px,
        metadata_field=photo.f_px_source,
        source="network" if photo.f_px is None else "metadata",
        provenance=model.provenance,
    )


def with_source(analysis: Analysis, source: FocalSource, f_px: float | None = None) -> Analysis:
    """Return the analysis with another focal length, given in pixels for the source "hand".

    Raises:
        ValueError: If the source has none, or it is out of range.
    """
    chosen, missing = {
        "metadata": (analysis.metadata_f_px, "This photo's metadata gives no focal length"),
        "network": (analysis.estimated_f_px, "This network estimates no focal length"),
        "hand": (f_px, "Type a focal length in pixels"),
    }[source]
    if chosen is None:
        raise ValueError(f"{missing}; choose another source.")
    if source == "hand":
        check_focal(chosen, analysis.prediction.width)
    prediction = analysis.prediction.with_focal(chosen)
    return dataclasses.replace(analysis, prediction=prediction, source=source)


def _trim_memory() -> None:
    """Return freed memory to the system; glibc would keep 500 MB after fifty large photos."""
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError, OSError):  # not glibc
            ctypes.CDLL(None).malloc_trim(0)
