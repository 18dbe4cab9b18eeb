"""The network as an ONNX file, and the example that reads it."""

import importlib.util
import json
import re
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch
from conftest import TINY, make_model
from PIL import Image

from depthpro import DepthPro, DepthProConfig
from depthpro.__main__ import main
from depthpro.deploy import onnx as exporter
from depthpro.geometry import focal_from_fov, metric_depth
from depthpro.model import for_inference
from depthpro.preprocess import network_input, to_batch
from depthpro.training.recipe import small
from depthpro.training.train import first_model

onnxruntime = pytest.importorskip("onnxruntime")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[DepthPro, Path]:
    """Return a tiny network and its ONNX file."""
    folder = tmp_path_factory.mktemp("onnx")
    weights = make_model().save_pretrained(folder / "tiny.safetensors", "by hand")
    jaxtyping.config.update("jaxtyping_disable", True)  # sizes of a free batch are no numbers
    try:
        file = str(folder / "depthpro.onnx")
        assert main(["export", "--model", str(weights), "-o", file]) == 0
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
    return DepthPro.from_pretrained(weights, device="cpu"), folder / "depthpro.onnx"


@pytest.mark.slow
def test_any_batch_gives_what_pytorch_gives(exported: tuple[DepthPro, Path]) -> None:
    model, path = exported
    session = onnxruntime.InferenceSession(path)
    pictures = 2 * torch.rand(3, 3, 512, 512) - 1
    inverse, fov_deg = session.run(list(exporter.OUTPUTS), {exporter.INPUT: pictures.numpy()})
    with torch.no_grad():
        expected, expected_deg = model(pictures)
    np.testing.assert_allclose(inverse, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(fov_deg, expected_deg, rtol=1e-4)
    wrong = [expected * 1.01, expected_deg]
    assert exporter.deviation(path, pictures[:2], wrong) > 0.005


@pytest.mark.slow
def test_the_file_says_what_it_is(exported: tuple[DepthPro, Path]) -> None:
    model, path = exported
    about = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    assert DepthProConfig.from_json(about["config"]) == TINY
    assert (about["licence"], about["record"]) == (model.provenance.licence, "by hand")
    assert json.loads(about["preprocessing"])["size"] == [512, 512]
    assert str(ROOT).encode() not in path.read_bytes()


@pytest.mark.slow
def test_the_documented_example_runs(
    exported: tuple[DepthPro, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, path = exported
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/export.md").read_text(), re.DOTALL)
    rgb = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    photo = Image.fromarray(rgb).resize((800, 600), Image.Resampling.BICUBIC)
    photo.save(path.with_name("photo.jpg"), quality=95)
    monkeypatch.chdir(path.parent)
    found: dict = {}
    exec(compile(code, "docs/export.md", "exec"), found)
    photo = Image.open("photo.jpg")
    square = network_input(to_batch(photo), 512).numpy()
    assert np.abs(found["picture"] - square).max() <= 1 / 127  # Pillow rounds down to 8 bits
    inverse, fov_deg = map(torch.from_numpy, (found["inverse"], found["fov_deg"]))
    expected = metric_depth(inverse, focal_from_fov(fov_deg, 800), 600, 800)[0]
    np.testing.assert_allclose(found["depth"], expected, rtol=1e-3)
    ratio = found["depth"] / model.infer(photo).depth[0].numpy()
    assert abs(np.median(ratio) - 1) < 0.01


@pytest.mark.slow
def test_the_file_takes_the_network_s_place(exported: tuple[DepthPro, Path]) -> None:
    model, path = exported
    there = DepthPro.from_pretrained(path)
    rgb = np.random.default_rng(0).integers(0, 256, (2, 90, 120, 3), dtype=np.uint8)
    found, expected = there.infer(rgb), model.infer(rgb)
    np.testing.assert_allclose(found.depth, expected.depth, rtol=1e-4)
    np.testing.assert_allclose(found.fov_deg, expected.fov_deg, rtol=1e-4)
    assert (there.provenance.licence, there.provenance.record) == ("Apache-2.0", "by hand")
    folder = path.parent
    rgb = Image.fromarray(rgb[0])
    rgb.save(folder / "a.png")
    given = f"predict {folder / 'a.png'} --model {path} -o {folder / 'out'} --formats npz"
    assert main(given.split()) == 0
    with np.load(folder / "out" / "a.png.npz") as file:
        np.testing.assert_allclose(file["depth"], expected.depth[0], rtol=1e-4)


@pytest.mark.slow
def test_what_is_no_such_file_is_refused(exported: tuple[DepthPro, Path]) -> None:
    folder = exported[1].parent
    with pytest.raises(ValueError, match=r"no weights at 'not/here\.onnx'"):
        DepthPro.from_pretrained("not/here.onnx")
    (folder / "bad.onnx").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"ONNX Runtime cannot read 'bad\.onnx'"):
        DepthPro.from_pretrained(folder / "bad.onnx")
    with pytest.raises(ValueError, match="run on the CPU, got device='meta'"):
        DepthPro.from_pretrained(exported[1], device="meta")
    with pytest.raises(ValueError, match="device 'abacus' cannot be used here"):
        DepthPro.from_pretrained(exported[1], device="abacus")


@pytest.mark.slow
def test_it_is_for_infer_alone(
    exported: tuple[DepthPro, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = DepthPro.from_pretrained(exported[1])
    for use, reason in (
        (lambda: there.save_pretrained(tmp_path / "new"), "is for `infer` alone"),
        (lambda: there.push_to_hub("me/depth"), "is for `infer` alone"),
        (there.compile, "leave compile"),
    ):
        with pytest.raises(ValueError, match=reason):
            use()
    with pytest.raises(ValueError, match="cannot be trained"):
        first_model(small(), str(exported[1]))
    with pytest.raises(SystemExit):
        main(["export", "-o", str(tmp_path / "new.onnx"), "--model", str(exported[1])])
    assert "is exported already" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stem", ["patch", "efficientnet_lite0"])
def test_half_precision_without_field_of_view_is_close(stem: str) -> None:
    pictures = 2 * torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(0)) - 1
    model = make_model() if stem == "patch" else DepthPro.from_pretrained("small", device="cpu")
    model.fov = None
    with torch.no_grad():
        (expected,) = exporter.FloatEnds(model)(pictures)
        for_inference(model, torch.device("cpu"), torch.float16)
        (found,) = exporter.FloatEnds(model)(pictures)  # what is exported for --dtype float16
    assert found.dtype == torch.float32
    worst = float((found - expected).abs().max() / expected.mean())
    assert 0 < worst < exporter.TOLERANCES["float16"]


@pytest.mark.usefixtures("unchecked")
def test_a_file_that_deviates_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(exporter, "write_onnx", lambda _, path: path.write_bytes(b"a file"))
    monkeypatch.setattr(exporter, "deviation", lambda *_: float("nan"))
    weights = make_model().save_pretrained(tmp_path / "tiny.safetensors")
    with pytest.raises(SystemExit):
        main(["export", "--model", str(weights), "-o", str(tmp_path / "out/depthpro.onnx")])
    assert "deviates by nan from PyTorch at a batch of 1" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("out", "missing", "expected"),
    [
        ("depthpro.pt", (), "ends in .onnx, got 'depthpro.pt'"),
        ("depthpro.onnx", ("onnx", "onnxscript"), "pip install onnx onnxscript"),
    ],
)
def test_what_it_cannot_write_is_refused(
    out: str, missing: tuple, expected: str, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in missing else find(name)
    )
    with pytest.raises(SystemExit) as stopped:
        main(["export", "-o", out])
    assert stopped.value.code == 2
    assert expected in capsys.readouterr().err
