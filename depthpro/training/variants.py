"""What the ablations put in the network's place, and how each is measured.

A variant is a `Task` like those of `depthpro.training.phases`, so that one loop trains them all.
"""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple, cast, get_args

import numpy as np
import torch
from jaxtyping import Float
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from depthpro import losses
from depthpro.config import DepthProConfig
from depthpro.data.batches import Batch, Box, as_item, cut
from depthpro.data.sample import Sample
from depthpro.fov import FieldOfView
from depthpro.geometry import focal_from_fov
from depthpro.metrics import focal_accuracy
from depthpro.model import DepthPro
from depthpro.preprocess import resize
from depthpro.training.phases import (
    DepthNetwork,
    Estimate,
    Task,
    make_task,
    prepare_scratch,
    shrink_truth,
)
from depthpro.training.recipe import Phase, Recipe
from depthpro.training.validation import predict_samples, score
from depthpro.training.window_pretraining import load_pretrained
from depthpro.vit import encode, to_map

Target = Literal["inverse", "log", "depth"]
FovReads = Literal["depth encoder", "focal encoder", "refinement", "parallel"]

RANGES_M = (0, 1, 2, 4, 8, 16, np.inf)
"""Table 10 has delta1 between each two of these depths."""
SURVEYED = 64
"""Training samples whose depth sets the scale of a target."""
SMALLER_CROP = 0.6
"""Side of the second, cropped view of each held-out picture that focal lengths are judged on."""


class Setting(NamedTuple):
    """What a variant is made from."""

    model: DepthPro
    """The common start; it is trained in place, or frozen."""
    recipe: Recipe
    phase: Phase
    samples: Sequence[Sample]
    """What it will be trained on."""


def depth_task(setting: Setting) -> Task:
    """Return the network as it is, with the phase's losses."""
    return make_task(setting.model, setting.recipe, setting.phase)


class OneScale(nn.Module):
    """The same network, which sees all scales of a picture that has only the coarsest one."""

    def __init__(self, network: DepthNetwork) -> None:
        """Take the network that is to see less."""
        super().__init__()
        self.network = network

    def forward(self, image: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b _h _h"]:
        """Return what the network predicts of the coarsest picture."""
        return self.network(coarsest_picture(image, self.network.model.config))


def coarsest_picture(
    image: Float[Tensor, "b 3 s s"], config: DepthProConfig
) -> Float[Tensor, "b 3 s s"]:
    """Return the picture at the size of one window, brought back to full size.

    Nothing finer is left for the pyramid's finer levels. Both steps are bilinear, so the coarsest
    level itself comes out a little smoother: 1/16, 14/16, 1/16 along each axis.
    """
    return resize(resize(image, config.window), config.image_size)


def one_scale_task(setting: Setting) -> Task:
    """Return the network with the phase's losses, on pictures that have only one scale."""
    task = depth_task(setting)
    return task._replace(network=OneScale(cast(DepthNetwork, task.network)))


def to_target(inverse: Float[Tensor, "*n"], target: Target) -> Float[Tensor, "*n"]:
    """Return canonical inverse depth C > 0 as what is regressed: C, ln(1 / C) or 1 / C."""
    if target == "inverse":
        return inverse
    return -inverse.log() if target == "log" else 1 / inverse


def from_target(values: Float[Tensor, "*n"], target: Target) -> Float[Tensor, "*n"]:
    """Return C >= 0 from what was regressed; depth below 0.0001 counts as that."""
    if target == "inverse":
        return values.clamp(min=0)
    return (-values).exp() if target == "log" else 1 / values.clamp(min=1e-4)


def survey(samples: Sequence[Sample], target: Target, side: int) -> tuple[float, float]:
    """Return median and mean absolute deviation of a target over some of the samples."""
    chosen = samples[:: max(1, len(samples) // SURVEYED)]
    items = [as_item(sample, side) for sample in chosen]
    seen = torch.cat([item.inverse[item.mask & (item.inverse > 0)] for item in items])
    values = to_target(seen, target)
    centre = values.median()
    return centre.item(), (values - centre).abs().mean().item()


def target_task(setting: Setting, target: Target) -> Task:
    """Return the network of single windows, regressing one kind of depth by MAE, without sky.

    It sees the whole picture as one window, and has half of the start's width and depth. Nothing of
    it has learned a kind of depth before: weights are random, or ImageNet's in a convolutional
    stem. Median and spread of the target are set to 0 and 1, so that one learning rate fits all.

    Source: Appendix B.4, where it is a pretrained ViT and DPT.

    Raises:
        ValueError: If a convolutional stem's values are not installed.
    """
    config = halved(setting.model.config)
    recipe = replace(setting.recipe, config=config)
    model = DepthPro(config)
    prepare_scratch(model, recipe)
    if config.stem != "patch":
        load_pretrained("imagenet", model)
    task = make_task(model, recipe, setting.phase)
    centre, spread = survey(setting.samples, target, config.window)

    def parts(wrapped: nn.Module, batch: Batch) -> dict[str, Tensor]:
        predicted = wrapped(resize(batch.image, config.window)).inverse
        truth = shrink_truth(batch, predicted.shape[-1])
        known = truth.mask & (truth.inverse > 0)
        wanted = (to_target(truth.inverse.where(known, 1.0), target) - centre) / spread
        return {target: losses.mae(predicted, wanted, known).mean()}

    def estimate(network: nn.Module, image: Tensor) -> Estimate:
        predicted = network(resize(image, config.window)).inverse
        return Estimate(from_target(centre + spread * predicted, target), None)

    return task._replace(losses=parts, estimate=estimate)


def halved(config: DepthProConfig) -> DepthProConfig:
    """Return the config with half the channels and half the blocks in its encoders."""
    depth = max(2, config.depth // 2)
    return replace(config, dim=config.dim // 2, depth=depth, taps=(0, 1))


class FovVariant(FieldOfView):
    """A field-of-view head; the four of Table 14 by what they read.

    | reads | is given |
    |---|---|
    | "depth encoder" | the decoder's coarsest map |
    | "focal encoder" | the picture, through an encoder of its own |
    | "refinement" | the coarsest map, and the same through a ViT |
    | "parallel" | the coarsest map, and the picture through an encoder: `depthpro.fov` |

    All have the same convolutions. The encoders have half of the depth network's blocks and start
    as the patch encoder where they have its parts, as the paper's start as DINOv2.
    """

    def __init__(self, model: DepthPro, reads: FovReads) -> None:
        """Build the head of a depth network."""
        if reads not in get_args(FovReads):
            raise ValueError(f"a head reads one of {get_args(FovReads)}; got {reads!r}")
        config = replace(model.config, depth=max(2, model.config.depth // 2), taps=(0, 1))
        super().__init__(config)
        self.reads = reads
        if reads == "refinement":
            self.encoder[0] = VisionTransformer(
                img_size=2 * config.tokens, patch_size=2, in_chans=config.decoder_dim,
                embed_dim=config.dim, depth=config.depth, num_heads=config.heads,
                init_values=1.0, num_classes=0,
            )  # fmt: skip
        first = model.encoder.patch_encoder.state_dict()
        first = {n: v for n, v in first.items() if reads != "refinement" or "patch_embed" not in n}
        self.encoder[0].load_state_dict(first, strict=False)  # it has fewer blocks
        if reads == "focal encoder":
            self.downsample = nn.Sequential()
        if reads == "depth encoder":
            self.encoder = nn.Sequential(nn.Identity())

    def forward(
        self, image: Float[Tensor, "b 3 s s"], lowres: Float[Tensor, "b d l l"]
    ) -> Float[Tensor, " b"]:
        """Return degrees from an image in [-1, 1] or the decoder's coarsest map, or both."""
        lowres = lowres.detach()
        parts: list[Tensor] = []
        if self.reads != "focal encoder":
            parts.append(self.downsample(lowres))
        if self.reads != "depth encoder":
            encoder, project = self.encoder
            if self.reads == "refinement":
                vit = cast(VisionTransformer, encoder)
                tokens = to_map(vit.forward_features(lowres)[:, vit.num_prefix_tokens :])
            else:
                tokens, _ = encode(encoder, resize(image, self.window))
            parts.append(project(tokens.movedim(1, -1)).movedim(-1, 1))
        return self.head(torch.stack(parts).sum(0)).flatten()


def fov_task(setting: Setting, reads: FovReads) -> Task:
    """Return a head of Table 14 on the frozen start, in place of its own."""
    setting.model.fov = FovVariant(setting.model, reads)
    return make_task(setting.model, setting.recipe, setting.phase)


def measure_depth(task: Task, samples: Sequence[Sample], side: int) -> dict[str, float]:
    """Return delta1, abs_rel and boundary_f1 at full resolution, over pictures.

    Means, but the median of abs_rel: one picture whose wall is taken for sky, 10 km away, would
    outweigh all others.
    """
    rows = [score(*pair) for pair in predict_samples(task.network, task, samples, side)]
    rows = [row for row in rows if row.delta1 is not None]
    names = ("delta1", "delta1_scaled", "abs_rel", "boundary_f1")
    columns = {name: np.array([getattr(row, name) for row in rows], float) for name in names}
    median = float(np.median(columns.pop("abs_rel")))
    return {name: float(values.mean()) for name, values in columns.items()} | {"abs_rel": median}


def measure_ranges(task: Task, samples: Sequence[Sample], side: int) -> dict[str, float]:
    """Return delta1 of all pixels whose depth is in each range, named like `delta1_1_2`.

    Source: Table 10; sky is in no range, and what no pixel has is left out.
    """
    hits, counts = np.zeros(len(RANGES_M) - 1), np.zeros(len(RANGES_M) - 1)
    for item, predicted in predict_samples(task.network, task, samples, side):
        seen = item.mask & (item.inverse > 0)
        true, ours = item.inverse[seen], cast(Tensor, predicted.inverse)[seen].clamp(min=1e-4)
        good = (torch.maximum(ours / true, true / ours) < 1.25).numpy()
        depth_m = (focal_from_fov(item.fov_deg, 1) / true).numpy()
        hits += np.histogram(depth_m[good], RANGES_M)[0]
        counts += np.histogram(depth_m, RANGES_M)[0]
    names = [f"delta1_{low:g}_{high:g}" for low, high in itertools.pairwise(RANGES_M)]
    return {n: float(h / c) for n, h, c in zip(names, hits, counts, strict=True) if c}


def measure_focal(task: Task, samples: Sequence[Sample], side: int) -> dict[str, float]:
    """Return the share of focal lengths within 25 % and the mean relative error.

    Every picture is judged whole and cropped.
    """
    views = [*samples, *(middle(sample, SMALLER_CROP) for sample in samples)]
    pairs = [
        (item.fov_deg, cast(Tensor, predicted.fov_deg))
        for item, predicted in predict_samples(task.network, task, views, side)
    ]
    degrees = (torch.stack(column).double() for column in zip(*pairs, strict=True))
    true, ours = (focal_from_fov(column.clamp(1, 175), 1) for column in degrees)
    accuracy = focal_accuracy(ours, true, 1)
    return {
        "focal25": float(accuracy.delta25),
        "focal_error": float(accuracy.relative_error.mean()),
    }


def middle(sample: Sample, share: float) -> Sample:
    """Return the middle of a picture, a share of each side."""
    height, width = (round(side * share) for side in sample.depth.shape)
    whole = sample.depth.shape
    return cut(sample, Box((whole[0] - height) // 2, (whole[1] - width) // 2, height, width))
