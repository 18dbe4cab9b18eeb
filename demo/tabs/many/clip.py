"""A film through the network: one map a frame, kept in files, and one focal length for all."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image
from torch.nn import functional as F

from demo.movies import Film, frame_count, read_film
from demo.pipeline import Predictor
from demo.tabs.many.job import Folder, Step, Work
from demo.tabs.many.smoothing import smooth
from depthpro.checkpoint import Provenance
from depthpro.export import fit_size
from depthpro.geometry import (
    FOV_RANGE_DEG,
    MAX_DEPTH_M,
    MIN_DEPTH_M,
    focal_from_fov,
    fov_from_focal,
)
from depthpro.viz import DepthRange, colorize, depth_range

MAX_SECONDS, MAX_FPS = 20.0, 30.0
SIDE = 1280
"""Longer side of the depth in pixels."""
_NETWORK_SIDE = 1920  # of the frames that the network sees: 1080p
_SAMPLE = 2000  # pixels of each map that the range is taken from
_THUMB_SIDE = 320


class Cut(NamedTuple):
    """The part of a film that is used, and its frames a second."""

    start_s: float
    length_s: float
    fps: float


class Focal(NamedTuple):
    """The focal length of a film, in pixels of its own width."""

    f_px: float
    source: str


@dataclass(eq=False)
class Clip:
    """What the network said about each frame of a part of a film."""

    film: Film
    cut: Cut
    provenance: Provenance
    estimated_f_px: list[float] = field(default_factory=list)
    """The network's focal lengths, in pixels of the film's own width."""
    samples: list[Float[ndarray, " n"]] = field(default_factory=list)
    """Some of each map's values."""
    folder: Folder = field(default_factory=Folder)
    """With the maps: canonical inverse depth in half precision, 16 bits a pixel."""

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the depth, and of the film beside it."""
        return fit_size(self.film.height, self.film.width, SIDE)

    @property
    def count(self) -> int:
        """Frames that are done."""
        return len(self.samples)

    def frames(self, side: int = SIDE) -> Iterator[UInt8[ndarray, "h w 3"]]:
        """Decode the frames, at most `side` pixels long."""
        return read_film(self.film, self.cut.fps, self.cut.start_s, self.cut.length_s, side)

    def maps(self, smoothing: float) -> Iterator[Float[ndarray, "h w"]]:
        """Return the canonical inverse depth of every frame, smoothed over time."""
        past = None
        for number in range(self.count):
            new = np.load(self.folder.path / f"{number}.npy").astype(np.float32)
            past = new if past is None else smooth(new, past, smoothing)
            yield past

    def depth(
        self, canonical: Float[ndarray, "h w"], f_px: float, height: int, width: int
    ) -> Float[ndarray, "{height} {width}"]:
        """Return depth in metres of a map, at this size, for the film's focal length."""
        inverse = torch.from_numpy(canonical * np.float32(self.film.width / f_px))[None, None]
        if inverse.shape[-2:] != (height, width):
            inverse = F.interpolate(inverse, (height, width), mode="bilinear")
        return inverse[0, 0].clamp(1 / MAX_DEPTH_M, 1 / MIN_DEPTH_M).reciprocal().numpy()

    def sampled_depth(self, f_px: float) -> Float[ndarray, "count n"]:
        """Return depth in metres of some pixels of every frame."""
        values = np.stack(self.samples)
        return self.depth(values, f_px, *values.shape)

    def span(self, f_px: float) -> DepthRange:
        """Return the range of the colours, one for all frames."""
        return depth_range(self.sampled_depth(f_px))


def cut_film(film: Film, start_s: float, length_s: float | None, fps: float) -> Cut:
    """Return the part of a film that is used; without a length all of the rest.

    Raises:
        ValueError: If nothing is there, or it is too long.
    """
    if not 0 <= start_s < film.duration_s:
        raise ValueError(
            f"Expected a start between 0 and {film.duration_s:.3g} s, where the video ends; got "
            f"{start_s:g} s."
        )
    rest = film.duration_s - start_s
    length = min(rest, rest if length_s is None else length_s)
    if not 0 < length <= MAX_SECONDS + 0.05:
        raise ValueError(
            f"Expected at most {MAX_SECONDS:.0f} s of video; got {length:.3g} s of the "
            f"{film.duration_s:.3g} s: choose a start and a length, or cut the video first."
        )
    # More frames than there are would only be the same again.
    return Cut(start_s, length, min(fps, MAX_FPS, max(film.fps, 1.0)))


def predict(model: Predictor, film: Film, cut: Cut, share: float = 1.0) -> Work[Clip]:
    """Call the network once a frame; this takes a share of the time of everything."""
    clip = Clip(film, cut, model.provenance)
    total, thumb = frame_count(cut.fps, cut.length_s), None
    last, canonical = None, np.zeros((1, 1), np.float16)
    frames = clip.frames(_NETWORK_SIDE)
    while True:
        done = clip.count
        text = f"Frame {min(done + 1, total)} of {total}: the network estimates its depth"
        yield Step(share * done / (total + 1), text, True, thumb)
        rgb = next(frames, None)
        if rgb is None:
            break
        if rgb is not last:  # a frame that stands longer is one frame
            canonical, f_px = _estimate(model, rgb, clip)
            clip.estimated_f_px += [] if f_px is None else [f_px]
            thumb = _thumbnail(rgb, canonical)
        last = rgb
        np.save(clip.folder.path / f"{done}.npy", canonical)
        clip.samples.append(canonical.ravel()[:: max(1, canonical.size // _SAMPLE)].astype("f4"))
    if not clip.count:
        raise ValueError(f"Expected a whole video; of {film.path.name!r} no frame can be read.")
    return clip


def given_focal(
    film: Film, f_px: float | None = None, fov_deg: float | None = None
) -> Focal | None:
    """Return the focal length that was given, in pixels of the film or as a field of view.

    Raises:
        ValueError: If both are given, or one is out of range.
    """
    least, most = FOV_RANGE_DEG
    if f_px is not None and fov_deg is not None:
        raise ValueError(
            f"Expected a focal length or a field of view; got both, {f_px:g} px and {fov_deg:g}°: "
            "empty one of them."
        )
    if fov_deg is not None:
        if not least <= fov_deg <= most:
            raise ValueError(
                f"Expected a field of view of {least:.0f} to {most:.0f}°; got {fov_deg:g}°."
            )
        f_px = focal_from_fov(float(fov_deg), film.width)
    elif f_px is not None and not (f_px > 0 and least <= fov_from_focal(f_px, film.width) <= most):
        raise ValueError(
            f"Expected a focal length that sees {least:.0f} to {most:.0f}° of the video's "
            f"{film.width} px; got {f_px:g} px."
        )
    return None if f_px is None else Focal(float(f_px), "given by hand")


def median_focal(clip: Clip) -> Focal:
    """Return the median of the network's focal lengths for the frames."""
    if not clip.estimated_f_px:
        raise ValueError("This network estimates no focal length; type one.")
    count = len(clip.estimated_f_px)
    return Focal(statistics.median(clip.estimated_f_px), f"median of {count} estimates")


def _estimate(
    model: Predictor, rgb: UInt8[ndarray, "h w 3"], clip: Clip
) -> tuple[Float[ndarray, "h2 w2"], float | None]:
    """Return a frame's map, no larger than the depth will be, and its focal length if any."""
    width = rgb.shape[1]
    # Without a head for it, any will do: the map does not depend on it.
    prediction = model.infer(rgb, None if model.fov is not None else float(width)).to("cpu")
    canonical = prediction.canonical_inverse_depth[:, None]
    size = [min(canonical.shape[-1], side) for side in clip.size]
    if size != list(canonical.shape[-2:]):
        canonical = F.interpolate(canonical, size, mode="bilinear", antialias=True)
    estimated = prediction.estimated_f_px
    f_px = None if estimated is None else estimated.item() * clip.film.width / width
    return canonical[0, 0].numpy().astype(np.float16), f_px


def _thumbnail(
    rgb: UInt8[ndarray, "h w 3"], canonical: Float[ndarray, "h2 w2"]
) -> UInt8[ndarray, "h3 w3 3"]:
    """Return a frame beside its depth, small, to show that something happens."""
    height, width = rgb.shape[:2]
    rows, columns = fit_size(height, width, _THUMB_SIDE)
    small, inverse = (
        np.asarray(Image.fromarray(each).resize((columns, rows), Image.Resampling.NEAREST))
        for each in (rgb, canonical.astype(np.float32))
    )
    return np.concatenate([small, colorize(1 / np.maximum(inverse, 1 / MAX_DEPTH_M))], axis=1)
