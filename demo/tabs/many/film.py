"""A clip as files: a film of its depth, and 16-bit pictures with a JSON."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from demo.movies import mp4_writer
from demo.tabs.many.clip import Clip, Focal
from demo.tabs.many.job import Step, Work
from depthpro.export import png_scale, write_depth_png, write_json
from depthpro.files import whole_file
from depthpro.geometry import fov_from_focal
from depthpro.viz import DepthRange, colorize, with_colour_bar

Layout = Literal["beside", "below", "alone"]
"""Where the depth stands in the film: beside or below the original, or without it."""
_LEAST_ROWS = 120  # a colour bar in fewer could not be read


def write_film(
    clip: Clip, focal: Focal, smoothing: float, layout: Layout, path: Path, before: float = 0.0
) -> Work[Path]:
    """Write the film as MP4, without sound; before it, a share of all the work was done.

    All frames have the same range of colours, whose bar in metres is in the picture.
    """
    height, width = clip.size
    span = clip.span(focal.f_px)
    compose = _composer(span, height, layout)
    frames, maps = clip.frames(), clip.maps(smoothing)
    thumb = None
    with mp4_writer(path, clip.cut.fps, clip.provenance.notice) as add:
        for number in range(clip.count):
            share = before + (1 - before) * number / clip.count
            yield Step(share, f"Frame {number + 1} of {clip.count}: drawing the film", False, thumb)
            depth = clip.depth(next(maps), focal.f_px, height, width)
            picture = compose(next(frames), colorize(depth, span))
            thumb = picture[:: (step := 1 + max(picture.shape) // 640), ::step]
            add(picture)
    return path


def write_pictures(clip: Clip, focal: Focal, smoothing: float, path: Path) -> Work[Path]:
    """Write a ZIP of 16-bit PNGs in metres, one a frame with one scale, and a JSON about them."""
    height, width = clip.size
    f_px = focal.f_px * width / clip.film.width
    scale_m, notice = png_scale(clip.sampled_depth(focal.f_px)), clip.provenance.notice
    part = clip.folder.path / "part.png"
    with whole_file(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for number, canonical in enumerate(clip.maps(smoothing)):
            text = f"Picture {number + 1} of {clip.count}: writing it"
            yield Step(number / clip.count, text, False)
            depth = clip.depth(canonical, focal.f_px, height, width)
            write_depth_png(part, depth, f_px, notice, scale_m)
            archive.write(part, f"depth_{number + 1:04}.png")
        write_json(part, describe(clip, focal, smoothing) | {"scale_m": scale_m})
        archive.write(part, "film.json")
        archive.writestr("README.txt", _README.format(notice=notice))
        part.unlink()
    return path


def describe(clip: Clip, focal: Focal, smoothing: float) -> dict[str, Any]:
    """Return focal length, rate, size and range of a clip, for programs."""
    height, width = clip.size
    near_m, far_m = clip.span(focal.f_px)
    return {
        "film": clip.film.path.name,
        "width_px": width,
        "height_px": height,
        "f_px": focal.f_px * width / clip.film.width,
        "f_px_source": focal.source,
        "fov_deg": fov_from_focal(focal.f_px, clip.film.width),
        "estimated_f_px": [f_px * width / clip.film.width for f_px in clip.estimated_f_px],
        "fps": clip.cut.fps,
        "frames": clip.count,
        "start_s": clip.cut.start_s,
        "near_m": near_m,
        "far_m": far_m,
        "smoothing": smoothing,
        "depth_unit": "metre along the optical axis",
        "weights": clip.provenance.name,
        "weights_licence": clip.provenance.licence,
        "notice": clip.provenance.notice,
    }


_README = """Depth of a film

depth_0001.png, ...
    depth in 16 bits: metres = value * scale_m, which is in film.json and in each file
film.json
    focal length f_px in pixels of these pictures, frames a second, range in metres, licence

{notice}
"""


def _composer(
    span: DepthRange, height: int, layout: Layout
) -> Callable[[UInt8[ndarray, "h w 3"], UInt8[ndarray, "h w 3"]], UInt8[ndarray, "h2 w2 3"]]:
    """Return a function of a frame and its coloured depth that puts them together with the bar."""
    bar = np.empty((height, 0, 3), np.uint8)
    if height >= _LEAST_ROWS:
        bar = with_colour_bar(np.empty((height, 1, 3), np.uint8), span)[:, 1:]
    if len(bar) != height:  # of a very high picture it is shorter
        bar = np.pad(bar, ((0, height - len(bar)), (0, 0), (0, 0)), constant_values=255)

    def compose(
        frame: UInt8[ndarray, "h w 3"], depth: UInt8[ndarray, "h w 3"]
    ) -> UInt8[ndarray, "h2 w2 3"]:
        if layout == "alone":
            return np.concatenate([depth, bar], axis=1)
        if layout == "beside":
            return np.concatenate([frame, depth, bar], axis=1)
        margin = np.full_like(bar, 255)
        upper, lower = (np.concatenate(row, axis=1) for row in ((frame, margin), (depth, bar)))
        return np.concatenate([upper, lower])

    return compose
