"""How good a network is on held-out samples while it trains, in figures and as a picture."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional as F

from depthpro.data.batches import Batch, as_item
from depthpro.data.sample import Sample
from depthpro.geometry import focal_from_fov
from depthpro.metrics import boundary_f1, depth_metrics, focal_accuracy
from depthpro.training.phases import Estimate, Task
from depthpro.viz import DepthRange, colorize

SHOWN = 6
"""Samples in the picture."""


class Scores(NamedTuple):
    """Means over samples; None where the network does not estimate it.

    Depth is compared at the true focal length, where there is no sky.
    """

    delta1: float | None
    """Share of pixels within a factor of 1.25."""
    delta1_scaled: float | None
    """The same after scaling each picture by the median ratio."""
    abs_rel: float | None
    boundary_f1: float | None
    focal25: float | None
    """Share of pictures whose focal length is within 25 %."""


def validate(
    network: nn.Module, task: Task, samples: Sequence[Sample], side: int, batch: int = 4
) -> tuple[Scores, UInt8[ndarray, "h w 3"]]:
    """Return scores on the samples, and a picture of the first few: photo, truth, prediction.

    Args:
        network: The task's network, with the weights to judge.
        task: Says how to read the network.
        samples: Held-out samples, at least one.
        side: Of the network's input, in pixels.
        batch: Pictures at once.
    """
    rows: list[list[float | None]] = []
    tiles: list[ndarray] = []
    for item, predicted in predict_samples(network, task, samples, side, batch):
        rows.append(list(score(item, predicted)))
        if len(tiles) < SHOWN:
            tiles.append(_tile(item, predicted))
    means = [_mean([row[i] for row in rows]) for i in range(len(Scores._fields))]
    return Scores(*means), np.concatenate(tiles)


def predict_samples(
    network: nn.Module, task: Task, samples: Sequence[Sample], side: int, batch: int = 4
) -> Iterator[tuple[Batch, Estimate]]:
    """Give each sample and what the network predicts of it, at `side` pixels, without batch axis.

    Arguments are those of `validate`.
    """
    was_training, device = network.training, next(network.parameters()).device
    network.eval()
    for first in range(0, len(samples), batch):
        items = [as_item(sample, side) for sample in samples[first : first + batch]]
        with torch.inference_mode():
            predicted = task.estimate(network, torch.stack([i.image for i in items]).to(device))
        for place, item in enumerate(items):
            yield item, _of_picture(predicted, place, side)
    network.train(was_training)


def score(item: Batch, predicted: Estimate) -> Scores:
    """Return the scores of one picture (items and estimates without batch axis)."""
    delta1 = scaled = abs_rel = f1 = focal = None
    if predicted.inverse is not None:
        # Depth in units of the focal length over the width; what is C = 0 lies at 10 km.
        ours, true = (
            1 / maps.double().cpu().clamp(min=1e-4) for maps in (predicted.inverse, item.inverse)
        )
        ground = item.mask & (item.inverse > 0)
        if ground.any():
            plain = depth_metrics(ours, true, ground)
            delta1, abs_rel = float(plain.delta1), float(plain.abs_rel)
            scaled = float(depth_metrics(ours, true, ground, alignment="median_scale").delta1)
            f1 = float(boundary_f1(ours, true, item.mask))
    if predicted.fov_deg is not None:
        angles = torch.stack([predicted.fov_deg.cpu(), item.fov_deg]).double().clamp(1, 175)
        focal_px = focal_from_fov(angles, 1)
        focal = float(focal_accuracy(focal_px[:1], focal_px[1:], 1).delta25)
    return Scores(delta1, scaled, abs_rel, f1, focal)


def _of_picture(predicted: Estimate, place: int, side: int) -> Estimate:
    inverse = predicted.inverse
    if inverse is not None:
        inverse = inverse[place].float()
        if inverse.shape[-1] != side:
            inverse = F.interpolate(inverse[None, None], (side, side), mode="bilinear")[0, 0]
    return Estimate(
        inverse, None if predicted.fov_deg is None else predicted.fov_deg[place].float()
    )


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _tile(item: Batch, predicted: Estimate) -> UInt8[ndarray, "h w 3"]:
    """Return photo, true and estimated inverse depth side by side, in the truth's colours."""
    photo = ((item.image + 1) * 127.5).byte().permute(1, 2, 0).numpy()
    shown = [photo, _coloured(item.inverse, item.inverse)]
    if predicted.inverse is not None:
        shown.append(_coloured(predicted.inverse.cpu(), item.inverse))
    return np.concatenate([picture[::2, ::2] for picture in shown], axis=1)


def _coloured(inverse: Tensor, reference: Tensor) -> UInt8[ndarray, "h w 3"]:
    far, near = (float(v) for v in np.percentile(reference.numpy(), (2, 98)))
    span = DepthRange(1 / max(near, far + 1e-3, 2e-4), 1 / max(far, 1e-4))
    return colorize(1 / np.maximum(inverse.numpy(), 1e-4), span)
