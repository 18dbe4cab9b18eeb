"""The photo from another place: every pixel is moved by its depth, and gaps are filled."""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from torch import Tensor

from demo.tabs.effects.behind import fill, look_behind
from demo.tabs.effects.scene import Scene

_EDGE_PX = 0.75  # neighbours that move apart by more leave a gap
_REACH = 0.15  # of the longer side: gaps are at most this wide
_LEAST_AHEAD = 0.05  # share of a pixel's depth that must remain before the moved camera
_LEAST = 0.02  # share of a pixel from which something is seen
_SHARES = 0.2, _LEAST  # of a pixel that something must cover to be in front; less if nothing does
_STEEP = 1.6  # how fast something becomes solid as it covers more than half of a pixel
_FRACTIONS = 64  # places within a pixel that are told apart
_SAME = 0.92  # of inverse depth: farther things in the same pixel are hidden


class Camera(NamedTuple):
    """Where a picture is taken from, in the frame of the photo's camera."""

    move_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """To the right, down and forward, in metres."""
    turn: ndarray | None = None
    """Its axes as columns of a rotation matrix; None looks as the photo's camera does."""
    zoom: float = 1.0
    """Its focal length, divided by that of the photo's camera."""
    shift_px: float = 0.0
    """Pixels by which the picture is shifted to the right, as a shifted lens does."""


class View(NamedTuple):
    """A picture from another place."""

    rgb: UInt8[ndarray, "h w 3"]
    known: Bool[ndarray, "h w"]
    """Where the photo shows what is there."""


class Pixels(NamedTuple):
    """Pixels of a photo as rays."""

    ray_x: Float[ndarray, " n"]
    ray_y: Float[ndarray, " n"]
    """Direction, with z = 1."""
    inverse: Float[ndarray, " n"]
    rgb: Float[Tensor, "3 n"]
    f_px: float
    size: tuple[int, int]
    """Rows and columns."""


class Cover(NamedTuple):
    """Colours of a view, and which share of each pixel they cover."""

    rgb: Float[ndarray, "h w 3"]
    share: Float[ndarray, "h w"]
    """More than 1 where a surface is pressed together."""


class Layers(NamedTuple):
    """The pixels of a photo, and what may be behind some of them."""

    photo: Pixels
    behind: Pixels | None


def dolly_zoom(forward_m: float, keep_m: float) -> Camera:
    """Return a camera that moves forward and zooms so that one depth keeps its size.

    Raises:
        ValueError: If it would reach that depth.
    """
    if not forward_m < (1 - _LEAST_AHEAD) * keep_m:
        raise ValueError(
            f"Expected a step shorter than the {keep_m:g} m to what keeps its size; got "
            f"{forward_m:g} m."
        )
    return Camera((0.0, 0.0, forward_m), zoom=(keep_m - forward_m) / keep_m)


def seen_from(scene: Scene, camera: Camera) -> View:
    """Return what the photo shows of a view; pixels with NaN in place of depth show nothing."""
    front, beyond = _splat(_pixels(scene), camera)
    seen = _over(front, beyond)
    return View(np.round(seen.rgb).astype(np.uint8), seen.share >= _LEAST)


def moved(scene: Scene, camera: Camera) -> UInt8[ndarray, "h w 3"]:
    """Return the view of a camera, with what it uncovers filled from behind."""
    return whole_view(layers_for(scene, camera), camera)


def layers_for(scene: Scene, *cameras: Camera) -> Layers:
    """Return the pixels of a photo, and all that these cameras may uncover behind them."""
    photo = _pixels(scene)
    speed = max(_speed(scene, camera) for camera in cameras)
    if not speed:
        return Layers(photo, None)
    most = _REACH * max(scene.inverse.shape)
    behind = look_behind(scene.rgb, scene.inverse * np.float32(speed), _EDGE_PX, most)
    if not behind.hidden.any():
        return Layers(photo, None)
    uncovered = Scene(behind.rgb, behind.place / np.float32(speed), scene.f_px)
    return Layers(_pixels(scene, ~behind.rim), _pixels(uncovered, behind.hidden | behind.rim))


def whole_view(layers: Layers, camera: Camera) -> UInt8[ndarray, "h w 3"]:
    """Return the view of a camera; what no pixel shows is made up from the nearest ones."""
    front, beyond = _splat(layers.photo, camera)
    if layers.behind is not None:
        behind = _splat(layers.behind, camera)[0]
        missing = beyond.share < _LEAST
        rgb = np.where(missing[..., None], behind.rgb, beyond.rgb)
        beyond = Cover(rgb, np.where(missing, behind.share, beyond.share))
    rgb, share = _over(front, beyond)
    known = share >= _LEAST
    return np.round(rgb if known.all() else fill(rgb, known)).astype(np.uint8)


def _speed(scene: Scene, camera: Camera) -> float:
    """Return how many pixels the view moves at most for each 1/m of inverse depth."""
    right, down, forward = camera.move_m
    ahead = abs(forward) * math.hypot(*scene.inverse.shape) / 2
    return camera.zoom * (scene.f_px * math.hypot(right, down) + ahead)


def _pixels(scene: Scene, chosen: Bool[ndarray, "h w"] | None = None) -> Pixels:
    rows, columns = scene.inverse.shape
    x = ((np.arange(columns) - (columns - 1) / 2) / scene.f_px).astype(np.float32)
    y = ((np.arange(rows) - (rows - 1) / 2) / scene.f_px).astype(np.float32)
    parts = [np.broadcast_to(x, (rows, columns)), np.broadcast_to(y[:, None], (rows, columns))]
    parts.append(scene.inverse)
    rgb = scene.rgb.reshape(-1, 3) if chosen is None else scene.rgb[chosen]
    x, y, inverse = (part.ravel() if chosen is None else part[chosen] for part in parts)
    colours = torch.from_numpy(np.ascontiguousarray(rgb.T)).float()
    return Pixels(x, y, inverse, colours, scene.f_px, (rows, columns))


def _splat(pixels: Pixels, camera: Camera) -> tuple[Cover, Cover]:
    """Return what is in front in each pixel of the view, and what is beyond its rim.

    Each pixel of the photo is spread over the four around its new place.
    """
    rows, columns = pixels.size
    x, y, nearness, area = _project(pixels, camera)
    last = 1 - 1 / _FRACTIONS
    # Outside of the picture, and behind the camera, where nearness is NaN.
    inside = (x > -1) & (x < columns - 1 + last) & (y > -1) & (y < rows - 1 + last)
    inside &= ~np.isnan(nearness)
    rgb = pixels.rgb
    if not inside.all():
        x, y, nearness, area = x[inside], y[inside], nearness[inside], area[inside]
        rgb = rgb[:, torch.from_numpy(inside)]
    taps = _taps(x, y, rows, columns)
    nearest = np.full((rows + 2) * (columns + 2), -1, np.float32)
    for least in _SHARES:
        covered = nearest >= 0
        for place, share in taps:
            chosen = (share >= least) & ~covered[place]
            np.maximum.at(nearest, place[chosen], nearness[chosen])
    totals = torch.zeros(2, 4, nearest.size)
    for place, share in taps:
        # Of one surface with the nearest thing there; rounding moves even the sky a little.
        front = nearness >= _SAME * nearest[place] - 1e-6
        weight = share * area
        _add(totals[0], place, np.where(front, weight, 0), rgb)
        others = np.flatnonzero(~front & (share > 0))
        _add(totals[1], place[others], weight[others], rgb[:, torch.from_numpy(others)])
    totals = totals.reshape(2, 4, rows + 2, columns + 2)[..., 1:-1, 1:-1]
    means = (totals[:, :3] / totals[:, 3:].clamp(min=1e-6)).permute(0, 2, 3, 1).numpy()
    return Cover(means[0], totals[0, 3].numpy()), Cover(means[1], totals[1, 3].numpy())


def _add(total: Float[Tensor, "4 n"], place: ndarray, weight: ndarray, rgb: Tensor) -> None:
    """Add weighted colours, and weights, to places."""
    places, weights = torch.from_numpy(place), torch.from_numpy(weight)
    for channel in range(3):
        total[channel].scatter_add_(0, places, weights * rgb[channel])
    total[3].scatter_add_(0, places, weights)


def _over(front: Cover, beyond: Cover) -> Cover:
    """Lay what is in front over what is beyond its rim, where there is something."""
    # Half covered is half seen; surfaces that are stretched a little are still whole.
    solid = np.clip(_STEEP * (front.share - 0.5) + 0.5, 0, 1)
    solid = np.where(beyond.share < _LEAST, front.share >= _LEAST, solid)[..., None]
    rgb = beyond.rgb + solid.astype(np.float32) * (front.rgb - beyond.rgb)
    return Cover(rgb, np.maximum(front.share, beyond.share))


def _project(pixels: Pixels, camera: Camera) -> tuple[ndarray, ndarray, ndarray, ndarray]:
    """Return column, row and inverse depth of pixels in another camera, and what each covers."""
    rows, columns = pixels.size
    x, y, inverse = pixels.ray_x, pixels.ray_y, pixels.inverse
    right, down, forward = (np.float32(step) for step in camera.move_m)
    # A point is ray / inverse; multiplied by its inverse depth it stays finite for the sky.
    x, y, z = x - right * inverse, y - down * inverse, 1 - forward * inverse
    if camera.turn is not None:
        turn = camera.turn.astype(np.float32)
        x, y, z = (x * turn[0, i] + y * turn[1, i] + z * turn[2, i] for i in range(3))
    z = np.where(z > _LEAST_AHEAD, z, np.float32(np.nan))
    scale = np.float32(camera.zoom * pixels.f_px) / z
    column = x * scale + np.float32((columns - 1) / 2 + camera.shift_px)
    row = y * scale + np.float32((rows - 1) / 2)
    return column, row, inverse / z, (np.float32(camera.zoom) / z) ** 2


def _taps(x: ndarray, y: ndarray, rows: int, columns: int) -> list[tuple[ndarray, ndarray]]:
    """Return number and share of the pixels around each place, in a picture with a margin of 1."""
    # Moves along the rows keep them; float32 must not spread them over two.
    x, y = np.round(x * _FRACTIONS) / _FRACTIONS, np.round(y * _FRACTIONS) / _FRACTIONS
    left, top = np.floor(x), np.floor(y)
    across, down = x - left, y - top
    first = (top.astype(np.int64) + 1) * (columns + 2) + left.astype(np.int64) + 1
    taps = [
        (first, (1 - across) * (1 - down)),
        (first + 1, across * (1 - down)),
        (first + columns + 2, (1 - across) * down),
        (first + columns + 3, across * down),
    ]
    return [(place, share) for place, share in taps if share.any()]
