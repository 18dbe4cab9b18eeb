"""Fog, and things cut out by their depth."""

import math

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from skimage.filters import threshold_otsu

from demo.tabs.effects.scene import Scene, linear_light, srgb

Colour = tuple[int, int, int]

_CONTRAST = -math.log(0.02)  # what is visible has 2 % of its contrast left: 3.912


def fog(scene: Scene, visibility_m: float, colour: Colour) -> UInt8[ndarray, "h w 3"]:
    """Return the photo in fog of a colour, through which dark things are seen to a distance.

    What is at Z keeps exp(-3.912 Z / visibility) of its light, and the sky none; fog makes up for
    the rest. Source: Koschmieder's law.

    Raises:
        ValueError: If the visibility is not positive.
    """
    if not 0 < visibility_m < math.inf:
        raise ValueError(f"Expected a visibility above 0 m; got {visibility_m}.")
    with np.errstate(divide="ignore"):  # the sky
        share = np.exp(np.float32(-_CONTRAST / visibility_m) / scene.inverse)[..., None]
    haze = linear_light(np.array(colour, np.uint8))
    return srgb(haze + share * (linear_light(scene.rgb) - haze))


def coverage(
    scene: Scene, near_m: float, far_m: float, softness: float = 0.05
) -> Float[ndarray, "h w"]:
    """Return which pixels lie between two depths, from 0 to 1.

    At both ends it is one half, and rises within the share `softness` of the depth. Nothing is
    farther than an infinite `far_m`, not even the sky.

    Raises:
        ValueError: If the range is empty or negative.
    """
    if not 0 <= near_m < far_m:
        raise ValueError(
            f"Expected a range of depths from near to far in metres; got {near_m:g} to {far_m:g} m."
        )
    step = max(softness, 1e-3)
    with np.errstate(divide="ignore"):
        beyond_near = -np.log(scene.inverse * np.float32(near_m)) / step
        before_far = np.log(scene.inverse * np.float32(min(far_m, 1e30))) / step
    if far_m == math.inf:
        before_far[:] = 1
    return np.clip(0.5 + np.minimum(beyond_near, before_far), 0, 1)


def cut_out(
    scene: Scene, near_m: float, far_m: float, softness: float = 0.05
) -> UInt8[ndarray, "h w 4"]:
    """Return what lies between two depths, with its `coverage` as alpha."""
    alpha = np.round(255 * coverage(scene, near_m, far_m, softness)).astype(np.uint8)
    return np.dstack([scene.rgb, alpha])


def behind_the_foreground(scene: Scene) -> float:
    """Return the depth in metres that parts what is near from what is far (Otsu's threshold)."""
    sample = scene.inverse[::4, ::4]
    if sample.max() - sample.min() < 1e-6 * sample.max():
        return 2 / float(max(sample.max(), 1e-4))
    return 1 / max(float(threshold_otsu(sample)), 1e-4)
