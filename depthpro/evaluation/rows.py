"""Rows of results in a JSON Lines file, beside a record of what they were measured with."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from depthpro.evaluation.scoring import Row
from depthpro.files import whole_file


class Results(NamedTuple):
    """The rows of one system on one benchmark."""

    record: dict[str, Any]
    """What they were measured with: at least `benchmark`, `system` and `notes`, all strings."""
    rows: list[Row]


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a file, none if it is missing, without a last line that was cut off."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.split("\n")[:-1]]


def write_rows(path: Path, rows: Iterable[Row], record: dict[str, Any]) -> None:
    """Replace the rows of a file, and the record beside it."""
    with whole_file(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n")
    with whole_file(path) as temporary:
        temporary.write_text("".join(json.dumps(row) + "\n" for row in rows))


def append_row(path: Path, row: Row) -> None:
    """Add a row at the end of a file."""
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


def check_record(path: Path, record: dict[str, Any]) -> None:
    """Check that a file's rows, if there are any, were measured with the same as a record says.

    Raises:
        ValueError: If they were not, or the record beside them is gone.
    """
    if not path.exists():
        return
    beside = path.with_suffix(".json")
    before = json.loads(beside.read_text()) if beside.exists() else {}
    if differing := [key for key in {**before, **record} if before.get(key) != record.get(key)]:
        raise ValueError(
            f"{path} was measured with other {', '.join(differing)}: choose another --out or "
            f"--title, or delete {path.name}"
        )


def fingerprint(path: Path) -> str:
    """Return a digest of the names, sizes and times of change of the files at a path.

    Hidden files do not count. Empty if there are none.
    """
    files = sorted(path.rglob("[!.]*")) if path.is_dir() else [path]
    stats = [(file.relative_to(path), file.stat()) for file in files if file.is_file()]
    text = "".join(f"{name} {stat.st_size} {stat.st_mtime_ns}\n" for name, stat in stats)
    return hashlib.sha256(text.encode()).hexdigest() if text else ""
