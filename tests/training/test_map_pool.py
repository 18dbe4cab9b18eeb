"""Frozen encoders: a picture's maps are kept, and train the decoder several times."""

from dataclasses import replace

import pytest
import torch
from conftest import TINY, make_model
from torch.testing import assert_close
from training import joined, make_batch, make_recipe, make_samples

from depthpro.training.loop import RunOptions, train_phase
from depthpro.training.map_pool import MapPool
from depthpro.training.phases import DepthNetwork


@pytest.mark.parametrize("finest", [0, 3])
def test_maps_that_are_drawn_give_the_depth_of_their_pictures(finest: int) -> None:
    network = DepthNetwork(make_model(), finest)
    batch = make_batch(3)
    pool = MapPool(network.read_windows)
    pool.add(batch)
    maps, truth = pool.draw(8)
    which = [int((batch.fov_deg == fov).nonzero()) for fov in truth.fov_deg]
    assert len(set(which)) > 1
    assert torch.equal(truth.inverse, batch.inverse[which])
    with torch.no_grad():
        expected = network(batch.image[which])
        assert_close(network(maps), expected, atol=0.005 * float(expected.abs().max()), rtol=0)


def test_the_decoder_takes_several_steps_for_each_encoded_batch(tmp_path, monkeypatch) -> None:
    recipe = make_recipe(TINY)
    phase = replace(recipe.phase("stage1"), steps=5, encoder_lr=0.0, reuse=3)
    model = make_model()
    encoder = model.encoder.patch_encoder
    before = {name: value.clone() for name, value in model.state_dict().items()}
    calls = []
    monkeypatch.setattr(
        DepthNetwork,
        "read_windows",
        lambda self, image: calls.append(1) or self.model.encoder.read_windows(image),
    )
    train_phase(model, recipe, phase, RunOptions(tmp_path, joined(make_samples(4)), []))
    assert len(calls) == 4  # two pictures for steps 1 to 3, two for the others
    changed = {name for name, value in model.state_dict().items() if (value != before[name]).any()}
    assert any(name.startswith("decoder.") for name in changed)
    assert not any(name.startswith("encoder.patch_encoder.") for name in changed)
    assert not any(p.requires_grad for p in encoder.parameters())
