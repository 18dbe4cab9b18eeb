"""Where a system is right and wrong: its worst and best pictures, and its error over depth."""

import heapq
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure
from numpy import ndarray
from PIL import Image

from depthpro.evaluation.readers.case import Benchmark, Case
from depthpro.evaluation.report import METRICS, read_record, read_rows
from depthpro.evaluation.scoring import CURVE_M, Said, at_size, counted
from depthpro.evaluation.systems import System
from depthpro.files import whole_file
from depthpro.metrics import Alignment, align_depth
from depthpro.viz import colorize, depth_range

KEYS = ("delta1", "boundary_f1", "boundary_recall")
"""What pictures are ordered by: the first one that they have."""
SHOWN = 3
"""Worst and best pictures, so many of each."""
HEIGHT = 240
"""Of a picture in the figure, in pixels."""
_TITLES = "truth", "prediction", "error: blue too near, red too far"
FACTOR = 1.5
"""Error that the map of errors shows in its strongest colours."""


def worst_and_best(rows: Path) -> tuple[str, list[tuple[float, str]]]:
    """Return the measure that pictures are ordered by, and values and names, the worst first.

    They are the three worst and the three best of a file of rows, or as many as there are. The
    measure is the first of `KEYS` that a row has; empty if none has any.
    """
    key = next((key for key in KEYS if any(key in row for row in read_rows(rows))), "")
    worst = heapq.nsmallest(SHOWN, _scored(rows, key))
    best = [each for each in heapq.nlargest(SHOWN, _scored(rows, key)) if each not in worst]
    return key, worst + best[::-1]


def _scored(rows: Path, key: str) -> Iterator[tuple[float, str]]:
    return ((row[key], row["case"]) for row in read_rows(rows) if key in row)


def draw_cases(rows: Path, benchmark: Benchmark, system: System) -> Path | None:
    """Draw the worst and the best pictures of a file of rows; return the figure's path, if any.

    Each has photo, truth, prediction in the truth's colours, and a map of its errors: blue where it
    is too near, red where too far, fully at a factor of 1.5. Of a mask there is no such map.
    """
    key, chosen = worst_and_best(rows)
    if not chosen:
        return None
    alignment = read_record(rows)["alignment"]
    figure = Figure(figsize=(12, 2.3 * len(chosen)), layout="constrained")
    grid = figure.subplots(len(chosen), 4, squeeze=False)
    for axes, (value, name) in zip(grid, chosen, strict=True):
        case = benchmark.cases[name]()
        tiles = _tiles(case, system.say(name, case), benchmark.range_m, alignment)
        for axis in axes:
            axis.axis("off")
        for axis, tile in zip(axes, tiles, strict=False):
            axis.imshow(tile)
        metric = METRICS[key]
        score = f"{metric.factor * value:.{metric.decimals}f}"
        titles = f"{name}: {metric.title} {score}", *_TITLES
        for axis, title in zip(axes, titles, strict=True):
            axis.set_title(title, loc="left", fontsize=9)
    path = rows.with_suffix(".jpg")
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=100)
    return path


def draw_curves(folder: Path) -> Path | None:
    """Draw the error over true depth of all systems in a benchmark's folder.

    Each bin is the mean of |d - d*| / d* over its pixels of all pictures; bins with less than a
    thousandth of the pixels are left out.
    """
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    middles, shown_m = np.sqrt(CURVE_M[1:] * CURVE_M[:-1]), []
    for rows in sorted(folder.glob("[!.]*.jsonl")):
        total, pixels = np.zeros(len(middles) + 2), np.zeros(len(middles) + 2)
        for row in read_rows(rows):
            if "error_by_depth" in row:
                count = np.array(row["pixels_by_depth"])
                total += count * row["error_by_depth"]
                pixels += count
        shown = (pixels > 1e-3 * pixels.sum())[1:-1]
        if shown.any():
            error = (total / pixels.clip(min=1))[1:-1]
            label = read_record(rows)["system"]
            axes.plot(middles[shown], error[shown], marker="o", label=label)
            shown_m += middles[shown].tolist()
    if not axes.lines:
        return None
    axes.set(xscale="log", yscale="log", xlabel="true depth in metres", ylabel="mean |d - d*| / d*")
    axes.minorticks_off()
    axes.set_xticks(middles, [f"{middle:.2g}" for middle in middles])
    axes.set_xlim(0.9 * min(shown_m), 1.1 * max(shown_m))
    axes.grid(alpha=0.3)
    axes.legend()
    path = folder / "error_over_depth.png"
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=120)
    return path


def _tiles(
    case: Case,
    said: Said,
    range_m: tuple[float, float] | None,
    alignment: Alignment,
) -> list[UInt8[ndarray, "_ _ 3"]]:
    if case.depth is None:
        assert case.alpha is not None
        alpha = np.repeat((255 * case.alpha).astype(np.uint8)[..., None], 3, axis=2)
        return [
            _small(each) for each in (case.rgb, alpha, colorize(at_size(said, case.alpha.shape)))
        ]
    truth, ground = counted(case, range_m)
    ours = at_size(said, truth.shape)
    aligned = ours
    if ground.any():
        aligned = np.asarray(align_depth(ours, truth, ground, range_m, alignment))
    shown = np.where(ground, truth, np.inf)
    span = depth_range(shown)
    error = np.where(ground, np.log(aligned / np.where(ground, truth, 1)) / np.log(FACTOR), 0)
    colours = matplotlib.colormaps["coolwarm"](np.clip((error + 1) / 2, 0, 1))[..., :3]
    maps = (
        colorize(shown, span) * (1 if case.mask is None else case.mask[..., None]),
        colorize(np.where(ground, aligned, ours), span),
        (255 * colours).astype(np.uint8) * ground[..., None],
    )
    return [_small(each) for each in (case.rgb, *maps)]


def _small(picture: UInt8[ndarray, "h w 3"]) -> UInt8[ndarray, "_ _ 3"]:
    image = Image.fromarray(picture)
    # Nearest, so that measured pixels which stand alone do not vanish into black.
    return np.asarray(image.resize((round(image.width * HEIGHT / image.height), HEIGHT), 0))
