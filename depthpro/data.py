"""Samples as a network learns from them: augmented, square, in a fixed random order."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset
from torchvision.transforms.v2 import functional as transforms

from depthpro.encoder import resize, resize_bytes
from depthpro.recipe import Augmentation
from depthpro.sample import Sample

DICE = 8
"""Random numbers that come with each picture."""


class Batch(NamedTuple):
    """Pictures and what is known of them."""

    image: Float[Tensor, "b 3 s s"]
    """In [-1, 1]."""
    inverse: Float[Tensor, "b s s"]
    """Canonical inverse depth f_px / (w depth); 0 for sky and where unknown."""
    mask: Bool[Tensor, "b s s"]
    """Where it is known."""
    fov_deg: Float[Tensor, " b"]
    metric: Bool[Tensor, " b"]
    synthetic: Bool[Tensor, " b"]
    dice: Float[Tensor, "b k"]
    """Random numbers in [0, 1) for what a phase draws itself, such as windows."""


class TrainingSet(Dataset[Batch]):
    """An endless, reproducible stream of augmented samples from several sources.

    Item n follows from the seed and n alone: each epoch goes through all samples of all sources in
    an order of its own, and the augmentation of item n has a generator of its own. So a run that is
    resumed, or split among processes, sees what an undisturbed one sees.
    """

    def __init__(
        self,
        sources: Sequence[Sequence[Sample]],
        side: int,
        augmentation: Augmentation,
        seed: int,
        items: range,
    ) -> None:
        """Take samples `items` of the stream, at `side` pixels.

        Raises:
            ValueError: If there are no samples.
        """
        self.sources, self.side, self.augmentation = sources, side, augmentation
        self.seed, self.items = seed, items
        self._ends = np.cumsum([len(source) for source in sources])
        if not len(self._ends) or not self._ends[-1]:
            raise ValueError("there are no samples to train on: name a folder that has some")
        self._epoch, self._order = -1, np.arange(0)

    def __len__(self) -> int:
        """Return how many items there are."""
        return len(self.items)

    def __getitem__(self, index: int) -> Batch:
        """Return an item as a batch of one, without the batch axis."""
        number = self.items[index]
        epoch, place = divmod(number, int(self._ends[-1]))
        if epoch != self._epoch:
            rng = np.random.default_rng([self.seed, epoch])
            self._epoch, self._order = epoch, rng.permutation(int(self._ends[-1]))
        chosen = int(self._order[place])
        source = int(np.searchsorted(self._ends, chosen, side="right"))
        first = int(self._ends[source]) - len(self.sources[source])
        sample = self.sources[source][chosen - first]
        rng = np.random.default_rng([self.seed, number, 1])
        item = augment(as_item(sample, self.side), self.augmentation, rng)
        return item._replace(dice=torch.from_numpy(rng.random(DICE, dtype=np.float32)))


def as_item(sample: Sample, side: int) -> Batch:
    """Return a sample stretched to a square, without the batch axis.

    Colour is resized as the network's input always is; depth takes the nearest pixel, which never
    mixes two surfaces.
    """
    rgb = torch.tensor(sample.rgb).permute(2, 0, 1)[None]
    image = rgb.float() if rgb.shape[2:] == (side, side) else resize_bytes(rgb, side)
    known = sample.depth > 0  # not where it is NaN, but at infinity
    if sample.mask is not None:
        known = known & sample.mask
    scale = sample.f_px / sample.rgb.shape[1]
    inverse = scale / np.where(known, sample.depth, np.inf)
    maps = torch.from_numpy(np.stack([inverse, known]).astype(np.float32))[None]
    inverse, mask = _nearest(maps, side)[0]
    return Batch(
        image=image[0].contiguous() / 127.5 - 1,
        inverse=inverse,
        mask=mask > 0,
        fov_deg=torch.tensor(sample.fov_deg, dtype=torch.float32),
        metric=torch.tensor(sample.metric),
        synthetic=torch.tensor(sample.synthetic),
        dice=torch.zeros(DICE),
    )


def augment(item: Batch, chances: Augmentation, rng: np.random.Generator) -> Batch:
    """Return an item with random colours, blur, centre crop and side, as often as asked for."""
    # Every number is drawn whether it is used or not: one share does not move another's dice.
    colour, blur, crop, flip = rng.random(4) < (
        chances.colour, chances.blur, chances.crop, chances.flip
    )  # fmt: skip
    image = (item.image + 1) / 2
    factors = np.exp(rng.uniform(-1, 1, 6) * np.log1p(chances.jitter)).tolist()
    sigma = float(rng.uniform(0.2, chances.blur_px))
    ratio = float(rng.uniform(chances.smallest_crop, 1))
    if colour:
        image = _recoloured(image, factors)
    if blur:
        image = transforms.gaussian_blur(image, [2 * round(2 * sigma) + 1] * 2, [sigma])
    item = item._replace(image=image * 2 - 1)
    if crop:
        item = centre_crop(item, ratio)
    if flip:
        item = item._replace(
            image=item.image.flip(-1), inverse=item.inverse.flip(-1), mask=item.mask.flip(-1)
        )
    return item


def centre_crop(item: Batch, ratio: float) -> Batch:
    """Return the middle of the picture at full size, with what that changes: C and the angle.

    Focal length and depth stay, the width shrinks: C' = C / r and tan(fov'/2) = r tan(fov/2),
    with r the ratio of whole pixels that `ratio` comes to.

    Source: Table 16, "for FOV-augmentation"; FACTS 1.6.
    """
    side = item.image.shape[-1]
    margin = round(side * (1 - ratio) / 2)
    exact = (side - 2 * margin) / side
    part = slice(margin, side - margin)
    maps = torch.stack([item.inverse / exact, item.mask.float()])[:, part, part]
    inverse, mask = _nearest(maps[None], side)[0]
    half = torch.deg2rad(item.fov_deg / 2)
    return item._replace(
        image=resize(item.image[None, :, part, part], side)[0],
        inverse=inverse,
        mask=mask > 0,
        fov_deg=2 * torch.rad2deg(torch.atan(exact * torch.tan(half))),
    )


def _recoloured(image: Float[Tensor, "3 h w"], factors: list[float]) -> Float[Tensor, "3 h w"]:
    """Return a picture in [0, 1] with other brightness, contrast, saturation, white balance."""
    brightness, contrast, saturation, *balance = factors
    image = image * (brightness * torch.tensor(balance)[:, None, None])
    grey = transforms.rgb_to_grayscale(image)
    image = grey + saturation * (image - grey)
    middle = grey.mean()
    return (middle + contrast * (image - middle)).clamp(0, 1)


def _nearest(maps: Float[Tensor, "b c h w"], side: int) -> Float[Tensor, "b c {side} {side}"]:
    if maps.shape[-2:] == (side, side):
        return maps
    return F.interpolate(maps, size=(side, side), mode="nearest-exact")
