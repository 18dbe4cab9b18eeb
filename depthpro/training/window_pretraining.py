"""The encoders' initial weights: DINOv2, ImageNet, and pretraining on single windows.

A small network learns many times faster on single windows than as a whole: whole pictures at the
coarsest scale (metric depth, field of view) and crops at the finer ones (depth up to scale and
shift). One encoder learns both, and becomes all three, as one DINOv2 does in the paper.
"""

from typing import NamedTuple, cast

import timm
import torch
from jaxtyping import Float
from timm.layers.pos_embed import resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from depthpro.config import DepthProConfig
from depthpro.data.batches import Batch, shrink_truth
from depthpro.decoder import FusionBlock
from depthpro.model import DepthPro
from depthpro.precision import in_float32
from depthpro.preprocess import resize
from depthpro.stem import TAP_DIMS, HybridEncoder, load_imagenet
from depthpro.vit import build_encoder, build_vit, encode

_DIM = 48
_WINDOW_NUMBERS = slice(14, 17)  # of `Batch.random`


class Estimate(NamedTuple):
    """Canonical inverse depth and field of view; None where a phase's network has none."""

    inverse: Float[Tensor, "b h w"] | None
    fov_deg: Float[Tensor, " b"] | None


class WindowOutputs(NamedTuple):
    """Predictions for windows, at half of their side."""

    inverse: Float[Tensor, "n h h"]  # canonical, of whole pictures; may be negative
    relative: Float[Tensor, "n h h"]  # inverse depth, normalised as by `losses.ssi_normalize`
    fov_deg: Float[Tensor, " n"]


class WindowNetwork(nn.Module):
    """One encoder with a light decoder, which fuses its map and both finer ones."""

    def __init__(self, config: DepthProConfig) -> None:
        """Build the network with random weights."""
        super().__init__()
        self.config = config
        self.encoder = build_encoder(config)
        self.encoders = [self.encoder]
        dims = (config.dim, config.dim) if config.stem == "patch" else TAP_DIMS
        self.necks = nn.ModuleList(nn.Conv2d(dim, _DIM, 1) for dim in (*dims, config.dim))
        self.fusions = nn.ModuleList(FusionBlock(_DIM, upsample=True) for _ in self.necks)
        self.head = nn.Sequential(
            nn.Conv2d(_DIM, _DIM // 2, 3, padding=1), nn.ReLU(), nn.Conv2d(_DIM // 2, 2, 1)
        )
        self.fov = nn.Sequential(nn.Linear(config.dim, 64), nn.GELU(), nn.Linear(64, 1))

    def forward(self, windows: Float[Tensor, "n 3 w w"]) -> WindowOutputs:
        """Return both kinds of inverse depth, and the field of view, for windows in [-1, 1]."""
        tokens, taps = encode(self.encoder, windows, self.config.taps)
        # A ViT's taps are at stride 16 and come to strides 4 and 8, where a stem's are.
        sides = (self.config.window // stride for stride in (4, 8, 16))
        maps = zip(self.necks, (*taps, tokens), sides, strict=True)
        fine, middle, x = (resize(neck(part), side) for neck, part, side in maps)
        x = self.fusions[2](x)
        x = self.fusions[1](x, middle)
        x = self.fusions[0](x, fine)
        fov_deg = self.fov(tokens.mean((2, 3))).flatten()
        with in_float32(x):
            inverse, relative = self.head(x.float()).unbind(1)
        return WindowOutputs(inverse, relative, fov_deg.float())

    def estimate(self, image: Float[Tensor, "b 3 _s _s"]) -> Estimate:
        """Predict whole pictures of any side, each as one window."""
        predicted = self(resize(image, self.config.window))
        return Estimate(predicted.inverse.clamp(min=0), predicted.fov_deg)


def cut_windows(batch: Batch, config: DepthProConfig) -> Batch:
    """Return all pictures whole, then a random window of a finer scale of each.

    Maps have half of a window's side, as `WindowNetwork` predicts them. The windows of finer scales
    are not metric: a part of a picture does not show its scale.
    """
    parts = [batch]
    for number, (down, across, level) in enumerate(batch.random[:, _WINDOW_NUMBERS].tolist()):
        picture = Batch(*(field[number : number + 1] for field in batch))
        span = config.window if level < 0.5 else 2 * config.window
        top, left = (int(share * (config.image_size - span + 1)) for share in (down, across))
        image, inverse, mask = (
            maps[..., top : top + span, left : left + span] for maps in picture[:3]
        )
        metric = torch.zeros_like(picture.metric)
        parts.append(picture._replace(image=image, inverse=inverse, mask=mask, metric=metric))
    windows = [part._replace(image=resize(part.image, config.window)) for part in parts]
    windows = [shrink_truth(part, config.window // 2) for part in windows]
    return Batch(*(torch.cat(field) for field in zip(*windows, strict=True)))


def window_encoders(model: DepthPro) -> list[nn.Module]:
    """Return the network's encoders: of patches, of the image, and of the field of view."""
    encoders = [model.encoder.patch_encoder, model.encoder.image_encoder]
    return encoders if model.fov is None else [*encoders, model.fov.encoder[0]]


def copy_to_encoders(encoder: nn.Module, model: DepthPro) -> None:
    """Copy one encoder's weights into all of the network's encoders."""
    for target in window_encoders(model):
        target.load_state_dict(encoder.state_dict())


def load_pretrained(name: str, model: DepthPro) -> None:
    """Start all encoders from "imagenet", weights of a convolutional stem, or from a DINOv2."""
    if model.config.stem == "patch":
        copy_to_encoders(load_dinov2(name, model.config), model)
    elif name == "imagenet":
        values = load_imagenet().state_dict()
        for encoder in window_encoders(model):
            cast(HybridEncoder, encoder).stem.load_state_dict(values)
    else:
        raise ValueError(
            f'a convolutional stem starts from "imagenet", got {name!r}; a DINOv2 fits stem="patch"'
        )


def load_dinov2(name: str, config: DepthProConfig) -> VisionTransformer:
    """Return a timm DINOv2, converted by `to_patch16`; a ValueError if there is none that fits.

    `name` is a timm model, which is downloaded, or `NAME=FILE` for its weights in a file.
    """
    name, _, file = name.partition("=")
    vit = build_vit(config)
    try:
        source = timm.create_model(name, not file, checkpoint_path=file, num_classes=0)
        vit.load_state_dict(to_patch16(source.state_dict(), config))
    except Exception as error:  # timm and the hub raise many kinds
        raise ValueError(
            f"no DINOv2 {name!r} {file} for {config} ({type(error).__name__}: {error}); pretrain "
            "with the phase `encoders` instead, or name a file: NAME=FILE"
        ) from error
    return vit


def to_patch16(state: dict[str, Tensor], config: DepthProConfig) -> dict[str, Tensor]:
    """Resample a ViT's weights to the network's patch and window (Appendix B.3).

    The kernel is scaled by the ratio of areas, so that a constant picture gives the same tokens.
    """
    kernel = state["patch_embed.proj.weight"]
    ratio = kernel.shape[-1] / config.patch
    kernel = F.interpolate(kernel, size=(config.patch,) * 2, mode="bicubic") * ratio**2
    positions = resample_abs_pos_embed(state["pos_embed"], [config.tokens] * 2)
    return state | {"patch_embed.proj.weight": kernel, "pos_embed": positions}
