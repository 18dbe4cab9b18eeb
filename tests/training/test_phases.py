"""What each phase trains, and by which loss."""

import math
from dataclasses import replace

import pytest
import torch
from conftest import TINY, make_model
from torch import nn
from torch.testing import assert_close
from training import make_batch, make_recipe, map_deviations

from depthpro import DepthPro, DepthProConfig, losses
from depthpro.data.batches import RANDOM_NUMBERS, Batch, shrink_truth
from depthpro.stem import HybridEncoder
from depthpro.training.fine_crop import FineCrops, random_crops
from depthpro.training.map_pool import MapPool
from depthpro.training.phases import (
    LOSSES,
    DepthNetwork,
    coarsest_map,
    depth_loss,
    make_network,
    parameter_groups,
    phase_loss,
    prepare_scratch,
)
from depthpro.training.recipe import PHASES, Phase, paper, small
from depthpro.training.window_pretraining import cut_windows, load_pretrained

HYBRID = replace(TINY, stem="efficientnet_lite0", depth=1, fov=True)


def backward(network: nn.Module, phase: Phase, config: DepthProConfig = TINY) -> None:
    """Compute all gradients of a phase."""
    batch = make_batch()
    if phase.name == "encoders":
        batch = cut_windows(batch, config)
    phase_loss(network(batch.image), batch, phase).backward()


@pytest.mark.parametrize("name", PHASES)
def test_what_is_trained_is_listed_once_and_gets_a_gradient(name: str) -> None:
    # Processes that train together wait for every gradient.
    rates = {"encoder_lr": 1e-5, "decoder_lr": 1e-4}
    recipe, model = make_recipe(TINY, weight_decay=0.1, **rates), make_model()
    prepare_scratch(model, recipe)
    frozen = replace(recipe.phase("stage1"), name="interpolation", encoder_lr=0.0)
    phase = frozen if name == "interpolation" else recipe.phase(name)
    network = make_network(model, recipe, phase)
    groups = parameter_groups(network, phase)
    listed = [p for group in groups for p in group["params"]]
    assert len(listed) == len(set(listed))
    assert set(listed) == {p for p in network.parameters() if p.requires_grad}
    encoders = {p for encoder in network.encoders for p in encoder.parameters()}
    for group in groups:
        for parameter in group["params"]:
            assert (group["weight_decay"] > 0) == (parameter.squeeze().dim() > 1)
            assert group["lr"] == (1e-5 if parameter in encoders else 1e-4)
    backward(network, phase)
    for parameter in network.parameters():
        assert (parameter.grad is not None) == parameter.requires_grad


def test_a_rate_of_0_freezes_the_encoders_and_a_recipe_their_norms() -> None:
    recipe, model = make_recipe(TINY), make_model()
    vits = (model.encoder.patch_encoder, model.encoder.image_encoder)
    for encoder_lr in (0.0, 1e-4):  # a later stage trains them again
        make_network(model, recipe, replace(recipe.phase("stage2"), encoder_lr=encoder_lr))
        for vit in vits:
            assert all(p.requires_grad == (encoder_lr > 0) for p in vit.parameters())
        assert model.decoder.convs[1].weight.requires_grad
    make_network(model, replace(recipe, freeze_norms=True), recipe.phase("stage1"))
    norms = [m for vit in vits for m in vit.modules() if isinstance(m, nn.LayerNorm)]
    assert norms
    assert not any(p.requires_grad for norm in norms for p in norm.parameters())
    assert vits[0].blocks[0].mlp.fc1.weight.requires_grad


def test_the_field_of_view_leaves_depth_alone() -> None:
    recipe, model = make_recipe(TINY), make_model()
    make_network(model, recipe, recipe.phase("fov"))
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {name for name, _ in model.named_parameters() if name.startswith("fov.")}
    with pytest.raises(ValueError, match="no field-of-view head"):
        make_network(DepthPro(replace(TINY, fov=False)), recipe, recipe.phase("fov"))


def test_estimates_are_the_networks() -> None:
    recipe, model = make_recipe(TINY), make_model()
    image = make_batch().image
    depth, fov = (make_network(model, recipe, recipe.phase(name)) for name in ("stage1", "fov"))
    with torch.no_grad():
        inverse, fov_deg = model(image)
        assert_close(depth.estimate(image).inverse, inverse)
        assert_close(fov.estimate(image).fov_deg, fov_deg, rtol=1e-4, atol=1e-3)
        assert_close(coarsest_map(model, image), model.decoder(model.encoder(image))[1])


@pytest.mark.parametrize("flags", [(True, True), (True, False), (False, True), (False, False)])
def test_stage_1_goes_by_the_flags(flags: tuple[bool, bool]) -> None:
    batch = make_batch(metric=flags[0], synthetic=flags[1])
    prediction = batch.inverse + torch.rand_like(batch.inverse)
    kinds = {"metric": batch.metric, "synthetic": batch.synthetic}
    for mage in (0.0, 1.0):
        ours = depth_loss(prediction, batch, Phase("stage1", steps=1, mage=mage))
        maps = prediction, batch.inverse, batch.mask
        assert_close(ours, losses.stage1_loss(*maps, **kinds, mage_weight=mage))
    # Off by a factor is free where depth is not metric, and only there.
    free = depth_loss(3 * batch.inverse + 1, batch, Phase("stage1", steps=1))
    assert (free < 1e-4) == (not flags[0])


def test_weighted_errors_do_not_change_with_the_unit() -> None:
    # C of 1 everywhere weighs 1 / 1.1; an error of 0.11 in it costs 0.1. Ten times nearer, C is 10,
    # and the same share of it costs ten times as much over 10.1.
    batch = make_batch()
    phase = Phase("stage2", steps=1, mse=0, mage=0, male=0, msge=0, weight_by_mean_depth=True)
    for value, cost in ((1.0, 0.11 / 1.1), (10.0, 1.1 / 10.1)):
        flat = batch._replace(inverse=torch.full_like(batch.inverse, value))
        assert_close(depth_loss(1.11 * flat.inverse, flat, phase), torch.tensor(cost))


def test_weights_of_the_recipe_reach_stage_2() -> None:
    batch = make_batch()
    prediction = batch.inverse + torch.rand_like(batch.inverse)
    given = {name: 1.0 + number for number, name in enumerate(LOSSES)}  # no two alike
    weights = {f"{name}_weight": value for name, value in given.items()}
    expected = losses.stage2_loss(prediction, batch.inverse, batch.mask, **weights)
    assert_close(depth_loss(prediction, batch, Phase("stage2", steps=1, **given)), expected)


def test_a_phase_without_the_finest_levels_trains_nothing_of_them() -> None:
    recipe, model = make_recipe(TINY), make_model()
    network = make_network(model, recipe, recipe.phase("coarse"))
    batch = make_batch()
    # The level of the middle windows, doubled.
    assert network(batch.image).shape == (2, 64, 64)
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    for part in ("encoder.upsample0.", "decoder.convs.1.", "decoder.fusions.2.", "head."):
        assert any(name.startswith(f"model.{part}") for name in frozen)
    assert not any(name.startswith("model.decoder.fusions.3.") for name in frozen)
    assert torch.equal(shrink_truth(batch, 64).inverse, batch.inverse[:, 4::8, 4::8])


@pytest.mark.parametrize(
    ("name", "stem_lr"), [("encoders", 1e-4), ("coarse", 0.0), ("coarse", 1e-4), ("fov", 1e-4)]
)
def test_a_stem_learns_behind_stride_8_alone(name: str, stem_lr: float) -> None:
    recipe = make_recipe(HYBRID, stem_lr=stem_lr)
    model = DepthPro(HYBRID)
    prepare_scratch(model, recipe)
    phase = recipe.phase(name)
    network = make_network(model, recipe, phase)
    backward(network, phase, HYBRID)
    encoders = [m for m in network.modules() if isinstance(m, HybridEncoder)]
    trained = [e for e in encoders if e.project.weight.requires_grad]
    assert trained
    for encoder in trained:
        for number, stage in enumerate(encoder.stem.blocks):
            learns = stem_lr > 0 and number >= 3
            assert all((p.grad is not None) == learns for p in stage.parameters())
    rates = {group["lr"] for group in parameter_groups(network, phase)}
    assert rates == {1e-3} | ({stem_lr} if stem_lr else set())


@pytest.mark.parametrize("config", [TINY, HYBRID])
def test_random_weights_keep_the_signal(config: DepthProConfig) -> None:
    model = DepthPro(config)
    prepare_scratch(model, small())
    if config is HYBRID:
        load_pretrained("imagenet", model)
    # The old embedded weights had 0.15, 0.13, 0.58, 1.8 and 67.8 here, fine to coarse.
    deviations = map_deviations(model, torch.rand(2, 3, 512, 512) * 2 - 1)
    assert len(deviations) == 5
    assert max(deviations) < 4 * min(deviations)
    # As PyTorch initialises it, the angle varied by 0.025 degrees over pictures that vary by 20.
    image = torch.rand(6, 3, 128, 128) * torch.linspace(0.2, 2, 6)[:, None, None, None] - 1
    with torch.no_grad():
        fov_deg = model.fov(image, coarsest_map(model, image))
    assert (fov_deg - 60).abs().max() < 40
    assert fov_deg.std() > 0.5


def test_a_dead_start_is_avoided() -> None:
    model = DepthPro(TINY)
    prepare_scratch(model, replace(small(), layer_scale=1.0))
    gammas = [p for name, p in model.named_parameters() if name.endswith("gamma")]
    assert gammas and all((gamma == 1).all() for gamma in gammas)
    with torch.no_grad():
        assert (model(torch.rand(1, 3, 512, 512))[0] > 0).float().mean() > 0.99
    untouched = DepthPro(TINY)
    prepare_scratch(untouched, paper())
    assert (untouched.encoder.patch_encoder.blocks[0].ls1.gamma == 1e-5).all()


def test_one_step_of_the_paper_on_the_meta_device() -> None:
    recipe = replace(paper(), checkpointing=False)
    phase = recipe.phase("stage2")
    side = recipe.config.image_size
    with torch.device("meta"):
        model = DepthPro(recipe.config)
        image, inverse = torch.empty(1, 3, side, side), torch.empty(1, side, side)
        flag = torch.ones(1, dtype=torch.bool)
        known, draws = torch.ones_like(inverse, dtype=torch.bool), torch.empty(1, RANDOM_NUMBERS)
    batch = Batch(image, inverse, known, draws[:, 0], flag, flag, draws)
    network = make_network(model, recipe, phase)
    groups = parameter_groups(network, phase)
    optimizer = torch.optim.AdamW(groups, foreach=False)
    phase_loss(network(image), batch, phase).backward()
    optimizer.step()
    trained = sum(p.numel() for group in groups for p in group["params"])
    # The published depth network, less its frozen LayerNorms and the fusion without skip.
    norms, unused = 2 * 49 * 2 * 1024, 2 * (256 * 256 * 9 + 256)
    assert trained == 647_731_777 - norms - unused


@pytest.mark.parametrize("corner", [(128, 200), (0, 352), (352, 0), (0, 0)])
def test_crops_predict_what_whole_pictures_do(corner: tuple[int, int]) -> None:
    """All but the margin inside of the picture, to which the neighbours' values are missing."""
    network, batch = DepthNetwork(make_model()), make_batch()
    batch = batch._replace(mask=torch.ones_like(batch.mask))
    crops = FineCrops([corner, corner], 160)
    with torch.no_grad():
        whole, part = network(batch.image), network(batch.image, crops)
    truth = crops.cut_truth(batch)
    difference = (part - crops.cut(whole)).abs()
    assert float(difference[truth.mask].max()) < 1e-4
    edges = [16 if at in (0, 352) else 32 for at in corner]  # pixels that a side loses
    assert int(truth.mask[0].sum()) == (160 - edges[0]) * (160 - edges[1])
    assert torch.equal(truth.inverse, crops.cut(batch.inverse))


def test_crops_are_weighted_as_their_pictures() -> None:
    phase = Phase("stage2", 10, weight_by_mean_depth=True, mse=0, mage=0, male=0, msge=0)
    batch = make_batch()
    batch = batch._replace(mask=torch.ones_like(batch.mask))
    whole = depth_loss(batch.inverse + 0.1, batch, phase)
    for corner in ((0, 0), (256, 0), (128, 256)):
        crops = FineCrops([corner, (0, 256)], 256)
        part = depth_loss(crops.cut(batch.inverse) + 0.1, batch, phase, crops)
        assert_close(part, whole, rtol=1e-4, atol=0)  # the error is the same everywhere


def test_each_picture_has_a_crop_of_its_own() -> None:
    batch = make_batch()
    drawn = [random_crops(256, batch) for _ in range(100)]
    corners = [corner for crops in drawn if crops for corner in crops.corners]
    assert all(value % 2 == 0 and 0 <= value <= 256 for corner in corners for value in corner)
    assert len({*corners}) > 150
    at_edge = sum(top in (0, 256) for top, _ in corners) / len(corners)
    assert 0.2 < at_edge < 0.5  # what to do at a picture's edge is learned there alone
    assert random_crops(None, batch) is None


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


def test_usual_fields_of_view_count_more() -> None:
    batch = make_batch()._replace(fov_deg=torch.tensor([60.0, 100.0]))
    predicted = torch.tensor([70.0, 80.0])  # squared errors of 1 and 4
    assert float(phase_loss(predicted, batch, Phase("fov", 1))) == pytest.approx(2.5)
    phase = Phase("fov", 1, fov_spread_deg=10.0)
    weights = 1.05, math.exp(-8) + 0.05
    expected = (weights[0] + 4 * weights[1]) / sum(weights)
    assert float(phase_loss(predicted, batch, phase)) == pytest.approx(expected)
