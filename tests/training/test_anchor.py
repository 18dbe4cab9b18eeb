"""Finer levels that are anchored to the coarsest one."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import TINY, make_model
from safetensors.torch import load_file
from training import joined, make_batch, make_recipe, make_samples

from depthpro.training.anchor import HEAD, Anchor, save_head
from depthpro.training.fine_crop import FineCrops
from depthpro.training.loop import RunOptions, train_phase
from depthpro.training.phases import DepthNetwork, make_network, start_from_coarsest


def test_finer_levels_start_from_nothing() -> None:
    model, images = make_model(), make_batch(2, TINY.image_size).image
    maps = model.encoder(images)
    start_from_coarsest(model)
    features, _ = model.decoder(model.encoder.project(model.encoder.read_windows(images)))
    with torch.no_grad():
        others = [torch.randn_like(each) for each in maps[1:4]]
        blind, _ = model.decoder([torch.zeros_like(features), *others, maps[4]])
    torch.testing.assert_close(features, blind)  # whatever finer maps hold, for now


def test_the_loss_is_the_difference_in_the_cells_of_the_coarsest_level(tmp_path: Path) -> None:
    model, images = make_model(), make_batch(2, TINY.image_size).image
    with pytest.raises(ValueError, match=f"expected {HEAD} in .*trains the coarsest level alone"):
        Anchor(model, tmp_path)
    trained = DepthNetwork(model, finest=4)
    save_head(trained, tmp_path)
    assert load_file(tmp_path / HEAD).keys() == {"weight", "bias"}
    with torch.no_grad():
        coarse = trained(images)
        anchor = Anchor(model, tmp_path)
        side = TINY.image_size
        wide = torch.nn.functional.interpolate(coarse[:, None], (side, side), mode="bilinear")[:, 0]
        weight = 1 / (coarse.clamp(min=0).mean((1, 2), keepdim=True) + 0.1)
        edges = torch.zeros(side, side)
        edges[:, ::2], edges[:, 1::2] = 0.3, -0.3  # finer than the cells: no difference
        assert anchor.loss(wide + edges, images, side, None) < 1e-6
        off = 0.2 / weight
        assert anchor.loss(wide + off, images, side, None).item() == pytest.approx(0.2, rel=1e-4)
        crops = FineCrops([(0, 0), (64, 32)], side // 2)
        maps = trained.model.encoder.read_windows(images)
        assert anchor.loss(crops.cut(wide + off), maps, side, crops).item() == pytest.approx(
            0.2, rel=1e-4
        )


def test_interpolation_learns_to_draw_the_coarsest_level_smoothly(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, images = make_model(), make_batch(2, TINY.image_size).image
    save_head(DepthNetwork(model, finest=4), tmp_path)
    anchor, side = Anchor(model, tmp_path), TINY.image_size
    phase = make_recipe(TINY).phase("stage1")
    phase = replace(phase, name="interpolation", encoder_lr=0.0)
    network = make_network(model, make_recipe(TINY), phase)
    with torch.no_grad():
        maps = network.read_windows(images)
    assert len(maps) == 2  # no finer windows are read
    optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), 2e-3)
    losses = []
    for _ in range(25):
        loss = anchor.interpolation_loss(network(maps), maps, side, None)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    crops = FineCrops([(0, 0), (64, 32)], side // 2)
    with torch.no_grad():
        whole = crops.cut(network(maps))
        part = network(maps, crops)  # the same but at the crops' borders
        torch.testing.assert_close(part[..., 16:-16, 16:-16], whole[..., 16:-16, 16:-16])
        full, _ = model(images)
        torch.testing.assert_close(full, network(maps).relu())  # finer maps add nothing yet


def test_an_anchored_phase_follows_the_phase_of_the_coarsest_level(tmp_path: Path) -> None:
    recipe = make_recipe(TINY)
    coarse = replace(recipe.phase("coarse"), finest=4)
    anchored = replace(recipe.phase("stage1"), anchor=1.0)
    options, model = RunOptions(tmp_path, joined(make_samples(4)), []), make_model().train()
    train_phase(model, recipe, coarse, options)
    assert (tmp_path / HEAD).is_file()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    train_phase(
        model, recipe, replace(coarse, name="interpolation", finest=0, encoder_lr=0.0), options
    )
    train_phase(model, recipe, anchored, options)
    assert (tmp_path / "stage1.safetensors").is_file()
    changed = {n for n, value in model.state_dict().items() if not torch.equal(value, before[n])}
    for part in ("fusions.0.resnet1", "fusions.3.resnet2", "decoder.convs.1", "head."):
        assert any(part in name for name in changed), part
    for part in ("fusions.4", "convs.4", "fuse_lowres", "upsample2"):  # the coarsest level stays
        assert not any(part in name for name in changed), part
    with pytest.raises(ValueError, match="anchor=1"):
        replace(coarse, anchor=1.0)
