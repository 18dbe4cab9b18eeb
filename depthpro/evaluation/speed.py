"""`python -m depthpro benchmark`: what a photo or a training step costs, in time and memory."""

import argparse
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import trange

from depthpro.boundary import boundary_recall
from depthpro.config import DepthProConfig
from depthpro.evaluation import cost, timing
from depthpro.evaluation.paper_tables import published
from depthpro.evaluation.rivals import dense_edges, recall_by_loop, transformers_way
from depthpro.evaluation.timing import Summary, Times, Way, now, summarize
from depthpro.export import (
    surface_size,
    textured_surface,
    write_depth_png,
    write_glb,
    write_json,
    write_npz,
)
from depthpro.image import load_image
from depthpro.losses import stage2_loss
from depthpro.model import DepthPro, Precision, default_device

_PHOTO, _MAP = (4032, 3024), (4112, 3008)  # a phone's photo, and a depth map of Booster
# By how much of its mean inverse depth may differ where the same sums are rounded differently.
_AGREEMENT = {"float32": 1e-3, "float16": 0.05, "bfloat16": 0.2}
_DEFAULTS = {"model": "small", "batch": [1], "runs": 15}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("photo", type=Path, nargs="?", help="a photo; a 12-megapixel JPEG if none")
    parser.add_argument("--size", type=_size, metavar="WxH", help="of the JPEG that is made")
    parser.add_argument("--model", help="'small', a file, a folder or a hub name")
    parser.add_argument(
        "--full", action="store_true",
        help="also the published network at random weights: 9 GB and minutes a run on a CPU",
    )  # fmt: skip
    parser.add_argument("--device", help="cuda, mps or cpu; if not given, the CPU and the GPU")
    parser.add_argument(
        "--dtype", choices=list(_AGREEMENT),
        help="of weights and arithmetic; else as `predict`: float32, on CUDA computed in float16",
    )  # fmt: skip
    parser.add_argument("--batch", type=int, nargs="+", help="photos at once")
    parser.add_argument("--runs", type=int, help="counted runs, after one that is not")
    parser.add_argument(
        "--vs", choices=["transformers"], help="the same work with the same weights, in turns"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write all of it as JSON")
    instead = parser.add_mutually_exclusive_group()
    for name, what in {
        "training": "time training steps and their losses instead",
        "cost": "count parameters and FLOPs instead, of the published network too",
        "thinning": "time the thinning of dense boundaries instead, against a loop over runs",
    }.items():
        instead.add_argument(f"--{name}", action="store_true", help=what)
    parser.set_defaults(**_DEFAULTS)


def run(options: argparse.Namespace) -> int:
    """Measure, print tables of medians, and return the exit status: 1 if results disagree.

    Raises:
        ValueError: If an argument cannot be, or the photo or the weights cannot be read.
    """
    for name, value in (("--runs", options.runs), ("--batch", min(options.batch))):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if options.photo and options.size:
        raise ValueError("--size is of the JPEG that is made; leave it out, or the photo")
    _refuse_ignored(options)
    report: dict[str, Any] = {"machine": timing.machine(), "results": []}
    if options.training:
        results = _training(options)
    elif options.cost:
        results = _costs(options)
    elif options.thinning:
        results = _thinning(options)
    else:
        results = _photos(options)
    for result in results:
        report["results"].append(result)
        if options.out:  # after each one, since the next may take long or not fit into memory
            write_json(options.out, report)
    return 0 if all(result.get("agree", True) for result in report["results"]) else 1


def _refuse_ignored(options: argparse.Namespace) -> None:
    """Refuse options that what is asked for instead of photos has no use for."""
    of_photos = {"photo", "vs", "full", "dtype", "batch"}
    ignored = {
        "training": of_photos | {"size"},
        "cost": of_photos | {"size", "device", "runs"},
        "thinning": of_photos | {"model"},
    }
    for instead, names in ignored.items():
        unsaid = {name: (None, False, _DEFAULTS.get(name)) for name in sorted(names)}
        given = [name for name in unsaid if getattr(options, name) not in unsaid[name]]
        if getattr(options, instead) and given:
            name = given[0] if given[0] == "photo" else f"--{given[0]}"
            raise ValueError(f"{name} has no use with --{instead}; leave one of them out")


def _photos(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Time photos to metres: each network on each device, at each size of a batch."""
    with tempfile.TemporaryDirectory() as folder:
        photo = options.photo or timing.sample_photo(Path(folder), *(options.size or _PHOTO))
        for device in _devices(options):
            for full in (False, True) if options.full else (False,):
                model = _network(options, device, full)
                for batch in options.batch:
                    yield _photo_to_metres(model, photo, batch, options)
                yield _exports(model, photo, Path(folder), options.runs)
                del model  # before the next one takes its memory


def _photo_to_metres(
    model: DepthPro, photo: Path, batch: int, options: argparse.Namespace
) -> dict[str, Any]:
    device, precision = model.device, _precision(options, model.device)
    ours = timing.our_way(model, precision)
    timing.forget_peak(device)
    timing.time_ways([ours], photo, batch, 1, device)  # warms up
    memory, megabytes = timing.peak_memory(device)
    ways: list[Way] = [ours]
    if options.vs:
        ways.append(transformers_way(model, getattr(torch, precision)))
        timing.time_ways(ways[1:], photo, batch, 1, device)
    times, depths = timing.time_ways(ways, photo, batch, options.runs, device)
    parts = {name: _summaries(rows) for name, rows in times.items()}
    height, width = depths[ours.name].shape[-2:]
    kept = str(next(model.parameters()).dtype).removeprefix("torch.")
    print(
        f"{model.provenance.name} on {device} in {precision}, weights in {kept}, batch {batch}, "
        f"{width} × {height} photo, {torch.get_num_threads()} threads, {options.runs} runs"
    )
    _print_parts(parts)
    print(f"  peak memory of {memory}: {megabytes:.0f} MB")
    result = {
        "network": model.provenance.name,
        "device": str(device),
        "precision": precision,
        "weights_kept_in": kept,
        "batch": batch,
        "photo": [width, height],
        "seconds": {name: _as_dicts(each) for name, each in parts.items()},
        "peak_memory": {"of": memory, "megabytes": megabytes},
    }
    if options.vs:
        result |= _comparison(parts, depths, precision)
    return result


def _comparison(
    parts: dict[str, dict[str, Summary]], depths: dict[str, Tensor], precision: str
) -> dict[str, Any]:
    """Return ratios of medians, and by how much inverse depths differ."""
    ours, theirs = parts.values()
    ours_found, theirs_found = (1 / depth for depth in depths.values())
    difference = float((ours_found - theirs_found).abs().max() / theirs_found.mean())
    agree = difference < _AGREEMENT[precision]
    print(
        f"  inverse depths {'agree' if agree else 'DISAGREE'}: they differ by at most "
        f"{difference:.1e} of their mean"
    )
    return {
        "ratios": {name: theirs[name].median / ours[name].median for name in ours},
        "difference": difference,
        "agree": agree,
    }


def _summaries(rows: Sequence[Times]) -> dict[str, Summary]:
    columns = zip(*rows, strict=True)
    return {name: summarize(each) for name, each in zip(Times._fields, columns, strict=True)}


def _as_dicts(parts: dict[str, Summary]) -> dict[str, dict[str, float]]:
    return {name: summary._asdict() for name, summary in parts.items()}


def _print_parts(ways: dict[str, dict[str, Summary]]) -> None:
    """Print medians and minima in seconds; of two ways, how many times as long the second takes."""
    first, *others = ways.values()
    heads = [*(f"{name:20}" for name in ways), *("ratio" for _ in others)]
    print(f"  {'seconds: median (fastest)':28}{''.join(heads)}")
    for part in first:
        cells = [f"{way[part].median:.3f} ({way[part].fastest:.3f})" for way in ways.values()]
        ratios = [f"{other[part].median / first[part].median:.2f}" for other in others]
        print(f"  {part.replace('_', ' '):28}{''.join(f'{cell:20}' for cell in cells)}", *ratios)


def _exports(model: DepthPro, photo: Path, folder: Path, runs: int) -> dict[str, Any]:
    """Time the writing of files from a prediction that is on the CPU."""
    rgb, cpu, notice = load_image(photo).rgb, torch.device("cpu"), model.provenance.notice
    prediction = model.infer(rgb).to(cpu)
    depth, f_px = prediction.depth[0].numpy(), float(prediction.f_px[0])
    rows, columns = surface_size(prediction, model.config.image_size)
    coarse, f_coarse = prediction.depth_at(rows, columns)[0].numpy(), prediction.f_px_at(columns)
    calls = {
        "export NPZ": lambda: write_npz(folder / "depth.npz", depth, f_px, notice),
        "export PNG": lambda: write_depth_png(folder / "depth.png", depth, f_px, notice),
        "export GLB": lambda: write_glb(
            folder / "depth.glb", textured_surface(rgb, coarse, float(f_coarse)), notice
        ),
    }
    parts = {name: timing.time_call(call, runs, cpu) for name, call in calls.items()}
    _print_parts({"depthpro": parts})
    return {"network": model.provenance.name, "exports": _as_dicts(parts)}


def _costs(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Count what the network and the published one are made of."""
    model = DepthPro.from_pretrained(options.model, device="cpu")
    configs = {model.provenance.name: model.config, "published": DepthProConfig()}
    costs = {name: cost.count(config) for name, config in configs.items()}
    for name, parts in costs.items():
        parts.append(cost.total(parts))
        print(f"{name}: {configs[name].image_size} pixels square, one picture")
        print(f"  {'':16}{'parameters':>14}{'GFLOPs':>12}")
        for part in parts:
            print(f"  {part.name:16}{part.parameters:14,}{part.flops / 1e9:12,.1f}")
        yield {"network": name, "cost": [part._asdict() for part in parts]}
    paper = {each.metric: each.value for each in published(5) if each.system == "Depth Pro"}
    print(
        f"the paper's Table 5 says {paper['parameters_m']:.0f} M parameters and "
        f"{paper['flops_g']:.0f} GFLOPs by fvcore, which counts a multiplication with its "
        f"addition as one: the published network has {costs['published'][-1].flops / 2e9:.0f} G; "
        f"and {paper['hd_ms']:.0f} ms a photo on a V100"
    )


def _thinning(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Time boundary recall, which thins contours in four directions at ten thresholds."""
    devices, (width, height) = _devices(options), options.size or _MAP
    depth, mask = dense_edges(height, width)
    print("a loop over runs, once; of a large map this takes minutes", file=sys.stderr)
    start = time.perf_counter()
    expected = recall_by_loop(depth, mask)
    loop = time.perf_counter() - start
    print(f"boundary recall of {width} × {height} pixels, {options.runs} runs, seconds")
    print(f"  a Python loop over runs, once   {loop:.2f}")
    for device in devices:
        maps = torch.from_numpy(depth).to(device), torch.from_numpy(mask).to(device)
        found = float(boundary_recall(*maps))
        taken = timing.time_call(partial(boundary_recall, *maps), options.runs, device)
        agree = abs(found - expected) < 1e-6
        print(
            f"  boundary_recall on {device!s:12} {taken.median:.2f} ({taken.fastest:.2f}): "
            f"{loop / taken.median:.0f} times as fast, {'equal' if agree else 'NOT EQUAL'}"
        )
        yield {
            "thinning": [width, height],
            "device": str(device),
            "loop_seconds": loop,
            "seconds": taken._asdict(),
            "ratio": loop / taken.median,
            "agree": agree,
        }


def _training(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Time stage-2 steps on two pictures, and what share of a step its loss takes."""
    runs = options.runs
    model = DepthPro.from_pretrained(options.model, device=options.device)
    side, device = model.config.image_size, model.device
    image = torch.rand(2, 3, side, side, device=device) * 2 - 1
    target = torch.rand(2, side, side, device=device)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)
    times = [_time_step(model, optimizer, image, target) for _ in trange(runs + 1, leave=False)]
    step, loss = (summarize(column) for column in zip(*times[1:], strict=True))
    share = statistics.median(part / whole for whole, part in times[1:])
    print(f"{model.provenance.name} on {device}, {torch.get_num_threads()} threads, {runs} runs")
    pace = 2 / step.median
    print(f"  a step of stage 2, two pictures     {step.median:.3f} s, {pace:.2f} pictures/s")
    print(f"  its loss, forward and backward      {loss.median:.3f} s, {100 * share:.1f} % of it")
    yield {
        "network": model.provenance.name,
        "device": str(device),
        "seconds": _as_dicts({"step": step, "loss": loss}),
        "share_of_loss": share,
    }


def _time_step(
    model: DepthPro,
    optimizer: torch.optim.Optimizer,
    image: Tensor,
    target: Tensor,
) -> tuple[float, float]:
    """Return the seconds of a step, and of them those of the loss, forward and backward."""
    marks = [now(image.device)]
    inverse, _ = model(image)
    leaf = inverse.detach().requires_grad_()
    marks.append(now(image.device))
    stage2_loss(leaf, target).backward()
    marks.append(now(image.device))
    inverse.backward(leaf.grad)
    optimizer.step()
    optimizer.zero_grad()
    return now(image.device) - marks[0], marks[2] - marks[1]


def _devices(options: argparse.Namespace) -> list[torch.device]:
    if not options.device:
        return list(dict.fromkeys((torch.device("cpu"), default_device())))
    try:
        return [torch.empty(0, device=options.device).device]
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"--device {options.device} cannot be used here ({reason}); cpu can"
        ) from None


def _precision(options: argparse.Namespace, device: torch.device) -> Precision:
    """Return what the network computes in, as `infer` chooses it unless told."""
    return options.dtype or ("float16" if device.type == "cuda" else "float32")


def _network(options: argparse.Namespace, device: torch.device, full: bool) -> DepthPro:
    kept = getattr(torch, options.dtype or "float32")
    if full:
        return timing.random_network(DepthProConfig(), device, kept)
    return DepthPro.from_pretrained(options.model, device=device, dtype=kept)


def _size(text: str) -> tuple[int, int]:
    if not (match := re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)):
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT as 1920x1080, got {text!r}")
    return int(match[1]), int(match[2])
