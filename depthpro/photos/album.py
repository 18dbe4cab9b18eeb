"""The photos of files and folders, and what became of each."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

PHOTO_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".tif", ".tiff", ".heic", ".heif",
    ".hif", ".avif",
)  # fmt: skip
"""In any case. A file that is named itself may have any suffix."""
_RESULT = re.compile(r"\.\w+_(depth|colour|grey|normals|cutout)\.png$")  # photo.jpg_depth.png
Kind = Literal["done", "refused", "there already"]


class Album(NamedTuple):
    """Photos with the path that their results' names start with, and what is none."""

    jobs: dict[Path, Path]
    left_out: Counter[str]  # files in the folders that are no photos, by suffix


def find_photos(sources: Sequence[Path], out: Path) -> Album:
    """Return the photos of files and folders, linked folders among them.

    Folders within a source are kept. The whole name of the photo starts the names of its files, so
    that photo.jpg and photo.png do not meet. Hidden files and earlier results are passed over. A
    ValueError if a source holds no photo, or two of them have photos of the same name.
    """
    jobs, left_out = dict[Path, Path](), Counter[str]()
    for source in sources:
        if not source.exists():
            raise ValueError(f"no such file or folder: {str(source)!r}")
        photos, root = [source], source.parent
        if source.is_dir():
            files, root = sorted(_files(source, out)), source
            photos = [path for path in files if path.suffix.lower() in PHOTO_SUFFIXES]
            left_out.update(path.suffix.lower() for path in {*files} - {*photos})
        if not photos:
            raise ValueError(f"no photos in {str(source)!r}: looked for {' '.join(PHOTO_SUFFIXES)}")
        jobs |= {photo.absolute(): out / photo.relative_to(root) for photo in photos}
    if len(set(jobs.values())) < len(jobs):
        raise ValueError(
            "photos of the same name in two sources would be written to the same files: pass the "
            "folder that holds both, or give each an --out of its own"
        )
    return Album(jobs, left_out)


def _files(folder: Path, out: Path) -> Iterator[Path]:
    """Yield the files in a folder and those below; a link to a folder above is followed once."""
    seen = {out.resolve()}
    for parent, folders, names in os.walk(folder, followlinks=True):
        seen.add(Path(parent).resolve())
        visible = [name for name in folders if not name.startswith(".")]
        folders[:] = [name for name in visible if Path(parent, name).resolve() not in seen]
        for name in names:
            if not name.startswith(".") and not _RESULT.search(name):
                yield Path(parent, name)


class Outcome(NamedTuple):
    """What became of a photo."""

    photo: str
    kind: Kind
    reason: str = ""


def summary(outcomes: Sequence[Outcome], album: Album) -> list[str]:
    """Return lines for the end: the refused photos with the reason, then one that counts all."""
    refused = [f"  {each.photo}: {each.reason}" for each in outcomes if each.kind == "refused"]
    counts = {kind: sum(each.kind == kind for each in outcomes) for kind in get_args(Kind)}
    counts["not reached"] = len(album.jobs) - len(outcomes)
    parts = [f"{count} {kind}" for kind, count in counts.items() if count]
    line = f"{_photos(len(album.jobs))}: {', '.join(parts)}"
    if album.left_out:
        kinds = [f"{n} {kind or 'no suffix'}" for kind, n in sorted(album.left_out.items())]
        line += f"; left out, no photos by their suffix: {', '.join(kinds)}"
    were = "was" if len(refused) == 1 else "were"
    heading = [f"{_photos(len(refused))} {were} refused:"] if refused else []
    return [*heading, *refused, line]


def _photos(count: int) -> str:
    return "1 photo" if count == 1 else f"{count} photos"
