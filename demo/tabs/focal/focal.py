"""Focal lengths by metadata, network or hand, and calibration with a known length.

A pixel in column u whose canonical inverse depth is C lies f / (w C) ahead of the camera and
(u - cx) / (w C) to the side. So lengths ahead are proportional to the focal length f, and lengths
across the view do not depend on it: a known length determines f only as far as it leads away from
the camera. If a length across is wrong, all metres are wrong by one factor, which no focal length
corrects.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from jaxtyping import Float
from numpy import ndarray

from demo.pipeline import Analysis, FocalSource
from demo.tabs.measure.measure import Points3D, measure, propagate
from depthpro.geometry import FOV_RANGE_DEG, fov_from_focal
from depthpro.photos.exif import focal_px_from_35mm

Verdict = Literal["focal length", "uncertain", "scale"]
"""A known length implies a focal length, an uncertain one, or only a scale of all metres."""

_LEAST_SHARE = 0.1  # of a length's square must lead away from the camera
_MOST_UNCERTAIN = 0.5  # ± of a usable focal length, as a share of it


class FocalChoice(NamedTuple):
    """A focal length and its source."""

    source: FocalSource
    f_px: float
    fov_deg: float
    """Horizontal field of view."""
    factor: float
    """Depth with this focal length over depth with the one in use."""
    in_use: bool


@dataclass(frozen=True)
class Calibration:
    """Implications of the true distance of two points."""

    true_m: float
    measured_m: float
    """With the focal length in use."""
    plus_minus_m: float | None
    """Of the measured length; None if the errors of the weights are not known."""
    verdict: Verdict
    f_px: float | None
    """With this focal length the measured length is the true one; None for the verdict "scale"."""
    plus_minus_px: float | None
    """Of the focal length, if only the points' depths are wrong; None likewise, may be infinite."""

    @property
    def factor(self) -> float:
        """True length over measured length."""
        return self.true_m / self.measured_m


def f_35mm(f_px: float, width: int, height: int) -> float:
    """Return the 35 mm equivalent by the diagonal, in millimetres, of a focal length in pixels."""
    return f_px / focal_px_from_35mm(1, width, height)


def focal_choices(analysis: Analysis, hand_f_px: float | None = None) -> list[FocalChoice]:
    """Return the known focal lengths; `hand_f_px` is the last one by hand."""
    values: dict[FocalSource, float | None] = {
        "metadata": analysis.metadata_f_px,
        "network": analysis.estimated_f_px,
        "hand": analysis.f_px if analysis.source == "hand" else hand_f_px,
    }
    width, in_use = analysis.prediction.width, analysis.source
    return [
        FocalChoice(
            source,
            f_px,
            fov_from_focal(f_px, width),
            1.0 if source == in_use else f_px / analysis.f_px,
            source == in_use,
        )
        for source, f_px in values.items()
        if f_px is not None
    ]


def calibrate(points: Points3D, true_m: float) -> Calibration:
    """Return the implications of the true distance of two points.

    With the part a across and b ahead the distance is sqrt(a² + b²), and b is proportional to the
    focal length f; so the true length L belongs to f sqrt(L² - a²) / b.

    Raises:
        ValueError: If there are not two points with a distance, or the length is not positive.
    """
    if len(points.pixels) != 2 or points.sky.any():
        raise ValueError("Choose two points on something solid, whose distance you know.")
    if not 0 < true_m < math.inf:
        raise ValueError(f"The true length must be positive, not {true_m:g}; type another one.")
    (distance,) = measure(points, "distance")
    if not distance.value > 0:
        raise ValueError("Both points are at the same place; choose two whose distance you know.")

    def implied(positions: Float[ndarray, "2 3"]) -> float:
        x, y, z = positions[1] - positions[0]
        # Keeps the sign: points that may change their order have a large ±.
        ahead = math.sqrt(max(0.0, true_m**2 - x**2 - y**2))
        return points.f_px * ahead / z if z else math.inf

    x, y, z = points.positions[1] - points.positions[0]
    # Errors of the weights do not make a use of the points worse than another one.
    f_px, spread = propagate(replace(points, error=None), (0, 1), implied)
    f_px, (least, most) = abs(f_px), FOV_RANGE_DEG
    measured = distance.value, distance.plus_minus
    follows = f_px > 0 and z**2 >= _LEAST_SHARE * distance.value**2
    if not follows or not least <= fov_from_focal(f_px, points.width) <= most:
        return Calibration(true_m, *measured, "scale", None, None)
    mostly_across = true_m**2 - x**2 - y**2 < _LEAST_SHARE * true_m**2
    uncertain = mostly_across or spread > _MOST_UNCERTAIN * f_px
    plus_minus = None if points.error is None else propagate(points, (0, 1), implied)[1]
    verdict = "uncertain" if uncertain else "focal length"
    return Calibration(true_m, *measured, verdict, f_px, plus_minus)
