"""Training batches: samples cropped to squares in a fixed random order, then augmented.

A loader's workers crop and resize; `augment` changes a batch's colours on the network's device.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import ConcatDataset, Dataset

from depthpro.data.augmentation import Augmentation, Box, change_colours, draw_box
from depthpro.data.sample import Sample
from depthpro.preprocess import resize_bytes

RANDOM_NUMBERS = 19


class Batch(NamedTuple):
    """Pictures with their depth, mask, field of view and kind."""

    image: Float[Tensor, "b 3 s s"]  # in [-1, 1]
    inverse: Float[Tensor, "b s s"]
    """Canonical inverse depth f_px / (w depth); 0 for sky and where unknown."""
    mask: Bool[Tensor, "b s s"]  # where it is known
    fov_deg: Float[Tensor, " b"]
    metric: Bool[Tensor, " b"]
    synthetic: Bool[Tensor, " b"]
    random: Float[Tensor, "b 19"]
    """Random numbers in [0, 1), drawn with each sample for `augment` and `cut_windows`."""


@dataclass(eq=False)
class TrainingSet(Dataset[Batch]):
    """A reproducible stream of cropped samples; each epoch has an order of its own.

    Item n depends on the seed and n alone, so a run that is resumed, or split among processes, sees
    the same items as an undisturbed one.
    """

    samples: ConcatDataset[Sample]
    side: int  # of the pictures, in pixels
    augmentation: Augmentation
    seed: int
    items: range  # which items of the stream

    def __post_init__(self) -> None:
        """Refuse an empty data set."""
        if not len(self.samples):
            raise ValueError("there are no samples to train on: name a folder that has some")

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.items)

    def __getitem__(self, index: int) -> Batch:
        """Return an item as a batch of one, without the batch axis."""
        number = self.items[index]
        epoch, place = divmod(number, len(self.samples))
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.samples))
        sample = self.samples[int(order[place])]
        rng = np.random.default_rng([self.seed, number, 1])
        box, mirror = draw_box(rng, sample.depth.shape, self.augmentation)
        item = as_item(cut(sample, box), self.side)
        if mirror:
            image, inverse, mask = (maps.flip(-1) for maps in item[:3])
            item = item._replace(image=image, inverse=inverse, mask=mask)
        return item._replace(random=torch.from_numpy(rng.random(RANDOM_NUMBERS, dtype=np.float32)))


def cut(sample: Sample, box: Box) -> Sample:
    """Return a rectangle of a sample as a picture of its own, seen by the same lens.

    Focal length in pixels and depth stay, so a crop of r of the width has canonical inverse depth
    C / r and tan(fov'/2) = r tan(fov/2).

    Source: Table 16, "for FOV-augmentation".
    """
    down, across = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
    return replace(
        sample,
        rgb=sample.rgb[down, across],
        depth=sample.depth[down, across],
        mask=None if sample.mask is None else sample.mask[down, across],
        cx_px=sample.cx_px - box.left,
        cy_px=sample.cy_px - box.top,
    )


def as_item(sample: Sample, side: int) -> Batch:
    """Return a sample stretched to a square, without the batch axis.

    Colour is resized as for inference; depth takes the nearest pixel, which never mixes surfaces.
    """
    rgb = torch.from_numpy(np.array(sample.rgb)).permute(2, 0, 1)[None]  # torch wants to own it
    image = rgb.float() if rgb.shape[2:] == (side, side) else resize_bytes(rgb, side)
    depth = _nearest(sample.depth, side)
    known = depth > 0  # False for NaN, True for infinity
    if sample.mask is not None:
        known = known & _nearest(sample.mask, side)
    scale = sample.f_px / sample.rgb.shape[1]
    inverse = (scale / np.where(known, depth, np.inf)).astype(np.float32)
    return Batch(
        image=image[0].contiguous() / 127.5 - 1,
        inverse=torch.from_numpy(inverse),
        mask=torch.from_numpy(known),
        fov_deg=torch.tensor(sample.fov_deg, dtype=torch.float32),
        metric=torch.tensor(sample.metric),
        synthetic=torch.tensor(sample.synthetic),
        random=torch.zeros(RANDOM_NUMBERS),
    )


def _nearest(values: Shaped[ndarray, "h w"], side: int) -> Shaped[ndarray, "{side} {side}"]:
    """Return the pixel nearest to the middle of each of `side` x `side` cells."""
    rows, columns = (((np.arange(side) + 0.5) * (n / side)).astype(int) for n in values.shape)
    return values[rows[:, None], columns]


def shrink_truth(batch: Batch, side: int) -> Batch:
    """Return the batch with true depth at `side` pixels, by the nearest pixel."""
    if batch.inverse.shape[-1] == side:
        return batch
    maps = torch.stack([batch.inverse, batch.mask.float()], dim=1)
    maps = F.interpolate(maps, size=(side, side), mode="nearest-exact")
    return batch._replace(inverse=maps[:, 0], mask=maps[:, 1] > 0)


def augment(batch: Batch, chances: Augmentation) -> Batch:
    """Return the batch with changed colours, by the numbers that come with each picture."""
    return batch._replace(image=change_colours(batch.image, batch.random, chances))
