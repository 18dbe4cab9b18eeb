"""Arithmetic on a prediction."""

import dataclasses

import numpy as np
import pytest
import torch
from conftest import make_model

from depthpro import Prediction


@pytest.fixture
def prediction() -> Prediction:
    generator = torch.Generator().manual_seed(0)
    return Prediction(
        canonical_inverse_depth=torch.rand((2, 8, 8), generator=generator) + 0.01,
        f_px=torch.tensor([30.0, 45.0]),
        estimated_f_px=torch.tensor([30.0, 45.0]),
        height=20,
        width=30,
    )


def test_another_size_shows_the_same_scene(prediction: Prediction) -> None:
    # Depth is of the scene, not of the pixels: a flat wall is as far away at every size.
    canonical = torch.full((2, 8, 8), 0.25)  # f / (w C) = 30 / (30 * 0.25) = 4 m and 6 m
    wall = dataclasses.replace(prediction, canonical_inverse_depth=canonical)
    for height, width in ((20, 30), (10, 15), (7, 60)):
        depth = wall.depth_at(height, width)
        assert depth.shape == (2, height, width)
        torch.testing.assert_close(depth[0], torch.full((height, width), 4.0))
        torch.testing.assert_close(depth[1], torch.full((height, width), 6.0))
    assert prediction.f_px_at(15).tolist() == [15.0, 22.5]


def test_another_focal_length_is_exactly_what_infer_gives_and_calls_no_network(monkeypatch) -> None:
    model = make_model()
    rgb = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    estimated, given = model.infer(rgb), model.infer(rgb, f_px=77.7)
    monkeypatch.setattr(model, "forward", lambda _: pytest.fail("the network was called"))
    changed = estimated.with_focal(77.7)
    assert torch.equal(changed.depth, given.depth)
    assert torch.equal(changed.f_px, given.f_px)
    assert torch.equal(given.estimated_f_px, estimated.f_px)
    assert torch.equal(changed.fov_deg, given.fov_deg)
    assert torch.equal(changed.with_focal(estimated.f_px).depth, estimated.depth)


@pytest.mark.parametrize("f_px", [9, torch.tensor(9.0), torch.tensor([9.0])])
def test_one_focal_length_serves_all_pictures(prediction: Prediction, f_px) -> None:
    changed = prediction.with_focal(f_px)
    assert changed.f_px.tolist() == [9.0, 9.0]
    assert torch.equal(changed.estimated_f_px, prediction.estimated_f_px)
    assert prediction.f_px.tolist() == [30.0, 45.0]  # the first one stays as it was


@pytest.mark.parametrize("estimated", [True, False])
def test_all_tensors_move_together(prediction: Prediction, estimated: bool) -> None:
    if not estimated:
        prediction = dataclasses.replace(prediction, estimated_f_px=None)
    moved = prediction.to("meta")
    assert moved.canonical_inverse_depth.is_meta
    assert moved.f_px.is_meta
    assert moved.estimated_f_px.is_meta if estimated else moved.estimated_f_px is None
    assert moved.depth.shape == (2, 20, 30)
