"""`python -m depthpro evaluate`: a network and two plain baselines on held-out samples."""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from tqdm import tqdm

from depthpro.datasets import open_dataset
from depthpro.files import whole_file
from depthpro.geometry import MAX_DEPTH_M
from depthpro.metrics import boundary_f1, depth_metrics
from depthpro.model import DepthPro
from depthpro.sample import Sample

PAIRS = 50_000
"""Random pairs of pixels in `ordinal_accuracy`."""
APART = 1.05
"""Least ratio of the depths of a pair that counts: nearer ones have no order worth telling."""
HORIZON, EYE_M = 0.4, 1.5
"""The ramp: a level ground seen from this height, its horizon at this share of the rows."""
BASELINES = ("constant", "ramp")

Row = dict[str, float | str | int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add(
        "--data",
        required=True,
        metavar="[KIND:]FOLDER",
        help="held-out samples: shards, hypersim:, vkitti2:, arkitscenes:, or motorcycle",
    )
    add("--model", default="small", help="'small', a file, a folder or a hub name")
    add("--samples", type=int, help="how many; all if not given")
    add("--device", help="cuda, mps or cpu; the best there is if not given")
    add("-o", "--out", type=Path, help="folder for samples.jsonl and report.md")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Measure, print the table, and return the exit status.

    Raises:
        ValueError: If data or weights cannot be read, or an option is out of range.
    """
    samples = [motorcycle()] if options.data == "motorcycle" else open_dataset(options.data)
    if options.samples is not None and options.samples < 1:
        raise ValueError(f"--samples must be at least 1, got {options.samples}")
    count = min(options.samples or len(samples), len(samples))
    model = DepthPro.from_pretrained(options.model, device=options.device)
    rows = list(tqdm(measure(model, (samples[i] for i in range(count))), total=3 * count))
    report = table(rows)
    print(report)
    if options.out:
        with whole_file(options.out / "samples.jsonl") as temporary:
            temporary.write_text("".join(json.dumps(row) + "\n" for row in rows))
        with whole_file(options.out / "report.md") as temporary:
            temporary.write_text(f"{model.provenance.name}, {count} samples\n\n{report}\n")
    return 0


def motorcycle() -> Sample:
    """Return Motorcycle of Middlebury 2014, a real picture with measured depth, 741 x 500.

    Raises:
        ValueError: If scikit-image, which brings it, is not installed.

    Source: scikit-image's `stereo_motorcycle`; calibration of the set, halved four times.
    """
    try:
        from skimage.data import stereo_motorcycle
    except ImportError as error:
        raise ValueError("motorcycle comes with scikit-image: pip install scikit-image") from error
    left, _, disparity = stereo_motorcycle()
    known = np.isfinite(disparity)
    f_px, baseline_m, offset_px = 994.978, 0.193001, 31.086
    depth = baseline_m * f_px / (np.where(known, disparity, 0) + offset_px)
    height, width = depth.shape
    return Sample(
        rgb=np.ascontiguousarray(left),
        depth=depth.astype(np.float32),
        f_px=f_px,
        fy_px=f_px,
        cx_px=(width - 1) / 2,
        cy_px=(height - 1) / 2,
        mask=known,
        synthetic=False,
        family="motorcycle",
    )


def measure(model: DepthPro, samples: Iterable[Sample]) -> Iterator[Row]:
    """Give a row for the network and for each baseline, of every sample.

    The network's depth uses its own field of view, and in `delta1_focal` the true one.
    """
    for number, sample in enumerate(samples):
        said = model.infer(sample.rgb)
        ratio = float(said.f_px) / sample.f_px
        depth = said.depth[0].cpu().numpy()
        row = {"system": "network", **compare(depth, sample)}
        row["delta1_focal"] = compare(depth / ratio, sample)["delta1"]
        row["focal_error"] = abs(ratio - 1)
        row["focal_within_25"] = float(abs(ratio - 1) < 0.25)
        for system in (row, *({"system": name, **compare(baseline(name, sample), sample)}
                              for name in BASELINES)):  # fmt: skip
            yield {"sample": number, "family": sample.family, **system}


def baseline(name: str, sample: Sample) -> Float[ndarray, "h w"]:
    """Return the depth that somebody says who has not looked: 3 m, or a level ground."""
    height, width = sample.depth.shape
    if name == "constant":
        return np.full((height, width), 3.0, np.float32)
    below = (np.arange(height) - HORIZON * height).clip(min=sample.fy_px * EYE_M / 1000)
    return np.broadcast_to((sample.fy_px * EYE_M / below)[:, None], (height, width)).astype(
        np.float32
    )


def compare(depth: Float[ndarray, "h w"], sample: Sample) -> dict[str, float]:
    """Return the measures of a depth map. Sky counts for boundaries only."""
    known = np.ones(depth.shape, bool) if sample.mask is None else sample.mask
    ground = known & np.isfinite(sample.depth)
    depth = depth.clip(1e-3, MAX_DEPTH_M)
    plain = depth_metrics(depth, sample.depth, ground)
    scaled = depth_metrics(depth, sample.depth, ground, alignment="median_scale")
    aligned = depth_metrics(depth, sample.depth, ground, alignment="scale_and_shift")
    return {
        "delta1": float(plain.delta1),
        "abs_rel": float(plain.abs_rel),
        "delta1_scaled": float(scaled.delta1),
        "abs_rel_aligned": float(aligned.abs_rel),
        "ordinal": ordinal_accuracy(depth, sample.depth, ground),
        "boundary_f1": float(boundary_f1(depth, sample.depth, known)),
    }


def ordinal_accuracy(
    depth: Float[ndarray, "h w"],
    target: Float[ndarray, "h w"],
    mask: Bool[ndarray, "h w"],
    seed: int = 0,
) -> float:
    """Return the share of random pairs of pixels whose order in depth is right; 0.5 for a tie.

    Pairs whose true depths differ by less than 5 % do not count; of a map without a pair it is 0.
    """
    places = np.flatnonzero(mask)
    if len(places) < 2:
        return 0.0
    pairs = np.random.default_rng(seed).choice(places, (2, PAIRS))
    ours, true = (np.log(maps.ravel()[pairs]) for maps in (depth, target))
    difference, order = ours[0] - ours[1], true[0] - true[1]
    counted = np.abs(order) > np.log(APART)
    if not counted.any():
        return 0.0
    right = (np.sign(difference) == np.sign(order)) + 0.5 * (difference == 0)
    return float(right[counted].mean())


def table(rows: Sequence[Row]) -> str:
    """Return means as Markdown: of each system, and of the network for each family."""
    names = [name for name in rows[0] if isinstance(rows[0][name], float)]
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[f"**{row['system']}**"].append(row)
    for row in rows:
        if row["system"] == "network" and row["family"]:
            groups[f"network, {row['family']}"].append(row)
    lines = [f"| | samples | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
    for group, members in groups.items():
        cells = [_mean([row[name] for row in members if name in row]) for name in names]
        lines.append(f"| {group} | {len(members)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _mean(values: list[float | str | int]) -> str:
    return f"{np.mean([float(value) for value in values]):.3f}" if values else "–"
