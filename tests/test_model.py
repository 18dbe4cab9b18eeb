"""The network against the published one's values, and all that `infer` takes and gives."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import reference
import skimage.data
import torch
from conftest import TINY, make_model
from numpy import ndarray
from torch import Tensor

import depthpro.model
import depthpro.stem
from depthpro import DepthPro, DepthProConfig, vit
from depthpro.precision import chosen_dtype

DATA = Path(__file__).parent / "data"
NO_FOV = dataclasses.replace(TINY, fov=False)


def photo(height: int = 45, width: int = 60, seed: int = 0) -> ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def as_floats(*photos: ndarray) -> Tensor:
    return torch.stack([torch.from_numpy(p).permute(2, 0, 1) / 255 for p in photos])


def median_relative(actual: Tensor, expected: Tensor) -> float:
    return float(((actual - expected).abs() / expected.abs()).median())


def test_published_names_and_shapes() -> None:
    with torch.device("meta"):
        state = DepthPro().state_dict()
    lines = (DATA / "checkpoint_keys.tsv").read_text().splitlines()
    expected = dict(line.split("\t") for line in lines)
    assert len(expected) == 1119
    assert {k: "x".join(map(str, v.shape)) for k, v in state.items()} == expected


def test_published_code_computes_the_same() -> None:
    model = make_model(DepthProConfig(384, 16, 64, 4, 2, (0, 1), (32, 48, 64, 64), 32))
    along = np.arange(1536) / 1536
    x, y = along[None], along[:, None]
    channels = [
        0.5 * np.sin(2 * np.pi * (3 + c) * x) * np.cos(2 * np.pi * (5 - c) * y)
        + 0.4 * np.sign(np.sin(2 * np.pi * (17 * x + 11 * y) + c))
        for c in range(3)
    ]
    image = torch.from_numpy(np.stack(channels)[None].astype(np.float32))
    with torch.inference_mode():
        inverse, fov_deg = model(image)
        maps = model.encoder(image)
    inverse, expected = inverse[0].numpy(), np.load(DATA / "network_small.npz")
    for part, ours in {"inv": inverse[::16, ::16], "crop": inverse[700:764, 700:764]}.items():
        error = np.abs(ours - expected[part])
        assert error.max() < 1e-4
        assert error.mean() < 2e-6
        assert expected[part].std() > 0.01  # there is something to get wrong
    assert inverse.mean() == pytest.approx(float(expected["inv_mean"]), abs=2e-6)
    assert fov_deg.item() == pytest.approx(float(expected["fov"]), abs=1e-4)
    for level, features in enumerate(maps):
        mean, std = features.mean((0, 2, 3)).numpy(), features.std((0, 2, 3)).numpy()
        np.testing.assert_allclose(mean, expected[f"enc{level}_mean"], atol=5e-6)
        np.testing.assert_allclose(std, expected[f"enc{level}_std"], atol=5e-6)


@pytest.mark.parametrize("shape", [(1, 3, 256, 512), (1, 1, 512, 512), (3, 512, 512)])
@pytest.mark.usefixtures("unchecked")
def test_other_sizes_are_refused(tiny_model: DepthPro, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(b, 3, 512, 512\).*infer\(\) takes any size"):
        tiny_model(torch.zeros(shape))


def test_new_network_starts_in_training_with_depth_of_at_least_zero(tiny_config) -> None:
    model = DepthPro(tiny_config)
    assert model.training
    assert model.provenance.name == "random weights"
    inverse, _ = model(torch.rand(2, 3, 512, 512) * 2 - 1)
    assert inverse.min() >= 0
    inverse.sum().backward()
    depth_parts = (model.encoder, model.decoder.convs, model.head)
    assert all(p.grad is not None for part in depth_parts for p in part.parameters())


def test_a_batch_is_its_pictures(tiny_model: DepthPro) -> None:
    photos = [photo(seed=i) for i in range(3)]
    together = tiny_model.infer(as_floats(*photos))
    assert together.depth.shape == (3, 45, 60)
    for i, rgb in enumerate(photos):
        alone = tiny_model.infer(rgb)
        torch.testing.assert_close(together.depth[i], alone.depth[0])
        torch.testing.assert_close(together.f_px[i], alone.f_px[0])
    assert len({round(f, 2) for f in together.f_px.tolist()}) == 3  # they do differ
    given = tiny_model.infer(as_floats(*photos), f_px=torch.tensor([50.0, 60.0, 70.0]))
    torch.testing.assert_close(given.depth[2], tiny_model.infer(photos[2], 70.0).depth[0])


@pytest.mark.parametrize(("height", "width"), [(1, 33), (77, 1), (512, 512)])
def test_depth_at_any_size_of_photo(tiny_model: DepthPro, height: int, width: int) -> None:
    prediction = tiny_model.infer(photo(height, width))
    assert prediction.depth.shape == (1, height, width)
    canonical = prediction.canonical_inverse_depth[0].numpy()
    expected = reference.metric_depth(canonical, prediction.f_px.item(), height, width)
    np.testing.assert_allclose(prediction.depth[0], expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("f_px", "message"),
    [
        (float("nan"), "positive and finite, in pixels; got nan"),
        (torch.tensor([1.0, 2.0]), "or one for each of the 1 pictures; got tensor"),
        ("26mm", "f_px must be a number of pixels, .* got '26mm'"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_impossible_focal_lengths_are_refused_at_once(monkeypatch, f_px, message) -> None:
    model = make_model()
    monkeypatch.setattr(model, "forward", lambda _: pytest.fail("the network ran"))
    with pytest.raises(ValueError, match=message):
        model.infer(photo(), f_px=f_px)


def test_network_without_field_of_view_wants_a_focal_length() -> None:
    model = make_model(NO_FOV)
    assert not [name for name in model.state_dict() if name.startswith("fov")]
    with pytest.raises(ValueError, match="estimates no field of view: pass f_px, in pixels"):
        model.infer(photo())
    prediction = model.infer(photo(), f_px=60.0)
    assert prediction.estimated_f_px is None
    torch.testing.assert_close(prediction.depth, make_model().infer(photo(), f_px=60.0).depth)
    _, fov_deg = model(torch.zeros(1, 3, 512, 512))
    assert fov_deg is None


@pytest.mark.parametrize(("bias", "fov_deg"), [(1e6, 175.0), (-1e6, 1.0)])
def test_extreme_estimates_stay_finite(bias: float, fov_deg: float) -> None:
    model = make_model()
    assert model.fov is not None
    torch.nn.init.constant_(model.fov.head[4].bias, bias)
    torch.nn.init.zeros_(model.head[4].weight)
    torch.nn.init.zeros_(model.head[4].bias)
    prediction = model.infer(photo())
    assert prediction.fov_deg.item() == pytest.approx(fov_deg, rel=1e-5)
    assert 0 < prediction.f_px.item() < 1e5
    # Sky lies at the far end.
    assert prediction.canonical_inverse_depth.max() == 0
    torch.testing.assert_close(prediction.depth, torch.full((1, 45, 60), 1e4))


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_is_near_and_comes_out_in_float32(tiny_model, precision) -> None:
    full = tiny_model.infer(photo(), precision="float32")
    half = tiny_model.infer(photo(), precision=precision)
    assert not torch.equal(half.canonical_inverse_depth, full.canonical_inverse_depth)
    for result in (half.canonical_inverse_depth, half.f_px, half.depth):
        assert result.dtype == torch.float32
    assert median_relative(half.depth, full.depth) < 0.02
    # A head in bfloat16 would give some 500 values.
    assert len(half.canonical_inverse_depth.unique()) > 0.5 * 512 * 512


@pytest.mark.parametrize("stem", ["patch", "efficientnet_lite0"])
def test_half_weights_take_half_the_memory_and_compute_in_any_precision(stem, tmp_path) -> None:
    half = make_model(dataclasses.replace(TINY, stem=stem)).half().save_pretrained(tmp_path)
    full = DepthPro.from_pretrained(half, device="cpu")
    model = DepthPro.from_pretrained(half, device="cpu", dtype=torch.float16)
    coarse = {
        id(p) for name, p in model.named_parameters() if "stem" in name or "head." in name[:5]
    }
    assert {p.dtype for p in model.parameters() if id(p) not in coarse} == {torch.float16}
    assert {p.dtype for p in model.parameters() if id(p) in coarse} == {torch.float32}
    # A file in float16 loses nothing: each weight is widened where it is used.
    expected = full.infer(photo(), precision="float32")
    assert torch.equal(model.infer(photo(), precision="float32").depth, expected.depth)
    for precision in ("float16", "bfloat16"):
        near = model.infer(photo(), precision=precision)
        assert near.depth.dtype == near.f_px.dtype == torch.float32
        assert not torch.equal(near.depth, expected.depth)
        assert median_relative(near.depth, expected.depth) < 0.02


@pytest.mark.parametrize("has", [True, False])
def test_auto_is_bfloat16_on_processors_that_compute_in_it(tiny_model, monkeypatch, has) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has)
    expected = tiny_model.infer(photo(), precision="bfloat16" if has else "float32")
    assert torch.equal(tiny_model.infer(photo()).depth, expected.depth)
    # With a convolutional stem there is no time to gain.
    assert (
        chosen_dtype("auto", torch.float32, torch.device("cpu"), "efficientnet_lite0")
        == torch.float32
    )


@pytest.mark.slow  # where bfloat16 is emulated
@pytest.mark.parametrize("name", ["coffee", "chelsea"])
def test_bfloat16_stays_near_on_photos(name: str) -> None:
    rgb, model = getattr(skimage.data, name)(), DepthPro.from_pretrained("small", device="cpu")
    full, half = (model.infer(rgb, precision=each).depth for each in ("float32", "bfloat16"))
    deviation = (half / full - 1).abs().flatten()
    assert 0 < deviation.median() < 0.01
    assert deviation.quantile(0.99) < 0.05


@pytest.mark.parametrize("stem", ["patch", "efficientnet_lite0"])
def test_parts_and_strips_give_what_the_whole_gives(
    stem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(dataclasses.replace(TINY, stem=stem))
    image = 2 * torch.rand(2, 3, 512, 512) - 1
    expected, _ = model(image)  # with gradients: all windows and rows at once
    monkeypatch.setattr(vit, "_TOKENS_AT_ONCE", 1000 if stem == "efficientnet_lite0" else 200)
    monkeypatch.setattr(depthpro.stem, "_PIXELS_AT_ONCE", 7 * 128 * 128)
    monkeypatch.setattr(depthpro.model, "_STRIP_PIXELS", 40 * 256)
    with torch.no_grad():
        inverse, _ = model(image)
    torch.testing.assert_close(inverse, expected, rtol=0, atol=1e-5)
    assert expected.std() > 0.01


@pytest.mark.usefixtures("unchecked")
def test_unknown_precision_and_dtype_are_refused(tiny_model: DepthPro) -> None:
    with pytest.raises(ValueError, match=r"one of \['auto', 'float32', .*got 'half'"):
        tiny_model.infer(photo(), precision="half")
    with pytest.raises(ValueError, match=r"dtype must be one of .*got torch\.int16"):
        DepthPro.from_pretrained(dtype=torch.int16)


@pytest.mark.parametrize(
    "message",
    [
        "CUDA out of memory. Tried to allocate 20.00 GiB.",
        "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory",
        "DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes.",
    ],
)
def test_lack_of_memory_names_remedies(monkeypatch, message: str) -> None:
    def fail(_: Tensor) -> None:
        raise RuntimeError(message)

    model = make_model()
    monkeypatch.setattr(model, "forward", fail)
    with pytest.raises(MemoryError, match=r"cpu ran out of memory on a batch of 2; try"):
        model.infer(as_floats(photo(), photo()))


def test_a_device_that_is_not_there_is_refused_before_anything_is_read() -> None:
    with pytest.raises(ValueError, match=r"'cuda:77' cannot be used .*'(cpu|cuda|mps)' can"):
        DepthPro.from_pretrained("no such weights", device="cuda:77")


@pytest.mark.usefixtures("unchecked")
@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore::torch.jit.TracerWarning")
def test_the_network_is_traced_and_exported_for_any_batch(tiny_model: DepthPro) -> None:
    pictures = [2 * torch.rand(batch, 3, 512, 512) - 1 for batch in (2, 3)]
    with torch.no_grad():
        traced = torch.jit.trace(tiny_model, pictures[0], check_trace=False)
        batch = torch.export.Dim("batch", max=8)
        exported = torch.export.export(tiny_model, (pictures[0],), dynamic_shapes=({0: batch},))
        expected = tiny_model(pictures[1])
        torch.testing.assert_close(exported.module()(pictures[1]), expected)
        torch.testing.assert_close(traced(pictures[1]), expected)
