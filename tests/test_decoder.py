"""The decoder against its formulas, written out."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from depthpro import DepthProConfig
from depthpro.decoder import Decoder, FusionBlock, ResidualBlock, build_head


def features(config: DepthProConfig, batch: int = 2) -> list[Tensor]:
    dims = (config.decoder_dim, *config.neck_dims)
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn((batch, dim, side, side), generator=generator)
        for dim, side in zip(dims, (32, 16, 8, 4, 2), strict=True)
    ]


def test_residual_block_adds_two_convolutions_of_rectified_inputs() -> None:
    block = ResidualBlock(4)
    x = torch.randn(1, 4, 5, 6)
    first, second = block.residual[1], block.residual[3]
    middle = F.conv2d(x.clamp(min=0), first.weight, first.bias, padding=1)
    expected = x + F.conv2d(middle.clamp(min=0), second.weight, second.bias, padding=1)
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize("upsample", [True, False])
def test_fusion_refines_then_doubles_then_projects(upsample: bool) -> None:
    block = FusionBlock(3, upsample=upsample)
    x, skip = torch.randn(1, 3, 4, 4), torch.randn(1, 3, 4, 4)
    fused = block.resnet2(x + block.resnet1(skip))
    if upsample:
        fused = F.conv_transpose2d(fused, block.deconv.weight, stride=2)
    expected = F.conv2d(fused, block.out_conv.weight, block.out_conv.bias)
    torch.testing.assert_close(block(x, skip), expected)
    # The coarsest block has no skip; its first residual block is in the weights yet not at work.
    alone = block(x)
    torch.nn.init.zeros_(block.resnet1.residual[1].weight)
    torch.testing.assert_close(block(x), alone)


def test_decoder_fuses_from_coarse_to_fine(tiny_config: DepthProConfig) -> None:
    decoder = Decoder(tiny_config)
    maps = features(tiny_config)
    fused, lowres = decoder(maps)
    # The coarsest map before fusion is what the field of view reads.
    torch.testing.assert_close(lowres, F.conv2d(maps[4], decoder.convs[4].weight, padding=1))
    x = decoder.fusions[4](lowres)
    for i in (3, 2, 1):
        x = decoder.fusions[i](x, F.conv2d(maps[i], decoder.convs[i].weight, padding=1))
    torch.testing.assert_close(fused, decoder.fusions[0](x, maps[0]))
    assert fused.shape == maps[0].shape  # the finest fusion does not double the resolution


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
