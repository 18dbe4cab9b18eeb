"""The focal length: who says which, what depth that makes, and what a known length implies.

A pixel in column u whose canonical inverse depth is C lies f / (w C) ahead of the camera and
(u - cx) / (w C) to the side. So what lies ahead is proportional to the focal length f, and what
lies across the view does not depend on it: a known length tells the focal length only as far as it
leads away from the camera. If a length across is wrong, all metres of the network are wrong by one
factor, which no focal length can mend.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from demo.pipeline import FOV_RANGE_DEG, Analysis, FocalSource
from demo.screen import SKY_M
from demo.tabs.measure.measure import Spots, measure
from depthpro import Prediction
from depthpro.exif import focal_px_from_35mm
from depthpro.geometry import fov_from_focal

LEAST_SHARE = 0.1
"""Of a length's square, this share has to lead away from the camera, or it says too little."""
MOST_UNSURE = 0.5
"""A focal length whose ± is a larger share of it is not worth using."""

Verdict = Literal["follows", "in use", "across", "too short", "unsure", "no camera"]
"""What a known length says: a focal length, the one in use, or why none."""

_ROWS, _STRIPS = 96, 16  # samples down the photo, and strips across it


@dataclass(frozen=True)
class Opinion:
    """What one source says about the focal length."""

    source: FocalSource
    f_px: float
    f_35mm: float
    fov_deg: float
    """Horizontal field of view."""
    vertical_deg: float
    factor: float
    """Depth by this source over depth in use."""
    in_use: bool


@dataclass(frozen=True)
class Calibration:
    """What a known length says."""

    true_m: float
    measured_m: float
    """With the focal length in use."""
    plus_minus_m: float
    """Of what was measured, from the spread of depth about the points."""
    across_m: float
    """The part of it across the view, which no focal length changes."""
    ahead_m: float
    """The part of it along the optical axis, which is proportional to the focal length."""
    verdict: Verdict
    f_px: float | None
    """With it the length would be true; None where the two points say nothing about it."""
    plus_minus_px: float
    """Of the focal length, from the spread of depth about the points alone; may be infinite."""

    @property
    def factor(self) -> float:
        """The true length over what was measured."""
        return self.true_m / self.measured_m

    @property
    def gain(self) -> float:
        """By how many percent the focal length changes if the true length does by one."""
        rest = self.true_m**2 - self.across_m**2
        return self.true_m**2 / rest if rest > 0 else math.inf


def f_35mm(f_px: float, width: int, height: int) -> float:
    """Return the 35 mm equivalent in millimetres: the diagonal sees the same angle.

    Args:
        f_px: Focal length in pixels.
        width: Columns of the photo.
        height: Rows of the photo.
    """
    return f_px / focal_px_from_35mm(1, width, height)


def opinions(analysis: Analysis, hand_f_px: float | None = None) -> list[Opinion]:
    """Return what each source says; those that say nothing are left out.

    Args:
        analysis: The photo.
        hand_f_px: What was given by hand, if another source is in use now.
    """
    values: dict[FocalSource, float | None] = {
        "metadata": analysis.metadata_f_px,
        "network": analysis.estimated_f_px,
        "hand": analysis.f_px if analysis.source == "hand" else hand_f_px,
    }
    width, height = analysis.prediction.width, analysis.prediction.height
    return [
        Opinion(
            source=source,
            f_px=f_px,
            f_35mm=f_35mm(f_px, width, height),
            fov_deg=fov_from_focal(f_px, width),
            vertical_deg=fov_from_focal(f_px, height),
            factor=1.0 if source == analysis.source else f_px / analysis.f_px,
            in_use=source == analysis.source,
        )
        for source, f_px in values.items()
        if f_px is not None
    ]


def strips(prediction: Prediction) -> Float[ndarray, "n 2"]:
    """Return where the strips of a photo lie as seen from above: x and z in metres.

    The median depth along the middle of each of 16 upright strips, without sky; strips of nothing
    but sky are left out. For another focal length z is multiplied, and x stays.
    """
    depth = prediction.depth_at(_ROWS, _STRIPS)[0].numpy()
    found = []
    for number, column in enumerate(depth.T):
        solid = column[column < SKY_M]
        if solid.size:
            z = float(np.median(solid))
            side = (number - (_STRIPS - 1) / 2) / prediction.f_px_at(_STRIPS).item()
            found.append((side * z, z))
    return np.array(found, dtype=float).reshape(-1, 2)


def calibrate(spots: Spots, true_m: float) -> Calibration:
    """Return what the true distance of two points says about the focal length.

    With the part a across and b ahead the distance is sqrt(a² + b²), and b is proportional to the
    focal length f; so the true length L belongs to f sqrt(L² - a²) / b.

    Args:
        spots: Two points of the photo, neither of them sky.
        true_m: Their true distance in metres.

    Raises:
        ValueError: If there are not two points with a distance, or the length is not positive.
    """
    if len(spots.pixels) != 2 or spots.sky.any():
        raise ValueError("Choose two points on something solid, whose distance you know.")
    if not 0 < true_m < math.inf:
        raise ValueError(f"The true length must be positive, not {true_m:g}; type another one.")
    (distance,) = measure(spots, "distance")
    if not distance.value > 0:
        raise ValueError("Both points are at the same place; choose two whose distance you know.")
    across, ahead = _parts(spots.positions)
    share = (ahead / distance.value) ** 2
    f_px, plus_minus = None, 0.0
    if share >= LEAST_SHARE and true_m > across:
        f_px = abs(_implied(spots.positions, true_m, spots.f_px))
        plus_minus = _spread(spots, true_m)
    return Calibration(
        true_m=true_m,
        measured_m=distance.value,
        plus_minus_m=distance.plus_minus,
        across_m=across,
        ahead_m=abs(ahead),
        verdict=_verdict(spots, true_m, share, f_px, plus_minus),
        f_px=f_px,
        plus_minus_px=plus_minus,
    )


def _verdict(
    spots: Spots, true_m: float, share: float, f_px: float | None, plus_minus_px: float
) -> Verdict:
    if f_px is None:
        return "across" if share < LEAST_SHARE else "too short"
    if abs(f_px / spots.f_px - 1) < 1e-5:  # what float32 leaves
        return "in use"
    across, _ = _parts(spots.positions)
    if plus_minus_px > MOST_UNSURE * f_px or true_m**2 - across**2 < LEAST_SHARE * true_m**2:
        return "unsure"
    least, most = FOV_RANGE_DEG
    return "follows" if least <= fov_from_focal(f_px, spots.width) <= most else "no camera"


def _parts(positions: Float[ndarray, "2 3"]) -> tuple[float, float]:
    """Return how far the second point is from the first: across, and ahead with its sign."""
    x, y, z = positions[1] - positions[0]
    return math.hypot(x, y), float(z)


def _implied(positions: Float[ndarray, "2 3"], true_m: float, f_px: float) -> float:
    """Return the focal length that makes a distance true, with the sign of the part ahead."""
    across, ahead = _parts(positions)
    if ahead == 0:
        return math.inf
    return f_px * math.sqrt(max(0.0, true_m**2 - across**2)) / ahead


def _spread(spots: Spots, true_m: float) -> float:
    """Return the ± of the implied focal length, as `demo.tabs.measure.measure` has it for lengths.

    Where the spread lets the points change their order, the sign changes, and the ± is larger
    than the focal length itself.
    """
    middle, squares = _implied(spots.positions, true_m, spots.f_px), 0.0
    for number, ray in enumerate(spots.rays):
        change = 0.0
        for end in (spots.near_m[number], spots.far_m[number]):
            moved = spots.positions.copy()
            moved[number] = ray * end
            change += abs(_implied(moved, true_m, spots.f_px) - middle) / 2
        squares += change**2
    return math.sqrt(squares)
