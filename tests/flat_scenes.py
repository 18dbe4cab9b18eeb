"""Predictions whose depth is known in closed form, at every pixel of the network's map."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from demo.pipeline import Analysis
from depthpro import Prediction
from depthpro.checkpoint import OWN_LICENCE, Provenance

SIZE = WIDTH, HEIGHT = 1200, 900
F_PX = 1000.0


def predict(
    depth: Callable[[np.ndarray], np.ndarray],
    size: tuple[int, int] = SIZE,
    f_px: float = F_PX,
    side: int = 128,
) -> Prediction:
    """Return the prediction of a perfect network with a map of `side` pixels for a photo.

    `depth` goes from rays (side, side, 3), with z = 1, to metres along the optical axis.
    """
    width, height = size
    x = ((np.arange(side) + 0.5) * width / side - width / 2) / f_px
    y = ((np.arange(side) + 0.5) * height / side - height / 2) / f_px
    rays = np.stack([*np.meshgrid(x, y), np.ones((side, side))], axis=-1)
    canonical = torch.from_numpy(f_px / (width * depth(rays))).float()[None]
    focal = torch.tensor([f_px])
    return Prediction(canonical, focal, focal, height, width)


def analysis_of(
    prediction: Prediction, name: str = "flat", rgb: np.ndarray | None = None, **fields: Any
) -> Analysis:
    """Return what the page keeps of a photo with this prediction; it is black without pixels."""
    if rgb is None:
        rgb = np.zeros((prediction.height, prediction.width, 3), np.uint8)
    usual = {"metadata_f_px": None, "metadata_field": None, "source": "network"}
    made = Provenance("small", OWN_LICENCE)
    return Analysis(name, rgb, prediction, **{**usual, "provenance": made, **fields})


def plane(vector: tuple[float, float, float]) -> Callable[[np.ndarray], np.ndarray]:
    """Return the depth of the plane of the points p with vector · p = 1: 1 / (vector · ray)."""
    return lambda rays: 1 / (rays @ np.array(vector))


def pixel(point: np.ndarray | tuple[float, float, float]) -> tuple[float, float]:
    """Return where a camera of `SIZE` and `F_PX` sees a point in metres."""
    x, y, z = point
    return x / z * F_PX + (WIDTH - 1) / 2, y / z * F_PX + (HEIGHT - 1) / 2
