"""Small films, made by PyAV, and a network of known depth."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import torch

from depthpro import Prediction
from depthpro.checkpoint import OWN_LICENCE, Provenance
from depthpro.geometry import focal_from_fov

COLOURS = np.array(
    [(200, 30, 40), (30, 180, 60), (20, 40, 220), (250, 250, 250), (5, 5, 5), (230, 200, 20)],
    np.uint8,
)


def patches(height: int = 64, width: int = 192) -> np.ndarray:
    """Return a picture of upright stripes, one for each of `COLOURS`."""
    rgb = COLOURS[np.arange(width) * len(COLOURS) // width]
    return np.ascontiguousarray(np.broadcast_to(rgb, (height, width, 3)))


def stripes(rgb: np.ndarray) -> np.ndarray:
    """Return the mean colour of the middle of each stripe."""
    width = rgb.shape[1] // len(COLOURS)
    middles = [rgb[8:-8, i * width + 8 : (i + 1) * width - 8] for i in range(len(COLOURS))]
    return np.array([middle.reshape(-1, 3).mean(axis=0) for middle in middles])


def make_film(
    path: Path,
    frames: Sequence[np.ndarray],
    times_ms: Sequence[int] = (),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    turned: float = 0,
) -> Path:
    """Write frames as they are, untagged; 10 a second, or at these times."""
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w") as film:
        stream = film.add_stream(codec, 10, options={"crf": "10"} if codec == "libx264" else {})
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.codec_context.time_base = Fraction(1, 1000)
        if turned:
            stream.set_display_rotation(turned)
        for rgb, time in zip(frames, times_ms or range(0, 100 * len(frames), 100), strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    return path


def make_sound(path: Path) -> Path:
    with av.open(str(path), "w") as film:
        stream = film.add_stream("aac", 44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), "fltp", "mono")
        frame.sample_rate = 44100
        film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    return path


def greys(levels: Sequence[int], height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Return one even grey frame for each level."""
    return [np.full((height, width, 3), level, np.uint8) for level in levels]


class KnownNetwork:
    """Stands for the network: its maps and fields of view are given, one after the other."""

    fov: Any = SimpleNamespace()

    def __init__(self, maps: Sequence[np.ndarray], fov_deg: Sequence[float]) -> None:
        """Take one map and one field of view in degrees for each call."""
        self.provenance = Provenance("known", OWN_LICENCE)
        self.calls: list[np.ndarray] = []
        self._answers: Iterator[Any] = iter(zip(maps, fov_deg, strict=True))

    def infer(self, rgb: np.ndarray, f_px: float | None = None) -> Prediction:
        self.calls.append(rgb)
        canonical, fov_deg = next(self._answers)
        height, width = rgb.shape[:2]
        estimated = torch.tensor([focal_from_fov(float(fov_deg), width)])
        canonical = torch.from_numpy(canonical.astype(np.float32))[None]
        return Prediction(canonical, estimated, estimated, height, width)
