"""`python -m depthpro train`: the curriculum, in one loop on Hugging Face Accelerate.

    samples → `data` (augmented batches) → `tasks` (network and loss of a phase) → this loop

Each phase starts from the weights that the one before it left in the run's folder. Started by
`accelerate launch` or `torchrun`, the same command trains on many devices.
"""

import argparse
import dataclasses
import json
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from accelerate import Accelerator, DataLoaderConfiguration
from accelerate.utils import broadcast
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from depthpro.data.batches import TrainingSet
from depthpro.data.open import Selection, open_dataset
from depthpro.data.sample import Sample
from depthpro.files import whole_file
from depthpro.model import DepthPro
from depthpro.training.journal import Checkpoints, Journal, Progress
from depthpro.training.judge import Judge, weights_path
from depthpro.training.phases import DepthNetwork, Task, make_task, map_deviations, prepare_scratch
from depthpro.training.recipe import PHASES, PRESETS, Phase, Recipe
from depthpro.training.window_pretraining import load_pretrained
from depthpro.version import __version__

ENDLESS = 2**40


class Plan(NamedTuple):
    """What a run was asked for, beside the recipe."""

    out: Path
    sources: list[Sequence[Sample]]
    held_out: list[Sample]
    seed: int = 0
    minutes: float | None = None
    """Length of each phase by the clock; None goes by the recipe's steps."""
    save_minutes: float = 10.0
    workers: int = 0
    precision: str = "auto"


def train_phase(model: DepthPro, recipe: Recipe, phase: Phase, plan: Plan) -> None:
    """Train one phase, from its last checkpoint if there is one, and leave its weights.

    Raises:
        ValueError: If the loss is not finite, or there is no data for the phase.
    """
    run = _prepare(model, recipe, phase, plan)
    accelerator, network, optimizer, progress = run[:4]
    with Journal(plan.out, phase, progress, accelerator.is_main_process) as journal:
        judge = Judge(accelerator, model, run.task, run.kept, plan.held_out, recipe, phase)
        mark = time.monotonic()
        for number, batch in enumerate(run.loader, start=run.first):
            share = progress.share(phase, plan.minutes)
            if share >= 1:
                break
            set_rate(optimizer, rate(share, phase))
            if number == 0 and isinstance(run.task.network, DepthNetwork):
                journal.maps(progress, map_deviations(model, batch.image))
            with accelerator.accumulate(network):
                torch.manual_seed(_seed_of_batch(plan.seed, number))  # of the noise in pictures
                with accelerator.autocast():
                    losses = run.task.losses(network, batch)
                accelerator.backward(sum(losses.values()))
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(network.parameters(), phase.clip)
                optimizer.step()
                optimizer.zero_grad()
            journal.note(accelerator, losses)
            if not accelerator.sync_gradients:
                continue
            if run.average:
                run.average.update_parameters(accelerator.unwrap_model(network))
            progress.advance(phase.batch, _shared(time.monotonic() - mark, accelerator))
            journal.write(progress, rate(share, phase), share)
            if progress.due(plan.save_minutes):
                judge.now(journal, progress)
                run.checkpoints.save(progress.step)
            mark = time.monotonic()
        judge.now(journal, progress)
        judge.leave_weights(weights_path(plan.out, phase))
    run.checkpoints.delete()


class _Run(NamedTuple):
    """All that a phase's loop works with."""

    accelerator: Accelerator
    network: nn.Module
    optimizer: torch.optim.Optimizer
    progress: Progress
    task: Task
    average: AveragedModel | None
    kept: nn.Module
    """The network whose weights are judged and kept."""
    checkpoints: Checkpoints
    loader: DataLoader[Any]
    first: int
    """Number of the loader's first batch."""


def _prepare(model: DepthPro, recipe: Recipe, phase: Phase, plan: Plan) -> _Run:
    """Return everything for a phase, as its last checkpoint left it if there is one."""
    accelerator = Accelerator(
        mixed_precision=mixed_precision(plan.precision),
        gradient_accumulation_steps=phase.accumulation,
        dataloader_config=DataLoaderConfiguration(split_batches=True),
    )
    torch.manual_seed(plan.seed)
    task = make_task(model, recipe, phase)
    network, optimizer = accelerator.prepare(task.network, make_optimizer(task, phase))
    average = _average(accelerator.unwrap_model(network), phase)
    progress, checkpoints = Progress(), Checkpoints(accelerator, plan.out / f".{phase.name}")
    accelerator.register_for_checkpointing(progress, *([average] if average else []))
    rates = _rates(optimizer)
    checkpoints.load()
    _set_rates(optimizer, rates)
    first = progress.step * phase.accumulation
    loader = accelerator.prepare(make_loader(recipe, phase, plan, first))
    kept = average.module if average else accelerator.unwrap_model(network)
    return _Run(
        accelerator, network, optimizer, progress, task, average, kept, checkpoints, loader, first
    )


def _rates(optimizer: torch.optim.Optimizer) -> list[dict[str, float]]:
    names = ("first_lr", "weight_decay")
    return [{name: group[name] for name in names} for group in optimizer.param_groups]


def _set_rates(optimizer: torch.optim.Optimizer, rates: list[dict[str, float]]) -> None:
    """Put the recipe's rates in place of a checkpoint's, which hold those of its own recipe."""
    for group, values in zip(optimizer.param_groups, rates, strict=True):
        group.update(values)


def _seed_of_batch(seed: int, number: int) -> int:
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def make_optimizer(task: Task, phase: Phase) -> torch.optim.Optimizer:
    """Return Adam, with decoupled weight decay if the phase has any."""
    optimizer = torch.optim.AdamW(task.groups, betas=(0.9, 0.999))
    for group in optimizer.param_groups:
        group["first_lr"] = group["lr"]
    return optimizer


def set_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group's learning rate to a share of its first one."""
    for group in optimizer.param_groups:
        group["lr"] = group["first_lr"] * factor


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


def make_loader(recipe: Recipe, phase: Phase, plan: Plan, first: int) -> DataLoader[Any]:
    """Return the batches of a phase from batch number `first` on.

    Stage 2 takes only what is metric and synthetic.

    Raises:
        ValueError: If there is nothing to train this phase on.
    """
    sources = plan.sources
    if phase.name == "stage2":
        sources = [metric_and_synthetic(source) for source in sources]
        if not any(len(source) for source in sources):
            raise ValueError("stage 2 needs data that is metric and synthetic; none was given")
    batch = phase.batch // phase.accumulation
    items = range(first * batch, ENDLESS)
    side, chances = recipe.config.image_size, recipe.augmentation
    if phase.name == "fov":
        # It reads the coarsest scale alone, and pictures as cameras take them.
        side, chances = recipe.config.window, replace(chances, centred=1.0, stretch=0.0)
    if phase.crop is not None:
        chances = replace(chances, crop=phase.crop)
    stream = TrainingSet(sources, side, chances, plan.seed, items)
    parallel = {"prefetch_factor": 4, "persistent_workers": True} if plan.workers else {}
    return DataLoader(
        stream,
        batch_size=batch,
        num_workers=plan.workers,
        pin_memory=torch.cuda.is_available(),
        **parallel,
    )


def metric_and_synthetic(source: Sequence[Sample]) -> Sequence[Sample]:
    """Return those of a source's samples that are both, which `flags` tells without decoding."""
    flags = getattr(source, "flags", None)
    chosen = [
        index
        for index in range(len(source))
        if all(flags(index) if flags else (source[index].metric, source[index].synthetic))
    ]
    return Selection(source, chosen)


def mixed_precision(precision: str) -> str:
    """Return Accelerate's name for the arithmetic: bfloat16 where it is fast, else float32."""
    if precision == "auto":
        return "bf16" if has_fast_bfloat16() else "no"
    return {"bfloat16": "bf16", "float32": "no"}[precision]


def has_fast_bfloat16() -> bool:
    """Return whether the GPU, or the CPU where there is none, computes in bfloat16.

    A CPU without such instructions emulates them, slower than float32.
    """
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def _average(network: nn.Module, phase: Phase) -> AveragedModel | None:
    if phase.ema is None:
        return None
    largest = phase.ema

    def update(averaged: Sequence[Tensor], current: Sequence[Tensor], count: Tensor | int) -> None:
        # Short at first: a run of a few hundred steps would else keep mostly what it began with.
        decay = min(largest, (1 + int(count)) / (10 + int(count)))
        for mean, value in zip(averaged, current, strict=True):
            mean.lerp_(value, 1 - decay) if mean.is_floating_point() else mean.copy_(value)

    return AveragedModel(network, multi_avg_fn=torch.no_grad()(update))


def _shared(seconds: float, accelerator: Accelerator) -> float:
    """Return the main process's seconds in every process, so that all stop at the same step."""
    if accelerator.num_processes == 1:
        return seconds
    ours = torch.tensor(seconds, device=accelerator.device)
    return cast(torch.Tensor, broadcast(ours)).item()


def train(model: DepthPro, recipe: Recipe, phases: Sequence[Phase], plan: Plan) -> DepthPro:
    """Train the phases that have not left their weights yet, in order; return what came out.

    Raises:
        ValueError: If data, recipe and network do not fit together.
    """
    for phase in phases:
        if weights_path(plan.out, phase).exists():
            print(f"{phase.name} is done: {weights_path(plan.out, phase)}", file=sys.stderr)
        else:
            train_phase(model, recipe, phase, plan)
        model = DepthPro.from_pretrained(weights_path(plan.out, phase), device="cpu").train()
    return model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("--preset", choices=sorted(PRESETS), default="small", help="network and curriculum")
    add("--recipe", type=Path, help="a recipe as JSON, in place of a preset")
    add("--show-recipe", action="store_true", help="print the recipe as JSON and stop")
    add(
        "--data",
        action="append",
        default=[],
        metavar="[KIND:]FOLDER",
        help="shards, or hypersim:, vkitti2:, arkitscenes: and their folder; may be repeated",
    )
    add("--validation", metavar="[KIND:]FOLDER", help="held-out samples of the same kinds")
    add("--validation-samples", type=int, default=64, help="how many of them")
    add("-o", "--out", type=Path, default=Path("runs/train"), help="folder of the run")
    add(
        "--phases",
        nargs="+",
        choices=PHASES,
        help="which phases; without it all that the recipe has",
    )
    add("--init", help="weights to start from instead of random ones: a file or a name")
    add("--steps", type=int, help="length of each phase, in place of the recipe's")
    add("--minutes", type=float, help="length of each phase by the clock")
    add("--batch", type=int, help="pictures a step, in place of the recipe's")
    add("--seed", type=int, default=0, help="of weights, order and augmentation")
    add("--save-minutes", type=float, default=10.0, help="time between checkpoints")
    add("--workers", type=int, default=default_workers(), help="processes that prepare samples")
    add("--precision", choices=("auto", "float32", "bfloat16"), default="auto",
        help="auto: bfloat16 where the processor computes in it, else float32")  # fmt: skip


def default_workers() -> int:
    """Return enough processes to keep a GPU busy; on a CPU, which trains itself, one."""
    return min(os.cpu_count() or 1, 12) if torch.cuda.is_available() else 1


def run(options: argparse.Namespace) -> int:
    """Train, or go on with the run in the folder, and return the exit status.

    Raises:
        ValueError: If an option or the data does not fit.
    """
    recipe = chosen_recipe(options)
    if options.show_recipe:
        print(recipe.to_json(), end="")
        return 0
    if not options.data:
        raise ValueError("--data is needed: a folder of shards (python -m depthpro render)")
    sources = [open_dataset(spec) for spec in options.data]
    held_out = open_dataset(options.validation) if options.validation else []
    note_recipe(options, recipe)
    count = min(options.validation_samples, len(held_out))
    plan = Plan(
        out=options.out,
        sources=sources,
        # Spread over all: neighbours in a shard show the same scene.
        held_out=[held_out[index * len(held_out) // count] for index in range(count)],
        seed=options.seed,
        minutes=options.minutes,
        save_minutes=options.save_minutes,
        workers=options.workers,
        precision=options.precision,
    )
    torch.manual_seed(options.seed)
    train(first_model(recipe, options.init), recipe, recipe.phases, plan)
    return 0


def chosen_recipe(options: argparse.Namespace) -> Recipe:
    """Return the recipe with the options' changes.

    Raises:
        ValueError: If it has not the phases asked for, or a number is out of range.
    """
    text = options.recipe.read_text() if options.recipe else None
    recipe = Recipe.from_json(text) if text else PRESETS[options.preset]()
    for name in ("steps", "batch", "minutes"):
        value = getattr(options, name)
        if value is not None and value <= 0:
            raise ValueError(f"--{name} must be above 0, got {value}")
    changes = {name: getattr(options, name) for name in ("steps", "batch")}
    changes = {name: value for name, value in changes.items() if value is not None}
    names = options.phases or [phase.name for phase in recipe.phases]
    phases = tuple(dataclasses.replace(recipe.phase(name), **changes) for name in names)
    return dataclasses.replace(recipe, phases=phases)


def note_recipe(options: argparse.Namespace, recipe: Recipe) -> None:
    """Write what the run is made with into its folder.

    Raises:
        ValueError: If the folder holds a run of another network or seed.
    """
    path = options.out / "run.json"
    if path.exists():
        before = json.loads(path.read_text())
        other = Recipe.from_json(json.dumps(before["recipe"])).config
        if (other, before["seed"]) != (recipe.config, options.seed):
            raise ValueError(
                f"{options.out} holds a run with seed {before['seed']} of {other}; got seed "
                f"{options.seed} and {recipe.config}: choose another folder with --out"
            )
    record = {
        "depthpro": __version__,
        "torch": torch.__version__,
        "seed": options.seed,
        "data": options.data,
        "minutes": options.minutes,
        "recipe": json.loads(recipe.to_json()),
    }
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n")


def first_model(recipe: Recipe, init: str | None) -> DepthPro:
    """Return the network that training starts from.

    Raises:
        ValueError: If weights cannot be had, or are of another config.
    """
    if init is not None:
        model = DepthPro.from_pretrained(init, device="cpu").train()
        if model.config != recipe.config:
            raise ValueError(f"{init} has {model.config}; the recipe trains {recipe.config}")
        return model
    model = DepthPro(recipe.config)
    prepare_scratch(model, recipe)
    if recipe.pretrained is not None:
        load_pretrained(recipe.pretrained, model)
    return model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
