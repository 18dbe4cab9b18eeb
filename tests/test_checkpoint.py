"""Weights in and out: every layout, every way in which a file can be broken, and the hub."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import reference
import skimage.data
import torch
from conftest import TINY, make_model
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from training import map_deviations

from depthpro import DepthPro, DepthProConfig, checkpoint
from depthpro.depth_error import DepthError
from depthpro.preprocess import resize_bytes

RGB = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def load(name: str | Path, config: DepthProConfig | None = None) -> DepthPro:
    return DepthPro.from_pretrained(name, config=config, device="cpu")


def assert_refused(*parts: str):
    """Expect a ValueError with all of these words."""
    return pytest.raises(ValueError, match="(?s)" + ".*".join(parts))


def assert_same(one: DepthPro, other: DepthPro) -> None:
    assert one.config == other.config
    first, second = one.state_dict(), other.state_dict()
    assert list(first) == list(second)  # in the same order, too
    for name, tensor in first.items():
        assert tensor.dtype == second[name].dtype
        assert torch.equal(tensor, second[name]), name


@pytest.fixture
def pickled(tmp_path: Path, tiny_model: DepthPro) -> Path:
    """Return a file as the published one is: a state dict in half precision."""
    path = tmp_path / "depth_pro.pt"
    torch.save({name: tensor.half() for name, tensor in tiny_model.state_dict().items()}, path)
    return path


def test_embedded_weights_load_and_predict() -> None:
    model = load("small")
    assert model.config == DepthProConfig.small()
    assert not model.training
    assert all(p.requires_grad and p.dtype == torch.float32 for p in model.parameters())
    prediction = model.infer(RGB)
    assert bool(prediction.depth.isfinite().all())
    assert prediction.canonical_inverse_depth.max() > 0


def test_embedded_weights_are_half_precision_and_state_their_licence() -> None:
    with safe_open(checkpoint.EMBEDDED, "pt") as file:
        kinds = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    assert kinds == {"F16"}
    assert metadata["licence"] == checkpoint.OWN_LICENCE
    assert checkpoint.EMBEDDED.stat().st_size < 30e6
    made = checkpoint.load("small").provenance
    error = DepthError.from_json(metadata["depth_error"])  # so that the page has a ±
    assert made == checkpoint.Provenance("small", metadata["licence"], metadata["record"], error)


def test_no_part_of_the_embedded_network_is_dead() -> None:
    # A convolution of zeros before a ReLU gets no gradient: it never comes back to life.
    model = load("small")
    unused = "decoder.fusions.4.resnet1."  # the coarsest map has no skip
    tensors = {n: t for n, t in model.state_dict().items() if not n.startswith(unused)}
    assert [name for name, tensor in tensors.items() if not tensor.any()] == []
    photos = [skimage.data.coffee(), skimage.data.chelsea(), skimage.data.rocket()]
    batch = torch.cat([resize_bytes(torch.from_numpy(p.copy()).movedim(-1, 0)[None], 512)
                       for p in photos]) / 127.5 - 1  # fmt: skip
    deviations = map_deviations(model, batch)
    assert max(deviations) < 20 * min(deviations)  # 67.8 against 0.13 once
    with torch.no_grad():
        lowres = model.decoder(model.encoder(batch))[1]
        angles = model.fov(batch, lowres)
        # What the depth network gives the head reaches its answer.
        assert (model.fov(batch, lowres * 0) - angles).abs().max() > 0.1


@pytest.mark.parametrize("target", ["weights.safetensors", "folder", "deep/folder"])
def test_saved_weights_come_back_to_the_last_bit(tmp_path: Path, target: str) -> None:
    model = make_model()
    written = model.save_pretrained(tmp_path / target, record="epoch 3")
    assert written == tmp_path / (target if "." in target else f"{target}/model.safetensors")
    loaded = load(tmp_path / target)
    assert_same(loaded, model)
    assert loaded.provenance.record == "epoch 3"
    assert loaded.provenance.licence == checkpoint.OWN_LICENCE
    assert loaded.provenance.name == Path(target).name
    torch.testing.assert_close(loaded.infer(RGB).depth, model.infer(RGB).depth)


def test_loaded_weights_can_be_saved_over_their_own_file(tmp_path: Path) -> None:
    # Loading turns weights to channels_last, and may map the file instead of reading it.
    path = make_model().save_pretrained(tmp_path)
    loaded = load(path)
    assert not loaded.decoder.convs[1].weight.is_contiguous()
    loaded.save_pretrained(path)
    assert_same(load(path), make_model())
    assert all(tensor.is_contiguous() for tensor in load_file(path).values())


def test_the_licence_and_the_record_stay_with_the_weights(tmp_path: Path, pickled: Path) -> None:
    load(pickled, TINY).save_pretrained(tmp_path / "a", record="converted")
    load(tmp_path / "a").save_pretrained(tmp_path / "b")
    made = load(tmp_path / "b").provenance
    assert made == checkpoint.Provenance("b", checkpoint.PUBLISHED_LICENCE, "converted")
    # Without metadata they may be the published ones.
    save_file(load_file(tmp_path / "b" / "model.safetensors"), tmp_path / "c.safetensors")
    made = load(tmp_path / "c.safetensors", TINY).provenance
    assert made == checkpoint.Provenance("c.safetensors", checkpoint.PUBLISHED_LICENCE)


@pytest.mark.parametrize("target", ["small", "w.pt"])
def test_targets_that_are_not_written(tmp_path, monkeypatch, tiny_model, target) -> None:
    monkeypatch.chdir(tmp_path)
    with assert_refused(r"written to a \.safetensors file or a folder, not to"):
        tiny_model.save_pretrained(target)
    assert not list(tmp_path.iterdir())


def test_published_pickle_loads(pickled: Path, tiny_model: DepthPro) -> None:
    expected = make_model()
    expected.load_state_dict({k: v.half().float() for k, v in tiny_model.state_dict().items()})
    for path in (pickled, pickled.parent):
        assert_same(load(path, TINY), expected)


@dataclass
class Malicious:
    """What a pickle could run: it makes a file when it is read."""

    target: Path

    def __reduce__(self) -> tuple[Callable, tuple]:  # noqa: D105
        return Path.touch, (self.target,)


def test_a_pickle_runs_no_code(tmp_path: Path) -> None:
    torch.save({"weights": Malicious(tmp_path / "owned")}, tmp_path / "depth_pro.pt")
    with assert_refused(r"expected a state dict saved by torch\.save in 'depth_pro\.pt'"):
        load(tmp_path / "depth_pro.pt")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"model": {"a": torch.ones(1)}, "epoch": 3}, "expected a dict of tensors"),
        ([1, 2], "expected a dict of tensors"),
        ({}, "Missing key.*encoder"),
    ],
)
def test_pickles_of_other_things_are_refused(tmp_path: Path, value: object, message: str) -> None:
    torch.save(value, tmp_path / "other.pt")
    with assert_refused(message):
        load(tmp_path / "other.pt", TINY)


@pytest.mark.parametrize(("suffix", "kind"), [(".pt", "state"), (".safetensors", "safetensors")])
@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\noid", None])
def test_broken_files_are_refused(tmp_path, tiny_model, suffix, kind, content) -> None:
    path = tmp_path / f"weights{suffix}"
    if content is None:  # a download that was cut off
        tiny_model.save_pretrained(tmp_path / "weights.safetensors")
        torch.save(tiny_model.state_dict(), tmp_path / "weights.pt")
        whole = path.read_bytes()
        content = whole[: len(whole) // 2]
    path.write_bytes(content)
    got = r"got [\d,]+ bytes, truncated or of another kind: download it again, .* Git LFS pointer"
    with assert_refused(f"expected a {kind}", rf"in 'weights\{suffix}', {got}"):
        load(path, TINY)


def test_every_misfit_is_named(tmp_path: Path, tiny_model: DepthPro) -> None:
    tensors = dict(tiny_model.state_dict())
    del tensors["head.0.bias"], tensors["fov.head.4.weight"]
    tensors["extra"] = torch.ones(1)
    tensors["head.4.bias"] = torch.ones(2)
    torch.save(tensors, tmp_path / "misfit.pt")
    with assert_refused(
        r"weights 'misfit\.pt' do not fit.*another config, pass it as config=",
        r'Missing key\(s\) in state_dict: "head\.0\.bias", "fov\.head\.4\.weight"',
        r'Unexpected key\(s\) in state_dict: "extra"',
        r"size mismatch for head\.4\.bias: .*\[2\].*\[1\]",
    ):
        load(tmp_path / "misfit.pt", TINY)


def test_a_config_that_the_file_contradicts_is_refused(tmp_path: Path, tiny_model) -> None:
    path = tiny_model.save_pretrained(tmp_path)
    assert_same(load(path, TINY), tiny_model)
    with assert_refused("'model.safetensors' have a config, another one: leave config= out"):
        load(path, DepthProConfig.small())


@pytest.mark.parametrize(
    "name",
    ["smal", "", "empty", "./weights/foo", "../foo", "a/b/c", "weights/foo.pt", "foo.safetensors"],
)
def test_mistyped_paths_are_not_looked_for_on_the_hub(monkeypatch, tmp_path, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    hub = lambda *_, **__: pytest.fail("asked the hub")  # noqa: E731
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub)
    (tmp_path / "empty").mkdir()
    with assert_refused("expected .*model.safetensors"):
        load(name)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.nan, r"expected finite .*head\.4\.bias has NaN or infinity"),
        (-math.inf, r"expected finite .*head\.4\.bias has NaN or infinity"),
        (torch.int64, r"expected floats .*head\.4\.bias is torch\.int64"),
        (torch.complex64, r"expected floats .*head\.4\.bias is torch\.complex64"),
    ],
)
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_values_that_nothing_computes_with_are_refused(
    tmp_path, tiny_model, suffix, value, message
) -> None:
    state, path = tiny_model.state_dict(), tmp_path / f"w{suffix}"
    bias = state["head.4.bias"]
    broken = bias.to(value) if isinstance(value, torch.dtype) else torch.full_like(bias, value)
    state["head.4.bias"] = broken
    if suffix == ".pt":
        torch.save(state, path)
    else:
        save_file(state, path)
    with assert_refused(message):
        load(path, TINY)


def test_headers_that_lie_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    entry = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    huge = {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}
    for header in ({"a": entry, "b": entry}, {"a": huge}, {"a": entry | {"shape": [5]}}):
        text = json.dumps(header).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(16))
        with assert_refused("expected a safetensors file"):
            load(path)
    path.write_bytes((1 << 60).to_bytes(8, "little") + bytes(16))
    with assert_refused("expected a safetensors file"):
        load(path)


def test_a_config_of_endless_blocks_is_refused_before_they_are_built(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    config = json.loads(TINY.to_json()) | {"depth": 10**9}
    save_file({"a": torch.zeros(1)}, path, {"config": json.dumps(config)})
    with assert_refused("1 tensors for 1000000000 blocks"):
        load(path)


def test_published_weights_come_from_the_hub(monkeypatch, pickled: Path, theirs: Path) -> None:
    places = {
        "apple/DepthPro": (pickled.parent, ["depth_pro.pt"], TINY),
        "apple/DepthPro-hf": (theirs, ["config.json", "model.safetensors"], None),
    }

    def download(name: str, allow_patterns: list[str], local_files_only: bool) -> Path:
        assert allow_patterns == places[name][1]
        assert local_files_only  # what is in the cache needs no hub
        return places[name][0]

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    for name, (path, _, config) in places.items():
        loaded = load(name, config)
        assert_same(loaded, load(path, config))
        assert loaded.provenance == checkpoint.Provenance(name, checkpoint.PUBLISHED_LICENCE)


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("apple/DepthPro", r"depth_pro\.pt"),
        ("apple/DepthPro-hf", r"config\.json and model\.safetensors"),
        ("weights/foo", r"config\.json and model\.safetensors"),  # perhaps a mistyped path
    ],
)
def test_offline_without_cache_says_what_to_fetch(monkeypatch, tmp_path, name, files) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with assert_refused(
        f"no file or folder '{name}' here",
        f"Check the name, or fetch {files} from https://huggingface.co/{name}/tree/main",
        "pass the folder's path instead",
    ):
        load(name)


def transformers_folder(folder: Path, **changes: object) -> tuple[object, Tensor]:
    """Save a tiny random network of transformers' own; return it with a picture for it."""
    import transformers

    sizes = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2}
    vit = {"model_type": "dinov2", "image_size": 128, "patch_size": 16, **sizes}
    config = transformers.DepthProConfig(
        patch_size=128,
        fusion_hidden_size=16,
        intermediate_hook_ids=[2, 0],
        intermediate_feature_dims=[16, 16],
        scaled_images_feature_dims=[40, 24, 20],
        merge_padding_value=1,
        image_model_config=dict(vit),
        patch_model_config=dict(vit),
        fov_model_config=dict(vit),
        **{"use_fov_model": True, **changes},
    )
    theirs = transformers.DepthProForDepthEstimation(config).eval()
    shapes = {name: tuple(value.shape) for name, value in theirs.named_parameters()}
    weights = reference.weights_by_name(shapes)
    theirs.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()}, strict=False)
    with torch.no_grad():
        theirs.head.layers[4].weight.abs_()
        theirs.head.layers[4].bias.abs_()
    theirs.save_pretrained(folder)
    return theirs, torch.rand((2, 3, 512, 512)) * 2 - 1


@pytest.fixture(scope="module")
def theirs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("transformers")
    transformers_folder(folder)
    return folder


@pytest.mark.parametrize("fov", [True, False])
def test_transformers_computes_the_same(tmp_path: Path, fov: bool) -> None:
    theirs, image = transformers_folder(tmp_path, use_fov_model=fov)
    ours = load(tmp_path)
    assert ours.config == DepthProConfig(128, 16, 32, 4, 2, (0, 2), (16, 20, 24, 40), 16, fov=fov)
    assert ours.provenance.licence == checkpoint.PUBLISHED_LICENCE
    with torch.no_grad():
        expected = theirs(image)
        inverse, fov_deg = ours(image)
    assert inverse.min() >= 0
    assert inverse.std() > 0.1 * inverse.mean()  # there is something to get wrong
    torch.testing.assert_close(inverse, expected.predicted_depth, rtol=1e-4, atol=1e-5)
    if not fov:
        assert fov_deg is None
        return
    assert (fov_deg[0] - fov_deg[1]).abs() > 1e-3
    torch.testing.assert_close(fov_deg, expected.field_of_view, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("text", [None, "{", "[1]", "\xff"])
def test_transformers_weights_need_their_config(tmp_path, theirs: Path, text: str | None) -> None:
    shutil.copy(theirs / "model.safetensors", tmp_path)
    if text is not None:
        (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
    with assert_refused(r"layout of transformers: put its config\.json beside it"):
        load(tmp_path)


def test_a_tensor_that_transformers_left_out_is_named(tmp_path: Path, theirs: Path) -> None:
    shutil.copytree(theirs, tmp_path, dirs_exist_ok=True)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["fov_model.fov_encoder.model.encoder.layer.1.attention.attention.key.weight"]
    save_file(tensors, tmp_path / "model.safetensors")
    with assert_refused(r"Missing key\(s\) in state_dict: \"fov.*attn\.qkv\.weight"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "dpt"}, "model_type 'depth_pro'; got 'dpt'"),
        ({"intermediate_hook_ids": [0, 2]}, "two ascending block numbers"),
        ({"patch_model_config": {"num_attention_heads": 5}}, "heads must be a divisor of dim"),
        ({"fusion_hidden_size": 32}, r"size mismatch for .*shape in current model .*\(?\[32"),
    ],
)
def test_other_networks_in_that_layout_are_refused(tmp_path, theirs, changes, message) -> None:
    shutil.copytree(theirs, tmp_path, dirs_exist_ok=True)
    settings = json.loads((theirs / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(settings | changes))
    with assert_refused(message):
        load(tmp_path)
