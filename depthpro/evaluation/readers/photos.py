"""Folders of photos whose metadata has the focal length, which measure fields of view.

FiveK, RAISE, PPR10K, SPAQ, ZOOM and DPDD of the paper are such folders, some of them as camera raw
files: those have to be developed first, into files that keep their metadata.
"""

from functools import partial
from pathlib import Path

from depthpro.evaluation.readers.case import Benchmark, Case, warn
from depthpro.image import load_image, read_focal_px

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".heic", ".heif")


def photos(root: str | Path) -> Benchmark:
    """List the photos in a folder and below, titled with the folder's name.

    Their metadata is read, not their pixels. Photos without a focal length are left out: a warning
    on stderr counts them. Files of other kinds and hidden ones are ignored.

    Raises:
        ValueError: If no photo has a focal length, one is broken, or two have the same name but
            for the suffix; from a case, if its pixels are broken.

    Source: Section 4, Table 3; FACTS 4. The paper's choice of photos is not published.
    """
    root = Path(root)
    cases, unknown = {}, []
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        hidden = any(part.startswith(".") for part in relative.parts)
        if hidden or path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        name = relative.with_suffix("").as_posix()
        if read_focal_px(path) is None:
            unknown.append(relative.as_posix())
        elif name in cases:
            raise ValueError(f"{root} has two photos called {name}: take one of them away")
        else:
            cases[name] = partial(_read_case, path)
    left_out = f"{len(unknown)} photos have no focal length in their metadata"
    if not cases:
        raise ValueError(
            f"photos ({' '.join(SUFFIXES)}) with a focal length were expected in {root}, but "
            f"{left_out}, and there are no others: take the originals"
        )
    if unknown:
        warn(f"{root}: left out: {left_out}, such as {unknown[0]}")
    return Benchmark(root.resolve().name, cases, ("focal",))


def _read_case(path: Path) -> Case:
    photo = load_image(path)
    return Case(photo.rgb, f_px=photo.f_px)
