"""A crop of each picture, in which alone the finest level is trained.

That level and the head cost the embedded network three quarters of a decoder's step. The coarser
levels still read whole pictures, whose mean depth weights the crop's errors.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from depthpro.data.batches import Batch
from depthpro.training.recipe import MARGIN


class FineCrops(NamedTuple):
    """A square of each picture, in pixels of the network's input."""

    corners: list[tuple[int, int]]  # rows and columns, even numbers
    side: int

    def cut(self, maps: Tensor, scale: int = 1) -> Tensor:
        """Return the crops of maps of 1/scale of the pictures' size, rows and columns last."""
        size = self.side // scale
        crops = [
            picture[..., top // scale :, left // scale :][..., :size, :size]
            for picture, (top, left) in zip(maps, self.corners, strict=True)
        ]
        return torch.stack(crops)

    def cut_truth(self, batch: Batch) -> Batch:
        """Return the crops of true depth, without the margin inside of the picture."""
        masks, last = self.cut(batch.mask), batch.mask.shape[-1] - self.side
        for mask, (top, left) in zip(masks, self.corners, strict=True):
            for rows, at in ((mask, top), (mask.T, left)):
                if at > 0:
                    rows[:MARGIN] = False
                if at < last:
                    rows[-MARGIN:] = False
        return batch._replace(inverse=self.cut(batch.inverse), mask=masks)


def random_crops(side: int | None, batch: Batch) -> FineCrops | None:
    """Return a crop of `side` pixels for each picture, or None if the finest level sees all."""
    if side is None:
        return None
    count, whole = batch.mask.shape[:2]
    free = (whole - side) // 2
    # A third lie at an edge of the picture: what to do there is learned there alone.
    corners = 2 * torch.randint(-free // 4, free + free // 4 + 1, (count, 2)).clamp(0, free)
    return FineCrops([(top, left) for top, left in corners.tolist()], side)
