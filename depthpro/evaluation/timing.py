"""A stopwatch for the way from a photo to metres, and what its numbers were measured on."""

import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image
from torch import Tensor, nn
from tqdm import trange

from depthpro.checkpoint import OWN_LICENCE, Provenance
from depthpro.config import DepthProConfig
from depthpro.image import load_image
from depthpro.model import DepthPro, Precision
from depthpro.version import __version__


@dataclass(frozen=True)
class Way:
    """A way from photos to depth: a network, and the whole call in which it works."""

    name: str
    network: nn.Module
    to_depth: Callable[[list[ndarray]], Tensor]
    """From photos, uint8 (h, w, 3), to metres (b, h, w) in the CPU's memory."""


class Times(NamedTuple):
    """Seconds that each part of a way took."""

    load: float
    """Reading and decoding the files, upright, as bytes."""
    preprocess: float
    """From bytes to what the network reads."""
    forward: float
    """The network itself."""
    postprocess: float
    """From what the network says to metres at the photo's size, in the CPU's memory."""
    photo_to_metres: float
    """The three before together."""
    file_to_metres: float
    """All four."""


class Summary(NamedTuple):
    """What a number of runs took, in seconds."""

    median: float
    fastest: float
    runs: int


def our_way(model: DepthPro, precision: Precision) -> Way:
    """Return the package's own way. Several photos go in as one batch of floats."""

    def to_depth(photos: list[ndarray]) -> Tensor:
        if len(photos) == 1:
            return model.infer(photos[0], precision=precision).depth.cpu()
        bytes_ = torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2)
        return model.infer(bytes_.float().div_(255), precision=precision).depth.cpu()

    return Way("depthpro", model, to_depth)


def time_ways(
    ways: Sequence[Way], photo: Path, batch: int, runs: int, device: torch.device
) -> tuple[dict[str, list[Times]], dict[str, Tensor]]:
    """Return the times of each way by its name, and the depth that it found.

    The ways take turns, and take turns in who comes first, so that whatever else happens on the
    machine happens to all.
    """
    times: dict[str, list[Times]] = {way.name: [] for way in ways}
    depths: dict[str, Tensor] = {}
    for turn in trange(runs, leave=False, desc=f"batch of {batch} on {device}"):
        for way in ways[:: 1 if turn % 2 else -1]:
            taken, depths[way.name] = _time_once(way, photo, batch, device)
            times[way.name].append(taken)
    return times, depths


def _time_once(way: Way, photo: Path, batch: int, device: torch.device) -> tuple[Times, Tensor]:
    marks = [now(device)]

    def mark(*_: Any) -> None:
        marks.append(now(device))

    photos = [load_image(photo).rgb for _ in range(batch)]
    mark()
    hooks = (way.network.register_forward_pre_hook(mark), way.network.register_forward_hook(mark))
    try:
        depth = way.to_depth(photos)
    finally:
        for hook in hooks:
            hook.remove()
    mark()
    start, loaded, ready, said, end = marks
    return Times(
        load=loaded - start,
        preprocess=ready - loaded,
        forward=said - ready,
        postprocess=end - said,
        photo_to_metres=end - loaded,
        file_to_metres=end - start,
    ), depth


def time_call(call: Callable[[], object], runs: int, device: torch.device) -> Summary:
    """Return what a call takes, after one that does not count."""
    seconds = []
    for _ in range(runs + 1):
        start = now(device)
        call()
        seconds.append(now(device) - start)
    return summarize(seconds[1:])


def summarize(seconds: Sequence[float]) -> Summary:
    """Return median, minimum and number."""
    return Summary(statistics.median(seconds), min(seconds), len(seconds))


def now(device: torch.device) -> float:
    """Return the seconds of a clock once the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter()


def forget_peak(device: torch.device) -> None:
    """Start the count of the GPU's peak memory anew; that of the process has no such start."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> tuple[str, float]:
    """Return what was counted, in words, and its peak in megabytes.

    On CUDA the tensors that were held at once; else the resident set of the process since its
    start (`getrusage`), Python and libraries included.
    """
    if device.type == "cuda":
        return "tensors on the GPU", torch.cuda.max_memory_allocated(device) / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    megabytes = peak / 1e6 if sys.platform == "darwin" else peak / 1e3  # macOS counts bytes
    return "the process since its start", megabytes


def machine() -> dict[str, object]:
    """Return what times depend on: versions, processor, threads and how GPUs multiply."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    gpus = range(torch.cuda.device_count())
    return {
        "depthpro": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": named[0] if named else platform.processor(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(i) for i in gpus],
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "tf32_convolutions": bool(gpus) and torch.backends.cudnn.allow_tf32,
    }


def random_network(
    config: DepthProConfig, device: torch.device, dtype: torch.dtype = torch.float32
) -> DepthPro:
    """Return a network at random weights whose depth and field of view vary, and can be compared.

    Signals keep their size on the way, which they would not with the weights that training starts
    from; C is around 1 and the field of view around 55 degrees.
    """
    with torch.device("meta"):
        model = DepthPro(config)
    model = model.to(dtype).to_empty(device=device)
    biases = {"head.4.bias": 1.0, "fov.head.4.bias": 55.0}
    for name, weight in model.named_parameters():
        if weight.dim() > 1:
            nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
        elif name.endswith("bias"):
            nn.init.constant_(weight, biases.get(name, 0.0))
        else:  # of norms and LayerScale
            nn.init.ones_(weight)
    model.provenance = Provenance(f"random weights of {config.image_size} pixels", OWN_LICENCE)
    model = model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return model.eval()


def sample_photo(folder: Path, width: int, height: int) -> Path:
    """Write a JPEG with detail at several scales, about as many bytes a pixel as a phone's."""
    rng = np.random.default_rng(0)
    grown = [_noise(rng, width, height, cell) for cell in (8, 32, 252)]
    picture = Image.blend(Image.blend(grown[0], grown[1], 0.6), grown[2], 0.6)
    picture.save(folder / "sample.jpg", quality=90)
    return folder / "sample.jpg"


def _noise(rng: np.random.Generator, width: int, height: int, cell: int) -> Image.Image:
    shape = (-(-height // cell), -(-width // cell), 3)
    values: UInt8[ndarray, "h w 3"] = rng.integers(0, 256, shape, dtype=np.uint8)
    return Image.fromarray(values).resize((width, height), Image.Resampling.BICUBIC)
