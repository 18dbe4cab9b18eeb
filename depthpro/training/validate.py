"""Scores of a network on held-out samples while it trains, and a picture of its predictions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image
from torch.nn import functional as F

from depthpro.data.batches import Batch, as_item
from depthpro.data.sample import Sample
from depthpro.files import whole_file
from depthpro.geometry import focal_from_fov
from depthpro.metrics import boundary_f1, depth_metrics, focal_accuracy
from depthpro.training.phases import PhaseNetwork
from depthpro.training.window_pretraining import Estimate
from depthpro.viz import DepthRange, colorize

PICTURED = 6  # samples in the picture


def validate(
    network: PhaseNetwork, samples: Sequence[Sample], side: int, picture: Path
) -> dict[str, float]:
    """Return the means of `score`, and write a picture: photos, true and predicted depth.

    `side` is that of the network's input, in pixels.
    """
    rows, tiles = [], []
    for sample in samples:
        item = as_item(sample, side)
        predicted = predict(network, item)
        rows.append(score(item, predicted))
        if len(tiles) < PICTURED:
            tiles.append(_tile(item, predicted))
    with whole_file(picture) as temporary:
        Image.fromarray(np.concatenate(tiles)).save(temporary, quality=90)
    return pd.DataFrame(rows).mean().to_dict()


@torch.inference_mode()
def predict(network: PhaseNetwork, item: Batch) -> Estimate:
    """Return the prediction for one picture, at its size, on the CPU and without batch axis."""
    image = item.image[None].to(next(network.parameters()).device)
    inverse, fov_deg = network.estimate(image)
    if inverse is not None:
        size = item.inverse.shape
        inverse = F.interpolate(inverse[None].float(), size, mode="bilinear")[0, 0].cpu()
    return Estimate(inverse, None if fov_deg is None else fov_deg[0].cpu())


def score(item: Batch, predicted: Estimate) -> dict[str, float]:
    """Return the scores of one picture, for item and prediction without batch axis.

    Depth is compared at the true focal length and without sky: `delta1` is the share of pixels
    within a factor of 1.25, `delta1_scaled` the same after scaling by the median ratio; `abs_rel`
    and `boundary_f1` are those of `depthpro.metrics`. `focal25` is 1 if the focal length is within
    25 %.
    """
    scores: dict[str, float] = {}
    ground = item.mask & (item.inverse > 0)
    if predicted.inverse is not None and ground.any():
        # Depth in units of the focal length over the width; C = 0 is put at 10 km.
        ours, true = (1 / c.double().clamp(min=1e-4) for c in (predicted.inverse, item.inverse))
        plain = depth_metrics(ours, true, ground)
        scaled = depth_metrics(ours, true, ground, alignment="median_scale")
        scores = {"delta1": float(plain.delta1), "delta1_scaled": float(scaled.delta1)}
        scores["abs_rel"] = float(plain.abs_rel)
        scores["boundary_f1"] = float(boundary_f1(ours, true, item.mask))
    if predicted.fov_deg is not None:
        angles = torch.stack([predicted.fov_deg, item.fov_deg]).double().clamp(1, 175)
        focal_px = focal_from_fov(angles, 1)
        scores["focal25"] = float(focal_accuracy(focal_px[:1], focal_px[1:], 1).delta25)
    return scores


def _tile(item: Batch, predicted: Estimate) -> UInt8[ndarray, "h w 3"]:
    """Return photo, true and predicted depth side by side, in the truth's colours."""
    photo = ((item.image + 1) * 127.5).byte().permute(1, 2, 0).numpy()
    far, near = (float(v) for v in np.percentile(item.inverse.numpy(), (2, 98)))
    span = DepthRange(1 / max(near, far + 1e-3, 2e-4), 1 / max(far, 1e-4))
    maps = [maps for maps in (item.inverse, predicted.inverse) if maps is not None]
    pictures = [photo, *(colorize(1 / np.maximum(c.numpy(), 1e-4), span) for c in maps)]
    return np.concatenate([picture[::2, ::2] for picture in pictures], axis=1)
