"""What programs get: dictionaries and files, with units and exact values."""

import json
import typing
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from conftest import make_model
from PIL import Image

from demo import export
from demo.api import programs
from demo.api.store import Store
from demo.pipeline import Analysis
from depthpro import Prediction
from depthpro.checkpoint import PUBLISHED_LICENCE, Provenance


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(root=tmp_path / "results")


@pytest.fixture
def wall(store: Store) -> str:
    """Return the token of a photo of 80 x 60 pixels, f = 40 px, of a wall 3 m away."""
    canonical = torch.full((1, 32, 32), 40 / (80 * 3.0))
    prediction = Prediction(canonical, torch.tensor([40.0]), torch.tensor([50.0]), 60, 80)
    made = Provenance("apple/DepthPro", PUBLISHED_LICENCE)
    rgb = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    return store.add(Analysis("wall", rgb, prediction, None, None, "network", made))


def test_estimate_keeps_what_the_network_said(store: Store, tmp_path: Path) -> None:
    model = make_model()
    calls: list[int] = []
    model.register_forward_hook(lambda *_: calls.append(1))
    Image.new("RGB", (64, 48), "olive").save(tmp_path / "garden.png")
    said = programs.estimate(model, store, tmp_path / "garden.png")
    assert set(said) == set(typing.get_type_hints(programs.Estimate))
    wanted = model.infer(np.asarray(Image.open(tmp_path / "garden.png")))
    assert calls == [1, 1]
    assert said["f_px"] == said["estimated_f_px"] == wanted.f_px.item()
    assert said["fov_deg"] == pytest.approx(wanted.fov_deg.item())
    assert said["median_m"] == pytest.approx(wanted.depth_at(48, 64).median().item(), rel=0.01)
    assert said["near_m"] < said["median_m"] < said["far_m"]
    assert (said["name"], said["width_px"], said["height_px"]) == ("garden", 64, 48)
    assert said["metadata_f_px"] is None
    programs.rescale(store, said["token"], f_px=100)
    programs.measure(store, said["token"], [[1, 2], [30, 40]], "distance")
    programs.export(store, said["token"], "npz")
    assert len(calls) == 2


def test_results_carry_the_licence_of_the_weights(store: Store, wall: str) -> None:
    said = programs.rescale(store, wall, f_px=40)
    assert said["weights"] == "apple/DepthPro"
    assert "research purposes only" in said["weights_licence"]
    measured = programs.measure(store, wall, [[1, 1]])
    for notice in (said["notice"], measured["notice"]):
        assert "apple/DepthPro" in notice
        assert "research purposes only" in notice


def test_another_focal_length_rescales_exactly_and_leaves_the_old_result(
    store: Store, wall: str
) -> None:
    # 90 degrees across 80 pixels: f = 40 / tan 45 degrees; 60 px: half as far again.
    same = programs.rescale(store, wall, fov_deg=90)
    assert (same["f_px"], same["median_m"]) == pytest.approx((40, 3))
    longer = programs.rescale(store, wall, f_px=60)
    assert longer["median_m"] == pytest.approx(4.5)
    assert longer["f_px_source"] == "given by hand"
    assert longer["estimated_f_px"] == 50
    assert len({wall, same["token"], longer["token"]}) == 3
    old = programs.measure(store, wall, [[40, 30]], "distance")
    assert old["points"][0]["depth_m"] == pytest.approx(3)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"f_px": 10, "fov_deg": 20},
        {"f_px": 0},
        {"f_px": -3},
        {"f_px": float("inf")},
        {"f_px": "long"},
        {"f_px": True},
        {"fov_deg": 0},
        {"fov_deg": 180},
        {"fov_deg": float("nan")},
        {"fov_deg": [90]},
    ],
)
def test_bad_focal_lengths_are_refused(store: Store, wall: str, given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"f_px|fov_deg"):
        programs.rescale(store, wall, **given)


def test_lengths_on_a_wall(store: Store, wall: str) -> None:
    # 3 m / 40 px = 0.075 m a pixel: a triangle of 40 and 30 pixels has sides of 3, 2.25, 3.75 m.
    said = programs.measure(store, wall, [[10, 10], [50, 10], [50, 40]])
    assert set(said) == set(typing.get_type_hints(programs.Measurement))
    values = {(r["what"], *r["points"]): (r["value"], r["unit"]) for r in said["results"]}
    assert values["distance", 1, 2] == (pytest.approx(3), "m")
    assert values["distance", 2, 3] == (pytest.approx(2.25), "m")
    assert values["total", 1, 2, 3] == (pytest.approx(5.25), "m")
    assert values["angle", 1, 2, 3] == (pytest.approx(90), "°")
    assert values["area", 1, 2, 3] == (pytest.approx(3 * 2.25 / 2), "m²")
    assert all(r["plus_minus"] == pytest.approx(0, abs=1e-5) for r in said["results"])
    # The optical axis is at (39.5, 29.5).
    position = said["points"][0]["position_m"]
    assert position == pytest.approx([-29.5 * 0.075, -19.5 * 0.075, 3])
    assert said["ground"] is None
    assert said["remark"]
    json.dumps(said)


@pytest.mark.parametrize(
    ("points", "kind", "match"),
    [
        ([[1, 2]], "weight", "kind to be one of all, distance"),
        ([[1, 2]], ["all"], "kind to be one of"),
        ([[1, 2]], "height", "ground"),
        ([[80, 2]], "all", "80 × 60"),
        ([], "all", "list of"),
        ("1,2", "all", "list of"),
        ([1, 2], "all", "list of"),
        ([[1, 2, 3]], "all", "list of"),
        ([["1", "2"]], "all", "list of"),
        ([[1, None]], "all", "list of"),
        ([[1, 2]] * 1000, "all", "points"),
    ],
)
def test_bad_points_are_refused(
    store: Store, wall: str, points: Any, kind: Any, match: str
) -> None:
    with pytest.raises(ValueError, match=match):
        programs.measure(store, wall, points, kind)


def test_every_format_of_the_page_and_no_other(store: Store, wall: str) -> None:
    names = typing.get_args(programs.Format)
    assert set(names) == {"preview", "zip", *export.FORMATS}
    with pytest.raises(ValueError, match=r"one of preview, zip.*'exe'"):
        programs.export(store, wall, "exe")  # pyright: ignore[reportArgumentType]


def test_files_open(store: Store, wall: str) -> None:
    with np.load(programs.export(store, wall, "npz")) as file:
        np.testing.assert_allclose(file["depth"], np.full((60, 80), 3), rtol=1e-5)
        assert "research purposes only" in str(file["notice"])
    with Image.open(programs.export(store, wall, "preview")) as image:
        assert "research purposes only" in image.text["Copyright"]
    with zipfile.ZipFile(programs.export(store, wall, "zip")) as archive:
        assert archive.testzip() is None
    assert trimesh.load(programs.export(store, wall, "glb")).bounds[0][2] == pytest.approx(-3)


def test_the_preview_is_small(store: Store, wall: str) -> None:
    analysis = store.find(wall).analysis
    large = Prediction(
        analysis.prediction.canonical_inverse_depth, torch.tensor([1e3]), None, 1000, 4000
    )
    token = store.add(
        Analysis("wide", analysis.rgb, large, None, None, "network", analysis.provenance)
    )
    with Image.open(programs.export(store, token, "preview")) as image:
        assert 1024 < image.width < 1200  # the bar is beside it
        assert image.height == 256


def test_a_file_is_written_once_and_again_if_it_was_cleaned_up(store: Store, wall: str) -> None:
    path = programs.export(store, wall, "npz")
    written = path.stat().st_mtime_ns
    assert programs.export(store, wall, "npz") == path
    assert path.stat().st_mtime_ns == written
    path.unlink()
    assert programs.export(store, wall, "npz") == path
    assert path.exists()
