"""The vision transformer as built; golden values of the network cover what it computes."""

from depthpro import DepthProConfig
from depthpro.vit import LAYER_SCALE, build_vit


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
