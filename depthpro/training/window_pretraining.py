"""Starting the encoders: pretraining on single windows, ImageNet weights, or DINOv2.

The paper starts from DINOv2. A small network learns many times faster on single windows than as a
whole: whole pictures at the coarsest scale (metric depth, field of view) and crops at the finer
ones (depth up to scale and shift). One encoder learns both, and becomes the patch encoder, the
image encoder and the field-of-view encoder, as one DINOv2 does.
"""

from pathlib import Path
from typing import NamedTuple

import timm
import torch
from jaxtyping import Float
from timm.layers.pos_embed import resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from depthpro.config import DepthProConfig
from depthpro.data.batches import Batch, shrink_truth
from depthpro.decoder import FusionBlock, in_float32
from depthpro.model import DepthPro
from depthpro.preprocess import resize
from depthpro.stem import TAP_DIMS, HybridEncoder, load_imagenet
from depthpro.vit import build_encoder, build_vit, encode

_DIM = 48
_WINDOW_NUMBERS = slice(14, 17)  # of `Batch.random`


class Estimate(NamedTuple):
    """Predictions that are validated; None where a phase's network has none."""

    inverse: Float[Tensor, "b h w"] | None
    """Canonical inverse depth."""
    fov_deg: Float[Tensor, " b"] | None


class WindowOutputs(NamedTuple):
    """Predictions for windows, at half of their side."""

    inverse: Float[Tensor, "n h h"]
    """Canonical inverse depth, if the window is a whole picture; may be negative."""
    relative: Float[Tensor, "n h h"]
    """Inverse depth less its median, over its mean absolute deviation from it."""
    fov_deg: Float[Tensor, " n"]


class WindowNetwork(nn.Module):
    """One encoder with a light decoder, which fuses its map and both finer ones."""

    def __init__(self, config: DepthProConfig) -> None:
        """Build the network with random weights."""
        super().__init__()
        self.config = config
        self.encoder = build_encoder(config)
        patch = config.stem == "patch"
        dims = (config.dim, config.dim) if patch else TAP_DIMS
        # A ViT's taps are at stride 16 and come to strides 4 and 8, where a stem's are.
        self.necks = nn.ModuleList(
            nn.Conv2d(dim, _DIM, 1)
            if up == 1
            else nn.Sequential(
                nn.Conv2d(dim, _DIM, 1), nn.Upsample(scale_factor=up, mode="bilinear")
            )
            for dim, up in zip((*dims, config.dim), (4, 2, 1) if patch else (1, 1, 1), strict=True)
        )
        self.fusions = nn.ModuleList(FusionBlock(_DIM, upsample=True) for _ in self.necks)
        self.head = nn.Sequential(
            nn.Conv2d(_DIM, _DIM // 2, 3, padding=1), nn.ReLU(), nn.Conv2d(_DIM // 2, 2, 1)
        )
        self.fov = nn.Sequential(nn.Linear(config.dim, 64), nn.GELU(), nn.Linear(64, 1))

    def forward(self, windows: Float[Tensor, "n 3 w w"]) -> WindowOutputs:
        """Return both kinds of inverse depth, and the field of view, for windows in [-1, 1]."""
        tokens, taps = encode(self.encoder, windows, self.config.taps)
        fine, middle, x = (
            neck(part) for neck, part in zip(self.necks, (*taps, tokens), strict=True)
        )
        x = self.fusions[2](x)
        x = self.fusions[1](x, middle)
        x = self.fusions[0](x, fine)
        fov_deg = self.fov(tokens.mean((2, 3))).flatten()
        with in_float32(x):
            inverse, relative = self.head(x.float()).unbind(1)
        return WindowOutputs(inverse, relative, fov_deg.float())

    @property
    def encoders(self) -> list[nn.Module]:
        """The encoder, as a list."""
        return [self.encoder]

    def estimate(self, image: Float[Tensor, "b 3 _s _s"]) -> Estimate:
        """Predict whole pictures of any side, each as one window."""
        predicted = self(resize(image, self.config.window))
        return Estimate(predicted.inverse.clamp(min=0), predicted.fov_deg)


def cut_windows(batch: Batch, config: DepthProConfig) -> Batch:
    """Return all pictures whole, then a random window of a finer scale of each.

    Maps have half of a window's side, as `WindowNetwork` predicts them. The windows of finer scales
    are not metric: a part of a picture does not show its scale.
    """
    draws = batch.random[:, _WINDOW_NUMBERS]
    parts = [_window(batch, torch.zeros_like(draws), config.image_size, config.window)]
    finest, middle, _ = config.pyramid
    takes_finest = draws[:, 2] < 0.5
    for chosen, level in ((takes_finest, finest), (~takes_finest, middle)):
        if chosen.any():
            some = Batch(*(field[chosen] for field in batch))
            span = config.window * config.image_size // level.side
            crops = _window(some, draws[chosen], span, config.window)
            parts.append(crops._replace(metric=torch.zeros_like(crops.metric)))
    return Batch(*(torch.cat(field) for field in zip(*parts, strict=True)))


def _window(batch: Batch, draws: Float[Tensor, "b 3"], span: int, side: int) -> Batch:
    """Crop a square of `span` pixels out of each picture, and resize it to `side` pixels."""
    corners = (draws[:, :2] * (batch.image.shape[-1] - span + 1)).long().tolist()

    def crop(maps: Tensor) -> Tensor:
        squares = [
            planes[..., top : top + span, left : left + span]
            for planes, (top, left) in zip(maps, corners, strict=True)
        ]
        return torch.stack(squares)

    cropped = batch._replace(
        image=resize(crop(batch.image), side), inverse=crop(batch.inverse), mask=crop(batch.mask)
    )
    return shrink_truth(cropped, side // 2)


def window_encoders(model: DepthPro) -> list[nn.Module]:
    """Return the network's encoders: of patches, of the image, and of the field of view."""
    encoders = [model.encoder.patch_encoder, model.encoder.image_encoder]
    return encoders if model.fov is None else [*encoders, model.fov.encoder[0]]


def copy_to_encoders(encoder: nn.Module, model: DepthPro) -> None:
    """Copy one encoder's weights into all of the network's encoders."""
    for target in window_encoders(model):
        target.load_state_dict(encoder.state_dict())


def load_pretrained(name: str, model: DepthPro) -> None:
    """Start all encoders from "imagenet", weights of a convolutional stem, or from a DINOv2.

    Raises:
        ValueError: If the weights cannot be found or do not fit the network.
    """
    if model.config.stem == "patch":
        copy_to_encoders(load_dinov2(name, model.config), model)
        return
    if name != "imagenet":
        raise ValueError(
            f'a convolutional stem starts from "imagenet", got {name!r}; a DINOv2 fits stem="patch"'
        )
    values = load_imagenet().state_dict()
    for encoder in window_encoders(model):
        assert isinstance(encoder, HybridEncoder)
        encoder.stem.load_state_dict(values)


def load_dinov2(name: str, config: DepthProConfig) -> VisionTransformer:
    """Return a timm DINOv2 as the network's ViT, converted by `to_patch16`.

    `name` is a timm model, which is downloaded, or `NAME=FILE` for weights of that model in a file.

    Raises:
        ValueError: If the weights cannot be found or do not fit the config.

    Source: Appendix B.3; FACTS 1.1: the patch embedding is interpolated and scaled by (14/16)^2.
    """
    name, _, file = name.partition("=")
    if file and not Path(file).is_file():
        raise ValueError(f"there is no file {file} with weights of {name}")
    try:
        source = timm.create_model(
            name, pretrained=not file, num_classes=0, checkpoint_path=file or ""
        )
    except Exception as error:  # timm and the hub raise many kinds
        raise ValueError(
            f"timm cannot give {name!r} ({type(error).__name__}: {error}); pretrain with the "
            "phase `encoders` instead, or name a file: NAME=FILE"
        ) from error
    vit = build_vit(config)
    try:
        vit.load_state_dict(to_patch16(source.state_dict(), config))
    except RuntimeError as error:
        raise ValueError(f"{name} does not fit {config}: {error}") from error
    return vit


def to_patch16(state: dict[str, Tensor], config: DepthProConfig) -> dict[str, Tensor]:
    """Resample a ViT's weights to the network's patch and window.

    The kernel is interpolated bicubically and scaled by the ratio of areas, so that a constant
    picture gives the same tokens; positions are resampled to the window's grid.
    """
    kernel = state["patch_embed.proj.weight"]
    before = kernel.shape[-1]
    if before != config.patch:
        kernel = F.interpolate(kernel, size=(config.patch,) * 2, mode="bicubic")
        kernel = kernel * (before / config.patch) ** 2
    positions = resample_abs_pos_embed(state["pos_embed"], [config.tokens] * 2)
    return state | {"patch_embed.proj.weight": kernel, "pos_embed": positions}
