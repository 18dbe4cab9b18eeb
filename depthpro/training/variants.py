"""The ablations' networks, and the scores that they are compared by."""

from collections.abc import Sequence
from typing import Literal, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from depthpro import losses
from depthpro.data.batches import Batch, as_item, shrink_truth
from depthpro.data.sample import Sample
from depthpro.geometry import focal_from_fov
from depthpro.preprocess import resize
from depthpro.training.phases import DepthNetwork
from depthpro.training.validate import predict_samples, score
from depthpro.training.window_pretraining import Estimate, WindowNetwork

Target = Literal["inverse", "log", "depth"]

DEPTH_SCORES = {"delta1": "δ1 %", "delta1_scaled": "δ1 % scaled", "abs_rel": "AbsRel (median)",
                "boundary_f1": "F1"}  # fmt: skip
RANGE_SCORES = {"delta1_0_1": "0–1 m", "delta1_1_2": "1–2", "delta1_2_4": "2–4",
                "delta1_4_8": "4–8", "delta1_8_16": "8–16", "delta1_16_inf": "> 16"}  # fmt: skip
RANGES_M = (0, 1, 2, 4, 8, 16, np.inf)
"""Table 10 has delta1 between each two of these depths."""
STATISTICS_SAMPLES = 64


class OneScale(DepthNetwork):
    """The network on pictures that are reduced to one window and enlarged: no detail is left."""

    def forward(self, image: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b _h _h"]:
        """Return the depth network's output for the coarsest scale alone."""
        return super().forward(resize(resize(image, self.model.config.window), image.shape[-1]))


class TargetNetwork(nn.Module):
    """A `WindowNetwork` for whole pictures that regresses one kind of depth.

    Targets are scaled to median 0 and spread 1, so that one learning rate fits all.

    Source: Appendix B.4, where it is a pretrained ViT and DPT.
    """

    def __init__(self, network: WindowNetwork, target: Target, samples: Sequence[Sample]) -> None:
        """Take median and mean absolute deviation of the target from some of the samples."""
        super().__init__()
        self.network, self.window = network, network.config.window
        self.target: Target = target
        chosen = samples[:: max(1, len(samples) // STATISTICS_SAMPLES)]
        items = [as_item(sample, self.window) for sample in chosen]
        known = torch.cat([item.inverse[item.mask & (item.inverse > 0)] for item in items])
        values = to_target(known, target)
        self.centre = values.median().item()
        self.spread = (values - self.centre).abs().mean().item()

    def forward(self, image: Float[Tensor, "b 3 _s _s"]) -> Float[Tensor, "b _h _h"]:
        """Return the scaled target."""
        return self.network(resize(image, self.window)).inverse

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the MAE without sky."""
        predicted = self(batch.image)
        truth = shrink_truth(batch, predicted.shape[-1])
        known = truth.mask & (truth.inverse > 0)
        values = to_target(truth.inverse.where(known, 1.0), self.target)
        return losses.mae(predicted, (values - self.centre) / self.spread, known).mean()

    def estimate(self, image: Float[Tensor, "b 3 _s _s"]) -> Estimate:
        """Predict canonical inverse depth."""
        return Estimate(from_target(self.centre + self.spread * self(image), self.target), None)


def to_target(inverse: Float[Tensor, "*n"], target: Target) -> Float[Tensor, "*n"]:
    """Convert canonical inverse depth C > 0 to C, ln(1 / C) or 1 / C."""
    if target == "inverse":
        return inverse
    return -inverse.log() if target == "log" else 1 / inverse


def from_target(values: Float[Tensor, "*n"], target: Target) -> Float[Tensor, "*n"]:
    """Convert back to C >= 0; depth is at least 0.0001."""
    if target == "inverse":
        return values.clamp(min=0)
    return (-values).exp() if target == "log" else 1 / values.clamp(min=1e-4)


def measure_depth(network: nn.Module, samples: Sequence[Sample], side: int) -> dict[str, float]:
    """Return the mean scores of pictures, but the median of abs_rel.

    One picture whose wall is taken for sky, 10 km away, would outweigh all others.
    """
    rows = [row for pair in predict_samples(network, samples, side) if (row := score(*pair))]
    return {
        name: float((np.median if name == "abs_rel" else np.mean)([row[name] for row in rows]))
        for name in DEPTH_SCORES
    }


def measure_ranges(network: nn.Module, samples: Sequence[Sample], side: int) -> dict[str, float]:
    """Return delta1 of all pixels whose depth is in each range, without sky (Table 10)."""
    hits, counts = np.zeros(len(RANGES_M) - 1), np.zeros(len(RANGES_M) - 1)
    for item, predicted in predict_samples(network, samples, side):
        known = item.mask & (item.inverse > 0)
        true, ours = item.inverse[known], cast(Tensor, predicted.inverse)[known].clamp(min=1e-4)
        good = (torch.maximum(ours / true, true / ours) < 1.25).numpy()
        depth_m = (focal_from_fov(item.fov_deg, 1) / true).numpy()
        hits += np.histogram(depth_m[good], RANGES_M)[0]
        counts += np.histogram(depth_m, RANGES_M)[0]
    return {n: float(h / c) for n, h, c in zip(RANGE_SCORES, hits, counts, strict=True) if c}
