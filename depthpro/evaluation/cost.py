"""Parameters and FLOPs of each part of a network, counted without computing."""

from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from depthpro.config import DepthProConfig
from depthpro.model import DepthPro


class Part(NamedTuple):
    """Cost of a part of the network for one picture."""

    name: str
    parameters: int
    flops: int
    """Multiplications and additions, each counted, of products of matrices and convolutions."""


def count(config: DepthProConfig) -> list[Part]:
    """Return the cost of each part; the sum is that of the network.

    On the meta device: no weights are made, whatever the size.
    """
    windows = sum(level.grid**2 for level in config.pyramid)
    with torch.device("meta"):
        model = DepthPro(config)
        image = torch.empty(1, 3, config.image_size, config.image_size)
    encoder = model.encoder
    with torch.inference_mode():
        one_window, _ = _flops(encoder.image_encoder, image[..., : config.window, : config.window])
        encoding, features = _flops(encoder, image)
        decoding, (decoded, lowres) = _flops(model.decoder, features)
        head, _ = _flops(model.head, decoded)
        vit = _parameters(encoder.patch_encoder)
        parts = [
            Part("patch encoder", vit, windows * one_window),
            Part("image encoder", vit, one_window),
            Part("necks", _parameters(encoder) - 2 * vit, encoding - (windows + 1) * one_window),
            Part("decoder", _parameters(model.decoder), decoding),
            Part("depth head", _parameters(model.head), head),
        ]
        if model.fov is not None:
            flops, _ = _flops(model.fov, image, lowres)
            parts.append(Part("field of view", _parameters(model.fov), flops))
    return parts


def total(parts: list[Part]) -> Part:
    """Return the sum."""
    return Part("all", sum(part.parameters for part in parts), sum(part.flops for part in parts))


def _parameters(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())


def _flops(module: nn.Module, *inputs: Any) -> tuple[int, Any]:
    with FlopCounterMode(display=False) as counter:
        outputs = module(*inputs)
    return counter.get_total_flops(), outputs
