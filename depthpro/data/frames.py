"""What the readers share: samples listed first and loaded later, and errors that name the file."""

import contextlib
import csv
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
    """Samples listed in `_frames` when a reader is made, loaded one by one by `_load`."""

    _frames: list[Any]
    synthetic = True
    """Whether depth is rendered. It is metric in all of the public sets."""

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._frames)

    def __getitem__(self, index: int) -> Sample:
        """Load a sample.

        Raises:
            ValueError: If one of its files is missing or broken; with its name.
        """
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
    except (OSError, SyntaxError, LookupError, TypeError, ValueError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"cannot read {what} ({reason}): get it again") from error


def read_rgb(path: Path) -> UInt8[ndarray, "h w 3"]:
    """Read an 8-bit picture."""
    with naming(path), Image.open(path) as image:
        return np.array(image.convert("RGB"))


def read_steps(path: Path, like: Shaped[ndarray, "h w *c"]) -> UInt16[ndarray, "h w"]:
    """Read a 16-bit grey PNG of the same size as `like`."""
    with naming(path), Image.open(path) as image:
        if not image.mode.startswith("I"):  # "I;16", or "I" from some versions of Pillow
            raise ValueError(f"16-bit grey was expected, got {image.mode}")
        return of_size(np.array(image).astype(np.uint16), like)


def read_table(path: Path) -> list[dict[str, str]]:
    """Read the rows of a CSV file, by its header's names."""
    with naming(path), path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def of_size(values: ndarray, like: ndarray) -> ndarray:
    """Return the values if they have the height and width of `like`.

    Raises:
        ValueError: If they have not.
    """
    if values.shape != like.shape[:2]:
        raise ValueError(f"{like.shape[:2]} was expected, as its picture's, got {values.shape}")
    return values
