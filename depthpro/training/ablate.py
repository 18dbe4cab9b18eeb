"""`python -m depthpro ablate`: the paper's ablations in miniature, in a table beside the paper's.

    conditions → trained alike (`train_condition`) → results.jsonl → ablations.md

The conditions of an experiment differ in one thing: they share the start, the batches and their
order, the steps and the seed.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from depthpro.data.batches import Batch, TrainingSet
from depthpro.data.open import open_dataset
from depthpro.data.sample import Sample
from depthpro.files import whole_file
from depthpro.model import DepthPro
from depthpro.training import variants
from depthpro.training.loop import make_optimizer, rate, set_rate
from depthpro.training.phases import Task
from depthpro.training.recipe import Augmentation, Phase, PhaseName, Recipe
from depthpro.training.variants import Setting
from depthpro.version import __version__

RESULTS, TABLE = "results.jsonl", "ablations.md"
AUGMENTATION = Augmentation(colour=0, blur=0, crop=0.5, flip=0.5)
"""Cuts and mirrors alone, which change no colours."""
SPARED = 4
"""The whole network is judged on every fourth held-out sample, as it is slow; the rest on all."""


class Condition(NamedTuple):
    """One row: what is trained, for how long, and how it is measured."""

    meaning: str
    phase: Phase
    make: Callable[[Setting], Task]
    start: str | None = None
    """The condition whose weights it starts from; None for the common start."""
    trained: bool = True
    """False for the start itself, to show what training changes."""


class Experiment(NamedTuple):
    """Conditions to compare, and the paper's numbers for them."""

    title: str
    source: str
    measure: Callable[[Task, Sequence[Sample], int], dict[str, float]]
    windows: int
    """Side of the pictures, in windows: 4 is the network's input."""
    measured: dict[str, str]
    """Headings of what is measured; one with % is a share."""
    published: tuple[str, ...]
    """Headings of the paper's columns."""
    rows: dict[str, tuple[float | None, ...]]
    """The paper's numbers by condition; None where it has none."""


def _phase(name: PhaseName, steps: int, batch: int, encoder_lr: float, **changes: Any) -> Phase:
    common: dict[str, Any] = {"decoder_lr": 1e-3, "clip": 1.0, "decay": "linear", "warmup": 0.05}
    common |= {"constant": 0.45, "relative": True, "weight_decay": 0.0}
    return Phase(name, steps, batch, encoder_lr=encoder_lr, **(common | changes))


# A picture takes about three seconds of one core there and back: few pictures, but whole ones.
_STAGE1 = _phase("stage1", 60, 2, 3e-4)
_STAGE2 = _phase("stage2", 24, 2, 1e-4, decoder_lr=3e-4)
_TARGET = _phase("encoders", 300, 16, 1e-3, stem_lr=1e-4)
_FOV = _phase("fov", 80, 16, 3e-4)
_DEPTH = variants.depth_task

CONDITIONS: dict[str, Condition] = {
    "start": Condition("what 1A and 1C start from", _STAGE1, _DEPTH, trained=False),
    "1A": Condition("MAE only", replace(_STAGE1, mage=0), _DEPTH),
    "1C": Condition("MAE + SSI-MAGE", _STAGE1, _DEPTH),
    "one scale": Condition("1C; every level sees the coarsest picture, upsampled", _STAGE1,
                           variants.one_scale_task),
    "2A": Condition("MAE + MSE + MAGE + MALE + MSGE", _STAGE2, _DEPTH, "1C"),
    "2B": Condition("2A without MALE", replace(_STAGE2, male=0), _DEPTH, "1C"),
    "2C": Condition("2B without MSGE", replace(_STAGE2, male=0, msge=0), _DEPTH, "1C"),
    "2D": Condition("MAE + MSE", replace(_STAGE2, mage=0, male=0, msge=0), _DEPTH, "1C"),
    "2E": Condition("MAE", replace(_STAGE2, mse=0, mage=0, male=0, msge=0), _DEPTH, "1C"),
    "inverse": Condition("C", _TARGET, partial(variants.target_task, target="inverse")),
    "log": Condition("ln (1 / C)", _TARGET, partial(variants.target_task, target="log")),
    "depth": Condition("1 / C", _TARGET, partial(variants.target_task, target="depth")),
    "untrained": Condition("about 60° for every picture: where all four start", _FOV,
                           partial(variants.fov_task, reads="parallel"), trained=False),
    "depth encoder": Condition("reads the depth network's coarsest map", _FOV,
                               partial(variants.fov_task, reads="depth encoder")),
    "focal encoder": Condition("reads the picture through its own ViT", _FOV,
                               partial(variants.fov_task, reads="focal encoder")),
    "refinement": Condition("the coarsest map, and the same through a ViT", _FOV,
                            partial(variants.fov_task, reads="refinement")),
    "parallel": Condition("the coarsest map, and the picture through its own ViT", _FOV,
                          partial(variants.fov_task, reads="parallel")),
}  # fmt: skip

_DEPTH_MEASURES = {
    "delta1": "δ1 %",
    "delta1_scaled": "δ1 % scaled",
    "abs_rel": "AbsRel (median)",
    "boundary_f1": "F1",
}
_HYPERSIM = ("Hypersim δ1 %", "Hypersim AbsRel", "Hypersim F1")

EXPERIMENTS: dict[str, Experiment] = {
    "gradient": Experiment(
        "Gradient loss off and on", "Tables 11–13, 1A and 1C", variants.measure_depth, 4,
        _DEPTH_MEASURES, _HYPERSIM,
        {"start": (None, None, None), "1A": (75.4, 0.259, 0.221), "1C": (79.9, 0.235, 0.442)},
    ),
    "scales": Experiment(
        "One encoder scale against three",
        "Table 7, the nearest there is: ground truth at 384 and at 1536 pixels, without a network",
        variants.measure_depth, 4, _DEPTH_MEASURES, ("AbsRel", "F1"),
        {"one scale": (0.123, 0.044), "1C": (0.019, 0.311)},
    ),
    "target": Experiment(
        "What is regressed", "Table 10, δ1 by true depth", variants.measure_ranges, 1,
        {"delta1_0_1": "0–1 m", "delta1_1_2": "1–2", "delta1_2_4": "2–4", "delta1_4_8": "4–8",
         "delta1_8_16": "8–16", "delta1_16_inf": "> 16"},
        ("0–1 m", "1–2", "2–4", "4–8", "8–16", "> 16"),
        {"inverse": (0.730, 0.833, 0.896, 0.921, 0.922, 0.922),
         "log": (0.700, 0.807, 0.892, 0.919, 0.920, 0.920),
         "depth": (0.657, 0.716, 0.819, 0.853, 0.850, 0.850)},
    ),
    "fov": Experiment(
        "Heads for the field of view", "Table 14", variants.measure_focal, 1,
        {"focal25": "% within 25 %", "focal_error": "mean relative error"},
        ("% within 25 %, 500 photos",),
        {"untrained": (None,), "depth encoder": (60.0,), "focal encoder": (74.4,),
         "refinement": (63.6,), "parallel": (78.2,)},
    ),
    "stage2": Experiment(
        "Losses of stage 2", "Tables 11–13, 2A to 2E", variants.measure_depth, 4,
        _DEPTH_MEASURES, _HYPERSIM,
        {"2A": (81.3, 0.235, 0.465), "2B": (81.0, 0.230, 0.463), "2C": (80.8, 0.235, 0.468),
         "2D": (79.8, 0.239, 0.461), "2E": (80.6, 0.242, 0.459)},
    ),
}  # fmt: skip


class Plan(NamedTuple):
    """What a run was asked for."""

    out: Path
    init: str
    samples: Sequence[Sample]
    held_out: Sequence[Sample]
    steps: int | None = None
    """Of each condition, in place of its own number."""
    window: int = 128
    """Of the common start, in pixels."""

    def phase(self, name: str) -> Phase:
        """Return a condition's phase with the steps that were asked for."""
        phase = CONDITIONS[name].phase
        return phase if self.steps is None else replace(phase, steps=self.steps)


def train_condition(name: str, experiment: Experiment, seed: int, plan: Plan) -> Task:
    """Return the trained task of a condition.

    Raises:
        ValueError: If the loss is not finite, or there is no data.
    """
    condition, phase = CONDITIONS[name], plan.phase(name)
    weights = _weights(plan, condition.start, seed) if condition.start else plan.init
    model = DepthPro.from_pretrained(weights, device="cpu").train()
    torch.manual_seed(seed)
    recipe = Recipe(model.config, (phase,), AUGMENTATION, layer_scale=1.0)
    task = condition.make(Setting(model, recipe, phase, plan.samples))
    side, count = experiment.windows * plan.window, phase.steps * phase.batch
    stream = TrainingSet([plan.samples], side, AUGMENTATION, seed, range(count))
    optimizer = make_optimizer(task, phase)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    task.network.train()
    bar = tqdm(
        range(phase.steps if condition.trained else 0), desc=f"{name}, seed {seed}", unit="step"
    )
    for step in bar:
        items = [stream[step * phase.batch + place] for place in range(phase.batch)]
        batch = Batch(*(torch.stack(field) for field in zip(*items, strict=True)))
        loss = torch.stack([*task.losses(task.network, batch).values()]).sum()
        if not loss.isfinite():
            raise ValueError(f"the loss of step {step} of {name} is {loss.item()}; check the data")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, phase.clip)
        set_rate(optimizer, rate(step / phase.steps, phase))
        optimizer.step()
        optimizer.zero_grad()
        bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    if any(other.start == name for other in CONDITIONS.values()):
        model.save_pretrained(_weights(plan, name, seed))
    return task


def _weights(plan: Plan, name: str, seed: int) -> Path:
    return plan.out / f"{name}-seed{seed}.safetensors"


def read_results(out: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """Return the results so far, by condition and seed."""
    path = out / RESULTS
    lines = path.read_text().splitlines() if path.exists() else []
    entries = [json.loads(line) for line in lines]
    return {(entry["condition"], entry["seed"]): entry for entry in entries}


def run_condition(name: str, experiment: Experiment, seed: int, plan: Plan) -> None:
    """Train and measure a condition, unless its result is there; first what it starts from."""
    start = CONDITIONS[name].start
    if start is not None and not _weights(plan, start, seed).exists():
        train_condition(start, experiment, seed, plan)
    same_again = seed > 0 and not CONDITIONS[name].trained
    if same_again or (name, seed) in read_results(plan.out):
        return
    begun = time.process_time()
    task = train_condition(name, experiment, seed, plan)
    trained = time.process_time() - begun
    held_out = plan.held_out[:: SPARED if experiment.windows == 4 else 1]
    scores = experiment.measure(task, held_out, experiment.windows * plan.window)
    phase = plan.phase(name)
    entry = {
        "condition": name, "seed": seed, "steps": phase.steps if CONDITIONS[name].trained else 0,
        "batch": phase.batch, "cpu_seconds": round(trained, 1), "judged": len(held_out),
        "scores": scores,
    }  # fmt: skip
    entries = [*read_results(plan.out).values(), entry]
    with whole_file(plan.out / RESULTS) as temporary:
        temporary.write_text("".join(json.dumps(each) + "\n" for each in entries))


def make_table(results: dict[tuple[str, int], dict[str, Any]]) -> str:
    """Return the Markdown tables of all experiments: the paper's numbers, and ours beside them.

    Ours are means over seeds, with the standard deviation where there are several.
    """
    return "\n".join(_section(experiment, results) for experiment in EXPERIMENTS.values())


def _section(experiment: Experiment, results: dict[tuple[str, int], dict[str, Any]]) -> str:
    heads = [f"paper: {name}" for name in experiment.published]
    heads += [f"**ours: {name}**" for name in experiment.measured.values()]
    lines = [
        f"## {experiment.title}\n\nPaper: {experiment.source}.\n",
        f"| condition | meaning | {' | '.join(heads)} | budget |",
        "|---" * (len(heads) + 3) + "|",
    ]
    for name, published in experiment.rows.items():
        runs = [entry for (condition, _), entry in results.items() if condition == name]
        cells = ["–" if value is None else f"{value:g}" for value in published]
        cells += [
            _mean(runs, key, 100 if "%" in heading else 1)
            for key, heading in experiment.measured.items()
        ]
        budget = "–"
        if runs:
            seeds = f"{len(runs)} seed{'s' if len(runs) > 1 else ''}"
            budget = f"{runs[0]['steps']} × {runs[0]['batch']} pictures, {seeds}"
        meaning = CONDITIONS[name].meaning
        lines.append(f"| {name} | {meaning} | {' | '.join(cells)} | {budget} |")
    return "\n".join(lines) + "\n"


def _mean(runs: list[dict[str, Any]], key: str, factor: float) -> str:
    values = [factor * run["scores"][key] for run in runs if key in run["scores"]]
    if not values:
        return "–"
    text = f"{np.mean(values):.3g}"
    return text if len(values) == 1 else f"{text} ± {np.std(values, ddof=1):.2g}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
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
    """Run what is not in the folder yet, write the table, and return the exit status.

    Raises:
        ValueError: If an option or the data does not fit, or the folder has another run's results.
    """
    for name in ("steps", "seeds", "samples"):
        value = getattr(options, name)
        if value is not None and value <= 0:
            raise ValueError(f"--{name} must be above 0, got {value}")
    data, held_out = open_dataset(options.data), open_dataset(options.validation)
    _note_run(options)
    places = np.linspace(0, len(data) - 1, min(options.samples, len(data))).astype(int)
    samples = [data[place] for place in tqdm(places.tolist(), desc="samples")]
    window = DepthPro.from_pretrained(options.init, device="cpu").config.window
    plan = Plan(options.out, options.init, samples, list(held_out), options.steps, window)
    chosen = [options.only] if options.only else list(EXPERIMENTS)
    for seed in range(options.seeds):
        for experiment in (EXPERIMENTS[name] for name in chosen):
            for name in experiment.rows:
                run_condition(name, experiment, seed, plan)
                with whole_file(options.out / TABLE) as temporary:
                    temporary.write_text(make_table(read_results(options.out)))
    print(options.out / TABLE)
    return 0


def _note_run(options: argparse.Namespace) -> None:
    """Write what the results depend on into the folder, or refuse one that has others."""
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
