"""The decoder at other resolutions, and the head; golden values of the network cover the rest."""

import torch
from torch import Tensor

from depthpro import DepthProConfig
from depthpro.decoder import Decoder, build_head


def features(config: DepthProConfig, batch: int = 2) -> list[Tensor]:
    dims = (config.decoder_dim, *config.neck_dims)
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn((batch, dim, side, side), generator=generator)
        for dim, side in zip(dims, (32, 16, 8, 4, 2), strict=True)
    ]


def test_without_the_first_maps_it_ends_at_the_resolution_of_the_others(tiny_config) -> None:
    decoder, maps = Decoder(tiny_config), features(tiny_config)
    whole, lowres = decoder(maps)
    for left_out in range(1, 5):
        x, same = decoder(maps[left_out:])
        # Each level doubles, but the finest two end at one resolution.
        assert x.shape[-1] * 2 ** (left_out - 1) == whole.shape[-1]
        assert torch.equal(same, lowres)


def test_head_doubles_the_resolution_to_one_channel_of_at_least_zero(tiny_config) -> None:
    head = build_head(tiny_config)
    assert head[4].bias.detach().tolist() == [0.0]
    x = torch.randn(2, 8, 6, 6)
    with torch.no_grad():
        raw = head[:5](x)
        head[4].bias -= raw.median()  # now half of the values are below zero
        inverse = head(x)
        torch.testing.assert_close(inverse, (raw - raw.median()).clamp(min=0))
    assert inverse.shape == (2, 1, 12, 12)
    assert inverse.min() == 0 < inverse.max()
