"""`python -m depthpro benchmark`: time and memory from photo to depth; parameters and FLOPs."""

import argparse
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from tqdm import trange

from depthpro.config import DepthProConfig
from depthpro.evaluation import cost, limits
from depthpro.evaluation.backends import Backend, our_backend, random_backends, random_network
from depthpro.evaluation.paper_tables import published
from depthpro.export import write_json
from depthpro.image import load_image
from depthpro.model import DepthPro, default_device, usable_device
from depthpro.precision import DTYPES, Precision, chosen_dtype
from depthpro.version import __version__

PARTS = ("load", "preprocess", "forward", "postprocess")
_PHOTO = (4032, 3024)  # of a phone
# Largest difference of inverse depths, by their mean, that another order or int8 explains.
AGREEMENT = {"float32": 1e-3, "float16": 0.05, "bfloat16": 0.2, "int8": 0.5}
Times = dict[str, float]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("photo", type=Path, nargs="?", help="a photo; if not given, a JPEG is made")
    add("--size", type=_size, metavar="WxH", default=_PHOTO, help="of that; 4032x3024 if not given")
    add("--batch", type=int, nargs="+", default=[1], help="photos at once")
    add("--model", default="small", help="'small', a file, a folder or a hub name")
    add("--device", help="cuda, mps or cpu; if not given, the CPU and the GPU")
    add("--dtype", choices=list(DTYPES), help="of weights and arithmetic; else as `predict`")
    add("--weights", choices=list(AGREEMENT), help="type of weights alone, in memory")
    add("--runs", type=int, default=15, help="counted runs, after one that is not")
    add("--out", type=Path, metavar="FILE", help="also write all of it as JSON")
    text = "also the published network at random weights: 9 GB and minutes a run on a CPU"
    add("--full", action="store_true", help=text)
    text = "the same network in transformers, in turns, at the same random weights"
    add("--vs", choices=["transformers"], help=text)
    text = "instead, count parameters and FLOPs, of the published network too"
    add("--cost", action="store_true", help=text)
    text = "instead, all figures of a GPU for the published network, beside transformers"
    add("--gpu", action="store_true", help=text)
    text = "instead, share the time among the parts, beside what their operations take alone"
    add("--limits", action="store_true", help=text)


def run(options: argparse.Namespace) -> int:
    """Measure, print tables of medians, and return the exit status: 1 if results disagree."""
    for name, value in ("--runs", options.runs), ("--batch", min(options.batch)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    ways = (options.cost, _count), (options.gpu, _on_gpu), (options.limits, _share), (True, _time)
    results = []
    for result in next(way for chosen, way in ways if chosen)(options):
        results.append(result)
        if options.out:  # after each one, since the next may take long or not fit into memory
            write_json(options.out, {"machine": _machine(), "results": results})
    return 0 if all(result.get("agree", True) for result in results) else 1


def _time(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Time photos to metres: each network on each device, at each size of a batch."""
    devices = [options.device] if options.device else dict.fromkeys(["cpu", default_device().type])
    with tempfile.TemporaryDirectory() as folder:
        photo = options.photo or write_sample_photo(Path(folder) / "sample.jpg", *options.size)
        for device in map(usable_device, devices):
            for full in (False, True) if options.full else (False,):
                name, precision, backends = _backends(options, device, full)
                about = {"network": name, "device": str(device), "precision": precision}
                for batch in options.batch:
                    print(*about.values(), f"batch {batch}, {options.runs} runs", sep=", ")
                    runs, depths = take_turns(backends, photo, batch, options.runs, device)
                    height, width = depths[0].shape[-2:]
                    result = about | {"batch": batch, "photo": [width, height]}
                    result["seconds"] = print_medians(runs)
                    kind = "int8" if options.weights == "int8" else precision
                    yield result | _verdict(depths, kind, device)


def _on_gpu(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    from depthpro.evaluation import gpu

    print(*_machine().values(), sep=", ")
    return gpu.measure(DepthProConfig(), usable_device(options.device or "cuda"))


def _backends(
    options: argparse.Namespace, device: torch.device, full: bool
) -> tuple[str, Precision, list[Backend]]:
    """Return the network's name, the precision that it is timed in, and its backends."""
    dtype = getattr(torch, options.weights or options.dtype or "float32")
    model = None if full else DepthPro.from_pretrained(options.model, device=device, dtype=dtype)
    config = model.config if model else DepthProConfig()
    stem = "patch" if options.vs else config.stem  # transformers has no other
    usual = str(chosen_dtype("auto", torch.float32, device, stem)).removeprefix("torch.")
    precision = cast(Precision, options.dtype or usual)
    if model and not options.vs:
        return model.provenance.name, precision, [our_backend(model, precision)]
    name = f"random weights of {config.image_size} pixels"
    if options.vs:
        return name, precision, random_backends(config, device, dtype, precision)
    return name, precision, [our_backend(random_network(config, device, dtype), precision)]


def _share(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Print where the time of one picture goes on the CPU, beside what is possible there."""
    if options.weights == "int8":
        raise ValueError("--limits counts operations of floats: take --weights float16")
    name, precision, backends = _backends(options, torch.device("cpu"), options.full)
    dtype = getattr(torch, precision)
    rows = limits.measure(cast(DepthPro, backends[0].network), precision)
    rate = limits.product_rate(2048, 2048, 2048, dtype) / 1e9
    print(f"{name} in {dtype}; two matrices of 2048 x 2048: {rate:.0f} GFLOP/s")
    print(limits.as_table(rows))
    about = {"network": name, "dtype": str(dtype), "matmul_gflops": rate}
    yield about | {"rows": [row._asdict() for row in rows]}


def _verdict(depths: list[Tensor], kind: str, device: torch.device) -> dict[str, Any]:
    """Print and return the difference between two backends' depths, or the memory of a single."""
    if len(depths) == 1:
        peak = _peak_memory_mb(device)
        print(f"peak memory: {peak:.0f} MB")
        return {"peak_memory_mb": peak}
    difference = float(relative_difference(*depths).max())
    agree = difference < AGREEMENT[kind]
    verdict = "agree" if agree else "DISAGREE"
    print(f"inverse depths {verdict} within {difference:.1e} of their mean")
    off = (depths[0] / depths[1] - 1).abs().numpy()
    middle, most = float(np.median(off)), float(np.quantile(off, 0.99))
    print(f"depths differ by {middle:.2%}, the median; 99 % of them by less than {most:.2%}")
    return {"difference": difference, "agree": agree, "median": middle, "percentile_99": most}


def relative_difference(depth: Tensor, reference: Tensor) -> Tensor:
    """Return the difference of inverse depths, by the mean of the second."""
    return (1 / depth - 1 / reference).abs() / (1 / reference).mean()


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
    times = []

    def mark(*_: object) -> None:
        if device.type != "cpu":
            torch.accelerator.synchronize(device)
        times.append(time.perf_counter())

    mark()
    photos = [load_image(photo).rgb for _ in range(batch)]
    mark()
    before = backend.network.register_forward_pre_hook(mark)
    with before, backend.network.register_forward_hook(mark):
        depth = backend.estimate_depth(photos)
    mark()
    seconds = dict(zip(PARTS, np.diff(times).tolist(), strict=True))
    sums = {"photo to metres": times[-1] - times[1], "file to metres": times[-1] - times[0]}
    return seconds | sums, depth


def print_medians(runs: dict[str, list[Times]]) -> dict[str, Times]:
    """Print and return the median seconds of each part, and the ratio of others to the first."""
    medians = pd.DataFrame({name: pd.DataFrame(rows).median() for name, rows in runs.items()})
    first, *others = medians
    ratios = {f"{name} / {first}": medians[name] / medians[first] for name in others}
    print(f"median seconds\n{medians.assign(**ratios).round(3)}")
    return medians.to_dict()


def _count(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Count parameters and arithmetic of the network and of the published one."""
    model = DepthPro.from_pretrained(options.model, device="cpu")
    configs = {model.provenance.name: model.config, "published": DepthProConfig()}
    for name, config in configs.items():
        parts = cost.count(config)
        table = pd.DataFrame([*parts, cost.total(parts)])
        print(f"{name}: {config.image_size} pixels square, one picture")
        print(table.set_index("name").map("{:,}".format))
        yield {"network": name, "cost": table.to_dict("records")}
    paper = {each.metric: each.value for each in published(5) if each.system == "Depth Pro"}
    print(
        f"the paper's Table 5 has {paper['parameters_m']:.0f} M parameters and "
        f"{paper['flops_g']:.0f} GFLOPs by fvcore, which counts a multiplication with its "
        f"addition as one: half of the above; and {paper['hd_ms']:.0f} ms a photo on a V100"
    )


def write_sample_photo(path: Path, width: int, height: int) -> Path:
    """Write a JPEG with detail at several scales, about as many bytes a pixel as a phone's."""
    rng = np.random.default_rng(0)
    picture = Image.new("RGB", (width, height))
    for cell in (8, 32, 252):
        values = rng.integers(0, 256, (-(-height // cell), -(-width // cell), 3), dtype=np.uint8)
        noise = Image.fromarray(values).resize(picture.size, Image.Resampling.BICUBIC)
        picture = Image.blend(picture, noise, 0.6)
    picture.save(path, quality=90)
    return path


def _peak_memory_mb(device: torch.device) -> float:
    """Return the peak of a GPU's tensors, else of the process since its start, in megabytes."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3  # macOS counts bytes


def _machine() -> dict[str, Any]:
    return {
        "depthpro": __version__,
        "torch": torch.__version__,
        "system": platform.platform(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }


def _size(text: str) -> tuple[int, int]:
    width, height = map(int, text.split("x"))
    return width, height
