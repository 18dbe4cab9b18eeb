"""A room whose lengths are known: floor, wall, and a panel of 1 m by 0.5 m that stands free."""

import math

import numpy as np
from flat_scenes import analysis_of, predict

from demo.pipeline import Analysis

SIDE = 256
F_PX = 256.0
FLOOR_M, WALL_M, PANEL_M = 1.5, 8.0, 2.0
PANEL = (-0.5, 0.5, -0.3, 0.2)
"""Left, right, top and bottom of the panel, metres from the optical axis."""


def up_of(pitch_deg: float, roll_deg: float = 0.0) -> np.ndarray:
    """Return the ground's up in the frame of a camera that looks down by the pitch."""
    pitch, roll = math.radians(pitch_deg), math.radians(roll_deg)
    # Level: (0, -1, 0). Pitch turns it to -z; roll turns the picture about z.
    level = math.cos(pitch)
    return np.array([level * math.sin(roll), -level * math.cos(roll), -math.sin(pitch)])


def floor_depth(rays: np.ndarray, up: np.ndarray, height_m: float, wall_m: float) -> np.ndarray:
    """Return z of a floor, and of a wall across the view behind it.

    up · (z ray) + height = 0: z = -height / (up · ray) where the ray goes down.
    """
    slope = rays @ up
    with np.errstate(divide="ignore"):
        return np.minimum(np.where(slope < 0, -height_m / slope, np.inf), wall_m)


def room(pitch_deg: float = 0.0, panel: bool = True) -> Analysis:
    """Return a perfect prediction of the room; the panel is red, the rest grey."""

    def on_panel(rays: np.ndarray) -> np.ndarray:
        x, y = PANEL_M * rays[..., 0], PANEL_M * rays[..., 1]
        left, right, top, bottom = PANEL
        return (x > left) & (x < right) & (y > top) & (y < bottom) & panel

    seen = []

    def depth(rays: np.ndarray) -> np.ndarray:
        seen.append(on_panel(rays))
        rest = floor_depth(rays, up_of(pitch_deg), FLOOR_M, WALL_M)
        return np.where(seen[0], PANEL_M, rest)

    prediction = predict(depth, (SIDE, SIDE), F_PX, SIDE)
    rgb = np.where(seen[0][..., None], [200, 30, 30], [90, 90, 90]).astype(np.uint8)
    return analysis_of(prediction, "room", rgb, source="hand")


def sky() -> Analysis:
    """Return a perfect prediction for a photo of nothing but sky."""
    prediction = predict(lambda rays: np.full(rays.shape[:2], np.inf), (64, 48), 60.0, 32)
    return analysis_of(prediction, "sky")
