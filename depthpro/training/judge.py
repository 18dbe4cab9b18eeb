"""Which weights a phase leaves: the best on held-out samples."""

import copy
import json
from collections.abc import Sequence
from pathlib import Path

from accelerate import Accelerator
from torch import nn

from depthpro.checkpoint import OWN_LICENCE, Provenance
from depthpro.data.sample import Sample
from depthpro.model import DepthPro
from depthpro.training.journal import Journal, Progress
from depthpro.training.phases import Task
from depthpro.training.recipe import Phase, Recipe
from depthpro.training.validation import validate
from depthpro.training.window_pretraining import WindowNetwork, copy_to_encoders
from depthpro.version import __version__


def weights_path(out: Path, phase: Phase) -> Path:
    """Return where a phase leaves its weights."""
    return out / f"{phase.name}.safetensors"


class Judge:
    """Validates, and keeps the weights that are the best so far: by delta1, or by focal length."""

    def __init__(
        self,
        accelerator: Accelerator,
        model: DepthPro,
        task: Task,
        kept: nn.Module,
        held_out: Sequence[Sample],
        recipe: Recipe,
        phase: Phase,
    ) -> None:
        """Judge `kept`, the task's network or the average of its weights; `model` is its frame."""
        self.accelerator, self.model, self.task, self.kept = accelerator, model, task, kept
        self.held_out, self.recipe, self.phase = held_out, recipe, phase

    def now(self, journal: Journal, progress: Progress) -> None:
        """Validate and note it; write the weights if none were better, or there is no telling."""
        if self.accelerator.is_main_process:
            better = True
            if self.held_out:
                side = self.recipe.config.image_size
                scores, picture = validate(self.kept, self.task, self.held_out, side)
                value = scores.delta1 if scores.delta1 is not None else scores.focal25 or 0.0
                better = progress.best is None or value >= progress.best
                progress.best = value if better else progress.best
                journal.judged(progress, scores._asdict(), picture)
            if better:
                self._write(journal.out, progress)
        self.accelerator.wait_for_everyone()

    def leave_weights(self, path: Path) -> None:
        """Give the best weights their name: the phase is done."""
        if self.accelerator.is_main_process:
            self._best(path.parent).replace(path)
        self.accelerator.wait_for_everyone()

    def _best(self, out: Path) -> Path:
        return out / f".{self.phase.name}.best.safetensors"

    def _write(self, out: Path, progress: Progress) -> None:
        """Write a copy of the network with the judged weights in it."""
        model = copy.deepcopy(self.model)
        if isinstance(self.kept, WindowNetwork):
            copy_to_encoders(self.kept.encoder, model)
        else:
            model.load_state_dict(self.kept.get_submodule("model").state_dict())
        record = {
            "depthpro": __version__,
            "phase": self.phase.name,
            "step": progress.step,
            "pictures": progress.pictures,
            "recipe": json.loads(self.recipe.to_json()),
        }
        model.provenance = Provenance("depthpro train", OWN_LICENCE)
        model.save_pretrained(self._best(out), json.dumps(record))
