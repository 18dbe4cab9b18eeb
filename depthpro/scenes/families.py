"""The five families, how often each is drawn, and the cameras that look at them."""

from collections.abc import Callable

import numpy as np

from depthpro.scenes.engine import View
from depthpro.scenes.mesh import unit
from depthpro.scenes.open_air import nature, street
from depthpro.scenes.rooms import room
from depthpro.scenes.setting import Setting
from depthpro.scenes.studies import close_up, objects

FAMILIES: dict[str, float] = {
    "room": 0.34,
    "street": 0.2,
    "nature": 0.18,
    "objects": 0.12,
    "close-up": 0.16,
}
"""Share of each family among all scenes."""

_MAKERS: dict[str, Callable[[np.random.Generator], Setting]] = {
    "room": room, "street": street, "nature": nature, "objects": objects,
}  # fmt: skip

ASPECTS = (1.0, 4 / 3, 3 / 2, 16 / 9, 3 / 4, 2 / 3, 9 / 16)
ASPECT_SHARES = (0.1, 0.25, 0.2, 0.1, 0.2, 0.1, 0.05)


def make_setting(rng: np.random.Generator, family: str) -> Setting:
    """Return a scene of the family.

    Raises:
        ValueError: If there is no such family.
    """
    if family not in FAMILIES:
        raise ValueError(f"family must be one of {', '.join(FAMILIES)}, got {family!r}")
    if family == "close-up":
        behind = str(rng.choice(["room", "street", "nature"], p=[0.4, 0.25, 0.35]))
        return close_up(rng, _MAKERS[behind])
    return _MAKERS[family](rng)


def pick_family(rng: np.random.Generator) -> str:
    """Return a family, drawn by its share."""
    return str(rng.choice(list(FAMILIES), p=list(FAMILIES.values())))


def pick_view(rng: np.random.Generator, setting: Setting) -> View:
    """Return a camera: lenses from wide to long, level as people hold them, any usual format.

    The field of view is that of a 14 to 80 mm lens on 35 mm film whose long side is the picture's,
    and 25 to 110 degrees across.
    """
    aspect = float(rng.choice(ASPECTS, p=ASPECT_SHARES))
    lens_mm = np.exp(rng.normal(np.log(28), 0.36))
    half_mm = 18.0 if aspect >= 1 else 18.0 * aspect
    fov_deg = np.clip(2 * np.degrees(np.arctan(half_mm / lens_mm)), 25, 110)
    at = setting.at + rng.uniform(-1, 1, 3) * setting.spread
    towards = unit(setting.targets[rng.integers(len(setting.targets))] - at)
    return View(at, towards, float(rng.normal(0, 0.03)), float(fov_deg), aspect)
