"""`python -m depthpro benchmark --gpu`: a GPU's figures beside transformers, in one run.

Of the published network at random weights, the same in both: agreement with transformers in
float32, then times in half precision with and without torch.compile, beside the time that the
arithmetic alone would take at the best rate of products of matrices that this GPU reaches.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from depthpro.config import DepthProConfig
from depthpro.deploy.compiled import compile_blocks
from depthpro.evaluation import backends, cost, limits, speed
from depthpro.evaluation.backends import Backend
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
        ours, theirs = backends.random_backends(config, device, torch.float32, "float32")
        # Convolutions would be in TF32, with ten bits of mantissa.
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            _, depth = speed.time_photos(ours, photo, 1, device)
            _, reference = speed.time_photos(theirs, photo, 1, device)
        yield {"what": "depthpro"} | difference(depth, reference, "float32")
        ours, theirs = both = in_half(ours, theirs)
        for backend in both:
            _, depth = speed.time_photos(backend, photo, 1, device)
            row = {"what": backend.name} | difference(depth, reference, "float16")
            if backend is theirs:
                del row["agree"]  # a matter of transformers
            yield row
        limit_s = arithmetic_limit(config, device)
        print(f"{limit_s:.4f} s a photo for the products at the best rate of this device")
        yield {"limit_s": limit_s}
        for compiled in (False, True):
            if compiled and not compile_both(ours, theirs):
                return
            runs, _ = speed.take_turns(both, large, 1, RUNS[0], device)  # what a visitor waits for
            medians = speed.print_medians(runs)
            waits = {name: each["file to metres"] for name, each in medians.items()}
            yield {"photo": LARGE_PHOTO} | waits | {"compiled": compiled}
            for batch in BATCHES:
                if time.monotonic() > end:
                    print(f"a batch of {batch} is left out: it would take too long")
                    continue
                try:
                    row = time_batch(both, photo, batch, device)
                except (MemoryError, torch.OutOfMemoryError):
                    print(f"a batch of {batch} does not fit into memory")
                    continue
                row["times_limit"] = row["depthpro_network_s"] / (batch * limit_s)
                row = {"batch": batch, "compiled": compiled} | row
                for name, value in row.items():
                    print(f"{name:28}{f'{value:.4g}' if isinstance(value, float) else value}")
                yield row


def difference(depth: Tensor, reference: Tensor, precision: str) -> dict[str, Any]:
    """Print and return the differences of inverse depth by its mean, and whether they agree."""
    relative = speed.relative_difference(depth, reference)
    largest, median = float(relative.max()), float(relative.median())
    agree = largest < speed.AGREEMENT[precision]
    verdict = "agrees" if agree else "DISAGREES"
    print(
        f"{precision} {verdict} with transformers in float32: inverse depth differs by "
        f"{largest:.1e} of its mean, median {median:.1e}"
    )
    return {"precision": precision, "largest": largest, "median": median, "agree": agree}


def in_half(ours: Backend, theirs: Backend) -> tuple[Backend, Backend]:
    """Return the two backends with weights and arithmetic in float16, our head in float32."""
    network = ours.network.half()
    assert isinstance(network, DepthPro)
    network.head.float()  # see `DepthPro.read_depth`
    half = backends.transformers_backend(theirs.network.half(), "float16")
    return backends.our_backend(network, "float16"), half


def arithmetic_limit(config: DepthProConfig, device: torch.device) -> float:
    """Return the seconds that a photo's products take at the best rate measured, in float16."""
    side = 256 if device.type == "cpu" else 8192
    rows = sum(level.grid**2 for level in config.pyramid) * (config.tokens**2 + 1)
    sizes = ((side, side, side), (rows, config.dim, 4 * config.dim))  # the latter as in the MLPs
    rate = max(limits.product_rate(*size, torch.float16, device) for size in sizes)
    return cost.total(cost.count(config)).flops / rate


def compile_both(ours: Backend, theirs: Backend) -> bool:
    """Compile the transformer blocks of both networks; return whether that works."""
    assert isinstance(ours.network, DepthPro)
    start = time.perf_counter()
    if not compile_blocks(ours.network):
        return False
    print(f"depthpro compiled in {time.perf_counter() - start:.0f} s")
    for module in theirs.network.modules():
        if type(module).__name__ == "Dinov2Layer":
            module.compile()
    return True


def time_batch(
    both: tuple[Backend, Backend], photo: Path, batch: int, device: torch.device
) -> dict[str, Any]:
    """Return medians of a batch in turns, their ratios, and each network's peak of memory."""
    start = time.perf_counter()
    row: dict[str, Any] = {
        f"{each.name}_peak_gb": peak_gb(each, photo, batch, device) for each in both
    }
    runs = int(BATCH_S / (time.perf_counter() - start))
    rows, _ = speed.take_turns(both, photo, batch, min(max(runs, RUNS[0]), RUNS[1]), device)
    ours, theirs = (pd.DataFrame(rows[backend.name]).median() for backend in both)
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
    weights = sum(weight.nbytes for weight in backend.network.parameters())
    return (torch.cuda.max_memory_allocated(device) - before + weights) / 1e9
