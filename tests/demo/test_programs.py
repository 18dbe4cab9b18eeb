"""What programs get: dictionaries and files, with units and exact values."""

import json
import typing
import zipfile
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
import torch
import trimesh
from conftest import make_model
from flat_scenes import analysis_of
from gradio.utils import get_upload_folder
from PIL import Image

from demo import export
from demo.api.programs import Estimate, Format, Measurement, Programs
from demo.api.store import Store
from demo.pipeline import Analysis
from depthpro import Prediction
from depthpro.checkpoint import PUBLISHED_LICENCE, Provenance


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(make_model(), Store(root=tmp_path / "results"))


def wall_of(size: tuple[int, int], f_px: float, pixels: tuple[int, int]) -> Analysis:
    """Return a photo of `size` columns and rows, of a wall 3 m away."""
    width, height = size
    canonical = torch.full((1, 32, 32), f_px / (width * 3.0))
    prediction = Prediction(canonical, torch.tensor([f_px]), torch.tensor([50.0]), height, width)
    rgb = np.random.default_rng(0).integers(0, 255, (*pixels, 3), dtype=np.uint8)
    published = Provenance("apple/DepthPro", PUBLISHED_LICENCE)
    return analysis_of(prediction, "wall", rgb, provenance=published)


@pytest.fixture
def wall(programs: Programs) -> str:
    """Return the token of a photo of 80 x 60 pixels, f = 40 px, of a wall 3 m away."""
    return programs.store.add(wall_of((80, 60), 40.0, (60, 80)))


def test_estimate_keeps_the_result_and_calls_the_network_once(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    assert get_upload_folder() == str(tmp_path)
    calls: list[int] = []
    programs.model.register_forward_hook(lambda *_: calls.append(1))
    path = tmp_path / "garden.png"
    Image.new("RGB", (64, 48), "olive").save(path)
    photo = {"path": str(path), "meta": {"_type": "gradio.FileData"}}
    estimate = programs.estimate(photo)
    assert set(estimate) == set(typing.get_type_hints(Estimate))
    programs.rescale(estimate["token"], f_px=100)
    programs.measure(estimate["token"], [[1, 2], [30, 40]], "distance")
    programs.write(estimate["token"], "npz")
    assert len(calls) == 1
    wanted = programs.model.infer(np.asarray(Image.open(path)))
    assert estimate["f_px"] == estimate["estimated_f_px"] == wanted.f_px.item()
    assert estimate["fov_deg"] == pytest.approx(wanted.fov_deg.item())
    assert estimate["median_m"] == pytest.approx(wanted.depth_at(48, 64).median().item(), rel=0.01)
    assert estimate["near_m"] < estimate["median_m"] < estimate["far_m"]
    assert (estimate["name"], estimate["width_px"], estimate["height_px"]) == ("garden", 64, 48)
    with pytest.raises(ValueError, match="a photo that was uploaded"):
        programs.estimate(gr.FileData(path="/etc/passwd"))


def test_another_focal_length_rescales_exactly_and_leaves_the_old_result(programs, wall) -> None:
    # 90 degrees across 80 pixels: f = 40 / tan 45 degrees; 60 px: half as far again.
    same = programs.rescale(wall, fov_deg=90)
    assert same["weights"] == "apple/DepthPro"
    assert "research purposes only" in same["weights_licence"]
    assert "research purposes only" in same["notice"]
    assert (same["f_px"], same["median_m"]) == pytest.approx((40, 3))
    longer = programs.rescale(wall, f_px=60)
    assert longer["median_m"] == pytest.approx(4.5)
    assert longer["f_px_source"] == "given by hand"
    assert longer["estimated_f_px"] == 50
    assert len({wall, same["token"], longer["token"]}) == 3
    old = programs.measure(wall, [[40, 30]], "distance")
    assert "research purposes only" in old["notice"]
    assert old["points"][0]["depth_m"] == pytest.approx(3)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"f_px": 10, "fov_deg": 20},
        {"f_px": 0},
        {"f_px": float("inf")},
        {"f_px": True},
        {"fov_deg": 180},
        {"fov_deg": [90]},
    ],
)
def test_bad_focal_lengths_are_refused(programs, wall, given) -> None:
    with pytest.raises(ValueError, match=r"f_px|fov_deg"):
        programs.rescale(wall, **given)


def test_lengths_on_a_wall(programs: Programs, wall: str) -> None:
    # 3 m / 40 px = 0.075 m a pixel: a triangle of 40 and 30 pixels has sides of 3, 2.25, 3.75 m.
    measured = programs.measure(wall, [[10, 10], [50, 10], [50, 40]])
    assert set(measured) == set(typing.get_type_hints(Measurement))
    values = {(r["what"], *r["points"]): (r["value"], r["unit"]) for r in measured["results"]}
    assert values["distance", 1, 2] == (pytest.approx(3), "m")
    assert values["distance", 2, 3] == (pytest.approx(2.25), "m")
    assert values["total", 1, 2, 3] == (pytest.approx(5.25), "m")
    assert values["angle", 1, 2, 3] == (pytest.approx(90), "°")
    assert values["area", 1, 2, 3] == (pytest.approx(3 * 2.25 / 2), "m²")
    assert all(r["plus_minus"] == pytest.approx(0, abs=1e-5) for r in measured["results"])
    # The optical axis is at (39.5, 29.5).
    position = measured["points"][0]["position_m"]
    assert position == pytest.approx([-29.5 * 0.075, -19.5 * 0.075, 3])
    assert measured["ground"] is None
    assert measured["remark"]
    json.dumps(measured)


@pytest.mark.parametrize(
    ("points", "kind", "match"),
    [
        ([[1, 2]], "weight", "kind to be one of all, distance"),
        ([[1, 2]], ["all"], "kind to be one of"),
        ([[1, 2]], "height", "ground"),
        ([[80, 2]], "all", "80 × 60"),
        ([], "all", "list of"),
        ("1,2", "all", "list of"),
        ([[1, 2, 3]], "all", "list of"),
        ([[1, None]], "all", "list of"),
        ([[1, 2]] * 1000, "all", "points"),
    ],
)
def test_bad_points_are_refused(programs, wall, points, kind, match) -> None:
    with pytest.raises(ValueError, match=match):
        programs.measure(wall, points, kind)


def test_every_format_of_the_page_and_no_other(programs: Programs, wall: str) -> None:
    names = typing.get_args(Format)
    assert set(names) == {"preview", "zip", *export.FORMATS}
    with pytest.raises(ValueError, match=r"one of preview, zip.*'exe'"):
        programs.write(wall, "exe")


def test_files_open(programs: Programs, wall: str) -> None:
    with np.load(programs.write(wall, "npz")) as file:
        np.testing.assert_allclose(file["depth"], np.full((60, 80), 3), rtol=1e-5)
        assert "research purposes only" in str(file["notice"])
    with Image.open(programs.write(wall, "preview")) as image:
        assert "research purposes only" in image.text["Copyright"]
    with zipfile.ZipFile(programs.write(wall, "zip")) as archive:
        assert archive.testzip() is None
    assert trimesh.load(programs.write(wall, "glb")).bounds[0][2] == pytest.approx(-3)
    large = programs.store.add(wall_of((4000, 1000), 1e3, (60, 80)))
    with Image.open(programs.write(large, "preview")) as image:
        assert 1024 < image.width < 1200  # the bar is beside it
        assert image.height == 256
