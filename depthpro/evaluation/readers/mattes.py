"""AM-2k, P3M-10k and DIS5K: photos with a matte of their foreground, for sharp boundaries.

They are described in the repositories JizhiziLi/GFM, JizhiziLi/P3M and xuebinqin/DIS on GitHub. A
matte is 8-bit, 0 for background to 255 for foreground. Photos are read as they are stored, without
their orientation tag. The paper names no split of the first two; their validation photos are the
likely ones.

Source: Section 4, Appendix C.6, Table 2.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from depthpro.data.frames import fitting, naming, read_rgb
from depthpro.evaluation.readers.case import Benchmark, Case, find_cases

LISTING = "dis5k_sample_list.txt"
MODES = ("1", "L", "LA", "P", "RGB", "RGBA")  # of pictures with 8 bits at most


def am2k(root: str | Path) -> Benchmark:
    """List the 200 validation photos of animals."""
    files = ("validation/original/{photo}.jpg", "validation/mask/{photo}.png")
    return _benchmark("AM-2k", root, "validation/{photo}", files)


def p3m10k(root: str | Path) -> Benchmark:
    """List the validation photos of people.

    500 have blurred faces, `P3M-500-P/blurred_image`, and 500 not, `P3M-500-NP/original_image`.
    """
    files = ("validation/{half}/{kind}_image/{photo}.jpg", "validation/{half}/mask/{photo}.png")
    return _benchmark("P3M-10k", root, "validation/{half}/{photo}", files)


def dis5k(root: str | Path) -> Benchmark:
    """List the photos of DIS5K in `ROOT/dis5k_sample_list.txt`, or without it all 5470.

    The paper took 200, after its authors had removed those where something stands before what the
    mask marks. Their code lists them, in `src/depth_pro/eval/dis5k_sample_list.txt`: lines such as
    `DIS5K/DIS-TE1/im/NAME.jpg`. All photos are in the parts TR, VD and TE1 to TE4.

    Raises:
        ValueError: If a file is missing, or the list names no photo.
    """
    files = ("DIS-{part}/im/{photo}.jpg", "DIS-{part}/gt/{photo}.png")
    everything = _benchmark("DIS-5k", root, "DIS-{part}/{photo}", files)
    listing = Path(root, LISTING)
    if not listing.exists():
        return everything
    with naming(listing):
        paths = [Path(line.strip()) for line in listing.read_text(encoding="utf-8").splitlines()]
        names = [f"{path.parts[-3]}/{path.stem}" for path in paths if path.name]
        if not names:
            raise ValueError("it names no photo")
        cases = {name: everything.cases[name] for name in names}
    return Benchmark(everything.title, cases, everything.measures)


def _benchmark(title: str, root: str | Path, name: str, files: tuple[str, str]) -> Benchmark:
    cases = find_cases(root, name, files, _read, f"{title}'s archives")
    return Benchmark(title, cases, ("recall",))


def _read(photo: Path, matte: Path) -> Case:
    rgb = read_rgb(photo)
    with naming(matte), Image.open(matte) as image:
        if image.mode not in MODES:
            raise ValueError(f"8 bits were expected, got {image.mode}")
        levels = fitting(np.array(image.convert("L")), rgb)  # some have three equal channels
    return Case(rgb, alpha=levels / np.float32(255))
