"""How a seed becomes samples."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from depthpro.geometry import focal_from_fov
from depthpro.sample import Sample
from depthpro.scenes.camera import expose, pick_shot
from depthpro.scenes.engine import Engine
from depthpro.scenes.families import make_setting, pick_family, pick_view

VIEWS = 3
"""Samples that are made from one scene, each from another place with another lens."""


def render_scene(
    engine: Engine, seed: int, number: int, family: str | None = None, views: int = VIEWS
) -> Iterator[Sample]:
    """Give the samples of one scene, at the engine's size.

    Geometry, textures, light, cameras and depth follow from the arguments alone. Colour follows
    from them and from how many pictures the engine has taken before, since the renderer dithers.

    Args:
        engine: The renderer.
        seed: The run's seed.
        number: Which scene of the run.
        family: One of `FAMILIES`; drawn by its share if not given.
        views: How many samples.

    Raises:
        ValueError: If there is no such family.
    """
    rng = np.random.default_rng([seed, number])
    family = family or pick_family(rng)
    size = engine.size
    setting = make_setting(rng, family)
    with engine.load(setting.scene, setting.haze_m) as stage:
        for view_number in range(views):
            rng = np.random.default_rng([seed, number, view_number])
            for attempt in range(8):
                view = pick_view(rng, setting)
                depth = stage.depth(view)
                if attempt == 7 or _worth_taking(depth):
                    break
            rgb = stage.colour(view)
            f_px = focal_from_fov(view.fov_deg, size)
            yield Sample(
                rgb=expose(rng, rgb, depth, pick_shot(rng, rgb, depth)),
                depth=depth,
                f_px=f_px,
                fy_px=f_px * view.aspect,
                cx_px=(size - 1) / 2,
                cy_px=(size - 1) / 2,
                family=family,
                seed=(seed, number, view_number),
            )


def _worth_taking(depth: Float[ndarray, "h w"]) -> bool:
    """Return whether the camera is not in a wall or a bush, and sees more than the sky."""
    near = np.quantile(depth[::4, ::4], 0.02, method="nearest")
    return bool(near > 0.2 and np.isfinite(depth[::4, ::4]).mean() > 0.3)
