"""Small samples and a small recipe for the tests of training."""

import numpy as np
import torch
from torch.utils.data import ConcatDataset, default_collate

from depthpro import DepthPro
from depthpro.data.augmentation import Augmentation
from depthpro.data.batches import RANDOM_NUMBERS, Batch, as_item
from depthpro.data.sample import Sample
from depthpro.training.recipe import Phase, Recipe

SIDE = 96


def make_samples(count: int = 6, **flags: bool) -> list[Sample]:
    """Return samples with a floor, sky and a box: brighter is nearer, so depth can be learned."""
    rng = np.random.default_rng(0)
    samples = []
    for number in range(count):
        depth = np.full((SIDE, SIDE), np.inf, np.float32)
        horizon = int(rng.integers(20, 50))
        below = np.arange(1, SIDE - horizon + 1, dtype=np.float32)
        depth[horizon:] = (60 / below)[:, None] + 1
        top, left = rng.integers(30, 60, 2)
        near = float(rng.uniform(1, 3))
        depth[top : top + 30, left : left + 30] = near
        rgb = np.clip(255 * (1 - np.log1p(depth) / 4), 20, 255)[..., None]
        rgb = np.where(np.isinf(depth)[..., None], [90, 140, 250], rgb * [1, 0.9, 0.8])
        f_px = float(rng.uniform(60, 140))
        centre = (SIDE - 1) / 2
        lens = {"f_px": f_px, "fy_px": f_px, "cx_px": centre, "cy_px": centre}
        kind = {"family": "floor", "seed": (number,), **flags}
        samples.append(Sample(rgb.astype(np.uint8), depth, **lens, **kind))
    return samples


def make_batch(count: int = 2, side: int = 512, **flags: bool) -> Batch:
    """Return a batch of these samples, with random numbers."""
    batch = default_collate([as_item(sample, side) for sample in make_samples(count, **flags)])
    return batch._replace(random=torch.rand(count, RANDOM_NUMBERS))


@torch.no_grad()
def map_deviations(model: DepthPro, image: torch.Tensor) -> list[float]:
    """Return the standard deviations of the decoder's five inputs: the smallest have no effect."""
    maps = zip(model.decoder.convs, model.encoder(image), strict=True)
    return [float(conv(x).float().std()) for conv, x in maps]


def joined(*parts: list[Sample]) -> ConcatDataset[Sample]:
    return ConcatDataset(parts)


def make_recipe(config, **changes: object) -> Recipe:
    """Return all phases in a few steps of two pictures."""
    common: dict = {"batch": 2, "encoder_lr": 1e-3, "decoder_lr": 1e-3, "clip": 1.0} | changes
    return Recipe(
        config=config,
        phases=(
            Phase("encoders", steps=3, **common),
            Phase("coarse", steps=2, finest=3, ssi="truth", weight_by_mean_depth=True, **common),
            Phase("stage1", steps=3, weight_by_mean_depth=True, ema=0.5, **common),
            Phase("stage2", steps=2, **common),
            Phase("fov", steps=2, **common),
        ),
        augmentation=Augmentation(flip=0.5),
        layer_scale=1.0,
    )
