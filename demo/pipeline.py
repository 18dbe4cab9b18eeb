"""What the page knows about a photo, and how it follows from one call of the network."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import UInt8
from numpy import ndarray

from demo import memory
from depthpro import DepthPro, Prediction, load_image
from depthpro.checkpoint import Provenance
from depthpro.geometry import focal_from_fov, fov_from_focal
from depthpro.model import default_device

PUBLISHED = "apple/DepthPro"
EMBEDDED = "small"
FocalSource = Literal["metadata", "network", "hand"]
FOV_RANGE_DEG = (1.0, 175.0)
"""No camera sees less or more; the network's own estimates are held within it."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """A photo, what the network said about it, and whose focal length is in use."""

    name: str
    """The photo's file name without its suffix."""
    rgb: UInt8[ndarray, "h w 3"]
    prediction: Prediction
    metadata_f_px: float | None
    """Focal length in pixels by the photo's metadata; None if it does not say."""
    metadata_field: str | None
    """Which field of the metadata said it."""
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


def load_model(name: str | None, device: str | None = None) -> tuple[DepthPro, str]:
    """Return the network for the page, and a sentence if it is not the one that was wanted.

    Without a name: on CUDA the published weights if they can be had, else the embedded ones.

    Raises:
        ValueError: If weights that were asked for by name cannot be had.
    """
    cuda = (device or str(default_device())).startswith("cuda")
    dtype = torch.float16 if cuda else torch.float32
    if name is None and cuda:
        try:
            return DepthPro.from_pretrained(PUBLISHED, device=device, dtype=dtype), ""
        except (ValueError, torch.OutOfMemoryError) as error:
            reason = f"The published weights could not be loaded: {error}"
            return DepthPro.from_pretrained(EMBEDDED, device=device), reason
    return DepthPro.from_pretrained(name or EMBEDDED, device=device, dtype=dtype), ""


def analyse(model: DepthPro, path: str | Path) -> Analysis:
    """Return what the network says about a photo; this is the one call of the network.

    The focal length is the metadata's where there is one, else the network's.

    Raises:
        ValueError: If the file is not a photo that can be read.
    """
    photo = load_image(path)
    prediction = model.infer(photo.rgb, photo.f_px).to("cpu")
    memory.give_back()
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
    """Return the analysis with another focal length; everything rescales exactly.

    Args:
        analysis: The photo.
        source: Whose focal length to use.
        f_px: The focal length in pixels, for the source "hand".

    Raises:
        ValueError: If the source has none, or one of no camera is given by hand.
    """
    chosen = {
        "metadata": analysis.metadata_f_px,
        "network": analysis.estimated_f_px,
        "hand": f_px,
    }[source]
    if chosen is None:
        missing = {
            "metadata": "This photo's metadata gives no focal length",
            "network": "This network estimates no focal length",
            "hand": "Type a focal length in pixels",
        }[source]
        raise ValueError(f"{missing}; choose another source.")
    if source == "hand":
        _check(chosen, analysis.prediction.width)
    return dataclasses.replace(
        analysis, prediction=analysis.prediction.with_focal(chosen), source=source
    )


def _check(f_px: float, width: int) -> None:
    """See to it that a camera may have this focal length."""
    least, most = FOV_RANGE_DEG
    if not 0 < f_px < math.inf:
        raise ValueError(
            f"The focal length f_px must be a positive number of pixels, not {f_px:g}."
        )
    if not least <= fov_from_focal(f_px, width) <= most:
        nearest, farthest = focal_from_fov(most, width), focal_from_fov(least, width)
        raise ValueError(
            f"Expected a focal length f_px of {nearest:.3g} to {farthest:.4g} px, which sees "
            f"{most:.0f} to {least:.0f} degrees of this photo; got {f_px:g} px."
        )
