"""Where a network's time goes, part by part, and how fast this machine could do the same work."""

import ast
import math
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import pandas as pd
import torch
from torch import Tensor
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils.hooks import RemovableHandle
from tqdm import tqdm

from depthpro.model import DepthPro
from depthpro.precision import Precision, chosen_dtype

_KINDS = {
    "aten::linear": "linear",
    "aten::scaled_dot_product_attention": "attention",
    "aten::conv2d": "convolution",
    "aten::conv_transpose2d": "convolution",
}
_PART = "part: "
_TRIES = 5  # of an operation alone; the best one counts


class Operation(NamedTuple):
    """An operation of the network, by the shapes and settings that it was called with."""

    name: str  # of torch, one of `_KINDS`
    shapes: tuple[tuple[int, ...], ...]  # of its tensors
    settings: str  # strides, margins and groups of a convolution


class Row(NamedTuple):
    """Time of one kind of operation in one part of the network, for one picture."""

    part: str
    kind: str  # linear, attention, convolution, or other: memory traffic and all else
    seconds: float
    gflops: float  # multiplications and additions, each counted; 0 for other
    limit_s: float  # what these operations take alone, at the same shapes, with warm memory


def measure(model: DepthPro, precision: Precision = "auto") -> list[Row]:
    """Return where the time of one picture goes, and what its operations take alone."""
    stored = next(model.decoder.parameters()).dtype
    dtype = chosen_dtype(precision, stored, model.device, model.config.stem)
    picture = torch.rand(1, 3, model.config.image_size, model.config.image_size)
    model.infer(picture, precision=precision)
    activities = [ProfilerActivity.CPU]
    with _named_parts(model), profile(activities=activities, record_shapes=True) as profiler:
        model.infer(picture, precision=precision)
    seconds, calls = _attribute(profiler.events() or [])
    operations = {operation for group in calls.values() for operation in group}
    alone = {
        each: time_alone(each, dtype) for each in tqdm(operations, leave=False, unit="operation")
    }
    rows = []
    for (part, kind), total_s in seconds.items():
        group = calls[part, kind]
        gflops = sum(count_flops(each) for each in group) / 1e9
        rows.append(Row(part, kind, total_s, gflops, sum(alone[each] for each in group)))
    return rows


@contextmanager
def _named_parts(model: DepthPro) -> Iterator[None]:
    """Make the profiler see which part of the network is at work."""
    encoder, fov, hooks = model.encoder, model.fov, list[RemovableHandle]()
    vits = {"patch encoder": encoder.patch_encoder, "image encoder": encoder.image_encoder}
    named = {"decoder": model.decoder, "depth head": model.head, **vits}
    named |= {} if fov is None else {"field of view": fov}
    inner = {module for each in vits.values() for module in each.modules()}
    necks = [module for module in encoder.modules() if module not in inner]
    groups = {name: list(part.modules()) for name, part in named.items()} | {"necks": necks[1:]}
    open_ranges: list[record_function] = []

    def enter(name: str) -> None:
        open_ranges.append(record_function(_PART + name))
        open_ranges[-1].__enter__()

    def leave(*_: Any) -> None:
        open_ranges.pop().__exit__(None, None, None)

    for name, modules in groups.items():
        for module in modules:
            hooks.append(module.register_forward_pre_hook(lambda *_, name=name: enter(name)))
            hooks.append(module.register_forward_hook(leave))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _attribute(
    events: list[FunctionEvent],
) -> tuple[dict[tuple[str, str], float], dict[tuple[str, str], list[Operation]]]:
    """Return the seconds and the operations of each part and kind."""
    seconds, calls = defaultdict[tuple[str, str], float](float), defaultdict(list)
    for event in events:
        above = _ancestors(event)
        part = next((name for name in above if name.startswith(_PART)), None)
        key = (part or _PART + "between").removeprefix(_PART)
        kind = _KINDS.get(event.name)
        outermost = event.cpu_parent is None or (event.name.startswith(_PART) and part is None)
        if outermost:  # a part as a whole, or what is in none
            name = event.name if event.name.startswith(_PART) else _PART + "between"
            seconds[name.removeprefix(_PART), "other"] += event.cpu_time_total / 1e6
        if kind and not any(name in _KINDS for name in above):
            given = cast(list[list[int]], event.input_shapes)[:3]  # a tensor that is None has []
            shapes = tuple(tuple(shape) for shape in given if shape)
            settings = repr(event.concrete_inputs[3:]) if kind == "convolution" else "[]"
            calls[key, kind].append(Operation(event.name, shapes, settings))
            seconds[key, kind] += event.cpu_time_total / 1e6
            seconds[key, "other"] -= event.cpu_time_total / 1e6
    return seconds, calls


def _ancestors(event: FunctionEvent) -> list[str]:
    """Return the names of what an event was called by, nearest first."""
    names, parent = [], event.cpu_parent
    while parent is not None:
        names.append(parent.name)
        parent = parent.cpu_parent
    return names


@torch.inference_mode()
def time_alone(operation: Operation, dtype: torch.dtype) -> float:
    """Return the least seconds of an operation on tensors of its shapes, on the CPU."""
    tensors = [torch.randn(shape, dtype=dtype) for shape in operation.shapes]
    tensors = [x.to(memory_format=torch.channels_last) if x.dim() == 4 else x for x in tensors]
    if _KINDS[operation.name] == "attention":  # as a transformer's projection leaves them
        tensors = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in tensors]
    function = getattr(torch.ops.aten, operation.name.removeprefix("aten::"))
    bias = [] if len(tensors) == 3 or _KINDS[operation.name] == "attention" else [None]
    arguments = [*tensors, *bias, *_settings(operation)]
    best = math.inf
    for _ in range(_TRIES):
        start = time.perf_counter()
        function(*arguments)
        best = min(best, time.perf_counter() - start)
    return best


def _settings(operation: Operation) -> list[Any]:
    """Return the settings as the operation takes them, after tensors and bias."""
    return list(ast.literal_eval(operation.settings))


def count_flops(operation: Operation) -> float:
    """Return multiplications and additions, each counted."""
    x, weight = operation.shapes[:2]
    if operation.name == "aten::linear":
        return 2.0 * math.prod(x) * weight[0]
    if operation.name == "aten::scaled_dot_product_attention":
        return 4.0 * math.prod(x) * weight[-2]
    if operation.name == "aten::conv_transpose2d":  # (in, out, rows, columns), each cell once
        return 2.0 * math.prod(x) * math.prod(weight[1:])
    tensors = [torch.empty(shape, device="meta") for shape in operation.shapes[:2]]
    out: Tensor = torch.ops.aten.conv2d(*tensors, None, *_settings(operation))
    return 2.0 * out.numel() * math.prod(weight[1:])


def best_rate(dtype: torch.dtype, side: int = 2048) -> float:
    """Return the GFLOP/s of a product of two large matrices, the best of a few."""
    product = Operation("aten::linear", ((side, side), (side, side)), "[]")
    return count_flops(product) / time_alone(product, dtype) / 1e9


def as_table(rows: list[Row]) -> str:
    """Return a line for each part and kind, the sum of each kind, and that of all."""
    numbers = ("seconds", "gflops", "limit_s")
    frame = pd.DataFrame(rows).sort_values("seconds", ascending=False)
    sums = frame.pivot_table(index="kind", aggfunc="sum", values=list(numbers)).reset_index()
    whole = pd.DataFrame([frame[list(numbers)].sum()])
    table = pd.concat([frame, sums.assign(part="all"), whole.assign(part="all", kind="all")])
    table["share %"] = 100 * table["seconds"] / whole["seconds"].item()
    table["GFLOP/s"] = table["gflops"] / table["seconds"]
    table["alone GFLOP/s"] = table["gflops"] / table["limit_s"]
    table = table[table["share %"] >= 0.1]
    return table.drop(columns="limit_s").round(3).to_string(index=False)
