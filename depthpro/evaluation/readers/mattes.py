"""AM-2k, P3M-10k and DIS5K: photos with a matte of their foreground, for sharp boundaries.

They are described in the repositories JizhiziLi/GFM, JizhiziLi/P3M and xuebinqin/DIS on GitHub. A
matte is 8-bit, 0 for background to 255 for foreground. Photos are read as they are stored, without
their orientation tag. The paper names no split of the first two; their validation photos are the
likely ones.

Source: Section 4, Appendix C.6, Table 2.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from depthpro.data.frames import fitting, naming, read_rgb
from depthpro.evaluation.readers.case import Benchmark, Case, Layout

LISTING = "dis5k_sample_list.txt"
MODES = ("1", "L", "LA", "P", "RGB", "RGBA")
"""Pillow's names of pictures with 8 bits at most."""


def dis5k(root: str | Path) -> Benchmark:
    """List the photos of DIS5K in `ROOT/dis5k_sample_list.txt`, or without it all 5470.

    The paper took 200, after its authors had removed those where something stands before what the
    mask marks. Their code lists them, in `src/depth_pro/eval/dis5k_sample_list.txt`: lines such as
    `DIS5K/DIS-TE1/im/NAME.jpg`.

    Raises:
        ValueError: If a file is missing, or the list names no photo.
    """
    everything, listing = DIS5K.open(root), Path(root, LISTING)
    if not listing.exists():
        return everything
    with naming(listing):
        lines = [line.strip() for line in listing.read_text(encoding="utf-8").splitlines()]
        paths = [Path(line) for line in lines if line]
        names = [f"{path.parts[-3]}/{path.stem}" for path in paths]
        if not names:
            raise ValueError("it names no photo")
        return replace(everything, cases={name: everything.cases[name] for name in names})


def _read(photo: Path, matte: Path) -> Case:
    rgb = read_rgb(photo)
    with naming(matte), Image.open(matte) as image:
        if image.mode not in MODES:
            raise ValueError(f"8 bits were expected, got {image.mode}")
        levels = fitting(np.array(image.convert("L")), rgb)  # some have three equal channels
    return Case(rgb, alpha=levels / np.float32(255))


def _layout(title: str, name: str, photos: str, mattes: str) -> Layout:
    return Layout(title, ("recall",), None, f"{title}'s archives", name, (photos, mattes), _read)


AM2K = _layout(
    "AM-2k", "validation/{photo}", "validation/original/{photo}.jpg", "validation/mask/{photo}.png"
)
"""The 200 validation photos of animals."""

P3M10K = _layout(
    "P3M-10k",
    "validation/{half}/{photo}",
    "validation/{half}/{kind}_image/{photo}.jpg",
    "validation/{half}/mask/{photo}.png",
)
"""The validation photos of people: 500 with blurred faces, `P3M-500-P/blurred_image`, and 500
without, `P3M-500-NP/original_image`."""

DIS5K = _layout(
    "DIS-5k", "DIS-{part}/{photo}", "DIS-{part}/im/{photo}.jpg", "DIS-{part}/gt/{photo}.png"
)
"""Photos of things, in the parts TR, VD and TE1 to TE4."""
