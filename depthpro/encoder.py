"""The multi-scale encoder: a pyramid cut into windows, one ViT over all of them, merged maps."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from depthpro.config import DepthProConfig, PyramidLevel
from depthpro.preprocess import resize
from depthpro.stem import TAP_DIMS
from depthpro.vit import build_encoder, encode


def split(
    image: Float[Tensor, "b c s s"], window: int, stride: int
) -> Float[Tensor, "n c {window} {window}"]:
    """Return overlapping windows: row by row over the grid, all pictures of a window together.

    Window `i` of picture `j` has index `i * b + j`, as in the published code.
    """
    grid = image.unfold(2, window, stride).unfold(3, window, stride)  # (b c rows cols w w)
    return grid.permute(2, 3, 0, 1, 4, 5).flatten(0, 2)  # (n c w w)


def merge(windows: Float[Tensor, "n d t t"], grid: int, trim: int) -> Float[Tensor, "b d h h"]:
    """Return one map from the feature maps of `grid * grid` windows, in the order of `split`.

    Where windows overlap, a token comes from the window with the nearest centre (the paper's
    Voronoi partition, Appendix C.1): `trim` tokens are cut from every inner edge of the grid.
    """
    side = windows.shape[-1]
    kept = [slice(trim if i > 0 else 0, side - trim if i < grid - 1 else side) for i in range(grid)]
    windows = windows.unflatten(0, (grid, grid, -1))
    rows = [
        torch.cat([windows[i, j, :, :, down, across] for j, across in enumerate(kept)], dim=-1)
        for i, down in enumerate(kept)
    ]
    return torch.cat(rows, dim=-2)


def _neck(dim_in: int, dim_mid: int, dim_out: int, ups: int) -> nn.Sequential:
    """Return a 1x1 projection and `ups` doublings of the resolution, none with bias."""
    dims = [dim_mid] + [dim_out] * ups
    doublings = (nn.ConvTranspose2d(a, b, 2, stride=2, bias=False) for a, b in pairwise(dims))
    return nn.Sequential(nn.Conv2d(dim_in, dim_mid, 1, bias=False), *doublings)


class Encoder(nn.Module):
    """Five feature maps of an image, finest first, with 48, 24, 12, 6 and 3 cells per 8 patches.

    One encoder reads the windows of all three scales, a second one the whole image at the coarsest
    scale (Section 3.1, Figure 3).
    """

    def __init__(self, config: DepthProConfig) -> None:
        """Build both window encoders and the necks, with random weights."""
        super().__init__()
        self.config = config
        dim, (latent1, fine, middle, coarse) = config.dim, config.neck_dims
        # Both taps of a ViT are at stride 16; those of a convolutional stem at strides 4 and 8.
        patch = config.stem == "patch"
        tap_dims, ups = ((dim, dim), (3, 2)) if patch else (TAP_DIMS, (1, 1))
        self.patch_encoder = build_encoder(config)
        self.image_encoder = build_encoder(config)
        self.upsample_latent0 = _neck(tap_dims[0], latent1, config.decoder_dim, ups[0])
        self.upsample_latent1 = _neck(tap_dims[1], latent1, latent1, ups[1])
        self.upsample0 = _neck(dim, fine, fine, ups=1)
        self.upsample1 = _neck(dim, middle, middle, ups=1)
        self.upsample2 = _neck(dim, coarse, coarse, ups=1)
        self.upsample_lowres = nn.ConvTranspose2d(dim, coarse, 2, stride=2)
        self.fuse_lowres = nn.Conv2d(2 * coarse, coarse, 1)

    def forward(
        self, image: Float[Tensor, "b 3 s s"], finest: int = 0
    ) -> list[Float[Tensor, "b _d _h _h"]]:
        """Return the maps for an image in [-1, 1]: latent0, latent1, x0, x1 and the fused x2.

        `finest` of the finest maps are left out, with the windows that only they need.
        """
        return self.project(self.read_windows(image, finest))

    def read_windows(
        self, image: Float[Tensor, "b 3 s s"], finest: int = 0
    ) -> list[Float[Tensor, "b _d _h _h"]]:
        """Return the merged maps of the windows, finest first, then the image encoder's."""
        skipped = max(finest - 2, 0)  # the finest windows make the first three maps
        levels, window = self.config.pyramid[skipped:], self.config.window
        windows = [split(resize(image, level.side), window, level.stride) for level in levels]
        maps, taps = encode(self.patch_encoder, torch.cat(windows), self.config.taps)
        parts = maps.split([part.shape[0] for part in windows])
        merged = [self._merged(part, level) for part, level in zip(parts, levels, strict=True)]
        if not skipped:
            merged = [self._merged(tap[: windows[0].shape[0]], levels[0]) for tap in taps] + merged
        whole, _ = encode(self.image_encoder, windows[-1])  # the coarsest level is one window
        return [*merged, whole][finest - 6 :]

    def project(self, maps: list[Float[Tensor, "b _d _h _h"]]) -> list[Tensor]:
        """Return the decoder's inputs, from the maps of `read_windows`."""
        *finer, x2, whole = maps
        necks = (self.upsample_latent0, self.upsample_latent1, self.upsample0, self.upsample1)
        features = [neck(x) for neck, x in zip(necks[4 - len(finer) :], finer, strict=True)]
        lowres = torch.cat([self.upsample2(x2), self.upsample_lowres(whole)], dim=1)
        return [*features, self.fuse_lowres(lowres)]

    def _merged(self, maps: Float[Tensor, "n d t t"], level: PyramidLevel) -> Tensor:
        return merge(maps, level.grid, level.trim * (maps.shape[-1] // self.config.tokens))
