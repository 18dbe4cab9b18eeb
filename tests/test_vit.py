"""The vision transformer, read out as feature maps."""

import pytest
import torch
from torch import Tensor

from depthpro import DepthProConfig
from depthpro.vit import LAYER_SCALE, build_vit, encode, to_map


@pytest.fixture
def windows(tiny_config: DepthProConfig) -> Tensor:
    side = tiny_config.window
    return torch.rand((2, 3, side, side), generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_vit_is_built_as_published(tiny_config: DepthProConfig) -> None:
    # LayerScale from 1e-5, one class token, no registers, no classifier, final norm.
    vit = build_vit(tiny_config)
    assert vit.num_prefix_tokens == 1
    assert vit.pos_embed is not None
    assert vit.pos_embed.shape == (1, 1 + tiny_config.tokens**2, tiny_config.dim)
    state = vit.state_dict()
    gammas = [value for name, value in state.items() if name.endswith("gamma")]
    assert len(gammas) == 2 * tiny_config.depth
    assert all((gamma == LAYER_SCALE).all() for gamma in gammas)
    assert not [name for name in state if "head" in name or "fc_norm" in name or "reg" in name]


def test_the_last_map_is_normalised_and_taps_are_raw(tiny_model, windows: Tensor) -> None:
    vit = tiny_model.encoder.patch_encoder
    outputs: list[Tensor] = []
    hooks = [
        block.register_forward_hook(lambda _, __, output: outputs.append(output))
        for block in vit.blocks
    ]
    with torch.no_grad():
        last, (first, second) = encode(vit, windows, (0, 2))
    for hook in hooks:
        hook.remove()
    # The class token is the first of each; the last block's tokens pass the final LayerNorm.
    torch.testing.assert_close(first, to_map(outputs[0][:, 1:]))
    torch.testing.assert_close(second, to_map(outputs[2][:, 1:]))
    norm = torch.nn.functional.layer_norm(
        outputs[2], (32,), vit.norm.weight, vit.norm.bias, eps=1e-6
    )
    torch.testing.assert_close(last, to_map(norm[:, 1:]))


def test_map_has_the_tokens_row_by_row() -> None:
    # Token 4 i + j of window n, channel d is 100 n + 10 d + ... placed at row i, column j.
    tokens = torch.arange(2 * 16 * 3.0).reshape(2, 16, 3)
    laid = to_map(tokens)
    assert laid.shape == (2, 3, 4, 4)
    for i in range(4):
        for j in range(4):
            assert torch.equal(laid[:, :, i, j], tokens[:, 4 * i + j])
