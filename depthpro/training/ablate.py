"""`python -m depthpro ablate`: three of the paper's ablations in miniature, beside its numbers.

    conditions → trained alike (`train_condition`) → results.jsonl → ablations.md

The conditions of an experiment differ in one thing: they share the start, the batches and their
order, the steps and the seed. (Table 14, the heads for the field of view, is lesson 7.)
"""

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast, get_args

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.data import ConcatDataset, default_collate
from tqdm import tqdm

from depthpro import losses
from depthpro.data.augmentation import Augmentation
from depthpro.data.batches import Batch, TrainingSet, as_item, shrink_truth
from depthpro.data.open import open_dataset
from depthpro.data.sample import Sample
from depthpro.files import whole_file
from depthpro.geometry import focal_from_fov
from depthpro.model import DepthPro
from depthpro.preprocess import resize
from depthpro.training.log import append_line, read_lines
from depthpro.training.loop import rate, set_rate
from depthpro.training.phases import (
    DepthNetwork,
    make_network,
    parameter_groups,
    phase_loss,
    prepare_scratch,
)
from depthpro.training.recipe import Phase, Recipe
from depthpro.training.validate import predict_samples, score
from depthpro.training.window_pretraining import Estimate, WindowNetwork, load_pretrained
from depthpro.version import __version__

RESULTS, TABLE = "results.jsonl", "ablations.md"
AUGMENTATION = Augmentation(colour=0, blur=0, crop=0.5, flip=0.5)
EVAL_STRIDE = 4
"""The whole network, which is slow, is measured on every fourth held-out sample."""

Target = Literal["inverse", "log", "depth"]
TARGETS: tuple[Target, ...] = get_args(Target)

DEPTH_SCORES = {"delta1": "δ1 %", "delta1_scaled": "δ1 % scaled", "abs_rel": "AbsRel (median)",
                "boundary_f1": "F1"}  # fmt: skip
RANGE_SCORES = {"delta1_0_1": "0–1 m", "delta1_1_2": "1–2", "delta1_2_4": "2–4",
                "delta1_4_8": "4–8", "delta1_8_16": "8–16", "delta1_16_inf": "> 16"}  # fmt: skip
RANGES_M = (0, 1, 2, 4, 8, 16, np.inf)
"""Table 10 has delta1 between each two of these depths."""

_COMMON: dict[str, Any] = {
    "decoder_lr": 1e-3, "clip": 1.0, "decay": "linear", "warmup": 0.05, "constant": 0.45,
    "weight_by_mean_depth": True,
}  # fmt: skip
# A picture takes about three seconds of one core there and back: few pictures, but whole ones.
_STAGE1 = Phase("stage1", 60, 2, encoder_lr=3e-4, **_COMMON)
_TARGET = Phase("encoders", 300, 16, encoder_lr=1e-3, stem_lr=1e-4, **_COMMON)

CONDITIONS: dict[str, tuple[str, Phase]] = {
    "start": ("what 1A and 1C start from", _STAGE1),
    "1A": ("MAE only", replace(_STAGE1, mage=0)),
    "1C": ("MAE + SSI-MAGE", _STAGE1),
    "one scale": ("1C; every level sees the coarsest picture, upsampled", _STAGE1),
    "inverse": ("C", _TARGET),
    "log": ("ln (1 / C)", _TARGET),
    "depth": ("1 / C", _TARGET),
}


class Experiment(NamedTuple):
    """Conditions to compare, and the paper's numbers for them."""

    title: str
    source: str
    published: tuple[str, ...]
    """Headings of the paper's columns."""
    rows: dict[str, tuple[float | None, ...]]
    """The paper's numbers by condition; None where it has none."""


EXPERIMENTS: dict[str, Experiment] = {
    "gradient": Experiment(
        "Gradient loss off and on", "Tables 11–13, 1A and 1C",
        ("Hypersim δ1 %", "Hypersim AbsRel", "Hypersim F1"),
        {"start": (None, None, None), "1A": (75.4, 0.259, 0.221), "1C": (79.9, 0.235, 0.442)},
    ),
    "scales": Experiment(
        "One encoder scale against three",
        "Table 7, the nearest there is: ground truth at 384 and at 1536 pixels, without a network",
        ("AbsRel", "F1"), {"one scale": (0.123, 0.044), "1C": (0.019, 0.311)},
    ),
    "target": Experiment(
        "What is regressed", "Table 10, δ1 by true depth", tuple(RANGE_SCORES.values()),
        {"inverse": (0.730, 0.833, 0.896, 0.921, 0.922, 0.922),
         "log": (0.700, 0.807, 0.892, 0.919, 0.920, 0.920),
         "depth": (0.657, 0.716, 0.819, 0.853, 0.850, 0.850)},
    ),
}  # fmt: skip


class OneScale(DepthNetwork):
    """The network on pictures that are reduced to one window and enlarged: no detail is left."""

    def read_windows(self, image: Float[Tensor, "b 3 s s"]) -> list[Float[Tensor, "b _d _h _h"]]:
        """Return the maps of the coarsest scale alone, at every level."""
        coarse = resize(resize(image, self.model.config.window), image.shape[-1])
        return super().read_windows(coarse)


class TargetNetwork(nn.Module):
    """A `WindowNetwork` for whole pictures that regresses one kind of depth.

    Targets are scaled to median 0 and mean absolute deviation 1, so that one learning rate fits
    all.

    Source: Appendix B.4, where it is a pretrained ViT and DPT.
    """

    def __init__(self, network: WindowNetwork, target: Target, samples: Sequence[Sample]) -> None:
        """Take median and mean absolute deviation of the target from about 64 of the samples."""
        super().__init__()
        self.network, self.window = network, network.config.window
        self.target: Target = target
        chosen = samples[:: max(1, len(samples) // 64)]
        items = [as_item(sample, self.window) for sample in chosen]
        known = torch.cat([item.inverse[item.mask & (item.inverse > 0)] for item in items])
        values = to_target(known, target)
        self.centre = values.median().item()
        self.spread = (values - self.centre).abs().mean().item()

    def forward(self, image: Float[Tensor, "b 3 _s _s"]) -> Float[Tensor, "b _h _h"]:
        """Return the scaled target."""
        return self.network(resize(image, self.window)).inverse

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the MAE without sky."""
        predicted = self(batch.image)
        truth = shrink_truth(batch, predicted.shape[-1])
        known = truth.mask & (truth.inverse > 0)
        values = to_target(truth.inverse.where(known, 1.0), self.target)
        return losses.mae(predicted, (values - self.centre) / self.spread, known).mean()

    def estimate(self, image: Float[Tensor, "b 3 _s _s"]) -> Estimate:
        """Predict canonical inverse depth."""
        return Estimate(from_target(self.centre + self.spread * self(image), self.target), None)


def to_target(inverse: Float[Tensor, "*n"], target: Target) -> Float[Tensor, "*n"]:
    """Convert canonical inverse depth C > 0 to C, ln(1 / C) or 1 / C."""
    return {"inverse": inverse, "log": -inverse.log(), "depth": 1 / inverse}[target]


def from_target(values: Float[Tensor, "*n"], target: Target) -> Float[Tensor, "*n"]:
    """Convert back to C >= 0; depth is at least 0.0001."""
    if target == "inverse":
        return values.clamp(min=0)
    return (-values).exp() if target == "log" else 1 / values.clamp(min=1e-4)


def make_condition(
    name: str, model: DepthPro, samples: Sequence[Sample]
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Return a condition's network and its optimiser.

    A target's network is new and has half the model's channels and blocks: nothing of it has
    learned a kind of depth before. A convolutional stem has ImageNet's weights.
    """
    _, phase = CONDITIONS[name]
    if name in TARGETS:
        blocks = max(2, model.config.depth // 2)
        config = replace(model.config, dim=model.config.dim // 2, depth=blocks, taps=(0, 1))
        model = DepthPro(config)
    recipe = Recipe(model.config, (phase,), AUGMENTATION, layer_scale=1.0)
    if name in TARGETS:
        prepare_scratch(model, recipe)
        if model.config.stem != "patch":
            load_pretrained("imagenet", model)
    network = make_network(model, recipe, phase)
    optimizer = torch.optim.AdamW(parameter_groups(network, phase))
    if isinstance(network, WindowNetwork):
        return TargetNetwork(network, cast(Target, name), samples), optimizer
    return OneScale(model) if name == "one scale" else network, optimizer


def train_condition(
    name: str, model: DepthPro, samples: list[Sample], seed: int, steps: int, side: int
) -> nn.Module:
    """Return the trained network of a condition; without steps, the start.

    `side` is that of the pictures, in pixels: one window for targets, else the network's input.
    """
    _, phase = CONDITIONS[name]
    torch.manual_seed(seed)
    network, optimizer = make_condition(name, model, samples)
    parts = cast("ConcatDataset[Sample]", ConcatDataset([samples]))  # pyright: ignore
    stream = TrainingSet(parts, side, AUGMENTATION, seed, range(steps * phase.batch))
    network.train()
    for step in tqdm(range(steps), f"{name}, seed {seed}"):
        first = step * phase.batch
        batch = default_collate([stream[item] for item in range(first, first + phase.batch)])
        if isinstance(network, TargetNetwork):
            network.loss(batch).backward()
        else:
            phase_loss(network(batch.image), batch, phase).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), phase.clip)
        set_rate(optimizer, rate(step / steps, phase))
        optimizer.step()
        optimizer.zero_grad()
    return network


def measure_depth(network: nn.Module, samples: Sequence[Sample], side: int) -> dict[str, float]:
    """Return the mean scores of pictures, but the median of abs_rel.

    One picture whose wall is taken for sky, 10 km away, would outweigh all others.
    """
    table = pd.DataFrame([score(*pair) for pair in predict_samples(network, samples, side)])
    return table.mean().to_dict() | {"abs_rel": float(table["abs_rel"].median())}


def measure_ranges(network: nn.Module, samples: Sequence[Sample], side: int) -> dict[str, float]:
    """Return delta1 of all pixels whose depth is in each range, without sky (Table 10)."""
    hits, counts = np.zeros(len(RANGES_M) - 1), np.zeros(len(RANGES_M) - 1)
    for item, predicted in predict_samples(network, samples, side):
        known = item.mask & (item.inverse > 0)
        true, ours = item.inverse[known], cast(Tensor, predicted.inverse)[known].clamp(min=1e-4)
        good = (torch.maximum(ours / true, true / ours) < 1.25).numpy()
        depth_m = (focal_from_fov(item.fov_deg, 1) / true).numpy()
        hits += np.histogram(depth_m[good], RANGES_M)[0]
        counts += np.histogram(depth_m, RANGES_M)[0]
    return {n: float(h / c) for n, h, c in zip(RANGE_SCORES, hits, counts, strict=True) if c}


def read_results(out: Path, settings: dict[str, Any]) -> dict[tuple[str, int], dict[str, Any]]:
    """Return the results of a folder that were made with these settings, by condition and seed."""
    ours = [entry for entry in read_lines(out / RESULTS) if entry.get("settings") == settings]
    return {(entry["condition"], entry["seed"]): entry for entry in ours}


def make_table(results: dict[tuple[str, int], dict[str, Any]]) -> str:
    """Return the Markdown tables of all experiments: the paper's numbers, and ours beside them.

    Ours are means over seeds, with the standard deviation where there are several.
    """
    lines: list[str] = []
    for experiment in EXPERIMENTS.values():
        measured = RANGE_SCORES if "inverse" in experiment.rows else DEPTH_SCORES
        heads = [f"paper: {name}" for name in experiment.published]
        heads += [f"**ours: {name}**" for name in measured.values()]
        lines += [f"## {experiment.title}", "", f"Paper: {experiment.source}.", ""]
        lines.append(f"| condition | meaning | {' | '.join(heads)} | budget |")
        lines.append("|---" * (len(heads) + 3) + "|")
        for name, published in experiment.rows.items():
            runs = [entry for (condition, _), entry in results.items() if condition == name]
            cells = [name, CONDITIONS[name][0]]
            cells += ["–" if value is None else f"{value:g}" for value in published]
            for key, heading in measured.items():
                factor = 100 if "%" in heading else 1
                cells.append(_mean([factor * e["scores"][key] for e in runs if key in e["scores"]]))
            seeds = f"{len(runs)} seed{'s' if len(runs) > 1 else ''}"
            budget = f"{runs[0]['steps']} × {runs[0]['batch']} pictures, {seeds}" if runs else "–"
            lines.append(f"| {' | '.join(cells)} | {budget} |")
        lines.append("")
    return "\n".join(lines)


def _mean(values: list[float]) -> str:
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
    """Run the conditions without a result, write the table, and return the exit status."""
    for name in ("steps", "seeds", "samples"):
        value = getattr(options, name)
        if value is not None and value <= 0:
            raise ValueError(f"--{name} must be above 0, got {value}")
    data, held_out = open_dataset(options.data), open_dataset(options.validation)
    places = np.linspace(0, len(data) - 1, min(options.samples, len(data))).astype(int).tolist()
    samples = [data[place] for place in tqdm(places, desc="samples")]
    held_out = [held_out[place] for place in range(len(held_out))]
    names = ("data", "validation", "steps", "init", "samples")
    settings = {"depthpro": __version__} | {name: getattr(options, name) for name in names}
    chosen = [options.only] if options.only else list(EXPERIMENTS)
    for seed, key in itertools.product(range(options.seeds), chosen):
        for name in EXPERIMENTS[key].rows:
            results = read_results(options.out, settings)
            if (name, seed) in results or (name == "start" and seed > 0):
                continue
            model = DepthPro.from_pretrained(options.init, device="cpu").train()
            phase, target = CONDITIONS[name][1], name in TARGETS
            steps = 0 if name == "start" else options.steps or phase.steps
            side = model.config.window if target else model.config.image_size
            network = train_condition(name, model, samples, seed, steps, side)
            evaluated = held_out[:: 1 if target else EVAL_STRIDE]
            entry = {"condition": name, "seed": seed, "steps": steps, "batch": phase.batch}
            entry |= {"evaluated": len(evaluated), "settings": settings}
            entry["scores"] = (measure_ranges if target else measure_depth)(
                network, evaluated, side
            )
            append_line(options.out / RESULTS, **entry)
            with whole_file(options.out / TABLE) as temporary:
                temporary.write_text(make_table(results | {(name, seed): entry}))
    print(options.out / TABLE)
    return 0
