"""Several photos into one ZIP: their files, and a table of all."""

import csv
import dataclasses
import io
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from demo import export, pipeline, screen
from demo.pipeline import Analysis, Predictor
from demo.session import sentence
from demo.tabs.depth.style import DepthStats, depth_stats
from demo.tabs.many.job import EXPECTED, Folder, Step, Work
from depthpro.export import fit_size
from depthpro.viz import colorize

MOST_PHOTOS = 50
MOST_BYTES = 500_000_000
_MOST_ZIP_BYTES = 3_000_000_000
_THUMB_SIDE = 256


class Done(NamedTuple):
    """A photo that is done."""

    row: export.Description
    depth: DepthStats
    thumbnail: str
    """Its depth map, as a data URI."""


@dataclass(eq=False)
class Batch:
    """Photos, and what has been made of them so far."""

    paths: list[Path]
    formats: tuple[export.Format, ...]
    names: list[str] = field(init=False)
    """One for each photo, no two alike."""
    done: dict[int, Done] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    """Why, by the photo's number."""
    folder: Folder = field(default_factory=Folder)

    def __post_init__(self) -> None:
        """Name the photos."""
        self.names = own_names(path.stem for path in self.paths)

    @property
    def archive(self) -> Path:
        """The ZIP, which is whole after every photo."""
        return self.folder.path / "depth.zip"


def check(paths: Sequence[Path]) -> None:
    """Refuse no photos, or more than the page takes."""
    if not paths:
        raise ValueError("Choose some photos first.")
    if len(paths) > MOST_PHOTOS:
        raise ValueError(
            f"Expected at most {MOST_PHOTOS} photos; got {len(paths)}. Take away some of them."
        )
    total = sum(path.stat().st_size for path in paths)
    if total > MOST_BYTES:
        raise ValueError(
            f"Expected at most {MOST_BYTES / 1e6:.0f} MB together; got {total / 1e6:.0f} MB. Take "
            "away some of the photos."
        )


def own_names(stems: Iterable[str]) -> list[str]:
    """Return names of which no two are alike, also where large and small letters are the same."""
    names: list[str] = []
    taken: set[str] = set()
    for stem in stems:
        name, number = stem, 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


def work(model: Predictor, batch: Batch) -> Work[Batch]:
    """Call the network for one photo after the other; one that fails does not stop the rest."""
    count = len(batch.paths)
    try:
        for number, path in enumerate(batch.paths):
            text = f"Photo {number + 1} of {count}: {path.name}"
            yield Step(number / count, text, True)
            try:
                analysis = pipeline.analyse(model, path)
                yield Step((number + 0.5) / count, text, False)
                _keep(batch, number, analysis)
            except EXPECTED as error:
                # The message of gr.Error is not its text.
                batch.failed[number] = sentence(getattr(error, "message", "") or error)
    finally:  # also if it is cancelled: what is done can be kept
        if batch.done:
            with zipfile.ZipFile(batch.archive, "a") as archive:
                archive.writestr("summary.csv", summary(batch))
                archive.writestr("LICENCE.txt", f"{model.provenance.notice}\n")
    return batch


def summary(batch: Batch) -> str:
    """Return the table of all photos as CSV, in metres, with those that failed and why."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for number, (path, name) in enumerate(zip(batch.paths, batch.names, strict=True)):
        if number in batch.done:
            row, depth, _ = batch.done[number]
            writer.writerow(
                [
                    name,
                    path.name,
                    row["width_px"],
                    row["height_px"],
                    f"{row['f_px']:.6g}",
                    row["f_px_source"],
                    f"{row['fov_deg']:.5g}",
                    *(f"{each:.6g}" for each in depth),
                    "",
                ]
            )
        else:
            problem = batch.failed.get(number, "cancelled before its turn")
            writer.writerow([name, path.name, *[""] * (len(_COLUMNS) - 3), problem])
    return table.getvalue()


_COLUMNS = (
    "name",
    "file",
    "width_px",
    "height_px",
    "f_px",
    "f_px_source",
    "fov_deg",
    "near_m",
    "median_m",
    "far_m",
    "sky_share",
    "problem",
)


def _keep(batch: Batch, number: int, analysis: Analysis) -> None:
    """Add the files of a photo to the ZIP."""
    if batch.archive.exists() and batch.archive.stat().st_size > _MOST_ZIP_BYTES:
        raise ValueError(
            f"The ZIP has {_MOST_ZIP_BYTES / 1e9:.0f} GB already; take fewer photos or formats."
        )
    analysis = dataclasses.replace(analysis, name=batch.names[number])
    with tempfile.TemporaryDirectory(dir=batch.folder.path) as parts:
        files = [export.write_file(analysis, parts, kind) for kind in batch.formats]
        with zipfile.ZipFile(batch.archive, "a") as archive:
            for file in files:
                archive.write(file, file.name)
    row, depth = export.describe(analysis), depth_stats(analysis.prediction)
    batch.done[number] = Done(row, depth, _thumbnail(analysis))


def _thumbnail(analysis: Analysis) -> str:
    prediction = analysis.prediction
    size = fit_size(prediction.height, prediction.width, _THUMB_SIDE)
    return screen.picture_uri(colorize(prediction.depth_at(*size)[0].numpy()), "JPEG")
