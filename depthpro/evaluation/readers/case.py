"""One picture of a benchmark with its ground truth, a benchmark, and how its files are found."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Num, UInt8
from numpy import ndarray

from depthpro.data.frames import existing

Measure = Literal["depth", "cloud", "boundary", "recall", "focal", "ibims"]
"""Groups of measures: depth errors; point clouds; boundary F1 against depth; boundary recall
against a mask; focal length; the iBims benchmark's own."""


@dataclass(frozen=True)
class Case:
    """One picture of a benchmark. What the benchmark does not annotate is None.

    Cameras follow `depthpro.data.sample.Sample`: pixels may be stretched, `f_px` is horizontal.
    """

    rgb: UInt8[ndarray, "h w 3"]
    depth: Float[ndarray, "H W"] | None = None
    """Metres along the optical axis, at the picture's size or another; infinite for sky."""
    mask: Bool[ndarray, "H W"] | None = None  # where depth (or alpha) is known; everywhere if None
    alpha: Float[ndarray, "h w"] | None = None  # soft mask of a foreground, in [0, 1]
    f_px: float | None = None  # focal lengths and principal point in pixels of `rgb`
    fy_px: float | None = None
    cx_px: float | None = None
    cy_px: float | None = None
    edges: Bool[ndarray, "h w"] | None = None  # depth edges, of iBims
    planes: Bool[ndarray, "p h w"] | None = None  # a mask for each wall, floor and table, of iBims
    family: str = ""  # a part of the benchmark that reports list apart, such as a scene family


@dataclass(frozen=True)
class Benchmark:
    """A benchmark on disk: listed when opened, read case by case."""

    title: str  # as in the paper's tables
    cases: Mapping[str, Callable[[], Case]]
    """Functions that read a case, by its name: unique, a relative path without a suffix, such as
    `delivery_area/DSC_0654`. They raise a ValueError that names a broken file."""
    measures: tuple[Measure, ...]
    range_m: tuple[float, float] | None = None  # depths that count, ends included. Source: Table 18


def find_cases(
    root: str | Path, name: str, files: Sequence[str], read: Callable[..., Case], archives: str
) -> dict[str, Callable[[], Case]]:
    """List the cases of a benchmark whose pictures and ground truth are files side by side.

    Args:
        root: Folder that holds the benchmark.
        name: Name of a case, such as "{scene}/{frame}"; braces hold parts of the picture's path.
        files: Paths below the root, the picture's first. Hidden pictures are left out.
        read: Reads a case from these files.
        archives: What to unpack, named when pictures are missing.

    Raises:
        ValueError: If there is no picture, or a picture lacks a file.
    """
    picture, *others = files
    pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/.][^/]*)", re.escape(picture))
    cases = {}
    for path in sorted(Path(root).glob(re.sub(r"{\w+}", "*", picture))):
        if match := re.fullmatch(pattern, path.relative_to(root).as_posix()):
            parts = match.groupdict()
            paths = [existing(Path(root, other.format(**parts))) for other in others]
            cases[name.format(**parts)] = partial(read, path, *paths)
    if not cases:
        raise ValueError(
            f"no pictures {picture} in {root}: unpack {archives} there, or give the folder where "
            "they are unpacked"
        )
    return cases


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
