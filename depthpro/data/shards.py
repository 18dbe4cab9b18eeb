"""Shards: samples on disk, many to a file.

A shard is an uncompressed tar, readable by any tar program and any WebDataset loader. A sample is
the members that share a key (six digits by convention):

`KEY.rgb.jpg` or `KEY.rgb.png`
    The picture, 8-bit sRGB.
`KEY.inverse_depth.png`
    16-bit grey. The 16 bits are an IEEE half-precision float: inverse z-depth in 1/m, 0 where there
    is sky. Depth comes back within 0.05 % from 0.1 mm to 16 km; anything farther becomes sky. As
    half floats sort like integers, any viewer shows something like log depth.
`KEY.mask.png`
    Optional, 8-bit grey: 0 where depth is unknown. Without it depth is known everywhere.
`KEY.json`
    `f_px`, `fy_px`, `cx_px`, `cy_px` (pixels of this picture; pixel centres at integers; `f_px` is
    horizontal, and `fy_px` differs where a picture is stretched), `metric` (depth is metres, else
    known up to a factor), `synthetic` (depth is exact, else from a sensor), `family` and `seed`
    (free text and numbers, may be empty).

Any RGB-D data can be written so: `write_shard(path, samples)`.
"""

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from torch.utils.data import ConcatDataset

from depthpro.data.frames import Frames, fitting, naming
from depthpro.data.sample import Sample
from depthpro.files import whole_file

JPEG_QUALITY = 95
_FACTS = ("f_px", "fy_px", "cx_px", "cy_px", "metric", "synthetic", "family", "seed")

_Places = dict[str, tuple[int, int]]
"""Offset and size of a sample's members in the file, by suffix."""


def write_shard(path: str | Path, samples: Iterable[Sample]) -> int:
    """Write a shard that appears whole or not at all, and return how many samples it has."""
    count = 0
    with whole_file(path) as temporary, tarfile.open(temporary, "w") as archive:
        for count, sample in enumerate(samples, start=1):
            for suffix, content in encode_sample(sample).items():
                member = tarfile.TarInfo(f"{count - 1:06d}.{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return count


def encode_sample(sample: Sample) -> dict[str, bytes]:
    """Return a sample's members by suffix; a ValueError if its parts do not fit together."""
    fitting(sample.depth, sample.rgb)
    mask = np.ones(sample.depth.shape, bool) if sample.mask is None else sample.mask
    if not (sample.depth[fitting(mask, sample.rgb)] > 0).all():
        raise ValueError(
            "depth must be positive, or infinite for sky, wherever the mask says it is known; "
            f"got {sample.depth[mask].min()}"
        )
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        inverse = np.minimum(1 / sample.depth.astype(np.float32), 6e4).astype(np.float16)
    members = {
        "rgb.jpg": _encode(sample.rgb, "JPEG", quality=JPEG_QUALITY, subsampling=0),
        "inverse_depth.png": _encode(np.where(mask, inverse, np.float16(0)).view(np.uint16)),
        "json": json.dumps({name: getattr(sample, name) for name in _FACTS}).encode(),
    }
    if sample.mask is not None:
        members["mask.png"] = _encode(mask.astype(np.uint8) * 255)
    return members


def _encode(pixels: np.ndarray, kind: str = "PNG", **options: int) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind, **(options or {"compress_level": 1}))
    return content.getvalue()


class Shard(Frames):
    """A shard, read sample by sample in any order; only the table of contents is in memory."""

    def __init__(self, path: str | Path) -> None:
        """Read the table of contents; a ValueError if the file is broken or is no shard."""
        self.path = Path(path)
        places: dict[str, _Places] = {}
        with (
            naming(self.path),
            self.path.open("rb") as file,
            tarfile.open(fileobj=file, mode="r:") as archive,
        ):
            for member in archive:
                if member.size < 0:  # leads tarfile back to an earlier member, for ever
                    raise ValueError(f"{member.name} has size {member.size}")
                if member.isreg():
                    key, _, suffix = member.name.removeprefix("./").partition(".")
                    places.setdefault(key, {})[suffix] = (member.offset_data, member.size)
            file.seek(archive.offset)
            if file.read(512) != bytes(512):  # tarfile takes a broken header for the end
                raise ValueError(f"it is cut or broken at byte {archive.offset}")
        self._frames = list(places.items())

    def flags(self, index: int) -> tuple[bool, bool]:
        """Return whether a sample is metric and synthetic, without decoding it."""
        key, places = self._frames[index]
        with naming(f"sample {key} of {self.path}"):
            facts = json.loads(self._read({"json": places["json"]})["json"])
            return bool(facts["metric"]), bool(facts["synthetic"])

    def _load(self, frame: tuple[str, _Places]) -> Sample:
        key, places = frame
        with naming(f"sample {key} of {self.path}"):
            return decode_sample(self._read(places))

    def _read(self, places: _Places) -> dict[str, bytes]:
        members = {}
        with self.path.open("rb") as file:
            for suffix, (start, length) in places.items():
                file.seek(start)
                members[suffix] = file.read(length)
        return members


def decode_sample(members: dict[str, bytes]) -> Sample:
    """Return a sample from its members by suffix; the inverse of `encode_sample`.

    Raises:
        ValueError: If members do not fit together; `Shard` names those that are missing or broken.
    """
    facts = json.loads(members["json"])
    camera = [float(facts[name]) for name in _FACTS[:4]]
    if not (np.isfinite(camera).all() and min(camera[:2]) > 0):
        raise ValueError(f"focal lengths above 0 and a finite centre were expected, got {camera}")
    files = {name.split(".")[0]: io.BytesIO(members[name]) for name in members if name != "json"}
    images = {name: Image.open(file, formats=("JPEG", "PNG")) for name, file in files.items()}
    rgb, bits = np.asarray(images["rgb"].convert("RGB")), images["inverse_depth"]
    mask = np.asarray(images["mask"]) > 0 if "mask" in images else None
    if not bits.mode.startswith("I"):  # "I;16", or "I" from some versions of Pillow
        raise ValueError(f"inverse depth must be 16-bit grey, got {bits.mode}")
    with np.errstate(divide="ignore"):
        depth = 1 / np.array(bits).astype(np.uint16).view(np.float16).astype(np.float32)
    fitting(depth, rgb)
    if mask is not None:
        fitting(mask, rgb)
    return Sample(
        rgb,
        depth,
        *camera,
        mask=mask,
        metric=bool(facts["metric"]),
        synthetic=bool(facts["synthetic"]),
        family=str(facts.get("family", "")),
        seed=tuple(facts.get("seed", ())),
    )


def open_shards(folder: str | Path) -> ConcatDataset[Sample]:
    """Return the samples of a folder's shards; a ValueError if there is none or one is broken."""
    paths = sorted(Path(folder).glob("[!.]*.tar"))  # hidden ones are half written
    if not paths:
        raise ValueError(f"no shards (*.tar) in {folder}: make some with python -m depthpro render")
    return ConcatDataset(Shard(path) for path in paths)
