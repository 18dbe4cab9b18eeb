"""Procedural scenes: RGB, metric depth and field of view, for anyone to train on.

    seed → a family's scene → `engine` (colour and exact depth) → `camera` (noise, blur, exposure)
    → `Sample` → shards

`render_scene` makes samples in this process; `python -m depthpro render` fills a folder with
shards. Rendering needs the `scenes` extra and Vulkan; reading shards does not.
"""

from depthpro.scenes.sample import render_scene

__all__ = ["render_scene"]
