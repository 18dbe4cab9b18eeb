"""What is behind the things in a photo, made up from what is seen beside them."""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

_SLOPE = 0.75  # of the steps on both sides of one: with less than the rest it is a slope's
_CELL = 4  # pixels along a side for which the nearest edge is the same
_COLOUR_PX = 16  # from an edge where things in front give no colour
_RIM = 2  # pixels of the far side of an edge that have something of the near side's colour


class Behind(NamedTuple):
    """The photo without its things in front, near their edges."""

    rgb: UInt8[ndarray, "h w 3"]
    place: Float[ndarray, "h w"]
    hidden: Bool[ndarray, "h w"]
    """Where something in front was taken away."""
    rim: Bool[ndarray, "h w"]
    """Pixels along the far side of an edge, where the photo mixes both sides."""


def look_behind(
    rgb: UInt8[ndarray, "h w 3"], place: Float[ndarray, "h w"], jump_px: float, most_px: float
) -> Behind:
    """Return what may be behind things, as far from their edges as it can come into view.

    Colour and depth come from the far side of the edge alone. `place` is inverse depth, times
    the pixels that things move, or spread, for each unit of it: two sides of an edge leave a gap
    as wide as their places differ. Neighbours that differ by more than `jump_px` are an edge;
    nothing is made up more than `most_px` from one.
    """
    far = np.full(place.shape, np.inf, np.float32)  # places of the far sides of edges
    gap = np.zeros(place.shape, np.float32)
    for axis in (0, 1):
        before, after = _neighbours(place, axis)
        for side, other, way in ((0, after, after - before), (1, before, before - after)):
            edge = _stands_out(way, axis) > jump_px
            far_side, wide = _neighbours(far, axis)[side], _neighbours(gap, axis)[side]
            np.minimum(far_side, other - way, out=far_side, where=edge)
            np.maximum(wide, way, out=wide, where=edge)
    hidden, unsure = (place > side + jump_px for side in _nearest_edge(far, gap, most_px))
    rim = np.isfinite(far) & ~hidden
    if not hidden.any():
        return Behind(rgb, place, hidden, rim)
    unsure = ndimage.maximum_filter(unsure.view(np.uint8), 2 * _RIM + 1).view(bool)
    both = np.concatenate([rgb, place[..., None]], axis=2, dtype=np.float32)
    both = fill(both, ~unsure)
    taken = hidden | rim
    colours = np.where(taken[..., None], np.round(both[..., :3]), rgb).astype(np.uint8)
    return Behind(colours, np.where(taken, np.minimum(both[..., 3], place), place), hidden, rim)


def fill(values: Float[ndarray, "h w c"], known: Bool[ndarray, "h w"]) -> Float[ndarray, "h w c"]:
    """Return values with the unknown ones made up from the nearest known ones, smoothly.

    Gaps are filled from smaller and smaller versions of the picture ("pull and push").
    """
    weight = torch.from_numpy(known.astype(np.float32))[None, None]
    colour = torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))[None]
    colour = torch.where(weight > 0, colour, 0)
    return _fill(colour, weight)[0].numpy().transpose(1, 2, 0)


def _fill(colour: Float[Tensor, "1 c h w"], weight: Float[Tensor, "1 1 h w"]) -> Tensor:
    """Fill where weight is below 1; colours come multiplied by it."""
    if min(colour.shape[-2:]) == 1:
        mean = colour.sum((2, 3), keepdim=True) / weight.sum().clamp(min=1e-6)
        return colour + (1 - weight) * mean
    half = F.avg_pool2d(torch.cat([colour, weight], 1), 2, ceil_mode=True, count_include_pad=False)
    share = half[:, -1:]
    # One known pixel of four is as good as four.
    full = (4 * share).clamp(max=1)
    small = _fill(half[:, :-1] * (full / share.clamp(min=1e-6)), full)
    size = (colour.shape[-2], colour.shape[-1])
    return colour + (1 - weight) * F.interpolate(small, size, mode="bilinear")


def _stands_out(way: Float[ndarray, "h w"], axis: int) -> Float[ndarray, "h w"]:
    """Return by how much each step is higher than those beside it: on a slope all are alike."""
    up = np.maximum(way, 0)
    before, after = _neighbours(up, axis)
    result = way.copy()
    for part, beside in zip(_neighbours(result, axis), (after, before), strict=True):
        part -= np.float32(_SLOPE) * beside
    return result


def _nearest_edge(
    far: Float[ndarray, "h w"], gap: Float[ndarray, "h w"], most_px: float
) -> tuple[Float[ndarray, "h w"], Float[ndarray, "h w"]]:
    """Return `far` of the nearest edge, infinity out of its reach: of its gap, and of its colour.

    Things in front give no colour to the gap, so they are left out farther than the gap is wide.
    """
    rows, columns = far.shape
    far, gap = _cells(far, np.inf).min((1, 3)), _cells(gap, 0.0).max((1, 3))
    empty = np.isinf(far)
    if empty.all():
        nothing = np.full((rows, columns), np.inf, np.float32)
        return nothing, nothing
    measured: Any = ndimage.distance_transform_edt(empty, return_indices=True)
    distance, nearest = measured
    far, gap = far[tuple(nearest)], np.minimum(gap[tuple(nearest)], most_px)
    distance = (distance - 1) * _CELL
    reached = [np.where(distance <= reach, far, np.inf) for reach in (gap, 3 * gap + _COLOUR_PX)]
    near, wide = (
        part.repeat(_CELL, 0).repeat(_CELL, 1)[:rows, :columns].astype(np.float32)
        for part in reached
    )
    return near, wide


def _cells(values: Float[ndarray, "h w"], outside: float) -> ndarray:
    """Return squares of `_CELL` pixels in axes 1 and 3."""
    values = np.pad(
        values, [(0, -side % _CELL) for side in values.shape], constant_values=np.float32(outside)
    )
    return values.reshape(-1, _CELL, values.shape[1] // _CELL, _CELL)


def _neighbours(values: Float[ndarray, "h w"], axis: int) -> tuple[ndarray, ndarray]:
    """Return views of the first and the second of each two neighbours."""
    return (values[:-1], values[1:]) if axis == 0 else (values[:, :-1], values[:, 1:])
