"""NumPy arrays and tensors, one map or a batch: what goes into a measure is what comes out."""

from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float, Num
from numpy import ndarray
from torch import Tensor

Maps = Float[Tensor, "*b h w"] | Float[ndarray, "*b h w"]
"""One map (h, w) or a batch (b, h, w)."""
Mask = Bool[Tensor, "*b h w"] | Bool[ndarray, "*b h w"]
"""True where a pixel counts."""

if TYPE_CHECKING:
    Scores = Any  # callers know what they passed; a union would have to be taken apart
else:
    Scores = Num[Tensor, "..."] | Num[ndarray, "..."] | float
"""Per map: a float or an array for arrays; for tensors a tensor, on their device."""


def as_batch(maps: Any, other: Any, mask: Any = None) -> tuple[Tensor, Tensor, Tensor]:
    """Return both as tensors (b, h, w), float32 at least, and a mask.

    Args:
        maps: One map or a batch.
        other: The same.
        mask: The same, of booleans, or None for True everywhere.

    Raises:
        ValueError: Shapes, kinds, devices or types are not as said.
    """
    given = (maps, other) if mask is None else (maps, other, mask)
    tensors = [as_tensor(each) for each in given]
    kinds = {(isinstance(each, ndarray), t.device) for each, t in zip(given, tensors, strict=True)}
    fit = maps.ndim in (2, 3) and len({t.shape for t in tensors}) == len(kinds) == 1
    fit = fit and all(t.is_floating_point() for t in tensors[:2])
    if not fit or (mask is not None and tensors[2].dtype != torch.bool):
        came = " and ".join(f"{tuple(each.shape)} of {each.dtype}" for each in given)
        raise ValueError(
            "a measure takes maps of floats and a boolean mask, of one shape (h, w) or (b, h, w), "
            f"all arrays or all tensors on one device; got {came}; convert before the call"
        )
    if mask is None:
        tensors.append(torch.ones_like(tensors[0], dtype=torch.bool))
    first, second, valid = (tensor if maps.ndim == 3 else tensor[None] for tensor in tensors)
    return _widened(first), _widened(second), valid


def as_given(values: Tensor, maps: Any) -> Scores:
    """Return values (b, ...) as the kind of thing that `maps` is, without b if it has none."""
    return as_kind(values[0] if maps.ndim == 2 else values, maps)


def as_kind(values: Tensor, given: Any) -> Scores:
    """Return a tensor if a tensor was given, else an array, or a number where it has no axis."""
    if isinstance(given, Tensor):
        return values
    return values.numpy() if values.ndim else values.item()


def as_tensor(values: Any) -> Tensor:
    """Return an array's copy or a tensor without its gradient."""
    return torch.from_numpy(values.copy()) if isinstance(values, ndarray) else values.detach()


def _widened(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))
