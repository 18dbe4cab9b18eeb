"""Eight scenes are learned by heart by what `train` trains with: what cannot do that has a fault.

`data/eight_scenes.tar` holds eight scenes of `depthpro render --seed 1000001 --samples 96`
(samples 6, 24, 42, 63, 66, 74, 82 and 91) at 128 pixels: colour averaged, depth of every fourth
pixel. They are rooms, landscapes and a close-up whose inverse depth differs by a factor of three.
"""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils.data import default_collate

from depthpro import DepthPro, DepthProConfig
from depthpro.data.batches import as_item, shrink_truth
from depthpro.data.shards import Shard
from depthpro.training.loop import rate, set_rate
from depthpro.training.phases import make_network, parameter_groups, phase_loss, prepare_scratch
from depthpro.training.recipe import Phase, Recipe
from depthpro.training.window_pretraining import load_pretrained

SCENES = Path(__file__).parents[1] / "data" / "eight_scenes.tar"
STEPS = 200
CONFIG = DepthProConfig(
    window=128, dim=64, depth=2, heads=2, neck_dims=(64, 64, 64, 64), decoder_dim=32, fov=False,
    stem="efficientnet_lite0",
)  # fmt: skip
# The coarsest of the decoder's levels: both encoders, the fusion of their maps, and the loss, at a
# twentieth of the cost of the whole.
PHASE = Phase(
    "coarse", steps=STEPS, batch=8, encoder_lr=3e-3, decoder_lr=3e-3, finest=4, mage=0, clip=1.0,
    warmup=0.05, constant=0.3, decay="cosine", final_lr=0.02,
)  # fmt: skip
RECIPE = Recipe(CONFIG, (PHASE,))


@pytest.mark.slow
def test_eight_scenes_are_learned_by_heart() -> None:
    items = [as_item(sample, CONFIG.image_size) for sample in Shard(SCENES)]
    assert len({sample.seed[:2] for sample in Shard(SCENES)}) == len(items) == 8
    batch = default_collate(items)
    model = DepthPro(CONFIG)
    prepare_scratch(model, RECIPE)
    load_pretrained("imagenet", model)
    network = make_network(model, RECIPE, PHASE)
    truth = shrink_truth(batch, 32).inverse

    def error(image: Tensor) -> float:
        """Return the mean absolute error of what is predicted, as a share of the mean."""
        with torch.no_grad():
            predicted = network.estimate(image).inverse
        return float((predicted - truth).abs().mean() / truth.mean())

    # Neither the start nor any one number comes near.
    assert error(batch.image) > 0.3
    assert (truth - truth.median()).abs().mean() / truth.mean() > 0.3
    optimizer = torch.optim.AdamW(parameter_groups(network, PHASE))
    for step in range(STEPS):
        set_rate(optimizer, rate(step / STEPS, PHASE))
        phase_loss(network(batch.image), batch, PHASE).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), PHASE.clip)
        optimizer.step()
        optimizer.zero_grad()
    assert error(batch.image) < 0.03
    # It is the pictures that tell: another scene's gives another scene's depth.
    assert error(batch.image.roll(1, 0)) > 0.3
