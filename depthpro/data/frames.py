"""The readers' base: samples are listed first and loaded later, and errors name the file."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped, UInt8, UInt16
from numpy import ndarray
from PIL import Image
from torch.utils.data import Dataset

from depthpro.data.sample import Sample


class Frames(Dataset[Sample]):
    """Samples that a reader lists when it is made, and loads one by one."""

    synthetic = True
    """Whether depth is rendered. It is metric in all of the public sets."""

    def __init__(self, frames: list[Any], hint: str) -> None:
        """Keep the frames, of any kind that `_load` takes; a ValueError if there are none."""
        if not frames:
            raise ValueError(f"no frames {hint}")
        self._frames = frames

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._frames)

    def __getitem__(self, index: int) -> Sample:
        """Load a sample; a ValueError names a file that is broken."""
        return self._load(self._frames[index])

    def flags(self, index: int) -> tuple[bool, bool]:
        """Return whether a sample is metric and synthetic, without loading it."""
        return True, self.synthetic

    def _load(self, frame: Any) -> Sample:
        raise NotImplementedError


@contextlib.contextmanager
def naming(what: object) -> Iterator[None]:
    """Turn any error of reading `what` into a ValueError with its name."""
    try:
        yield
    except Exception as error:  # decoders raise many kinds
        reason = (
            f"no {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
        )
        raise ValueError(f"cannot read {what} ({reason}): get it again") from error


def existing(path: Path, archive: str = "it") -> Path:
    """Return the path of a file that comes out of an archive; a ValueError if there is none."""
    if not path.is_file():
        raise ValueError(f"{path} is missing: unpack {archive} again")
    return path


def fitting(
    values: Shaped[ndarray, "..."], rgb: UInt8[ndarray, "h w 3"], scale: int = 1
) -> Shaped[ndarray, "..."]:
    """Return a map of a picture's size, or `scale` times that; a ValueError if it has another."""
    expected = scale * rgb.shape[0], scale * rgb.shape[1]
    if values.shape != expected:
        raise ValueError(f"{expected} was expected for its picture, got {values.shape}")
    return values


def read_rgb(path: Path) -> UInt8[ndarray, "h w 3"]:
    """Read an 8-bit picture."""
    with naming(path), Image.open(path) as image:
        return np.array(image.convert("RGB"))


def read_steps(path: Path, like: UInt8[ndarray, "h w 3"]) -> UInt16[ndarray, "h w"]:
    """Read a 16-bit grey PNG of the same size as the picture `like`."""
    with naming(path), Image.open(path) as image:
        if not image.mode.startswith("I"):  # "I;16", or "I" from some versions of Pillow
            raise ValueError(f"16-bit grey was expected, got {image.mode}")
        return fitting(np.array(image).astype(np.uint16), like)
