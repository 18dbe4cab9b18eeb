"""A region of the network's pass is what the whole pass gives there."""

import itertools

import pytest
import torch
from conftest import TINY, make_model
from torch.testing import assert_close

from depthpro import DepthPro
from depthpro.config import DepthProConfig
from depthpro.partial import Region, _overlaps, coarsest_map, inverse_of_region


@pytest.fixture(scope="module")
def picture() -> torch.Tensor:
    return torch.rand(2, 3, 512, 512) * 2 - 1


@pytest.fixture(scope="module")
def maps(tiny_model: DepthPro, picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        features, lowres = tiny_model.decoder(tiny_model.encoder(picture))
        return tiny_model.head[:-1](features)[:, 0], lowres


def test_the_whole_as_a_region_is_the_network(tiny_model, picture, maps) -> None:
    with torch.no_grad():
        assert_close(inverse_of_region(tiny_model, picture, Region(0, 0, 32)), maps[0])


@pytest.mark.parametrize("region", [Region(0, 0, 16), Region(8, 4, 16), Region(16, 16, 16)])
def test_inside_a_region_nothing_differs(tiny_model, picture, maps, region: Region) -> None:
    with torch.no_grad():
        ours = inverse_of_region(tiny_model, picture, region)
    theirs = region.crop(maps[0], 16)
    assert ours.shape == theirs.shape == (2, 256, 256)
    # Only near the region's inner edges do convolutions see zeros instead of features.
    middle = (slice(None), slice(112, 144), slice(112, 144))
    spread = theirs.std()
    assert (ours - theirs)[middle].abs().max() < 0.02 * spread
    assert (ours - theirs).abs().max() > 0.02 * spread


def test_gradients_reach_all_that_the_network_uses_for_depth() -> None:
    model = make_model()
    raw = inverse_of_region(model, torch.rand(1, 3, 512, 512), Region(8, 8, 8))
    raw.square().mean().backward()
    without = {n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    unused = "decoder.fusions.4.resnet1"  # of the coarsest fusion: it has no skip, as published
    assert {name.split(".")[0] for name in without if not name.startswith(unused)} == {"fov"}


def test_coarsest_map_is_the_decoders(tiny_model, picture, maps) -> None:
    with torch.no_grad():
        assert_close(coarsest_map(tiny_model, picture), maps[1])


@pytest.mark.parametrize("config", [DepthProConfig(), TINY], ids=["published", "tiny"])
def test_windows_cover_a_region_once(config: DepthProConfig) -> None:
    for level in config.pyramid:
        side = level.side // config.patch
        for start, length in itertools.product(range(0, side, 2), range(2, side + 1, 2)):
            if start + length > side:
                continue
            windows, parts = _overlaps(level, start, length, config.tokens)
            places = [
                i * (config.tokens - 2 * level.trim) + token
                for i, part in zip(windows, parts, strict=True)
                for token in range(part.start, part.stop)
            ]
            assert places == list(range(start, start + length))


@pytest.mark.parametrize("region", [(0, 0, 33), (-4, 0, 8), (2, 0, 8), (28, 0, 8), (0, 0, 0)])
def test_there_is_no_such_region(tiny_model, picture, region: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="multiples of 4 patches inside 0 to 32; got Region"):
        inverse_of_region(tiny_model, picture, Region(*region))
