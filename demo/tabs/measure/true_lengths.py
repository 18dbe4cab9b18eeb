"""True values beside the measured ones, for photos whose true depth and camera are known."""

import functools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from demo.ground import Ground, ground_of
from demo.tabs.measure.measure import Kind, Points3D, Result, What, locate, measure
from demo.tabs.sharpness.truth import SIDE, Truth
from depthpro import Prediction

_KINDS: dict[What, Kind] = {"height": "height", "angle": "angle", "area": "area"}
_KINDS |= {"perimeter": "area"}  # the others are distances
_PLACES: dict[What, int] = {"total": -1, "perimeter": 1}  # among the results of a kind


def with_truth(
    results: Sequence[Result], points: Points3D, truth: Truth | None
) -> tuple[Result, ...]:
    """Return the results with their true values, where truth is known at all of their points."""
    if truth is None or truth.camera is None or not results:
        return tuple(results)
    prediction, ground = _perfect(truth, points.height, points.width)
    true = replace(locate(prediction, points.pixels.tolist()), axis=truth.camera[1:])
    return tuple(replace(each, true=_value(each, true, ground)) for each in results)


def _value(result: Result, points: Points3D, ground: Ground | None) -> float | None:
    """Return the value of a result at these points; None if it has none."""
    chosen = [number - 1 for number in result.points]
    if points.sky[chosen].any() or (result.what == "height" and ground is None):
        return None
    columns = ("pixels", "depth_m", "near_m", "far_m")
    own = replace(points, **{name: getattr(points, name)[chosen] for name in columns})
    found = measure(own, _KINDS.get(result.what, "distance"), ground)
    return found[_PLACES.get(result.what, 0)].value


@functools.lru_cache(maxsize=8)
def _perfect(truth: Truth, height: int, width: int) -> tuple[Prediction, Ground | None]:
    """Return what a perfect network predicts for the photo, with unknown depth as sky."""
    assert truth.camera is not None
    f_px = truth.camera[0]
    rows, columns = (
        ((np.arange(SIDE) + 0.5) * size / SIDE).astype(int) for size in truth.depth.shape
    )
    depth = np.where(truth.solid, truth.depth, np.inf)[np.ix_(rows, columns)]
    canonical = torch.from_numpy((f_px / (width * depth)).astype(np.float32))[None]
    prediction = Prediction(canonical, torch.tensor([f_px]), None, height, width)
    return prediction, ground_of(prediction).ground
