"""Samples as training sees them: exact targets, exact crops, an order that can be resumed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch.testing import assert_close
from torch.utils.data import default_collate
from training import joined, make_batch, make_samples

from depthpro.data.augmentation import Augmentation, draw_box
from depthpro.data.batches import Batch, Box, TrainingSet, as_item, augment, cut
from depthpro.geometry import focal_from_fov

NOTHING = Augmentation(colour=0, blur=0, crop=0)
FLIPS = replace(NOTHING, flip=0.5)


def test_target_is_canonical_inverse_depth_with_sky_at_0() -> None:
    sample = make_samples(1)[0]
    item = as_item(sample, 96)
    assert_close(item.inverse, torch.from_numpy(sample.f_px / (96 * sample.depth)).float())
    assert (item.inverse[torch.from_numpy(np.isinf(sample.depth))] == 0).all()
    assert item.mask.all()
    assert_close(item.image, torch.from_numpy(sample.rgb).permute(2, 0, 1) / 127.5 - 1)
    assert_close(float(item.fov_deg), sample.fov_deg, rtol=1e-6, atol=0)
    rgb, depth = np.repeat(sample.rgb, 2, 1), np.repeat(sample.depth, 2, 1)
    stretched = as_item(replace(sample, rgb=rgb, depth=depth, f_px=2 * sample.f_px), 96)
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
    item = as_item(cut(wall, Box(0, 0, 96, round(96 * ratio))), 96)
    assert_close(item.inverse, torch.full((96, 96), sample.f_px / (96 * 4) / ratio))
    assert_close(focal_from_fov(float(item.fov_deg), 1) / item.inverse, torch.full((96, 96), 4.0))
    assert_close(
        float(torch.tan(torch.deg2rad(item.fov_deg / 2))),
        ratio * np.tan(np.radians(sample.fov_deg / 2)),
    )


def test_crop_has_the_pixels_of_the_source() -> None:
    # A crop taken after the picture was reduced would be magnified again, with steps in depth.
    rng = np.random.default_rng(0)
    depth = rng.uniform(1, 9, (400, 400)).astype(np.float32)
    rgb = rng.integers(0, 256, (400, 400, 3), dtype=np.uint8)
    sample = replace(make_samples(1)[0], rgb=rgb, depth=depth, f_px=400.0, cx_px=199.5)
    part = cut(sample, Box(100, 60, 200, 200))
    assert (part.cx_px, part.f_px) == (139.5, 400)
    item = as_item(part, 200)
    assert_close(item.inverse, torch.from_numpy(400 / (200 * depth[100:300, 60:260])))
    pixels = torch.from_numpy(rgb[100:300, 60:260]).movedim(-1, 0)
    assert_close(item.image, pixels / 127.5 - 1)


def test_boxes_lie_inside_and_have_the_formats_asked_for() -> None:
    chances = Augmentation(crop=1.0, smallest_crop=0.5, centred=0.5, stretch=0.45, flip=0.5)
    drawn = [draw_box(np.random.default_rng(n), (300, 400), chances) for n in range(500)]
    top, left, height, width = np.array([box for box, _ in drawn]).T
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + height <= 300).all() and (left + width <= 400).all()
    formats = (width / 400) / (height / 300)
    assert np.exp(-0.46) < formats.min() < 0.7 and 1.4 < formats.max() < np.exp(0.46)
    middles = (abs(left + width / 2 - 200) < 1) & (abs(top + height / 2 - 150) < 1)
    assert 0.4 < middles.mean() < 0.65
    assert 0.4 < np.mean([flip for _, flip in drawn]) < 0.6
    assert draw_box(np.random.default_rng(0), (300, 400), NOTHING)[0] == Box(0, 0, 300, 400)


@pytest.mark.parametrize("name", ["colour", "grey", "blur", "noise", "texture", "jpeg"])
def test_photometry_changes_colour_only(name: str) -> None:
    batch = make_batch(8, 96)
    changed = augment(batch, replace(NOTHING, **{name: 1.0}))
    assert ((changed.image - batch.image).abs().mean((1, 2, 3)) > 1e-3).sum() >= 6
    assert changed.image.abs().max() <= 1
    for before, after in zip(batch[1:], changed[1:], strict=True):
        assert torch.equal(before, after)
    if name == "blur":  # the kernels sum to 1 and the borders are mirrored
        assert_close(changed.image.mean(), batch.image.mean(), rtol=0.05, atol=0.005)
    if name == "grey":
        assert_close(changed.image[:, 0], changed.image[:, 2])
    assert_close(augment(batch, NOTHING).image, batch.image)


def test_a_random_texture_keeps_the_edges_where_they_are() -> None:
    batch = make_batch(6, 64)
    image = torch.full((6, 3, 64, 64), -0.5)
    image[:, 0, :, 32:], image[:, 1, 20:] = 0.4, 0.6
    changed = augment(batch._replace(image=image), replace(NOTHING, texture=1.0)).image
    assert ((changed - image).abs().mean((1, 2, 3)) > 0.02).sum() >= 5
    for flat in (np.s_[..., 3:17, 3:29], np.s_[..., 23:, 3:29], np.s_[..., 23:61, 35:61]):
        assert changed[flat].std((2, 3)).max() < 1e-3  # within 2 pixels of an edge it may differ
    parts = [changed[flat].mean((2, 3)) for flat in (np.s_[..., 3:17, 3:29], np.s_[..., 23:, 35:])]
    assert ((parts[0] - parts[1]).abs().amax(1) > 0.05).sum() >= 5


def test_blur_is_that_of_each_pictures_own_gaussian() -> None:
    batch = make_batch(3, 40)
    chances = replace(NOTHING, blur=1.0, blur_px=1.5)
    blurred = augment(batch, chances).image
    for number in range(3):
        sigma = 0.2 + 1.3 * float(batch.random[number, 12])
        expected = gaussian_filter(batch.image[number].numpy(), (0, sigma, sigma), mode="mirror")
        # Kernels end at twice the largest deviation.
        assert_close(blurred[number], torch.from_numpy(expected), rtol=0, atol=0.03)


def test_an_epoch_has_every_sample_once_and_the_next_another_order() -> None:
    samples = make_samples(5)
    stream = TrainingSet(joined(samples[:2], samples[2:]), 32, NOTHING, seed=4, items=range(10))
    by_angle = {round(sample.fov_deg, 3): number for number, sample in enumerate(samples)}
    order = [by_angle[round(float(stream[i].fov_deg), 3)] for i in range(10)]
    assert sorted(order[:5]) == sorted(order[5:]) == [0, 1, 2, 3, 4]
    assert order[:5] != order[5:]


def test_a_stream_goes_on_where_it_was_left() -> None:
    samples = make_samples(5)
    whole = TrainingSet(joined(samples), 32, FLIPS, seed=1, items=range(12))
    rest = TrainingSet(joined(samples), 32, FLIPS, seed=1, items=range(7, 12))
    assert isinstance(default_collate([rest[0], rest[1]]), Batch)
    for i in range(5):
        for ours, theirs in zip(rest[i], whole[7 + i], strict=True):
            assert torch.equal(ours, theirs)
    # Some of the items are mirrored: picture and depth together.
    plain = TrainingSet(joined(samples), 32, NOTHING, seed=1, items=range(12))
    flipped = [i for i in range(12) if torch.equal(whole[i].image, plain[i].image.flip(-1))]
    assert 0 < len(flipped) < 12
    assert all(torch.equal(whole[i].inverse, plain[i].inverse.flip(-1)) for i in flipped)
    other = TrainingSet(joined(samples), 32, FLIPS, seed=2, items=range(12))
    assert any(not torch.equal(other[i].image, whole[i].image) for i in range(12))
    assert len({tuple(whole[i].random.tolist()) for i in range(12)}) == 12


def test_nothing_to_train_on_is_said() -> None:
    with pytest.raises(ValueError, match="no samples to train on"):
        TrainingSet(joined([]), 32, NOTHING, seed=0, items=range(3))
