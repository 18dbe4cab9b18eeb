"""The field-of-view head."""

import pytest
import torch
from conftest import TINY, make_model
from torch import Tensor

from depthpro import DepthProConfig
from depthpro.fov import FieldOfView


def inputs(config: DepthProConfig, batch: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    side, cells = config.image_size, 2 * config.tokens
    image = torch.rand((batch, 3, side, side), generator=generator) * 2 - 1
    return image, torch.randn((batch, config.decoder_dim, cells, cells), generator=generator)


@pytest.mark.parametrize("window", [128, 256, 384])
def test_one_angle_a_picture_whatever_the_window(window: int) -> None:
    config = DepthProConfig(window, 16, 16, 2, 2, (0, 1), (8, 8, 8, 8), 8)
    fov = FieldOfView(config)
    assert fov(*inputs(config)).shape == (2,)
    # Two strides of 2 leave a quarter of the tokens, 6 x 6 as published.
    assert tuple(fov.head[4].kernel_size) == (config.tokens // 4,) * 2


def test_angle_is_the_last_bias_where_nothing_else_counts() -> None:
    fov = FieldOfView(TINY)
    torch.nn.init.zeros_(fov.head[4].weight)
    torch.nn.init.constant_(fov.head[4].bias, -7.5)
    # No ReLU after the last convolution: a negative bias comes through.
    assert fov(*inputs(TINY)).tolist() == [-7.5, -7.5]


def test_no_gradient_flows_back_to_the_depth_network() -> None:
    model = make_model()
    _, fov_deg = model(inputs(TINY, batch=1)[0])
    fov_deg.sum().backward()
    for part in (model.encoder, model.decoder, model.head):
        assert all(parameter.grad is None for parameter in part.parameters())
    assert model.fov is not None
    assert all(parameter.grad is not None for parameter in model.fov.parameters())
