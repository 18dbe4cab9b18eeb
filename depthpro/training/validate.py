"""Scores of a network on held-out samples while it trains, and a picture of its predictions."""

from collections.abc import Callable, Iterator, Sequence
from typing import cast

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import default_collate

from depthpro.data.batches import Batch, as_item
from depthpro.data.sample import Sample
from depthpro.geometry import focal_from_fov
from depthpro.metrics import boundary_f1, depth_metrics, focal_accuracy
from depthpro.training.phases import PhaseNetwork
from depthpro.training.window_pretraining import Estimate
from depthpro.viz import DepthRange, colorize

PICTURED = 6
"""Samples in the picture."""


def validate(
    network: PhaseNetwork, samples: Sequence[Sample], side: int
) -> tuple[dict[str, float], UInt8[ndarray, "h w 3"]]:
    """Return mean scores of at least one sample, and a picture: photos, true and predicted depth.

    `side` is that of the network's input, in pixels. For the scores see `score`.
    """
    rows: list[dict[str, float]] = []
    tiles: list[ndarray] = []
    for item, predicted in predict_samples(network, samples, side):
        rows.append(score(item, predicted))
        if len(tiles) < PICTURED:
            tiles.append(_tile(item, predicted))
    names = {name: None for row in rows for name in row}
    means = {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}
    return means, np.concatenate(tiles)


def predict_samples(
    network: nn.Module, samples: Sequence[Sample], side: int, batch: int = 4
) -> Iterator[tuple[Batch, Estimate]]:
    """Give each sample and its prediction at `side` pixels, on the CPU and without batch axis.

    The network's method `estimate` takes pictures in [-1, 1] and returns an `Estimate`.
    """
    estimate = cast(Callable[[Tensor], Estimate], network.estimate)
    was_training, device = network.training, next(network.parameters()).device
    network.eval()
    for first in range(0, len(samples), batch):
        items = [as_item(sample, side) for sample in samples[first : first + batch]]
        with torch.inference_mode():
            inverse, fov_deg = estimate(default_collate(items).image.to(device))
            if inverse is not None and inverse.shape[-1] != side:
                inverse = F.interpolate(inverse[None].float(), (side, side), mode="bilinear")[0]
        for place, item in enumerate(items):
            yield (
                item,
                Estimate(
                    None if inverse is None else inverse[place].float().cpu(),
                    None if fov_deg is None else fov_deg[place].float().cpu(),
                ),
            )
    network.train(was_training)


def score(item: Batch, predicted: Estimate) -> dict[str, float]:
    """Return the scores of one picture, for item and prediction without batch axis.

    Depth is compared at the true focal length and without sky: `delta1` is the share of pixels
    within a factor of 1.25, `delta1_scaled` the same after scaling by the median ratio; `abs_rel`
    and `boundary_f1` are those of `depthpro.metrics`. `focal25` is 1 if the focal length is within
    25 %.
    """
    scores: dict[str, float] = {}
    if predicted.inverse is not None:
        # Depth in units of the focal length over the width; C = 0 is put at 10 km.
        ours, true = (
            1 / maps.double().clamp(min=1e-4) for maps in (predicted.inverse, item.inverse)
        )
        ground = item.mask & (item.inverse > 0)
        if ground.any():
            plain = depth_metrics(ours, true, ground)
            scaled = depth_metrics(ours, true, ground, alignment="median_scale")
            scores = {
                "delta1": float(plain.delta1),
                "delta1_scaled": float(scaled.delta1),
                "abs_rel": float(plain.abs_rel),
                "boundary_f1": float(boundary_f1(ours, true, item.mask)),
            }
    if predicted.fov_deg is not None:
        angles = torch.stack([predicted.fov_deg, item.fov_deg]).double().clamp(1, 175)
        focal_px = focal_from_fov(angles, 1)
        scores["focal25"] = float(focal_accuracy(focal_px[:1], focal_px[1:], 1).delta25)
    return scores


def _tile(item: Batch, predicted: Estimate) -> UInt8[ndarray, "h w 3"]:
    """Return photo, true and predicted inverse depth side by side, in the truth's colours."""
    photo = ((item.image + 1) * 127.5).byte().permute(1, 2, 0).numpy()
    maps = [item.inverse] if predicted.inverse is None else [item.inverse, predicted.inverse]
    pictures = [photo, *(_coloured(inverse, item.inverse) for inverse in maps)]
    return np.concatenate([picture[::2, ::2] for picture in pictures], axis=1)


def _coloured(inverse: Tensor, reference: Tensor) -> UInt8[ndarray, "h w 3"]:
    far, near = (float(v) for v in np.percentile(reference.numpy(), (2, 98)))
    span = DepthRange(1 / max(near, far + 1e-3, 2e-4), 1 / max(far, 1e-4))
    return colorize(1 / np.maximum(inverse.numpy(), 1e-4), span)
