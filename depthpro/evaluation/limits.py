"""Where a network's time goes, part by part, and how fast this machine could do the same work."""

import functools
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from depthpro.model import DepthPro
from depthpro.precision import Precision

_KINDS: dict[Any, str] = {
    F.linear: "linear",
    F.scaled_dot_product_attention: "attention",
    torch.matmul: "attention",  # of which the network has no others
    torch.softmax: "attention",
    F.conv2d: "convolution",
    F.conv_transpose2d: "convolution",
}


class Row(NamedTuple):
    """Time of one kind of operation in one part of the network, for one picture."""

    part: str
    kind: str  # linear, attention, convolution, or other: memory traffic and all else
    seconds: float
    gflops: float  # multiplications and additions, each counted; 0 for other
    limit_s: float  # what these operations take alone, at the same shapes, with warm memory


class Operation(NamedTuple):
    """A call of torch, with tensors of the shapes, layout and type that it computes with."""

    function: Callable
    arguments: list[Any]  # tensors are on the meta device
    settings: dict[str, Any]


class Stopwatch(TorchFunctionMode):
    """Shares the time between calls of torch among a network's parts and kinds of operation."""

    def __init__(self, model: DepthPro) -> None:
        """Know the part that each module belongs to."""
        super().__init__()
        encoder = model.encoder
        parts = {"patch encoder": encoder.patch_encoder, "image encoder": encoder.image_encoder}
        parts |= {"necks": encoder, "decoder": model.decoder, "depth head": model.head}
        parts |= {} if model.fov is None else {"field of view": model.fov}
        self.part_of: dict[nn.Module, str] = {}
        for name, part in parts.items():
            for module in part.modules():
                self.part_of.setdefault(module, name)  # what only the encoder has are the necks
        self.entered = ["between"]
        self.seconds: dict[tuple[str, str], float] = defaultdict(float)
        self.calls: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.operations: dict[str, Operation] = {}
        self.last = time.perf_counter()

    def run(self, function: Callable, *args: Any) -> None:
        """Call a function that runs the network."""
        before = register_module_forward_pre_hook(self.enter)
        with before, register_module_forward_hook(self.leave), self:
            function(*args)

    def enter(self, module: nn.Module, *_: Any) -> None:
        """Note that a module's part is at work, until `leave`."""
        self.entered.append(self.part_of.get(module, self.entered[-1]))

    def leave(self, *_: Any) -> None:
        """Note that the last module entered is done."""
        self.entered.pop()

    def charge(self, kind: str) -> None:
        """Add the time since the last call of torch to the part at work."""
        now = time.perf_counter()
        self.seconds[self.entered[-1], kind] += now - self.last
        self.last = now

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call a function of torch, and note what it takes."""
        kind, settings = _KINDS.get(func, "other"), kwargs or {}
        self.charge("other")
        result = func(*args, **settings)
        self.charge(kind)
        if kind != "other":  # under autocast the result has the type that it computes in
            dtype = result.dtype
            shapes = [x.to("meta", dtype) if isinstance(x, Tensor) else x for x in args]
            operation = Operation(func, shapes, settings)
            self.operations[repr(operation)] = operation
            self.calls[self.entered[-1], kind].append(repr(operation))
            self.last = time.perf_counter()
        return result


def measure(model: DepthPro, precision: Precision = "auto") -> list[Row]:
    """Return where the time of one picture goes on the CPU, and what its operations take alone."""
    picture = torch.rand(1, 3, model.config.image_size, model.config.image_size)
    infer = functools.partial(model.infer, picture, precision=precision)
    infer()
    watch = Stopwatch(model)
    watch.run(infer)
    alone = {
        key: (count_flops(each) / 1e9, time_alone(each))
        for key, each in tqdm(watch.operations.items(), leave=False)
    }
    rows = []
    for (part, kind), seconds in watch.seconds.items():
        costs = [alone[key] for key in watch.calls[part, kind]]
        gflops, limit_s = (float(sum(each)) for each in zip((0, 0), *costs, strict=True))
        rows.append(Row(part, kind, seconds, gflops, limit_s))
    return rows


@torch.inference_mode()
def count_flops(operation: Operation) -> int:
    """Return multiplications and additions, each counted."""
    with FlopCounterMode(display=False) as counter:
        operation.function(*operation.arguments, **operation.settings)
    return counter.get_total_flops()


@torch.inference_mode()
def time_alone(operation: Operation, device: torch.device | str = "cpu") -> float:
    """Return the seconds of an operation with warm memory, the best within a tenth of a second."""
    from torch.utils.benchmark import Timer  # looks for a CUDA compiler, and warns without a GPU

    function, arguments, settings = operation
    tensors = [
        torch.randn_like(x, device=device) if isinstance(x, Tensor) else x for x in arguments
    ]
    given = {"function": function, "arguments": tensors, "settings": settings}
    call, threads = "function(*arguments, **settings)", torch.get_num_threads()
    timer = Timer(call, globals=given, num_threads=threads)
    return min(timer.blocked_autorange(min_run_time=0.1).times)


def product_rate(
    rows: int, inner: int, columns: int, dtype: torch.dtype, device: torch.device | str = "cpu"
) -> float:
    """Return the FLOPs a second of a product of matrices."""
    sizes = (rows, inner), (inner, columns)
    matrices = [torch.empty(size, dtype=dtype, device="meta") for size in sizes]
    product = Operation(torch.mm, matrices, {})
    return count_flops(product) / time_alone(product, device)


def as_table(rows: list[Row]) -> str:
    """Return a line for each part and kind, the sum of each kind, and that of all."""
    numbers = ["seconds", "gflops", "limit_s"]
    frame = pd.DataFrame(rows).sort_values("seconds", ascending=False)
    kinds = frame.pivot_table(index="kind", aggfunc="sum", values=numbers).reset_index()
    whole = pd.DataFrame([frame[numbers].sum()])
    table = pd.concat([frame, kinds.assign(part="all"), whole.assign(part="all", kind="all")])
    table["share %"] = 100 * table["seconds"] / frame["seconds"].sum()
    table["GFLOP/s"] = table["gflops"] / table["seconds"]
    table["alone GFLOP/s"] = table["gflops"] / table["limit_s"]
    return table[table["share %"] >= 0.1].drop(columns="limit_s").round(3).to_string(index=False)
