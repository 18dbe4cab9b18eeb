"""What a training run leaves behind while it goes on: figures, pictures, checkpoints."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from depthpro.files import whole_file
from depthpro.training.curves import draw_curves
from depthpro.training.recipe import Phase

LOG = "log.jsonl"


class Progress:
    """How far a phase is; stored with its checkpoints."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.step, self.pictures, self.seconds = 0, 0, 0.0
        self.saved = 0.0
        self.best: float | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return all of it."""
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        vars(self).update(state)

    def advance(self, pictures: int, seconds: float) -> None:
        """Note a step."""
        self.step += 1
        self.pictures += pictures
        self.seconds += seconds

    def share(self, phase: Phase, minutes: float | None) -> float:
        """Return how much of the phase is done, 0 to 1: by the clock if there is a time budget."""
        done = self.seconds / (60 * minutes) if minutes else self.step / phase.steps
        return min(1.0, done)

    def due(self, minutes: float) -> bool:
        """Return whether a checkpoint is due, and if so begin to wait for the next one."""
        if self.seconds - self.saved < 60 * minutes:
            return False
        self.saved = self.seconds
        return True


class Checkpoints:
    """A phase's checkpoints: the newest complete one is kept, and none is ever half there."""

    def __init__(self, accelerator: Accelerator, folder: Path) -> None:
        """Keep them in a folder, which is made when it is needed."""
        self.accelerator, self.folder = accelerator, folder

    def save(self, step: int) -> None:
        """Write one under a hidden name, give it its own name, and delete those before."""
        hidden = self.folder / f".step-{step}"
        self.accelerator.save_state(str(hidden))
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            before = self._complete()
            hidden.rename(self.folder / f"step-{step:09d}")
            for old in before:
                shutil.rmtree(old)
        self.accelerator.wait_for_everyone()

    def load(self) -> None:
        """Go on from the newest, if there is one."""
        if complete := self._complete():
            self.accelerator.load_state(str(complete[-1]))

    def delete(self) -> None:
        """Delete them all: the phase is done."""
        if self.accelerator.is_main_process and self.folder.exists():
            shutil.rmtree(self.folder)

    def _complete(self) -> list[Path]:
        return sorted(self.folder.glob("step-*"))


class Journal:
    """The run's log, TensorBoard events, progress bar and validation picture.

    `log.jsonl` has a line a step (`loss` and its parts, rate, pictures and seconds so far) and one
    a validation (the scores). Where a run goes on from a checkpoint, later lines are cut off first.
    """

    def __init__(self, out: Path, phase: Phase, progress: Progress, writes: bool) -> None:
        """Open what is there and cut off what came after `progress`; only one process writes."""
        self.out, self.phase, self.writes = out, phase, writes
        self._noted: list[dict[str, Tensor]] = []
        if not writes:
            return
        out.mkdir(parents=True, exist_ok=True)
        _cut_log(out / LOG, phase.name, progress.step)
        self._log = (out / LOG).open("a", buffering=1)
        self._board = SummaryWriter(
            str(out / "tensorboard" / phase.name), purge_step=progress.step + 1
        )
        self._bar = tqdm(desc=phase.name, initial=progress.pictures, unit="picture")

    def __enter__(self) -> "Journal":
        """Return the journal."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all."""
        if self.writes:
            self._log.close()
            self._board.close()
            self._bar.close()

    def note(self, accelerator: Accelerator, losses: dict[str, Tensor]) -> None:
        """Take down the losses of a part of a batch, averaged over processes."""
        parts = {name: value.detach().float() for name, value in losses.items()}
        self._noted.append(accelerator.reduce(parts, reduction="mean"))  # pyright: ignore

    def write(self, progress: Progress, factor: float, share: float) -> None:
        """Write a step's line, with the learning rate's factor; show how much of the phase is done.

        Raises:
            ValueError: If the loss is not finite: going on would spoil the weights.
        """
        means = {
            name: torch.stack([parts[name] for parts in self._noted]).mean().item()
            for name in self._noted[0]
        }
        self._noted.clear()
        total = sum(means.values())
        if total != total or abs(total) == float("inf"):
            raise ValueError(
                f"the loss of step {progress.step} of {self.phase.name} is {total}: lower the "
                "learning rate or the clip, and start again; the last checkpoint is from before"
            )
        if not self.writes:
            return
        line = {"loss": total, **(means if len(means) > 1 else {}), "rate": factor}
        line |= {"pictures": progress.pictures, "seconds": round(progress.seconds, 3)}
        self._line(progress, line)
        self._board.add_scalar("loss", total, progress.step)
        self._bar.set_postfix(done=f"{share:.1%}", loss=f"{total:.4f}", refresh=False)
        self._bar.update(progress.pictures - self._bar.n)

    def maps(self, progress: Progress, deviations: list[float]) -> None:
        """Write the standard deviations of the maps that the decoder adds, finest first."""
        if self.writes:
            self._line(progress, {"map_deviations": [round(value, 4) for value in deviations]})

    def judged(
        self, progress: Progress, scores: dict[str, float | None], picture: UInt8[ndarray, "h w 3"]
    ) -> None:
        """Write validation scores, and the picture in place of the one before."""
        known = {name: value for name, value in scores.items() if value is not None}
        self._line(progress, {"validation": known, "pictures": progress.pictures})
        for name, value in known.items():
            self._board.add_scalar(f"validation/{name}", value, progress.step)
        self._board.add_image("validation", picture, progress.step, dataformats="HWC")
        with whole_file(self.out / f"{self.phase.name}.jpg") as temporary:
            Image.fromarray(picture).save(temporary, quality=90)
        draw_curves(self.out / LOG, self.out / "curves.png")
        self._bar.write(f"{self.phase.name} {progress.step}: " + "  ".join(
            f"{name} {value:.3f}" for name, value in known.items()
        ))  # fmt: skip

    def _line(self, progress: Progress, values: dict[str, Any]) -> None:
        self._log.write(
            json.dumps({"phase": self.phase.name, "step": progress.step, **values}) + "\n"
        )


def _cut_log(path: Path, phase: str, step: int) -> None:
    """Delete the phase's lines after a step, and a last line that was not finished."""
    if not path.exists():
        return
    lines = [line for line in path.read_text().splitlines() if re.fullmatch(r"\{.*\}", line)]
    kept = [
        line
        for line in lines
        if (entry := json.loads(line))["phase"] != phase or entry["step"] <= step
    ]
    with whole_file(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in kept))
