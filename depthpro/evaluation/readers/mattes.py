"""Photos with a matte of their foreground: what sharp boundaries are measured on without depth.

`ROOT` holds, as the authors' archives unpack, photos `*.jpg` in one folder and mattes `*.png` of
the same names and sizes in another, each 8 bits:

    AM-2k, animals      validation/{original,mask}
    P3M-10k, people     validation/P3M-500-P/{blurred_image,mask}       their faces are blurred
                        validation/P3M-500-NP/{original_image,mask}     they are not
    DIS5K, things       DIS-{TR,VD,TE1,TE2,TE3,TE4}/{im,gt}

They are described in the repositories JizhiziLi/GFM, JizhiziLi/P3M and xuebinqin/DIS on GitHub.
A matte is 0 for background to 255 for foreground. Photos are taken as they are stored, whatever
their orientation tag says.

The paper names no split of the first two; their validation photos are the likely ones.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from depthpro.data.frames import naming, read_rgb
from depthpro.evaluation.readers.case import Benchmark, Case

PARTS = ("DIS-TR", "DIS-VD", "DIS-TE1", "DIS-TE2", "DIS-TE3", "DIS-TE4")
LISTING = "dis5k_sample_list.txt"
MODES = ("1", "L", "LA", "P", "RGB", "RGBA")
"""Pillow's names of pictures with 8 bits at most."""

Cases = dict[str, Callable[[], Case]]


def am2k(root: str | Path) -> Benchmark:
    """List AM-2k's 200 validation photos.

    Raises:
        ValueError: If there are none, or one has no matte or a matte no photo; from a case, if a
            file is broken.

    Source: Section 4, Table 2; FACTS 5.
    """
    cases = _pair(Path(root), "validation", "original", "mask")
    return Benchmark("AM-2k", cases, ("recall",))


def p3m10k(root: str | Path) -> Benchmark:
    """List both halves of P3M-10k's validation photos, 500 with blurred faces and 500 without.

    Raises:
        ValueError: If a half has none, or one has no matte or a matte no photo; from a case, if a
            file is broken.

    Source: Section 4, Table 2; FACTS 5.
    """
    cases = _pair(Path(root), "validation/P3M-500-P", "blurred_image", "mask")
    cases |= _pair(Path(root), "validation/P3M-500-NP", "original_image", "mask")
    return Benchmark("P3M-10k", cases, ("recall",))


def dis5k(root: str | Path, listing: str | Path | None = None) -> Benchmark:
    """List the photos of DIS5K that a listing names, or all 5470.

    The paper took 200, after it had removed by hand those where something stands before what the
    mask marks. Its code lists them, in `src/depth_pro/eval/dis5k_sample_list.txt`.

    Args:
        root: The folder that holds the parts.
        listing: A text file of lines such as `DIS5K/DIS-TE1/im/NAME.jpg`, of which the last three
            parts count; None for `ROOT/dis5k_sample_list.txt` if there is one, else for all photos
            of all parts, training as well.

    Raises:
        ValueError: If a part has no photos, a photo has no matte or a matte no photo, or the
            listing is missing, empty, or names what is not there; from a case, if a file is broken.

    Source: Section 4, Appendix C.6, Table 2; FACTS 5.2.
    """
    root = Path(root)
    if listing is None and (root / LISTING).exists():
        listing = root / LISTING
    cases: Cases = {}
    if listing is None:
        for part in PARTS:
            cases |= _pair(root, part, "im", "gt")
        return Benchmark("DIS-5k", cases, ("recall",))
    for photo in _read_listing(Path(listing)):
        part, stem = photo.parts[0], photo.stem
        files = root / photo, root / part / f"gt/{stem}.png"
        for path in files:
            if not path.is_file():
                raise ValueError(f"{path}, as in {listing}, is missing: unpack DIS5K in {root}")
        cases[f"{part}/{stem}"] = partial(_read_case, *files)
    return Benchmark("DIS-5k", cases, ("recall",))


def _read_listing(path: Path) -> list[Path]:
    with naming(path):
        lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
        photos = [Path(*Path(line).parts[-3:]) for line in lines if line]
        if not photos:
            raise ValueError("it names no photos")
    return photos


def _pair(root: Path, part: str, photos: str, mattes: str) -> Cases:
    """Return what reads the cases of a part of a set, by part/stem."""
    found = {path.stem: path for path in sorted((root / part / photos).glob("[!.]*.jpg"))}
    masks = {path.stem: path for path in (root / part / mattes).glob("[!.]*.png")}
    if not found:
        raise ValueError(f"no photos ({part}/{photos}/*.jpg) in {root}: unpack the set there")
    for stem in sorted(found.keys() ^ masks.keys()):
        missing = f"{mattes}/{stem}.png" if stem in found else f"{photos}/{stem}.jpg"
        raise ValueError(f"{root / part / missing} is missing: unpack the set again")
    return {
        f"{part}/{stem}": partial(_read_case, path, masks[stem]) for stem, path in found.items()
    }


def _read_case(photo: Path, matte: Path) -> Case:
    rgb = read_rgb(photo)
    with naming(matte), Image.open(matte) as image:
        if image.mode not in MODES:
            raise ValueError(f"8 bits were expected, got {image.mode}")
        levels = np.array(image.convert("L"))  # some have three equal channels
        if levels.shape != rgb.shape[:2]:
            raise ValueError(f"{rgb.shape[:2]} was expected, as its photo's, got {levels.shape}")
    return Case(rgb, alpha=levels / np.float32(255))
