"""`python -m depthpro benchmark --gpu`: a GPU's figures beside transformers, in one run.

Of the published network at random weights, the same in both: agreement with transformers in
float32, then times in half precision with and without torch.compile, beside the time that the
arithmetic alone would take at the best rate of products of matrices that this GPU reaches.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from depthpro.config import DepthProConfig
from depthpro.deploy.compiled import compile_blocks
from depthpro.evaluation import cost, speed
from depthpro.evaluation.backends import (
    Backend,
    our_backend,
    random_backends,
    transformers_backend,
)
from depthpro.model import DepthPro

BATCHES = (1, 2, 4, 8)
LIMIT_S = 330.0  # no batch is begun later: all is to end within eight minutes
BATCH_S = 10.0  # to measure one, after it is warm
RUNS = (3, 10)  # at least and at most
PHOTO, LARGE_PHOTO = (1920, 1080), (4032, 3024)


def measure(config: DepthProConfig, device: torch.device) -> Iterator[dict[str, Any]]:
    """Print and yield agreement, the limit of the arithmetic, times of batches, and latency."""
    end = time.monotonic() + LIMIT_S
    with tempfile.TemporaryDirectory() as folder:
        photo = speed.write_sample_photo(Path(folder) / "photo.jpg", *PHOTO)
        large = speed.write_sample_photo(Path(folder) / "large.jpg", *LARGE_PHOTO)
        backends = random_backends(config, device, torch.float32, "float32")
        reference, ours = agreement(backends, photo, device)
        yield ours
        backends = in_half(backends)
        for backend in backends:
            _, depth = speed.time_photos(backend, photo, 1, device)
            row = {"what": backend.name} | difference(depth, reference, "float16")
            if backend is not backends[0]:
                del row["agree"]  # a matter of transformers
            yield row
        limit_s = arithmetic_limit(config, device)
        print(f"{limit_s:.4f} s a photo for the products at the best rate of this device")
        yield {"limit_s": limit_s}
        for compiled in (False, True):
            if compiled and not compile_both(backends):
                return
            yield latency(backends, large, device) | {"compiled": compiled}
            for batch in BATCHES:
                if time.monotonic() > end:
                    print(f"a batch of {batch} is left out: it would take too long")
                    continue
                try:
                    row = time_batch(backends, photo, batch, device)
                except (MemoryError, torch.OutOfMemoryError):
                    print(f"a batch of {batch} does not fit into memory")
                    continue
                row["times_limit"] = row["depthpro_network_s"] / (batch * limit_s)
                row = {"batch": batch, "compiled": compiled} | row
                for name, value in row.items():
                    print(f"{name:28}{f'{value:.4g}' if isinstance(value, float) else value}")
                yield row


def agreement(
    backends: Sequence[Backend], photo: Path, device: torch.device
) -> tuple[Tensor, dict[str, Any]]:
    """Return the depth by transformers in float32, and how far ours is from it."""
    # Convolutions would be in TF32, with ten bits of mantissa.
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        depths = {each.name: speed.time_photos(each, photo, 1, device)[1] for each in backends}
    ours, theirs = depths["depthpro"], depths["transformers"]
    return theirs, {"what": "depthpro"} | difference(ours, theirs, "float32")


def difference(depth: Tensor, reference: Tensor, precision: str) -> dict[str, Any]:
    """Print and return the differences of inverse depth by its mean, and whether they agree."""
    relative = (1 / depth - 1 / reference).abs() / (1 / reference).mean()
    largest, median = float(relative.max()), float(relative.median())
    agree = largest < speed.AGREEMENT[precision]
    verdict = "agrees" if agree else "DISAGREES"
    print(
        f"{precision} {verdict} with transformers in float32: inverse depth differs by "
        f"{largest:.1e} of its mean, median {median:.1e}"
    )
    return {"precision": precision, "largest": largest, "median": median, "agree": agree}


def in_half(backends: Sequence[Backend]) -> list[Backend]:
    """Return the two backends with weights and arithmetic in float16, our head in float32."""
    ours, theirs = (backend.network.half() for backend in backends)
    assert isinstance(ours, DepthPro)
    ours.head.float()  # see `DepthPro.read_depth`
    return [our_backend(ours, "float16"), transformers_backend(theirs, "float16")]


def arithmetic_limit(config: DepthProConfig, device: torch.device) -> float:
    """Return the seconds that a photo's products take at the best rate measured, in float16."""
    side = 256 if device.type == "cpu" else 8192
    rows = sum(level.grid**2 for level in config.pyramid) * (config.tokens**2 + 1)
    sizes = ((side, side, side), (rows, config.dim, 4 * config.dim))  # the latter as in the MLPs
    rate = max(_rate(*size, device) for size in sizes)
    return cost.total(cost.count(config)).flops / rate


def _rate(rows: int, inner: int, columns: int, device: torch.device, runs: int = 10) -> float:
    """Return FLOPs a second of a product of matrices in float16."""
    a = torch.randn(rows, inner, device=device, dtype=torch.float16)
    b = torch.randn(inner, columns, device=device, dtype=torch.float16)
    seconds = []
    for _ in range(4):  # the first warms up
        start = _now(device)
        for _ in range(runs):
            torch.mm(a, b)
        seconds.append((_now(device) - start) / runs)
    return 2 * rows * inner * columns / min(seconds[1:])


def _now(device: torch.device) -> float:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter()


def compile_both(backends: Sequence[Backend]) -> bool:
    """Compile the transformer blocks of both networks; return whether that works."""
    ours, theirs = (backend.network for backend in backends)
    assert isinstance(ours, DepthPro)
    start = time.perf_counter()
    if not compile_blocks(ours):
        return False
    print(f"depthpro compiled in {time.perf_counter() - start:.0f} s")
    for module in theirs.modules():
        if type(module).__name__ == "Dinov2Layer":
            module.compile()
    return True


def latency(backends: Sequence[Backend], photo: Path, device: torch.device) -> dict[str, Any]:
    """Print and return what a visitor waits for: a file of 12 megapixels to depth at its size."""
    runs, _ = speed.take_turns(backends, photo, 1, RUNS[0], device)
    medians = speed.print_medians(runs)
    return {"photo": LARGE_PHOTO} | {
        name: value["file to metres"] for name, value in medians.items()
    }


def time_batch(
    backends: Sequence[Backend], photo: Path, batch: int, device: torch.device
) -> dict[str, Any]:
    """Return medians of a batch in turns, their ratios, and each network's peak of memory."""
    row: dict[str, Any] = {}
    start = time.perf_counter()
    for backend in backends:
        row[f"{backend.name}_peak_gb"] = peak_gb(backend, photo, batch, device)
    runs = int(BATCH_S / (time.perf_counter() - start))
    rows, _ = speed.take_turns(backends, photo, batch, min(max(runs, RUNS[0]), RUNS[1]), device)
    ours, theirs = (pd.DataFrame(rows[backend.name]).median() for backend in backends)
    for name, part in (("network", "forward"), ("photo_to_metres", "photo to metres")):
        row[f"depthpro_{name}_s"] = ours[part]
        row[f"transformers_{name}_s"] = theirs[part]
        row[f"{name}_ratio"] = theirs[part] / ours[part]
    return row


def peak_gb(backend: Backend, photo: Path, batch: int, device: torch.device) -> float | None:
    """Return the peak of a GPU's memory in a call, as if no other network were in it."""
    if device.type != "cuda":
        speed.time_photos(backend, photo, batch, device)
        return None
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    speed.time_photos(backend, photo, batch, device)
    return (torch.cuda.max_memory_allocated(device) - before + _bytes(backend.network)) / 1e9


def _bytes(network: nn.Module) -> int:
    return sum(weight.nbytes for weight in network.parameters())
