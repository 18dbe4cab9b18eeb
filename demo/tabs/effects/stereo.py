"""Pictures for two eyes, and for one that sways."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from demo.tabs.effects.scene import Scene
from demo.tabs.effects.views import Camera, layers_for, whole_view

EYES_MM = 1.0, 1000.0
"""Smallest and largest distance between the eyes."""
FPS = 15
FRAMES = 24
"""Of one sway."""
_MOST_RIM = 0.04  # of the width, cut off on each side


class Disparity(NamedTuple):
    """How far apart the eyes' pictures are, as shares of the photo's width."""

    nearest: float
    """Positive: before the screen."""
    farthest: float


def eyes(
    scene: Scene, eyes_mm: float = 63.0, screen_m: float = math.inf
) -> tuple[UInt8[ndarray, "h w 3"], UInt8[ndarray, "h w 3"]]:
    """Return what a left and a right eye see, each moved by half of their distance.

    Something at Z is `f_px · eyes · (1/Z - 1/screen)` pixels farther right in the left picture:
    things at `screen_m` lie on the screen, nearer ones before it.

    Raises:
        ValueError: If a distance is out of range.
    """
    left, right = (_eye(scene, side * _eyes_m(eyes_mm) / 2, screen_m) for side in (-1, 1))
    layers = layers_for(scene, left, right)
    return whole_view(layers, left), whole_view(layers, right)


def anaglyph(
    left: UInt8[ndarray, "h w 3"], right: UInt8[ndarray, "h w 3"]
) -> UInt8[ndarray, "h w 3"]:
    """Return a picture for glasses that are red on the left and cyan on the right."""
    return np.concatenate([left[..., :1], right[..., 1:]], axis=2)


def side_by_side(
    left: UInt8[ndarray, "h w 3"], right: UInt8[ndarray, "h w 3"]
) -> UInt8[ndarray, "h w2 3"]:
    """Return both pictures beside each other, the left eye's on the left."""
    return np.concatenate([left, right], axis=1)


def disparity(scene: Scene, eyes_mm: float, screen_m: float) -> Disparity:
    """Return how far the pictures of the nearest and the farthest percent lie apart."""
    far, near = np.percentile(scene.inverse[::4, ::4], (1, 99))
    pixels = scene.f_px * _eyes_m(eyes_mm)
    ends = (float(pixels * (end - 1 / screen_m)) / scene.rgb.shape[1] for end in (near, far))
    return Disparity(*ends)


def sway(scene: Scene, reach_m: float, still_m: float) -> list[UInt8[ndarray, "h w 3"]]:
    """Return the frames of one sway, `reach_m` to the left and the right; one depth stands still.

    They are enlarged a little, so that the rim of the photo stays outside.

    Raises:
        ValueError: If a distance is out of range.
    """
    steps = np.round(np.sin(2 * np.pi * np.arange(FRAMES) / FRAMES), 6).tolist()
    ends = np.percentile(scene.inverse[::4, ::4], (2, 98)) - 1 / still_m
    rim = min(_MOST_RIM, scene.f_px * abs(reach_m) * float(np.abs(ends).max()) / scene.rgb.shape[1])
    eyes = {step: _eye(scene, step * reach_m, still_m) for step in steps}
    zoom = 1 / (1 - 2 * rim)
    cameras = {k: e._replace(zoom=zoom, shift_px=zoom * e.shift_px) for k, e in eyes.items()}
    layers = layers_for(scene, *cameras.values())
    # There and back are the same.
    views = {step: whole_view(layers, camera) for step, camera in cameras.items()}
    return [views[step] for step in steps]


def _eye(scene: Scene, right_m: float, screen_m: float) -> Camera:
    if not screen_m > 0:
        raise ValueError(f"Expected a distance of the screen above 0 m; got {screen_m}.")
    return Camera((right_m, 0.0, 0.0), shift_px=scene.f_px * right_m / screen_m)


def _eyes_m(eyes_mm: float) -> float:
    least, most = EYES_MM
    if not least <= eyes_mm <= most:
        raise ValueError(
            f"Expected a distance of the eyes of {least:.0f} to {most:.0f} mm; got {eyes_mm}."
        )
    return eyes_mm / 1000
