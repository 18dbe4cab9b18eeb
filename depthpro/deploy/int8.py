"""Layers in int8 on a CPU: they take half of bfloat16's time and memory.

Weights and inputs are rounded to 8 bits, and products are summed in int32. Weights have a scale for
each output, inputs one that is found as they come.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from depthpro.decoder import ResidualBlock
from depthpro.precision import has_instructions

_SMALLEST = 1e-6  # scale of an input that is zero throughout
_AS_IT_IS = 1.0, 0  # scale and zero of a result that is not rounded again
_ALONE = "none", [], ""  # no operation after the product


class _Int8Layer(nn.Module):
    """Weights in int8, for inference."""

    def __init__(self, layer: nn.Linear | nn.Conv2d) -> None:
        """Take a layer's weights, of any precision."""
        super().__init__()
        weight = layer.weight.detach().float()
        scale = weight.flatten(1).abs().amax(1).clamp(min=_SMALLEST) / 127
        self.rounded = (weight / scale.view(-1, *[1] * (weight.ndim - 1))).round().to(torch.int8)
        self.weight_scale, self.weight_zero = scale, torch.zeros(len(scale), dtype=torch.int64)
        self.bias = None if layer.bias is None else layer.bias.detach().float()
        # oneDNN reads inputs from 0 to 255. Without VNNI it adds two products in 16 bits, which
        # only hold those of 7 bits. Two levels are spare, since bfloat16 may round up.
        self.levels = 253 if has_instructions("vnni") else 125

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        raise ValueError(
            "weights in int8 are for `infer` alone: load them in another dtype to save them"
        )


class Int8Linear(_Int8Layer):
    """A linear layer; each token has its own scale.

    A few tokens of a trained ViT are many times larger than all others, which a common scale would
    round away.
    """

    def __init__(self, layer: nn.Linear) -> None:
        """Take a layer's weights, of any precision."""
        super().__init__(layer)
        self.packed = torch.ops.onednn.qlinear_prepack(self.rounded, None)
        del self.rounded

    def forward(self, x: Float[Tensor, "*n i"]) -> Float[Tensor, "*n o"]:
        """Return what the layer does, in the type that autocast asks for, else in that of x."""
        tokens = _computed(x).flatten(0, -2)
        most = self.levels // 2
        scale = tokens.abs().amax(1, keepdim=True).clamp_(min=_SMALLEST) / most
        bytes_ = (tokens / scale).round_().to(torch.int8).view(torch.uint8).add_(most + 2)
        product = torch.ops.onednn.qlinear_pointwise(
            bytes_, 1.0, most + 2, self.packed, self.weight_scale, self.weight_zero,
            None, *_AS_IT_IS, tokens.dtype, *_ALONE,
        )  # fmt: skip
        product *= scale
        if self.bias is not None:
            product += self.bias.to(product.dtype)
        return product.to(_wanted(x)).unflatten(0, x.shape[:-1])


class Int8Conv2d(_Int8Layer):
    """A convolution of a map without negative values, which has one scale."""

    def __init__(self, layer: nn.Conv2d) -> None:
        """Take a layer's weights, of any precision."""
        super().__init__(layer)
        self.shape = [layer.stride, layer.padding, layer.dilation, layer.groups]
        self.packed = torch.ops.onednn.qconv_prepack(
            self.rounded, self.weight_scale, 1.0, 0, *self.shape
        )
        del self.rounded

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o _h _w"]:
        """Return what the layer does, in the type that autocast asks for, else in that of x."""
        image = _computed(x)
        scale = image.amax().clamp_(min=_SMALLEST).item() / self.levels
        bytes_ = (image * (1 / scale)).round_().to(torch.uint8)
        result = torch.ops.onednn.qconv2d_pointwise(
            bytes_, scale, 0, self.packed, self.weight_scale, self.weight_zero,
            self.bias, *self.shape, *_AS_IT_IS, image.dtype, *_ALONE,
        )  # fmt: skip
        return result.to(_wanted(x))


def _wanted(x: Tensor) -> torch.dtype:
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype


def _computed(x: Tensor) -> Tensor:
    """Return x in the type that is wanted, or float32: scales may be too small for float16."""
    return x.to(torch.bfloat16 if _wanted(x) == torch.bfloat16 else torch.float32)


def quantise(model: nn.Module) -> None:
    """Put int8 in the place of the layers that take the time.

    These are the linear layers of a network's transformer blocks, and the convolutions of the
    decoder's residual blocks.

    Raises:
        ValueError: If torch's build cannot compute them; for processors see `require_int8`.
    """
    from timm.models.vision_transformer import Block

    kinds = {Block: (nn.Linear, Int8Linear), ResidualBlock: (nn.Conv2d, Int8Conv2d)}
    for block in list(model.modules()):
        old, new = kinds.get(type(block), (None, None))
        for parent in block.modules() if old else ():
            for name, child in list(parent.named_children()):
                if isinstance(child, old):
                    setattr(parent, name, _checked(new, child))
    for weight in model.parameters():  # all of a file stays in memory while one tensor reads it
        weight.data = weight.detach().clone()


def _checked(kind: type[Int8Linear] | type[Int8Conv2d], layer: Any) -> nn.Module:
    """Return a layer in int8 that computed something."""
    try:
        quantised = kind(layer)
        quantised(torch.ones(1, layer.weight.shape[1], *[3] * (layer.weight.ndim - 2)))
    except (RuntimeError, AttributeError) as error:  # without oneDNN the operations are not there
        raise ValueError(
            f"int8 cannot be computed here ({str(error).partition(chr(10))[0]}): it needs torch "
            "with oneDNN; leave int8 out"
        ) from None
    return quantised
