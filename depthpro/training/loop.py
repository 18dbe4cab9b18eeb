"""The training loop, on Hugging Face Accelerate.

    samples → batch → augment → network → loss in float32 → backward → clip → step → average

Each phase starts from the weights that the one before it left in the run's folder. Started by
`accelerate launch` or `torchrun`, the same command trains on many devices. A killed run goes on
from its last checkpoint.
"""

import json
import math
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from accelerate import Accelerator, DataLoaderConfiguration
from accelerate.utils import broadcast
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import ConcatDataset, DataLoader
from tqdm import tqdm

from depthpro.checkpoint import OWN_LICENCE, Provenance
from depthpro.data.batches import Batch, TrainingSet, augment
from depthpro.data.open import metric_and_synthetic
from depthpro.data.sample import Sample
from depthpro.model import DepthPro
from depthpro.training.anchor import Anchor, Fit, loss_with_anchor, save_head
from depthpro.training.fine_crop import random_crops
from depthpro.training.log import append_line, trim_log
from depthpro.training.map_pool import MapPool
from depthpro.training.phases import (
    COARSEST,
    DepthNetwork,
    PhaseNetwork,
    average_weights,
    make_network,
    parameter_groups,
)
from depthpro.training.recipe import Phase, Recipe
from depthpro.training.validate import validate
from depthpro.training.window_pretraining import WindowNetwork, copy_to_encoders, cut_windows
from depthpro.version import __version__

ENDLESS = 2**40
BEST = "best.safetensors"


class RunOptions(NamedTuple):
    """Command-line options of a training run, beside the recipe."""

    out: Path
    samples: ConcatDataset[Sample]
    held_out: list[Sample]
    seed: int = 0
    minutes: float | None = None  # length of the whole run, in place of the recipe's steps
    save_minutes: float = 10.0
    workers: int = 0
    precision: str = "no"  # Accelerate's name of it: "no" is float32, "bf16" bfloat16


@dataclass
class Run:
    """A phase in training; its checkpoints hold step, seconds and best."""

    model: DepthPro
    recipe: Recipe
    phase: Phase
    options: RunOptions
    accelerator: Accelerator
    network: nn.Module  # as Accelerate wraps it
    optimizer: torch.optim.Optimizer
    ema: AveragedModel | None  # moving average of the network's weights
    step: int = 0
    seconds: float = 0.0
    best: float | None = None  # highest validation score so far

    @property
    def folder(self) -> Path:
        """Folder of an unfinished phase: its checkpoint and its best weights."""
        return self.options.out / f".{self.phase.name}"

    def state_dict(self) -> dict[str, Any]:
        """Return the values to save."""
        return {"step": self.step, "seconds": self.seconds, "best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore saved values."""
        vars(self).update(state)

    def place(self) -> dict[str, Any]:
        """Return the values that every line of the log has: phase, step, and pictures seen."""
        pictures = self.step * self.phase.batch
        return {"phase": self.phase.name, "step": self.step, "pictures": pictures}


def train(model: DepthPro, recipe: Recipe, options: RunOptions) -> None:
    """Train the recipe's phases that are not finished, in order."""
    for phase in recipe.phases:
        path = options.out / f"{phase.name}.safetensors"
        if path.exists():
            print(f"{phase.name} is done: {path}", file=sys.stderr)
            shutil.rmtree(options.out / f".{phase.name}", ignore_errors=True)
        else:
            train_phase(model, recipe, phase, options)
        model = DepthPro.from_pretrained(path, device="cpu").train()


def train_phase(model: DepthPro, recipe: Recipe, phase: Phase, options: RunOptions) -> None:
    """Train one phase, from its last checkpoint if there is one, and write its weights."""
    anchored = phase.anchor or phase.name == "interpolation"
    anchor = Anchor(options.out) if anchored else None
    run = start_phase(model, recipe, phase, options)
    accelerator, network, optimizer, ema = run.accelerator, run.network, run.optimizer, run.ema
    if anchor:
        anchor.network.to(accelerator.device)
    saved, mark, parts = run.seconds, time.monotonic(), list[Tensor]()
    bar = tqdm(augmented_batches(run), phase.name, disable=not accelerator.is_main_process)
    for pictures, batch in bar:  # images, or maps of frozen encoders
        share = share_done(run.step, run.seconds, recipe, phase, options.minutes)
        if share >= 1:
            break
        with accelerator.accumulate(network):
            crops = random_crops(phase.fine_crop, batch)
            with accelerator.autocast():
                predicted = network(pictures, crops) if crops else network(pictures)
            loss, fit = loss_with_anchor(predicted, pictures, batch, phase, anchor, crops)
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(network.parameters(), phase.clip)
            set_rate(optimizer, rate(share, phase))
            optimizer.step()
            optimizer.zero_grad()
            if fit and accelerator.sync_gradients:  # the same in all processes
                both = accelerator.reduce(torch.stack(fit).detach(), "mean")
                Fit(*cast(Tensor, both)).fold_into(run.model)
        parts.append(loss.detach())
        if not accelerator.sync_gradients:  # a batch in `accumulation` parts
            continue
        if ema:
            ema.update_parameters(accelerator.unwrap_model(network))
        seconds = torch.tensor(time.monotonic() - mark, device=accelerator.device)
        run.step += 1
        run.seconds += cast(Tensor, broadcast(seconds)).item()  # all stop at one step
        mean = log_step(run, torch.stack(parts).mean(), rate(share, phase))
        parts.clear()
        bar.set_postfix(done=f"{share:.1%}", loss=f"{mean:.4f}", refresh=False)
        if run.seconds - saved >= 60 * options.save_minutes:
            saved = run.seconds
            validate_and_save(run)
            save_checkpoint(run)
        mark = time.monotonic()
    validate_and_save(run)
    if accelerator.is_main_process:
        trained = ema.module if ema else accelerator.unwrap_model(network)
        if isinstance(trained, DepthNetwork):
            save_head(trained, options.out)
        (run.folder / BEST).replace(options.out / f"{phase.name}.safetensors")
        shutil.rmtree(run.folder)
    accelerator.wait_for_everyone()


def start_phase(model: DepthPro, recipe: Recipe, phase: Phase, options: RunOptions) -> Run:
    """Prepare a phase, and restore its last checkpoint if there is one."""
    accelerator = Accelerator(
        mixed_precision=options.precision,
        gradient_accumulation_steps=phase.accumulation,
        dataloader_config=DataLoaderConfiguration(split_batches=True),
    )
    torch.manual_seed(options.seed)
    plain = make_network(model, recipe, phase)
    optimizer = torch.optim.AdamW(parameter_groups(plain, phase))
    network, optimizer = accelerator.prepare(plain, optimizer)
    ema = average_weights(accelerator.unwrap_model(network), phase)
    run = Run(model, recipe, phase, options, accelerator, network, optimizer, ema)
    accelerator.register_for_checkpointing(run, *([ema] if ema else []))
    if saved := sorted(run.folder.glob("step-*")):
        accelerator.load_state(str(saved[-1]))
        # The checkpoint has the rates of its time; the recipe may have changed since.
        for group, ours in zip(optimizer.param_groups, parameter_groups(plain, phase), strict=True):
            group.update({name: ours[name] for name in ("initial_lr", "weight_decay")})
    if accelerator.is_main_process:
        trim_log(options.out, phase.name, run.step)
    return run


def augmented_batches(run: Run) -> Iterator[tuple[Tensor | list[Tensor], Batch]]:
    """Yield what the network reads, images or the maps of frozen encoders, and the batch."""
    accelerator, recipe, phase = run.accelerator, run.recipe, run.phase
    first = run.step * phase.accumulation // phase.reuse
    network = cast(DepthNetwork, accelerator.unwrap_model(run.network))
    pool = MapPool(network.read_windows) if phase.reuse > 1 else None
    loader = accelerator.prepare(make_loader(recipe, phase, run.options, first))
    for number, batch in enumerate(loader, start=first):
        seed = np.random.SeedSequence([run.options.seed, number]).generate_state(1)[0]
        torch.manual_seed(int(seed))  # of the noise in pictures
        if phase.name == "encoders":
            batch = cut_windows(batch, recipe.config)
        batch = augment(batch, recipe.augmentation)
        if pool is None:
            yield batch.image, batch
            continue
        pool.add(batch)
        for _ in range(phase.reuse):
            yield pool.draw(len(batch.image))


def make_loader(recipe: Recipe, phase: Phase, options: RunOptions, first: int) -> DataLoader[Any]:
    """Return the batches of a phase from batch number `first` on.

    Stage 2 takes only metric and synthetic samples, the field of view pictures as cameras take
    them; what reads the coarsest scale alone gets pictures of that size.
    """
    samples, batch = options.samples, phase.batch // phase.accumulation
    side, chances = recipe.config.image_size, recipe.augmentation
    if phase.name == "stage2":
        samples = metric_and_synthetic(samples)
        if not len(samples):
            raise ValueError("stage 2 needs data that is metric and synthetic; none was given")
    if phase.name == "fov" or phase.finest == COARSEST:
        side = recipe.config.window
    if phase.name == "fov":
        chances = replace(chances, centred=1.0, stretch=0.0)
    if phase.crop is not None:
        chances = replace(chances, crop=phase.crop)
    return DataLoader(
        TrainingSet(samples, side, chances, options.seed, range(first * batch, ENDLESS)),
        batch_size=batch,
        num_workers=options.workers,
        pin_memory=torch.cuda.is_available(),
        prefetch_factor=4 if options.workers else None,
    )


def set_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group's learning rate to a share of its initial one."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor


def rate(share: float, phase: Phase) -> float:
    """Return the learning rate's factor when a share of the phase is done.

    Source: Table 16: 1 % warm-up, 80 % constant, the last 19 % at a tenth.
    """
    if share < phase.warmup:
        return max(share / phase.warmup, 1e-3)
    end = phase.warmup + phase.constant
    if share < end:
        return 1.0
    if phase.decay == "step":
        return phase.final_lr
    left = 1 - (share - end) / max(1 - end, 1e-9)
    if phase.decay == "cosine":
        left = 0.5 - 0.5 * math.cos(math.pi * left)
    return phase.final_lr + (1 - phase.final_lr) * left


def share_done(
    step: int, seconds: float, recipe: Recipe, phase: Phase, minutes: float | None
) -> float:
    """Return how much of a phase is done, 0 to 1: by its steps, or by the clock.

    `minutes` are the whole run's; a phase has the same share of them as of the recipe's steps.
    """
    if minutes is None:
        return min(1.0, step / phase.steps)
    share = phase.steps / sum(each.steps for each in recipe.phases)
    return min(1.0, seconds / (60 * minutes * share))


def log_step(run: Run, loss: Tensor, factor: float) -> float:
    """Write a step's line, and return its loss, averaged over processes."""
    value = cast(Tensor, run.accelerator.reduce(loss, "mean")).item()
    if not math.isfinite(value):
        raise ValueError(
            f"the loss of step {run.step} of {run.phase.name} is {value}: lower the learning rate "
            "or the clip, and start again; the last checkpoint is from before"
        )
    if run.accelerator.is_main_process:
        seconds = round(run.seconds, 3)
        append_line(run.options.out, **run.place(), loss=value, rate=factor, seconds=seconds)
    return value


def validate_and_save(run: Run) -> None:
    """Validate, and save the weights if no earlier ones were better or nothing is held out."""
    options, model, better = run.options, run.model, True
    network = run.ema.module if run.ema else run.accelerator.unwrap_model(run.network)
    network = cast(PhaseNetwork, network)
    if run.accelerator.is_main_process:
        if options.held_out:
            side, picture = run.recipe.config.image_size, options.out / f"{run.phase.name}.jpg"
            scores = validate(network, options.held_out, side, picture)
            append_line(options.out, **run.place(), validation=scores)
            shown = "  ".join(f"{name} {value:.3f}" for name, value in scores.items())
            tqdm.write(f"{run.phase.name} {run.step}: {shown}")
            value = scores.get("delta1", scores.get("focal25", 0.0))
            better = run.best is None or value >= run.best
            run.best = value if better else run.best
        if better:
            if isinstance(network, WindowNetwork):
                copy_to_encoders(network.encoder, model)
            else:
                model = network.model
            recipe = json.loads(run.recipe.to_json())
            record = {"depthpro": __version__, **run.place(), "recipe": recipe}
            model.provenance = Provenance("depthpro train", OWN_LICENCE)
            model.save_pretrained(run.folder / BEST, json.dumps(record))
    run.accelerator.wait_for_everyone()


def save_checkpoint(run: Run) -> None:
    """Write a checkpoint under a hidden name, rename it once it is complete, delete older ones."""
    name = f"step-{run.step:09d}"
    incomplete = run.folder / f".{name}"
    run.accelerator.save_state(str(incomplete))
    run.accelerator.wait_for_everyone()
    if run.accelerator.is_main_process:
        older = [path for path in run.folder.glob("*step-*") if path != incomplete]
        incomplete.rename(run.folder / name)
        for path in older:  # also an incomplete one of a run that was killed
            shutil.rmtree(path)
    run.accelerator.wait_for_everyone()
