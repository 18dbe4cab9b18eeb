"""Photos with a matte of their foreground, which measure sharp boundaries without depth.

`ROOT` holds, as the authors' archives unpack, photos `*.jpg` in one folder and mattes `*.png` of
the same names and sizes in another, each 8 bits:

    AM-2k, animals      validation/{original,mask}
    P3M-10k, people     validation/P3M-500-P/{blurred_image,mask}       their faces are blurred
                        validation/P3M-500-NP/{original_image,mask}     they are not
    DIS5K, things       DIS-{TR,VD,TE1,TE2,TE3,TE4}/{im,gt}

They are described in the repositories JizhiziLi/GFM, JizhiziLi/P3M and xuebinqin/DIS on GitHub.
A matte is 0 for background to 255 for foreground. Photos are read as they are stored, without
their orientation tag.

The paper names no split of the first two; their validation photos are the likely ones.
"""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from depthpro.data.frames import naming, read_rgb
from depthpro.evaluation.readers.case import Benchmark, Case, existing, fitting, listed

LISTING = "dis5k_sample_list.txt"
MODES = ("1", "L", "LA", "P", "RGB", "RGBA")
"""Pillow's names of pictures with 8 bits at most."""


def am2k(root: str | Path) -> Benchmark:
    """List AM-2k's 200 validation photos.

    Raises:
        ValueError: If files are missing; from a case, if one is broken.

    Source: Section 4, Table 2; FACTS 5.
    """
    cases = _cases(root, _photos(root, "validation/original"), "mask")
    return listed(Benchmark("AM-2k", cases, ("recall",)), root, "AM-2k")


def p3m10k(root: str | Path) -> Benchmark:
    """List both halves of P3M-10k's validation photos, 500 with blurred faces and 500 without.

    Raises:
        ValueError: If files are missing; from a case, if one is broken.

    Source: Section 4, Table 2; FACTS 5.
    """
    photos = _photos(root, "validation/P3M-500-P/blurred_image")
    photos += _photos(root, "validation/P3M-500-NP/original_image")
    cases = _cases(root, photos, "mask")
    return listed(Benchmark("P3M-10k", cases, ("recall",)), root, "P3M-10k")


def dis5k(root: str | Path) -> Benchmark:
    """List the photos of DIS5K in `ROOT/dis5k_sample_list.txt`, or without it all 5470.

    The paper took 200, after its authors had removed those where something stands before what the
    mask marks. Their code lists them, in `src/depth_pro/eval/dis5k_sample_list.txt`: lines such as
    `DIS5K/DIS-TE1/im/NAME.jpg`, of which the last three parts count.

    Raises:
        ValueError: If files are missing; from a case, if one is broken.

    Source: Section 4, Appendix C.6, Table 2; FACTS 5.2.
    """
    listing = Path(root) / LISTING
    photos = _photos(root, "DIS-*/im")
    if listing.exists():
        with naming(listing):
            lines = listing.read_text(encoding="utf-8").splitlines()
        parts = [Path(line.strip()).parts[-3:] for line in lines if line.strip()]
        photos = [existing(Path(root, *each)) for each in parts]
    cases = _cases(root, photos, "gt")
    return listed(Benchmark("DIS-5k", cases, ("recall",)), root, "DIS5K")


def _photos(root: str | Path, folder: str) -> list[Path]:
    return sorted(Path(root).glob(f"{folder}/[!.]*.jpg"))


def _cases(root: str | Path, photos: Iterable[Path], mattes: str) -> dict[str, Callable[[], Case]]:
    """Return the functions that read cases, by part/stem; mattes lie in a folder of this name."""
    cases = {}
    for photo in photos:
        part = photo.parents[1]
        matte = existing(part / mattes / f"{photo.stem}.png")
        cases[(part / photo.stem).relative_to(root).as_posix()] = partial(_read_case, photo, matte)
    return cases


def _read_case(photo: Path, matte: Path) -> Case:
    rgb = read_rgb(photo)
    with naming(matte), Image.open(matte) as image:
        if image.mode not in MODES:
            raise ValueError(f"8 bits were expected, got {image.mode}")
        levels = fitting(np.array(image.convert("L")), rgb)  # some have three equal channels
    return Case(rgb, alpha=levels / np.float32(255))
