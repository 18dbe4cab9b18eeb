"""True depth of the example photos, and from uploaded files."""

import functools
import hashlib
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Bool, Float, Num, UInt8
from numpy import ndarray
from PIL import Image

from depthpro.data.shards import decode_sample
from depthpro.evaluation.readers.samples import motorcycle
from depthpro.evaluation.saved_depth import FORMATS, read_map
from depthpro.export import fit_size
from depthpro.image import load_image

EXAMPLES = Path(__file__).parents[2] / "examples"
"""Photos rendered with their depth, by `examples/render.py`."""
RENDERED = ("street.jpg", "room.jpg", "nature.jpg")
SUFFIXES = (".npz", ".npy", *FORMATS)
"""Suffixes of files that can be uploaded."""
SIDE = 800
"""Longer side, in pixels, of depth that is compared; larger truth is thinned out for speed."""
MAX_PIXELS = 25_000_000
"""Larger maps are refused before they are unpacked."""

_MAX_ARRAYS = 16
_MAX_MB = 300  # of all arrays of a file, unpacked
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others unpack without a limit
_LEAST_KNOWN = 100  # pixels
_FARTHEST_M = 20_000.0  # no photo has half of its pixels beyond
_ASPECT = 0.01
_FULL = 65535  # means "this far or farther" in the 16-bit PNG of `depthpro.export`


@dataclass(frozen=True, eq=False)
class Truth:
    """True depth of a photo."""

    depth: Float[ndarray, "h w"]
    """Metres along the optical axis; infinite for sky and where it is unknown."""
    mask: Bool[ndarray, "h w"]
    """Where it is known."""
    title: str
    """Its origin, for visitors."""
    camera: tuple[float, float, float] | None = None
    """Focal length, and column and row of the optical axis, in pixels of the photo."""

    @property
    def solid(self) -> Bool[ndarray, "h w"]:
        """Where it is known and not sky."""
        return self.mask & np.isfinite(self.depth)


def known(rgb: UInt8[ndarray, "h w 3"]) -> Truth | None:
    """Return the true depth of an example photo, recognised by its pixels; None for others."""
    shapes, truths = _examples()
    return truths.get(_digest(rgb)) if rgb.shape in shapes else None


def read_truth(path: Path, height: int, width: int, scale_m: float | None = None) -> Truth:
    """Return the depth in a file for a photo of `height` x `width` pixels.

    The file is NPZ with an array `depth`, NPY, PFM, or grey PNG or TIFF. Whole numbers have steps
    of `scale_m` metres; a PNG's own `scale_m` has precedence. 0, negative and infinite depth and
    NaN are unknown; so is 65535 in a PNG with a scale.

    Raises:
        ValueError: If the file is of another kind, broken, too large or of another shape than the
            photo, holds whole numbers without a scale, or no depth. The message does not reveal
            the file's folder.
    """
    name = path.name
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"Expected depth as {', '.join(SUFFIXES)}; got {name!r}. Save it as one of them."
        )
    try:
        own_scale = _check_size(path)
        values, _ = read_map(path)
    except Exception as error:  # a broken file raises whatever its library raises
        reason = str(error).replace(str(path), name)
        raise ValueError(f"Expected depth in {name!r}: {reason}") from error
    _check_shape(values, name, height, width)
    depth = _thinned(values)
    mask = np.ones(depth.shape, bool) if own_scale is None else depth < _FULL
    whole_numbers = depth.dtype.kind != "f"
    if whole_numbers:
        depth = depth * _scale(own_scale or scale_m, name)
    depth = depth.astype(np.float32)
    mask &= np.isfinite(depth) & (depth > 0)
    if mask.sum() < _LEAST_KNOWN:
        raise ValueError(
            f"Expected depth above 0 in {name!r}; only {mask.sum()} of {mask.size} pixels have "
            "some. Choose the file that holds the depth itself."
        )
    if whole_numbers and np.median(depth[mask]) > _FARTHEST_M:
        raise ValueError(
            f"Expected depth in metres; half of {name!r} would be farther than "
            f"{_FARTHEST_M / 1000:.0f} km. Type the metres of one step: 0.001 for millimetres."
        )
    size = f"{values.shape[1]} × {values.shape[0]} pixels"
    return Truth(np.where(mask, depth, np.float32(np.inf)), mask, f"{name}, {size}")


@functools.cache
def _examples() -> tuple[set[tuple[int, ...]], dict[bytes, Truth]]:
    """Return the shapes of the example photos, and their true depth by the photo's digest."""
    photos, truths = [], []
    for name in RENDERED:
        photo = EXAMPLES / name
        members = {"rgb.jpg": photo.read_bytes()}
        for suffix in ("inverse_depth.png", "json"):
            members[suffix] = photo.with_suffix(f".{suffix}").read_bytes()
        sample = decode_sample(members)
        photos.append(load_image(photo).rgb)
        mask = np.ones(sample.depth.shape, bool)
        camera = sample.f_px, sample.cx_px, sample.cy_px
        truths.append(Truth(sample.depth, mask, "rendered with the photo, so exact", camera))
    case = motorcycle().cases["motorcycle"]()
    assert case.depth is not None and case.mask is not None
    assert case.f_px is not None and case.cx_px is not None and case.cy_px is not None
    photos.append(case.rgb)
    title = "measured by structured light (Motorcycle of Middlebury 2014)"
    camera = case.f_px, case.cx_px, case.cy_px
    truths.append(Truth(np.where(case.mask, case.depth, np.inf), case.mask, title, camera))
    digests = [_digest(photo) for photo in photos]
    return {photo.shape for photo in photos}, dict(zip(digests, truths, strict=True))


def _digest(rgb: UInt8[ndarray, "h w 3"]) -> bytes:
    return hashlib.sha256(str(rgb.shape).encode() + rgb.tobytes()).digest()


def _check_size(path: Path) -> str | None:
    """Refuse a file that would unpack to too much; return the scale of a PNG."""
    suffix = path.suffix.lower()
    if suffix in FORMATS:
        with Image.open(path, formats=[FORMATS[suffix]]) as image:
            _check_count(math.prod(image.size))
            return image.info.get("scale_m")
    if suffix == ".npy":
        with path.open("rb") as file:
            _check_header(file, path.stat().st_size)
        return None
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        megabytes = sum(member.file_size for member in members) / 1e6
        known_packing = all(member.compress_type in _PACKED for member in members)
        if len(members) > _MAX_ARRAYS or megabytes > _MAX_MB or not known_packing:
            raise ValueError(
                f"{len(members)} arrays of {megabytes:.0f} MB. Save the depth alone, as numpy "
                f"writes it, with at most {_MAX_MB} MB"
            )
        for member in members:
            with archive.open(member) as file:
                _check_header(file, member.file_size)
    return None


def _check_header(file: IO[bytes], size: int) -> None:
    """Refuse an array for which numpy would reserve more memory than the file has bytes."""
    header = np.lib.format
    first = header.read_magic(file) == (1, 0)
    read = header.read_array_header_1_0 if first else header.read_array_header_2_0
    shape, _, dtype = read(file)
    _check_count(math.prod(shape))
    if math.prod(shape) * dtype.itemsize > size - file.tell():
        raise ValueError("it is cut off. Upload it again")


def _check_count(pixels: int) -> None:
    if pixels > MAX_PIXELS:
        raise ValueError(
            f"{pixels / 1e6:.0f} megapixels. Save it with at most {MAX_PIXELS // 10**6}"
        )


def _check_shape(values: Num[ndarray, "H W"], name: str, height: int, width: int) -> None:
    rows, columns = values.shape
    wanted = columns * height / width
    if abs(rows - wanted) > max(1, _ASPECT * wanted):
        raise ValueError(
            f"Expected depth of the photo's shape, {width} × {height}, at any size; {name!r} is "
            f"{columns} × {rows}. Choose the file of this photo, as upright as the photo is."
        )


def _thinned(values: Num[ndarray, "H W"]) -> Num[ndarray, "h w"]:
    """Return every n-th value, so that the longer side is at most `SIDE`."""
    height, width = values.shape
    rows, columns = (
        ((np.arange(count) + 0.5) * full / count).astype(int)
        for count, full in zip(fit_size(height, width, SIDE), (height, width), strict=True)
    )
    return values[np.ix_(rows, columns)]


def _scale(scale_m: float | str | None, name: str) -> float:
    """Return metres of one step, from the file or as typed."""
    if scale_m is None:
        raise ValueError(
            f"{name!r} holds whole numbers and does not say how many metres one step is. Type it: "
            "0.001 for millimetres, 1 for metres."
        )
    try:
        number = float(scale_m)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ValueError(
            f"Expected a number of metres above 0 for one step; got {str(scale_m)[:40]!r}. Type "
            "another one, such as 0.001."
        )
    return number
