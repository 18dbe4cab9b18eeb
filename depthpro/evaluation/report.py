"""The report: measured and published numbers side by side, as Markdown and CSV."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from depthpro.evaluation.paper_tables import Published, published_of
from depthpro.evaluation.scoring import Row
from depthpro.evaluation.systems import System
from depthpro.files import whole_file
from depthpro.metrics import Alignment, average_rank


class Results(NamedTuple):
    """The rows of one system on one benchmark."""

    record: dict[str, Any]  # settings: at least `benchmark`, `system` and `notes`, all strings
    rows: list[Row]


class Metric(NamedTuple):
    """Format of a number."""

    title: str
    factor: float = 1.0  # from the measure's unit to the paper's
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
"""In the order of the tables; other values of a row are not averaged."""
RANKED = ("delta1", "boundary_f1", "boundary_recall")
"""Measures over several benchmarks; the paper gives average ranks by the first."""
_NOTE = (
    "Means over pictures. **Rows in bold** were measured here; published ones are the paper's, "
    "whose protocol is not known in every detail. Boundaries and the order of pairs are measured "
    "before alignment, focal errors always for the estimated focal length."
)


def row_notes(system: System, alignment: Alignment) -> str:
    """Return notes on a system's rows for readers: alignment, focal length, licence."""
    notes = [f"aligned by {alignment.replace('_', ' ')}"] if alignment != "none" else []
    notes += ["relative depth"] if not system.metric else []
    notes += [f"{system.focal} focal length"] if system.focal else []
    return ", ".join([*notes, system.note] if system.note else notes)


def report_table(results: Sequence[Results]) -> pd.DataFrame:
    """Return a row for each system and benchmark, their families, and the paper's systems.

    The columns are benchmark, system, family (empty for the whole benchmark), pictures (missing in
    the paper's rows), notes, and those measures of `METRICS` that a row has, as means in the
    paper's units.
    """
    columns = ["benchmark", "system", "family", "pictures", "notes", *METRICS]
    parts = []
    for title, rows in measured_rows(results).groupby("benchmark", sort=False):
        parts += [rows, paper_rows(str(title))]
    table = pd.concat(parts).reindex(columns=columns)
    return table.astype({"pictures": "Int64"}).dropna(axis=1, how="all")


def measured_rows(results: Sequence[Results]) -> pd.DataFrame:
    """Return means of each system on each benchmark, then on its families if it has several."""
    names = ["benchmark", "system", "notes"]
    frames = [
        pd.DataFrame(rows).assign(**{n: record[n] for n in names}) for record, rows in results
    ]
    pictures = pd.concat(frames).reindex(columns=[*names, "family", *METRICS])
    named = pictures[pictures["family"] != ""]
    families = named.groupby(names).filter(lambda rows: rows["family"].nunique() > 1)
    groups = pd.concat([pictures.assign(family=""), families]).groupby(
        [*names, "family"], sort=False
    )
    means = groups.mean() * pd.Series({name: metric.factor for name, metric in METRICS.items()})
    return means.assign(pictures=groups.size()).reset_index()


def paper_rows(benchmark: str) -> pd.DataFrame:
    """Return the paper's rows on a benchmark; none if it is not in the paper."""
    numbers = pd.DataFrame(published_of(benchmark), columns=Published._fields)
    notes = numbers["note"].map(lambda note: f" ({note})" if note else "")
    numbers["notes"] = "Table " + numbers["table"].astype(str) + notes
    rows = numbers.pivot_table("value", "system", "metric", aggfunc="last", sort=False)
    for system, tables in numbers.groupby("system")["notes"]:
        rows.loc[system, "notes"] = ", ".join(["published", *tables.unique()])
    return rows.reset_index().assign(benchmark=benchmark, family="")


def markdown(table: pd.DataFrame) -> str:
    """Return a table for each benchmark, then average ranks, as Markdown."""
    groups = table.groupby("benchmark", sort=False)
    parts = [f"## {title}\n\n{_formatted(rows)}" for title, rows in groups]
    return "\n\n".join([*parts, *_ranks(table), _NOTE]) + "\n"


def write_report(folder: Path, results: Sequence[Results]) -> str:
    """Write report.md and report.csv into a folder; return the Markdown."""
    table = report_table(results)
    text = markdown(table)
    with whole_file(folder / "report.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    with whole_file(folder / "report.csv") as temporary:
        table.to_csv(temporary, index=False)
    return text


def _formatted(rows: pd.DataFrame) -> str:
    pictures = rows["pictures"].astype(object).where(rows["pictures"].notna(), "–")
    shown = pd.DataFrame({"system": _labels(rows), "pictures": pictures, "notes": rows["notes"]})
    for name, metric in METRICS.items():
        if name in rows and rows[name].notna().any():
            shown[metric.title] = [_cell(value, metric) for value in rows[name]]
    return _as_markdown(shown)


def _labels(rows: pd.DataFrame) -> pd.Series:
    """Return titles of systems with their family, in bold if measured."""
    names = rows["system"] + rows["family"].map(lambda family: f", {family}" if family else "")
    return names.where(rows["pictures"].isna(), "**" + names + "**")


def _ranks(table: pd.DataFrame) -> Iterator[str]:
    """Yield a table of ranks for each measure that the paper has for several of the benchmarks.

    As in the paper, a system's rank is averaged over the benchmarks that it has, and relative
    systems and those with a model for each domain are ranked with the others.
    """
    for name in (name for name in RANKED if name in table):
        rows = table.query("family == ''").dropna(subset=[name]).assign(system=_labels)
        in_paper = rows.loc[rows["pictures"].isna(), "benchmark"].unique()
        if len(in_paper) < 2:
            continue
        scores = rows.pivot(index="system", columns="benchmark", values=name)[in_paper]
        scores = scores.dropna(how="all")
        shown = scores.map(lambda value, metric=METRICS[name]: _cell(value, metric))
        ranks = average_rank(scores.to_numpy())
        shown["average rank"] = [f"{rank:.1f}" for rank in ranks]
        shown["of"] = scores.notna().sum(axis="columns")
        shown = shown.iloc[np.argsort(ranks, kind="stable")].reset_index()
        yield f"## Average rank by {METRICS[name].title}\n\n{_as_markdown(shown)}"


def _cell(value: float, metric: Metric) -> str:
    return "–" if np.isnan(value) else f"{value:.{metric.decimals}f}"


def _as_markdown(table: pd.DataFrame) -> str:
    lines = [table.columns, ["---"] * len(table.columns), *table.to_numpy()]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
