"""Encoders before the network: trained on single windows, or taken from DINOv2.

The paper starts from DINOv2. A small network that starts from nothing learns fifty times faster on
single windows than as a whole: the whole picture at the coarsest scale (metric depth, field of
view) and crops at the finer ones (depth up to scale and shift). One ViT learns both, and becomes
the patch encoder, the image encoder and the field-of-view encoder, as one DINOv2 does.
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
from depthpro.data import Batch
from depthpro.encoder import resize
from depthpro.model import DepthPro
from depthpro.vit import build_vit, encode, to_map

CROPS = (0, 1)
"""Levels of the pyramid that a picture's crops are cut from; 0 is the finest."""


class Windows(NamedTuple):
    """What the windows of a batch show: the whole pictures, then every crop of every picture."""

    whole: Float[Tensor, "b w w"]
    crops: Float[Tensor, "n w w"]
    fov_deg: Float[Tensor, " b"]


class WindowNetwork(nn.Module):
    """One ViT and linear readers, each of which draws a token's patch in inverse depth.

    Readers of both taps and of the last block are added, so that the taps learn to carry edges.
    """

    def __init__(self, config: DepthProConfig) -> None:
        """Build the network with random weights."""
        super().__init__()
        self.config = config
        self.vit = build_vit(config)
        self.whole = self._readers()
        self.crops = self._readers()
        self.fov = nn.Linear(config.dim, 1)
        nn.init.constant_(self.fov.bias, 60.0)  # degrees, an ordinary lens
        nn.init.normal_(self.fov.weight, std=0.02)

    def _readers(self) -> nn.ModuleList:
        return nn.ModuleList(
            nn.Linear(self.config.dim, self.config.patch**2) for _ in (*self.config.taps, "last")
        )

    def forward(self, whole: Float[Tensor, "b 3 w w"], crops: Float[Tensor, "n 3 w w"]) -> Windows:
        """Return inverse depth and field of view of whole pictures, and inverse depth of crops."""
        last, taps = encode(self.vit, torch.cat([whole, crops]), self.config.taps)
        counts = [len(whole), len(crops)]
        drawn = [
            torch.stack([reader(tokens.split(counts)[part]) for reader, tokens in pairs]).sum(0)
            for part, readers in enumerate((self.whole, self.crops))
            for pairs in [zip(readers, (*taps, last), strict=True)]
        ]
        maps = [F.pixel_shuffle(to_map(part), self.config.patch)[:, 0].float() for part in drawn]
        fov_deg = self.fov(last[: len(whole)].mean(1)).flatten().float()
        return Windows(maps[0], maps[1], fov_deg)


def cut_crops(batch: Batch, config: DepthProConfig) -> Batch:
    """Return random windows of the finer scales of every picture, as pictures of their own.

    All pictures' first crop comes first. They are not metric: a crop does not show its scale.
    """
    parts: list[Batch] = []
    for number, level in enumerate(CROPS):
        side = config.pyramid[level].side
        image = resize(batch.image, side)
        maps = torch.stack([batch.inverse, batch.mask.float()], dim=1)
        maps = F.interpolate(maps, size=(side, side), mode="nearest-exact")
        places = (batch.dice[:, 2 * number : 2 * number + 2] * (side - config.window + 1)).long()
        cut = [
            stack[:, top : top + config.window, left : left + config.window]
            for stack, (top, left) in zip(
                torch.cat([image, maps], dim=1), places.tolist(), strict=True
            )
        ]
        window, inverse, mask = torch.stack(cut).split([3, 1, 1], dim=1)
        metric = torch.zeros_like(batch.metric)
        parts.append(
            batch._replace(image=window, inverse=inverse[:, 0], mask=mask[:, 0] > 0, metric=metric)
        )
    return Batch(*(torch.cat(field) for field in zip(*parts, strict=True)))


def shrink(batch: Batch, side: int) -> Batch:
    """Return whole pictures at a smaller size, depth by the nearest pixel."""
    maps = torch.stack([batch.inverse, batch.mask.float()], dim=1)
    maps = F.interpolate(maps, size=(side, side), mode="nearest-exact")
    return batch._replace(image=resize(batch.image, side), inverse=maps[:, 0], mask=maps[:, 1] > 0)


def give_encoders(vit: VisionTransformer, model: DepthPro) -> None:
    """Copy one ViT's weights into all of the network's ViTs."""
    state = vit.state_dict()
    targets = [model.encoder.patch_encoder, model.encoder.image_encoder]
    if model.fov is not None:
        targets.append(model.fov.encoder[0])  # pyright: ignore[reportArgumentType]
    for target in targets:
        target.load_state_dict(state)


def load_dinov2(name: str, config: DepthProConfig) -> VisionTransformer:
    """Return a timm DINOv2 as the network's ViT: patches of 14 pixels become 16, in other windows.

    Args:
        name: A timm model name, which is downloaded, or `NAME=FILE` for weights of that model in a
            file.
        config: Of the network.

    Raises:
        ValueError: If the weights cannot be had or do not fit the config.

    Source: Appendix B.3; FACTS 1.1: the patch embedding is interpolated and scaled by (14/16)^2.
    """
    name, _, file = name.partition("=")
    if file and not Path(file).is_file():
        raise ValueError(f"there is no file {file}, which should have the weights of {name}")
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
    """Return a ViT's weights for the network's patch and window; all else stays.

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
