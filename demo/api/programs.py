"""What the page can do, as functions for programs: dictionaries and files, with units."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args

from jaxtyping import Float
from numpy import ndarray

from demo import export as files
from demo import pipeline
from demo.api.store import Store
from demo.ground import Search, ground_of
from demo.pipeline import Analysis
from demo.tabs.depth.style import depth_stats
from demo.tabs.measure import measure as rulers
from depthpro import DepthPro, Prediction
from depthpro.export import fit_size, write_png
from depthpro.geometry import focal_from_fov
from depthpro.viz import colorize, depth_range, with_colour_bar

Kind = Literal["all", "distance", "height", "angle", "area"]
Format = Literal[
    "preview", "zip", "npz", "depth-png", "colour-png", "glb", "ply", "obj", "usdz", "stl"
]

_PREVIEW_SIDE = 1024


class Estimate(TypedDict):
    """What is known about a photo."""

    token: str
    name: str
    width_px: int
    height_px: int
    f_px: float
    f_px_source: str
    fov_deg: float
    estimated_f_px: float | None
    metadata_f_px: float | None
    depth_unit: str
    near_m: float
    median_m: float
    far_m: float
    sky_share: float
    weights: str
    weights_licence: str
    notice: str


class Spot(TypedDict):
    """A point of a photo in 3D."""

    x_px: float
    y_px: float
    depth_m: float
    plus_minus_m: float
    position_m: list[float]


class Value(TypedDict):
    """A measured quantity."""

    what: str
    points: list[int]
    value: float
    plus_minus: float
    unit: str


class Level(TypedDict):
    """The ground, as the camera sees it."""

    camera_height_m: float
    pitch_deg: float
    roll_deg: float


class Measurement(TypedDict):
    """What some points of a photo measure."""

    points: list[Spot]
    results: list[Value]
    ground: Level | None
    remark: str
    notice: str


def estimate(model: DepthPro, store: Store, path: str | Path) -> Estimate:
    """Return what the network says about a photo, and keep it; this calls the network once.

    Raises:
        ValueError: If the file is not a photo that can be read.
    """
    return _described(store, pipeline.analyse(model, path))


def rescale(
    store: Store, token: str, f_px: float | None = None, fov_deg: float | None = None
) -> Estimate:
    """Return the same photo at another focal length, under a token of its own; no network.

    Args:
        store: Where results are kept.
        token: Of the result.
        f_px: Focal length in pixels of the photo.
        fov_deg: Horizontal field of view in degrees, instead of it.

    Raises:
        ValueError: If the token is unknown, or not exactly one of the two is given, as a number
            that a camera can have.
    """
    analysis = store.find(token).analysis
    given = [value for value in (f_px, fov_deg) if value is not None]
    if len(given) != 1 or not _is_number(given[0]):
        raise ValueError(
            "Expected either f_px (a number of pixels) or fov_deg (degrees); got "
            f"f_px={f_px!r}, fov_deg={fov_deg!r}; give one of them."
        )
    if fov_deg is not None:
        if not 0 < fov_deg < 180:
            raise ValueError(f"Expected fov_deg between 0 and 180 degrees; got {fov_deg}.")
        f_px = focal_from_fov(float(fov_deg), analysis.prediction.width)
    return _described(store, pipeline.with_source(analysis, "hand", f_px))


def measure(
    store: Store, token: str, points: Sequence[Sequence[float]], kind: Kind = "all"
) -> Measurement:
    """Return positions, and lengths, heights, angles or areas between them, each with its ±.

    Args:
        store: Where results are kept.
        token: Of the result.
        points: Column and row of each, in pixels of the photo; pixel centres at integers.
        kind: What to measure; "all" is everything that the points allow.

    Raises:
        ValueError: If the token is unknown, a point is not in the photo or is sky, the kind is
            none, or heights are wanted of a photo that shows no ground.
    """
    analysis = store.find(token).analysis
    _one_of("kind", kind, get_args(Kind))
    pairs = _pairs(points)
    spots = rulers.locate(analysis.prediction, pairs)
    search = Search(None, "")
    if kind in ("all", "height"):
        search = ground_of(analysis.prediction)
    if kind == "height" and search.ground is None:
        raise ValueError(f"Heights need the ground. {search.reason}")
    if kind == "all":
        results = rulers.measure_all(spots, search.ground)
    else:
        results = rulers.measure(spots, kind, search.ground)
    ground = search.ground
    return {
        "points": [
            {
                "x_px": x,
                "y_px": y,
                "depth_m": float(spots.depth_m[n]),
                "plus_minus_m": float(spots.far_m[n] - spots.near_m[n]) / 2,
                "position_m": [float(value) for value in spots.positions[n]],
            }
            for n, (x, y) in enumerate(pairs)
        ],
        "results": [
            {
                "what": result.what,
                "points": list(result.points),
                "value": result.value,
                "plus_minus": result.plus_minus,
                "unit": result.unit,
            }
            for result in results
        ],
        "ground": ground
        and {
            "camera_height_m": ground.camera_height_m,
            "pitch_deg": ground.pitch_deg,
            "roll_deg": ground.roll_deg,
        },
        "remark": search.reason,
        "notice": analysis.provenance.notice,
    }


def export(store: Store, token: str, format: Format) -> Path:
    """Write a result as a file and return it; it is kept as long as the result.

    Raises:
        ValueError: If the token is unknown or the format is none.
    """
    entry = store.find(token)
    _one_of("format", format, get_args(Format))
    with entry.writing:
        path = entry.files.get(format)
        if path is None or not path.exists():  # Gradio cleans up old files
            folder = entry.folder / format
            folder.mkdir(exist_ok=True)
            path = entry.files[format] = _write(entry.analysis, folder, format)
    return path


def _write(analysis: Analysis, folder: Path, format: Format) -> Path:
    if format == "zip":
        return files.bundle(analysis, folder)
    if format != "preview":
        return files.write_file(analysis, folder, format)
    path = folder / f"{analysis.name}_preview.png"
    depth = _coarse_depth(analysis.prediction, _PREVIEW_SIDE)
    span = depth_range(depth)
    write_png(path, with_colour_bar(colorize(depth, span), span), analysis.provenance.notice)
    return path


def _described(store: Store, analysis: Analysis) -> Estimate:
    """Keep an analysis and return what is known about it."""
    values, prediction = files.describe(analysis), analysis.prediction
    stats = depth_stats(prediction)
    return {
        "token": store.add(analysis),
        "name": analysis.name,
        "width_px": prediction.width,
        "height_px": prediction.height,
        "f_px": analysis.f_px,
        "f_px_source": values["f_px_source"],
        "fov_deg": prediction.fov_deg.item(),
        "estimated_f_px": analysis.estimated_f_px,
        "metadata_f_px": analysis.metadata_f_px,
        "depth_unit": values["depth_unit"],
        "near_m": stats.near_m,
        "median_m": stats.median_m,
        "far_m": stats.far_m,
        "sky_share": stats.sky,
        "weights": values["weights"],
        "weights_licence": values["weights_licence"],
        "notice": analysis.provenance.notice,
    }


def _coarse_depth(prediction: Prediction, side: int) -> Float[ndarray, "h w"]:
    height, width = fit_size(prediction.height, prediction.width, side)
    return prediction.depth_at(height, width)[0].numpy()


def _pairs(points: Any) -> list[tuple[float, float]]:
    """Return points as pairs of numbers, or say what came instead."""
    if isinstance(points, list | tuple) and points:
        pairs = [tuple(p) for p in points if isinstance(p, list | tuple) and len(p) == 2]
        if len(pairs) == len(points) and all(_is_number(v) for pair in pairs for v in pair):
            return [(float(x), float(y)) for x, y in pairs]
    raise ValueError(
        "Expected points as a list of [column, row] in pixels of the photo, such as "
        f"[[10, 20], [30.5, 40]]; got {str(points)[:100]}."
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _one_of(name: str, value: Any, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"Expected {name} to be one of {', '.join(choices)}; got {value!r}.")
