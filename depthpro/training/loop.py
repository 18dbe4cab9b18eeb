"""The training loop, on Hugging Face Accelerate.

    samples → batch → augment → network → loss in float32 → backward → clip → step → average

Each phase starts from the weights that the one before it left in the run's folder. Started by
`accelerate launch` or `torchrun`, the same command trains on many devices.
"""

import contextlib
import json
import math
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from accelerate import Accelerator, DataLoaderConfiguration
from accelerate.utils import broadcast
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import ConcatDataset, DataLoader

from depthpro.checkpoint import OWN_LICENCE, Provenance
from depthpro.data.batches import Batch, TrainingSet, augment
from depthpro.data.open import metric_and_synthetic
from depthpro.data.sample import Sample
from depthpro.model import DepthPro
from depthpro.training.log import Log, Progress
from depthpro.training.map_pool import MapPool
from depthpro.training.phases import (
    DepthNetwork,
    PhaseNetwork,
    Windows,
    average_weights,
    fov_phase_loss,
    make_network,
    map_deviations,
    parameter_groups,
    random_windows,
    stage1,
    stage2,
    window_losses,
)
from depthpro.training.recipe import Phase, Recipe
from depthpro.training.validate import validate
from depthpro.training.window_pretraining import WindowNetwork, copy_to_encoders, cut_windows
from depthpro.version import __version__

ENDLESS = 2**40
BEST = "best.safetensors"


class Plan(NamedTuple):
    """Command-line options of a training run, beside the recipe."""

    out: Path
    samples: ConcatDataset[Sample]
    held_out: list[Sample]
    seed: int = 0
    minutes: float | None = None
    """Length of the whole run by the clock; None goes by the recipe's steps."""
    save_minutes: float = 10.0
    workers: int = 0
    precision: str = "auto"


class Run(NamedTuple):
    """The objects of a phase's training."""

    accelerator: Accelerator
    network: nn.Module
    """As Accelerate wraps it."""
    optimizer: torch.optim.Optimizer
    ema: AveragedModel | None
    """Moving average of the network's weights."""
    progress: Progress

    @property
    def evaluated(self) -> PhaseNetwork:
        """The network whose weights are validated and saved."""
        plain = self.accelerator.unwrap_model(self.network)
        return cast(PhaseNetwork, self.ema.module if self.ema else plain)


def train_phase(model: DepthPro, recipe: Recipe, phase: Phase, plan: Plan) -> None:
    """Train one phase, from its last checkpoint if there is one, and write its weights.

    Raises:
        ValueError: If the loss is not finite, or there is no data for the phase.
    """
    run = start_phase(model, recipe, phase, plan)
    accelerator, progress = run.accelerator, run.progress
    hidden = hidden_folder(plan.out, phase)
    log = Log(plan.out, phase.name, progress, writes=accelerator.is_main_process)
    parts: list[dict[str, Tensor]] = []
    with contextlib.closing(log):
        mark = time.monotonic()
        for pictures, batch in augmented_batches(run, recipe, phase, plan, log):
            share = share_done(progress, recipe, phase, plan.minutes)
            if share >= 1:
                break
            parts.append(train_step(run, pictures, batch, phase, rate(share, phase)))
            if len(parts) < phase.accumulation:
                continue
            seconds = torch.tensor(time.monotonic() - mark, device=accelerator.device)
            progress.step += 1
            progress.pictures += phase.batch
            progress.seconds += cast(Tensor, broadcast(seconds)).item()  # all stop at one step
            log.step(mean_losses(accelerator, parts), rate(share, phase), share)
            parts.clear()
            if progress.seconds - progress.saved >= 60 * plan.save_minutes:
                progress.saved = progress.seconds
                validate_and_save(run, model, recipe, phase, plan, log)
                save_checkpoint(accelerator, hidden, progress.step)
            mark = time.monotonic()
        validate_and_save(run, model, recipe, phase, plan, log)
    if accelerator.is_main_process:
        (hidden / BEST).replace(weights_path(plan.out, phase))
        shutil.rmtree(hidden)
    accelerator.wait_for_everyone()


def augmented_batches(
    run: Run, recipe: Recipe, phase: Phase, plan: Plan, log: Log
) -> Iterator[tuple[Tensor | list[Tensor], Batch]]:
    """Yield what the network reads, images or the maps of frozen encoders, and the batch."""
    accelerator, progress = run.accelerator, run.progress
    first = progress.step * phase.accumulation // phase.reuse
    plain = cast(PhaseNetwork, accelerator.unwrap_model(run.network))
    pool = MapPool(cast(DepthNetwork, plain).read_windows) if phase.reuse > 1 else None
    loader = accelerator.prepare(make_loader(recipe, phase, plan, first))
    for number, batch in enumerate(loader, start=first):
        if number == 0 and isinstance(plain, DepthNetwork):
            log.write(map_deviations=map_deviations(plain.model, batch.image))
        torch.manual_seed(_seed_of_batch(plan.seed, number))  # of the noise in pictures
        if phase.name == "encoders":
            batch = cut_windows(batch, recipe.config)
        batch = augment(batch, recipe.augmentation)
        if pool is None:
            yield batch.image, batch
        else:
            yield from pool.batches(batch, phase.reuse)


def train_step(
    run: Run, pictures: Tensor | list[Tensor], batch: Batch, phase: Phase, factor: float
) -> dict[str, Tensor]:
    """Train on a batch, or on one of its `accumulation` parts, and return the losses by name.

    `factor` is the learning rates' share of the recipe's.
    """
    accelerator, network, optimizer, ema, _ = run
    with accelerator.accumulate(network):
        windows = random_windows(phase, batch)
        with accelerator.autocast():
            predicted = network(pictures) if windows is None else network(pictures, windows)
        losses = phase_losses(predicted, batch, phase, windows)  # in float32
        accelerator.backward(sum(losses.values()))
        if accelerator.sync_gradients:
            accelerator.clip_grad_norm_(network.parameters(), phase.clip)
        set_rate(optimizer, factor)
        optimizer.step()
        optimizer.zero_grad()
    if ema and accelerator.sync_gradients:
        ema.update_parameters(accelerator.unwrap_model(network))
    return {name: value.detach() for name, value in losses.items()}


def phase_losses(
    predicted: Any, batch: Batch, phase: Phase, windows: Windows | None = None
) -> dict[str, Tensor]:
    """Return a phase's losses by name; their sum is minimised."""
    if phase.name == "encoders":
        return window_losses(predicted, batch, phase)
    if phase.name == "fov":
        return {"fov": fov_phase_loss(predicted, batch, phase)}
    if phase.name == "stage2":
        return {"stage2": stage2(predicted, batch, phase, windows)}
    return {phase.name: stage1(predicted, batch, phase, windows)}


def mean_losses(accelerator: Accelerator, parts: list[dict[str, Tensor]]) -> dict[str, float]:
    """Return the losses of a step, averaged over its parts and over processes."""
    means = {name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]}
    reduced = cast(dict[str, Tensor], accelerator.reduce(means, reduction="mean"))
    return {name: value.item() for name, value in reduced.items()}


def start_phase(model: DepthPro, recipe: Recipe, phase: Phase, plan: Plan) -> Run:
    """Prepare a phase, and restore its last checkpoint if there is one."""
    accelerator = Accelerator(
        mixed_precision=mixed_precision(plan.precision),
        gradient_accumulation_steps=phase.accumulation,
        dataloader_config=DataLoaderConfiguration(split_batches=True),
    )
    torch.manual_seed(plan.seed)
    network = make_network(model, recipe, phase)
    network, optimizer = accelerator.prepare(network, make_optimizer(network, phase))
    ema = average_weights(accelerator.unwrap_model(network), phase)
    progress = Progress()
    accelerator.register_for_checkpointing(progress, *([ema] if ema else []))
    if saved := sorted(hidden_folder(plan.out, phase).glob("step-*")):
        names = ("initial_lr", "weight_decay")  # a checkpoint has those of its own recipe
        rates = [{name: group[name] for name in names} for group in optimizer.param_groups]
        accelerator.load_state(str(saved[-1]))
        for group, values in zip(optimizer.param_groups, rates, strict=True):
            group.update(values)
    return Run(accelerator, network, optimizer, ema, progress)


def make_optimizer(network: PhaseNetwork, phase: Phase) -> torch.optim.Optimizer:
    """Return AdamW with the phase's rates."""
    optimizer = torch.optim.AdamW(parameter_groups(network, phase), betas=(0.9, 0.999))
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return optimizer


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


def share_done(progress: Progress, recipe: Recipe, phase: Phase, minutes: float | None) -> float:
    """Return how much of a phase is done, 0 to 1: by its steps, or by the clock.

    `minutes` are the whole run's; a phase has the same share of them as of the recipe's steps.
    """
    if minutes is None:
        return min(1.0, progress.step / phase.steps)
    seconds = 60 * minutes * phase.steps / sum(each.steps for each in recipe.phases)
    return min(1.0, progress.seconds / seconds)


def _seed_of_batch(seed: int, number: int) -> int:
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def make_loader(recipe: Recipe, phase: Phase, plan: Plan, first: int) -> DataLoader[Any]:
    """Return the batches of a phase from batch number `first` on.

    Stage 2 takes only metric and synthetic samples.

    Raises:
        ValueError: If there is no data for this phase.
    """
    samples = plan.samples
    if phase.name == "stage2":
        samples = metric_and_synthetic(samples)
        if not len(samples):
            raise ValueError("stage 2 needs data that is metric and synthetic; none was given")
    batch = phase.batch // phase.accumulation
    side, chances = recipe.config.image_size, recipe.augmentation
    if phase.name == "fov":
        # It reads the coarsest scale alone, and pictures as cameras take them.
        side, chances = recipe.config.window, replace(chances, centred=1.0, stretch=0.0)
    if phase.crop is not None:
        chances = replace(chances, crop=phase.crop)
    parallel = {"prefetch_factor": 4, "persistent_workers": True} if plan.workers else {}
    return DataLoader(
        TrainingSet(samples, side, chances, plan.seed, range(first * batch, ENDLESS)),
        batch_size=batch,
        num_workers=plan.workers,
        pin_memory=torch.cuda.is_available(),
        **parallel,
    )


def mixed_precision(precision: str) -> str:
    """Return Accelerate's name of a precision; "auto" is bfloat16 where the device computes in it.

    A CPU without bfloat16 instructions emulates it, slower than float32.
    """
    if precision != "auto":
        return {"bfloat16": "bf16", "float32": "no"}[precision]
    if torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16" if fast else "no"


def weights_path(out: Path, phase: Phase) -> Path:
    """Return the file of a finished phase's weights."""
    return out / f"{phase.name}.safetensors"


def hidden_folder(out: Path, phase: Phase) -> Path:
    """Return the folder of an unfinished phase: its checkpoint and its best weights."""
    return out / f".{phase.name}"


def save_checkpoint(accelerator: Accelerator, folder: Path, step: int) -> None:
    """Write a checkpoint under a hidden name, rename it once it is complete, delete older ones."""
    incomplete = folder / f".step-{step}"
    accelerator.save_state(str(incomplete))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        older = list(folder.glob("step-*"))
        incomplete.rename(folder / f"step-{step:09d}")
        for path in older:
            shutil.rmtree(path)
    accelerator.wait_for_everyone()


def validate_and_save(
    run: Run, model: DepthPro, recipe: Recipe, phase: Phase, plan: Plan, log: Log
) -> None:
    """Validate, and save the weights if no earlier ones were better or nothing is held out."""
    network, progress = run.evaluated, run.progress
    if run.accelerator.is_main_process:
        better = True
        if plan.held_out:
            scores, picture = validate(network, plan.held_out, recipe.config.image_size)
            log.validation(scores, picture)
            value = scores.get("delta1", scores.get("focal25", 0.0))
            better = progress.best is None or value >= progress.best
            progress.best = value if better else progress.best
        if better:
            if isinstance(network, WindowNetwork):
                copy_to_encoders(network.encoder, model)
            else:
                model = network.model
            record = {"depthpro": __version__, "phase": phase.name, "step": progress.step}
            record |= {"pictures": progress.pictures, "recipe": json.loads(recipe.to_json())}
            model.provenance = Provenance("depthpro train", OWN_LICENCE)
            model.save_pretrained(hidden_folder(plan.out, phase) / BEST, json.dumps(record))
    run.accelerator.wait_for_everyone()


def train(model: DepthPro, recipe: Recipe, plan: Plan) -> DepthPro:
    """Train the recipe's phases that are not finished, in order; return the trained network.

    Raises:
        ValueError: If data, recipe and network do not fit together.
    """
    for phase in recipe.phases:
        path = weights_path(plan.out, phase)
        if path.exists():
            print(f"{phase.name} is done: {path}", file=sys.stderr)
        else:
            train_phase(model, recipe, phase, plan)
        model = DepthPro.from_pretrained(path, device="cpu").train()
    return model
