"""Public RGB-D sets as their authors ship them, and shards.

| spec | set | depth | flags |
|---|---|---|---|
| `hypersim:PATH` | Hypersim, rooms | rendered | metric, synthetic |
| `vkitti2:PATH` | Virtual KITTI 2, streets | rendered | metric, synthetic |
| `arkitscenes:PATH` | ARKitScenes, rooms | measured | metric, real |
| `shards:PATH` or `PATH` | `depthpro.data.shards`, anything | as written | as written |

`depthpro.losses.stage1_loss` uses the flags. Readers list files first and read them when a sample
is asked for. Pictures keep their size. Unknown depth is infinite, and its mask False.
"""

from pathlib import Path
from typing import cast

from torch.utils.data import ConcatDataset, Subset

from depthpro.data.arkitscenes import ArkitScenes
from depthpro.data.frames import Frames
from depthpro.data.hypersim import Hypersim
from depthpro.data.sample import Sample
from depthpro.data.shards import open_shards
from depthpro.data.vkitti2 import VirtualKitti2

_READERS = {"hypersim": Hypersim, "vkitti2": VirtualKitti2, "arkitscenes": ArkitScenes}


def open_dataset(spec: str) -> ConcatDataset[Sample]:
    """Return the training samples that a spec names: SET:PATH, or the path of a folder of shards.

    Raises:
        ValueError: If there is no such set or folder, or the set is not as its authors ship it.
    """
    name, colon, path = spec.partition(":")
    if colon and name in _READERS:
        return ConcatDataset([_READERS[name](path)])
    if spec.startswith("shards:") or Path(spec).is_dir():
        return open_shards(spec.removeprefix("shards:"))
    raise ValueError(
        f"a data set is given as {':PATH, '.join(_READERS)}:PATH or the path of a folder of shards;"
        f" got {spec!r}"
    )


def metric_and_synthetic(samples: ConcatDataset[Sample]) -> ConcatDataset[Sample]:
    """Return those of the samples that are both; no picture is decoded."""
    parts = [cast(Frames, part) for part in samples.datasets]
    return ConcatDataset(
        Subset(part, [index for index in range(len(part)) if all(part.flags(index))])
        for part in parts
    )
