"""Points of a photo in 3D, and lengths, heights, angles and areas between them, each with its ±.

The depth of a point is the median of a small window of the network's own map, centred on it. A
plane's inverse depth is linear across the photo, so the median of a plane is exact. The window's
16th and 84th percentile say how far the depth may be off: each point is moved along its ray to
the one and to the other, the two changes of a result are averaged, and the points, taken as
independent, add in quadrature. The ± knows nothing of the focal length, of the ground plane, or of
what the network gets wrong as a whole.
"""

import itertools
import math
from collections.abc import Callable, Sequence
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

Kind = Literal["distance", "height", "angle", "area"]
What = Literal[
    "from the camera", "distance", "total", "height", "angle", "area", "perimeter", "uneven by"
]

MAX_POINTS = 50
REACH = 2
"""The window reaches so many pixels of the network's map to each side: 5 x 5 in all."""


@dataclass(frozen=True, eq=False)
class Spots:
    """Points of a photo, and how far away each may lie."""

    width: int
    """Columns of the photo."""
    height: int
    """Rows of the photo."""
    f_px: float
    """Focal length in use, in pixels of the photo."""
    pixels: Float[ndarray, "n 2"]
    """Column and row in the photo; pixel centres at integers."""
    depth_m: Float[ndarray, " n"]
    """Median of the window, along the optical axis; infinite for sky."""
    near_m: Float[ndarray, " n"]
    """16th percentile of the window."""
    far_m: Float[ndarray, " n"]
    """84th percentile of the window."""

    @property
    def rays(self) -> Float[ndarray, "n 3"]:
        """Where each is seen, x right, y down, z = 1."""
        centre = (self.width - 1) / 2, (self.height - 1) / 2
        return np.insert((self.pixels - centre) / self.f_px, 2, 1.0, axis=1)

    @property
    def positions(self) -> Float[ndarray, "n 3"]:
        """Metres in the camera frame: x right, y down, z forward."""
        return self.rays * self.depth_m[:, None]

    @property
    def depth_plus_minus_m(self) -> Float[ndarray, " n"]:
        """Half of the range from the 16th to the 84th percentile of depth."""
        return (self.far_m - self.near_m) / 2

    @property
    def sky(self) -> Bool[ndarray, " n"]:
        """Which have no position: most of the window is sky, or too far to tell."""
        return np.isinf(self.depth_m)


@dataclass(frozen=True)
class Result:
    """One measured quantity."""

    what: What
    points: tuple[int, ...]
    """Numbers of its points, from 1 on."""
    value: float
    plus_minus: float
    """From the spread of depth around the points alone."""
    unit: Unit


def locate(prediction: Prediction, points: Sequence[tuple[float, float]]) -> Spots:
    """Return points of the photo in 3D.

    Args:
        prediction: Of one picture. Only its own map is read, whatever the size of the photo.
        points: Column and row in pixels of the photo; pixel centres at integers.

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
    places = (pixels + 0.5) / (width, height)
    depths = [_depths_about(canonical, place, f_px / width) for place in places]
    near, middle, far = np.array(depths).reshape(-1, 3).T
    return Spots(width, height, f_px, pixels, middle, near, far)


def project(spots: Spots, points: Float[ndarray, "n 3"]) -> Float[ndarray, "n 2"]:
    """Return column and row in the photo of points in front of its camera."""
    centre = (spots.width - 1) / 2, (spots.height - 1) / 2
    return points[:, :2] / points[:, 2:] * spots.f_px + centre


def window_size(prediction: Prediction) -> tuple[float, float]:
    """Return columns and rows of the photo that the window about a point covers."""
    rows, columns = prediction.canonical_inverse_depth.shape[-2:]
    side = 2 * REACH + 1
    return side * prediction.width / columns, side * prediction.height / rows


def measure(spots: Spots, kind: Kind, ground: Ground | None = None) -> tuple[Result, ...]:
    """Return what the points allow, in their order; nothing while they are too few.

    Args:
        spots: The points. Two or more have distances, three or more have angles and an area;
            a single one has its distance from the camera.
        kind: What to measure. The area is that of the polygon, which its last point closes: half
            the length of the sum of cross products, that is the largest area of any flat view
            of it. Its result "uneven by" is the largest distance of a corner from the plane that
            fits the corners best.
        ground: What heights are above. They are negative below it.

    Raises:
        ValueError: If a point is sky, or heights are wanted without a ground.
    """
    if spots.sky.any():
        raise ValueError(sky_sentence(spots))
    count = len(spots.depth_m)
    everything = tuple(range(count))
    if kind == "height":
        return _heights(spots, ground)
    if kind == "distance":
        if count == 1:
            return (_result(spots, "from the camera", (0,), "m", _range),)
        pairs = itertools.pairwise(everything)
        results = [_result(spots, "distance", pair, "m", path_length) for pair in pairs]
        if count > 2:
            results.append(_result(spots, "total", everything, "m", path_length))
        return tuple(results)
    if count < 3:
        return ()
    if kind == "angle":
        triples = zip(everything[:-2], everything[1:-1], everything[2:], strict=True)
        return tuple(_result(spots, "angle", three, "°", angle_deg) for three in triples)
    results = [
        _result(spots, "area", everything, "m²", polygon_area),
        _result(spots, "perimeter", everything, "m", _perimeter),
    ]
    if count > 3:
        results.append(_result(spots, "uneven by", everything, "m", unevenness))
    return tuple(results)


def measure_all(spots: Spots, ground: Ground | None) -> tuple[Result, ...]:
    """Return everything that the points allow, and each point's distance from the camera.

    Raises:
        ValueError: If a point is sky.
    """
    ranges = (
        _result(spots, "from the camera", (n,), "m", _range) for n in range(len(spots.depth_m))
    )
    distances = measure(spots, "distance") if len(spots.depth_m) > 1 else ()
    heights = () if ground is None else measure(spots, "height", ground)
    return (*ranges, *distances, *heights, *measure(spots, "angle"), *measure(spots, "area"))


def sky_sentence(spots: Spots, first: int = 1) -> str:
    """Return which points have no position, and what to do; the first has this number."""
    numbers = ", ".join(str(n + first) for n in np.flatnonzero(spots.sky))
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
    """Return half the length of the sum of cross products about the closed polygon."""
    arms = points - points[0]
    return float(np.linalg.norm(np.cross(arms[:-1], arms[1:]).sum(axis=0)) / 2)


def unevenness(points: Float[ndarray, "n 3"]) -> float:
    """Return the largest distance of a point from the plane that fits them best."""
    centred = points - points.mean(axis=0)
    normal = np.linalg.svd(centred)[2][-1]
    return float(np.abs(centred @ normal).max())


def crosses_itself(pixels: Float[ndarray, "n 2"]) -> bool:
    """Return whether two sides of the closed polygon cross each other in the photo."""
    sides = list(zip(pixels, np.roll(pixels, -1, axis=0), strict=True))
    return any(
        _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0
        for number, (a, b) in enumerate(sides)
        for c, d in sides[:number]
    )


def _depths_about(
    canonical: Float[ndarray, "s s"], place: Float[ndarray, "2"], scale_m: float
) -> tuple[float, float, float]:
    """Return the 16th percentile, median and 84th percentile about a place; infinite for sky.

    Args:
        canonical: The network's map, which is what is interpolated, as in `Prediction.depth`.
        place: Share of the width and of the height, from 0 to 1.
        scale_m: Depth times the map.
    """
    columns, rows = (
        _steps(share * size - 0.5, size)
        for share, size in zip(place, canonical.shape[::-1], strict=True)
    )
    top, left = int(rows[0]), int(columns[0])
    box = canonical[top : int(rows[-1]) + 2, left : int(columns[-1]) + 2].astype(float)
    at = np.meshgrid(rows - top, columns - left, indexing="ij")
    samples = ndimage.map_coordinates(box, at, order=1, mode="nearest")
    solid = samples[samples * SKY_M > scale_m]
    if 2 * solid.size <= samples.size:
        return math.inf, math.inf, math.inf
    near, middle, far = (float(depth) for depth in np.percentile(scale_m / solid, (16, 50, 84)))
    return near, middle, far


def _steps(centre: float, size: int) -> Float[ndarray, " k"]:
    """Return places about the centre, as many before it as after it, within the map."""
    centre = min(max(centre, 0.0), size - 1.0)
    reach = min(REACH, math.floor(min(centre, size - 1 - centre)))
    return centre + np.arange(-reach, reach + 1)


def _heights(spots: Spots, ground: Ground | None) -> tuple[Result, ...]:
    if ground is None:
        raise ValueError("Heights need the ground plane, and none was found in this photo.")

    def height_m(points: Float[ndarray, "1 3"]) -> float:
        return float(ground.height_of(points)[0])

    return tuple(
        _result(spots, "height", (number,), "m", height_m) for number in range(len(spots.depth_m))
    )


def _result(
    spots: Spots,
    what: What,
    numbers: tuple[int, ...],
    unit: Unit,
    value: Callable[[ndarray], float],
) -> Result:
    """Return a quantity of some of the points, with its ±."""
    chosen = list(numbers)
    positions, rays = spots.positions[chosen], spots.rays[chosen]
    middle, squares = value(positions), 0.0
    for index, number in enumerate(chosen):
        change = 0.0
        for end in (spots.near_m[number], spots.far_m[number]):
            moved = positions.copy()
            moved[index] = rays[index] * end
            change += abs(value(moved) - middle) / 2
        squares += change**2
    return Result(what, tuple(n + 1 for n in numbers), middle, math.sqrt(squares), unit)


def _range(points: Float[ndarray, "1 3"]) -> float:
    return float(np.linalg.norm(points[0]))


def _perimeter(points: Float[ndarray, "n 3"]) -> float:
    return path_length(np.concatenate([points, points[:1]]))


def _side(a: Float[ndarray, "2"], b: Float[ndarray, "2"], c: Float[ndarray, "2"]) -> float:
    """Return on which side of the line from a to b the point c lies, by its sign."""
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))
