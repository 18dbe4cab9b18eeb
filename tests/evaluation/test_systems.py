# pyright: reportArgumentType=false, reportCallIssue=false, reportOptionalMemberAccess=false
# pyright: reportMissingImports=false, reportOperatorIssue=false
"""Systems: this network, tiny networks of transformers, and the maps that others saved."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest
import torch
import transformers
from conftest import make_model
from PIL import Image
from planes import SIZE, picture, plane
from safetensors.torch import load_file, save_file
from test_checkpoint import transformers_folder

from depthpro import DepthPro, checkpoint
from depthpro.evaluation.readers.case import Case
from depthpro.evaluation.saved_depth import FORMATS, SUFFIXES, read_map
from depthpro.evaluation.scoring import SystemOutput, score
from depthpro.evaluation.systems import (
    NEAREST,
    System,
    open_predictions,
    open_system,
    relative_depth,
)

RGB = picture()
OBLONG = np.random.default_rng(0).integers(0, 256, (40, 70, 3), dtype=np.uint8)
DEPTH = plane().astype(np.float32)
CASE = Case(rgb=RGB, depth=DEPTH, f_px=30.0)


def square(side: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8)


def depth_of(system: System, rgb: np.ndarray, f_px: float | None = None) -> np.ndarray:
    """Return the depth that a system predicts, which is of the picture's size here."""
    depth = system.predict("case", Case(rgb=rgb, f_px=f_px)).depth
    assert depth.shape == rgb.shape[:2] and depth.dtype == np.float32 and (depth > 0).all()
    return depth


# ------------------------------------------------------------------------------------ this network


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ours") / "tiny"
    make_model().save_pretrained(folder)
    return folder


def test_this_network_is_a_system(ours: Path) -> None:
    model = DepthPro.from_pretrained(ours, device="cpu")
    system = open_system(str(ours), "cpu")
    assert (system.title, system.metric) == ("Depth Pro (tiny)", True)
    assert checkpoint.OWN_LICENCE in system.note
    output, expected = system.predict("case", CASE), model.infer(RGB)
    np.testing.assert_array_equal(output.depth, expected.depth[0])
    assert output.f_px == expected.estimated_f_px.item()
    told = open_system(str(ours), "cpu", "true").predict("case", CASE)
    np.testing.assert_array_equal(told.depth, expected.with_focal(30.0).depth[0])
    assert told.f_px == output.f_px != 30
    assert system.focal == "estimated" and system.files == ours


def test_a_network_without_field_of_view_needs_the_true_focal_length(tmp_path, tiny_config) -> None:
    make_model(replace(tiny_config, fov=False)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match='no field of view: pass focal="true"'):
        open_system(str(tmp_path), "cpu")
    told = open_system(str(tmp_path), "cpu", "true")
    assert told.predict("case", CASE).f_px is None
    with pytest.raises(ValueError, match="gives no focal length"):
        told.predict("case", Case(rgb=RGB))


# ------------------------------------------------------------------------ networks of transformers

VIT: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2}
NECK: dict[str, Any] = {"neck_hidden_sizes": [8, 8, 8, 8], "fusion_hidden_size": 8}
SIDES = {"depth_anything": 56, "metric": 56, "dpt": 64, "zoedepth": 64, "glpn": 64}


def network(kind: str) -> transformers.PreTrainedModel:
    """Return a tiny depth network with random weights whose output varies."""
    if kind in ("depth_anything", "metric"):
        vit = transformers.Dinov2Config(
            **VIT, image_size=56, patch_size=14, out_indices=[1, 2, 3, 4],
            apply_layernorm=True, reshape_hidden_states=False,
        )  # fmt: skip
        unit = "metric" if kind == "metric" else "relative"
        config = transformers.DepthAnythingConfig(
            backbone_config=vit, reassemble_hidden_size=32, patch_size=14, head_hidden_size=8,
            depth_estimation_type=unit, max_depth=80, **NECK,
        )  # fmt: skip
    elif kind == "dpt":
        config = transformers.DPTConfig(
            **VIT, **NECK, intermediate_size=64, image_size=64, backbone_out_indices=[0, 1, 2, 3]
        )
    elif kind == "zoedepth":
        vit = transformers.BeitConfig(
            **VIT, intermediate_size=64, image_size=64, out_indices=[1, 2, 3, 4],
            reshape_hidden_states=False, use_relative_position_bias=True,
        )  # fmt: skip
        config = transformers.ZoeDepthConfig(
            backbone_config=vit, bottleneck_features=8, num_relative_features=8,
            bin_embedding_dim=16, num_attractors=[4, 2, 2, 1], **NECK,
            bin_configurations=[{"n_bins": 8, "min_depth": 0.001, "max_depth": 10.0}],
        )  # fmt: skip
    else:
        config = transformers.GLPNConfig(
            hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 2, 2],
            decoder_hidden_size=8,
        )  # fmt: skip
    made = transformers.AutoModelForDepthEstimation.from_config(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            vector = parameter.dim() < 2
            scale = 0.1 if vector else parameter[0].numel() ** -0.5
            parameter.copy_(noise * scale + (vector and name.endswith("weight")))
    return made.eval()


def processor(kind: str) -> Any:
    size = {"height": SIDES[kind], "width": SIDES[kind]}
    if kind == "zoedepth":
        return transformers.ZoeDepthImageProcessor(size=size, do_pad=False)
    if kind == "glpn":
        return transformers.GLPNImageProcessor()
    mean = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    return transformers.DPTImageProcessor(size=size, **mean)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write each network as the hub lays it out."""
    root = tmp_path_factory.mktemp("models")
    for kind in SIDES:
        network(kind).save_pretrained(root / kind)
        processor(kind).save_pretrained(root / kind)
    return root


@torch.no_grad()
def direct(folder: Path, rgb: np.ndarray) -> np.ndarray:
    """Return what a network predicts for a picture of its own size, without its processor."""
    loaded = transformers.AutoModelForDepthEstimation.from_pretrained(folder)
    pixels = torch.from_numpy(rgb / 255.0).float().permute(2, 0, 1)[None]
    shift = 0 if folder.name == "glpn" else 1  # GLPN reads [0, 1], the others [-1, 1]
    return loaded(pixels * (1 + shift) - shift).predicted_depth[0].numpy()


@pytest.mark.parametrize("kind", SIDES)
def test_networks_of_transformers_predict_metres_or_inverse_depth(models: Path, kind: str) -> None:
    system, rgb = open_system(str(models / kind), "cpu"), square(SIDES[kind])
    expected, depth = direct(models / kind, rgb), depth_of(system, rgb)
    assert expected.std() > 0.01 * expected.mean()  # there is something to get wrong
    assert (system.title, system.focal) == (kind, None)
    assert system.metric == (kind in ("metric", "zoedepth", "glpn"))
    assert system.predict("case", Case(rgb=rgb)).f_px is None
    depth_of(system, OBLONG)
    if system.metric:
        np.testing.assert_allclose(depth, expected, rtol=1e-4)
    else:
        inverse = expected / expected.max() / NEAREST
        np.testing.assert_allclose(1 / depth, inverse, rtol=1e-4, atol=1e-4)


def test_zoedepth_cuts_what_its_processor_pads(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "zoedepth", tmp_path, dirs_exist_ok=True)
    transformers.ZoeDepthImageProcessor(size={"height": 64, "width": 64}).save_pretrained(tmp_path)
    padded, plain = (
        depth_of(open_system(str(folder), "cpu"), OBLONG)
        for folder in (tmp_path, models / "zoedepth")
    )
    assert 0 < np.abs(padded - plain).max() < plain.max()
    with pytest.raises(ValueError, match="cannot use a focal length"):
        open_system(str(models / "zoedepth"), "cpu", "true")


def test_both_ways_to_run_depth_pro_agree(tmp_path: Path) -> None:
    transformers_folder(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["fov_model.head.layers.4.bias"][:] = 55  # degrees that a camera can have
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    side = {"height": 512, "width": 512}
    transformers.DepthProImageProcessor(size=side).save_pretrained(tmp_path)
    rgb, f_px = square(512), 400.0
    ours, theirs = open_system(str(tmp_path), "cpu"), open_system(f"transformers:{tmp_path}", "cpu")
    assert ours.title == f"Depth Pro ({tmp_path.name})"
    assert theirs.title == f"{tmp_path.name} by transformers"
    assert theirs.metric and checkpoint.PUBLISHED_LICENCE in theirs.note
    assert theirs.focal == ours.focal == "estimated"
    case = Case(rgb=rgb, f_px=f_px)
    one, other = ours.predict("case", case), theirs.predict("case", case)
    assert other.f_px == pytest.approx(one.f_px, rel=1e-4)
    np.testing.assert_allclose(other.depth, one.depth, rtol=1e-4)
    told = depth_of(open_system(f"transformers:{tmp_path}", "cpu", "true"), rgb, f_px)
    np.testing.assert_allclose(told, other.depth * f_px / other.f_px, rtol=1e-5)


def test_weights_that_transformers_would_make_up_are_refused(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "dpt", tmp_path, dirs_exist_ok=True)
    weights = tmp_path / "model.safetensors"
    tensors = load_file(weights)
    unused = [name for name in tensors if "fusion_stage.layers.0.residual_layer1" in name]
    for name in unused:  # as in the published file
        del tensors[name]
    save_file(tensors, weights, {"format": "pt"})
    rgb = square(64)
    here, there = (open_system(str(folder), "cpu") for folder in (tmp_path, models / "dpt"))
    assert len(unused) == 4
    np.testing.assert_array_equal(depth_of(here, rgb), depth_of(there, rgb))
    del tensors["head.head.0.weight"]
    save_file(tensors, weights, {"format": "pt"})
    with pytest.raises(ValueError, match=r"lack 1 tensors, such as head\.head\.0\.weight"):
        open_system(str(tmp_path), "cpu")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('{"model_type": "bert"}', "'bert', whose unit is unknown"),
        ('{"model_type": "no-such-thing"}', "transformers cannot load .*ValueError"),
        ('{"model_type": "zoedepth"}', "transformers cannot load .*Error"),  # and no weights
        ('{"model_type": "dpt", "backbone_config": {"model_type": "dinov2"}}', "unit is unknown"),
        ('{"model_type": "depth_pro"}', r"expected model\.safetensors"),  # ours
    ],
)
def test_folders_that_cannot_be_run_say_why(tmp_path: Path, settings: str, message: str) -> None:
    (tmp_path / "config.json").write_text(settings)
    with pytest.raises(ValueError, match=message):
        open_system(str(tmp_path), "cpu")


def test_names_on_the_hub_go_to_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"cannot load 'Intel/dpt-large' .* pass the folder's"):
        open_system("Intel/dpt-large", "cpu")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ValueError, match=r"is run by transformers .*pip install 'transformers"):
        open_system("Intel/dpt-large", "cpu")
    for name, message in [("smal", "no weights at 'smal'"), ("a/b.pt", "no weights at 'a/b.pt'")]:
        with pytest.raises(ValueError, match=message):
            open_system(name, "cpu")
    with pytest.raises(ValueError, match=r"fetch depth_pro\.pt from"):
        open_system("apple/DepthPro", "cpu")


# ------------------------------------------------------------------------------ what others saved


def save_map(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npz":
        np.savez(path, depth=values, other=np.zeros(3), f_px=31.5)
    elif path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".exr":
        scanlines = {"type": OpenEXR.scanlineimage}
        OpenEXR.File(scanlines, {"RGB": np.stack([values] * 3, -1)}).write(str(path))
    else:  # Pillow turns the rows of PFM
        Image.fromarray(values).save(path, FORMATS[path.suffix])


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".pfm", ".exr"])
def test_saved_metres_come_back(tmp_path: Path, suffix: str) -> None:
    depth = DEPTH.copy()
    depth[0] = np.inf
    save_map(tmp_path / f"a.b/DSC_0654.jpg{suffix}", depth)
    system = open_predictions(tmp_path, "UniDepth", "depth")
    assert (system.title, system.metric, system.note) == ("UniDepth", True, "saved as depth")
    output = system.predict("a.b/DSC_0654.jpg", CASE)
    np.testing.assert_array_equal(output.depth, depth)
    assert output.f_px == (31.5 if suffix == ".npz" else None)


def test_rows_of_pfm_go_up(tmp_path: Path) -> None:
    (tmp_path / "a.pfm").write_bytes(b"Pf\n1 2\n-1.0\n" + np.array([5, 7], "<f4").tobytes())
    assert read_map(tmp_path / "a.pfm")[0].tolist() == [[7], [5]]


def test_stored_units_become_metres(tmp_path: Path) -> None:
    steps, inverse = np.round(plane() * 1000).astype(np.uint16), 2 / DEPTH
    steps[:6], inverse[0] = 0, 0
    save_map(tmp_path / "steps.png", steps)
    output = open_predictions(tmp_path, "Metric3D", scale=1000).predict("steps", CASE)
    np.testing.assert_allclose(output.depth, steps / 1000, rtol=1e-6)
    row = score(output, CASE, ("depth",))
    assert row["delta1"] == 18 / 24  # 0 is where nothing is predicted, which is wrong
    assert row["abs_rel"] == pytest.approx(1 / 4, abs=1e-3)
    with pytest.raises(ValueError, match="whole numbers need a scale"):
        open_predictions(tmp_path, "Metric3D").predict("steps", CASE)
    save_map(tmp_path / "inverse.npy", inverse)
    output = open_predictions(tmp_path, "X", "inverse", scale=2).predict("inverse", CASE)
    np.testing.assert_allclose(output.depth[1:], DEPTH[1:], rtol=1e-6)
    assert np.isposinf(output.depth[0]).all()


@pytest.mark.parametrize("shift", [0.0, -0.6, 3.0])
def test_saved_relative_inverse_depth_is_aligned_exactly(tmp_path: Path, shift: float) -> None:
    save_map(tmp_path / "case.npy", 700 * (1 / DEPTH + shift))
    system = open_predictions(tmp_path, "MiDaS", "relative")
    assert not system.metric
    depth = system.predict("case", CASE).depth
    assert depth.min() == pytest.approx(NEAREST)
    assert score(SystemOutput(depth), CASE, ("depth",))["abs_rel_aligned"] < 1e-4
    if shift >= 0:  # the shift is as saved
        ratio = (1 / DEPTH + shift) / (1 / DEPTH + shift).max()
        np.testing.assert_allclose(NEAREST / depth, ratio, rtol=1e-5)


def test_relative_depth_of_a_flat_map_is_positive() -> None:
    for level in (0, -2, 3):
        depth = relative_depth(np.full(SIZE, level, np.float32))
        np.testing.assert_allclose(depth, NEAREST, rtol=1e-6)


def test_saved_relative_depth_is_fitted_to_the_truth(tmp_path: Path) -> None:
    mask = np.ones(SIZE, bool)
    mask[:, :4] = False
    wrong, truth = DEPTH / 5 - 0.2, DEPTH.copy()
    wrong[:, :4], truth[:3] = 9, 1e10  # what is unknown, or sky as Sintel has it, does not count
    save_map(tmp_path / "case.npy", wrong)
    system = open_predictions(tmp_path, "Marigold", "relative-depth")
    assert system.metric and "fitted to each truth by scale and shift" in system.note
    depth = system.predict("case", Case(rgb=RGB, depth=truth, mask=mask)).depth
    np.testing.assert_allclose(depth[mask], DEPTH[mask], rtol=1e-5)
    raw = system.predict("case", Case(rgb=RGB)).depth
    np.testing.assert_array_equal(raw, np.maximum(wrong, np.float32(1e-4)))
    for name, half in (("flat", np.ones((12, 16))), ("half", DEPTH[::2, ::2])):
        save_map(tmp_path / f"{name}.npy", half.astype(np.float32))
    flat, half = (system.predict(name, CASE).depth for name in ("flat", "half"))
    np.testing.assert_allclose(flat, np.full((12, 16), DEPTH.mean()), rtol=1e-5)
    np.testing.assert_allclose(half, DEPTH[::2, ::2], rtol=0.05)  # half a pixel apart


def test_focal_lengths_can_be_saved_alone(tmp_path: Path) -> None:
    np.savez(tmp_path / "case.npz", f_px=31.5)
    output = open_predictions(tmp_path, "SPEC").predict("case", Case(rgb=RGB, f_px=30.0))
    assert score(output, CASE, ("focal",))["focal_error"] == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("depth", -1, "1 of 768 values are not 0 or more; 0 is nothing predicted.* such as -1: "),
        ("depth", np.nan, "not 0 or more; 0 is nothing predicted, infinite is sky, such as nan"),
        ("inverse", np.inf, "not 0 or more and finite; 0 is sky, such as inf"),
        ("relative", np.inf, "not finite, such as inf"),
    ],
)
def test_impossible_values_are_refused(tmp_path: Path, kind: Any, value, message: str) -> None:
    values = DEPTH.copy()
    values[3, 4] = value
    save_map(tmp_path / "case.npy", values)
    with pytest.raises(ValueError, match=message):
        open_predictions(tmp_path, "X", kind).predict("case", CASE)


def test_each_case_has_one_file(tmp_path: Path) -> None:
    system = open_predictions(tmp_path, "X", "depth")
    with pytest.raises(ValueError, match=r"a/case with suffix \.npz, \.npy.*found \[\]: save"):
        system.predict("a/case", CASE)
    save_map(tmp_path / "a/case.npy", DEPTH)
    save_map(tmp_path / "a/case.npz", DEPTH)
    with pytest.raises(ValueError, match=r"found \['case\.npz', 'case\.npy'\]"):
        system.predict("a/case", CASE)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_broken_files_are_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cut{suffix}"
    save_map(path, DEPTH.astype(np.uint16) if suffix == ".png" else DEPTH)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"<!DOCTYPE html>"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"cannot read .*cut\{suffix} \("):
            read_map(path)


def test_files_that_are_no_map_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "batch.npy", np.stack([DEPTH] * 2))
    np.save(tmp_path / "pickle.npy", np.array([[{}]]))
    Image.fromarray(RGB).save(tmp_path / "colour.png")
    np.savez(tmp_path / "two.npz", left=DEPTH, right=DEPTH)
    np.savez(tmp_path / "focal.npz", DEPTH, f_px=-1.0)
    scanlines = {"type": OpenEXR.scanlineimage}
    OpenEXR.File(scanlines, {"R": DEPTH, "G": DEPTH + 1}).write(str(tmp_path / "unlike.exr"))
    for name, message in (
        ("batch.npy", r"a map \(h, w\) was expected, got float32 \(2, 24, 32\)"),
        ("pickle.npy", "allow_pickle"),
        ("colour.png", "a map .*got uint8"),
        ("two.npz", "an array 'depth' or a single one"),
        ("focal.npz", "f_px must be positive and finite, got -1"),
        ("unlike.exr", "one channel or equal RGB were expected, got G, R"),
    ):
        with pytest.raises(ValueError, match=message):
            read_map(tmp_path / name)
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with pytest.raises(ValueError, match="pip install OpenEXR"):
        read_map(tmp_path / "unlike.exr")


def test_a_folder_and_a_positive_scale_are_needed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no folder .*nowhere"):
        open_predictions(tmp_path / "nowhere", "X", "depth")
    for scale in (0, -1, np.inf, np.nan):
        with pytest.raises(ValueError, match="scale, stored units in a metre, must be positive"):
            open_predictions(tmp_path, "X", "depth", scale)
