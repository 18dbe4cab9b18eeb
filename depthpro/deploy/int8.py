"""Transformer blocks in int8 on a CPU: their layers take half of bfloat16's time and memory."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from depthpro.precision import has_instructions

_SMALLEST = 1e-6  # scale of a token that is zero throughout


class Int8Linear(nn.Module):
    """A linear layer whose weights and input are rounded to 8 bits, for inference.

    Each output has a scale for its weights, and each token one of its own, found as it comes: a few
    tokens of a trained ViT are many times larger than all others, which a common scale would round
    away. Products are summed in int32.
    """

    def __init__(self, linear: nn.Linear) -> None:
        """Take a layer's weights, of any precision."""
        super().__init__()
        weight = linear.weight.detach().float()
        self.scale = weight.abs().amax(1).clamp(min=_SMALLEST) / 127
        rounded = (weight / self.scale[:, None]).round().to(torch.int8)
        self.packed = torch.ops.onednn.qlinear_prepack(rounded, None)
        self.zeros = torch.zeros(len(weight), dtype=torch.int64)
        self.bias = None if linear.bias is None else linear.bias.detach().float()
        # oneDNN reads inputs from 0 to 255. Without VNNI it adds two products in 16 bits, which
        # only hold those of 7 bits. One level of each is spare, since bfloat16 may round up.
        self.levels = 126 if has_instructions("vnni") else 62

    def forward(self, x: Float[Tensor, "*n i"]) -> Float[Tensor, "*n o"]:
        """Return what the layer does, in the type that autocast asks for, else in that of x."""
        if torch.is_autocast_enabled("cpu"):
            x = x.to(torch.get_autocast_dtype("cpu"))
        # Scales may be too small for float16.
        dtype = torch.bfloat16 if x.dtype == torch.bfloat16 else torch.float32
        tokens, zero = x.flatten(0, -2).to(dtype), self.levels + 2
        scale = tokens.abs().amax(1, keepdim=True).clamp_(min=_SMALLEST) / self.levels
        bytes_ = (tokens / scale).round_().to(torch.int8).view(torch.uint8).add_(zero)
        nothing = None, 1.0, 0, dtype, "none", [], ""  # no bias, no rounding, no activation
        product = torch.ops.onednn.qlinear_pointwise(
            bytes_, 1.0, zero, self.packed, self.scale, self.zeros, *nothing
        )
        product *= scale
        if self.bias is not None:
            product += self.bias.to(dtype)
        return product.to(x.dtype).unflatten(0, x.shape[:-1])

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        raise ValueError(
            "weights in int8 are for `infer` alone: load them in another dtype to save them"
        )


def quantise(model: nn.Module) -> None:
    """Put linear layers in int8 in the place of all those of a network's transformer blocks.

    Raises:
        ValueError: If this processor, or torch's build for it, cannot compute them.
    """
    from timm.models.vision_transformer import Block

    if "AVX" not in torch.backends.cpu.get_cpu_capability():  # others may take minutes a layer
        raise ValueError("int8 needs an x86 processor with AVX2: take dtype=torch.float16")
    blocks = [module for module in model.modules() if isinstance(module, Block)]
    for parent in (module for block in blocks for module in block.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear):
                setattr(parent, name, _quantised(child))
    for weight in model.parameters():  # all of a file stays in memory while one tensor reads it
        weight.data = weight.detach().clone()


def _quantised(linear: nn.Linear) -> Int8Linear:
    try:
        layer = Int8Linear(linear)
        layer(torch.ones(1, linear.in_features))
    except (RuntimeError, AttributeError) as error:  # without oneDNN the operations are not there
        raise ValueError(
            f"int8 cannot be computed here ({str(error).partition(chr(10))[0]}): it needs torch "
            "with oneDNN; take dtype=torch.float16"
        ) from None
    return layer
