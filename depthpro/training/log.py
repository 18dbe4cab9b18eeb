"""A run's log: a line of JSON for each step and each validation."""

import json
from pathlib import Path
from typing import Any

from depthpro.files import whole_file

LOG = "log.jsonl"


def append_line(out: Path, **values: Any) -> None:
    """Append a line to the log of the run in `out`."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / LOG).open("a") as file:
        file.write(json.dumps(values) + "\n")


def read_log(out: Path) -> list[dict[str, Any]]:
    """Return the log's lines, without a last one that a killed run left unfinished."""
    path = out / LOG
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def trim_log(out: Path, phase: str, step: int) -> None:
    """Delete a phase's lines after the step that it is resumed at."""
    kept = [line for line in read_log(out) if line["phase"] != phase or line["step"] <= step]
    with whole_file(out / LOG) as temporary:
        temporary.write_text("".join(json.dumps(line) + "\n" for line in kept))
