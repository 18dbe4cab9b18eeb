"""Finer levels that are anchored to the coarsest one."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import TINY, make_model
from safetensors.torch import load_file
from torch.nn import functional as F
from training import joined, make_batch, make_recipe, make_samples

from depthpro.training.anchor import (
    HEAD,
    Anchor,
    Fit,
    details_around,
    fit,
    interpolation_loss,
    save_head,
)
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


def test_the_target_has_the_depth_of_the_level_and_the_details_of_the_truth(tmp_path: Path) -> None:
    anchor, coarse, images = make_anchor(tmp_path)
    batch, side = make_batch(2, TINY.image_size), TINY.image_size
    steps = torch.ones(2, side, side)
    steps[:, :, side // 2 :] = 3.0  # an edge between two cells
    batch = batch._replace(inverse=0.1 * steps, mask=torch.ones_like(batch.mask))
    level = anchor.predict(images)
    target = details_around(level, batch).inverse
    # It is as sharp as the truth, and means over two cells are those of the level.
    edge = slice(side // 2 - 1, side // 2 + 1)
    ratio = target[:, :, edge][..., 1] / target[:, :, edge][..., 0]
    torch.testing.assert_close(ratio, torch.full_like(ratio, 3.0), rtol=0.05, atol=0)
    cell = 2 * side // coarse.shape[-1]
    wide = F.interpolate(coarse[:, None], (side, side), mode="bilinear")
    means, wanted = (F.avg_pool2d(x, cell) for x in (target[:, None], wide))
    assert ((means - wanted).abs().mean() / wanted.mean()) < 0.15
    # Depth itself is not the truth's: a truth of half the distance has the same details.
    nearer = batch._replace(inverse=steps)
    torch.testing.assert_close(details_around(level, nearer).inverse, target)
    # Invalid pixels change nothing around them, and sky has no details.
    holes = batch.mask.clone()
    holes[:, ::7] = False
    holed = batch._replace(inverse=batch.inverse.where(holes, torch.nan), mask=holes)
    far = (..., slice(0, side // 4))
    torch.testing.assert_close(
        details_around(level, holed).inverse[far][holes[far]], target[far][holes[far]]
    )
    sky = details_around(level, batch._replace(inverse=torch.zeros_like(steps))).inverse
    torch.testing.assert_close(F.avg_pool2d(sky[:, None], cell), means, rtol=0.3, atol=0.01)


def test_what_is_fitted_has_the_scale_and_offset_of_the_level(tmp_path: Path) -> None:
    anchor, coarse, images = make_anchor(tmp_path)
    side = TINY.image_size
    wide = F.interpolate(coarse[:, None], (side, side), mode="bilinear")[:, 0]
    edges = torch.zeros(side, side)
    edges[:, ::2], edges[:, 1::2] = 0.3, -0.3  # finer than the cells: no difference
    off = (0.5 * wide + edges + 0.2).requires_grad_()
    found = fit(off, anchor.predict(images), side, None)
    torch.testing.assert_close(torch.stack(found), torch.tensor([2.0, -0.4]), rtol=1e-3, atol=1e-3)
    crops = FineCrops([(0, 0), (64, 32)], side // 2)
    maps = anchor.network.read_windows(images)
    of_crops = fit(crops.cut(off), anchor.predict(maps), side, crops)
    torch.testing.assert_close(torch.stack(of_crops), torch.stack(found), rtol=1e-3, atol=1e-3)
    # What a loss says of fitted predictions asks for no other scale and no other offset.
    (found.scale * off + found.offset - wide).square().sum().backward()
    assert off.grad is not None
    assert abs(off.grad.mean()) < 1e-4 * off.grad.abs().mean()
    assert abs((off.grad * off.detach()).mean()) < 1e-4 * off.grad.abs().mean()
    model = make_model()
    with torch.no_grad():
        before = model.head[:-1](torch.ones(1, TINY.decoder_dim, 8, 8))
        Fit(torch.tensor(1.2), torch.tensor(-0.01)).fold_into(model)
        after = model.head[:-1](torch.ones(1, TINY.decoder_dim, 8, 8))
    torch.testing.assert_close(after, 1.2 * before - 0.01)


def make_anchor(folder: Path) -> tuple[Anchor, torch.Tensor, torch.Tensor]:
    """Return an anchor, and what its level predicts for two pictures, always above 0."""
    model, images = make_model(), make_batch(2, TINY.image_size).image
    with pytest.raises(ValueError, match=f"expected coarse.safetensors and {HEAD} in "):
        Anchor(folder)
    trained = DepthNetwork(model, finest=4)
    with torch.no_grad():
        coarse = trained(images)
        assert trained.coarse_head is not None
        trained.coarse_head.weight.mul_(0.1 / coarse.std())
        trained.coarse_head.bias.copy_(0.5 - 0.1 / coarse.std() * coarse.mean())
        coarse = trained(images)
    assert coarse.min() > 0.05
    save_head(trained, folder)
    assert load_file(folder / HEAD).keys() == {"weight", "bias"}
    model.save_pretrained(folder / "coarse.safetensors", "by hand")
    return Anchor(folder), coarse, images


def test_interpolation_learns_to_draw_the_coarsest_level_smoothly(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, images = make_model(), make_batch(2, TINY.image_size).image
    save_head(DepthNetwork(model, finest=4), tmp_path)
    model.save_pretrained(tmp_path / "coarse.safetensors", "by hand")
    anchor, side = Anchor(tmp_path), TINY.image_size
    phase = make_recipe(TINY).phase("stage1")
    phase = replace(phase, name="interpolation", encoder_lr=0.0)
    network = make_network(model, make_recipe(TINY), phase)
    with torch.no_grad():
        maps = network.read_windows(images)
    assert len(maps) == 2  # no finer windows are read
    optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), 2e-3)
    losses = []
    for _ in range(25):
        loss = interpolation_loss(network(maps), anchor.predict(maps), side, None)
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
    anchored = replace(recipe.phase("stage1"), anchor=True)
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
    with pytest.raises(ValueError, match="anchor=True"):
        replace(coarse, anchor=True)
