"""Parts of the network, where golden values of the whole (test_model.py) do not cover them."""

import numpy as np
import pytest
import reference
import torch
from conftest import TINY, make_model
from torch import Tensor
from torch.nn import functional as F

from depthpro import DepthPro, DepthProConfig, vit
from depthpro.decoder import Decoder, build_head
from depthpro.encoder import merge
from depthpro.fov import FieldOfView
from depthpro.precision import Precision
from depthpro.vit import LAYER_SCALE, AttentionByWindow, build_vit


def noise(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def fov_inputs(config: DepthProConfig) -> tuple[Tensor, Tensor]:
    side, cells = config.image_size, 2 * config.tokens
    return noise(2, 3, side, side), noise(2, config.decoder_dim, cells, cells)


@pytest.mark.parametrize("level", TINY.pyramid)
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


def test_without_the_first_maps_the_decoder_ends_at_the_resolution_of_the_others() -> None:
    dims = (TINY.decoder_dim, *TINY.neck_dims)
    maps = [noise(2, dim, side, side) for dim, side in zip(dims, (32, 16, 8, 4, 2), strict=True)]
    decoder = Decoder(TINY)
    whole, lowres = decoder(maps)
    for left_out in range(1, 5):
        x, same = decoder(maps[left_out:])
        # Each level doubles, but the finest two end at one resolution.
        assert x.shape[-1] * 2 ** (left_out - 1) == whole.shape[-1]
        assert torch.equal(same, lowres)


def test_head_doubles_the_resolution_to_one_channel_of_at_least_zero() -> None:
    head = build_head(TINY)
    assert head[4].bias.detach().tolist() == [0.0]
    x = torch.randn(2, 8, 6, 6)
    with torch.no_grad():
        raw = head[:5](x)
        head[4].bias -= raw.median()  # now half of the values are below zero
        inverse = head(x)
        torch.testing.assert_close(inverse, (raw - raw.median()).clamp(min=0))
    assert inverse.shape == (2, 1, 12, 12)
    assert inverse.min() == 0 < inverse.max()


@pytest.mark.parametrize("window", [128, 256, 384])
def test_one_angle_a_picture_whatever_the_window(window: int) -> None:
    config = DepthProConfig(window, 16, 16, 2, 2, (0, 1), (8, 8, 8, 8), 8)
    fov = FieldOfView(config)
    assert fov(*fov_inputs(config)).shape == (2,)
    # Two strides of 2 leave a quarter of the tokens, 6 x 6 as published.
    assert tuple(fov.head[4].kernel_size) == (config.tokens // 4,) * 2


def test_angle_is_the_last_bias_where_nothing_else_counts() -> None:
    fov = FieldOfView(TINY)
    torch.nn.init.zeros_(fov.head[4].weight)
    torch.nn.init.constant_(fov.head[4].bias, -7.5)
    # No ReLU after the last convolution: a negative bias comes through.
    assert fov(*fov_inputs(TINY)).tolist() == [-7.5, -7.5]


def test_no_gradient_flows_back_to_the_depth_network() -> None:
    model = make_model()
    _, fov_deg = model(fov_inputs(TINY)[0])
    fov_deg.sum().backward()
    for part in (model.encoder, model.decoder, model.head):
        assert all(parameter.grad is None for parameter in part.parameters())
    assert model.fov is not None
    assert all(parameter.grad is not None for parameter in model.fov.parameters())


def test_vit_starts_with_the_published_layer_scale() -> None:
    state = build_vit(TINY).state_dict()
    gammas = [value for name, value in state.items() if name.endswith("gamma")]
    assert len(gammas) == 2 * TINY.depth
    assert all((gamma == LAYER_SCALE).all() for gamma in gammas)


def test_attention_by_window_is_torch_s() -> None:
    query, key, value = torch.randn(3, 2, 4, 37, 16)
    expected = F.scaled_dot_product_attention(query, key, value)
    with AttentionByWindow():
        exact = F.scaled_dot_product_attention(query, key, value, dropout_p=0.0)
        near = F.scaled_dot_product_attention(query.bfloat16(), key.bfloat16(), value.bfloat16())
    torch.testing.assert_close(exact, expected)
    assert (near.float() - expected).norm() < 0.01 * expected.norm()


@pytest.mark.parametrize(("precision", "amx"), [("float32", 0), ("bfloat16", 0), ("bfloat16", 1)])
def test_it_is_for_bfloat16_without_amx(
    monkeypatch: pytest.MonkeyPatch, precision: Precision, amx: int
) -> None:
    calls, attend = [], vit._attend
    monkeypatch.setattr(vit, "_MANY_TOKENS", 64)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: bool(amx))
    monkeypatch.setattr(vit, "_attend", lambda *given: calls.append(1) or attend(*given))
    make_model().infer(torch.rand(1, 3, 48, 64), precision=precision)
    assert len(calls) == (0 if amx or precision == "float32" else (35 + 2) * TINY.depth)
