"""From a seed to samples: a family, a scene of it, cameras that look at it."""

from collections.abc import Iterator

import numpy as np
from numpy.random import Generator

from depthpro.data.sample import Sample
from depthpro.geometry import focal_from_fov
from depthpro.scenes.camera import expose, pick_shot
from depthpro.scenes.closeups import close_up
from depthpro.scenes.engine import Engine, GpuScene, View
from depthpro.scenes.mesh import unit
from depthpro.scenes.nature import nature
from depthpro.scenes.objects import objects
from depthpro.scenes.rooms import room
from depthpro.scenes.streets import street
from depthpro.scenes.tabletops import tabletop
from depthpro.scenes.thing import Scene, by_material

VIEWS = 3  # samples of one scene, each from another place with another lens

FAMILIES = {
    "room": 0.29,
    "street": 0.17,
    "nature": 0.15,
    "objects": 0.1,
    "close-up": 0.12,
    "tabletop": 0.17,
}
"""Share of each family among all scenes."""

ASPECTS = {1.0: 0.1, 4 / 3: 0.25, 3 / 2: 0.2, 16 / 9: 0.1, 3 / 4: 0.2, 2 / 3: 0.1, 9 / 16: 0.05}
"""Share of each format, width over height, among all pictures."""


def make_scene(rng: Generator, family: str) -> Scene:
    """Return a scene of the family.

    Raises:
        ValueError: If there is no such family.
    """
    if family not in FAMILIES:
        raise ValueError(f"family must be one of {', '.join(FAMILIES)}, got {family!r}")
    makers = dict(zip(FAMILIES, (room, street, nature, objects, close_up, tabletop), strict=True))
    return makers[family](rng)


def pick_view(rng: Generator, scene: Scene) -> View:
    """Return a camera: lenses of 14 to 80 mm, level as people hold them, any usual format.

    The focal length is that on 35 mm film whose long side is the picture's. A network that is
    unsure answers with the spread of these lenses, so it is that of photos: half of them lie
    between 23 and 36 mm, and crops in training narrow the view of the others further.
    """
    aspect = float(rng.choice(list(ASPECTS), p=list(ASPECTS.values())))
    lens_mm = np.clip(np.exp(rng.normal(np.log(28.5), 0.35)), 14, 80)
    fov_deg = 2 * np.degrees(np.arctan(18 * min(aspect, 1) / lens_mm))
    at = scene.eye + rng.uniform(-1, 1, 3) * scene.spread
    towards = unit(scene.targets[rng.integers(len(scene.targets))] - at)
    return View(at, towards, float(rng.normal(0, 0.03)), float(fov_deg), aspect)


def render_scene(
    engine: Engine, seed: int, number: int, family: str | None = None, views: int = VIEWS
) -> Iterator[Sample]:
    """Yield the samples of one scene, at the engine's size.

    Geometry, textures, light, cameras and depth follow from the arguments alone. Colour follows
    from them and from how many pictures the engine has taken before, since the renderer dithers.

    The family is drawn by its share if it is not given.

    Raises:
        ValueError: If there is no such family.
    """
    rng = np.random.default_rng([seed, number])
    family = family or str(rng.choice(list(FAMILIES), p=list(FAMILIES.values())))
    scene = make_scene(rng, family)
    with engine.load(by_material(scene.thing, scene.eye), scene.light) as gpu_scene:
        for view in range(views):
            key = (seed, number, view)
            yield _take(gpu_scene, np.random.default_rng(key), scene, family, key)


def _take(
    gpu_scene: GpuScene, rng: Generator, scene: Scene, family: str, key: tuple[int, ...]
) -> Sample:
    """Return a sample: the first view not in a wall or a bush, nor of sky alone, or the eighth."""
    view = pick_view(rng, scene)
    depth = gpu_scene.depth(view)
    for _ in range(7):
        seen = depth[::4, ::4]
        if np.quantile(seen, 0.02, method="nearest") > 0.15 and np.isfinite(seen).mean() > 0.3:
            break
        view = pick_view(rng, scene)
        depth = gpu_scene.depth(view)
    rgb, size = gpu_scene.colour(view), len(depth)
    f_px, middle = focal_from_fov(view.fov_deg, size), (size - 1) / 2
    return Sample(
        rgb=expose(rng, rgb, depth, pick_shot(rng, rgb, depth)),
        depth=depth,
        f_px=f_px,
        fy_px=f_px * view.aspect,
        cx_px=middle,
        cy_px=middle,
        metric=family != "objects",  # they have no size that a picture could show
        family=family,
        seed=key,
    )
