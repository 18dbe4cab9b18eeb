"""What each phase trains: a network, its learning rates, its loss, and what it predicts."""

from collections.abc import Callable, Iterable
from typing import NamedTuple, cast

import torch
from jaxtyping import Float
from timm.layers.layer_scale import LayerScale
from torch import Tensor, nn
from torch.nn import functional as F

from depthpro import losses
from depthpro.data.batches import Batch, augment
from depthpro.decoder import in_float32
from depthpro.losses import ssi_normalize
from depthpro.model import DepthPro
from depthpro.preprocess import resize
from depthpro.stem import HybridEncoder
from depthpro.training.recipe import Phase, Recipe
from depthpro.training.window_pretraining import WindowNetwork, cut_windows, window_encoders

FROZEN_STAGES = 3
"""Of a convolutional stem: those up to stride 8, whose filters any picture can use."""
USUAL_FOV_DEG, FOV_SPREAD_DEG = 60.0, 10.0
"""Where a field-of-view head starts: an ordinary lens, and how its estimates vary."""
RELATIVE_LIMIT = 6.0
"""Normalised inverse depth of windows beyond this counts as this: a few very near pixels."""
WINDOW_FOV_WEIGHT = 0.1


class Estimate(NamedTuple):
    """What a phase's network predicts of pictures; None where it does not estimate it."""

    inverse: Float[Tensor, "b h w"] | None
    fov_deg: Float[Tensor, " b"] | None


class Task(NamedTuple):
    """What the loop needs to know of a phase."""

    network: nn.Module
    groups: list[dict]
    """Parameter groups with their learning rates."""
    losses: Callable[[nn.Module, Batch], dict[str, Tensor]]
    """Parts of the loss by name, to be added up; from the network as it is wrapped for training,
    and a batch, which it augments."""
    estimate: Callable[[nn.Module, Tensor], Estimate]
    """What the network predicts of pictures in [-1, 1]."""


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

    LayerScale at DINOv2's 1e-5 hardly trains, and a last layer that is 0 or less everywhere gets no
    gradient through the ReLU. PyTorch's own start makes a signal 3.5 times smaller in every
    deconvolution, and a field of view that is the same for all pictures.
    """
    if recipe.layer_scale is not None:
        for module in model.modules():
            if isinstance(module, LayerScale):
                nn.init.constant_(module.gamma, recipe.layer_scale)
    necks = [part for name, part in model.encoder.named_children() if "_encoder" not in name]
    for part in (*necks, model.decoder, model.head):
        part.apply(_keep_signal)
    coarsest, *_ = reversed(model.decoder.fusions)
    for fusion in model.decoder.fusions:
        used = ("resnet2",) if fusion is coarsest else ("resnet1", "resnet2")
        for name in used:  # a residual block starts as the identity
            nn.init.zeros_(fusion.get_parameter(f"{name}.residual.3.weight"))
    last = cast(nn.Conv2d, model.head[4])
    nn.init.constant_(last.weight, 0.5 / last.in_channels)
    nn.init.constant_(cast(Tensor, last.bias), 0.1)
    if model.fov is not None:
        for part in (model.fov.encoder[1], model.fov.downsample, model.fov.head):
            part.apply(_keep_signal)
        last = cast(nn.Conv2d, model.fov.head[-1])
        last.weight.data *= FOV_SPREAD_DEG
        nn.init.constant_(cast(Tensor, last.bias), USUAL_FOV_DEG)


@torch.no_grad()
def _keep_signal(layer: nn.Module) -> None:
    """Start a layer orthogonal, at its input's variance; a deconvolution repeats cells."""
    if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        return
    up = isinstance(layer, nn.ConvTranspose2d)
    fan_in = layer.in_channels if up else layer.weight[0].numel()
    channels = layer.out_channels if up else len(layer.weight)
    rows = nn.init.orthogonal_(layer.weight.new_empty(channels, fan_in))
    rows *= max(1, channels / fan_in) ** 0.5
    layer.weight.copy_(rows.T[:, :, None, None] if up else rows.view_as(layer.weight))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


@torch.no_grad()
def map_deviations(model: DepthPro, image: Float[Tensor, "b 3 s s"]) -> list[float]:
    """Return the standard deviation of each of the five maps that the decoder adds, finest first.

    Maps of very different size are a fault: the smaller ones are not seen.
    """
    features = model.encoder(image)
    maps = [conv(x) for conv, x in zip(model.decoder.convs, features, strict=True)]
    return [float(x.float().std()) for x in maps]


def _encoder_task(model: DepthPro, recipe: Recipe, phase: Phase) -> Task:
    config = recipe.config
    network = WindowNetwork(config)
    for part in (network.necks, network.fusions, network.head, network.fov):
        part.apply(_keep_signal)
    nn.init.constant_(cast(Tensor, cast(nn.Linear, network.fov[-1]).bias), USUAL_FOV_DEG)
    network.encoder.load_state_dict(model.encoder.patch_encoder.state_dict())
    network.fusions[-1].get_submodule("resnet1").requires_grad_(False)  # it has no skip
    _freeze_stem(network.encoder, phase)

    def parts(wrapped: nn.Module, batch: Batch) -> dict[str, Tensor]:
        windows = augment(cut_windows(batch, config), recipe.augmentation)
        predicted = wrapped(windows.image)
        count = len(batch.image)
        whole = Batch(*(field[:count] for field in windows))
        wanted = ssi_normalize(windows.inverse, windows.mask)
        wanted = wanted.clamp(-RELATIVE_LIMIT, RELATIVE_LIMIT)
        relative = losses.mae(predicted.relative, wanted, windows.mask)
        relative = relative + phase.mage * losses.mage(predicted.relative, wanted, windows.mask)
        return {
            "whole": stage1(predicted.inverse[:count], whole, phase),
            "relative": relative / 2,
            "fov": WINDOW_FOV_WEIGHT * losses.fov_loss(predicted.fov_deg[:count], batch.fov_deg),
        }

    def estimate(network: nn.Module, image: Tensor) -> Estimate:
        predicted = network(resize(image, config.window))
        return Estimate(predicted.inverse.clamp(min=0), predicted.fov_deg)

    parts_and_rates = [*_encoder_rates(network.encoder, phase), (network, phase.decoder_lr)]
    _checkpoint_activations([network.encoder], recipe)
    return Task(network, _groups(parts_and_rates, phase), parts, estimate)


class DepthNetwork(nn.Module):
    """The network without its field of view and its last ReLU.

    With `finest` above 0 it ends at the resolution of a coarser level, where a convolution of its
    own takes the head's place.
    """

    def __init__(self, model: DepthPro, finest: int = 0) -> None:
        """Train the given model's weights."""
        super().__init__()
        self.model, self.finest = model, finest
        self.coarse_head = None
        if finest:
            self.coarse_head = nn.Conv2d(model.config.decoder_dim, 1, 3, padding=1)
            _keep_signal(self.coarse_head)

    def forward(self, image: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b _h _h"]:
        """Return canonical inverse depth, negative values included."""
        features, _ = self.model.decoder(self.model.encoder(image, self.finest))
        if self.coarse_head is None:
            return self.model.read_depth(features)
        with in_float32(features):
            return self.coarse_head(features.float())[:, 0]


def _depth_task(model: DepthPro, recipe: Recipe, phase: Phase) -> Task:
    network = DepthNetwork(model, phase.finest)
    encoders = [model.encoder.patch_encoder, model.encoder.image_encoder]
    _train_depth_only(model, phase)
    for encoder in encoders:
        encoder.requires_grad_(phase.encoder_lr > 0)
        _freeze_stem(encoder, phase)
    _checkpoint_activations(encoders, recipe)
    if recipe.freeze_norms:
        _freeze_norms(encoders)
    objective = stage2 if phase.name == "stage2" else stage1

    def parts(wrapped: nn.Module, batch: Batch) -> dict[str, Tensor]:
        batch = augment(batch, recipe.augmentation)
        inverse = wrapped(batch.image)
        return {phase.name: objective(inverse, shrink_truth(batch, inverse.shape[-1]), phase)}

    def estimate(network: nn.Module, image: Tensor) -> Estimate:
        return Estimate(network(image).clamp(min=0), None)

    rates = [pair for encoder in encoders for pair in _encoder_rates(encoder, phase)]
    groups = _groups([*rates, (network, phase.decoder_lr)], phase)
    return Task(network, groups, parts, estimate)


def _train_depth_only(model: DepthPro, phase: Phase) -> None:
    """Freeze what no depth passes through: processes would wait for gradients that never come."""
    model.requires_grad_(True)
    if model.fov is not None:
        model.fov.requires_grad_(False)
    model.decoder.fusions[-1].get_submodule("resnet1").requires_grad_(False)  # it has no skip
    if phase.finest:
        necks = ("upsample_latent0", "upsample_latent1", "upsample0", "upsample1")
        for level, neck in enumerate(necks[: phase.finest]):
            model.encoder.get_submodule(neck).requires_grad_(False)
            model.decoder.convs[level].requires_grad_(False)
            model.decoder.fusions[level].requires_grad_(False)
        model.head.requires_grad_(False)


class FovNetwork(nn.Module):
    """The field-of-view head on the frozen depth network."""

    def __init__(self, model: DepthPro) -> None:
        """Train the given model's head."""
        super().__init__()
        self.model = model

    def forward(self, image: Float[Tensor, "b 3 s s"]) -> Float[Tensor, " b"]:
        """Return degrees."""
        assert self.model.fov is not None
        return self.model.fov(image, coarsest_map(self.model, image)).float()


@torch.no_grad()
def coarsest_map(model: DepthPro, image: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b d l l"]:
    """Return the decoder's coarsest map, which the field-of-view head reads, and nothing finer."""
    (lowres,) = model.encoder(image, finest=4)
    return model.decoder.convs[-1](lowres)


def _fov_task(model: DepthPro, recipe: Recipe, phase: Phase) -> Task:
    if model.fov is None:
        raise ValueError("this network has no field-of-view head: train it with fov=True")
    model.requires_grad_(False)
    model.fov.requires_grad_(True)
    encoder = window_encoders(model)[-1]
    encoder.requires_grad_(phase.encoder_lr > 0)
    _freeze_stem(encoder, phase)
    if recipe.freeze_norms:
        _freeze_norms([encoder])
    last = cast(nn.Conv2d, model.fov.head[-1])
    bias = cast(Tensor, last.bias)
    if bias.detach().abs().item() < 1:  # not trained yet
        nn.init.constant_(bias, USUAL_FOV_DEG)

    def parts(wrapped: nn.Module, batch: Batch) -> dict[str, Tensor]:
        image = augment(batch, recipe.augmentation).image
        return {"fov": losses.fov_loss(wrapped(image), batch.fov_deg)}

    def estimate(network: nn.Module, image: Tensor) -> Estimate:
        return Estimate(None, network(image))

    rates = [*_encoder_rates(encoder, phase), (model.fov, phase.decoder_lr)]
    return Task(FovNetwork(model), _groups(rates, phase), parts, estimate)


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
        ssi=phase.ssi,
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


def shrink_truth(batch: Batch, side: int) -> Batch:
    """Return the batch with true depth at the size of a prediction, by the nearest pixel."""
    if batch.inverse.shape[-1] == side:
        return batch
    maps = torch.stack([batch.inverse, batch.mask.float()], dim=1)
    maps = F.interpolate(maps, size=(side, side), mode="nearest-exact")
    return batch._replace(inverse=maps[:, 0], mask=maps[:, 1] > 0)


def _scale(batch: Batch, phase: Phase) -> Float[Tensor, "b 1 1"] | float:
    """Return what both maps are multiplied by, so that every picture weighs about the same."""
    if not phase.relative:
        return 1.0
    count = batch.mask.sum((1, 2), keepdim=True).clamp(min=1)
    return 1 / ((batch.inverse * batch.mask).sum((1, 2), keepdim=True) / count + 0.1)


def _freeze_stem(encoder: nn.Module, phase: Phase) -> None:
    """Freeze a convolutional stem up to stride 8, or all of it at a rate of 0."""
    if isinstance(encoder, HybridEncoder):
        stem = encoder.stem
        stem.requires_grad_(False)
        for stage in stem.blocks[FROZEN_STAGES:]:
            stage.requires_grad_(phase.stem_lr > 0 and phase.encoder_lr > 0)


def _freeze_norms(encoders: Iterable[nn.Module]) -> None:
    """Freeze the LayerNorms of pretrained ViTs. Source: Table 16."""
    for encoder in encoders:
        for module in encoder.modules():
            if isinstance(module, nn.LayerNorm):
                module.requires_grad_(False)


def _checkpoint_activations(encoders: Iterable[nn.Module], recipe: Recipe) -> None:
    for encoder in encoders:
        if not isinstance(encoder, HybridEncoder):
            encoder.set_grad_checkpointing(recipe.checkpointing)  # pyright: ignore


def _encoder_rates(encoder: nn.Module, phase: Phase) -> list[tuple[nn.Module, float]]:
    """Return the parts of an encoder with their learning rates."""
    stem = [(encoder.stem, phase.stem_lr)] if isinstance(encoder, HybridEncoder) else []
    return [*stem, (encoder, phase.encoder_lr)]


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
