"""Public RGB-D sets as their authors ship them, and shards, read sample by sample.

| spec | set | depth | flags |
|---|---|---|---|
| `hypersim:PATH` | Hypersim, rooms | rendered | metric, synthetic |
| `vkitti2:PATH` | Virtual KITTI 2, streets | rendered | metric, synthetic |
| `arkitscenes:PATH` | ARKitScenes, rooms | measured | metric, real |
| `shards:PATH` or `PATH` | `depthpro.data.shards`, anything | as written | as written |

What the flags mean for the loss is in `depthpro.losses.stage1_loss`. Files are listed, and checked
for their partners, when a reader is made; they are read when a sample is asked for, and none stays
open. Pictures keep their size. Where depth is unknown, the mask is False and depth is infinite.
"""

import bisect
import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from depthpro.data.arkitscenes import ArkitScenes
from depthpro.data.hypersim import Hypersim
from depthpro.data.sample import Sample
from depthpro.data.shards import Shard
from depthpro.data.vkitti2 import VirtualKitti2

__all__ = [
    "ArkitScenes",
    "Concatenation",
    "Hypersim",
    "Selection",
    "VirtualKitti2",
    "open_dataset",
    "open_shards",
]


class Concatenation(Sequence[Sample]):
    """Several sequences, one after the other."""

    def __init__(self, parts: Iterable[Sequence[Sample]]) -> None:
        """Ask each part for its length; no sample is read."""
        self._parts = list(parts)
        self._ends = list(itertools.accumulate(len(part) for part in self._parts))

    def __len__(self) -> int:
        """Return the number of samples in all parts."""
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: Any) -> Any:
        """Return a sample, or a list of them for a slice."""
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        index = range(len(self))[index]  # counts negative ones from the end, or raises IndexError
        part, place = self._locate(index)
        return part[place]

    def flags(self, index: int) -> tuple[bool, bool]:
        """Return whether a sample is metric and synthetic; shards tell without decoding it."""
        part, place = self._locate(index)
        if isinstance(part, Shard):
            return part.flags(place)
        return part[place].metric, part[place].synthetic

    def _locate(self, index: int) -> tuple[Sequence[Sample], int]:
        part = bisect.bisect_right(self._ends, index)
        return self._parts[part], index - self._ends[part]  # negative: from the part's end


class Selection(Sequence[Sample]):
    """Some samples of a sequence."""

    def __init__(self, source: Sequence[Sample], chosen: Sequence[int]) -> None:
        """Take the samples at these places; none is read."""
        self._source, self._chosen = source, chosen

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._chosen)

    def __getitem__(self, index: Any) -> Any:
        """Return a sample, or a list of them for a slice."""
        if isinstance(index, slice):
            return [self._source[place] for place in self._chosen[index]]
        return self._source[self._chosen[index]]


def open_shards(folder: str | Path) -> Concatenation:
    """Return the samples of all shards in a folder, in order of their names.

    Each shard's table of contents is kept, about 1 KB a sample; its file is open only while a
    sample is read.

    Raises:
        ValueError: If there is no shard, or one is broken.
    """
    # Hidden ones are half written, by a run that goes on or has been stopped.
    paths = sorted(path for path in Path(folder).glob("*.tar") if not path.name.startswith("."))
    if not paths:
        raise ValueError(f"no shards (*.tar) in {folder}: make some with python -m depthpro render")
    return Concatenation(Shard(path) for path in paths)


_READERS: dict[str, Callable[[str], Sequence[Sample]]] = {
    "hypersim": Hypersim,
    "vkitti2": VirtualKitti2,
    "arkitscenes": ArkitScenes,
    "shards": open_shards,
}


def open_dataset(spec: str) -> Sequence[Sample]:
    """Return the training samples that a spec names: SET:PATH, or the path of a folder of shards.

    Raises:
        ValueError: If there is no such set or folder, or the set is not as its authors ship it.
    """
    name, colon, path = spec.partition(":")
    if colon and name in _READERS:
        return _READERS[name](path)
    if Path(spec).is_dir():
        return open_shards(spec)
    raise ValueError(
        f"a data set is given as {':PATH, '.join(_READERS)}:PATH or the path of a folder of shards;"
        f" got {spec!r}"
    )
