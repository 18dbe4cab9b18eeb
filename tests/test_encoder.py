"""Merging against a loop; the five maps."""

import numpy as np
import pytest
import reference
import torch
from torch import Tensor

from depthpro import DepthPro, DepthProConfig
from depthpro.encoder import merge

LEVELS = DepthProConfig(window=128).pyramid


def noise(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


@pytest.mark.parametrize("level", LEVELS)
def test_merge_takes_each_token_from_the_nearest_window(level) -> None:
    # The windows disagree where they overlap, so that it shows which one a token comes from.
    windows = noise(2 * level.grid**2, 3, 8, 8)
    merged = merge(windows, level.grid, level.trim)
    expected = reference.merge(windows.numpy(), level.grid, stride=level.stride // 16)
    np.testing.assert_array_equal(merged, expected)


@pytest.mark.parametrize(
    "config",
    [
        DepthProConfig(128, 16, 16, 2, 2, (0, 1), (8, 16, 24, 40), 16),
        DepthProConfig(256, 16, 16, 3, 2, (1, 2), (8, 16, 24, 40), 8),
        DepthProConfig(128, 16, 16, 1, 2, (0, 1), (8, 16, 24, 40), 16, stem="efficientnet_lite0"),
    ],
)
def test_five_maps_come_out_finest_first(config: DepthProConfig) -> None:
    with torch.no_grad():
        maps = DepthPro(config).encoder(noise(2, 3, config.image_size, config.image_size))
    # 768, 384, 192, 96 and 48 a side for windows of 24 tokens, as published.
    sides = [config.tokens * times for times in (32, 16, 8, 4, 2)]
    dims = (config.decoder_dim, 8, 16, 24, 40)
    expected = [(2, dim, side, side) for dim, side in zip(dims, sides, strict=True)]
    assert [tuple(m.shape) for m in maps] == expected


def test_each_part_of_the_picture_lands_where_it_lies(tiny_model: DepthPro) -> None:
    # Only the finest level of latent0 is without the other scales: change one corner of the
    # picture by less than a window, and the far corner's features stay as they are.
    image = noise(1, 3, 512, 512)
    changed = image.clone()
    changed[..., :32, 480:] += 1
    with torch.no_grad():
        difference = (tiny_model.encoder(changed)[0] - tiny_model.encoder(image)[0]).abs()
    touched = difference.sum(1)[0] > 1e-6  # (256 256)
    rows, columns = touched.any(1).nonzero(), touched.any(0).nonzero()
    # The corner lies in the last window of the first row, which keeps 7 of its 8 tokens a side;
    # a token is 8 cells of this map, which has half of the picture's resolution.
    assert (int(rows.min()), int(rows.max())) == (0, 7 * 8 - 1)
    assert (int(columns.min()), int(columns.max())) == (256 - 7 * 8, 255)
