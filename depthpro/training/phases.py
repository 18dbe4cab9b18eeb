"""The phases: initial weights, the network each one trains, its learning rates and its losses."""

from typing import Any, cast

import torch
from jaxtyping import Float
from timm.layers.layer_scale import LayerScale
from torch import Tensor, nn
from torch.optim.swa_utils import PARAM_LIST, AveragedModel, get_ema_multi_avg_fn

from depthpro import losses
from depthpro.data.batches import Batch, shrink_truth
from depthpro.model import DepthPro
from depthpro.precision import in_float32
from depthpro.stem import HybridEncoder
from depthpro.training.fine_crop import FineCrops
from depthpro.training.recipe import Phase, Recipe
from depthpro.training.window_pretraining import (
    Estimate,
    WindowNetwork,
    WindowOutputs,
    window_encoders,
)

FROZEN_STAGES = 3  # of a convolutional stem, up to stride 8: their filters suit any picture
COARSEST = 4  # number of the decoder's coarsest level
USUAL_FOV_DEG, FOV_SPREAD_DEG = 60.0, 10.0  # first estimates: mean and standard deviation
LEAST_FOV_WEIGHT = 0.05
RELATIVE_LIMIT = 6.0  # of windows' normalised inverse depth: a few very near pixels exceed it
WINDOW_FOV_WEIGHT = 0.1
LOSSES = ("mae", "mse", "mage", "male", "msge")


def prepare_scratch(model: DepthPro, recipe: Recipe) -> None:
    """Initialise random weights so that a network without pretraining learns.

    LayerScale at DINOv2's 1e-5 hardly trains, a last layer at or below 0 gets no gradient through
    the ReLU, and PyTorch's initialisation makes a signal 3.5 times smaller in every deconvolution.
    """
    if recipe.layer_scale is not None:
        for module in model.modules():
            if isinstance(module, LayerScale):
                nn.init.constant_(module.gamma, recipe.layer_scale)
    necks = [part for name, part in model.encoder.named_children() if "_encoder" not in name]
    for part in (*necks, model.decoder, model.head):
        part.apply(_keep_signal)
    for fusion in model.decoder.fusions:  # residual blocks start as the identity
        nn.init.zeros_(fusion.get_parameter("resnet1.residual.3.weight"))
        nn.init.zeros_(fusion.get_parameter("resnet2.residual.3.weight"))
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
    """Initialise a layer orthogonally, so that its output has its input's variance."""
    if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        return
    up = isinstance(layer, nn.ConvTranspose2d)
    fan_in = layer.in_channels if up else layer.weight[0].numel()
    channels = layer.out_channels if up else len(layer.weight)
    rows = nn.init.orthogonal_(layer.weight.new_empty(channels, fan_in))
    rows *= max(1, channels / fan_in) ** 0.5
    # All pixels of a deconvolution's kernel are equal: it repeats its input.
    layer.weight.copy_(rows.T[:, :, None, None] if up else rows.view_as(layer.weight))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class DepthNetwork(nn.Module):
    """The network without its field of view and its last ReLU.

    With `finest` above 0 it ends at that level, with a convolution in place of the head.
    """

    def __init__(self, model: DepthPro, finest: int = 0) -> None:
        """Train the given model's weights."""
        super().__init__()
        self.model, self.finest = model, finest
        self.encoders = [model.encoder.patch_encoder, model.encoder.image_encoder]
        self.coarse_head = None
        if finest:
            self.coarse_head = nn.Conv2d(model.config.decoder_dim, 1, 3, padding=1)
            _keep_signal(self.coarse_head)

    def forward(
        self, pictures: Float[Tensor, "b 3 s s"] | list[Tensor], crops: FineCrops | None = None
    ) -> Float[Tensor, "b _h _h"]:
        """Return canonical inverse depth, which may be negative, for images or their maps."""
        maps = pictures if isinstance(pictures, list) else self.read_windows(pictures)
        features = self.decode(self.model.encoder.project(maps), crops)
        if self.coarse_head is None:
            return self.model.read_depth(features)
        with in_float32(features):
            return self.coarse_head(features.float())[:, 0]

    def read_windows(self, image: Float[Tensor, "b 3 s s"]) -> list[Float[Tensor, "b _d _h _h"]]:
        """Return the maps that frozen encoders make of an image."""
        return self.model.encoder.read_windows(image, self.finest)

    def decode(self, projected: list[Tensor], crops: FineCrops | None) -> Tensor:
        """Return the decoder's features, of whole pictures or of crops of all five maps."""
        decoder = self.model.decoder
        if crops is None:
            return decoder(projected)[0]
        coarser, _ = decoder(projected[1:])
        finest = decoder.convs[0](crops.cut(projected[0], 2))
        return decoder.fusions[0](crops.cut(coarser, 2), finest)

    def estimate(self, image: Float[Tensor, "b 3 s s"]) -> Estimate:
        """Predict depth."""
        return Estimate(self(image).clamp(min=0), None)


class InterpolationNetwork(DepthNetwork):
    """The decoder without finer maps, and the head: only what is finer than the level learns."""

    def __init__(self, model: DepthPro) -> None:
        """Let the model's finer levels add nothing, and train the rest of them."""
        super().__init__(model)
        self.finest = COARSEST  # no finer windows are read
        start_from_coarsest(model)
        model.requires_grad_(False)
        for fusion in [*model.decoder.fusions][:COARSEST]:
            for name in ("resnet2", "deconv", "out_conv"):
                fusion.get_submodule(name).requires_grad_(True)
        model.head.requires_grad_(True)

    def decode(self, projected: list[Tensor], crops: FineCrops | None) -> Tensor:
        """Return the decoder's features from the coarsest map alone."""
        decoder = self.model.decoder
        x = decoder.convs[-1](projected[-1])
        for fusion in [*decoder.fusions][:0:-1]:
            x = fusion(x)
        return decoder.fusions[0](crops.cut(x, 2) if crops else x)


@torch.no_grad()
def start_from_coarsest(model: DepthPro) -> None:
    """Let the finer levels add nothing at first: their projections are 0, and learn from there."""
    for projection in [*model.decoder.convs][1:COARSEST]:
        cast(nn.Conv2d, projection).weight.zero_()
    cast(nn.Module, model.encoder.upsample_latent0[-1]).get_parameter("weight").zero_()
    for fusion in [*model.decoder.fusions][:COARSEST]:
        for name in ("weight", "bias"):
            fusion.get_parameter(f"resnet1.residual.3.{name}").zero_()


class FovNetwork(nn.Module):
    """The field-of-view head on the frozen depth network."""

    def __init__(self, model: DepthPro) -> None:
        """Train the given model's head."""
        super().__init__()
        self.model, self.encoders = model, window_encoders(model)[-1:]

    def forward(self, image: Float[Tensor, "b 3 s s"]) -> Float[Tensor, " b"]:
        """Return degrees."""
        assert self.model.fov is not None
        return self.model.fov(image, coarsest_map(self.model, image)).float()

    def estimate(self, image: Float[Tensor, "b 3 s s"]) -> Estimate:
        """Predict the field of view."""
        return Estimate(None, self(image))


@torch.no_grad()
def coarsest_map(model: DepthPro, image: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b d l l"]:
    """Return the decoder's coarsest map, which the field-of-view head reads, and nothing finer."""
    (lowres,) = model.encoder(image, finest=4)
    return model.decoder.convs[-1](lowres)


PhaseNetwork = WindowNetwork | DepthNetwork | FovNetwork


def make_network(model: DepthPro, recipe: Recipe, phase: Phase) -> PhaseNetwork:
    """Return the network that a phase trains, with everything else frozen."""
    model.requires_grad_(True)
    if phase.name == "encoders":
        network = WindowNetwork(model.config)
        for part in (network.necks, network.fusions, network.head, network.fov):
            part.apply(_keep_signal)
        nn.init.constant_(cast(Tensor, network.fov[-1].bias), USUAL_FOV_DEG)
        network.encoder.load_state_dict(model.encoder.patch_encoder.state_dict())
        network.fusions[-1].get_submodule("resnet1").requires_grad_(False)  # it has no skip
    elif phase.name == "fov":
        if model.fov is None:
            raise ValueError("this network has no field-of-view head: train it with fov=True")
        network = FovNetwork(model)
        model.requires_grad_(False)
        model.fov.requires_grad_(True)
        bias = cast(Tensor, model.fov.head[-1].bias)
        if bias.detach().abs().item() < 1:  # not trained yet
            nn.init.constant_(bias, USUAL_FOV_DEG)
    elif phase.name == "interpolation":
        network = InterpolationNetwork(model)
    else:
        network = DepthNetwork(model, phase.finest)
        _freeze_unused(model, phase.finest)
    for encoder in network.encoders:
        encoder.requires_grad_(phase.encoder_lr > 0)
        if isinstance(encoder, HybridEncoder):
            encoder.stem.requires_grad_(False)
            for stage in encoder.stem.blocks[FROZEN_STAGES:]:
                stage.requires_grad_(phase.stem_lr > 0 and phase.encoder_lr > 0)
        else:
            encoder.set_grad_checkpointing(recipe.checkpointing)  # pyright: ignore
        if recipe.freeze_norms:  # Table 16
            for norm in (part for part in encoder.modules() if isinstance(part, nn.LayerNorm)):
                norm.requires_grad_(False)
    return network


def _freeze_unused(model: DepthPro, finest: int) -> None:
    """Freeze all that depth does not depend on: processes would wait for its gradients."""
    encoder, decoder = model.encoder, model.decoder
    necks = encoder.upsample_latent0, encoder.upsample_latent1, encoder.upsample0, encoder.upsample1
    unused = [decoder.fusions[-1].get_submodule("resnet1")]  # the coarsest one has no skip
    if finest:
        unused += [model.head, *necks[:finest]]
        unused += [*decoder.convs[:finest], *decoder.fusions[:finest]]
    for part in unused if model.fov is None else [*unused, model.fov]:
        part.requires_grad_(False)


def parameter_groups(network: PhaseNetwork, phase: Phase) -> list[dict]:
    """Return an optimiser's parameter groups. Biases, norms and LayerScale have no weight decay."""
    stems = [encoder.stem for encoder in network.encoders if isinstance(encoder, HybridEncoder)]
    rates = [(stem, phase.stem_lr) for stem in stems]
    rates += [(encoder, phase.encoder_lr) for encoder in network.encoders]
    seen: set[nn.Parameter] = set()
    groups = []
    for module, rate in [*rates, (network, phase.decoder_lr)]:
        fresh = [p for p in module.parameters() if p.requires_grad and p not in seen]
        seen.update(fresh)
        for decays, decay in ((True, phase.weight_decay), (False, 0.0)):
            if parameters := [p for p in fresh if (p.squeeze().dim() > 1) == decays]:
                values = {"lr": rate, "initial_lr": rate, "weight_decay": decay}
                groups.append({"params": parameters, **values})
    return groups


def average_weights(network: nn.Module, phase: Phase) -> AveragedModel | None:
    """Return a moving average of the network's weights, if the phase has one.

    It is short at first: else a run of a few hundred steps would keep mostly its initial weights.
    """
    if (largest := phase.ema) is None:
        return None

    def update(averaged: PARAM_LIST, current: PARAM_LIST, count: Tensor | int) -> None:
        decay = min(largest, (1 + int(count)) / (10 + int(count)))
        get_ema_multi_avg_fn(decay)(averaged, current, count)

    return AveragedModel(network, multi_avg_fn=update)


def phase_loss(
    predicted: Any, batch: Batch, phase: Phase, crops: FineCrops | None = None
) -> Float[Tensor, ""]:
    """Return the loss that a phase minimises, for the output of its network."""
    if phase.name == "encoders":
        return window_loss(predicted, batch, phase)
    if phase.name != "fov":
        return depth_loss(predicted, batch, phase, crops)
    weight = None
    if phase.fov_spread_deg is not None:
        off = (batch.fov_deg - USUAL_FOV_DEG) / phase.fov_spread_deg
        weight = (-off.square() / 2).exp() + LEAST_FOV_WEIGHT
    return losses.fov_loss(predicted, batch.fov_deg, weight)


def window_loss(predicted: WindowOutputs, windows: Batch, phase: Phase) -> Float[Tensor, ""]:
    """Return the loss of `cut_windows`: depth and angle of whole pictures, all relative depth."""
    count = len(windows.image) // 2
    whole = Batch(*(field[:count] for field in windows))
    target = losses.ssi_normalize(windows.inverse, windows.mask)
    target = target.clamp(-RELATIVE_LIMIT, RELATIVE_LIMIT)
    relative = losses.mae(predicted.relative, target, windows.mask)
    relative = relative + phase.mage * losses.mage(predicted.relative, target, windows.mask)
    fov = losses.fov_loss(predicted.fov_deg[:count], whole.fov_deg)
    depth = depth_loss(predicted.inverse[:count], whole, phase)
    return depth + relative / 2 + WINDOW_FOV_WEIGHT * fov


def depth_loss(
    predicted: Float[Tensor, "b h h"], batch: Batch, phase: Phase, crops: FineCrops | None = None
) -> Float[Tensor, ""]:
    """Return the loss of depth: of stage 2 in its phase, else of stage 1, by each picture's flags.

    Source: Table 17.
    """
    truth = crops.cut_truth(batch) if crops else shrink_truth(batch, predicted.shape[-1])
    inverse = truth.inverse
    if phase.weight_by_mean_depth:  # of the whole pictures, also for crops
        count = batch.mask.sum((1, 2), keepdim=True).clamp(min=1)
        weight = 1 / ((batch.inverse * batch.mask).sum((1, 2), keepdim=True) / count + 0.1)
        predicted, inverse = predicted * weight, inverse * weight
    if phase.name == "stage2":
        weights = {f"{name}_weight": getattr(phase, name) for name in LOSSES}
        return losses.stage2_loss(predicted, inverse, truth.mask, **weights)
    flags = {"metric": truth.metric, "synthetic": truth.synthetic}
    settings: dict[str, Any] = {"ssi": phase.ssi, "mage_weight": phase.mage}
    return losses.stage1_loss(predicted, inverse, truth.mask, **flags, **settings)
