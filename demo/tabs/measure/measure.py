"""Points of a photo in 3D, and lengths, heights, angles and areas between them, each with its ±.

A point's depth is the median of a 5 x 5 window of the network's map, centred on the point: exact on
a plane, whose inverse depth is linear across the photo. Its depth is
uncertain by the 16th and 84th percentile of the window, and in quadrature by the error of points
that is stored with the weights. Each point is moved along its ray to both ends, the two changes of
a result are averaged, and independent points add in quadrature; so does the stored error of whole
scenes, which scales all lengths. Weights that store no errors have no ±.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy import ndimage

from demo.ground import Ground
from demo.screen import SKY_M
from demo.units import Unit, length
from depthpro import Prediction
from depthpro import depth_error as errors
from depthpro.depth_error import DepthError

Kind = Literal["distance", "height", "angle", "area"]
What = Literal["from the camera", "distance", "total", "height", "angle", "area", "perimeter"]

MAX_POINTS = 50
REACH = 2
"""Pixels of the network's map from the window's centre to its sides: 5 x 5 in all."""

_POWERS: dict[Unit, int] = {"m": 1, "m²": 2, "°": 0}  # of the scene's scale in a value


@dataclass(frozen=True, eq=False)
class Points3D:
    """Points of a photo and their uncertain depth."""

    width: int
    """Columns of the photo."""
    height: int
    """Rows of the photo."""
    f_px: float
    """Focal length in use, in pixels of the photo."""
    pixels: Float[ndarray, "n 2"]
    """Column and row in the photo; pixel centres at integers."""
    depth_m: Float[ndarray, " n"]
    """Median of the window, along the optical axis; infinite where most of it is sky."""
    near_m: Float[ndarray, " n"]
    """16th percentile of the window."""
    far_m: Float[ndarray, " n"]
    """84th percentile of the window."""
    error: DepthError | None = None
    """Of the weights; None if it is not known."""
    axis: tuple[float, float] | None = None
    """Column and row of the optical axis; None is the middle of the photo."""

    @property
    def rays(self) -> Float[ndarray, "n 3"]:
        """Direction of each point from the camera: x right, y down, z = 1."""
        centre = self.axis or ((self.width - 1) / 2, (self.height - 1) / 2)
        return np.insert((self.pixels - centre) / self.f_px, 2, 1.0, axis=1)

    @property
    def positions(self) -> Float[ndarray, "n 3"]:
        """Metres in the camera frame: x right, y down, z forward."""
        return self.rays * self.depth_m[:, None]

    @property
    def reach(self) -> tuple[Float[ndarray, " n"], Float[ndarray, " n"]]:
        """How far each depth may be off beside the scene's scale, as factors: nearer, farther."""
        point = self.error.point if self.error else 0.0
        near, far = self.near_m / self.depth_m, self.far_m / self.depth_m
        return np.maximum(1 - np.hypot(1 - near, point), 0), 1 + np.hypot(far - 1, point)

    @property
    def depth_plus_minus_m(self) -> Float[ndarray, " n"] | None:
        """± of depth; None if the errors of the weights are not known."""
        if self.error is None:
            return None
        nearer, farther = self.reach
        return self.depth_m * np.hypot((farther - nearer) / 2, self.error.scale)

    @property
    def sky(self) -> Bool[ndarray, " n"]:
        """Points in the sky, which have no position."""
        return np.isinf(self.depth_m)


@dataclass(frozen=True)
class Result:
    """One measured quantity."""

    what: What
    points: tuple[int, ...]
    """Numbers of its points, from 1 on."""
    value: float
    plus_minus: float | None
    """None if the errors of the weights are not known."""
    unit: Unit
    true: float | None = None
    """The true value, where it is known."""


def locate(
    prediction: Prediction,
    points: Sequence[tuple[float, float]],
    error: DepthError | None = None,
) -> Points3D:
    """Return points of the photo, column and row in pixels, in 3D, with the error of the weights.

    Raises:
        ValueError: If a point is not in the photo, or there are more than `MAX_POINTS`.
    """
    width, height = prediction.width, prediction.height
    if len(points) > MAX_POINTS:
        raise ValueError(f"At most {MAX_POINTS} points can be measured; got {len(points)}.")
    for x, y in points:
        if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):  # NaN is not
            raise ValueError(f"Choose points in the photo of {width} × {height}; got ({x}, {y}).")
    pixels = np.array(points, dtype=float).reshape(-1, 2)
    canonical, f_px = prediction.canonical_inverse_depth[0].cpu().numpy(), prediction.f_px.item()
    shares = (pixels + 0.5) / (width, height)
    depths = [_window_depths(canonical, share, f_px / width) for share in shares]
    near, middle, far = np.array(depths).reshape(-1, 3).T
    return Points3D(width, height, f_px, pixels, middle, near, far, error)


def project(points: Points3D, positions: Float[ndarray, "n 3"]) -> Float[ndarray, "n 2"]:
    """Return the pixels of positions in front of the camera, column and row."""
    centre = (points.width - 1) / 2, (points.height - 1) / 2
    return positions[:, :2] / positions[:, 2:] * points.f_px + centre


def window_size(prediction: Prediction) -> tuple[float, float]:
    """Return the columns and rows of the photo that a point's window covers."""
    rows, columns = prediction.canonical_inverse_depth.shape[-2:]
    side = 2 * REACH + 1
    return side * prediction.width / columns, side * prediction.height / rows


def measure(points: Points3D, kind: Kind, ground: Ground | None = None) -> tuple[Result, ...]:
    """Return the results in the order of their points; none where there are too few points.

    A single point has its distance from the camera, two or more have distances, three or more have
    angles and an area. Heights are above the ground, negative below it.

    Raises:
        ValueError: If a point is sky, or the kind is height and there is no ground.
    """
    if points.sky.any():
        raise ValueError(sky_sentence(points))
    every = tuple(range(len(points.pixels)))
    if kind == "height":
        if ground is None:
            raise ValueError("Heights need the ground plane, and none was found in this photo.")
        height_of = ground.height_of
        return _results(points, "height", zip(every), lambda at: float(height_of(at)[0]))
    if kind == "distance":
        if len(every) == 1:
            return _from_camera(points)
        total = [every] if len(every) > 2 else []
        return (
            *_results(points, "distance", itertools.pairwise(every), path_length),
            *_results(points, "total", total, path_length),
        )
    if len(every) < 3:
        return ()
    if kind == "angle":
        triples = zip(every, every[1:], every[2:], strict=False)
        return _results(points, "angle", triples, angle_deg, "°")
    return (
        *_results(points, "area", [every], polygon_area, "m²"),
        *_results(points, "perimeter", [every], _perimeter),
    )


def measure_all(points: Points3D, ground: Ground | None) -> tuple[Result, ...]:
    """Return the results of all kinds, and each point's distance from the camera."""
    distances = measure(points, "distance") if len(points.depth_m) > 1 else ()
    heights = () if ground is None else measure(points, "height", ground)
    others = (*distances, *heights, *measure(points, "angle"), *measure(points, "area"))
    return (*_from_camera(points), *others)


def propagate(
    points: Points3D, numbers: Sequence[int], value: Callable[[ndarray], float]
) -> tuple[float, float]:
    """Return a value and its ±, from the positions of some points (from 0 on) in metres.

    The ± leaves out the error of the whole scene.
    """
    chosen = list(numbers)
    positions = points.positions[chosen]
    nearer, farther = (factors[chosen] for factors in points.reach)
    return value(positions), float(errors.propagate(positions, nearer, farther, value))


def sky_sentence(points: Points3D, first: int = 1) -> str:
    """Return a sentence that names the points in the sky; `first` is the first one's number."""
    numbers = ", ".join(str(n + first) for n in np.flatnonzero(points.sky))
    return (
        f"There is sky at point {numbers}, or something farther than {length(SKY_M)}, which has "
        "no position. Choose a point on something solid."
    )


def path_length(points: Float[ndarray, "n 3"]) -> float:
    """Return the length of a path, in the unit of its points."""
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


def angle_deg(points: Float[ndarray, "3 3"]) -> float:
    """Return the angle at the second of three points, 0 to 180 degrees."""
    one, other = points[0] - points[1], points[2] - points[1]
    return math.degrees(math.atan2(np.linalg.norm(np.cross(one, other)), one @ other))


def polygon_area(points: Float[ndarray, "n 3"]) -> float:
    """Return the area of a closed polygon: the largest that any flat view of it has."""
    arms = points - points[0]
    return float(np.linalg.norm(np.cross(arms[:-1], arms[1:]).sum(axis=0)) / 2)


def crosses_itself(pixels: Float[ndarray, "n 2"]) -> bool:
    """Return whether two sides of the closed polygon cross each other in the photo."""
    sides = list(zip(pixels, np.roll(pixels, -1, axis=0), strict=True))
    return any(
        _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0
        for number, (a, b) in enumerate(sides)
        for c, d in sides[:number]
    )


def _window_depths(
    canonical: Float[ndarray, "s s"], share: Float[ndarray, "2"], scale_m: float
) -> Float[ndarray, "3"]:
    """Return the 16th percentile, median and 84th percentile of depth; infinite for sky.

    The window lies around a share of the map's width and height, and is smaller at its border.
    Depth is `scale_m` over the interpolated map.
    """
    last = len(canonical) - 1
    centre = np.clip(share * len(canonical) - 0.5, 0, last)
    columns, rows = (
        middle + np.arange(-reach, reach + 1)
        for middle in centre
        for reach in [min(REACH, math.floor(min(middle, last - middle)))]
    )
    at = np.meshgrid(rows, columns, indexing="ij")
    samples = ndimage.map_coordinates(canonical, at, output=float, order=1, mode="nearest")
    solid = samples[samples * SKY_M > scale_m]
    if 2 * solid.size <= samples.size:
        return np.full(3, np.inf)
    return np.percentile(scale_m / solid, (16, 50, 84))


def _results(
    points: Points3D,
    what: What,
    groups: Iterable[tuple[int, ...]],
    value: Callable[[ndarray], float],
    unit: Unit = "m",
) -> tuple[Result, ...]:
    """Return one result for each group of points."""
    results = []
    for group in groups:
        middle, by_points = propagate(points, group, value)
        plus_minus = None
        if points.error is not None:
            by_scale = _POWERS[unit] * points.error.scale * abs(middle)
            plus_minus = math.hypot(by_points, by_scale)
        results.append(Result(what, tuple(n + 1 for n in group), middle, plus_minus, unit))
    return tuple(results)


def _from_camera(points: Points3D) -> tuple[Result, ...]:
    each = zip(range(len(points.pixels)))
    return _results(points, "from the camera", each, lambda at: float(np.linalg.norm(at)))


def _perimeter(points: Float[ndarray, "n 3"]) -> float:
    return path_length(np.concatenate([points, points[:1]]))


def _side(a: Float[ndarray, "2"], b: Float[ndarray, "2"], c: Float[ndarray, "2"]) -> float:
    """Return a number whose sign tells the side of the line from a to b where c lies."""
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))
