"""Encoded pictures in memory, from which a decoder on frozen encoders draws its batches."""

from collections import deque
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from depthpro.data.batches import Batch

SIZE = 2048  # pictures; those of the embedded network take 3 MB each


class MapPool:
    """The newest encoded pictures, with their truth, each used in several steps beside others.

    Encoding a picture costs the embedded network three times what a decoder's step does.
    """

    def __init__(self, read_windows: Callable[[Float[Tensor, "1 3 s s"]], list[Tensor]]) -> None:
        """Encode by `DepthNetwork.read_windows`."""
        self._read_windows = read_windows
        self._pictures = deque[tuple[list[Tensor], list[Tensor]]](maxlen=SIZE)

    def add(self, batch: Batch) -> None:
        """Encode a batch, and keep its maps in float16."""
        for picture in zip(*(field.split(1) for field in batch), strict=True):
            image, *truth = picture
            with torch.no_grad():
                maps = [x.half() for x in self._read_windows(image)]
            self._pictures.append((maps, [image[:0], *truth]))

    def draw(self, count: int) -> tuple[list[Tensor], Batch]:
        """Return the maps and the truth of random pictures."""
        chosen = [self._pictures[i] for i in torch.randint(len(self._pictures), (count,)).tolist()]
        maps, truth = (zip(*parts, strict=True) for parts in zip(*chosen, strict=True))
        return [torch.cat(x).float() for x in maps], Batch(*(torch.cat(x) for x in truth))
