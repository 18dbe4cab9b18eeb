"""One picture of a benchmark with what is known of it, and a benchmark as a list of such cases."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Bool, Float, UInt8
from numpy import ndarray

Measure = Literal["depth", "cloud", "boundary", "recall", "focal", "ibims"]
"""Groups of measures: depth errors; point clouds; boundary F1 against depth; boundary recall
against a mask; focal length; the iBims benchmark's own."""


@dataclass(frozen=True)
class IbimsTruth:
    """What iBims-1 annotates besides depth."""

    edges: Bool[ndarray, "h w"]
    """Depth edges."""
    planes: Bool[ndarray, "p h w"]
    """A mask for each plane: walls, floors, tables."""


@dataclass(frozen=True)
class Case:
    """One picture of a benchmark. What the benchmark does not say is None.

    Cameras follow `depthpro.data.sample.Sample`: pixels may be stretched, `f_px` is horizontal.
    """

    rgb: UInt8[ndarray, "h w 3"]
    depth: Float[ndarray, "H W"] | None = None
    """Metres along the optical axis, at the picture's size or another; infinite where sky."""
    mask: Bool[ndarray, "H W"] | None = None
    """Where depth (or alpha) is known; everywhere if None."""
    alpha: Float[ndarray, "h w"] | None = None
    """Soft mask of a foreground, in [0, 1]."""
    f_px: float | None = None
    """Focal lengths and axis in pixels of `rgb`."""
    fy_px: float | None = None
    cx_px: float | None = None
    cy_px: float | None = None
    ibims: IbimsTruth | None = None
    family: str = ""
    """A part of the benchmark that reports list apart, such as a scene family."""


@dataclass(frozen=True)
class Benchmark:
    """A benchmark as it is on disk: listed when opened, read case by case."""

    title: str
    """As the paper's tables name it."""
    cases: Mapping[str, Callable[[], Case]]
    """What reads a case, by the case's name: unique, and a relative path without a suffix, such
    as `delivery_area/DSC_0654`."""
    measures: tuple[Measure, ...]
    range_m: tuple[float, float] | None = None
    """Depths that count, ends included. Source: Table 18."""


def warn(sentence: str) -> None:
    """Print to stderr; of the processes that share a run, the first one alone."""
    if os.environ.get("RANK", "0") == "0":
        print(sentence, file=sys.stderr)
