"""What the readers share: samples listed first and loaded later, and files that name themselves."""

import contextlib
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped, UInt8, UInt16
from numpy import ndarray
from PIL import Image

from depthpro.data.sample import Sample


class Frames(Sequence[Sample]):
    """Frames listed in `_frames` when a reader is made, loaded one by one by `_load`."""

    _frames: list[Any]
    synthetic = True
    """Whether depth is rendered. It is metric in all of these sets."""

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._frames)

    def __getitem__(self, index: Any) -> Any:
        """Return a sample, or a list of them for a slice.

        Raises:
            ValueError: If one of its files is missing or broken; with its name.
        """
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        return self._load(self._frames[index])

    def flags(self, index: int) -> tuple[bool, bool]:
        """Return whether a sample is metric and synthetic, without loading it."""
        return True, self.synthetic

    def _load(self, frame: Any) -> Sample:
        raise NotImplementedError


@contextlib.contextmanager
def naming(what: object) -> Iterator[None]:
    """Turn whatever reading `what` raises into a ValueError with its name."""
    try:
        yield
    except (OSError, SyntaxError, LookupError, TypeError, ValueError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"cannot read {what} ({reason}): get it again") from error


def read_rgb(path: Path) -> UInt8[ndarray, "h w 3"]:
    """Return an 8-bit picture."""
    with naming(path), Image.open(path) as image:
        return np.array(image.convert("RGB"))


def read_levels(path: Path, like: Shaped[ndarray, "h w *c"]) -> UInt8[ndarray, "h w"]:
    """Return an 8-bit grey image of the same size as `like`."""
    with naming(path), Image.open(path) as image:
        levels = np.array(image)
        if levels.dtype != np.uint8:
            raise ValueError(f"8-bit grey was expected, got {image.mode}")
        return _of_size(levels, like)


def read_steps(path: Path, like: Shaped[ndarray, "h w *c"]) -> UInt16[ndarray, "h w"]:
    """Return a 16-bit grey PNG of the same size as `like`."""
    with naming(path), Image.open(path) as image:
        if not image.mode.startswith("I"):  # "I;16", or "I" from some versions of Pillow
            raise ValueError(f"16-bit grey was expected, got {image.mode}")
        return _of_size(np.array(image).astype(np.uint16), like)


def read_hdf5(path: Path, like: Shaped[ndarray, "h w *c"]) -> Float[ndarray, "h w"]:
    """Return the array "dataset" of an HDF5 file, of the same size as `like`."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError("HDF5 files need h5py: pip install h5py") from error
    with naming(path), h5py.File(path, "r") as file:
        return _of_size(np.asarray(file["dataset"]), like)


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file by its header's names."""
    with naming(path), path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _of_size(values: ndarray, like: ndarray) -> ndarray:
    if values.shape != like.shape[:2]:
        raise ValueError(f"{like.shape[:2]} was expected, as its picture's, got {values.shape}")
    return values
