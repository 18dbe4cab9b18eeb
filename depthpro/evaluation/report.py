"""What `evaluate` measured, and what the paper says, side by side: Markdown, CSV and JSON."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Set
from pathlib import Path
from typing import NamedTuple

import numpy as np

from depthpro.evaluation.paper_tables import Published, published_of
from depthpro.files import whole_file
from depthpro.metrics import average_rank


class Metric(NamedTuple):
    """How a number is printed."""

    title: str
    factor: float = 1.0
    """From the measure's unit to the paper's."""
    decimals: int = 3


METRICS = {
    "delta1": Metric("δ1 % ↑", 100, 1),
    "abs_rel": Metric("AbsRel ↓"),
    "log10": Metric("Log10 ↓"),
    "rmse": Metric("RMSE m ↓"),
    "delta2": Metric("δ2 % ↑", 100, 1),
    "delta3": Metric("δ3 % ↑", 100, 1),
    "si_log": Metric("SI-Log ↓", 1, 2),
    "chamfer_m": Metric("PC-CD m ↓"),
    "f_score": Metric("PC-F ↑"),
    "iou": Metric("PC-IoU ↑"),
    "delta1_scaled": Metric("δ1 % scaled by the median ↑", 100, 1),
    "abs_rel_aligned": Metric("AbsRel scaled and shifted ↓"),
    "ordinal": Metric("order of pairs % ↑", 100, 1),
    "boundary_f1": Metric("boundary F1 ↑"),
    "boundary_precision": Metric("boundary precision ↑"),
    "boundary_depth_recall": Metric("boundary recall against depth ↑"),
    "boundary_recall": Metric("boundary recall ↑"),
    "focal_error": Metric("focal error ↓"),
    "delta25": Metric("focal δ25 % ↑", 100, 1),
    "delta50": Metric("focal δ50 % ↑", 100, 1),
    "fov_error_deg": Metric("field of view error ° ↓", 1, 2),
    "dde_0": Metric("DDE0 % ↑", 100, 2),
    "dde_minus": Metric("DDE- % ↓", 100, 2),
    "dde_plus": Metric("DDE+ % ↓", 100, 2),
    "dbe_accuracy_px": Metric("DBE accuracy px ↓", 1, 2),
    "dbe_completeness_px": Metric("DBE completeness px ↓", 1, 2),
    "plane_flatness_m": Metric("PE flatness m ↓"),
    "plane_orientation_deg": Metric("PE orientation ° ↓", 1, 2),
}
"""In the order of the tables; what a case has besides is not averaged."""
_FOCAL = frozenset(("focal_error", "delta25", "delta50", "fov_error_deg"))
_BOUNDARY = frozenset(name for name in METRICS if name.startswith("boundary"))
ALIGNED = METRICS.keys() - _FOCAL - _BOUNDARY - {"delta1_scaled", "abs_rel_aligned", "ordinal"}
"""Measures that depend on the alignment."""
FITTED = METRICS.keys() - _FOCAL - {"boundary_recall"}
"""Measures of depth against true depth."""
RANKED = ("delta1", "boundary_f1", "boundary_recall")
"""Measures over several benchmarks, of which the paper gives the first one's average rank."""


class _Means:
    """Running means: memory does not grow with the rows."""

    def __init__(self) -> None:
        self.pictures = 0
        self._sums: dict[str, tuple[float, int]] = {}

    def add(self, row: dict) -> None:
        self.pictures += 1
        for name in METRICS.keys() & row.keys():
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = total + row[name], count + 1

    def means(self) -> dict[str, float]:
        return {
            name: METRICS[name].factor * self._sums[name][0] / self._sums[name][1]
            for name in METRICS
            if name in self._sums
        }


class Remark(NamedTuple):
    """What has to be known of some of a system's means."""

    text: str
    of: Set[str] = METRICS.keys()


class Result(NamedTuple):
    """The means of one system on one benchmark, in the paper's units."""

    benchmark: str
    system: str
    means: dict[str, float]
    pictures: int | None
    """How many were measured here; None for the paper's, which does not say."""
    remarks: list[Remark]
    families: dict[str, "Result"]
    """The same for each part of the benchmark, if it has some."""


def read_rows(path: Path) -> Iterator[dict]:
    """Return the rows of a JSONL file one by one; a last line that was cut off is left out."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


def read_record(rows: Path) -> dict:
    """Return what a JSONL file of rows was measured with.

    Raises:
        ValueError: If it does not lie beside it, or says too little.
    """
    path = rows.with_suffix(".json")
    record = json.loads(path.read_text()) if path.is_file() else {}
    if not {"benchmark", "system", "alignment"} <= record.keys():
        raise ValueError(
            f"nothing says how {rows} was measured: {path.name} is gone or no record; "
            f"delete {rows.name}"
        )
    return record


def measured(rows: Path) -> Result:
    """Return the means of a JSONL file of rows, which lies beside its record (.json)."""
    record = read_record(rows)
    total, families = _Means(), {}
    for row in read_rows(rows):
        total.add(row)
        if row["family"]:
            families.setdefault(row["family"], _Means()).add(row)
    remarks = []
    if record["alignment"] != "none":
        remarks.append(Remark(f"aligned by {record['alignment'].replace('_', ' ')}", ALIGNED))
    if record.get("fitted"):
        remarks.append(Remark(f"fitted to each truth by {record['fitted']}", FITTED))
    if record.get("fitted") or not record.get("metric", True):
        remarks.append(Remark("relative depth", METRICS.keys() - _FOCAL))
    if record.get("focal"):
        remarks.append(Remark(record["focal"], METRICS.keys() - _FOCAL))
    if record.get("note"):
        remarks.append(Remark(record["note"]))

    def result(name: str, of: _Means) -> Result:
        return Result(record["benchmark"], name, of.means(), of.pictures, remarks, {})

    whole = result(record["system"], total)
    apart = {name: result(f"{whole.system}, {name}", part) for name, part in families.items()}
    return whole._replace(families=apart if len(apart) > 1 else {})


def from_paper(benchmark: str) -> list[Result]:
    """Return the paper's rows on a benchmark; none if it is not in the paper."""
    systems: dict[str, list[Published]] = {}
    for number in published_of(benchmark):
        systems.setdefault(number.system, []).append(number)
    found = []
    for system, numbers in systems.items():
        tables: dict[str, set[str]] = {}
        for number in numbers:
            note = f" ({number.note})" if number.note else ""
            tables.setdefault(f"Table {number.table}{note}", set()).add(number.metric)
        means = {number.metric: number.value for number in numbers}
        remarks = [Remark(table, metrics) for table, metrics in tables.items()]
        found.append(Result(benchmark, system, means, None, remarks, {}))
    return found


def gather(folder: Path) -> list[Result]:
    """Return everything measured in a folder, and the paper's rows on the same benchmarks."""
    found = [measured(path) for path in sorted(folder.glob("*/[!.]*.jsonl"))]
    titles = list(dict.fromkeys(result.benchmark for result in found))
    return [
        result
        for title in titles
        for result in (*(r for r in found if r.benchmark == title), *from_paper(title))
    ]


def markdown(results: list[Result]) -> str:
    """Return a table for each benchmark, then the ranks over the paper's, as Markdown."""
    titles = list(dict.fromkeys(result.benchmark for result in results))
    parts = []
    for title in titles:
        rows = [result for result in results if result.benchmark == title]
        parts.append(f"## {title}\n\n{_table(rows)}")
        apart = [part for row in rows for part in row.families.values()]
        if apart:
            parts.append(_table(apart))
    for metric in RANKED:
        known = {t for t in titles if any(metric in row.means for row in from_paper(t))}
        of_metric = [row for row in results if metric in row.means and row.benchmark in known]
        if len({result.benchmark for result in of_metric}) > 1:
            title = METRICS[metric].title
            parts.append(f"## Average rank by {title}\n\n{_ranks(of_metric, metric)}")
    parts.append(
        "Means over pictures. **Measured** rows were computed here; published ones are the "
        "paper's, whose protocol is not known in every detail. Boundaries and the order of pairs "
        "are measured before alignment."
    )
    return "\n\n".join(parts) + "\n"


def _table(rows: list[Result]) -> str:
    columns = [name for name in METRICS if any(name in row.means for row in rows)]
    lines = [("system", "source", *(METRICS[name].title for name in columns))]
    for row in rows:
        cells = (_cell(row.means, name) for name in columns)
        lines.append((_label(row), source([row], row.means.keys()), *cells))
    return _as_markdown(lines)


def _label(row: Result) -> str:
    return row.system if row.pictures is None else f"**{row.system}**"


def source(rows: list[Result], metrics: Set[str]) -> str:
    """Return "measured" or "published", how many pictures, and what else is to be known of metrics.

    Args:
        rows: Of one system, a benchmark each; a remark on some of them names those.
        metrics: What the source is told of.
    """
    said: dict[str, list[str]] = {}
    for row in rows:
        for remark in row.remarks:
            if remark.of & metrics:
                said.setdefault(remark.text, []).append(row.benchmark)
    remarks = [
        text if len(benchmarks) == len(rows) else f"{text} on {' and '.join(benchmarks)}"
        for text, benchmarks in said.items()
    ]
    counts = [row.pictures for row in rows if row.pictures is not None]
    if not counts:
        return ", ".join(["published", *remarks])
    plural = "s" * (counts != [1])
    return ", ".join(["measured", f"{' + '.join(map(str, counts))} picture{plural}", *remarks])


def _ranks(results: list[Result], metric: str) -> str:
    """Return a metric's values by system and benchmark, with the average rank, best first.

    As in the paper, a system's rank is averaged over the benchmarks that it has. Relative systems
    and those with a model for each domain are ranked with the others, as there.
    """
    titles = list(dict.fromkeys(result.benchmark for result in results))
    systems: dict[str, dict[str, Result]] = {}
    for row in results:
        systems.setdefault(_label(row), {})[row.benchmark] = row
    scores = np.array(
        [
            [rows[title].means[metric] if title in rows else np.nan for title in titles]
            for rows in systems.values()
        ]
    )
    ranks = average_rank(scores)
    lines = [("system", "source", *titles, "average rank", "of")]
    for place in np.argsort(ranks, kind="stable"):
        label, rows = list(systems.items())[place]
        cells = [_cell(rows[title].means, metric) if title in rows else "–" for title in titles]
        from_where = source(list(rows.values()), {metric})
        lines.append((label, from_where, *cells, f"{ranks[place]:.1f}", str(len(rows))))
    return _as_markdown(lines)


def _cell(means: dict[str, float], name: str) -> str:
    return f"{means[name]:.{METRICS[name].decimals}f}" if name in means else "–"


def _as_markdown(lines: Iterable[tuple[str, ...]]) -> str:
    head, *rest = lines
    lines = [head, ("---",) * len(head), *rest]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_report(folder: Path) -> str:
    """Write report.md, report.csv and report.json of a folder of rows; return the Markdown."""
    results = gather(folder)
    text = markdown(results)
    records = [
        {
            "benchmark": row.benchmark,
            "system": row.system,
            "source": source([part], {name}),
            "family": family,
            "metric": name,
            "title": METRICS[name].title,
            "value": value,
        }
        for row in results
        for family, part in {"": row, **row.families}.items()
        for name, value in part.means.items()
    ]
    table = io.StringIO()
    writer = csv.DictWriter(table, records[0] if records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    for name, content in (
        ("report.md", text),
        ("report.csv", table.getvalue()),
        ("report.json", json.dumps(records, indent=1, ensure_ascii=False) + "\n"),
    ):
        with whole_file(folder / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
    return text
