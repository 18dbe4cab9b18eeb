"""A run's log, `log.jsonl`: a line for each step and each validation, and its curves."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from depthpro.files import whole_file

LOG = "log.jsonl"
CURVES = ("delta1", "delta1_scaled", "boundary_f1", "focal25")


def append_line(path: Path, **values: Any) -> None:
    """Append a line of JSON to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(values) + "\n")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return a file's lines of JSON, without a last one that a killed run left unfinished."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def trim_log(out: Path, phase: str, step: int) -> None:
    """Delete a phase's lines after the step that it is resumed at."""
    kept = [
        line for line in read_lines(out / LOG) if line["phase"] != phase or line["step"] <= step
    ]
    with whole_file(out / LOG) as temporary:
        temporary.write_text("".join(json.dumps(line) + "\n" for line in kept))


def draw_curves(out: Path) -> None:
    """Write `curves.png`: for each phase its loss with a running mean, and its scores."""
    lines = pd.DataFrame(read_lines(out / LOG))
    phases = lines["phase"].unique()
    figure = Figure((9, 2.6 * len(phases)), layout="constrained")
    axes = figure.subplots(len(phases), 2, squeeze=False)
    for phase, (left, right) in zip(phases, axes, strict=True):
        own = lines[lines["phase"] == phase].set_index("pictures")
        loss = own["loss"].dropna()
        left.plot(loss, color="C0", alpha=0.25, linewidth=0.8)
        left.plot(loss.rolling(len(loss) // 25 + 1).mean(), color="C0")
        left.set(title=phase, xlabel="pictures", ylabel="loss")
        left.set_ylim(0, 1.1 * loss.quantile(0.99) if len(loss) else 1)
        scores = own["validation"].dropna().apply(pd.Series)
        for name in [name for name in CURVES if name in scores]:
            right.plot(scores[name], marker=".", label=name)
            right.legend(fontsize=8)
        right.set(title=f"{phase}, held out", xlabel="pictures", ylim=(0, None))
    with whole_file(out / "curves.png") as temporary:
        figure.savefig(temporary)
