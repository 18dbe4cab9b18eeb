"""Training batches: samples cropped to squares in a fixed random order, then augmented.

A loader's workers crop and resize pictures; `augment` changes colours later, for a whole batch at
once, on the network's device.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import ConcatDataset, Dataset

from depthpro.data.sample import Sample
from depthpro.preprocess import resize_bytes
from depthpro.training.recipe import Augmentation

RANDOM_NUMBERS = 17


class Batch(NamedTuple):
    """Pictures with their depth, mask, field of view and kind."""

    image: Float[Tensor, "b 3 s s"]
    """In [-1, 1]."""
    inverse: Float[Tensor, "b s s"]
    """Canonical inverse depth f_px / (w depth); 0 for sky and where unknown."""
    mask: Bool[Tensor, "b s s"]
    """Where it is known."""
    fov_deg: Float[Tensor, " b"]
    metric: Bool[Tensor, " b"]
    synthetic: Bool[Tensor, " b"]
    random: Float[Tensor, "b 17"]
    """Random numbers in [0, 1), drawn with each sample for `augment` and `cut_windows`."""


class Box(NamedTuple):
    """A rectangle of a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int


class TrainingSet(Dataset[Batch]):
    """An endless, reproducible stream of cropped samples.

    Item n depends on the seed and n alone: each epoch goes through all samples in an order of its
    own, and each item has its own random generator. So a run that is resumed, or split among
    processes, sees the same items as an undisturbed one.
    """

    def __init__(
        self,
        samples: ConcatDataset[Sample],
        side: int,
        augmentation: Augmentation,
        seed: int,
        items: range,
    ) -> None:
        """Take samples `items` of the stream, at `side` pixels.

        Raises:
            ValueError: If there are no samples.
        """
        self.samples, self.side, self.augmentation = samples, side, augmentation
        self.seed, self.items = seed, items
        if not len(samples):
            raise ValueError("there are no samples to train on: name a folder that has some")
        self._epoch, self._order = -1, np.arange(0)

    def __len__(self) -> int:
        """Return how many items there are."""
        return len(self.items)

    def __getitem__(self, index: int) -> Batch:
        """Return an item as a batch of one, without the batch axis."""
        number = self.items[index]
        epoch, place = divmod(number, len(self.samples))
        if epoch != self._epoch:
            rng = np.random.default_rng([self.seed, epoch])
            self._epoch, self._order = epoch, rng.permutation(len(self.samples))
        sample = self.samples[int(self._order[place])]
        rng = np.random.default_rng([self.seed, number, 1])
        box, flip = draw_box(rng, sample.depth.shape, self.augmentation)
        item = as_item(cut(sample, box), self.side)
        if flip:
            item = mirror(item)
        return item._replace(random=torch.from_numpy(rng.random(RANDOM_NUMBERS, dtype=np.float32)))


def draw_box(
    rng: np.random.Generator, size: tuple[int, ...], chances: Augmentation
) -> tuple[Box, bool]:
    """Return a random rectangle of a picture of `size` (h, w), and whether to mirror it."""
    height, width = size
    crop, centred, flip = rng.random(3) < (chances.crop, chances.centred, chances.flip)
    scale, stretch = rng.uniform(chances.smallest_crop, 1), rng.uniform(-1, 1) * chances.stretch
    across, down = np.exp(min(stretch, 0)), np.exp(-max(stretch, 0))  # the larger one is 1
    top, left = (0.5, 0.5) if centred else rng.random(2)
    if not crop:
        return Box(0, 0, height, width), bool(flip)
    rows, columns = max(round(height * scale * down), 1), max(round(width * scale * across), 1)
    box = Box(round(top * (height - rows)), round(left * (width - columns)), rows, columns)
    return box, bool(flip)


def cut(sample: Sample, box: Box) -> Sample:
    """Return a rectangle of a sample as a picture of its own, seen by the same lens.

    Focal length in pixels and depth stay and the width shrinks, so a crop of r of the width has
    canonical inverse depth C / r and tan(fov'/2) = r tan(fov/2).

    Source: Table 16, "for FOV-augmentation"; FACTS 1.6.
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

    Colour is resized as the network's input always is; depth takes the nearest pixel, which never
    mixes two surfaces.
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


def mirror(item: Batch) -> Batch:
    """Return an item flipped from left to right."""
    return item._replace(
        image=item.image.flip(-1), inverse=item.inverse.flip(-1), mask=item.mask.flip(-1)
    )


def shrink_truth(batch: Batch, side: int) -> Batch:
    """Return the batch with true depth at `side` pixels, by the nearest pixel."""
    if batch.inverse.shape[-1] == side:
        return batch
    maps = torch.stack([batch.inverse, batch.mask.float()], dim=1)
    maps = F.interpolate(maps, size=(side, side), mode="nearest-exact")
    return batch._replace(inverse=maps[:, 0], mask=maps[:, 1] > 0)


def augment(batch: Batch, chances: Augmentation) -> Batch:
    """Return the batch with random colours, blur and noise, each on its share of the pictures.

    Random numbers come with each picture in `batch.random`; only the noise itself is drawn here.
    """
    draws = batch.random[:, :, None, None]
    image = (batch.image + 1) / 2
    colour, blur, noise, grey = (
        draws[:, i : i + 1] < chance
        for i, chance in enumerate((chances.colour, chances.blur, chances.noise, chances.grey))
    )
    if chances.colour:
        image = torch.where(colour, _recoloured(image, draws[:, 4:12], chances), image)
    if chances.grey:
        image = torch.where(grey, _grey(image).expand_as(image), image)
    if chances.blur and blur.any():
        sigma = 0.2 + (chances.blur_px - 0.2) * batch.random[:, 12]
        image = torch.where(blur, _blurred(image, sigma), image)
    if chances.noise:
        strength = chances.noise_level * draws[:, 13:14].square() * noise
        image = (image + strength * torch.randn_like(image)).clamp(0, 1)
    return batch._replace(image=image * 2 - 1)


def _recoloured(
    image: Float[Tensor, "b 3 h w"], draws: Float[Tensor, "b 8 1 1"], chances: Augmentation
) -> Float[Tensor, "b 3 h w"]:
    """Change gamma, white balance, saturation and contrast of pictures in [0, 1]."""
    factors = ((2 * draws - 1) * np.log1p(chances.jitter)).exp()
    gamma, brightness, contrast, saturation, balance = factors.split([1, 1, 1, 1, 4], dim=1)
    image = image.clamp(min=1e-4) ** gamma * (brightness * balance[:, :3].sqrt())
    grey = _grey(image)
    image = grey + saturation * (image - grey)
    middle = grey.mean((2, 3), keepdim=True)
    return (middle + contrast * (image - middle)).clamp(0, 1)


def _grey(image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 h w"]:
    weights = image.new_tensor([0.299, 0.587, 0.114])[:, None, None]
    return (image * weights).sum(1, keepdim=True)


def _blurred(image: Float[Tensor, "b 3 h w"], sigma: Float[Tensor, " b"]) -> Tensor:
    """Blur each picture by its own Gaussian, of standard deviation `sigma` in pixels."""
    reach = int(np.ceil(2 * float(sigma.max())))
    at = torch.arange(-reach, reach + 1, device=image.device)
    kernel = torch.exp(-0.5 * (at / sigma[:, None]).square())
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(3, 0)[:, None]
    planes = F.pad(image, (reach,) * 4, mode="reflect").flatten(0, 1)[None]
    planes = F.conv2d(planes, kernel[:, :, None], groups=planes.shape[1])
    planes = F.conv2d(planes, kernel[..., None], groups=planes.shape[1])
    return planes[0].unflatten(0, image.shape[:2])


def _nearest(values: Shaped[ndarray, "h w"], side: int) -> Shaped[ndarray, "{side} {side}"]:
    """Return the pixel nearest to the middle of each of `side` x `side` cells."""
    rows, columns = (((np.arange(side) + 0.5) * (n / side)).astype(int) for n in values.shape)
    return values[rows[:, None], columns]
