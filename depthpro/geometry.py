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

Number = TypeVar("Number", float, Tensor)

MIN_DEPTH_M, MAX_DEPTH_M = 1e-4, 1e4
"""Depth is clamped to this range, as in the published code; sky comes out at the far end."""


def focal_from_fov(fov_deg: Number, width: int) -> Number:
    """Return the focal length in pixels of a picture `width` pixels wide.

    Args:
        fov_deg: Horizontal field of view in degrees, in (0, 180).
        width: Width of the picture in pixels.

    Source: FACTS 1.5: f_px = 0.5 w / tan(0.5 fov).
    """
    if isinstance(fov_deg, Tensor):
        return 0.5 * width / torch.tan(torch.deg2rad(fov_deg) / 2)
    return 0.5 * width / math.tan(math.radians(fov_deg) / 2)


def fov_from_focal(f_px: Number, width: int) -> Number:
    """Return the horizontal field of view in degrees, the inverse of `focal_from_fov`."""
    if isinstance(f_px, Tensor):
        return torch.rad2deg(2 * torch.atan(0.5 * width / f_px))
    return math.degrees(2 * math.atan(0.5 * width / f_px))


def metric_depth(
    canonical: Float[Tensor, "b s s"], f_px: Float[Tensor, " b"], height: int, width: int
) -> Float[Tensor, "b {height} {width}"]:
    """Return depth in metres at the picture's size, within `MIN_DEPTH_M` and `MAX_DEPTH_M`.

    Args:
        canonical: Canonical inverse depth C of the stretched square picture, 0 at infinity.
        f_px: Focal length in pixels of a picture `width` pixels wide.
        height: Rows of the result.
        width: Columns of the result.

    Source: Section 3.2: depth = f_px / (w C). As in the published code, inverse depth is what is
    interpolated (bilinear), and it is clamped last.
    """
    inverse = canonical.float() * (width / f_px)[:, None, None]
    if inverse.shape[-2:] != (height, width):
        inverse = F.interpolate(inverse[:, None], (height, width), mode="bilinear")[:, 0]
    return inverse.clamp(1 / MAX_DEPTH_M, 1 / MIN_DEPTH_M).reciprocal_()


def canonical_inverse_depth(
    depth: Float[Tensor, "b h w"], f_px: Float[Tensor, " b"]
) -> Float[Tensor, "b h w"]:
    """Return C = f_px / (w depth), the target of training; infinite depth gives 0.

    Source: Section 3.2.
    """
    return (f_px / depth.shape[-1])[:, None, None] / depth


def intrinsics(f_px: float, height: int, width: int) -> Float[ndarray, "3 3"]:
    """Return the camera matrix K in pixels, for square pixels and a centred optical axis."""
    return np.array([[f_px, 0, (width - 1) / 2], [0, f_px, (height - 1) / 2], [0, 0, 1]])


def unproject(depth: Float[ndarray, "h w"], f_px: float) -> Float[ndarray, "h w 3"]:
    """Return the 3D point of every pixel in metres, in the camera frame.

    Args:
        depth: Metres along the optical axis.
        f_px: Focal length in pixels of a picture as wide as `depth`.
    """
    height, width = depth.shape
    x = (np.arange(width, dtype=depth.dtype) - (width - 1) / 2) / f_px
    y = (np.arange(height, dtype=depth.dtype) - (height - 1) / 2) / f_px
    points = np.empty((height, width, 3), dtype=depth.dtype)
    points[..., 0] = depth * x
    points[..., 1] = depth * y[:, None]
    points[..., 2] = depth
    return points


def solid_cells(
    depth: Float[ndarray, "h w"], max_ratio: float, far_m: float = math.inf
) -> Bool[ndarray, "h-1 w-1"]:
    """Return which cells of four neighbouring pixels lie on one surface.

    A cell is left out where its farthest pixel is more than `max_ratio` times as far as its
    nearest (there an edge runs through it and the surface would be made of flying pixels), and
    where its farthest pixel is beyond `far_m`.
    """
    corners = (depth[:-1, :-1], depth[:-1, 1:], depth[1:, :-1], depth[1:, 1:])
    nearest, farthest = np.minimum.reduce(corners), np.maximum.reduce(corners)
    return cast(ndarray, (farthest <= max_ratio * nearest) & (farthest <= far_m))


def solid_pixels(cells: Bool[ndarray, "rows columns"]) -> Bool[ndarray, "rows+1 columns+1"]:
    """Return which pixels are a corner of one of these cells; the others are flying pixels."""
    held = np.zeros((cells.shape[0] + 1, cells.shape[1] + 1), bool)
    for rows in (slice(None, -1), slice(1, None)):
        for columns in (slice(None, -1), slice(1, None)):
            held[rows, columns] |= cells
    return held


def grid_faces(cells: Bool[ndarray, "rows columns"]) -> Int[ndarray, "f 3"]:
    """Return two triangles for every True cell, as row-major pixel numbers.

    Counter-clockwise as seen from the camera, so that normals point to it once y and z are
    negated for a viewer with y up.
    """
    row, column = np.nonzero(cells)
    width = cells.shape[1] + 1
    corner = row * width + column
    upper = np.stack([corner, corner + width, corner + 1], axis=1)
    lower = np.stack([corner + 1, corner + width, corner + width + 1], axis=1)
    return np.concatenate([upper, lower])
