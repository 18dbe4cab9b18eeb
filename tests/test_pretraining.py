"""Encoders before the network: windows, readers, and DINOv2's weights for other patches."""

from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from conftest import TINY
from torch.testing import assert_close
from training import make_samples

from depthpro import DepthPro
from depthpro.config import DepthProConfig
from depthpro.data import Batch, as_item
from depthpro.pretraining import (
    CROPS,
    WindowNetwork,
    cut_crops,
    give_encoders,
    load_dinov2,
    shrink,
    to_patch16,
)
from depthpro.vit import encode


@pytest.fixture
def batch() -> Batch:
    items = [as_item(sample, 512)._replace(dice=torch.rand(8)) for sample in make_samples(3)]
    return Batch(*(torch.stack(field) for field in zip(*items, strict=True)))


def test_crops_are_windows_of_their_scale(batch: Batch) -> None:
    crops = cut_crops(batch, TINY)
    assert crops.image.shape == (3 * len(CROPS), 3, 128, 128)
    assert not crops.metric.any()
    assert crops.synthetic.all()
    # Colour in these samples follows depth, so a crop's picture and depth must agree: where depth
    # is one surface, colour is one colour.
    for number, level in enumerate(CROPS):
        side = TINY.pyramid[level].side
        for i in range(3):
            top, left = (batch.dice[i, 2 * number : 2 * number + 2] * (side - 127)).long().tolist()
            step = 512 // side
            part = (slice(top * step, (top + 128) * step, step),
                    slice(left * step, (left + 128) * step, step))  # fmt: skip
            crop = crops.inverse[3 * number + i]
            assert (crop - batch.inverse[i][part]).abs().median() < 1e-6


def test_dice_reach_both_ends(batch: Batch) -> None:
    for die, place in ((0.0, 0), (1 - 1e-7, 384)):
        crops = cut_crops(batch._replace(dice=torch.full((3, 8), die)), TINY)
        assert torch.equal(crops.inverse[0], batch.inverse[0, place:, place:][:128, :128])


def test_whole_pictures_keep_their_metres(batch: Batch) -> None:
    whole = shrink(batch, 128)
    assert whole.inverse.shape == (3, 128, 128)
    assert_close(whole.inverse, batch.inverse[:, 2::4, 2::4])
    assert whole.metric.all()


def test_readers_draw_a_patch_for_each_token() -> None:
    network = WindowNetwork(TINY)
    with torch.no_grad():
        for readers in (network.whole, network.crops):
            for reader in readers:
                reader.weight.zero_()
                reader.bias.zero_()
        network.crops[2].bias.copy_(torch.arange(256.0))
        said = network(torch.rand(2, 3, 128, 128), torch.rand(3, 3, 128, 128))
    assert said.whole.shape == (2, 128, 128)
    assert (said.whole == 0).all()
    # A token's 256 numbers fill its 16 x 16 pixels row by row.
    assert torch.equal(said.crops[1, 16:32, 32:48], torch.arange(256.0).view(16, 16))
    assert (said.fov_deg - 60).abs().max() < 10


def test_one_vit_becomes_all_three() -> None:
    network, model = WindowNetwork(TINY), DepthPro(TINY)
    give_encoders(network.vit, model)
    windows = torch.rand(2, 3, 128, 128)
    assert model.fov is not None
    with torch.no_grad():
        expected = encode(network.vit, windows)[0]
        for vit in (model.encoder.patch_encoder, model.encoder.image_encoder, model.fov.encoder[0]):
            assert torch.equal(encode(vit, windows)[0], expected)
    give_encoders(network.vit, DepthPro(replace(TINY, fov=False)))


SOURCE = "vit_tiny_patch16_224"
SMALL = replace(TINY, dim=192, depth=12, heads=3)


def dinov2_like() -> torch.nn.Module:
    """Return a ViT built as DINOv2 is: patches of 14 pixels, LayerScale, 518-pixel pictures."""
    return timm.create_model(SOURCE, patch_size=14, img_size=518, init_values=1e-5, num_classes=0)


def test_patches_of_14_become_16() -> None:
    # A constant picture gives the same token: the kernel's sum stays, up to interpolation. For a
    # constant kernel it is exact: 14 x 14 x v = 16 x 16 x v (14/16)^2.
    state = dinov2_like().state_dict()
    state["patch_embed.proj.weight"] = torch.ones_like(state["patch_embed.proj.weight"])
    state["pos_embed"] = torch.full_like(state["pos_embed"], 0.25)
    new = to_patch16(state, SMALL)
    kernel = new["patch_embed.proj.weight"]
    assert kernel.shape == (192, 3, 16, 16)
    assert_close(kernel, torch.full_like(kernel, (14 / 16) ** 2))
    assert new["pos_embed"].shape == (1, 65, 192)
    assert_close(new["pos_embed"], torch.full((1, 65, 192), 0.25))
    untouched = set(state) - {"patch_embed.proj.weight", "pos_embed"}
    assert all(new[name] is state[name] for name in untouched)


def test_published_sizes_fit() -> None:
    with torch.device("meta"):
        vit = timm.create_model("vit_large_patch14_dinov2", num_classes=0)
        config = DepthProConfig()
        new = to_patch16(dict(vit.state_dict()), config)
        from depthpro.vit import build_vit

        ours = build_vit(config)
    assert {n: t.shape for n, t in new.items()} == {
        n: t.shape for n, t in ours.state_dict().items()
    }


def test_dinov2_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = timm.create_model(SOURCE, num_classes=0, init_values=1e-5)
    torch.save(source.state_dict(), tmp_path / "vit.pth")
    monkeypatch.setattr(timm, "create_model", _with_layer_scale(timm.create_model))
    vit = load_dinov2(f"{SOURCE}={tmp_path / 'vit.pth'}", SMALL)
    assert_close(vit.blocks[3].mlp.fc1.weight, source.blocks[3].mlp.fc1.weight)
    assert vit.pos_embed.shape == (1, 65, 192)
    with pytest.raises(ValueError, match=r"does not fit DepthProConfig"):
        load_dinov2(f"{SOURCE}={tmp_path / 'vit.pth'}", TINY)


def _with_layer_scale(create):
    return lambda name, **options: create(name, init_values=1e-5, **options)


def test_dinov2_that_cannot_be_had() -> None:
    with pytest.raises(ValueError, match=r"there is no file gone\.pth"):
        load_dinov2(f"{SOURCE}=gone.pth", SMALL)
    with pytest.raises(ValueError, match=r"timm cannot give 'no_such_vit'.*phase `encoders`"):
        load_dinov2("no_such_vit", SMALL)
