"""`python -m depthpro benchmark`: how long a photo or a training step takes, and its memory."""

import argparse
import itertools
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import trange

from depthpro.image import load_image
from depthpro.losses import stage2_loss
from depthpro.model import DepthPro

_PARTS = ("read the photo", "network", "depth at the photo's size", "all")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("photo", type=Path, nargs="?", help="a photo; a 12-megapixel JPEG if none")
    parser.add_argument("--model", default="small", help="'small', a file, a folder or a hub name")
    parser.add_argument("--device", help="cuda, mps or cpu; the best there is if not given")
    parser.add_argument("--runs", type=int, default=15, help="counted runs, after one that is not")
    parser.add_argument(
        "--training", action="store_true", help="time training steps and their losses instead"
    )


def run(options: argparse.Namespace) -> int:
    """Time photo to depth, print a table of medians, and return the exit status.

    Raises:
        ValueError: If the photo or the weights cannot be read.
    """
    if options.runs < 1:
        raise ValueError(f"--runs must be at least 1, got {options.runs}")
    model = DepthPro.from_pretrained(options.model, device=options.device)
    if options.training:
        return _report_training(model, options.runs)
    with tempfile.TemporaryDirectory() as folder:
        photo = options.photo or _sample_photo(Path(folder))
        height, width = load_image(photo).rgb.shape[:2]
        times = [_time_parts(model, photo) for _ in trange(options.runs + 1, leave=False)][1:]
    print(f"{model.provenance.name} on {model.device}, {torch.get_num_threads()} threads")
    print(f"{width} × {height} photo, {options.runs} runs, seconds: median (fastest to slowest)")
    for part, seconds in zip(_PARTS, zip(*times, strict=True), strict=True):
        median, low, high = statistics.median(seconds), min(seconds), max(seconds)
        print(f"  {part:28}{median:.3f}  ({low:.3f} to {high:.3f})")
    print(f"peak memory of the process: {_peak_memory_mb():.0f} MB")
    if model.device.type == "cuda":
        print(f"peak memory of the GPU: {torch.cuda.max_memory_allocated() / 1e6:.0f} MB")
    return 0


def _report_training(model: DepthPro, runs: int) -> int:
    """Time stage-2 steps on two pictures, and print what share of a step its loss takes."""
    side, device = model.config.image_size, model.device
    image = torch.rand(2, 3, side, side, device=device) * 2 - 1
    target = torch.rand(2, side, side, device=device)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)
    times = [_time_step(model, optimizer, image, target) for _ in trange(runs + 1, leave=False)]
    step, loss = (statistics.median(column) for column in zip(*times[1:], strict=True))
    share = statistics.median(part / whole for whole, part in times[1:])
    print(f"{model.provenance.name} on {device}, {torch.get_num_threads()} threads, {runs} runs")
    print(f"  a step of stage 2, two pictures     {step:.3f} s, {2 / step:.2f} pictures/s")
    print(f"  its loss, forward and backward      {loss:.3f} s, {100 * share:.1f} % of the step")
    return 0


def _time_step(
    model: DepthPro,
    optimizer: torch.optim.Optimizer,
    image: torch.Tensor,
    target: torch.Tensor,
) -> tuple[float, float]:
    """Return the seconds of a step, and of them those of the loss, forward and backward."""
    marks = [_now(image.device)]
    inverse, _ = model(image)
    leaf = inverse.detach().requires_grad_()
    marks.append(_now(image.device))
    stage2_loss(leaf, target).backward()
    marks.append(_now(image.device))
    inverse.backward(leaf.grad)
    optimizer.step()
    optimizer.zero_grad()
    return _now(image.device) - marks[0], marks[2] - marks[1]


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _time_parts(model: DepthPro, photo: Path) -> tuple[float, float, float, float]:
    marks = [time.perf_counter()]
    rgb = load_image(photo).rgb
    marks.append(time.perf_counter())
    prediction = model.infer(rgb)
    prediction.f_px.cpu()  # waits for the device
    marks.append(time.perf_counter())
    prediction.depth.cpu()
    marks.append(time.perf_counter())
    read, network, depth = (later - sooner for sooner, later in itertools.pairwise(marks))
    return read, network, depth, marks[-1] - marks[0]


def _sample_photo(folder: Path) -> Path:
    """Write a 4032 x 3024 JPEG with detail at several scales, about as large as a phone's."""
    rng = np.random.default_rng(0)
    layers = [
        Image.fromarray(rng.integers(0, 256, (3024 // cell, 4032 // cell, 3), dtype=np.uint8))
        for cell in (8, 32, 252)
    ]
    grown = [layer.resize((4032, 3024), Image.Resampling.BICUBIC) for layer in layers]
    picture = Image.blend(Image.blend(grown[0], grown[1], 0.6), grown[2], 0.6)
    picture.save(folder / "sample.jpg", quality=90)
    return folder / "sample.jpg"


def _peak_memory_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3  # macOS counts bytes
