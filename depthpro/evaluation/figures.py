"""Figures of a system's errors: its worst and best pictures, and its error over depth."""

import heapq
from collections.abc import Collection, Iterable
from pathlib import Path

import matplotlib
import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure
from numpy import ndarray
from PIL import Image

from depthpro.evaluation.readers.case import Case
from depthpro.evaluation.report import METRICS, RANKED, Results
from depthpro.evaluation.scoring import CURVE_M, Range, Row, SystemOutput, at_size, counted
from depthpro.files import whole_file
from depthpro.metrics import Alignment, align_depth
from depthpro.viz import colorize, depth_range

SHOWN = 3  # number of worst, and of best pictures
HEIGHT = 240  # height of a picture in the figure, in pixels
FACTOR = 1.5  # ratio of depths that the map of errors shows in its strongest colours


def worst_and_best(rows: Collection[Row]) -> tuple[str, list[Row]]:
    """Return the first measure of `RANKED` that rows have, and the three worst and best by it.

    The worst come first; of equal ones the first are taken. Empty if no row has such a measure.
    """
    key = next((key for key in RANKED if any(key in row for row in rows)), "")
    scored = [row for row in rows if key in row]
    worst = heapq.nsmallest(SHOWN, scored, key=lambda row: row[key])
    best = heapq.nlargest(SHOWN, scored, key=lambda row: row[key])
    return key, worst + [row for row in best if row not in worst][::-1]


def save_panels(
    path: Path, case: Case, output: SystemOutput, range_m: Range, alignment: Alignment
) -> None:
    """Write photo, truth, prediction, and a map of its errors, side by side.

    Errors are blue where the prediction is too near, red where too far, fully at a factor of 1.5.
    A case with a mask instead of depth has no such map.
    """
    if case.depth is not None:
        panels = _depth_panels(case, output, range_m, alignment)
    else:
        assert case.alpha is not None
        matte = np.repeat((255 * case.alpha).astype(np.uint8)[..., None], 3, axis=2)
        panels = [matte, colorize(at_size(output, case.alpha.shape))]
    small = []
    for panel in map(Image.fromarray, (case.rgb, *panels)):
        size = round(panel.width * HEIGHT / panel.height), HEIGHT
        small.append(panel.resize(size, Image.Resampling.NEAREST))  # keeps measured pixels, if few
    with whole_file(path) as temporary:
        Image.fromarray(np.hstack(small)).save(temporary, quality=90)


def draw_cases(path: Path, rows: Collection[Row], folder: Path) -> None:
    """Draw the worst and the best pictures from their panels, FOLDER/CASE.jpg, if there are any."""
    key, chosen = worst_and_best(rows)
    chosen = [row for row in chosen if (folder / f"{row['case']}.jpg").exists()]
    if not chosen:
        return
    figure = Figure(figsize=(12, 2.5 * len(chosen)), layout="constrained")
    figure.suptitle("photo, truth, prediction, error: blue too near, red too far", fontsize=10)
    for axes, row in zip(figure.subplots(len(chosen), squeeze=False)[:, 0], chosen, strict=True):
        with Image.open(folder / f"{row['case']}.jpg") as panels:
            axes.imshow(np.asarray(panels))
        metric = METRICS[key]
        score = f"{metric.factor * row[key]:.{metric.decimals}f}"
        axes.set_title(f"{row['case']}: {metric.title} {score}", loc="left", fontsize=9)
        axes.axis("off")
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=100)


def draw_curves(path: Path, results: Iterable[Results]) -> None:
    """Draw the mean of |d - d*| / d* over true depth of systems on one benchmark, if measured.

    The mean is over pixels; bins with less than a thousandth of the pixels are left out.
    """
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    middles = np.sqrt(CURVE_M[1:] * CURVE_M[:-1])
    for record, rows in results:
        rows = [row for row in rows if "error_by_depth" in row]
        if rows:
            counts = np.array([row["pixels_by_depth"] for row in rows])
            errors = (counts * [row["error_by_depth"] for row in rows]).sum(0)[1:-1]
            pixels = counts.sum(0)[1:-1]
            shown = pixels > 1e-3 * counts.sum()
            axes.plot(middles[shown], errors[shown] / pixels[shown], "o-", label=record["system"])
    if not axes.lines:
        return
    axes.set(xscale="log", yscale="log", xlabel="true depth in metres", ylabel="mean |d - d*| / d*")
    axes.minorticks_off()
    axes.set_xticks(middles, [f"{middle:.2g}" for middle in middles])
    axes.grid(alpha=0.3)
    axes.legend()
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=120)


def _depth_panels(
    case: Case, output: SystemOutput, range_m: Range, alignment: Alignment
) -> list[UInt8[ndarray, "_ _ 3"]]:
    truth, valid = counted(case, range_m)
    ours = at_size(output, truth.shape)
    depth = np.where(valid, align_depth(ours, truth, valid, range_m, alignment), ours)
    shown = np.where(valid, truth, np.inf)
    span = depth_range(shown)
    error = np.log(depth / np.where(valid, truth, depth)) / np.log(FACTOR)
    colours = matplotlib.colormaps["coolwarm"](np.clip((error + 1) / 2, 0, 1), bytes=True)[..., :3]
    known = np.ones(truth.shape, bool) if case.mask is None else case.mask
    return [
        colorize(shown, span) * known[..., None],
        colorize(depth, span),
        colours * valid[..., None],
    ]
