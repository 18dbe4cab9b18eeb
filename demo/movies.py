"""Films in and out, by PyAV: H.264 in MP4, which every browser and phone plays."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8
from numpy import ndarray

from depthpro.export import fit_size
from depthpro.files import whole_file
from depthpro.photos.hdr import Coding, to_srgb

MAX_SIDE = 4096
"""Longest side in pixels of films that are read."""
_LEAST_SIDE = 16
# Of files that hold pictures themselves: playlists would have FFmpeg open other files.
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,ogg,asf,flv,gif"
_BT709, _BT601, _BT2020, _UNKNOWN, _FULL, _LIMITED = 1, 5, 9, 2, 2, 1  # numbers of ITU-T H.273
_MATRICES = {_BT709: _BT709, _BT601: _BT601, 6: _BT601, 7: 7, _BT2020: _BT2020}  # swscale's numbers
_HDR = (16, 18)  # transfer characteristics PQ and HLG
_EARLY_S = 1e-3  # timestamps are rounded to milliseconds in some containers


class Film(NamedTuple):
    """A film file, as a person sees it: upright, with square pixels."""

    path: Path
    width: int
    height: int
    fps: float
    """Frames a second, on average."""
    duration_s: float


def write_mp4(
    path: str | Path, frames: Iterable[UInt8[ndarray, "h w 3"]], fps: float | Fraction, notice: str
) -> None:
    """Write RGB frames of one size as H.264, yuv420p; an odd last row or column is left out.

    Nothing is written unless all frames came.
    """
    with mp4_writer(path, fps, notice) as add:
        for rgb in frames:
            add(rgb)


@contextmanager
def mp4_writer(
    path: str | Path, fps: float | Fraction, notice: str
) -> Iterator[Callable[[UInt8[ndarray, "h w 3"]], None]]:
    """Give a function that adds a frame to a film, which appears whole when the block succeeds.

    The notice stands in the film's comment, as in pictures.
    Colours are those of sRGB in the matrix of BT.709, with the tags that say so: without them
    players guess by the film's size.
    """
    with (
        whole_file(path) as temporary,
        av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"}) as film,
    ):
        film.metadata["comment"] = notice
        rate = Fraction(fps).limit_denominator(1000)
        stream = film.add_stream("libx264", rate)
        stream.pix_fmt, stream.options = "yuv420p", {"crf": "18", "preset": "veryfast"}
        context, count = stream.codec_context, 0
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED

        def add(rgb: UInt8[ndarray, "h w 3"]) -> None:
            nonlocal count
            height, width = (side // 2 * 2 for side in rgb.shape[:2])
            if count == 0:
                stream.width, stream.height = width, height
            picture = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(rgb[:height, :width]), "rgb24"
            ).reformat(format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED)
            picture.pts, picture.time_base = count, 1 / rate
            film.mux(stream.encode(picture))
            count += 1

        yield add
        if count == 0:
            raise ValueError("Expected at least one frame for a film; got none.")
        film.mux(stream.encode(None))


def describe_film(path: str | Path) -> Film:
    """Return the size, frame rate and length of a film, whose file is read once.

    Raises:
        ValueError: If it is no film, is damaged, or has no pictures or too large ones. The message
            is a sentence with the file's name, never its folder.
    """
    path = Path(path)
    with _open(path) as (film, stream):
        first = next(_decoded(film, stream), None)
        if first is None:
            raise _refused(path, "of which no picture can be read; copy or export it again")
        height, width = _upright_size(first, stream)
    if not _LEAST_SIDE <= min(height, width) <= max(height, width) <= MAX_SIDE:
        raise _refused(
            path,
            f"with {width} x {height} pixels; export it with {_LEAST_SIDE} to {MAX_SIDE} "
            "pixels a side",
        )
    with _open(path) as (film, stream):
        duration_s, count = _duration(film, stream)
    return Film(path, width, height, count / duration_s, duration_s)


def read_film(
    film: Film, fps: float, start_s: float, length_s: float, side: int
) -> Iterator[UInt8[ndarray, "h w 3"]]:
    """Return a film's frames at a constant rate, upright in sRGB, at most `side` pixels long.

    Each is the latest at its time, so that films of a varying rate keep their speed; a frame that
    stands longer comes again as the same array.
    """
    height, width = fit_size(film.height, film.width, side)
    count = frame_count(fps, length_s)
    with _open(film.path) as (container, stream):
        base = float(stream.time_base or 0)
        offset = (stream.start_time or 0) * base
        if start_s > 0 and base:
            with suppress(FFmpegError):  # no index: from the beginning
                container.seek(round((start_s + offset) / base), stream=stream)
        last: VideoFrame | None = None
        rgb: UInt8[ndarray, "h w 3"] | None = None
        sent = 0
        for number, frame in enumerate(_decoded(container, stream)):
            time_s = number / film.fps if frame.time is None else frame.time - offset
            while last is not None and sent < count and start_s + sent / fps < time_s - _EARLY_S:
                rgb = _to_rgb(last, stream, height, width) if rgb is None else rgb
                yield rgb
                sent += 1
            if sent == count:
                return
            last, rgb = frame, None
        while last is not None and sent < count:
            rgb = _to_rgb(last, stream, height, width) if rgb is None else rgb
            yield rgb
            sent += 1


def frame_count(fps: float, length_s: float) -> int:
    """Return how many frames `read_film` gives."""
    return max(1, round(fps * length_s))


@contextmanager
def _open(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Give an opened film and its first stream of moving pictures."""
    options = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
    try:
        film = av.open(str(path), options=options, metadata_errors="replace")
    except (FFmpegError, ValueError):
        raise _refused(
            path, "which is damaged, cut off or of another kind; copy it again or export an MP4"
        ) from None
    with film:
        # Covers of sound files are streams of pictures, too.
        streams = [s for s in film.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            raise _refused(path, "which has no pictures, only sound or nothing; choose another")
        if streams[0].codec_context is None:
            raise _refused(path, "whose coding is not known here; export it as MP4 (H.264)")
        streams[0].thread_type = "AUTO"
        yield film, streams[0]


def _refused(path: Path, problem: str) -> ValueError:
    return ValueError(f"expected a video (MP4, MOV, WebM, MKV, AVI); got {path.name!r}, {problem}.")


def _decoded(film: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Return the frames, without those that are damaged."""
    packets = film.demux(stream)
    while True:
        frames: list[Any] = []
        try:
            packet = next(packets, None)
            if packet is None:
                return
            frames = packet.decode()
        except FFmpegError:
            continue
        yield from frames


def _duration(film: InputContainer, stream: VideoStream) -> tuple[float, int]:
    """Return the length in seconds and the number of frames, from the packets of the file.

    What the file says of itself may be wrong, or missing: recordings of browsers have no length.
    """
    first, last, end, count = float("inf"), 0, 0, 0
    with suppress(FFmpegError):  # a file that is cut off ends here
        for packet in film.demux(stream):
            time = packet.dts if packet.pts is None else packet.pts
            if packet.size == 0:
                continue
            count += 1
            if time is not None:
                first, last = min(first, time), max(last, time)
                end = max(end, time + (packet.duration or 0))
    step = (last - first) / (count - 1) if count > 1 and last > first else 0
    seconds = float(max(end, last + step) - first) * float(stream.time_base or 0) if count else 0
    if not 0 < seconds < float("inf"):
        seconds = count / float(stream.average_rate or 25)
    return max(seconds, 1e-3), max(count, 1)


def _turns(frame: VideoFrame) -> int:
    """Return how many quarters a frame has to be turned, counter-clockwise, to be upright."""
    return round(frame.rotation / 90) % 4


def _upright_size(frame: VideoFrame, stream: VideoStream) -> tuple[int, int]:
    """Return rows and columns of a frame, upright and with square pixels."""
    height = frame.height
    width = max(1, round(frame.width * float(stream.sample_aspect_ratio or 1)))
    return (width, height) if _turns(frame) % 2 else (height, width)


def _to_rgb(
    frame: VideoFrame, stream: VideoStream, height: int, width: int
) -> UInt8[ndarray, "{height} {width} 3"]:
    """Return a frame upright, in sRGB and at this size."""
    turns = _turns(frame)
    rows, columns = (width, height) if turns % 2 else (height, width)
    context = stream.codec_context
    hdr = context.color_trc in _HDR
    matrix = _MATRICES.get(frame.colorspace)
    if frame.colorspace == _UNKNOWN:  # as players guess
        matrix = _BT709 if min(frame.height, frame.width) >= 720 else _BT601
    rgb = frame.reformat(
        columns,
        rows,
        "rgb48le" if hdr else "rgb24",
        src_colorspace=matrix,
        dst_color_range=_FULL,
        interpolation="AREA",
    ).to_ndarray()
    if hdr:
        coding = Coding(context.color_primaries, context.color_trc)
        rgb = to_srgb(rgb.astype(np.float32) / 65535, coding)
    return np.ascontiguousarray(np.rot90(rgb, turns))
