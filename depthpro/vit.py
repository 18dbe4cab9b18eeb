"""The vision transformer: timm's, read out as feature maps."""

from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from depthpro.config import DepthProConfig

LAYER_SCALE = 1e-5  # DINOv2's initial LayerScale; pretrained weights replace it


def build_vit(config: DepthProConfig) -> VisionTransformer:
    """Return a DINOv2-style ViT for one window: class token, LayerScale, no registers, no head.

    Source: Section 3.1 and Table 8, "DINOv2"; FACTS 1.1.
    """
    return VisionTransformer(
        img_size=config.window,
        patch_size=config.patch,
        embed_dim=config.dim,
        depth=config.depth,
        num_heads=config.heads,
        init_values=LAYER_SCALE,
        num_classes=0,
    )


def encode(
    vit: VisionTransformer, windows: Float[Tensor, "n 3 w w"], taps: Sequence[int] = ()
) -> tuple[Float[Tensor, "n t d"], list[Float[Tensor, "n t d"]]]:
    """Return the normalised patch tokens of the last block, and raw tokens of the tapped blocks.

    Class tokens are dropped. Windows are in [-1, 1].

    Source: FACTS 1.3: taps are block outputs before any norm; only the last passes LayerNorm.
    """
    tapped: list[Tensor] = []
    if taps:
        last, tapped = cast(
            tuple[Tensor, list[Tensor]],
            vit.forward_intermediates(windows, indices=list(taps), output_fmt="NLC"),
        )
    else:
        last = vit.forward_features(windows)
    return last[:, vit.num_prefix_tokens :], tapped


def to_map(tokens: Float[Tensor, "n t d"]) -> Float[Tensor, "n d h h"]:
    """Return tokens laid out as the square grid that they came from."""
    side = round(tokens.shape[1] ** 0.5)
    return torch.unflatten(tokens.mT, 2, (side, side))
