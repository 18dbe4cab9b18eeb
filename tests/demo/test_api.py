"""What programs get: dictionaries and files with units, kept under tokens for a while."""

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

from demo.api.programs import Estimate, Measurement, Programs
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
    assert values["angle", 1, 2, 3] == (pytest.approx(90), "°")
    assert values["area", 1, 2, 3] == (pytest.approx(3 * 2.25 / 2), "m²")
    assert all(r["plus_minus"] is None for r in measured["results"])  # unknown of these weights
    assert all(point["plus_minus_m"] is None for point in measured["points"])
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


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def result(name: str = "photo", side: int = 8) -> Analysis:
    prediction = Prediction(torch.ones(1, 4, 4), torch.tensor([8.0]), None, side, side)
    return analysis_of(prediction, name)


def names(store: Store, tokens: list[str]) -> list[str | None]:
    def name(token: str) -> str | None:
        try:
            return store.find(token).analysis.name
        except ValueError:
            return None

    return [name(token) for token in tokens]


def test_tokens_are_unlike_and_do_not_give_away_the_folder(tmp_path: Path) -> None:
    store = Store(root=tmp_path)
    tokens = [store.add(result()) for _ in range(20)]
    assert len(set(tokens)) == 20
    assert all(len(token) >= 43 for token in tokens)  # 32 random bytes, 6 bits a letter
    folders = {store.find(token).folder for token in tokens}
    assert len(folders) == 20
    assert not any(token in str(folder) for token in tokens for folder in folders)


@pytest.mark.parametrize("token", ["nobody's", "", None, 3, ["a"], {"a": 1}])
def test_unknown_tokens_are_refused_with_a_sentence(token: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"kept for 60 minutes.*Call estimate again"):
        Store(root=tmp_path).find(token)


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    store = Store(count=2, root=tmp_path)
    first, second = store.add(result("first")), store.add(result("second"))
    store.find(first)
    third = store.add(result("third"))
    assert names(store, [first, second, third]) == ["first", None, "third"]
    assert len(list(tmp_path.iterdir())) == 2


def test_age_counts_from_the_last_use(tmp_path: Path) -> None:
    clock = Clock()
    store = Store(age_s=100, root=tmp_path, clock=clock)
    token, other = store.add(result()), store.add(result())
    clock.now = 99
    store.find(token)
    clock.now = 150
    assert names(store, [token, other]) == ["photo", None]
    clock.now = 250
    store.delete_expired()  # though nobody asks
    assert list(tmp_path.iterdir()) == []


def test_photos_of_all_results_fit_in_memory(tmp_path: Path) -> None:
    # 100 x 100 x 3 bytes: two fit into 70,000.
    store = Store(max_bytes=70_000, root=tmp_path)
    tokens = [store.add(result(str(n), 100)) for n in range(3)]
    assert names(store, tokens) == [None, "1", "2"]


def test_files_go_with_the_result_but_not_while_somebody_holds_it(tmp_path: Path) -> None:
    store = Store(count=1, root=tmp_path)
    entry = store.find(store.add(result()))
    (entry.folder / "depth.npz").write_text("x")
    store.add(result())
    assert (entry.folder / "depth.npz").exists()  # somebody is writing to it
    folder = entry.folder
    del entry
    assert not folder.exists()
