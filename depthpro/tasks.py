"""What each phase trains: a network, its learning rates, its loss, and what it predicts."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from timm.layers.layer_scale import LayerScale
from torch import Tensor, nn

from depthpro import losses
from depthpro.data import Batch
from depthpro.decoder import ResidualBlock
from depthpro.encoder import resize
from depthpro.model import DepthPro
from depthpro.partial import Region, coarsest_map, inverse_of_region, patches
from depthpro.pretraining import WindowNetwork, cut_crops, shrink
from depthpro.recipe import Phase, Recipe


class Estimate(NamedTuple):
    """What a phase's network can say of pictures; None where it does not estimate it."""

    inverse: Float[Tensor, "b h w"] | None
    fov_deg: Float[Tensor, " b"] | None


class Task(NamedTuple):
    """What the loop needs to know of a phase."""

    network: nn.Module
    groups: list[dict]
    """Parameter groups with their learning rates."""
    losses: Callable[[nn.Module, Batch, np.random.Generator], dict[str, Tensor]]
    """Parts of the loss by name, to be added up; from the network as it is wrapped for training,
    a batch, and dice that are the same in every process."""
    estimate: Callable[[nn.Module, Tensor], Estimate]
    """What the network says of pictures in [-1, 1]."""


def make_task(model: DepthPro, recipe: Recipe, phase: Phase) -> Task:
    """Return the phase's task; parameters that it does not train are frozen.

    Raises:
        ValueError: If the network has not what the phase trains.
    """
    if phase.name == "encoders":
        return _encoder_task(model, recipe, phase)
    if phase.name == "fov":
        return _fov_task(model, recipe, phase)
    return _depth_task(model, recipe, phase)


def prepare_scratch(model: DepthPro, recipe: Recipe) -> None:
    """Give random weights the start from which a network without pretraining learns.

    LayerScale at DINOv2's 1e-5 hardly trains, and a last layer that says 0 or less everywhere
    gets no gradient through the ReLU. PyTorch's own start makes a signal 3.5 times smaller in every
    deconvolution: the finest tap's map begins at 0.008 instead of 0.35. With signals kept, fifty
    steps of AdamW on `tests/data/eight_scenes.tar` end at 8.8 % of the mean instead of 15.6 %.
    """
    _scale_layers(model, recipe.layer_scale)
    necks = [part for name, part in model.encoder.named_children() if "_encoder" not in name]
    for part in (*necks, model.decoder, model.head):
        part.apply(_keep_signal)
    for module in model.decoder.modules():
        if isinstance(module, ResidualBlock):
            nn.init.zeros_(module.residual[3].weight)  # pyright: ignore[reportArgumentType]
    last = model.head[4]
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    nn.init.constant_(last.weight, 0.5 / last.in_channels)
    nn.init.constant_(last.bias, 0.1)


@torch.no_grad()
def _keep_signal(layer: nn.Module) -> None:
    """Start a convolution orthogonal, at its input's variance; a deconvolution repeats cells."""
    if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        return
    up = isinstance(layer, nn.ConvTranspose2d)
    fan_in = layer.in_channels if up else layer.weight[0].numel()
    rows = nn.init.orthogonal_(layer.weight.new_empty(layer.out_channels, fan_in))
    rows *= max(1, layer.out_channels / fan_in) ** 0.5
    layer.weight.copy_(rows.T[:, :, None, None] if up else rows.view_as(layer.weight))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _scale_layers(network: nn.Module, value: float | None) -> None:
    for module in network.modules():
        if isinstance(module, LayerScale) and value is not None:
            nn.init.constant_(module.gamma, value)


def _encoder_task(model: DepthPro, recipe: Recipe, phase: Phase) -> Task:
    config = recipe.config
    network = WindowNetwork(config)
    network.vit.load_state_dict(model.encoder.image_encoder.state_dict())

    def parts(wrapped: nn.Module, batch: Batch, rng: np.random.Generator) -> dict[str, Tensor]:
        whole, crops = shrink(batch, config.window), cut_crops(batch, config)
        said = wrapped(whole.image, crops.image)
        return {
            "whole": stage1(said.whole, whole, phase),
            "crops": stage1(said.crops, crops, phase),
            "fov": losses.fov_loss(said.fov_deg, batch.fov_deg),
        }

    def estimate(network: nn.Module, image: Tensor) -> Estimate:
        small = resize(image, config.window)
        said = network(small, small[:0])
        return Estimate(said.whole.clamp(min=0), said.fov_deg)

    groups = _groups([(network.vit, phase.encoder_lr), (network, phase.decoder_lr)], phase)
    if recipe.checkpointing:
        network.vit.set_grad_checkpointing()
    return Task(network, groups, parts, estimate)


class DepthNetwork(nn.Module):
    """The network without its field of view and its last ReLU, of a region if one is given.

    A ReLU that is 0 everywhere would never learn to be more; and without it, the loss itself
    penalises what is negative.
    """

    def __init__(self, model: DepthPro) -> None:
        """Train the given model's weights."""
        super().__init__()
        self.model = model

    def forward(
        self, image: Float[Tensor, "b 3 s s"], region: Region | None = None
    ) -> Float[Tensor, "b r r"]:
        """Return canonical inverse depth, negative values included."""
        if region is not None:
            return inverse_of_region(self.model, image, region)
        features, _ = self.model.decoder(self.model.encoder(image))
        return self.model.head[:-1](features)[:, 0].float()


def _depth_task(model: DepthPro, recipe: Recipe, phase: Phase) -> Task:
    network = DepthNetwork(model)
    model.requires_grad_(True)
    if model.fov is not None:
        model.fov.requires_grad_(False)
    # The coarsest fusion has no skip. Processes would wait for the gradient that never comes.
    model.decoder.fusions[-1].get_submodule("resnet1").requires_grad_(False)
    vits = [model.encoder.patch_encoder, model.encoder.image_encoder]
    for vit in vits:
        vit.set_grad_checkpointing(recipe.checkpointing)
        vit.requires_grad_(phase.encoder_lr > 0)
    if recipe.freeze_norms:
        _freeze_norms(vits)
    objective = stage2 if phase.name == "stage2" else stage1

    def parts(wrapped: nn.Module, batch: Batch, rng: np.random.Generator) -> dict[str, Tensor]:
        region = draw_region(rng, patches(recipe.config), phase.region)
        raw = wrapped(batch.image, region)
        if region is not None:
            cell = recipe.config.patch
            batch = batch._replace(
                inverse=region.crop(batch.inverse, cell), mask=region.crop(batch.mask, cell)
            )
        return {phase.name: objective(raw, batch, phase)}

    def estimate(network: nn.Module, image: Tensor) -> Estimate:
        return Estimate(network(image).clamp(min=0), None)

    groups = _groups([*((vit, phase.encoder_lr) for vit in vits), (model, phase.decoder_lr)], phase)
    return Task(network, groups, parts, estimate)


class FovNetwork(nn.Module):
    """The field-of-view head on the frozen depth network."""

    def __init__(self, model: DepthPro) -> None:
        """Train the given model's head."""
        super().__init__()
        self.model = model

    def forward(self, image: Float[Tensor, "b 3 s s"]) -> Float[Tensor, " b"]:
        """Return degrees."""
        assert self.model.fov is not None
        with torch.no_grad():
            lowres = coarsest_map(self.model, image)
        return self.model.fov(image, lowres).float()


def _fov_task(model: DepthPro, recipe: Recipe, phase: Phase) -> Task:
    if model.fov is None:
        raise ValueError("this network has no field-of-view head: train it with fov=True")
    model.requires_grad_(False)
    model.fov.requires_grad_(True)
    vit = model.fov.encoder[0]
    if recipe.freeze_norms:
        _freeze_norms([vit])
    last = model.fov.head[-1]
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    if last.bias.detach().abs().item() < 1:  # not trained yet: start at an ordinary lens
        nn.init.constant_(last.bias, 60.0)

    def parts(wrapped: nn.Module, batch: Batch, rng: np.random.Generator) -> dict[str, Tensor]:
        return {"fov": losses.fov_loss(wrapped(batch.image), batch.fov_deg)}

    def estimate(network: nn.Module, image: Tensor) -> Estimate:
        return Estimate(None, network(image))

    groups = _groups([(vit, phase.encoder_lr), (model.fov, phase.decoder_lr)], phase)
    return Task(FovNetwork(model), groups, parts, estimate)


def stage1(prediction: Float[Tensor, "b h w"], batch: Batch, phase: Phase) -> Float[Tensor, ""]:
    """Return the first stage's loss of a batch, with the phase's weights.

    Source: Table 17 by the flags `metric` and `synthetic`.
    """
    scale = _scale(batch, phase)
    return losses.stage1_loss(
        prediction * scale,
        batch.inverse * scale,
        batch.mask,
        metric=batch.metric,
        synthetic=batch.synthetic,
        mage_weight=phase.mage,
    )


def stage2(prediction: Float[Tensor, "b h w"], batch: Batch, phase: Phase) -> Float[Tensor, ""]:
    """Return the second stage's loss of a batch, with the phase's weights."""
    scale = _scale(batch, phase)
    return losses.stage2_loss(
        prediction * scale,
        batch.inverse * scale,
        batch.mask,
        mae_weight=phase.mae,
        mse_weight=phase.mse,
        mage_weight=phase.mage,
        male_weight=phase.male,
        msge_weight=phase.msge,
    )


def _scale(batch: Batch, phase: Phase) -> Float[Tensor, "b 1 1"] | float:
    """Return what both maps are multiplied by, so that every picture weighs about the same."""
    if not phase.relative:
        return 1.0
    count = batch.mask.sum((1, 2), keepdim=True).clamp(min=1)
    return 1 / ((batch.inverse * batch.mask).sum((1, 2), keepdim=True) / count + 0.1)


def draw_region(rng: np.random.Generator, side: int, part: int | None) -> Region | None:
    """Return a random region of `part` patches in a picture of `side`; None if it is the whole."""
    if part is None or part >= side:
        return None
    top, left = (4 * rng.integers((side - part) // 4 + 1, size=2)).tolist()
    return Region(top, left, part)


def _freeze_norms(vits: Iterable[nn.Module]) -> None:
    """Freeze the LayerNorms of pretrained ViTs. Source: Table 16."""
    for vit in vits:
        for module in vit.modules():
            if isinstance(module, nn.LayerNorm):
                module.requires_grad_(False)


def _groups(parts: list[tuple[nn.Module, float]], phase: Phase) -> list[dict]:
    """Return parameter groups; a parameter belongs to the first part that has it.

    Vectors (biases, norms, LayerScale) never decay.
    """
    seen: set[nn.Parameter] = set()
    groups = []
    for module, rate in parts:
        fresh = [p for p in module.parameters() if p.requires_grad and p not in seen]
        seen.update(fresh)
        for decayed in (True, False):
            chosen = [p for p in fresh if (p.squeeze().dim() > 1) == decayed]
            decay = phase.weight_decay if decayed else 0.0
            if chosen:
                groups.append({"params": chosen, "lr": rate, "weight_decay": decay})
    return groups
