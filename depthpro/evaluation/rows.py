"""Rows of measures on disk: added to by several processes, merged, never mixed with others."""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from depthpro.evaluation.report import read_record
from depthpro.files import whole_file

BLOCK = 1 << 16
"""Bytes that are read at once in search of the end of a line."""


def parts(rows: Path) -> list[Path]:
    """Return the files of rows that each process has written and that are not merged yet."""
    return sorted(rows.parent.glob(f".{rows.stem}@*.part"))


def note(rows: Path, about: dict[str, Any]) -> None:
    """Write what rows depend on beside them.

    Raises:
        ValueError: If there are rows that depend on something else, or, of any system, on other
            data: they would stand in one table.
    """
    path, folder = rows.with_suffix(".json"), rows.parent
    fixed = {key: value for key, value in about.items() if key != "samples"}
    for each in sorted(folder.glob("[!.]*.jsonl")):  # they all stand in one table
        if differing := _differing(read_record(each), fixed, ("files", "cases")):
            raise ValueError(
                f"{each} was measured with other {differing}: choose another --out, or delete "
                f"{folder}"
            )
    if any(each.exists() for each in (rows, *parts(rows))):
        before = json.loads(path.read_text()) if path.exists() else {}
        if differing := _differing(before, fixed, {**before, **fixed}):
            raise ValueError(
                f"{rows} was measured with other {differing}: choose another --out or --title, or "
                f"delete {rows.name} and, if there are some, {folder}/.{rows.stem}@*.part"
            )
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(fixed, indent=1) + "\n")


def _differing(before: dict[str, Any], now: dict[str, Any], keys: Iterable[str]) -> str:
    return ", ".join(key for key in keys if before.get(key) != now.get(key))


def appending(path: Path) -> TextIO:
    """Open a file to add lines to, without the half line that a killed run may have left."""
    if path.exists():
        with path.open("r+b") as file:
            file.truncate(_end_of_lines(file))
    return path.open("a", encoding="utf-8")


def _end_of_lines(file: BinaryIO) -> int:
    """Return where the last whole line ends, looked for from the end of the file."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - BLOCK)
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def merge(rows: Path, names: list[str]) -> None:
    """Write all rows into one file in the order of cases, and delete the parts.

    Only where each row lies is held in memory. If it is killed, nothing is lost: the parts go when
    the file is whole, and a row that is in both is taken once.
    """
    added = parts(rows)
    if not added:
        return
    places: dict[str, tuple[BinaryIO, int]] = {}
    with whole_file(rows) as temporary, contextlib.ExitStack() as opened:
        for path in (rows, *added):
            if path.exists():
                file = opened.enter_context(path.open("rb"))
                places |= {case: (file, start) for case, start in _starts(file)}
        merged = opened.enter_context(temporary.open("wb"))
        for file, start in (places[name] for name in names if name in places):
            file.seek(start)
            merged.write(file.readline())
    for path in added:
        path.unlink()


def _starts(file: BinaryIO) -> Iterator[tuple[str, int]]:
    """Give the case of each whole line and where the line starts."""
    start = 0
    for line in file:
        if line.endswith(b"\n"):
            yield json.loads(line)["case"], start
        start += len(line)
