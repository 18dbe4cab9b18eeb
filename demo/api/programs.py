"""Functions for programs, over HTTP and, where `mcp` is installed, as MCP tools.

Gradio makes the API page and the tools' schemas from the annotations and docstrings of `Programs`,
with one line for each argument.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args

import gradio as gr
from gradio_client import handle_file

from demo import export, gradio_internals, pipeline
from demo.api import video
from demo.api.compare import Comparisons
from demo.api.effects import Effects
from demo.api.store import Store
from demo.pipeline import Analysis, Predictor
from demo.session import KEEP_S, NETWORK, PARALLEL
from demo.tabs.depth.style import depth_stats
from demo.tabs.measure import measure as rulers
from demo.tabs.measure.true_lengths import with_truth
from demo.tabs.sharpness.truth import known
from depthpro.export import fit_size, write_png
from depthpro.geometry import focal_from_fov
from depthpro.viz import colorize, depth_range, with_colour_bar

Kind = Literal["all", rulers.Kind]
Format = Literal["preview", "zip", export.Format]

_PREVIEW_SIDE = 1024
_MCP_BYTES = 3_000_000  # of a picture, which MCP packs into the answer
_EXAMPLES: dict[str, Any] = {
    "photo": handle_file(
        "https://raw.githubusercontent.com/gradio-app/gradio/main/test/test_files/bus.png"
    ),
    "points": [[100, 200], [300, 200]],
    "fov_deg": 60,
}
"""Arguments that the API page shows."""


class Estimate(export.Description):
    """Focal length and depth of a photo."""

    token: str
    near_m: float
    median_m: float
    far_m: float
    sky_share: float
    notice: str


class PointValues(TypedDict):
    """A point of a photo in 3D, in pixels and metres."""

    x_px: float
    y_px: float
    depth_m: float
    plus_minus_m: float | None
    """Of depth; None if the errors of the weights were not measured."""
    position_m: list[float]


class Measurement(TypedDict):
    """Positions of points of a photo, and lengths, angles and areas between them."""

    points: list[PointValues]
    results: list[dict[str, Any]]
    """Fields of `demo.tabs.measure.measure.Result`."""
    ground: dict[str, float] | None
    """`camera_height_m`, `pitch_deg` and `roll_deg`."""
    remark: str
    notice: str


@dataclass(frozen=True)
class Programs:
    """The functions that programs call."""

    model: Predictor
    store: Store

    def estimate(self, photo: gr.FileData) -> Estimate:
        """Estimate depth in metres and the focal length of one photo.

        The photo stays for an hour under the token that comes back: give it to rescale, measure
        and export. The focal length is that of the photo's metadata, else the network's estimate.
        Depth is along the optical axis; near_m and far_m leave out one percent each.

        Args:
            photo: A JPEG, PNG, WebP, TIFF or HEIC file, at most 100 megapixels and 100 MB.

        Returns:
            A token, focal length in pixels, field of view in degrees, depth in metres, licence.
        """
        return self._keep(pipeline.analyse(self.model, gradio_internals.uploaded(photo)))

    def rescale(
        self, token: str, f_px: float | None = None, fov_deg: float | None = None
    ) -> Estimate:
        """Use another focal length for a photo; depth and every length are proportional to it.

        Exact and immediate: the network is not called again. Give f_px or fov_deg.

        Args:
            token: From estimate or rescale; the old one stays valid.
            f_px: Focal length in pixels of the photo.
            fov_deg: Horizontal field of view in degrees, between 0 and 180.

        Returns:
            The same as estimate, under a new token.
        """
        analysis = self.store.find(token).analysis
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
        return self._keep(pipeline.with_source(analysis, "hand", f_px))

    def measure(self, token: str, points: list[list[float]], kind: Kind = "all") -> Measurement:
        """Measure positions, distances, heights, angles and areas in a photo, each with its ±.

        Two points have a distance, three or more also a path, angles and the area between them;
        heights are above the ground, if the photo shows one. About two true distances in three
        lie within the ±, by the errors of these weights on held-out pictures; it is null for
        weights whose errors were not measured. Results of the page's examples have a true value.

        Args:
            token: From estimate or rescale.
            points: [column, row] of each point, in pixels of the photo from its upper left corner.
            kind: What to measure: all, distance, height, angle or area.

        Returns:
            Each point in metres (x right, y down, z forward), the results, and the ground.
        """
        analysis = self.store.find(token).analysis
        _check_choice("kind", kind, get_args(Kind))
        pairs = _pairs(points)
        located = rulers.locate(analysis.prediction, pairs, analysis.provenance.depth_error)
        ground, reason = analysis.ground
        if kind == "height" and ground is None:
            raise ValueError(f"Heights need the ground. {reason}")
        if kind == "all":
            results = rulers.measure_all(located, ground)
        else:
            results = rulers.measure(located, kind, ground)
        results = with_truth(results, located, known(analysis.rgb))
        errors = located.depth_plus_minus_m
        errors = [None] * len(pairs) if errors is None else errors.tolist()
        columns = (located.depth_m.tolist(), errors, located.positions.tolist())
        return {
            "points": [
                {"x_px": x, "y_px": y, "depth_m": z, "plus_minus_m": error, "position_m": position}
                for (x, y), z, error, position in zip(pairs, *columns, strict=True)
            ],
            "results": [asdict(result) for result in results],
            "ground": ground
            and {
                "camera_height_m": ground.camera_height_m,
                "pitch_deg": ground.pitch_deg,
                "roll_deg": ground.roll_deg,
            },
            "remark": reason,
            "notice": analysis.provenance.notice,
        }

    def export(self, token: str, request: gr.Request, format: Format = "preview") -> gr.FileData:
        """Get depth as a file: a picture, numbers, a surface or points in metres.

        Args:
            token: From estimate or rescale.
            request: Who asks; Gradio fills it in.
            format: preview is a picture to look at, at most 1024 pixels wide; zip is everything.

        Returns:
            The file. Over MCP a picture, or a link that is valid for an hour.
        """
        path = self.write(token, format)
        size = path.stat().st_size
        over_mcp = request.headers.get("x-gradio-user") == "mcp"
        if over_mcp and path.suffix == ".png" and size > _MCP_BYTES:
            raise ValueError(
                f"This picture has {size / 1e6:.0f} MB, too much for an answer over MCP; ask for "
                "preview, or for zip, which comes as a link."
            )
        return gr.FileData(path=str(path), orig_name=path.name)

    def write(self, token: str, format: Format) -> Path:
        """Write a result as a file, which is kept as long as the result."""
        entry = self.store.find(token)
        _check_choice("format", format, get_args(Format))
        if format == "zip":
            return export.bundle(entry.analysis, entry.folder)
        if format == "preview":
            return _write_preview(entry.analysis, entry.folder)
        return export.write_file(entry.analysis, entry.folder, format)

    def _keep(self, analysis: Analysis) -> Estimate:
        """Keep an analysis, and return its description under a token."""
        depth = depth_stats(analysis.prediction)
        return {
            "token": self.store.add(analysis),
            **export.describe(analysis),
            "near_m": depth.near_m,
            "median_m": depth.median_m,
            "far_m": depth.far_m,
            "sky_share": depth.sky,
            "notice": analysis.provenance.notice,
        }


def register(model: Predictor, page: gr.Blocks) -> None:
    """Offer the functions on the page that is being built."""
    store = Store(age_s=KEEP_S, root=gradio_internals.upload_folder())
    functions = Programs(model, store)
    gradio_internals.offer(page, functions.estimate, _EXAMPLES, **NETWORK)
    own = (functions.rescale, functions.measure, functions.export)
    for function in (*own, *Effects(store).functions()):
        gradio_internals.offer(page, function, _EXAMPLES, concurrency_limit=PARALLEL)
    video.register(model, page)
    comparisons = Comparisons(store)
    gradio_internals.offer(page, comparisons.compare, _EXAMPLES, concurrency_limit=PARALLEL)
    threading.Thread(target=_delete_expired, args=[store], daemon=True).start()


def _delete_expired(store: Store) -> None:
    while True:
        time.sleep(60)
        store.delete_expired()


def _write_preview(analysis: Analysis, folder: Path) -> Path:
    path = folder / f"{analysis.name}_preview.png"
    prediction = analysis.prediction
    size = fit_size(prediction.height, prediction.width, _PREVIEW_SIDE)
    depth = prediction.depth_at(*size)[0].numpy()
    span = depth_range(depth)
    write_png(path, with_colour_bar(colorize(depth, span), span), analysis.provenance.notice)
    return path


def _pairs(points: Any) -> list[tuple[float, float]]:
    """Return points as pairs of numbers; refuse all but a list of [column, row]."""
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


def _check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"Expected {name} to be one of {', '.join(choices)}; got {value!r}.")
