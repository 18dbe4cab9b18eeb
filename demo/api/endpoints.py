"""The page's functions for programs, over HTTP and, where `mcp` is installed, as MCP tools.

Gradio makes the API page and the tools' schemas from the annotations and docstrings below: of an
argument's description it reads one line.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import gradio as gr
from gradio.context import Context
from gradio.events import api
from gradio.utils import get_function_description, get_function_params, get_upload_folder
from gradio_client import handle_file

from demo import uploads
from demo.api import programs
from demo.api.programs import Estimate, Format, Kind, Measurement
from demo.api.store import Store
from demo.session import KEEP_S, NETWORK, PARALLEL, refusal
from depthpro import DepthPro

_Answer = TypeVar("_Answer")
_MCP_BYTES = 3_000_000  # of a picture, which MCP packs into the answer
_EXAMPLES: dict[str, Any] = {
    "photo": handle_file(
        "https://raw.githubusercontent.com/gradio-app/gradio/main/test/test_files/bus.png"
    ),
    "points": [[100, 200], [300, 200]],
    "fov_deg": 60,
}
"""In the page that shows programs how to call a function."""


@dataclass(frozen=True)
class Programs:
    """What programs may call; nothing here belongs to a visitor of the page."""

    model: DepthPro
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
        path = _answer(uploads.uploaded, photo)
        return _answer(programs.estimate, self.model, self.store, path)

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
        return _answer(programs.rescale, self.store, token, f_px, fov_deg)

    def measure(self, token: str, points: list[list[float]], kind: Kind = "all") -> Measurement:
        """Measure positions, distances, heights, angles and areas in a photo, each with its ±.

        Two points have a distance, three or more also a path, angles and the area between them;
        heights are above the ground, if the photo shows one. The ± is the spread of depth around
        the points; it knows nothing of a wrong focal length, which rescales every length.

        Args:
            token: From estimate or rescale.
            points: [column, row] of each point, in pixels of the photo from its upper left corner.
            kind: What to measure: all, distance, height, angle or area.

        Returns:
            Each point in metres (x right, y down, z forward), the results, and the ground.
        """
        return _answer(programs.measure, self.store, token, points, kind)

    def export(self, token: str, request: gr.Request, format: Format = "preview") -> gr.FileData:
        """Get depth as a file: a picture, numbers, a surface or points in metres.

        Args:
            token: From estimate or rescale.
            request: Who asks; Gradio fills it in.
            format: preview is a picture to look at, at most 1024 pixels wide; zip is everything.

        Returns:
            The file. Over MCP a picture, or a link that is valid for an hour.
        """
        path = _answer(programs.export, self.store, token, format)
        megabytes = path.stat().st_size / 1e6
        over_mcp = request.headers.get("x-gradio-user") == "mcp"
        if over_mcp and path.suffix == ".png" and path.stat().st_size > _MCP_BYTES:
            raise refusal(
                f"This picture has {megabytes:.0f} MB, too much for an answer over MCP; ask for "
                "preview, or for zip, which comes as a link."
            )
        return gr.FileData(path=str(path), orig_name=path.name)


def register(model: DepthPro) -> None:
    """Offer the functions to programs; called while the page is built."""
    offered = Programs(model, Store(age_s=KEEP_S, root=get_upload_folder()))
    (photo,) = _offer(offered.estimate, **NETWORK)
    uploads.take_addresses(photo)
    for function in (offered.rescale, offered.measure, offered.export):
        _offer(function, concurrency_limit=PARALLEL)


def _offer(function: Callable[..., Any], **options: Any) -> list[Any]:
    """Offer a function, and return the components that stand for its arguments.

    Gradio takes the types from the signature; names, descriptions and examples are added, for the
    page that shows how to call it.
    """
    name = function.__name__
    api(function, api_name=name, **options)
    blocks = Context.root_block
    assert blocks is not None
    (made,) = (made for made in blocks.fns.values() if made.api_name == name)
    descriptions = get_function_description(function)[1]
    inputs: list[Any] = list(made.inputs)
    for component, (argument, *_) in zip(inputs, get_function_params(function), strict=True):
        component.label = argument
        component._api_info["additional_description"] = descriptions[argument]
        if argument in _EXAMPLES:
            component.example_payload = partial(_EXAMPLES.get, argument)
    return inputs


def _answer(function: Callable[..., _Answer], *values: Any) -> _Answer:
    try:
        return function(*values)
    except (ValueError, OSError, MemoryError) as error:
        raise refusal(error) from None
