"""What the ablations put in the network's place, and how each is measured.

A variant is a `Task` like those of `depthpro.tasks`, so that one loop trains them all.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple, cast, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from depthpro import losses
from depthpro.config import DepthProConfig
from depthpro.data import Batch, as_item, centre_crop
from depthpro.encoder import resize
from depthpro.fov import FieldOfView
from depthpro.geometry import focal_from_fov
from depthpro.metrics import focal_accuracy
from depthpro.model import DepthPro
from depthpro.partial import Region, coarsest_map
from depthpro.pretraining import WindowNetwork, shrink
from depthpro.recipe import Phase, Recipe
from depthpro.sample import Sample
from depthpro.tasks import DepthNetwork, Estimate, Task, make_task
from depthpro.validation import score
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

    def forward(
        self, image: Float[Tensor, "b 3 s s"], region: Region | None = None
    ) -> Float[Tensor, "b r r"]:
        """Return what the network says of the coarsest picture."""
        return self.network(coarsest_picture(image, self.network.model.config), region)


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
    """Return a ViT with linear readers that regresses one kind of depth by MAE, without sky.

    It sees the whole picture as one window, has half of the start's width and depth, and starts
    from random weights: the start has learned inverse depth. Median and spread of the target are
    set to 0 and 1, so that one learning rate fits all three kinds.

    Source: Appendix B.4, where it is a pretrained ViT and DPT.
    """
    config, phase = halved(setting.model.config), setting.phase
    network = WindowNetwork(config)
    for gammas in (p for name, p in network.named_parameters() if name.endswith("gamma")):
        nn.init.constant_(gammas, setting.recipe.layer_scale or 1.0)
    network.crops.requires_grad_(False)
    network.fov.requires_grad_(False)
    centre, spread = survey(setting.samples, target, config.window)

    def parts(wrapped: nn.Module, batch: Batch, rng: np.random.Generator) -> dict[str, Tensor]:
        small = shrink(batch, config.window)
        known = small.mask & (small.inverse > 0)
        wanted = (to_target(small.inverse.where(known, 1.0), target) - centre) / spread
        said = wrapped(small.image, small.image[:0]).whole
        return {target: losses.mae(said, wanted, known).mean()}

    def estimate(network: nn.Module, image: Tensor) -> Estimate:
        small = resize(image, config.window)
        said = network(small, small[:0]).whole
        return Estimate(from_target(centre + spread * said, target), None)

    trained = [p for p in network.parameters() if p.requires_grad]
    return Task(network, [{"params": trained, "lr": phase.decoder_lr}], parts, estimate)


def halved(config: DepthProConfig) -> DepthProConfig:
    """Return the config with half the channels and half the blocks in its ViTs."""
    depth = max(2, config.depth // 2)
    return replace(config, dim=config.dim // 2, depth=depth, taps=(0, 1))


class FovVariant(nn.Module):
    """A field-of-view head on a frozen depth network; the four of Table 14 by what they read.

    | reads | is given |
    |---|---|
    | "depth encoder" | the decoder's coarsest map |
    | "focal encoder" | the picture, through a ViT of its own |
    | "refinement" | the coarsest map, and the same through a ViT |
    | "parallel" | the coarsest map, and the picture through a ViT: `depthpro.fov` |

    All have the same convolutions. The ViTs have half of the depth network's blocks and start as
    the first blocks of its patch encoder, as the paper's start as DINOv2.
    """

    def __init__(self, model: DepthPro, reads: FovReads) -> None:
        """Build the head on a depth network, which is frozen."""
        super().__init__()
        if reads not in get_args(FovReads):
            raise ValueError(f"a head reads one of {get_args(FovReads)}; got {reads!r}")
        config = replace(model.config, depth=max(2, model.config.depth // 2), taps=(0, 1))
        self.model, self.reads = model.requires_grad_(False), reads
        self.parallel = FieldOfView(config)
        first = model.encoder.patch_encoder.state_dict()
        vit, self.project = self.parallel.encoder
        if reads == "refinement":
            first = {name: value for name, value in first.items() if "patch_embed" not in name}
            vit = VisionTransformer(
                img_size=2 * config.tokens, patch_size=2, in_chans=config.decoder_dim,
                embed_dim=config.dim, depth=config.depth, num_heads=config.heads,
                init_values=1.0, num_classes=0,
            )  # fmt: skip
        vit.load_state_dict(first, strict=False)  # it has fewer blocks
        self.vit = cast(VisionTransformer, vit)
        last = cast(nn.Conv2d, self.parallel.head[-1])
        nn.init.constant_(cast(Tensor, last.bias), 60.0)

    def forward(self, image: Float[Tensor, "b 3 s s"]) -> Float[Tensor, " b"]:
        """Return degrees; of the picture only what fits one window is read."""
        lowres = self._depth_features(image) if self.reads != "focal encoder" else None
        return self.head(image, lowres)

    def head(
        self, image: Float[Tensor, "b 3 s s"], lowres: Float[Tensor, "b d l l"] | None
    ) -> Float[Tensor, " b"]:
        """Return degrees from the picture and the coarsest map, whichever this head reads."""
        parts = []
        if self.reads != "focal encoder":
            parts.append(self.parallel.downsample(lowres))
        if self.reads != "depth encoder":
            parts.append(to_map(self.project(self._tokens(image, lowres))))
        return self.parallel.head(torch.stack(parts).sum(0)).flatten().float()

    def _tokens(self, image: Tensor, lowres: Tensor | None) -> Tensor:
        if self.reads == "refinement":
            return self.vit.forward_features(cast(Tensor, lowres))[:, self.vit.num_prefix_tokens :]
        return encode(self.vit, resize(image, self.parallel.window))[0]

    @torch.no_grad()
    def _depth_features(self, image: Tensor) -> Tensor:
        return coarsest_map(self.model, image)

    def trained(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Return the parameters that it trains: those of its ViT, and the others."""
        ours = [self.parallel.head]
        if self.reads != "focal encoder":
            ours.append(self.parallel.downsample)
        if self.reads == "depth encoder":
            return [], [p for part in ours for p in part.parameters()]
        ours.append(cast(nn.Sequential, self.project))
        return list(self.vit.parameters()), [p for part in ours for p in part.parameters()]


def fov_task(setting: Setting, reads: FovReads) -> Task:
    """Return a head of Table 14 on the frozen start."""
    network = FovVariant(setting.model, reads)
    vit, others = network.trained()

    def parts(wrapped: nn.Module, batch: Batch, rng: np.random.Generator) -> dict[str, Tensor]:
        return {"fov": losses.fov_loss(wrapped(batch.image), batch.fov_deg)}

    def estimate(network: nn.Module, image: Tensor) -> Estimate:
        return Estimate(None, network(image))

    groups = [{"params": vit, "lr": setting.phase.encoder_lr}] if vit else []
    groups.append({"params": others, "lr": setting.phase.decoder_lr})
    return Task(network, groups, parts, estimate)


def measure_depth(task: Task, samples: Sequence[Sample], side: int) -> dict[str, float]:
    """Return delta1, abs_rel and boundary_f1 at full resolution, over pictures.

    Means, but the median of abs_rel: one picture whose wall is taken for sky, 10 km away, would
    outweigh all others.
    """
    rows = [score(item, said) for item, said in _judged(task, [as_item(s, side) for s in samples])]
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
    for item, said in _judged(task, [as_item(sample, side) for sample in samples]):
        truth, seen = _at_size_of(item, cast(Tensor, said.inverse))
        depth_m = focal_from_fov(item.fov_deg, 1) / truth[seen]
        ratio = cast(Tensor, said.inverse)[seen].clamp(min=1e-4) / truth[seen]
        good = (torch.maximum(ratio, 1 / ratio) < 1.25).numpy()
        for place in range(len(counts)):
            within = (depth_m > RANGES_M[place]) & (depth_m <= RANGES_M[place + 1])
            hits[place] += good[within.numpy()].sum()
            counts[place] += int(within.sum())
    names = [f"delta1_{low:g}_{high:g}" for low, high in itertools.pairwise(RANGES_M)]
    return {n: float(h / c) for n, h, c in zip(names, hits, counts, strict=True) if c}


def measure_focal(task: Task, samples: Sequence[Sample], side: int) -> dict[str, float]:
    """Return the share of focal lengths within 25 % and the mean relative error.

    Every picture is judged whole and cropped.
    """
    whole = [as_item(sample, side) for sample in samples]
    items = [*whole, *(centre_crop(item, SMALLER_CROP) for item in whole)]
    pairs = [(item.fov_deg, cast(Tensor, said.fov_deg)) for item, said in _judged(task, items)]
    degrees = (torch.stack(column).double() for column in zip(*pairs, strict=True))
    true, ours = (focal_from_fov(column.clamp(1, 175), 1) for column in degrees)
    accuracy = focal_accuracy(ours, true, 1)
    return {
        "focal25": float(accuracy.delta25),
        "focal_error": float(accuracy.relative_error.mean()),
    }


def _at_size_of(
    item: Batch, inverse: Float[Tensor, "h w"]
) -> tuple[Float[Tensor, "h w"], Bool[Tensor, "h w"]]:
    """Return true C at the size of an estimate, and where it is known and no sky."""
    one = Batch(*(field[None] for field in item))
    small = shrink(one, inverse.shape[-1])
    return small.inverse[0], small.mask[0] & (small.inverse[0] > 0)


def _judged(task: Task, items: list[Batch], batch: int = 4) -> Iterator[tuple[Batch, Estimate]]:
    """Give every item with what the task's network says of it, without batch axis."""
    task.network.eval()
    for first in range(0, len(items), batch):
        part = items[first : first + batch]
        with torch.inference_mode():
            inverse, fov_deg = task.estimate(
                task.network, torch.stack([item.image for item in part])
            )
        for place, item in enumerate(part):
            yield (
                item,
                Estimate(
                    None if inverse is None else inverse[place],
                    None if fov_deg is None else fov_deg[place],
                ),
            )
