"""What is said below the views in 3D, as HTML."""

import html

import numpy as np

from demo.tabs.view3d.plan import ROOF_M
from demo.tabs.view3d.space import Parts, Space, grid, scale_bar
from demo.units import Units, length


def space_note(space: Space, parts: Parts, units: Units = "m") -> str:
    """Return what is known about the ground, and how long the grid's cells and the bar are."""
    said, ground = [], space.search.ground
    if parts.grid and ground is not None:
        said.append(f"Grid: {length(grid(space, units)[1], units)}.")
    if parts.scale_bar:
        left, right = scale_bar(space, units)
        said.append(f"Scale bar: {length(float(np.linalg.norm(right - left)), units)}.")
    return f'<p class="hint">{" ".join([*said, _ground(space, units)])}</p>'


def map_note(space: Space, units: Units = "m") -> str:
    """Return what is known about the ground, and what the map leaves out."""
    cut = f"What is more than {length(ROOF_M, units)} above the camera is cut away."
    return f'<p class="hint">{cut} {_ground(space, units)}</p>'


def _ground(space: Space, units: Units = "m") -> str:
    ground = space.search.ground
    if ground is None:
        return f"No ground was found, so nothing is levelled. {html.escape(space.search.reason)}"
    pitch = ground.pitch_deg
    way = "level" if abs(pitch) < 0.5 else f"{abs(pitch):.0f}° {'down' if pitch > 0 else 'up'}"
    return (
        f"The camera is {length(ground.camera_height_m, units)} above the ground and looks {way}; "
        f"{ground.inlier_share:.0%} of the photo lies on the ground."
    )
