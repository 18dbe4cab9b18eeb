"""A comparison of two results, for programs."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, cast

import gradio as gr
import numpy as np
from numpy import ndarray

from demo.api.store import Store
from demo.tabs.compare import compare as comparing
from demo.tabs.compare.compare import Maps, Other
from demo.tabs.compare.drawing import difference_layer
from depthpro.export import write_png
from depthpro.viz import with_colour_bar


class Compared(TypedDict):
    """How near the second depth is to the first, and a picture of both."""

    median_ratio: float | None
    """Median of second / first; None, like all numbers, for different photos."""
    delta1: float | None
    """Share of pixels within a factor of 1.25, in [0, 1]."""
    abs_rel: float | None
    """Mean of |second - first| / first."""
    aligned_delta1: float | None
    aligned_abs_rel: float | None
    """The same after the second is scaled so that the medians are equal."""
    pixels: int
    names: list[str]
    near_m: float
    far_m: float
    """Range of the colours of both."""
    picture: gr.FileData
    notice: str


@dataclass(frozen=True)
class Comparisons:
    """The function that programs call."""

    store: Store

    def compare(self, token: str, other_token: str) -> Compared:
        """Compare the depth of two results: one range of colours, and numbers for the same photo.

        The picture has the first depth, the second one and, for the same photo, their relative
        difference: blue where the second is nearer, red where it is farther. Results of the same
        photo are those of rescale, or of estimate at pages with different weights.

        Args:
            token: From estimate or rescale; its depth counts as the right one.
            other_token: From another call; of the same photo or of another one.

        Returns:
            Median ratio, δ1 and AbsRel, both as they are and at equal medians, and the picture.
        """
        entry, other_entry = self.store.find(token), self.store.find(other_token)
        first, second = entry.analysis, other_entry.analysis
        same = np.array_equal(first.rgb, second.rgb)
        other = Other("weights" if same else "photo", second.name, second)
        maps = comparing.maps(first, other) if same else None
        agreement = None if maps is None else comparing.agreement(maps)
        nothing = dict.fromkeys(comparing.Agreement._fields) | {"pixels": 0}
        notices = dict.fromkeys(each.provenance.notice for each in (first, second))
        pictures = comparing.pictures(first, other)
        path = entry.folder / f"{first.name[:80]}_compared.png"
        _write(path, pictures, maps, "; ".join(notices))
        values = {
            **(nothing if agreement is None else agreement._asdict()),
            "names": [first.name, second.name],
            "near_m": pictures.span.near_m,
            "far_m": pictures.span.far_m,
            # As a dictionary, since Gradio finds files only in those.
            "picture": gr.FileData(path=str(path), orig_name=path.name).model_dump(),
            "notice": "; ".join(notices),
        }
        return cast(Compared, values)


def _write(
    path: Path,
    pictures: comparing.Pictures,
    maps: Maps | None,
    notice: str,
) -> None:
    """Write both depths beside each other, the difference if there is one, and the bar."""
    parts: list[ndarray] = [pictures.a, pictures.b]
    if maps is not None:
        layer, _ = difference_layer(comparing.difference(maps, aligned=False), aligned=False)
        height, width = pictures.a.shape[:2]
        rows, columns = (
            np.arange(count) * full // count
            for count, full in zip((height, width), layer.shape[:2], strict=True)
        )
        small = layer[np.ix_(rows, columns)]
        parts.append(np.where(small[..., 3:] > 0, small[..., :3], 255).astype(np.uint8))
    tallest = max(len(part) for part in parts)
    padded = [
        np.pad(part, ((0, tallest - len(part)), (0, 8), (0, 0)), constant_values=255)
        for part in parts
    ]
    write_png(path, with_colour_bar(np.concatenate(padded, axis=1), pictures.span), notice)
