"""`python -m depthpro train`: options → recipe, data and initial weights → `loop.train`."""

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import ConcatDataset

from depthpro.data.open import open_dataset
from depthpro.data.sample import Sample
from depthpro.files import whole_file
from depthpro.model import DepthPro, is_onnx
from depthpro.precision import computes_in_bfloat16
from depthpro.training.loop import RunOptions, train
from depthpro.training.phases import prepare_scratch
from depthpro.training.recipe import PHASES, PRESETS, Recipe
from depthpro.training.window_pretraining import load_pretrained
from depthpro.version import __version__


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add = parser.add_argument
    # Enough processes to keep a GPU busy; on a CPU, which trains itself, one.
    workers = min(os.cpu_count() or 1, 12) if torch.cuda.is_available() else 1
    # fmt: off
    add("--preset", choices=sorted(PRESETS), default="small", help="network and curriculum")
    add("--recipe", type=Path, help="a recipe as JSON, in place of a preset")
    add("--show-recipe", action="store_true", help="print the recipe as JSON and stop")
    add("--data", action="append", default=[], metavar="[KIND:]FOLDER",
        help="shards, or hypersim:, vkitti2:, arkitscenes: and their folder; may be repeated")
    add("--validation", metavar="[KIND:]FOLDER", help="held-out samples of the same kinds")
    add("--validation-samples", type=int, default=64, help="how many of them")
    add("-o", "--out", type=Path, default=Path("runs/train"), help="folder of the run")
    add("--phases", nargs="+", choices=PHASES,
        help="which phases; without it all that the recipe has")
    add("--init", help="weights to start from instead of random ones: a file or a name")
    add("--steps", type=int, help="length of each phase, in place of the recipe's")
    add("--minutes", type=float,
        help="length of the whole run by the clock, divided among its phases by their steps")
    add("--batch", type=int, help="pictures a step, in place of the recipe's")
    add("--seed", type=int, default=0, help="of weights, order and augmentation")
    add("--save-minutes", type=float, default=10.0, help="time between checkpoints")
    add("--workers", type=int, default=workers, help="processes that prepare samples")
    add("--precision", choices=("auto", "float32", "bfloat16"), default="auto",
        help="auto: bfloat16 where the processor computes in it, else float32")
    # fmt: on


def run(options: argparse.Namespace) -> int:
    """Train, or go on with the run in the folder, and return the exit status."""
    recipe = chosen_recipe(options)
    if options.show_recipe:
        print(recipe.to_json(), end="")
        return 0
    if not options.data:
        raise ValueError("--data is needed: a folder of shards (python -m depthpro render)")
    samples, held_out = open_data(options)
    given = {n: getattr(options, n) for n in ("seed", "minutes", "save_minutes", "workers")}
    given["precision"] = mixed_precision(options.precision)
    torch.manual_seed(options.seed)
    model = first_model(recipe, options.init)
    note_recipe(options, recipe)  # what was refused above leaves no folder
    train(model, recipe, RunOptions(options.out, samples, held_out, **given))
    return 0


def open_data(options: argparse.Namespace) -> tuple[ConcatDataset[Sample], list[Sample]]:
    """Return the samples to train on and those held out, by the options of those names."""
    parts = [part for spec in options.data for part in open_dataset(spec).datasets]
    held_out = open_dataset(options.validation) if options.validation else []
    count = min(options.validation_samples, len(held_out))
    # Spread over all: neighbours in a shard show the same scene.
    return ConcatDataset(parts), [held_out[i * len(held_out) // count] for i in range(count)]


def chosen_recipe(options: argparse.Namespace) -> Recipe:
    """Return the recipe with the options' changes."""
    recipe = PRESETS[options.preset]()
    if options.recipe:
        recipe = Recipe.from_json(options.recipe.read_text())
    for name in ("steps", "batch", "minutes"):
        value = getattr(options, name)
        if value is not None and value <= 0:
            raise ValueError(f"--{name} must be above 0, got {value}")
    changes = {name: value for name in ("steps", "batch") if (value := getattr(options, name))}
    names = options.phases or [phase.name for phase in recipe.phases]
    return replace(recipe, phases=tuple(replace(recipe.phase(name), **changes) for name in names))


def note_recipe(options: argparse.Namespace, recipe: Recipe) -> None:
    """Write recipe, seed, data and versions into the folder; refuse one with another run."""
    path = options.out / "run.json"
    record: dict[str, Any] = {"depthpro": __version__, "torch": torch.__version__}
    record |= {name: getattr(options, name) for name in ("seed", "data", "minutes")}
    record["recipe"] = json.loads(recipe.to_json())
    if path.exists():
        before = json.loads(path.read_text())
        other = Recipe.from_json(json.dumps(before["recipe"])).config
        if (other, before["seed"]) != (recipe.config, options.seed):
            raise ValueError(
                f"{options.out} holds a run with seed {before['seed']} of {other}; got seed "
                f"{options.seed} and {recipe.config}: choose another folder with --out"
            )
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n")


def first_model(recipe: Recipe, init: str | None) -> DepthPro:
    """Return the network that training starts from."""
    if init is not None and is_onnx(init):
        raise ValueError(f"{init} cannot be trained: pass the weights that it was made from")
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


def mixed_precision(precision: str) -> str:
    """Return Accelerate's name of a precision; "auto" is bfloat16 on devices that have it."""
    if precision == "auto":
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        precision = "bfloat16" if computes_in_bfloat16(device) else "float32"
    return {"bfloat16": "bf16", "float32": "no"}[precision]
