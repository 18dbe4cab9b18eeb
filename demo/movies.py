"""Films in and out, by PyAV: H.264 in MP4, which every browser and phone plays."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from jaxtyping import UInt8
from numpy import ndarray

from depthpro.files import whole_file


def write_mp4(
    path: str | Path, frames: Iterable[UInt8[ndarray, "h w 3"]], fps: float | Fraction
) -> None:
    """Write RGB frames of one size as H.264, yuv420p; an odd last row or column is left out.

    Nothing is written unless all frames came.
    """
    with (
        whole_file(path) as temporary,
        av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"}) as film,
    ):
        stream: VideoStream | None = None
        for rgb in frames:
            height, width = (side // 2 * 2 for side in rgb.shape[:2])
            if stream is None:
                stream = film.add_stream("libx264", Fraction(fps).limit_denominator(1000))
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                stream.options = {"crf": "18", "preset": "veryfast"}
            picture = np.ascontiguousarray(rgb[:height, :width])
            film.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        if stream is None:
            raise ValueError("Expected at least one frame for a film; got none.")
        film.mux(stream.encode(None))
