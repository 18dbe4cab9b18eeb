"""`python -m depthpro ablate`: the paper's ablations in miniature, in a table beside the paper's.

    conditions → trained alike (`train_condition`) → results.jsonl → ablations.md

The conditions of an experiment differ in one thing: they share the start, the batches and their
order, the steps and the seed. (Table 14, the heads for the field of view, is lesson 7.)
"""

import argparse
import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import nn
from torch.utils.data import ConcatDataset, default_collate
from tqdm import tqdm

from depthpro.data.batches import TrainingSet
from depthpro.data.open import open_dataset
from depthpro.data.sample import Sample
from depthpro.files import whole_file
from depthpro.model import DepthPro
from depthpro.training.loop import make_optimizer, phase_losses, rate, set_rate
from depthpro.training.phases import make_network, prepare_scratch
from depthpro.training.recipe import Augmentation, Phase, Recipe
from depthpro.training.variants import (
    DEPTH_SCORES,
    RANGE_SCORES,
    OneScale,
    Target,
    TargetNetwork,
    measure_depth,
    measure_ranges,
)
from depthpro.training.window_pretraining import WindowNetwork, load_pretrained
from depthpro.version import __version__

RESULTS, TABLE = "results.jsonl", "ablations.md"
AUGMENTATION = Augmentation(colour=0, blur=0, crop=0.5, flip=0.5)
EVAL_STRIDE = 4
"""The whole network, which is slow, is measured on every fourth held-out sample."""


class Condition(NamedTuple):
    """One row: what is trained, and for how long."""

    meaning: str
    phase: Phase
    start: str | None = None
    """The condition whose weights it starts from; None for the common start."""
    trained: bool = True
    """False for the start itself, to show what training changes."""
    one_scale: bool = False
    target: Target | None = None


class Experiment(NamedTuple):
    """Conditions to compare, and the paper's numbers for them."""

    title: str
    source: str
    windows: int
    """Side of the pictures, in windows: 4 is the network's input."""
    published: tuple[str, ...]
    """Headings of the paper's columns."""
    rows: dict[str, tuple[float | None, ...]]
    """The paper's numbers by condition; None where it has none."""


_COMMON: dict[str, Any] = {
    "decoder_lr": 1e-3, "clip": 1.0, "decay": "linear", "warmup": 0.05, "constant": 0.45,
    "weight_by_mean_depth": True,
}  # fmt: skip
# A picture takes about three seconds of one core there and back: few pictures, but whole ones.
_STAGE1 = Phase("stage1", 60, 2, encoder_lr=3e-4, **_COMMON)
_STAGE2 = replace(Phase("stage2", 24, 2, encoder_lr=1e-4, **_COMMON), decoder_lr=3e-4)
_TARGET = Phase("encoders", 300, 16, encoder_lr=1e-3, stem_lr=1e-4, **_COMMON)

CONDITIONS: dict[str, Condition] = {
    "start": Condition("what 1A and 1C start from", _STAGE1, trained=False),
    "1A": Condition("MAE only", replace(_STAGE1, mage=0)),
    "1C": Condition("MAE + SSI-MAGE", _STAGE1),
    "one scale": Condition("1C; every level sees the coarsest picture, upsampled", _STAGE1,
                           one_scale=True),
    "2A": Condition("MAE + MSE + MAGE + MALE + MSGE", _STAGE2, "1C"),
    "2B": Condition("2A without MALE", replace(_STAGE2, male=0), "1C"),
    "2C": Condition("2B without MSGE", replace(_STAGE2, male=0, msge=0), "1C"),
    "2D": Condition("MAE + MSE", replace(_STAGE2, mage=0, male=0, msge=0), "1C"),
    "2E": Condition("MAE", replace(_STAGE2, mse=0, mage=0, male=0, msge=0), "1C"),
    "inverse": Condition("C", _TARGET, target="inverse"),
    "log": Condition("ln (1 / C)", _TARGET, target="log"),
    "depth": Condition("1 / C", _TARGET, target="depth"),
}  # fmt: skip

_HYPERSIM = ("Hypersim δ1 %", "Hypersim AbsRel", "Hypersim F1")

EXPERIMENTS: dict[str, Experiment] = {
    "gradient": Experiment(
        "Gradient loss off and on", "Tables 11–13, 1A and 1C", 4, _HYPERSIM,
        {"start": (None, None, None), "1A": (75.4, 0.259, 0.221), "1C": (79.9, 0.235, 0.442)},
    ),
    "scales": Experiment(
        "One encoder scale against three",
        "Table 7, the nearest there is: ground truth at 384 and at 1536 pixels, without a network",
        4, ("AbsRel", "F1"), {"one scale": (0.123, 0.044), "1C": (0.019, 0.311)},
    ),
    "target": Experiment(
        "What is regressed", "Table 10, δ1 by true depth", 1, tuple(RANGE_SCORES.values()),
        {"inverse": (0.730, 0.833, 0.896, 0.921, 0.922, 0.922),
         "log": (0.700, 0.807, 0.892, 0.919, 0.920, 0.920),
         "depth": (0.657, 0.716, 0.819, 0.853, 0.850, 0.850)},
    ),
    "stage2": Experiment(
        "Losses of stage 2", "Tables 11–13, 2A to 2E", 4, _HYPERSIM,
        {"2A": (81.3, 0.235, 0.465), "2B": (81.0, 0.230, 0.463), "2C": (80.8, 0.235, 0.468),
         "2D": (79.8, 0.239, 0.461), "2E": (80.6, 0.242, 0.459)},
    ),
}  # fmt: skip


class Plan(NamedTuple):
    """Command-line options of a run."""

    out: Path
    init: str
    samples: list[Sample]
    held_out: list[Sample]
    steps: int | None = None
    """Of each condition, in place of its own number."""
    window: int = 128
    """Of the common start, in pixels."""

    def phase(self, name: str) -> Phase:
        """Return a condition's phase with the steps that were asked for."""
        phase = CONDITIONS[name].phase
        return replace(phase, steps=self.steps or phase.steps)

    def weights(self, name: str, seed: int) -> Path:
        """Return the file of a condition's weights, for those that others start from."""
        return self.out / f"{name}-seed{seed}.safetensors"


def make_condition(
    condition: Condition, model: DepthPro, phase: Phase, samples: Sequence[Sample]
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Return a condition's network and its optimiser.

    A target's network is new and has half the model's channels and blocks: nothing of it has
    learned a kind of depth before. A convolutional stem has ImageNet's weights.
    """
    config = model.config
    if condition.target is not None:
        blocks = max(2, config.depth // 2)
        model = DepthPro(replace(config, dim=config.dim // 2, depth=blocks, taps=(0, 1)))
    recipe = Recipe(model.config, (phase,), AUGMENTATION, layer_scale=1.0)
    if condition.target is not None:
        prepare_scratch(model, recipe)
        if config.stem != "patch":
            load_pretrained("imagenet", model)
    network = make_network(model, recipe, phase)
    optimizer = make_optimizer(network, phase)
    if condition.one_scale:
        return OneScale(model), optimizer
    if condition.target is not None:
        return TargetNetwork(cast(WindowNetwork, network), condition.target, samples), optimizer
    return network, optimizer


def train_condition(name: str, experiment: Experiment, seed: int, plan: Plan) -> nn.Module:
    """Return the trained network of a condition.

    Raises:
        ValueError: If the loss is not finite, or there is no data.
    """
    condition, phase = CONDITIONS[name], plan.phase(name)
    start = plan.weights(condition.start, seed) if condition.start else plan.init
    model = DepthPro.from_pretrained(start, device="cpu").train()
    torch.manual_seed(seed)
    network, optimizer = make_condition(condition, model, phase, plan.samples)
    side, count = experiment.windows * plan.window, phase.steps * phase.batch
    samples = cast("ConcatDataset[Sample]", ConcatDataset([plan.samples]))  # pyright: ignore
    stream = TrainingSet(samples, side, AUGMENTATION, seed, range(count))
    network.train()
    steps = range(phase.steps if condition.trained else 0)
    bar = tqdm(steps, desc=f"{name}, seed {seed}", unit="step")
    for step in bar:
        first = step * phase.batch
        batch = default_collate([stream[item] for item in range(first, first + phase.batch)])
        if isinstance(network, TargetNetwork):
            loss = network.loss(batch)
        else:
            loss = torch.stack([*phase_losses(network(batch.image), batch, phase).values()]).sum()
        if not loss.isfinite():
            raise ValueError(f"the loss of step {step} of {name} is {loss.item()}; check the data")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), phase.clip)
        set_rate(optimizer, rate(step / phase.steps, phase))
        optimizer.step()
        optimizer.zero_grad()
        bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    if any(other.start == name for other in CONDITIONS.values()):
        model.save_pretrained(plan.weights(name, seed))
    return network


def read_results(out: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """Return the results so far, by condition and seed."""
    path = out / RESULTS
    entries = map(json.loads, path.read_text().splitlines() if path.exists() else [])
    return {(entry["condition"], entry["seed"]): entry for entry in entries}


def run_condition(name: str, experiment: Experiment, seed: int, plan: Plan) -> None:
    """Train and measure a condition, unless its result is there; first the one it starts from."""
    condition, phase = CONDITIONS[name], plan.phase(name)
    if condition.start is not None and not plan.weights(condition.start, seed).exists():
        train_condition(condition.start, experiment, seed, plan)
    if (seed > 0 and not condition.trained) or (name, seed) in read_results(plan.out):
        return
    network = train_condition(name, experiment, seed, plan)
    whole = experiment.windows > 1
    held_out = plan.held_out[:: EVAL_STRIDE if whole else 1]
    measure = measure_depth if whole else measure_ranges
    entry = {
        "condition": name, "seed": seed, "steps": phase.steps if condition.trained else 0,
        "batch": phase.batch, "judged": len(held_out),
        "scores": measure(network, held_out, experiment.windows * plan.window),
    }  # fmt: skip
    entries = [*read_results(plan.out).values(), entry]
    with whole_file(plan.out / RESULTS) as temporary:
        temporary.write_text("".join(json.dumps(each) + "\n" for each in entries))


def make_table(results: dict[tuple[str, int], dict[str, Any]]) -> str:
    """Return the Markdown tables of all experiments: the paper's numbers, and ours beside them.

    Ours are means over seeds, with the standard deviation where there are several.
    """
    lines: list[str] = []
    for experiment in EXPERIMENTS.values():
        heads = [f"paper: {name}" for name in experiment.published]
        measured = DEPTH_SCORES if experiment.windows > 1 else RANGE_SCORES
        heads += [f"**ours: {name}**" for name in measured.values()]
        lines += [f"## {experiment.title}", "", f"Paper: {experiment.source}.", ""]
        lines.append(f"| condition | meaning | {' | '.join(heads)} | budget |")
        lines.append("|---" * (len(heads) + 3) + "|")
        for name, published in experiment.rows.items():
            runs = [entry for (condition, _), entry in results.items() if condition == name]
            cells = [name, CONDITIONS[name].meaning]
            cells += ["–" if value is None else f"{value:g}" for value in published]
            for key, heading in measured.items():
                cells.append(_mean(runs, key, 100 if "%" in heading else 1))
            seeds = f"{len(runs)} seed{'s' if len(runs) > 1 else ''}"
            budget = f"{runs[0]['steps']} × {runs[0]['batch']} pictures, {seeds}" if runs else "–"
            lines.append(f"| {' | '.join(cells)} | {budget} |")
        lines.append("")
    return "\n".join(lines)


def _mean(runs: list[dict[str, Any]], key: str, factor: float) -> str:
    values = [factor * run["scores"][key] for run in runs if key in run["scores"]]
    if not values:
        return "–"
    text = f"{np.mean(values):.3g}"
    return text if len(values) == 1 else f"{text} ± {np.std(values, ddof=1):.2g}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add = parser.add_argument
    add("--data", required=True, metavar="[KIND:]FOLDER", help="samples to train on")
    add("--validation", required=True, metavar="[KIND:]FOLDER", help="held-out samples")
    add("-o", "--out", type=Path, required=True, help="folder of results.jsonl and ablations.md")
    add("--only", choices=sorted(EXPERIMENTS), help="one experiment instead of all")
    add("--steps", type=int, help="of each condition, in place of its own number")
    add("--seeds", type=int, default=1, help="how often all is repeated, with other seeds")
    add("--init", default="small", help="weights that all start from: a file or a name")
    add("--samples", type=int, default=1200, help="training samples, which are kept in memory")


def run(options: argparse.Namespace) -> int:
    """Run the conditions without a result, write the table, and return the exit status.

    Raises:
        ValueError: If an option or the data does not fit, or the folder has another run's results.
    """
    for name in ("steps", "seeds", "samples"):
        value = getattr(options, name)
        if value is not None and value <= 0:
            raise ValueError(f"--{name} must be above 0, got {value}")
    data, held_out = open_dataset(options.data), open_dataset(options.validation)
    _note_run(options)
    places = np.linspace(0, len(data) - 1, min(options.samples, len(data))).astype(int).tolist()
    samples = [data[place] for place in tqdm(places, desc="samples")]
    held_out = [held_out[place] for place in range(len(held_out))]
    window = DepthPro.from_pretrained(options.init, device="cpu").config.window
    plan = Plan(options.out, options.init, samples, held_out, options.steps, window)
    chosen = [options.only] if options.only else list(EXPERIMENTS)
    for seed, key in itertools.product(range(options.seeds), chosen):
        for name in EXPERIMENTS[key].rows:
            run_condition(name, EXPERIMENTS[key], seed, plan)
            with whole_file(options.out / TABLE) as temporary:
                temporary.write_text(make_table(read_results(options.out)))
    print(options.out / TABLE)
    return 0


def _note_run(options: argparse.Namespace) -> None:
    """Write the options that results depend on into the folder, or refuse one that has others."""
    record = {name: getattr(options, name) for name in ("data", "validation", "steps", "init")}
    record |= {"samples": options.samples, "depthpro": __version__, "torch": torch.__version__}
    path = options.out / "run.json"
    if path.exists() and (before := json.loads(path.read_text())) != record:
        raise ValueError(
            f"{options.out} has results of {before}; this run is {record}, and the two cannot be "
            "compared: choose another folder with -o"
        )
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n")
