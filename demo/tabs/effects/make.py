"""From what was chosen to the result, and a sentence about it."""

import math
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from demo.pipeline import Analysis
from demo.screen import PREVIEW_SIDE
from demo.tabs.effects import air, lens, stereo
from demo.tabs.effects.choices import Choices, colour_of, depths
from demo.tabs.effects.files import write_film, write_picture
from demo.tabs.effects.scene import Scene, scene_of
from demo.tabs.effects.views import Camera, dolly_zoom, moved
from demo.units import Units, length

FILE_SIDE = 2560
"""Longer side of pictures to keep, in pixels."""
_SWAY_SIDE, _SWAY_FILE_SIDE = 640, 960
_COMFORT = 0.03  # of the width: more disparity tires the eyes

_scenes: WeakKeyDictionary[Analysis, Scene] = WeakKeyDictionary()


def page_scene(analysis: Analysis) -> Scene:
    """Return the photo at the page's size, which is kept as long as the analysis."""
    scene = _scenes.get(analysis)
    if scene is None:
        scene = _scenes[analysis] = scene_of(analysis.rgb, analysis.prediction, PREVIEW_SIDE)
    return scene


def picture(scene: Scene, chosen: Choices) -> UInt8[ndarray, "h w c"]:
    """Return the result of every effect but the sway; with alpha for what is cut out."""
    if chosen.effect == "refocus":
        return lens.refocus(scene, chosen.distance_m, chosen.f_number)
    if chosen.effect == "move":
        return moved(scene, camera_of(chosen))
    if chosen.effect == "stereo":
        pair = stereo.eyes(scene, chosen.eyes_mm, chosen.distance_m)
        join = stereo.anaglyph if chosen.kind == "anaglyph" else stereo.side_by_side
        return join(*pair)
    if chosen.effect == "fog":
        return air.fog(scene, chosen.visibility_m, colour_of(chosen.colour))
    return air.cut_out(scene, chosen.near_m, chosen.far_m, chosen.softness / 100)


def sway(
    analysis: Analysis, chosen: Choices, side: int = _SWAY_SIDE
) -> list[UInt8[ndarray, "h w 3"]]:
    """Return the frames of the sway."""
    scene = scene_of(analysis.rgb, analysis.prediction, side)
    return stereo.sway(scene, chosen.sway_m, chosen.distance_m)


def camera_of(chosen: Choices) -> Camera:
    """Return the moved camera; with the dolly zoom, it keeps the size of what is in focus."""
    zoom = dolly_zoom(chosen.forward_m, chosen.distance_m).zoom if chosen.dolly else 1.0
    return Camera((chosen.right_m, -chosen.up_m, chosen.forward_m), zoom=zoom)


def suffix(chosen: Choices) -> str:
    """Return the suffix of the file that suits the effect."""
    if chosen.effect == "sway":
        return f".{chosen.film}"
    return ".png" if chosen.effect == "cut" else ".jpg"


def write(analysis: Analysis, folder: Path, chosen: Choices) -> Path:
    """Write the result in the format that suits it, finer than in the page."""
    path = folder / f"{analysis.name}_{chosen.effect}{suffix(chosen)}"
    notice = analysis.provenance.notice
    if chosen.effect == "sway":
        write_film(path, sway(analysis, chosen, _SWAY_FILE_SIDE), notice)
    else:
        scene = scene_of(analysis.rgb, analysis.prediction, FILE_SIDE)
        write_picture(path, picture(scene, chosen), notice)
    return path


def sentence(scene: Scene, chosen: Choices, units: Units) -> str:
    """Return what the numbers of the result mean."""
    distance = length(chosen.distance_m, units)
    if chosen.effect == "refocus":
        return _lens_sentence(scene, chosen, units)
    if chosen.effect == "move":
        kept = f" What is {distance} away keeps its size." if chosen.dolly else ""
        return f"What the photo never saw is filled from behind, never from in front.{kept}"
    if chosen.effect == "sway":
        reach = length(chosen.sway_m, units)
        return f"The camera sways {reach} to each side; what is {distance} away stands still."
    if chosen.effect == "stereo":
        return _stereo_sentence(scene, chosen, units)
    if chosen.effect == "fog":
        middle = depths(scene)[1]
        left = math.exp(-math.log(50) * middle / chosen.visibility_m)
        seen = length(chosen.visibility_m, units)
        return (
            f"One can see {seen} far: there things keep 2% of their contrast, and "
            f"{left:.0%} at {length(middle, units)}, the middle depth of this photo."
        )
    share = float(air.coverage(scene, chosen.near_m, chosen.far_m, chosen.softness / 100).mean())
    end = "without end" if math.isinf(chosen.far_m) else f"to {length(chosen.far_m, units)}"
    start = length(chosen.near_m, units) if chosen.near_m else "the camera"
    return f"{share:.0%} of the photo stays: from {start} {end}."


def _lens_sentence(scene: Scene, chosen: Choices, units: Units) -> str:
    focus = lens.focus_of(scene, chosen.distance_m, chosen.f_number)
    far = "to the horizon" if math.isinf(focus.sharp_to_m) else length(focus.sharp_to_m, units)
    far = far if math.isinf(focus.sharp_to_m) else f"to {far}"
    return (
        f"A full-frame camera with {focus.lens_mm:.0f} mm at f/{chosen.f_number:g}: sharp from "
        f"{length(focus.sharp_from_m, units)} {far}. Far lights become discs, "
        f"{focus.far_px / scene.rgb.shape[1]:.1%} of the photo wide."
    )


def _stereo_sentence(scene: Scene, chosen: Choices, units: Units) -> str:
    near, far = stereo.disparity(scene, chosen.eyes_mm, chosen.distance_m)
    most = float(np.abs([near, far]).max())
    advice = " More than 3% tires the eyes: take them closer." if most > _COMFORT else ""
    scale = 63 / chosen.eyes_mm
    size = "true sizes" if abs(scale - 1) < 0.02 else f"a model at {scale:.2g} times its size"
    return (
        f"Eyes {chosen.eyes_mm:.0f} mm apart see {size}. What is "
        f"{length(chosen.distance_m, units)} away lies on the screen; the two pictures differ by "
        f"{most:.1%} of the width at most.{advice}"
    )
