"""The camera: focal length, field of view, canonical inverse depth, metres, pixels and points.

Camera frame: x right, y down, z forward. Depth is z. Pixel centres lie at integers and the optical
axis at ((w - 1) / 2, (h - 1) / 2).
"""

import math
from typing import TypeVar, cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

MAX_RATIO = 1.08  # a step between neighbouring pixels by more is an edge, where surfaces are cut
CUT_SIDE = 512  # such ratios are given for a map this many pixels long
FAR_M = 200.0  # surfaces end here: farther points are sky or guesses, and would dwarf the rest
_SMOOTH_PX = 1.5  # of inverse depth before it is differentiated
_REACH = 4  # pixels of such a map: a wider change of depth is a surface, not an edge
Number = TypeVar("Number", float, Tensor)
FOV_RANGE_DEG = (1.0, 175.0)
"""Range of horizontal fields of view: no camera is outside. Estimates are clamped to it."""
MIN_DEPTH_M, MAX_DEPTH_M = 1e-4, 1e4  # depth is clamped to this range, as published; sky is far


def focal_from_fov(fov_deg: Number, width: int) -> Number:
    """Return f_px = 0.5 w / tan(0.5 fov), for a horizontal field of view in (0, 180) degrees."""
    if isinstance(fov_deg, Tensor):
        return 0.5 * width / torch.tan(torch.deg2rad(fov_deg) / 2)
    return 0.5 * width / math.tan(math.radians(fov_deg) / 2)


def fov_from_focal(f_px: Number, width: int) -> Number:
    """Return the horizontal field of view in degrees, the inverse of `focal_from_fov`."""
    if isinstance(f_px, Tensor):
        return torch.rad2deg(2 * torch.atan(0.5 * width / f_px))
    return math.degrees(2 * math.atan(0.5 * width / f_px))


def check_focal(f_px: float, width: int) -> None:
    """Raise a ValueError for a focal length in pixels outside of `FOV_RANGE_DEG`."""
    least, most = FOV_RANGE_DEG
    if not 0 < f_px < math.inf:
        raise ValueError(
            f"The focal length f_px must be a positive number of pixels, not {f_px:g}."
        )
    if not least <= fov_from_focal(f_px, width) <= most:
        nearest, farthest = focal_from_fov(most, width), focal_from_fov(least, width)
        raise ValueError(
            f"Expected a focal length f_px of {nearest:.3g} to {farthest:.4g} px, which sees "
            f"{most:.0f} to {least:.0f} degrees of this photo; got {f_px:g} px."
        )


def metric_depth(
    canonical: Float[Tensor, "b s s"], f_px: Float[Tensor, " b"], height: int, width: int
) -> Float[Tensor, "b {height} {width}"]:
    """Return depth = f_px / (w C) in metres, within `MIN_DEPTH_M` and `MAX_DEPTH_M`.

    C is that of the stretched square picture, 0 at infinity; the focal length is for this width.
    As published, inverse depth is interpolated (bilinear), then clamped. Source: Section 3.2.
    """
    inverse = canonical.float() * (width / f_px)[:, None, None]
    if inverse.shape[-2:] != (height, width):
        inverse = F.interpolate(inverse[:, None], (height, width), mode="bilinear")[:, 0]
    return inverse.clamp_(1 / MAX_DEPTH_M, 1 / MIN_DEPTH_M).reciprocal_()


def canonical_inverse_depth(
    depth: Float[Tensor, "b h w"], f_px: Float[Tensor, " b"]
) -> Float[Tensor, "b h w"]:
    """Return C = f_px / (w depth), the target of training; infinite depth gives 0."""
    return (f_px / depth.shape[-1])[:, None, None] / depth


def intrinsics(f_px: float, height: int, width: int) -> Float[ndarray, "3 3"]:
    """Return the camera matrix K in pixels, for square pixels and a centred optical axis."""
    return np.array([[f_px, 0, (width - 1) / 2], [0, f_px, (height - 1) / 2], [0, 0, 1]])


def unproject(depth: Float[ndarray, "h w"], f_px: float) -> Float[ndarray, "h w 3"]:
    """Return every pixel's 3D point in metres; the focal length is for a picture of this width."""
    y, x = ((np.arange(n, dtype=depth.dtype) - (n - 1) / 2) / f_px for n in depth.shape)
    return np.stack([depth * x, depth * y[:, None], depth], axis=-1)


def surface_normals(depth: Float[ndarray, "h w"], f_px: float) -> Float[ndarray, "h w 3"]:
    """Return unit normals towards the camera, in its frame; depth has two rows and columns or more.

    Inverse depth of the plane m · p = 1 is m · ray, so m follows from its gradient; smoothing keeps
    planes exact. Take depth at the size of the network's own map: between its samples it has steps.
    """
    from scipy.ndimage import gaussian_filter  # takes longer to load than the rest of this module

    margin = 4 * math.ceil(_SMOOTH_PX)  # odd, so that planes go on in it
    padded = np.pad(1 / depth, margin, mode="reflect", reflect_type="odd")
    inverse = gaussian_filter(padded, _SMOOTH_PX)[margin:-margin, margin:-margin]
    down, across = np.gradient(inverse)
    y, x = (np.arange(n, dtype=depth.dtype) - (n - 1) / 2 for n in depth.shape)
    nearest = inverse - x * across - y[:, None] * down
    away = np.stack([f_px * across, f_px * down, nearest], axis=-1)
    return -away / np.linalg.norm(away, axis=-1, keepdims=True)


def ratio_at(ratio: float, side: int) -> float:
    """Return the ratio that cuts the same edges on a map `side` pixels long as on `CUT_SIDE`."""
    return ratio ** (CUT_SIDE / side)


def solid_cells(
    depth: Float[ndarray, "h w"], max_ratio: float, far_m: float = math.inf
) -> Bool[ndarray, "h-1 w-1"]:
    """Return which cells of four neighbouring pixels lie on one surface.

    A cell is left out beyond `far_m`, and where an edge runs through it: where depth steps to more
    than `max_ratio` times what the surfaces on both sides predict. Those are continued as planes,
    whose inverse depth is linear in the picture, so that no slanted plane is ever cut.
    """
    inverse = 1 / depth
    across, down = _edges(inverse, max_ratio), _edges(inverse.T, max_ratio).T
    edge = across[:-1] | across[1:] | down[:, :-1] | down[:, 1:]
    near = depth <= far_m
    near = near[:, :-1] & near[:, 1:]
    return cast(ndarray, ~edge & near[:-1] & near[1:])


def _edges(inverse: Float[ndarray, "h w"], ratio: float) -> Bool[ndarray, "h w-1"]:
    """Return between which neighbours in a row depth steps by more than the ratio.

    Slopes are measured beyond a few pixels to both sides, since edges are a few pixels wide.
    """
    width = inverse.shape[1]
    reach = max(1, round(_REACH * max(inverse.shape) / CUT_SIDE))
    padded = np.pad(inverse, ((0, 0), (2 * reach,) * 2), mode="reflect", reflect_type="odd")
    slopes = (padded[:, reach:] - padded[:, :-reach]) / reach
    before, after = slopes[:, : width - 1], slopes[:, 3 * reach + 1 : 3 * reach + width]
    left, right = inverse[:, :-1], inverse[:, 1:]
    pairs = ((left + before, right), (right - after, left))
    steps = (np.maximum(*pair) > ratio * np.minimum(*pair) for pair in pairs)
    return np.logical_and(*steps)


def solid_pixels(cells: Bool[ndarray, "rows columns"]) -> Bool[ndarray, "rows+1 columns+1"]:
    """Return which pixels are a corner of one of these cells; the others are flying pixels."""
    padded = np.pad(cells, 1)
    rows = padded[1:] | padded[:-1]
    return rows[:, 1:] | rows[:, :-1]


def grid_faces(cells: Bool[ndarray, "rows columns"]) -> Int[ndarray, "f 3"]:
    """Return two triangles for every True cell, as row-major pixel numbers.

    Counter-clockwise as seen from the camera, once y and z are negated for a viewer with y up.
    """
    row, column = np.nonzero(cells)
    width = cells.shape[1] + 1
    corner = row * width + column
    upper = np.stack([corner, corner + width, corner + 1], axis=1)
    lower = np.stack([corner + 1, corner + width, corner + width + 1], axis=1)
    return np.concatenate([upper, lower])
