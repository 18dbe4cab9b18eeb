"""`python -m depthpro benchmark`: time and memory of a photo, a training step, a measure."""

import argparse
import platform
import re
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor
from tqdm import trange

from depthpro.boundary import THRESHOLDS, boundary_recall
from depthpro.config import DepthProConfig
from depthpro.evaluation import cost
from depthpro.evaluation.backends import Backend, our_backend, random_backends, random_network
from depthpro.evaluation.paper_tables import published
from depthpro.export import write_json
from depthpro.image import load_image
from depthpro.losses import stage2_loss
from depthpro.model import DepthPro, Precision, default_device, usable_device
from depthpro.version import __version__

_PHOTO, _MAP = (4032, 3024), (4112, 3008)  # a phone's photo, and a depth map of Booster
Times = dict[str, float]
# Largest difference of inverse depths, by their mean, that rounding in another order explains.
_AGREEMENT = {"float32": 1e-3, "float16": 0.05, "bfloat16": 0.2}


class Stopwatch:
    """Seconds of each part of a run, once the device has finished its work."""

    def __init__(self, device: torch.device) -> None:
        """Start."""
        self.device, self.start = device, time.perf_counter()
        self.seconds: Times = {}

    def mark(self, part: str) -> None:
        """Note the seconds since the mark before."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()
        now = time.perf_counter()
        self.seconds[part], self.start = now - self.start, now


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("--model", default="small", help="'small', a file, a folder or a hub name")
    add("--device", help="cuda, mps or cpu; if not given, the CPU and the GPU")
    add("--runs", type=int, default=15, help="counted runs, after one that is not")
    add("--size", type=_size, metavar="WxH", help="of the JPEG or the depth map that is made")
    add("--out", type=Path, metavar="FILE", help="also write all of it as JSON")
    add = parser.add_argument_group("photos").add_argument
    add("photo", type=Path, nargs="?", help="a photo; a 12-megapixel JPEG if none")
    add("--batch", type=int, nargs="+", default=[1], help="photos at once")
    add("--dtype", choices=list(_AGREEMENT), help="of weights and arithmetic; else as `predict`")
    text = "also the published network at random weights: 9 GB and minutes a run on a CPU"
    add("--full", action="store_true", help=text)
    text = "the same network in transformers, in turns, at the same random weights"
    add("--vs", choices=["transformers"], help=text)
    parser.set_defaults(measure=_photos)
    others = parser.add_argument_group("other measurements, instead of photos")
    add = others.add_mutually_exclusive_group().add_argument
    for name, measure, text in (
        ("--training", _training, "time training steps and their losses"),
        ("--cost", _cost, "count parameters and FLOPs, of the published network too"),
        ("--thinning", _thinning, "time the thinning of dense boundaries, against a Python loop"),
    ):
        add(name, dest="measure", action="store_const", const=measure, help=text)


def run(options: argparse.Namespace) -> int:
    """Measure, print tables of medians, and return the exit status: 1 if results disagree.

    Raises:
        ValueError: If a number is below 1, or the photo or the weights cannot be read.
    """
    for name, value in (("--runs", options.runs), ("--batch", min(options.batch))):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    results = []
    for result in options.measure(options):
        results.append(result)
        if options.out:  # after each one, since the next may take long or not fit into memory
            write_json(options.out, {"machine": _machine(), "results": results})
    return 0 if all(result.get("agree", True) for result in results) else 1


def _photos(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Time photos to metres: each network on each device, at each size of a batch."""
    with tempfile.TemporaryDirectory() as folder:
        photo = options.photo
        if photo is None:
            photo = Path(folder) / "sample.jpg"
            write_sample_photo(photo, *(options.size or _PHOTO))
        for device in _devices(options):
            precision = options.dtype or ("float16" if device.type == "cuda" else "float32")
            for full in (False, True) if options.full else (False,):
                backends = _backends(options, device, full, precision)
                name = cast(DepthPro, backends[0].network).provenance.name
                about = {"network": name, "device": str(device), "precision": precision}
                for batch in options.batch:
                    print(*about.values(), f"batch {batch}, {options.runs} runs", sep=", ")
                    runs, depths = take_turns(backends, photo, batch, options.runs, device)
                    height, width = depths[0].shape[-2:]
                    result = about | {"batch": batch, "photo": [width, height]}
                    result["seconds"] = print_medians(runs)
                    yield result | _verdict(depths, precision, device)


def _backends(
    options: argparse.Namespace, device: torch.device, full: bool, precision: Precision
) -> list[Backend]:
    dtype, config = getattr(torch, options.dtype or "float32"), DepthProConfig()
    if options.vs and not full:
        config = DepthPro.from_pretrained(options.model, device="cpu").config
    if options.vs:
        return random_backends(config, device, dtype, precision)
    if full:
        return [our_backend(random_network(config, device, dtype), precision)]
    model = DepthPro.from_pretrained(options.model, device=device, dtype=dtype)
    return [our_backend(model, precision)]


def _verdict(depths: list[Tensor], precision: Precision, device: torch.device) -> dict[str, Any]:
    """Print and return the difference between two backends' depths, or the memory of a single."""
    if len(depths) == 1:
        peak = _peak_memory_mb(device)
        print(f"  peak memory: {peak:.0f} MB")
        return {"peak_memory_mb": peak}
    inverse, other = (1 / depth for depth in depths)
    difference = float((inverse - other).abs().max() / other.mean())
    agree = difference < _AGREEMENT[precision]
    print(
        f"  inverse depths {'agree' if agree else 'DISAGREE'} within {difference:.1e} of their mean"
    )
    return {"difference": difference, "agree": agree}


def take_turns(
    backends: Sequence[Backend], photo: Path, batch: int, runs: int, device: torch.device
) -> tuple[dict[str, list[Times]], list[Tensor]]:
    """Return seconds of each run after the first by the backends' names, and each one's depth.

    The backends take turns, so that other load on the machine slows all of them alike.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    rows: dict[str, list[Times]] = {backend.name: [] for backend in backends}
    depths: dict[str, Tensor] = {}
    for turn in trange(runs + 1, leave=False, desc=f"batch of {batch} on {device}"):
        for backend in backends[:: -1 if turn % 2 else 1]:
            seconds, depths[backend.name] = time_photos(backend, photo, batch, device)
            rows[backend.name] += [seconds] if turn else []
    return rows, [depths[backend.name] for backend in backends]


def time_photos(
    backend: Backend, photo: Path, batch: int, device: torch.device
) -> tuple[Times, Tensor]:
    """Return the seconds of each part of the way from files to depth, and the depth."""
    watch, network = Stopwatch(device), backend.network
    photos = [load_image(photo).rgb for _ in range(batch)]
    watch.mark("load")
    before = network.register_forward_pre_hook(lambda *_: watch.mark("preprocess"))
    after = network.register_forward_hook(lambda *_: watch.mark("forward"))
    depth = backend.estimate_depth(photos)
    before.remove()
    after.remove()
    watch.mark("postprocess")
    total = sum(watch.seconds.values())
    sums = {"photo to metres": total - watch.seconds["load"], "file to metres": total}
    return watch.seconds | sums, depth


def _training(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Time stage-2 steps on two pictures, and what share of a step its loss takes."""
    model = DepthPro.from_pretrained(options.model, device=options.device).train()
    side, device = model.config.image_size, model.device
    image = torch.rand(2, 3, side, side, device=device) * 2 - 1
    target = torch.rand(2, side, side, device=device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)
    runs = []
    for _ in trange(options.runs + 1, leave=False):
        watch = Stopwatch(device)
        inverse, _ = model(image)
        leaf = inverse.detach().requires_grad_()
        watch.mark("forward")
        stage2_loss(leaf, target).backward()
        watch.mark("loss")
        inverse.backward(leaf.grad)
        optimizer.step()
        optimizer.zero_grad()
        watch.mark("backward and update")
        runs.append(watch.seconds | {"step": sum(watch.seconds.values())})
    share = statistics.median(run["loss"] / run["step"] for run in runs[1:])
    about = {"network": model.provenance.name, "device": str(device)}
    print(*about.values(), f"two pictures a step, {options.runs} runs", sep=", ")
    medians = print_medians({"stage 2": runs[1:]})
    print(f"  the loss, forward and backward, takes {100 * share:.1f} % of a step")
    yield about | {"share_of_loss": share, "seconds": medians["stage 2"]}


def _cost(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Count parameters and arithmetic of the network and of the published one."""
    model = DepthPro.from_pretrained(options.model, device="cpu")
    configs = {model.provenance.name: model.config, "published": DepthProConfig()}
    for name, config in configs.items():
        parts = cost.count(config)
        parts.append(cost.total(parts))
        print(f"{name}: {config.image_size} pixels square, one picture")
        print(f"  {'':16}{'parameters':>14}{'GFLOPs':>12}")
        for part in parts:
            print(f"  {part.name:16}{part.parameters:14,}{part.flops / 1e9:12,.1f}")
        yield {"network": name, "cost": [part._asdict() for part in parts]}
    paper = {each.metric: each.value for each in published(5) if each.system == "Depth Pro"}
    print(
        f"the paper's Table 5 has {paper['parameters_m']:.0f} M parameters and "
        f"{paper['flops_g']:.0f} GFLOPs by fvcore, which counts a multiplication with its "
        f"addition as one: half of the above; and {paper['hd_ms']:.0f} ms a photo on a V100"
    )


def _thinning(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Time boundary recall, which thins contours in four directions at ten thresholds."""
    width, height = options.size or _MAP
    depth, mask = dense_edges(height, width)
    print(f"boundary recall of {width} × {height} pixels, {options.runs} runs")
    print("the loop runs once; of a large map it takes minutes", file=sys.stderr)
    loop = Stopwatch(torch.device("cpu"))
    expected = recall_by_loop(depth, mask)
    loop.mark("boundary recall")
    for device in _devices(options):
        maps = torch.from_numpy(depth)[None].to(device), torch.from_numpy(mask)[None].to(device)
        agree = abs(float(boundary_recall(*maps)) - expected) < 1e-6  # this call warms up as well
        runs = []
        for _ in range(options.runs):
            watch = Stopwatch(device)
            boundary_recall(*maps)
            watch.mark("boundary recall")
            runs.append(watch.seconds)
        medians = print_medians({str(device): runs, "loop over runs": [loop.seconds]})
        print(f"  the results are {'equal' if agree else 'NOT EQUAL'}")
        yield {"thinning": [width, height], "seconds": medians, "agree": agree}


def dense_edges(height: int, width: int) -> tuple[Float[ndarray, "h w"], Bool[ndarray, "h w"]]:
    """Return depth in which most pairs of pixels are a contour, and a mask with long outlines."""
    rng = np.random.default_rng(0)
    depth = np.exp(0.25 * rng.standard_normal((height, width), np.float32))
    return depth, gaussian_filter(rng.standard_normal((height, width), np.float32), 4) > 0


def recall_by_loop(depth: Float[ndarray, "h w"], mask: Bool[ndarray, "h w"]) -> float:
    """Return `boundary_recall` of a depth map and a mask, with a loop over runs of contours."""
    recall = 0.0
    for turns in range(4):
        inverse, foreground = np.rot90(1 / depth, turns), np.rot90(mask, turns)
        ratio = np.ascontiguousarray(inverse[:, :-1] / inverse[:, 1:])
        outline = foreground[:, :-1] & ~foreground[:, 1:]
        for threshold in THRESHOLDS:
            hits = 0
            for line, hit in zip(ratio, outline, strict=True):
                ends = np.flatnonzero(np.diff(line > threshold, prepend=False, append=False))
                for start, end in ends.reshape(-1, 2).tolist():  # of the run, its largest ratio
                    hits += hit[start + line[start:end].argmax()]
            recall += threshold * hits / max(outline.sum(), 1)
    return float(recall / 4 / THRESHOLDS.sum())


def print_medians(runs: dict[str, list[Times]]) -> dict[str, Times]:
    """Print and return the median seconds of each part, and the ratio of others to the first."""
    medians = {
        name: {part: statistics.median(each[part] for each in seconds) for part in seconds[0]}
        for name, seconds in runs.items()
    }
    first, *others = medians.values()
    print(f"  {'median seconds':20}{''.join(f'{name:>16}' for name in medians)}")
    for part in first:
        cells = "".join(f"{each[part]:16.3f}" for each in medians.values())
        ratios = "".join(f"{other[part] / first[part]:10.2f} times" for other in others)
        print(f"  {part:20}{cells}{ratios}")
    return medians


def write_sample_photo(path: Path, width: int, height: int) -> None:
    """Write a JPEG with detail at several scales, about as many bytes a pixel as a phone's."""
    rng = np.random.default_rng(0)
    picture = Image.new("RGB", (width, height))
    for cell in (8, 32, 252):
        values = rng.integers(0, 256, (-(-height // cell), -(-width // cell), 3), dtype=np.uint8)
        noise = Image.fromarray(values).resize(picture.size, Image.Resampling.BICUBIC)
        picture = Image.blend(picture, noise, 0.6)
    picture.save(path, quality=90)


def _peak_memory_mb(device: torch.device) -> float:
    """Return the peak of a GPU's tensors, else of the process since its start, in megabytes."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3  # macOS counts bytes


def _machine() -> dict[str, Any]:
    cpuinfo = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else []
    return {
        "depthpro": __version__,
        "torch": torch.__version__,
        "system": platform.platform(),
        "processor": names[0] if names else platform.processor(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }


def _devices(options: argparse.Namespace) -> list[torch.device]:
    if options.device:
        return [usable_device(options.device)]
    return list(dict.fromkeys((torch.device("cpu"), default_device())))


def _size(text: str) -> tuple[int, int]:
    if not (match := re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)):
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT as 1920x1080, got {text!r}")
    return int(match[1]), int(match[2])
