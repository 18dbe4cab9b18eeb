"""Procedural scenes: RGB, metric depth and field of view, for anyone to train on.

    seed → `families` (what is there) → `engine` (colour and exact depth) → `camera` (what a camera
    does to colour) → `Sample` → `shards` (files)

`render_scene` makes samples in this process; `python -m depthpro render` fills a folder with shards;
`Shard` reads them. Rendering needs the `scenes` extra and Vulkan; reading does not.
"""

from depthpro.scenes.sample import Sample, render_scene
from depthpro.scenes.shards import Shard, read_shards, write_shard

__all__ = ["Sample", "Shard", "read_shards", "render_scene", "write_shard"]
