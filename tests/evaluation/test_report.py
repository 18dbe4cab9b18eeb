"""The report: means by hand, published rows beside measured ones, ranks as the paper's."""

from pathlib import Path
from zlib import crc32

import pandas as pd
import pytest

from depthpro.evaluation.paper_tables import TABLES, published, published_of
from depthpro.evaluation.report import (
    METRICS,
    Results,
    markdown,
    paper_rows,
    report_table,
    write_report,
)

CHECKSUMS = [664208667, 3813285481, 2198812746, 1087657186, 3265667623, 1380727118]


def results(benchmark: str, system: str, *rows: dict, notes: str = "") -> Results:
    record = {"benchmark": benchmark, "system": system, "notes": notes}
    return Results(record, [{"case": str(n), "family": ""} | row for n, row in enumerate(rows)])


def test_the_papers_numbers_are_as_printed() -> None:
    # Each row was compared with the paper before; a checksum sees any change.
    for table, checksum in zip(TABLES, CHECKSUMS, strict=True):
        assert crc32(repr([tuple(row) for row in published(table)]).encode()) == checksum, table
    with pytest.raises(ValueError, match="got 7"):
        published(7)


def test_published_numbers_by_benchmark() -> None:
    best = max((row for row in published_of("sintel") if row.metric == "boundary_f1"),
               key=lambda row: row.value)  # fmt: skip
    assert (best.system, best.value, best.table) == ("Depth Pro", 0.409, 2)
    assert {row.benchmark for row in published_of("DPDD")} == {"DDDP"}
    assert published_of("held-out") == []


def test_published_metrics_are_ours_in_our_units() -> None:
    # Shares come in percent, as they are printed here: the largest of a column is above 1.
    columns: dict[tuple[str, str], list[float]] = {}
    for row in (row for table in (1, 2, 3, 4, 6) for row in published(table)):
        if row.metric != "rank" and METRICS[row.metric].factor == 100:
            columns.setdefault((row.benchmark, row.metric), []).append(row.value)
    assert len(columns) == 6 + 12 + 6 * 2 + 3  # of Tables 1, 3, 4 and 6
    for values in columns.values():
        assert min(values) >= 0
        assert 1 < max(values) <= 100


def test_means_by_hand(tmp_path: Path) -> None:
    ours = results("Toys", "ours",
        {"delta1": 0.5, "abs_rel": 0.2, "family": "a"},
        {"delta1": 1.0, "family": "b"},
        {"boundary_f1": 0.25, "family": "b", "error_by_depth": [1.0]},
        {},
        notes="research only")  # fmt: skip
    text = write_report(tmp_path, [ours])
    # A case without a measure does not count for it.
    assert "| **ours** | 4 | research only | 75.0 | 0.200 | 0.250 |" in text
    assert "| **ours, a** | 1 | research only | 50.0 | 0.200 | – |" in text
    assert "| **ours, b** | 2 | research only | 100.0 | – | 0.250 |" in text
    assert text == (tmp_path / "report.md").read_text()
    written = pd.read_csv(tmp_path / "report.csv", keep_default_na=False)
    assert written["family"].tolist() == ["", "a", "b"]
    assert written["delta1"].tolist() == [75, 50, 100]


def test_one_family_has_no_row_of_its_own() -> None:
    table = report_table([results("Toys", "ours", {"delta1": 1.0, "family": "a"}, {"delta1": 0})])
    assert table["family"].tolist() == [""]


def test_published_rows_stand_beside_measured_ones_and_are_marked() -> None:
    ours = results("Middlebury", "Depth Pro", {"delta1": 0.7, "abs_rel": 0.1}, notes="aligned")
    table = report_table([ours])
    assert set(table["benchmark"]) == {"Middlebury"}
    text = markdown(table)
    assert "| **Depth Pro** | 1 | aligned | 70.0 | 0.100 |" in text
    assert "| Depth Pro | – | published, Table 1, Table 4 | 60.5 | 0.251 | 0.089 |" in text
    domain = "published, Table 1 (one model or crop for each domain), Table 4"
    assert f"| Depth Anything | – | {domain} |" in text
    # Published names are never in bold, measured ones always.
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.startswith("| **") == line.split("|")[2].strip().isdigit()
    assert paper_rows("Toys").empty


def test_ranks_over_benchmarks() -> None:
    given = [
        results(benchmark, system, {"delta1": value, "boundary_f1": 0.3})
        for benchmark, best, worst in (("Booster", 0.99, 0.01), ("ETH3D", 0.99, 0.50))
        for system, value in (("best", best), ("worst", worst))
    ]
    given.append(results("iBims", "best", {"delta1": 0.9}))  # the paper has no delta1 of iBims
    text = markdown(report_table(given))
    (part,) = text.split("## Average rank by ")[1:]  # boundaries are published for one set only
    lines = part.splitlines()
    assert lines[2] == "| system | Booster | ETH3D | average rank | of |"
    assert lines[4] == "| **best** | 99.0 | 99.0 | 1.0 | 2 |"
    # Booster: 1 of 10 systems has less than 1 % (0.01): it is last. ETH3D: 50 % is 4th, after best,
    # Metric3D v2 (87.7) and PatchFusion (51.8).
    assert "| **worst** | 1.0 | 50.0 | 7.0 | 2 |" in lines
    assert "ZeroDepth" not in part  # out of memory on both
