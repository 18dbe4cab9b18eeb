"""Samples as training sees them: exact targets, exact crops, an order that can be resumed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close
from torch.utils.data import default_collate
from training import make_samples

from depthpro.data import Batch, TrainingSet, as_item, augment, centre_crop
from depthpro.geometry import focal_from_fov
from depthpro.recipe import Augmentation

NOTHING = Augmentation(colour=0, blur=0, crop=0, flip=0)


def test_target_is_canonical_inverse_depth_with_sky_at_0() -> None:
    sample = make_samples(1)[0]
    item = as_item(sample, 96)
    assert_close(item.inverse, torch.from_numpy(sample.f_px / (96 * sample.depth)).float())
    assert (item.inverse[torch.from_numpy(np.isinf(sample.depth))] == 0).all()
    assert item.mask.all()
    assert_close(item.image, torch.from_numpy(sample.rgb).permute(2, 0, 1) / 127.5 - 1)
    assert_close(float(item.fov_deg), sample.fov_deg, rtol=1e-6, atol=0)


def test_stretching_leaves_target_and_field_of_view() -> None:
    sample = make_samples(1)[0]
    wide = replace(
        sample, rgb=np.repeat(sample.rgb, 2, 1), depth=np.repeat(sample.depth, 2, 1),
        f_px=2 * sample.f_px,
    )  # fmt: skip
    for side in (96, 192):
        item, stretched = as_item(sample, side), as_item(wide, side)
        assert_close(stretched.inverse, item.inverse)
        assert_close(stretched.fov_deg, item.fov_deg)


def test_unknown_depth_is_masked_whatever_it_holds() -> None:
    sample = make_samples(1)[0]
    depth, mask = sample.depth.copy(), np.ones(sample.depth.shape, bool)
    depth[0, :3] = [np.nan, 0, -1]
    mask[1, 0] = False
    item = as_item(replace(sample, depth=depth, mask=mask), 96)
    assert item.mask.flatten().tolist().count(False) == 4
    assert (item.inverse[~item.mask] == 0).all()
    assert item.inverse.isfinite().all()


def test_depth_is_never_mixed_when_it_is_resized() -> None:
    sample = make_samples(1)[0]
    item = as_item(sample, 200)
    there = torch.from_numpy(sample.f_px / (96 * sample.depth)).float().unique()
    assert (item.inverse[..., None] - there).abs().amin(-1).max() < 1e-6


@pytest.mark.parametrize("ratio", [0.5, 0.75, 1.0])
def test_crop_shows_the_same_metres_through_a_longer_lens(ratio: float) -> None:
    # A wall at 4 m: C = f / (w D); the crop has width r w, so C' = C / r. Depth from the crop's
    # own field of view, D = f' / (w' C') with f'/w' = 1 / (2 tan(fov'/2)), is 4 m again.
    sample = make_samples(1)[0]
    wall = replace(sample, depth=np.full_like(sample.depth, 4.0))
    item = centre_crop(as_item(wall, 96), ratio)
    assert_close(item.inverse, torch.full((96, 96), sample.f_px / (96 * 4) / ratio))
    assert_close(focal_from_fov(float(item.fov_deg), 1) / item.inverse, torch.full((96, 96), 4.0))
    assert_close(
        float(torch.tan(torch.deg2rad(item.fov_deg / 2))),
        ratio * np.tan(np.radians(sample.fov_deg / 2)),
    )


def test_crop_takes_the_middle() -> None:
    sample = make_samples(1)[0]
    item = as_item(sample, 96)
    cropped = centre_crop(item, 0.5)
    assert_close(cropped.inverse[::2, ::2], 2 * item.inverse[24:72, 24:72])
    assert_close(cropped.image.mean((1, 2)), item.image[:, 24:72, 24:72].mean((1, 2)),
                 rtol=0.05, atol=0.01)  # fmt: skip


def test_flip_moves_picture_and_depth_together() -> None:
    item = as_item(make_samples(1)[0], 96)
    flipped = augment(item, replace(NOTHING, flip=1.0), np.random.default_rng(0))
    assert_close(flipped.image, item.image.flip(-1))
    assert_close(flipped.inverse, item.inverse.flip(-1))
    assert flipped.fov_deg == item.fov_deg


def test_colour_and_blur_change_colour_only() -> None:
    item = as_item(make_samples(1)[0], 96)
    for chances in (replace(NOTHING, colour=1.0), replace(NOTHING, blur=1.0)):
        changed = augment(item, chances, np.random.default_rng(3))
        assert (changed.image - item.image).abs().mean() > 0.005
        assert changed.image.abs().max() <= 1
        assert_close(changed.inverse, item.inverse)
        assert_close(changed.fov_deg, item.fov_deg)
    # Blur keeps the mean: the kernel sums to 1 and the borders are mirrored.
    assert_close(changed.image.mean(), item.image.mean(), rtol=0.05, atol=0.005)


def test_shares_are_what_the_recipe_says() -> None:
    item = as_item(make_samples(1)[0], 32)
    chances, changed = Augmentation(flip=0.5), {"colour": 0, "blur": 0, "crop": 0, "flip": 0}
    for name in changed:
        only = replace(NOTHING, **{name: getattr(chances, name)})
        for seed in range(300):
            new = augment(item, only, np.random.default_rng(seed))
            changed[name] += not (
                torch.equal(new.image, item.image) and torch.equal(new.inverse, item.inverse)
            )
    # Standard deviation of a share of 300: at most 0.029.
    for name, count in changed.items():
        assert count / 300 == pytest.approx(getattr(chances, name), abs=0.09)


def test_an_epoch_has_every_sample_once_and_the_next_another_order() -> None:
    samples = make_samples(5)
    stream = TrainingSet([samples[:2], samples[2:]], 32, NOTHING, seed=4, items=range(10))
    by_angle = {round(sample.fov_deg, 3): number for number, sample in enumerate(samples)}
    order = [by_angle[round(float(stream[i].fov_deg), 3)] for i in range(10)]
    assert sorted(order[:5]) == sorted(order[5:]) == [0, 1, 2, 3, 4]
    assert order[:5] != order[5:]


def test_a_stream_goes_on_where_it_was_left() -> None:
    samples = make_samples(5)
    whole = TrainingSet([samples], 32, Augmentation(flip=0.5), seed=1, items=range(12))
    rest = TrainingSet([samples], 32, Augmentation(flip=0.5), seed=1, items=range(7, 12))
    for i in range(5):
        for ours, theirs in zip(rest[i], whole[7 + i], strict=True):
            assert torch.equal(ours, theirs)
    other = TrainingSet([samples], 32, Augmentation(flip=0.5), seed=2, items=range(12))
    assert any(not torch.equal(other[i].image, whole[i].image) for i in range(12))
    assert len({tuple(whole[i].dice.tolist()) for i in range(12)}) == 12


def test_items_become_a_batch() -> None:
    stream = TrainingSet([make_samples(3)], 32, NOTHING, seed=0, items=range(3))
    batch = default_collate([stream[i] for i in range(3)])
    assert isinstance(batch, Batch)
    assert batch.image.shape == (3, 3, 32, 32)
    assert batch.metric.tolist() == [True] * 3


def test_nothing_to_train_on_is_said() -> None:
    for sources in ([], [[]]):
        with pytest.raises(ValueError, match="no samples to train on"):
            TrainingSet(sources, 32, NOTHING, seed=0, items=range(3))
