"""How a network computes: in which types, from weights of half the memory, and part by part."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Precision = Literal["auto", "float32", "float16", "bfloat16"]

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16; others emulate it, slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and any(map(has_instructions, ("avx512_bf16", "amx_tile")))


def has_instructions(name: str) -> bool:
    """Whether this processor has some instructions, by the name that torch gives them."""
    return getattr(torch.cpu, f"_is_{name}_supported", bool)()  # private: may be renamed


def chosen_dtype(
    precision: Precision, stored: torch.dtype, device: torch.device, stem: str = "patch"
) -> torch.dtype:
    """Return the type to compute in, for weights that are stored in another or the same.

    On a CPU a network with a convolutional stem gains nothing from bfloat16, which costs digits.
    """
    if precision not in ("auto", *DTYPES):
        raise ValueError(f"precision must be one of {['auto', *DTYPES]}, got {precision!r}")
    if precision != "auto":
        return DTYPES[precision]
    if device.type == "cpu":
        gains = stem == "patch" and computes_in_bfloat16(device)
        return torch.bfloat16 if gains else torch.float32
    return torch.float16 if (device.type, stored) == ("cuda", torch.float32) else stored


@contextlib.contextmanager
def computing(dtype: torch.dtype, stored: torch.dtype, device: torch.device) -> Iterator[None]:
    """Compute in a type, with weights that are stored in another or the same."""
    other = WeightsAs(dtype) if stored not in (torch.float32, dtype) else contextlib.nullcontext()
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32), other:
        yield


def in_float32(x: Tensor) -> torch.autocast:
    """Return a context without autocast: in bfloat16 a depth map would have some 500 values."""
    return torch.autocast("cpu" if x.is_meta else x.device.type, enabled=False)


def in_parts(x: Tensor) -> bool:
    """Whether large maps are better made part by part: on a CPU, where no gradient is wanted.

    Results are the same. An exported network has one part, for any batch.
    """
    traced = torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]
    exported = traced or torch.compiler.is_compiling()
    return x.device.type == "cpu" and not torch.is_grad_enabled() and not exported


class WeightsAs(TorchFunctionMode):
    """Makes weights of half precision another type in each function that takes them.

    They stay as they are in memory. A weight is used for thousands of values, so this costs no time
    that could be measured.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        """Take the type to compute in."""
        super().__init__()
        self.dtype = dtype

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call the function with weights of the other type."""
        if func.__name__ == "__get__":  # an attribute, such as the shape
            return func(*args, **(kwargs or {}))
        named = {name: self._cast(value) for name, value in (kwargs or {}).items()}
        return func(*map(self._cast, args), **named)

    def _cast(self, value: object) -> object:
        if isinstance(value, nn.Parameter) and value.dtype in (torch.float16, torch.bfloat16):
            return value.to(self.dtype)
        return value
