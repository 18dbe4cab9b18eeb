"""`python -m depthpro ablate`: two of the paper's ablations in miniature, beside its numbers.

The conditions of an experiment differ in one thing: they share the start, the batches and their
order, the steps and the seed. Each is a run of `depthpro train` in a folder of its own.
"""

import argparse
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from depthpro.data.augmentation import Augmentation
from depthpro.files import whole_file
from depthpro.model import DepthPro
from depthpro.training.log import read_log
from depthpro.training.loop import RunOptions, train
from depthpro.training.recipe import Phase, Recipe
from depthpro.training.train import open_data
from depthpro.version import __version__

AUGMENTATION = Augmentation(colour=0, blur=0, crop=0.5, flip=0.5)
# The decoder alone, on maps that are kept: six times as many pictures as with the encoders.
PHASE = Phase(
    "stage1", 100, 4, encoder_lr=0.0, decoder_lr=1e-3, clip=1.0, decay="cosine", warmup=0.05,
    constant=0.4, ssi="truth", weight_by_mean_depth=True, reuse=5,
)  # fmt: skip
SCORES = {"delta1": "δ1 %", "delta1_scaled": "δ1 % scaled", "boundary_f1": "F1"}


class Experiment(NamedTuple):
    """Conditions to compare, and the paper's numbers for them."""

    title: str
    source: str
    headings: tuple[str, ...]  # of the paper's numbers
    conditions: dict[str, tuple[str, dict[str, Any], tuple[float, ...]]]
    """Meaning, changes of `PHASE`, and the paper's numbers, by name."""


EXPERIMENTS = {
    "gradient": Experiment(
        "Gradient loss off and on",
        "Tables 11–13, 1A and 1C, on Hypersim",
        ("δ1 %", "AbsRel", "F1"),
        {
            "1A": ("MAE only", {"mage": 0.0}, (75.4, 0.259, 0.221)),
            "1C": ("MAE + SSI-MAGE", {}, (79.9, 0.235, 0.442)),
        },
    ),
    "scales": Experiment(
        "One encoder scale against three",
        "Table 7, the nearest there is: ground truth at 384 and at 1536 pixels, without a network",
        ("AbsRel", "F1"),
        {
            "one scale": ("1C on the coarsest scale", {"finest": 4}, (0.123, 0.044)),
            "three scales": ("1C, no finer taps", {"finest": 2}, (0.019, 0.311)),
        },
    ),
}


def make_table(out: Path) -> str:
    """Return the Markdown tables of all experiments: the paper's numbers, and ours beside them.

    Ours are means over the seeds that are finished, with the standard deviation where there are
    several.
    """
    lines: list[str] = []
    for experiment in EXPERIMENTS.values():
        heads = [f"paper: {name}" for name in experiment.headings]
        heads += [f"**ours: {name}**" for name in SCORES.values()]
        lines += [f"## {experiment.title}", "", f"Paper: {experiment.source}.", ""]
        lines += [f"| condition | meaning | {' | '.join(heads)} | seeds |"]
        lines += ["|---" * (len(heads) + 3) + "|"]
        for name, (meaning, _, published) in experiment.conditions.items():
            runs = [path.parent for path in out.glob(f"{name}, seed */{PHASE.name}.safetensors")]
            scores = [[x["validation"] for x in read_log(run) if "validation" in x] for run in runs]
            cells = [name, meaning, *(f"{value:g}" for value in published)]
            for key, heading in SCORES.items():
                factor = 100 if "%" in heading else 1
                cells.append(_mean([factor * of_run[-1][key] for of_run in scores]))
            lines.append(f"| {' | '.join(cells)} | {len(runs)} |")
        lines.append("")
    return "\n".join(lines)


def _mean(values: list[float]) -> str:
    if not values:
        return "–"
    deviation = f" ± {np.std(values, ddof=1):.2g}" if len(values) > 1 else ""
    return f"{np.mean(values):.3g}{deviation}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add, where = parser.add_argument, "[KIND:]FOLDER"
    add("--data", action="append", required=True, metavar=where, help="samples to train on")
    add("--validation", required=True, metavar=where, help="held-out samples")
    add("--validation-samples", type=int, default=24, help="how many of them")
    add("-o", "--out", type=Path, required=True, help="folder of the runs and of ablations.md")
    add("--only", choices=sorted(EXPERIMENTS), help="one experiment instead of all")
    add("--steps", type=int, default=PHASE.steps, help="of each condition")
    add("--seeds", type=int, default=1, help="how often all is repeated, with other seeds")
    add("--init", default="small", help="weights that all start from: a file or a name")


def run(options: argparse.Namespace) -> int:
    """Run the conditions that are not finished, write the table, and return the exit status."""
    for name in ("steps", "seeds", "validation_samples"):
        if getattr(options, name) <= 0:
            option = name.replace("_", "-")
            raise ValueError(f"--{option} must be above 0, got {getattr(options, name)}")
    names = ("data", "validation", "validation_samples", "steps", "init")
    settings = {"depthpro": __version__} | {name: getattr(options, name) for name in names}
    record = options.out / "settings.json"
    if record.exists() and json.loads(record.read_text()) != settings:
        raise ValueError(f"{options.out} holds runs of other settings: choose another --out")
    samples, held_out = open_data(options)
    chosen = [EXPERIMENTS[options.only]] if options.only else EXPERIMENTS.values()
    conditions = {name: one for each in chosen for name, one in each.conditions.items()}
    for seed, (name, (_, changes, _)) in itertools.product(
        range(options.seeds), conditions.items()
    ):
        model = DepthPro.from_pretrained(options.init, device="cpu").train()
        with whole_file(record) as temporary:
            temporary.write_text(json.dumps(settings))
        phase = replace(PHASE, steps=options.steps, **changes)
        folder = options.out / f"{name}, seed {seed}"
        recipe = Recipe(model.config, (phase,), AUGMENTATION)
        train(model, recipe, RunOptions(folder, samples, held_out, seed=seed))
        with whole_file(options.out / "ablations.md") as temporary:
            temporary.write_text(make_table(options.out))
    print(options.out / "ablations.md")
    return 0
