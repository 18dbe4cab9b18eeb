"""The effects of the tab "Play" for programs, as pictures."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import gradio as gr
from jaxtyping import UInt8
from numpy import ndarray

from demo.api.store import Entry, Store
from demo.screen import PREVIEW_SIDE
from demo.tabs.effects import air, lens, stereo, views
from demo.tabs.effects.choices import Kind, colour_of
from demo.tabs.effects.files import write_picture
from demo.tabs.effects.scene import Scene, scene_of

MCP_BYTES = 3_000_000
"""Of a picture, which MCP packs into the answer."""
_SIDES = 64, 4096
_KEPT = 16  # pictures of one effect and photo


@dataclass(frozen=True)
class Effects:
    """The functions that programs call."""

    store: Store

    def refocus(
        self,
        token: str,
        focus_m: float,
        request: gr.Request,
        f_number: float = 1.4,
        size_px: int = PREVIEW_SIDE,
    ) -> gr.FileData:
        """Focus a photo again: a large aperture blurs what is nearer or farther than the focus.

        The lens is that of a full-frame camera with the photo's field of view; blur has its true
        size.

        Args:
            token: From estimate or rescale.
            focus_m: Depth in metres that is sharp.
            request: Who asks; Gradio fills it in.
            f_number: Focal length divided by the aperture, 0.4 to 32; the smaller, the more blur.
            size_px: Longer side of the picture in pixels, if the photo has as many.

        Returns:
            A JPEG. Over MCP a picture.
        """
        focus, stop = _number("focus_m", focus_m), _number("f_number", f_number)
        return self._answer(
            token, "refocus", size_px, request, lambda scene: lens.refocus(scene, focus, stop)
        )

    def stereo(
        self,
        token: str,
        request: gr.Request,
        eyes_mm: float = 63,
        kind: Kind = "anaglyph",
        screen_m: float | None = None,
        size_px: int = PREVIEW_SIDE,
    ) -> gr.FileData:
        """Get a photo in stereo: for red-cyan glasses, or the left and right picture side by side.

        Something at Z is f_px * eyes * (1/Z - 1/screen_m) pixels farther right in the left picture.

        Args:
            token: From estimate or rescale.
            request: Who asks; Gradio fills it in.
            eyes_mm: Distance of the eyes in millimetres, 1 to 1000; people have about 63.
            kind: anaglyph, or side-by-side with the left eye's picture on the left.
            screen_m: Depth in metres of what lies on the screen; without it that is infinitely far.
            size_px: Longer side of one eye's picture in pixels, if the photo has as many.

        Returns:
            A JPEG. Over MCP a picture.
        """
        if kind not in get_args(Kind):
            raise ValueError(f"Expected kind to be {' or '.join(get_args(Kind))}; got {kind!r}.")
        eyes = _number("eyes_mm", eyes_mm)
        screen = math.inf if screen_m is None else _number("screen_m", screen_m)
        join = stereo.anaglyph if kind == "anaglyph" else stereo.side_by_side
        return self._answer(
            token, kind, size_px, request, lambda scene: join(*stereo.eyes(scene, eyes, screen))
        )

    def move(
        self,
        token: str,
        request: gr.Request,
        right_m: float = 0,
        up_m: float = 0,
        forward_m: float = 0,
        keep_m: float | None = None,
        size_px: int = PREVIEW_SIDE,
    ) -> gr.FileData:
        """See a photo from another place nearby; what comes into view is filled from behind.

        Args:
            token: From estimate or rescale.
            request: Who asks; Gradio fills it in.
            right_m: Metres that the camera moves to the right.
            up_m: Metres that it moves up.
            forward_m: Metres that it moves forward.
            keep_m: Depth in metres that keeps its size by a dolly zoom; without it nothing zooms.
            size_px: Longer side of the picture in pixels, if the photo has as many.

        Returns:
            A JPEG. Over MCP a picture.
        """
        right, up = _number("right_m", right_m), _number("up_m", up_m)
        forward = _number("forward_m", forward_m)
        zoom = 1.0
        if keep_m is not None:
            zoom = views.dolly_zoom(forward, _number("keep_m", keep_m)).zoom
        camera = views.Camera((right, -up, forward), zoom=zoom)
        return self._answer(
            token, "move", size_px, request, lambda scene: views.moved(scene, camera)
        )

    def fog(
        self,
        token: str,
        visibility_m: float,
        request: gr.Request,
        colour: str = "#c8d0d8",
        size_px: int = PREVIEW_SIDE,
    ) -> gr.FileData:
        """Put a photo into fog: things at depth Z keep exp(-3.912 Z / visibility) of their light.

        Args:
            token: From estimate or rescale.
            visibility_m: Distance in metres at which dark things vanish.
            request: Who asks; Gradio fills it in.
            colour: Of the fog, as "#rrggbb".
            size_px: Longer side of the picture in pixels, if the photo has as many.

        Returns:
            A JPEG. Over MCP a picture.
        """
        visibility, haze = _number("visibility_m", visibility_m), colour_of(colour)
        return self._answer(
            token, "fog", size_px, request, lambda scene: air.fog(scene, visibility, haze)
        )

    def cut_out(
        self,
        token: str,
        request: gr.Request,
        near_m: float = 0,
        far_m: float | None = None,
        size_px: int = PREVIEW_SIDE,
    ) -> gr.FileData:
        """Cut out what lies between two depths; the rest is transparent, with a soft edge.

        Args:
            token: From estimate or rescale.
            request: Who asks; Gradio fills it in.
            near_m: Depth in metres from which things stay.
            far_m: Depth in metres up to which they stay; without it everything farther, and sky.
            size_px: Longer side of the picture in pixels, if the photo has as many.

        Returns:
            A PNG with alpha. Over MCP a picture.
        """
        near = _number("near_m", near_m)
        far = math.inf if far_m is None else _number("far_m", far_m)
        return self._answer(
            token, "cut_out", size_px, request, lambda scene: air.cut_out(scene, near, far)
        )

    def functions(self) -> tuple[Callable[..., gr.FileData], ...]:
        """Return all functions."""
        return self.refocus, self.stereo, self.move, self.fog, self.cut_out

    def _answer(
        self,
        token: str,
        name: str,
        size_px: int,
        request: gr.Request,
        make: Callable[[Scene], UInt8[ndarray, "h w c"]],
    ) -> gr.FileData:
        path = _write(self.store.find(token), name, size_px, make)
        if request.headers.get("x-gradio-user") == "mcp" and path.stat().st_size > MCP_BYTES:
            raise ValueError(
                f"This picture has {path.stat().st_size / 1e6:.0f} MB, too much for an answer over "
                "MCP; ask for a smaller size_px."
            )
        return gr.FileData(path=str(path), orig_name=f"{path.parent.name}{path.suffix}")


def _write(
    entry: Entry, name: str, size_px: int, make: Callable[[Scene], UInt8[ndarray, "h w c"]]
) -> Path:
    least, most = _SIDES
    if not least <= _number("size_px", size_px) <= most:
        raise ValueError(f"Expected a size_px of {least} to {most} pixels; got {size_px}.")
    analysis = entry.analysis
    picture = make(scene_of(analysis.rgb, analysis.prediction, int(size_px)))
    suffix = ".png" if picture.shape[2] == 4 else ".jpg"
    # A name of its own: another call with other numbers must not change what is being fetched.
    path = entry.folder / f"{analysis.name}_{name}" / f"{time.monotonic_ns():020}{suffix}"
    write_picture(path, picture, analysis.provenance.notice)
    for older in sorted(path.parent.glob("[0-9]*"))[:-_KEPT]:
        older.unlink(missing_ok=True)
    return path


def _number(name: str, value: Any) -> float:
    """Return a finite number; programs may send anything."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise ValueError(f"Expected {name} to be a number; got {str(value)[:40]!r}.")
