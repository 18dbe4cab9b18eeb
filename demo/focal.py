"""The focal length: who says which, what a known length implies, and what crops change.

Depth is proportional to the focal length, and what lies across the optical axis does not depend on
it at all: at depth f_px / (w C), a pixel's offset (u - cx) / f_px covers (u - cx) / (w C) metres.
So a known length tells the focal length only as far as it runs away from the camera.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from demo.measure import Spots, locate
from demo.pipeline import Analysis, FocalSource
from depthpro import DepthPro
from depthpro.geometry import fov_from_focal
from depthpro.image import focal_px_from_35mm

CROPS = (1.0, 0.85, 0.7, 0.55, 0.4)
"""Shares of the photo's width and height that the crop experiment keeps, around the centre."""
MIN_SHARE = 0.1
"""Least share of a length's square that has to run along the optical axis to tell anything."""


@dataclass(frozen=True)
class Opinion:
    """What one source says about the focal length."""

    source: FocalSource
    f_px: float
    f_35mm: float
    fov_deg: float
    """Horizontal field of view in degrees."""
    factor: float
    """Depth by this source over depth in use."""
    in_use: bool


@dataclass(frozen=True)
class Calibration:
    """What a known length says."""

    measured_m: float
    """The distance between the two points with the focal length in use."""
    true_m: float
    f_px: float | None
    """The focal length with which the distance is true; None if it does not follow."""
    plus_minus_px: float
    """From the spread of depth around the points; 0 if there is no focal length."""
    reason: str
    """Why no focal length follows."""


@dataclass(frozen=True)
class CropEstimate:
    """What the network says about a crop around the centre."""

    share: float
    """Of the photo's width and height."""
    f_px: float
    """Estimated focal length in pixels of the photo: a crop does not change it in truth."""


def f_35mm(f_px: float, width: int, height: int) -> float:
    """Return the focal length in millimetres of a 35 mm camera with the same diagonal angle."""
    return f_px / focal_px_from_35mm(1, width, height)


def opinions(analysis: Analysis) -> list[Opinion]:
    """Return what each source says that says anything, the one by hand only if it is in use."""
    values: dict[FocalSource, float | None] = {
        "metadata": analysis.metadata_f_px,
        "network": analysis.estimated_f_px,
        "hand": analysis.f_px if analysis.source == "hand" else None,
    }
    width, height = analysis.prediction.width, analysis.prediction.height
    return [
        Opinion(
            source,
            f_px,
            f_35mm(f_px, width, height),
            fov_from_focal(f_px, width),
            f_px / analysis.f_px,
            source == analysis.source,
        )
        for source, f_px in values.items()
        if f_px is not None
    ]


def calibrate(
    analysis: Analysis, points: Sequence[tuple[float, float]], true_m: float
) -> Calibration:
    """Return the focal length with which two points are as far apart as they are in truth.

    With lateral distance a and depths f c1 and f c2, the distance is sqrt(a² + f² (c1 - c2)²).

    Args:
        analysis: The photo.
        points: Two, in pixels of the photo.
        true_m: Their true distance in metres.

    Raises:
        ValueError: If there are not two points, one is sky, or the length is not positive.
    """
    if len(points) != 2:
        raise ValueError(f"Choose two points whose distance you know; got {len(points)}.")
    if not 0 < true_m < math.inf:
        raise ValueError(f"The true length must be positive, not {true_m:g}.")
    spots = locate(analysis.prediction, points)
    if spots.sky.any():
        raise ValueError("A point lies in the sky, where depth says nothing; choose another one.")
    lateral, along = _parts(spots, spots.depth_m)
    measured = math.hypot(lateral, along)
    if along**2 < MIN_SHARE * measured**2:
        reason = (
            "The points lie side by side, and what lies across does not depend on the focal "
            "length. Choose points of which one is clearly farther away."
        )
    elif true_m <= lateral:
        reason = (
            f"Across the picture alone they are {lateral:.3g} m apart, whatever the focal length "
            "is. Here the network's depth is wrong by more than a focal length can mend."
        )
    else:
        f_px = _implied(spots, spots.depth_m, true_m)
        return Calibration(measured, true_m, f_px, _spread(spots, true_m), "")
    return Calibration(measured, true_m, None, 0.0, reason)


def crop(rgb: UInt8[ndarray, "h w 3"], share: float) -> UInt8[ndarray, "h2 w2 3"]:
    """Return the middle of a picture, a share of its width and height."""
    height, width = rgb.shape[:2]
    rows, columns = max(1, round(share * height)), max(1, round(share * width))
    top, left = (height - rows) // 2, (width - columns) // 2
    return np.ascontiguousarray(rgb[top : top + rows, left : left + columns])


def crop_estimates(model: DepthPro, analysis: Analysis) -> tuple[CropEstimate, ...]:
    """Return what the network says about the photo's crops; it is called for each but the whole.

    Raises:
        ValueError: If the network estimates no focal length.
    """
    whole = analysis.estimated_f_px
    if whole is None:
        raise ValueError("This network estimates no focal length, so crops tell nothing.")
    estimates = [CropEstimate(CROPS[0], whole)]
    for share in CROPS[1:]:
        estimated = model.infer(crop(analysis.rgb, share)).to("cpu").estimated_f_px
        if estimated is not None:
            estimates.append(CropEstimate(share, estimated.item()))
    return tuple(estimates)


def _parts(spots: Spots, depth_m: ndarray) -> tuple[float, float]:
    """Return how far apart two points are across and along the optical axis, in metres."""
    first, second = spots.rays * depth_m[:, None]
    across = first - second
    return math.hypot(across[0], across[1]), abs(across[2])


def _implied(spots: Spots, depth_m: ndarray, true_m: float) -> float:
    lateral, along = _parts(spots, depth_m)
    rest = true_m**2 - lateral**2
    return spots.f_px * math.sqrt(rest) / along if rest > 0 and along > 0 else math.nan


def _spread(spots: Spots, true_m: float) -> float:
    """Return ± in pixels: each point moved to either end of its spread, added in quadrature."""
    changes = []
    for moved in range(2):
        ends = []
        for bound in (spots.near_m, spots.far_m):
            depth = spots.depth_m.copy()
            depth[moved] = bound[moved]
            ends.append(_implied(spots, depth, true_m))
        changes.append((ends[1] - ends[0]) / 2)
    spread = math.hypot(*changes)
    return spread if math.isfinite(spread) else math.inf
