"""One picture of a benchmark with its ground truth, a benchmark, and what its readers share."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Num, UInt8
from numpy import ndarray

from depthpro.data.frames import existing as existing
from depthpro.data.frames import fitting as fitting

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
    """One picture of a benchmark. What the benchmark does not annotate is None.

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
    """Focal lengths and principal point in pixels of `rgb`."""
    fy_px: float | None = None
    cx_px: float | None = None
    cy_px: float | None = None
    ibims: IbimsTruth | None = None
    family: str = ""
    """A part of the benchmark that reports list apart, such as a scene family."""


@dataclass(frozen=True)
class Benchmark:
    """A benchmark on disk: listed when opened, read case by case."""

    title: str
    """As in the paper's tables."""
    cases: Mapping[str, Callable[[], Case]]
    """Functions that read a case, by its name: unique, a relative path without a suffix, such as
    `delivery_area/DSC_0654`."""
    measures: tuple[Measure, ...]
    range_m: tuple[float, float] | None = None
    """Depths that count, ends included. Source: Table 18."""


def listed(benchmark: Benchmark, root: str | Path, archives: str) -> Benchmark:
    """Return the benchmark if it has cases.

    Raises:
        ValueError: If it has none; with the archives that the user has to unpack.
    """
    if not benchmark.cases:
        raise ValueError(
            f"no pictures of {benchmark.title} in {root}: unpack {archives} there, or give the "
            "folder where they are unpacked"
        )
    return benchmark


def with_camera(
    rgb: UInt8[ndarray, "h w 3"],
    depth: Float[ndarray, "H W"],
    known: Bool[ndarray, "H W"],
    matrix: Num[ndarray, "3 3"],
    family: str = "",
) -> Case:
    """Return a case with depth where known, infinite elsewhere, and a camera matrix."""
    (f_px, _, cx_px), (_, fy_px, cy_px), _ = matrix.astype(float).tolist()
    depth = np.where(known, depth, np.inf).astype(np.float32)
    return Case(rgb, depth, known, f_px=f_px, fy_px=fy_px, cx_px=cx_px, cy_px=cy_px, family=family)


def warn(sentence: str) -> None:
    """Print to stderr; in a run of several processes, only in the first."""
    if os.environ.get("RANK", "0") == "0":
        print(sentence, file=sys.stderr)
