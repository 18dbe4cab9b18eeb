"""Two depths against closed forms: agreement, difference, one range; weights and files."""

from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
import torch
from conftest import make_model
from flat_scenes import HEIGHT, WIDTH, analysis_of, plane, predict
from PIL import Image
from safetensors.torch import load_file, save_file

from demo.api.compare import Comparisons
from demo.api.store import Store
from demo.session import Session
from demo.tabs.compare import drawing, weights
from demo.tabs.compare import ui as tab
from demo.tabs.compare.compare import (
    Other,
    agreement,
    at_focal,
    difference,
    maps,
    of_file,
    pictures,
    with_weights,
)
from demo.tabs.sharpness.truth import Truth
from depthpro import DepthProConfig
from depthpro.viz import colorize

WALL = plane((0, 0, 1 / 4))


def step(rays: np.ndarray) -> np.ndarray:
    """Return 4 m on the left, and 6 m on the right."""
    return np.where(rays[..., 0] < 0, 4.0, 6.0)


def sky_above(rays: np.ndarray) -> np.ndarray:
    return np.where(rays[..., 1] < 0, np.inf, 4.4)


A = analysis_of(predict(WALL), "a")


def other(depth, kind="weights") -> Other:
    return Other(kind, "b", analysis_of(predict(depth), "b"))


def test_numbers_of_two_walls_in_closed_form() -> None:
    """B is 10 % farther everywhere: after scaling nothing is left."""
    found = agreement(maps(A, other(plane((0, 0, 1 / 4.4)))))
    assert found is not None
    assert found.median_ratio == pytest.approx(1.1)
    assert (found.delta1, found.aligned_delta1) == (1.0, 1.0)
    assert found.abs_rel == pytest.approx(0.1, rel=1e-4)
    assert found.aligned_abs_rel == pytest.approx(0, abs=1e-5)
    assert found.pixels == 800 * 600


def test_a_step_differs_on_one_side_and_sky_is_left_out() -> None:
    both = maps(A, other(step))
    found = agreement(both)
    assert found is not None
    # Half of the pixels are 50 % farther, which is out of 25 %, and half of them are equal.
    assert found.delta1 == pytest.approx(0.5, abs=0.01)
    assert found.abs_rel == pytest.approx(0.25, abs=0.01)
    share = difference(both, aligned=False)
    np.testing.assert_allclose(share[:, :380], 0, atol=1e-5)
    np.testing.assert_allclose(share[:, 420:], 0.5, rtol=1e-5)
    beneath = maps(A, other(sky_above))
    share = difference(beneath, aligned=True)
    assert np.isnan(share[:290]).all()
    np.testing.assert_allclose(share[310:], 0, atol=1e-5)  # 10 % are aligned away
    layer, legend = drawing.difference_layer(share, aligned=True)
    assert not layer[:290, :, 3].any() and layer[310:, :, 3].all()
    assert "50% is sky or unknown" in legend and "scaled to the median of A" in legend
    nothing = maps(A, other(lambda rays: np.full(rays.shape[:2], np.inf)))
    assert agreement(nothing) is None
    assert "nothing to compare" in drawing.cards(None)


def test_colours_of_the_difference_tell_nearer_from_farther() -> None:
    nearer, farther = (
        drawing.difference_layer(np.full((4, 4), share, np.float32), False)[0][0, 0]
        for share in (-0.2, 0.2)
    )
    assert nearer[2] > nearer[0] and farther[0] > farther[2]  # blue, red


def test_both_pictures_have_one_range() -> None:
    far = other(plane((0, 0, 1 / 8)))
    drawn = pictures(A, far)
    near_m, far_m = drawn.span
    assert near_m == pytest.approx(4, rel=0.05) and far_m == pytest.approx(8, rel=0.05)
    wanted = colorize(np.array([[4.0, 8.0]], np.float32), drawn.span)[0]
    assert drawn.a[100, 100].tolist() == wanted[0].tolist()
    assert drawn.b[100, 100].tolist() == wanted[1].tolist()
    assert pictures(A, None).b.size == 0


def test_a_file_is_compared_where_it_knows_depth() -> None:
    depth = np.full((90, 120), 5.0, np.float32)
    mask = np.ones_like(depth, bool)
    mask[:, :60], depth[:, :60] = False, np.inf
    second = of_file(A, Truth(depth, mask, "mine.npy"))
    both = maps(A, second)
    assert both.a.shape == depth.shape
    assert np.array_equal(both.mask, mask)
    found = agreement(both)
    assert found is not None and found.median_ratio == pytest.approx(1.25)
    drawn = pictures(A, second)
    assert drawn.b[5, 5].tolist() == [128] * 3 != drawn.b[5, -5].tolist()
    # The read-out is of the same numbers.
    read = second.analysis.prediction.depth_at(90, 120)[0].numpy()
    np.testing.assert_allclose(read[:, 70:], 5, rtol=1e-5)


def test_other_weights_see_the_same_photo_at_the_given_focal_length() -> None:
    model, rgb = make_model(), np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3))
    photo = analysis_of(A.prediction, "a", rgb.astype(np.uint8))
    second = with_weights(model, photo)
    assert second.f_px == pytest.approx(second.estimated_f_px)
    assert second.provenance == model.provenance
    given = with_weights(model, replace(photo, source="hand"))
    assert given.f_px == photo.f_px
    moved = at_focal(Other("weights", "b", second), 777.0)
    assert moved.analysis.f_px == 777


def test_weights_of_a_visitor_are_checked_and_deleted(tmp_path: Path) -> None:
    model = make_model()
    path = model.save_pretrained(tmp_path / "mine.safetensors")
    loaded = weights.load_file(path, "cpu")
    torch.testing.assert_close(loaded.state_dict(), model.state_dict())
    assert not path.exists()
    large = model.save_pretrained(tmp_path / "large.safetensors")
    config = DepthProConfig(window=512).to_json()
    tensors = load_file(large)
    save_file(tensors, large, {"config": config, "licence": "mine"})
    bare, pickle, torn = (tmp_path / name for name in ("b.safetensors", "b.pt", "t.safetensors"))
    save_file(tensors, bare)
    torch.save(tensors, pickle)
    torn.write_bytes(b"0" * 100)
    for file, words in (
        (large, "windows of at most 384"),
        (bare, "do not fit"),
        (pickle, "as .safetensors"),
        (torn, "expected a safetensors file"),
    ):
        with pytest.raises(ValueError, match=words) as refused:
            weights.load_file(file, "cpu")
        assert str(tmp_path) not in str(refused.value)
        assert not file.exists()


def test_only_what_loads_at_once_is_offered(monkeypatch, tmp_path: Path) -> None:
    model = make_model()
    assert weights.choices(model) == ["small"]
    model.provenance = replace(model.provenance, name="small")
    assert weights.choices(model) == []
    monkeypatch.setattr(weights, "try_to_load_from_cache", lambda *_: str(tmp_path / "w.pt"))
    assert weights.choices(model) == []  # minutes on a CPU
    on_gpu = type("OnGpu", (), {"device": torch.device("cuda"), "provenance": model.provenance})()
    assert weights.choices(on_gpu) == list(weights.PUBLISHED)
    monkeypatch.setattr(weights, "try_to_load_from_cache", lambda *_: None)
    assert weights.choices(on_gpu) == []


def test_different_photos_have_no_difference_and_mistakes_are_explained() -> None:
    session = Session(A)
    session.other = other(step, "photo")
    _, first, _, second, _, numbers, differing, *_ = tab._redraw(session, "m", False)
    assert first["photo"].startswith("data:image/png") != second["photo"]
    assert numbers == "" and differing == gr.update(visible=False)
    file = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
    refused = tab._take(make_model(), True, session, "file", None, file, None)
    assert "was uploaded" in refused and 'role="alert"' in refused
    assert session.other is not None  # the last one stays


def test_programs_get_numbers_and_a_picture(tmp_path: Path) -> None:
    store = Store(root=tmp_path)
    same = replace(A, prediction=A.prediction.with_focal(1100.0))
    another = analysis_of(predict(step, (400, 400)), "another")
    token, longer, third = (store.add(each) for each in (A, same, another))
    compared = Comparisons(store).compare(token, longer)
    assert compared["median_ratio"] == pytest.approx(1.1)  # depth follows the focal length
    assert compared["aligned_abs_rel"] == pytest.approx(0, abs=1e-5)
    with Image.open(compared["picture"]["path"]) as image:
        assert image.height == 480
        assert image.width > 3 * 640
        assert "weights 'small'" in image.text["Copyright"]
    compared = Comparisons(store).compare(token, third)
    assert compared["median_ratio"] is None and compared["pixels"] == 0
    with Image.open(compared["picture"]["path"]) as image:
        assert 640 + 400 < image.width < 640 * 2
    with pytest.raises(ValueError, match="token of a result"):
        Comparisons(store).compare(token, "nobody's")
