"""What a visitor can choose, in metres, and what suits a photo."""

import math
from typing import Literal, NamedTuple

import numpy as np

from demo.tabs.effects.air import Colour, behind_the_foreground
from demo.tabs.effects.lens import SENSOR_M
from demo.tabs.effects.scene import Scene

Effect = Literal["refocus", "move", "sway", "stereo", "fog", "cut"]
Kind = Literal["anaglyph", "side-by-side"]

_GAP = 0.12  # of the photo's width: how far the nearest things move at most
_NO_DEPTH = 1.0, 3.0, 10.0  # metres, for a photo of nothing but sky


class Choices(NamedTuple):
    """Values of the controls, in their order; lengths in metres."""

    effect: Effect
    right_m: float
    up_m: float
    forward_m: float
    dolly: bool
    distance_m: float
    f_number: float
    sway_m: float
    film: Literal["mp4", "gif"]
    eyes_mm: float
    kind: Kind
    visibility_m: float
    colour: str
    near_m: float
    far_m: float
    softness: float
    """Percent of the depth."""


class Limits(NamedTuple):
    """The range of a slider, and where it starts, in metres."""

    least: float
    most: float
    value: float


def limits_for(scene: Scene) -> dict[str, Limits]:
    """Return the range of each length among the choices, by its name."""
    near, middle, far = depths(scene)
    least = max(0.8 * near, 1.2 * scene.f_px / max(scene.inverse.shape) * SENSOR_M)
    most = max(1.5 * least, min(1.1 * far, 20 * least))
    step = _GAP * scene.rgb.shape[1] / scene.f_px * near
    subject = min(max(_percentile(scene, 80), 1.05 * least), 0.95 * most)
    cut = min(max(behind_the_foreground(scene), 1.05 * least), 0.95 * most)
    return {
        "distance_m": Limits(least, most, subject),
        "right_m": Limits(-step, step, step / 3),
        "up_m": Limits(-step, step, 0.0),
        "forward_m": Limits(-near, 0.4 * near, 0.0),
        "sway_m": Limits(0.0, step / 2, step / 6),
        "visibility_m": Limits(near, max(20 * near, 6 * middle), 4 * middle),
        "near_m": Limits(0.0, most, 0.0),
        "far_m": Limits(0.0, most, cut),
    }


def depths(scene: Scene) -> tuple[float, float, float]:
    """Return depth in metres that 1, 50 and 99 percent of the photo lie before, without sky."""
    if not (scene.inverse > 0).any():
        return _NO_DEPTH
    near, middle, far = (_percentile(scene, share) for share in (99, 50, 1))
    return near, middle, far


def _percentile(scene: Scene, share: float) -> float:
    """Return the depth at a percentile of inverse depth, without sky."""
    sample = scene.inverse[::4, ::4]
    solid = sample[sample > 0]
    return 1 / float(np.percentile(solid, share)) if solid.size else _NO_DEPTH[1]


def colour_of(text: str) -> Colour:
    """Return the colour of a picker: "#rrggbb", "rgb(r, g, b)" or "rgba(r, g, b, a)".

    Raises:
        ValueError: If it is none of them.
    """
    try:
        if text.startswith("#"):
            values = [int(text[i : i + 2], 16) for i in (1, 3, 5)]
        else:
            values = [float(v) for v in text.partition("(")[2].rstrip(")").split(",")[:3]]
        red, green, blue = (min(255, max(0, round(value))) for value in values)
    except (ValueError, OverflowError, AttributeError):
        raise ValueError(f"Expected a colour such as #c8d0d8; got {str(text)[:30]!r}.") from None
    return red, green, blue


def rounded(limits: Limits, size_m: float) -> tuple[float, float, float, float]:
    """Return least, most, value and step in a unit of `size_m`, with few digits."""
    span = (limits.most - limits.least) / size_m
    places = 2 - math.floor(math.log10(span))
    step = 10.0**-places
    least, most = (round(end / size_m, places - 1) for end in limits[:2])
    return least, max(most, least + 10 * step), round(limits.value / size_m, places), step
