"""Encoders before the network: windows, readers, and DINOv2's weights for other patches."""

from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from conftest import TINY
from torch.testing import assert_close
from training import make_batch

from depthpro import DepthPro
from depthpro.config import DepthProConfig
from depthpro.preprocess import resize
from depthpro.stem import load_imagenet
from depthpro.training.window_pretraining import (
    WindowNetwork,
    copy_to_encoders,
    cut_windows,
    load_dinov2,
    load_pretrained,
    to_patch16,
    window_encoders,
)
from depthpro.vit import build_vit, encode

HYBRID = replace(TINY, stem="efficientnet_lite0")


def test_windows_are_the_whole_pictures_and_a_part_of_each() -> None:
    batch = make_batch(6)
    random = batch.random
    random[:, 16] = torch.tensor([0.1, 0.9, 0.1, 0.9, 0.1, 0.9])  # finest, middle, finest, ...
    windows = cut_windows(batch, TINY)
    assert windows.image.shape == (12, 3, 128, 128)
    assert windows.inverse.shape == (12, 64, 64)
    assert windows.metric.tolist() == [True] * 6 + [False] * 6
    assert torch.equal(windows.inverse[:6], batch.inverse[:, 4::8, 4::8])
    for number in range(6):  # each part is where its numbers say, of its own scale
        span, step = (128, 2) if number % 2 == 0 else (256, 4)
        top, left = (random[number, 14:16] * (512 - span + 1)).long().tolist()
        part = batch.inverse[number, top : top + span, left : left + span]
        half = step // 2
        assert torch.equal(windows.inverse[6 + number], part[half::step, half::step])
        seen = batch.image[number, :, top : top + span, left : left + span]
        assert_close(windows.image[6 + number], resize(seen[None], 128)[0])


@pytest.mark.parametrize("config", [TINY, HYBRID])
def test_windows_are_read_by_one_encoder_that_becomes_all_three(config: DepthProConfig) -> None:
    network, model = WindowNetwork(config), DepthPro(config)
    copy_to_encoders(network.encoder, model)
    windows = torch.rand(3, 3, 128, 128)
    assert len(window_encoders(model)) == 3
    with torch.no_grad():
        predicted, alone = network(windows), network(windows[1:2])
        expected = encode(network.encoder, windows)[0]
        for encoder in window_encoders(model):
            assert torch.equal(encode(encoder, windows)[0], expected)
    assert predicted.inverse.shape == predicted.relative.shape == (3, 64, 64)
    for one, all_of_them in zip(alone, predicted, strict=True):
        assert_close(one[0], all_of_them[1], rtol=1e-3, atol=1e-4)
    copy_to_encoders(network.encoder, DepthPro(replace(config, fov=False)))


def test_a_stem_starts_from_imagenet_and_a_vit_from_dinov2() -> None:
    model = DepthPro(HYBRID)
    load_pretrained("imagenet", model)
    expected = load_imagenet().state_dict()
    for encoder in window_encoders(model):
        assert all(torch.equal(expected[n], t) for n, t in encoder.stem.state_dict().items())
    with pytest.raises(ValueError, match=r"starts from \"imagenet\", got 'vit'"):
        load_pretrained("vit", model)


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
    config = DepthProConfig()
    with torch.device("meta"):
        vit = timm.create_model("vit_large_patch14_dinov2", num_classes=0)
        converted = to_patch16(dict(vit.state_dict()), config)
        expected = build_vit(config).state_dict()
    assert {k: v.shape for k, v in converted.items()} == {k: v.shape for k, v in expected.items()}


def test_dinov2_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = timm.create_model(SOURCE, num_classes=0, init_values=1e-5)
    torch.save(source.state_dict(), tmp_path / "vit.pth")
    monkeypatch.setattr(timm, "create_model", _with_layer_scale(timm.create_model))
    vit = load_dinov2(f"{SOURCE}={tmp_path / 'vit.pth'}", SMALL)
    assert_close(vit.blocks[3].mlp.fc1.weight, source.blocks[3].mlp.fc1.weight)
    assert vit.pos_embed.shape == (1, 65, 192)
    with pytest.raises(ValueError, match=r"for DepthProConfig.*RuntimeError"):
        load_dinov2(f"{SOURCE}={tmp_path / 'vit.pth'}", TINY)


def _with_layer_scale(create):
    return lambda name, *given, **options: create(name, *given, init_values=1e-5, **options)


@pytest.mark.parametrize("name", [f"{SOURCE}=gone.pth", "no_such_vit"])
def test_dinov2_that_cannot_be_had(name: str) -> None:
    with pytest.raises(ValueError, match=r"no DINOv2 '\w+' .*phase `encoders`"):
        load_dinov2(name, SMALL)
