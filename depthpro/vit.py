"""One window's encoder, read out as feature maps: timm's vision transformer, or the hybrid."""

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from depthpro.config import DepthProConfig
from depthpro.precision import has_instructions, in_parts
from depthpro.stem import HybridEncoder, TokensAndTaps

if TYPE_CHECKING:  # timm takes as long to import as torch
    from timm.models.vision_transformer import VisionTransformer

LAYER_SCALE = 1e-5  # DINOv2's initial LayerScale; pretrained weights replace it
_MANY_TOKENS = 256  # of a window: with fewer, calls of torch take longer than what they compute
_TOKENS_AT_ONCE = 2400  # of four published windows: what a block computes then stays in the caches


def build_encoder(config: DepthProConfig) -> nn.Module:
    """Return the encoder of one window, with random weights."""
    return build_vit(config) if config.stem == "patch" else HybridEncoder(config)


def build_vit(config: DepthProConfig) -> "VisionTransformer":
    """Return a DINOv2 ViT for one window (Table 8): class token, LayerScale, no registers."""
    from timm.models.vision_transformer import VisionTransformer

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
    encoder: nn.Module, windows: Float[Tensor, "n 3 w w"], taps: Sequence[int] = ()
) -> TokensAndTaps:
    """Return the map of the last block's normalised tokens, and the two finer maps, finest first.

    Of a ViT these are the raw tokens of the blocks `taps`; a hybrid encoder always returns its own.
    """
    if not in_parts(windows):
        return _encode(encoder, windows, taps)
    tokens = (windows.shape[-1] // 16) ** 2
    half = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    slow = half and tokens >= _MANY_TOKENS and not has_instructions("amx_tile")
    with AttentionByWindow() if slow else contextlib.nullcontext():
        parts = [
            _encode(encoder, each, taps)
            for each in windows.split(max(1, _TOKENS_AT_ONCE // tokens))
        ]
    maps, tapped = zip(*parts, strict=True)
    return torch.cat(maps), [torch.cat(tap) for tap in zip(*tapped, strict=True)]


class AttentionByWindow(TorchFunctionMode):
    """Computes attention as products and a softmax, a window at a time.

    In bfloat16 this stays in the caches and takes 0.7 of the time of torch's function, which gains
    from that type on processors with AMX alone.
    """

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call the function, or take its place."""
        given = kwargs or {}
        plain = given.get("attn_mask") is None and not given.get("is_causal")
        if func is F.scaled_dot_product_attention and plain:
            return torch.stack([_attend(*window) for window in zip(*args[:3], strict=True)])
        return func(*args, **given)


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Float[Tensor, "heads tokens d"]:
    query, key, value = (each.contiguous() for each in (query, key, value))
    weights = torch.softmax(torch.matmul(query * query.shape[-1] ** -0.5, key.mT), dim=-1)
    return torch.matmul(weights, value)


def _encode(encoder: nn.Module, windows: Tensor, taps: Sequence[int]) -> TokensAndTaps:
    if isinstance(encoder, HybridEncoder):
        return encoder(windows)
    encoder = cast("VisionTransformer", encoder)
    if not taps:
        return to_map(encoder.forward_features(windows)[:, encoder.num_prefix_tokens :]), []
    tokens, tapped = cast(
        tuple[Tensor, list[Tensor]],
        encoder.forward_intermediates(windows, indices=list(taps), output_fmt="NLC"),
    )
    return to_map(tokens[:, encoder.num_prefix_tokens :]), [to_map(tap) for tap in tapped]


def to_map(tokens: Float[Tensor, "n t d"]) -> Float[Tensor, "n d h h"]:
    """Return tokens as the square grid of their patches."""
    side = math.isqrt(tokens.shape[1])
    return torch.unflatten(tokens.mT, 2, (side, side))
