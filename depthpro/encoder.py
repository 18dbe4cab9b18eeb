"""The multi-scale encoder: a pyramid cut into windows, one ViT over all of them, merged maps."""

from typing import cast

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from depthpro.config import DepthProConfig, PyramidLevel
from depthpro.vit import build_vit, encode, to_map


def split(
    image: Float[Tensor, "b c s s"], window: int, stride: int
) -> Float[Tensor, "n c {window} {window}"]:
    """Return overlapping windows: row by row over the grid, all pictures of a window together.

    Window `i` of picture `j` has index `i * b + j`, the order of the published weights' code.

    Source: Section 3.1; FACTS 1.2.
    """
    grid = image.unfold(2, window, stride).unfold(3, window, stride)  # (b c rows cols w w)
    return grid.permute(2, 3, 0, 1, 4, 5).flatten(0, 2)  # (n c w w)


def merge(windows: Float[Tensor, "n d t t"], grid: int, trim: int) -> Float[Tensor, "b d h h"]:
    """Return one map from the feature maps of `grid * grid` windows, in the order of `split`.

    Where windows overlap, each keeps what is nearer to its own centre (the paper's Voronoi
    partition): on a regular grid, `trim` tokens are cut from every inner edge.

    Source: Appendix C.1; FACTS 1.2.
    """
    side = windows.shape[-1]
    kept = [slice(trim if i > 0 else 0, side - trim if i < grid - 1 else side) for i in range(grid)]
    return stitch(windows.unflatten(0, (grid, grid, -1)), kept, kept)


def stitch(
    windows: Float[Tensor, "rows columns b d t t"], down: list[slice], across: list[slice]
) -> Float[Tensor, "b d h w"]:
    """Return one map of the part `down[i], across[j]` of every window (i, j) of a grid."""
    rows = [
        torch.cat([windows[i, j, :, :, part, kept] for j, kept in enumerate(across)], dim=-1)
        for i, part in enumerate(down)
    ]
    return torch.cat(rows, dim=-2)


def _neck(dim_in: int, dim_mid: int, dim_out: int, ups: int) -> nn.Sequential:
    """Return a 1x1 projection and `ups` doublings of the resolution, none with bias."""
    layers: list[nn.Module] = [nn.Conv2d(dim_in, dim_mid, 1, bias=False)]
    for i in range(ups):
        layers.append(
            nn.ConvTranspose2d(dim_mid if i == 0 else dim_out, dim_out, 2, stride=2, bias=False)
        )
    return nn.Sequential(*layers)


class Encoder(nn.Module):
    """Five feature maps of an image, finest first, with 48, 24, 12, 6 and 3 cells per 8 patches.

    One ViT reads the windows of all three scales; a second one, with weights of its own, reads
    the whole image at the coarsest scale.

    Source: Section 3.1, Figure 3; FACTS 1.3.
    """

    def __init__(self, config: DepthProConfig) -> None:
        """Build both ViTs and the necks, with random weights."""
        super().__init__()
        self.config = config
        dim, (latent1, fine, middle, coarse) = config.dim, config.neck_dims
        self.patch_encoder = build_vit(config)
        self.image_encoder = build_vit(config)
        self.upsample_latent0 = _neck(dim, latent1, config.decoder_dim, ups=3)
        self.upsample_latent1 = _neck(dim, latent1, latent1, ups=2)
        self.upsample0 = _neck(dim, fine, fine, ups=1)
        self.upsample1 = _neck(dim, middle, middle, ups=1)
        self.upsample2 = _neck(dim, coarse, coarse, ups=1)
        self.upsample_lowres = nn.ConvTranspose2d(dim, coarse, 2, stride=2)
        self.fuse_lowres = nn.Conv2d(2 * coarse, coarse, 1)

    def forward(self, image: Float[Tensor, "b 3 s s"]) -> list[Float[Tensor, "b _d _h _h"]]:
        """Return the maps for an image in [-1, 1]: latent0, latent1, x0, x1 and the fused x2."""
        finest, middle, coarse = self.config.pyramid
        levels = [resize(image, level.side) for level in self.config.pyramid]
        windows = [
            split(level_image, self.config.window, level.stride)
            for level_image, level in zip(levels, self.config.pyramid, strict=True)
        ]
        tokens, taps = encode(self.patch_encoder, torch.cat(windows), self.config.taps)
        # Only the finest windows' taps are read.
        latent0, latent1 = (_merged(tap[: len(windows[0])], finest) for tap in taps)
        x0, x1, x2 = (
            _merged(part, level)
            for part, level in zip(
                tokens.split([len(part) for part in windows]), (finest, middle, coarse), strict=True
            )
        )
        whole, _ = encode(self.image_encoder, levels[-1])
        lowres = torch.cat([self.upsample2(x2), self.upsample_lowres(to_map(whole))], dim=1)
        return [
            self.upsample_latent0(latent0),
            self.upsample_latent1(latent1),
            self.upsample0(x0),
            self.upsample1(x1),
            self.fuse_lowres(lowres),
        ]


def resize(image: Float[Tensor, "b c h w"], side: int) -> Float[Tensor, "b c {side} {side}"]:
    """Return the image stretched to a square, bilinear without antialiasing.

    Source: FACTS 1.1: the published network was trained with exactly this.
    """
    if image.shape[-2:] == (side, side):
        return image
    return F.interpolate(image, size=(side, side), mode="bilinear", align_corners=False)


def resize_bytes(
    pictures: UInt8[Tensor, "b 3 h w"], side: int
) -> Float[Tensor, "b 3 {side} {side}"]:
    """Return what `resize` gives for the bytes as floats, but three times as fast.

    Of a large photo bilinear sampling reads few pixels, so only those become floats. Fast where
    the three channels of a pixel lie side by side in memory, as in photos.
    """
    height, width = pictures.shape[-2:]
    top, bottom, down = _neighbours(height, side, pictures.device)
    left, right, across = _neighbours(width, side, pictures.device)
    pixels = pictures.movedim(1, -1)  # (b h w 3)

    def sample(rows: Int[Tensor, " side"]) -> Tensor:
        line = pixels[:, rows]
        return torch.lerp(line[:, :, left].float(), line[:, :, right].float(), across[:, None])

    return torch.lerp(sample(top), sample(bottom), down[:, None, None]).movedim(-1, 1)


def _neighbours(size: int, side: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return the two source pixels of every target pixel along an axis, and the second's weight."""
    at = ((torch.arange(side, device=device) + 0.5) * (size / side) - 0.5).clamp(min=0)
    first = at.long().clamp(max=size - 1)
    return first, (first + 1).clamp(max=size - 1), at - first


def _merged(tokens: Float[Tensor, "n t d"], level: PyramidLevel) -> Float[Tensor, "b d h h"]:
    return cast(Tensor, merge(to_map(tokens), level.grid, level.trim))
