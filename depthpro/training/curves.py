"""A run's log as a picture: losses and validation scores over the pictures seen."""

import json
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy import ndarray

from depthpro.files import whole_file

SHOWN = ("delta1", "delta1_scaled", "boundary_f1", "focal25")


def draw_curves(log: Path, picture: Path) -> None:
    """Write a PNG with a row for each phase of a `log.jsonl`: its loss, and its scores.

    Losses are faint, and their running mean is drawn on top.
    """
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    phases = list(dict.fromkeys(line["phase"] for line in lines))
    figure = Figure((9, 2.6 * len(phases)), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    for row, phase in enumerate(phases):
        left, right = (figure.add_subplot(len(phases), 2, 2 * row + side) for side in (1, 2))
        own = [line for line in lines if line["phase"] == phase]
        steps = [line for line in own if "loss" in line]
        pictures = np.array([line["pictures"] for line in steps])
        loss = np.array([line["loss"] for line in steps])
        left.plot(pictures, loss, color="C0", alpha=0.25, linewidth=0.8)
        left.plot(pictures, running_mean(loss, max(1, len(loss) // 25)), color="C0")
        left.set(title=phase, xlabel="pictures", ylabel="loss")
        left.set_ylim(0, float(np.quantile(loss, 0.99)) * 1.1 if len(loss) else None)
        judged = [line for line in own if "validation" in line]
        for name in SHOWN:
            points = [(line["pictures"], line["validation"].get(name)) for line in judged]
            known = [point for point in points if point[1] is not None]
            if known:
                right.plot(*zip(*known, strict=True), marker="o", markersize=3, label=name)
        right.set(title=f"{phase}, held out", xlabel="pictures", ylim=(0, None))
        if right.get_legend_handles_labels()[0]:
            right.legend(fontsize=8)
    with whole_file(picture) as temporary:
        canvas.print_png(str(temporary))


def running_mean(values: Float[ndarray, " n"], width: int) -> Float[ndarray, " n"]:
    """Return the mean of each value and up to `width - 1` before it."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - width, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)
