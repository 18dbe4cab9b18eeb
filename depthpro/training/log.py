"""A run's log: `log.jsonl`, a progress bar, a validation picture, and the curves as a picture."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure
from numpy import ndarray
from PIL import Image
from tqdm import tqdm

from depthpro.files import whole_file

LOG = "log.jsonl"
CURVES = ("delta1", "delta1_scaled", "boundary_f1", "focal25")


@dataclass
class Progress:
    """How far a phase is; saved with its checkpoints."""

    step: int = 0
    pictures: int = 0
    seconds: float = 0.0
    saved: float = 0.0
    """Seconds at the last checkpoint."""
    best: float | None = None
    """Highest validation score so far."""

    def state_dict(self) -> dict[str, Any]:
        """Return the values to save."""
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore saved values."""
        vars(self).update(state)


class Log:
    """Writes a phase's lines; where a run is resumed, it first deletes those after the checkpoint.

    A line has the phase, the step, and one of: loss (and its parts), rate, pictures and seconds of
    a step; `validation` scores; `map_deviations` at the start.
    """

    def __init__(self, out: Path, phase: str, progress: Progress, writes: bool) -> None:
        """Open the log in a run's folder; of several processes only one `writes`."""
        self.out, self.phase, self.progress, self.writes = out, phase, progress, writes
        if writes:
            out.mkdir(parents=True, exist_ok=True)
            lines = read_log(out)
            kept = [one for one in lines if one["phase"] != phase or one["step"] <= progress.step]
            with whole_file(out / LOG) as temporary:
                temporary.write_text("".join(json.dumps(line) + "\n" for line in kept))
            self._file = (out / LOG).open("a", buffering=1)
            self._bar = tqdm(desc=phase, initial=progress.pictures, unit="picture")

    def write(self, **values: Any) -> None:
        """Write a line."""
        if self.writes:
            line = {"phase": self.phase, "step": self.progress.step, **values}
            self._file.write(json.dumps(line) + "\n")

    def step(self, losses: dict[str, float], factor: float, share: float) -> None:
        """Write a step's line, with the learning rate's factor and the share of the phase done.

        Raises:
            ValueError: If the loss is not finite: going on would spoil the weights.
        """
        loss, progress = sum(losses.values()), self.progress
        if not math.isfinite(loss):
            raise ValueError(
                f"the loss of step {progress.step} of {self.phase} is {loss}: lower the learning "
                "rate or the clip, and start again; the last checkpoint is from before"
            )
        parts = losses if len(losses) > 1 else {}
        seconds = round(progress.seconds, 3)
        self.write(loss=loss, **parts, rate=factor, pictures=progress.pictures, seconds=seconds)
        if self.writes:
            self._bar.set_postfix(done=f"{share:.1%}", loss=f"{loss:.4f}", refresh=False)
            self._bar.update(progress.pictures - self._bar.n)

    def validation(self, scores: dict[str, float], picture: UInt8[ndarray, "h w 3"]) -> None:
        """Write validation scores, and replace the validation picture and the curves."""
        self.write(validation=scores, pictures=self.progress.pictures)
        with whole_file(self.out / f"{self.phase}.jpg") as temporary:
            Image.fromarray(picture).save(temporary, quality=90)
        draw_curves(self.out)
        text = "  ".join(f"{name} {value:.3f}" for name, value in scores.items())
        self._bar.write(f"{self.phase} {self.progress.step}: {text}")

    def close(self) -> None:
        """Close the file and the bar."""
        if self.writes:
            self._file.close()
            self._bar.close()


def read_log(out: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's log, without a last one that a killed run left unfinished."""
    path = out / LOG
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def draw_curves(out: Path) -> None:
    """Write `curves.png`: for each phase its loss with a running mean, and its scores."""
    lines = read_log(out)
    phases = list(dict.fromkeys(line["phase"] for line in lines))
    figure = Figure((9, 2.6 * len(phases)), layout="constrained")
    axes = figure.subplots(len(phases), 2, squeeze=False)
    for phase, (left, right) in zip(phases, axes, strict=True):
        own = [line for line in lines if line["phase"] == phase]
        steps = [line for line in own if "loss" in line]
        pictures, loss = (np.array([line[name] for line in steps]) for name in ("pictures", "loss"))
        if len(steps):
            width = len(loss) // 25 + 1
            left.plot(pictures, loss, color="C0", alpha=0.25, linewidth=0.8)
            mean = np.convolve(loss, np.ones(width) / width, "valid")
            left.plot(pictures[width - 1 :], mean, color="C0")
            left.set_ylim(0, float(np.quantile(loss, 0.99)) * 1.1)
        left.set(title=phase, xlabel="pictures", ylabel="loss")
        for name in CURVES:
            judged = [line for line in own if name in line.get("validation", {})]
            if judged:
                scores = [line["validation"][name] for line in judged]
                right.plot([line["pictures"] for line in judged], scores, marker=".", label=name)
        right.set(title=f"{phase}, held out", xlabel="pictures", ylim=(0, None))
        if right.get_legend_handles_labels()[0]:
            right.legend(fontsize=8)
    with whole_file(out / "curves.png") as temporary:
        figure.savefig(temporary)
