"""The paper's Tables 1 to 6 as data, one file each, with the paper's own numbers and units."""

import csv
from importlib.resources import files
from typing import NamedTuple

TABLES = (1, 2, 3, 4, 5, 6)
_SPELLED = {"dpdd": "dddp"}  # the set of defocused photos, as its authors name it


class Published(NamedTuple):
    """One number of the paper."""

    table: int
    benchmark: str
    """As the paper spells it; empty in Table 5, which has none, and for the average rank."""
    system: str
    metric: str
    """Such as `delta1`; shares of delta1, delta2, delta3, delta25, delta50 and dde are in
    percent, as printed."""
    value: float
    note: str


def published(table: int) -> list[Published]:
    """Return all numbers of one of the paper's tables, without systems that ran out of memory."""
    if table not in TABLES:
        raise ValueError(f"the paper's tables here are {TABLES}; got {table!r}")
    path = files("depthpro.evaluation.paper_tables") / f"table_{table}.csv"
    found = []
    for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines()):
        system, note, of_row = row.pop("system"), row.pop("note", ""), row.pop("benchmark", "")
        for column, value in row.items():
            benchmark, _, metric = column.rpartition(" ")
            if value:
                number = (benchmark or of_row, system, metric, float(value), note)
                found.append(Published(table, *number))
    return found


def published_of(benchmark: str) -> list[Published]:
    """Return the paper's numbers on a benchmark, by its title in upper or lower case."""
    wanted = _SPELLED.get(benchmark.lower(), benchmark.lower())
    rows = (row for table in TABLES for row in published(table))
    return [row for row in rows if row.benchmark and row.benchmark.lower() == wanted]
