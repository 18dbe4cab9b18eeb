# pyright: reportArgumentType=false, reportCallIssue=false, reportOptionalMemberAccess=false
"""Splitting, merging and resizing against loops; the five maps."""

import numpy as np
import pytest
import reference
import torch
from conftest import make_model
from torch import Tensor

from depthpro import DepthPro, DepthProConfig
from depthpro.encoder import merge, split
from depthpro.preprocess import resize, resize_bytes

LEVELS = DepthProConfig(window=128).pyramid


def noise(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


@pytest.mark.parametrize("level", LEVELS)
def test_split_takes_the_windows_that_a_loop_takes(level) -> None:
    image = noise(2, 3, level.side, level.side)
    windows = split(image, 128, level.stride)
    assert len(windows) == 2 * level.grid**2
    np.testing.assert_array_equal(windows, reference.split(image.numpy(), 128, level.stride))


@pytest.mark.parametrize("level", LEVELS)
def test_merge_takes_each_token_from_the_nearest_window(level) -> None:
    # The windows disagree where they overlap, so that it shows which one a token comes from.
    windows = noise(2 * level.grid**2, 3, 8, 8)
    merged = merge(windows, level.grid, level.trim)
    expected = reference.merge(windows.numpy(), level.grid, stride=level.stride // 16)
    np.testing.assert_array_equal(merged, expected)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    ("grid", "tokens", "trim"), [(5, 24, 3), (3, 24, 6), (1, 24, 0), (2, 7, 1)]
)
def test_merge_undoes_split(grid: int, tokens: int, trim: int, batch: int) -> None:
    stride = tokens - 2 * trim
    side = stride * (grid - 1) + tokens
    token_map = noise(batch, 2, side, side)
    assert torch.equal(merge(split(token_map, tokens, stride), grid, trim), token_map)


def test_all_pictures_of_a_window_lie_together() -> None:
    first, second = torch.zeros(1, 3, 512, 512), torch.ones(1, 3, 512, 512)
    windows = split(torch.cat([first, second]), 128, 96)
    assert windows.mean((1, 2, 3)).tolist() == [0, 1] * 25


@pytest.mark.parametrize(("height", "width", "side"), [(5, 7, 4), (3, 2, 9), (1, 6, 4), (8, 8, 2)])
def test_resize_is_bilinear_between_pixel_edges(height: int, width: int, side: int) -> None:
    image = noise(1, 1, height, width)
    resized = resize(image, side)[0, 0].numpy()
    expected = reference.resize(image[0, 0].numpy(), side, side)
    np.testing.assert_allclose(resized, expected, atol=1e-6)


def test_resize_to_the_same_side_changes_no_bit() -> None:
    image = noise(1, 3, 8, 8)
    assert torch.equal(resize(image, 8), image)


@pytest.mark.parametrize(
    "config",
    [
        DepthProConfig(128, 16, 16, 2, 2, (0, 1), (8, 16, 24, 40), 16),
        DepthProConfig(256, 16, 16, 3, 2, (1, 2), (8, 16, 24, 40), 8),
    ],
)
def test_five_maps_come_out_finest_first(config: DepthProConfig) -> None:
    with torch.no_grad():
        maps = DepthPro(config).encoder(noise(2, 3, config.image_size, config.image_size))
    # FACTS 1.3: 768, 384, 192, 96 and 48 a side for windows of 24 tokens.
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


def test_pictures_of_a_batch_do_not_mix() -> None:
    model = make_model()
    images = noise(3, 3, 512, 512)
    with torch.no_grad():
        together = model.encoder(images)
        alone = [model.encoder(image[None]) for image in images]
    for i, level in enumerate(together):
        expected = torch.cat([maps[i] for maps in alone])
        torch.testing.assert_close(level, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (7, 100), (33, 31), (64, 64), (200, 50)])
def test_bytes_are_resized_as_floats_are(size: tuple[int, int]) -> None:
    photo = torch.randint(0, 256, (2, *size, 3), dtype=torch.uint8).movedim(-1, 1)
    torch.testing.assert_close(
        resize_bytes(photo, 32), resize(photo.float(), 32), rtol=0, atol=1e-4
    )
