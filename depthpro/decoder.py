"""The decoder: five feature maps fused from coarse to fine, and the head that makes depth."""

from collections.abc import Sequence
from typing import cast

from jaxtyping import Float
from torch import Tensor, nn

from depthpro.config import DepthProConfig


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, each after a ReLU, added to the input."""

    def __init__(self, dim: int) -> None:
        """Build the block with random weights."""
        super().__init__()
        first, second = (nn.Conv2d(dim, dim, 3, padding=1) for _ in range(2))
        self.residual = nn.Sequential(nn.ReLU(), first, nn.ReLU(inplace=True), second)

    def forward(self, x: Float[Tensor, "b d h w"]) -> Float[Tensor, "b d h w"]:
        """Return the input plus its residual."""
        return x + self.residual(x)


class FusionBlock(nn.Module):
    """Adds a finer map to the coarser one, refines, and doubles the resolution, as in DPT."""

    def __init__(self, dim: int, *, upsample: bool) -> None:
        """Build the block; without `upsample` the resolution stays."""
        super().__init__()
        self.resnet1 = ResidualBlock(dim)
        self.resnet2 = ResidualBlock(dim)
        self.deconv = (
            nn.ConvTranspose2d(dim, dim, 2, stride=2, bias=False) if upsample else nn.Identity()
        )
        self.out_conv = nn.Conv2d(dim, dim, 1)

    def forward(
        self, x: Float[Tensor, "b d h w"], skip: Float[Tensor, "b d h w"] | None = None
    ) -> Float[Tensor, "b d _h _w"]:
        """Return the fused map."""
        return self.upscale(self.fuse(x, skip))

    def fuse(
        self, x: Float[Tensor, "b d h w"], skip: Float[Tensor, "b d h w"] | None = None
    ) -> Float[Tensor, "b d h w"]:
        """Return the fused map at its own resolution."""
        if skip is not None:
            x = x + self.resnet1(skip)
        return self.resnet2(x)

    def upscale(self, x: Float[Tensor, "b d h w"]) -> Float[Tensor, "b d _h _w"]:
        """Return a fused map at the next level's resolution."""
        return self.out_conv(self.deconv(x))


class Decoder(nn.Module):
    """Fuses the encoder's five maps into one at half the input resolution."""

    def __init__(self, config: DepthProConfig) -> None:
        """Build projections and fusions with random weights."""
        super().__init__()
        dim = config.decoder_dim
        convs = [nn.Conv2d(level, dim, 3, padding=1, bias=False) for level in config.neck_dims]
        self.convs = nn.ModuleList([nn.Identity(), *convs])  # the finest map has these channels
        self.fusions = nn.ModuleList(FusionBlock(dim, upsample=i > 0) for i in range(5))

    def forward(
        self, features: Sequence[Float[Tensor, "b _d _h _h"]]
    ) -> tuple[Float[Tensor, "b d h h"], Float[Tensor, "b d l l"]]:
        """Return the fused map, and the projected coarsest one, which the field of view reads.

        Without the finest maps, the result has twice the resolution of the finest one given.
        """
        first = 5 - len(features)
        projected = [conv(x) for conv, x in zip(list(self.convs)[first:], features, strict=True)]
        lowres = projected.pop()
        x = self.fusions[-1](lowres)
        for fusion in list(self.fusions)[first:-1][::-1]:
            x = fusion(x, projected.pop())
        return x, lowres

    def fuse(
        self, features: Sequence[Float[Tensor, "b _d _h _h"]]
    ) -> tuple[Float[Tensor, "b d h h"], Float[Tensor, "b d l l"]]:
        """Return the same before the last doubling: at the resolution of the finest map given."""
        level = 5 - len(features)
        x, lowres = self(features[1:])
        last = cast(FusionBlock, self.fusions[level])
        return last.fuse(x, self.convs[level](features[0])), lowres


def build_head(config: DepthProConfig) -> nn.Sequential:
    """Return the depth head: to full resolution and one channel, at 0 (infinity) or above."""
    dim = config.decoder_dim
    head = nn.Sequential(
        nn.Conv2d(dim, dim // 2, 3, padding=1),
        nn.ConvTranspose2d(dim // 2, dim // 2, 2, stride=2),
        nn.Conv2d(dim // 2, 32, 3, padding=1),  # 32 channels, as published, at every size
        nn.ReLU(inplace=True),
        nn.Conv2d(32, 1, 1),
        nn.ReLU(inplace=True),
    )
    nn.init.zeros_(head[4].bias)  # pyright: ignore[reportArgumentType]
    return head
