"""Parts of the network's forward pass that training can do without the rest.

On a CPU the whole network sees one picture a second. Most of that goes into fine detail, of which
one picture has much more than a batch can use, while every picture has only one layout. So
training may look at the coarse scale of the whole picture, but at the fine scales only in a region:
by its FLOPs a square of 12 of 32 patches costs about a fifth, so more pictures fit into an hour.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from depthpro.config import DepthProConfig, PyramidLevel
from depthpro.encoder import resize, split, stitch
from depthpro.model import DepthPro
from depthpro.vit import encode, to_map


class Region(NamedTuple):
    """A square part of the picture, in patches of the finest scale; each a multiple of 4."""

    top: int
    left: int
    side: int

    def crop(self, maps: Shaped[Tensor, "*b h w"], cell: int) -> Shaped[Tensor, "*b _h _w"]:
        """Return the region of maps in which a patch is `cell` pixels wide."""
        top, left, side = (cell * value for value in self)
        return maps[..., top : top + side, left : left + side]


def patches(config: DepthProConfig) -> int:
    """Return the patches along a side of the picture at the finest scale; also of its tokens."""
    return config.image_size // config.patch


def check_region(region: Region, config: DepthProConfig) -> None:
    """Refuse a region that is not inside the picture or not on the grid of the coarsest patches.

    Raises:
        ValueError: With what the numbers may be.
    """
    top, left, side = region
    inside = min(top, left) >= 0 < side and max(top, left) + side <= patches(config)
    if not inside or any(value % 4 for value in region):
        raise ValueError(
            f"a region has multiples of 4 patches inside 0 to {patches(config)}; got {region}"
        )


def inverse_of_region(
    model: DepthPro, image: Float[Tensor, "b 3 s s"], region: Region
) -> Float[Tensor, "b r r"]:
    """Return canonical inverse depth in a region, before the head's last ReLU.

    Where the region ends inside the picture, convolutions see zeros; the whole picture as region
    gives exactly what the network gives.

    Raises:
        ValueError: If there is no such region.
    """
    check_region(region, model.config)
    encoder, decoder = model.encoder, model.decoder
    config = model.config
    cuts = [_Cut.of(level, region, config) for level in config.pyramid[:2]]
    smallest = resize(image, config.window)
    windows = [cut.windows(resize(image, cut.level.side), config.window) for cut in cuts]
    tokens, taps = encode(encoder.patch_encoder, torch.cat([*windows, smallest]), config.taps)
    x0, x1, x2 = tokens.split([*(len(part) for part in windows), len(smallest)])
    skips = (
        *(cuts[0].merge(tap[: len(windows[0])]) for tap in taps),
        cuts[0].merge(x0),
        cuts[1].merge(x1),
    )
    necks = (
        encoder.upsample_latent0, encoder.upsample_latent1, encoder.upsample0, encoder.upsample1
    )  # fmt: skip
    # The coarsest map is never cut.
    x = region.crop(decoder.fusions[-1](_lowres(model, x2, smallest)), 1)
    for level in (3, 2, 1, 0):
        x = decoder.fusions[level](x, decoder.convs[level](necks[level](skips[level])))
    return model.head[:-1](x)[:, 0].float()


def coarsest_map(model: DepthPro, image: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b d l l"]:
    """Return the decoder's coarsest map, which the field-of-view head reads, and nothing finer.

    It needs two windows instead of 36.
    """
    smallest = resize(image, model.config.window)
    tokens, _ = encode(model.encoder.patch_encoder, smallest)
    return _lowres(model, tokens, smallest)


def _lowres(model: DepthPro, tokens: Tensor, smallest: Tensor) -> Tensor:
    encoder = model.encoder
    whole, _ = encode(encoder.image_encoder, smallest)
    both = [encoder.upsample2(to_map(tokens)), encoder.upsample_lowres(to_map(whole))]
    return model.decoder.convs[-1](encoder.fuse_lowres(torch.cat(both, dim=1)))


class _Cut(NamedTuple):
    """The windows of a level that a region needs, and which of their tokens are in it."""

    level: PyramidLevel
    rows: range
    columns: range
    down: list[slice]
    across: list[slice]

    @classmethod
    def of(cls, level: PyramidLevel, region: Region, config: DepthProConfig) -> "_Cut":
        scale = config.image_size // level.side
        parts = [
            _overlaps(level, start // scale, region.side // scale, config.tokens)
            for start in (region.top, region.left)
        ]
        (rows, down), (columns, across) = parts
        return cls(level, rows, columns, down, across)

    def windows(self, image: Tensor, side: int) -> Tensor:
        grid = split(image, side, self.level.stride).unflatten(0, (self.level.grid,) * 2 + (-1,))
        chosen = grid[self.rows.start : self.rows.stop, self.columns.start : self.columns.stop]
        return chosen.flatten(0, 2)

    def merge(self, tokens: Tensor) -> Tensor:
        shape = (len(self.rows), len(self.columns), -1)
        return stitch(to_map(tokens).unflatten(0, shape), self.down, self.across)


def _overlaps(
    level: PyramidLevel, start: int, length: int, tokens: int
) -> tuple[range, list[slice]]:
    """Return the windows that `merge` takes tokens start to start + length from, and their parts.

    Window i begins at token i (tokens - 2 trim) of the merged map, and keeps all but `trim` tokens
    at each inner edge.
    """
    found: dict[int, slice] = {}
    for i in range(level.grid):
        origin = i * (tokens - 2 * level.trim)
        first = max(start, origin + (level.trim if i > 0 else 0))
        last = min(start + length, origin + tokens - (level.trim if i < level.grid - 1 else 0))
        if first < last:
            found[i] = slice(first - origin, last - origin)
    return range(min(found), max(found) + 1), list(found.values())
