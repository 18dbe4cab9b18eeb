"""Layers in int8 compute what those in float do, nearly, and stay where they can."""

from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from conftest import make_model
from PIL import Image
from torch import nn

from depthpro import DepthPro, checkpoint
from depthpro.__main__ import main
from depthpro.deploy.int8 import Int8Conv2d, Int8Linear
from depthpro.image import load_image


@pytest.fixture(params=[True, False])
def vnni(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Return whether the processor has VNNI, or does as if it had not."""
    if not request.param:
        monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: False)
    elif not torch.cpu._is_vnni_supported():
        pytest.skip("this processor has no VNNI")
    return request.param


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_layer_is_near_even_beside_a_token_of_another_size(
    dtype: torch.dtype, vnni: bool
) -> None:
    allowed = 0.015 if vnni else 0.025
    layer = nn.Linear(96, 160)
    tokens = torch.randn(2, 30, 96)
    tokens[0, 3] *= 500
    tokens[1, 7] = 0
    tokens[1, 9] *= 1e-5
    quantised = Int8Linear(layer)
    expected, actual = layer(tokens), quantised(tokens.to(dtype))
    assert actual.dtype == dtype and actual.shape == (2, 30, 160)
    error = (actual.float() - expected).abs().mean(-1) / expected.abs().mean(-1)
    assert 0.001 < error.mean() < allowed
    assert error.max() < 3 * allowed
    torch.testing.assert_close(actual[1, 7].float(), layer.bias, rtol=0.01, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_convolution_is_near_up_to_the_border(dtype: torch.dtype, vnni: bool) -> None:
    allowed = 0.02 if vnni else 0.03
    layer = nn.Conv2d(16, 24, 3, padding=1)
    image = torch.randn(2, 16, 9, 11).relu() * 300
    expected, actual = layer(image), Int8Conv2d(layer)(image.to(dtype))
    assert actual.dtype == dtype and actual.shape == (2, 24, 9, 11)
    error = (actual.float() - expected).abs().mean(1) / expected.abs().mean()
    assert 0.001 < error.mean() < allowed
    assert error.max() < 3 * allowed
    assert layer.bias is not None
    nothing = Int8Conv2d(layer)(torch.zeros_like(image, dtype=dtype)).float()
    bias = layer.bias[:, None, None].expand_as(nothing)
    torch.testing.assert_close(nothing, bias, rtol=0.01, atol=1e-3)


def test_it_computes_in_the_type_of_autocast() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert Int8Linear(nn.Linear(8, 8, bias=False))(torch.ones(1, 8)).dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["coffee", "chelsea"])
def test_depth_of_photos_stays_near(name: str, vnni: bool) -> None:
    rgb = getattr(skimage.data, name)()
    full, small = (
        DepthPro.from_pretrained("small", device="cpu", dtype=each).infer(rgb).depth
        for each in (torch.float32, torch.int8)
    )
    deviation = (small / full - 1).abs().flatten()
    allowed = 1 if vnni else 2  # 7 bits instead of 8
    assert 0.0005 < deviation.median() < 0.002 * allowed
    assert deviation.quantile(0.99) < 0.02 * allowed


def test_blocks_of_transformers_and_decoder_are_int8(tmp_path: Path) -> None:
    file = make_model().half().save_pretrained(tmp_path)
    model = DepthPro.from_pretrained(file, device="cpu", dtype=torch.int8)
    blocks = 3 * model.config.depth
    assert sum(isinstance(module, Int8Linear) for module in model.modules()) == 4 * blocks
    assert sum(isinstance(module, Int8Conv2d) for module in model.modules()) == 20  # 2 x 2 x 5
    assert sum(isinstance(module, nn.Linear) for module in model.modules()) == 1  # fov's projection
    with pytest.raises(ValueError, match="int8 are for `infer` alone"):
        model.save_pretrained(tmp_path / "int8.safetensors")
    assert list(tmp_path.iterdir()) == [file]


def test_a_gpu_and_what_cannot_compute_it_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_model().save_pretrained(tmp_path)
    with pytest.raises(
        ValueError, match="int8 is for the CPU, got 'meta': choose the device 'cpu'"
    ):
        DepthPro.from_pretrained(file, device="meta", dtype=torch.int8)

    with pytest.raises(ValueError, match="ONNX file computes in its own type"):
        DepthPro.from_pretrained("network.onnx", dtype=torch.int8)

    def broken(*_: object) -> None:
        raise RuntimeError("no such operation\nand more")

    for name in ("qlinear_prepack", "qconv2d_pointwise"):
        with monkeypatch.context() as patch:
            patch.setattr(torch.ops.onednn, name, broken)
            with pytest.raises(
                ValueError, match=r"computed here \(no such operation\): .*leave int8 out"
            ):
                DepthPro.from_pretrained(file, device="cpu", dtype=torch.int8)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    monkeypatch.setattr(checkpoint, "load", broken)  # nothing is read before
    with pytest.raises(ValueError, match="needs an x86 processor with AVX2"):
        DepthPro.from_pretrained(file, device="cpu", dtype=torch.int8)


def test_predict_takes_it(tmp_path: Path) -> None:
    file = make_model().save_pretrained(tmp_path / "tiny.safetensors")
    photo = tmp_path / "photo.png"
    Image.fromarray(skimage.data.coffee()[::4, ::4]).save(photo)
    given = ["predict", str(photo), "--model", str(file), "--device", "cpu", "--formats", "npz"]
    assert main([*given, "-o", str(tmp_path / "int8"), "--int8"]) == 0
    with np.load(tmp_path / "int8" / "photo.png.npz") as result:
        depth = torch.from_numpy(result["depth"])
    model = DepthPro.from_pretrained(file, device="cpu", dtype=torch.int8)
    torch.testing.assert_close(depth[None], model.infer(load_image(photo).rgb).depth)
