"""Procedural scenes: RGB, metric depth and field of view, for anyone to train on.

    seed → `families` (what is there) → `engine` (colour and exact depth) → `camera` (what a camera
    does to colour) → `Sample` → `shards` (files)

`render_scene` makes samples in this process; `python -m depthpro render` fills a folder with shards;
`depthpro.shards` reads them. Rendering needs the `scenes` extra and Vulkan; reading does not.
"""

from depthpro.scenes.sample import render_scene

__all__ = ["render_scene"]
