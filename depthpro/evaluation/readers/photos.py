"""Folders of photos whose metadata has the focal length: what fields of view are measured on.

FiveK, RAISE, PPR10K, SPAQ, ZOOM and DPDD of the paper are such folders, some of them as camera raw
files: those have to be developed first, into files that keep their metadata.
"""

from functools import partial
from pathlib import Path

from depthpro.evaluation.readers.case import Benchmark, Case, warn
from depthpro.image import load_image, read_focal_px

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".heic", ".heif")
SHOWN = 5
"""How many names a warning has."""


def photos(root: str | Path) -> Benchmark:
    """List the photos in a folder and below, titled with the folder's name.

    Their metadata is read, not their pixels. Photos without a focal length in it, and files of
    other kinds, cannot be measured: a warning on stderr counts them and names the first ones.
    Hidden files are none of these.

    Raises:
        ValueError: If no photo has a focal length, one is broken, or two have the same name but
            for the suffix; from a case, if its pixels are broken.

    Source: Section 4, Table 3; FACTS 4. The paper's choice of photos is not published.
    """
    root = Path(root)
    cases, unknown, others = {}, [], []
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        name = relative.with_suffix("").as_posix()
        if not path.is_file() or any(part.startswith(".") for part in relative.parts):
            continue
        if path.suffix.lower() not in SUFFIXES:
            others.append(relative.as_posix())
        elif read_focal_px(path) is None:
            unknown.append(relative.as_posix())
        elif name in cases:
            raise ValueError(f"{root} has two photos called {name}: take one of them away")
        else:
            cases[name] = partial(_read_case, path)
    if not cases:
        raise ValueError(
            f"photos ({' '.join(SUFFIXES)}) with a focal length in their metadata were expected in "
            f"{root}, got {len(unknown)} photos without and {len(others)} files of other kinds: "
            "take the originals"
        )
    _warn(root, unknown, "photos without a focal length in their metadata")
    _warn(root, others, f"files that are not photos ({' '.join(SUFFIXES)})")
    return Benchmark(root.resolve().name, cases, ("focal",))


def _warn(root: Path, names: list[str], kind: str) -> None:
    if names:
        shown = ", ".join(names[:SHOWN]) + ", …" * (len(names) > SHOWN)
        warn(f"{root}: left out {len(names)} {kind}: {shown}")


def _read_case(path: Path) -> Case:
    photo = load_image(path)
    return Case(photo.rgb, f_px=photo.f_px)
