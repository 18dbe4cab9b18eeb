"""The report: means by hand, published rows beside measured ones, ranks as the paper's."""

import csv
import json
from pathlib import Path

import pytest

from depthpro.published import TABLES, published, published_of
from depthpro.report import METRICS, from_paper, gather, markdown, read_rows, write_report


def write_rows(folder: Path, benchmark: str, system: str, rows: list[dict], **record: str) -> Path:
    path = folder / benchmark / f"{system}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"case": str(number), "family": ""} | row for number, row in enumerate(rows)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    record = {"benchmark": benchmark, "system": system, "alignment": "none"} | record
    path.with_suffix(".json").write_text(json.dumps(record))
    return path


def test_the_papers_tables_are_complete() -> None:
    # Systems times numbers, less what ran out of memory or is not in the paper: Table 1 has 9 x 7
    # less 3; 2 has 10 x 6; 3 has 4 x 12; 4 has five sets of 8 (nuScenes, Sintel and Middlebury of
    # 9 systems, two of 8) and Booster of 5; 5 has 10 x 6 less 4 FLOPs and 2 sizes; 6 has 10 x 7.
    counts = {table: len(published(table)) for table in TABLES}
    assert counts == {1: 60, 2: 60, 3: 48, 4: (3 * 9 + 2 * 8) * 8 + 8 * 5, 5: 54, 6: 70}
    with pytest.raises(ValueError, match="got 7"):
        published(7)


def test_the_papers_best_rows() -> None:
    assert {(row.benchmark, row.metric): row.value for row in published(1)
            if row.system == "Depth Pro"}[("Middlebury", "delta1")] == 60.5  # fmt: skip
    best = max((row for row in published_of("sintel") if row.metric == "boundary_f1"),
               key=lambda row: row.value)  # fmt: skip
    assert (best.system, best.value, best.table) == ("Depth Pro", 0.409, 2)
    assert {row.benchmark for row in published_of("DPDD")} == {"DDDP"}
    assert published_of("held-out") == []


def test_published_metrics_are_ours_in_our_units() -> None:
    for table in (1, 2, 3, 4, 6):
        names = {row.metric for row in published(table)} - {"rank"}
        assert names <= METRICS.keys()
    # Shares come in percent, as they are printed here.
    for row in (row for table in (1, 3, 4, 6) for row in published(table)):
        if row.metric != "rank" and METRICS[row.metric].factor == 100:
            assert 0 <= row.value <= 100


def test_means_by_hand(tmp_path: Path) -> None:
    write_rows(tmp_path, "Toys", "ours", [
        {"delta1": 0.5, "abs_rel": 0.2, "family": "a"},
        {"delta1": 1.0, "family": "b"},
        {"boundary_f1": 0.25, "family": "b", "error_by_depth": [1.0]},
    ], focal="true focal length", note="research only")  # fmt: skip
    (result,) = gather(tmp_path)
    # A case without a measure does not count for it.
    assert result.means == {"delta1": 75.0, "abs_rel": 0.2, "boundary_f1": 0.25}
    assert {name: part.means() for name, part in result.families.items()} == {
        "a": {"delta1": 50.0, "abs_rel": 0.2},
        "b": {"delta1": 100.0, "boundary_f1": 0.25},
    }
    assert result.source == "measured, 3 pictures, true focal length, research only"
    text = markdown([result])
    assert (
        "| **ours** | measured, 3 pictures, true focal length, research only | 75.0 | 0.200 |"
        in text
    )
    assert "| **ours, b** | measured, 2 pictures | 100.0 |" in text


def test_published_rows_stand_beside_measured_ones_and_are_marked(tmp_path: Path) -> None:
    write_rows(tmp_path, "Middlebury", "ours", [{"delta1": 0.7, "abs_rel": 0.1}],
               alignment="median_scale")  # fmt: skip
    text = write_report(tmp_path)
    assert text == (tmp_path / "report.md").read_text()
    assert "| **ours** | measured, 1 picture, aligned by median scale | 70.0 | 0.100 |" in text
    assert "| Depth Pro | published, Table 1, 4 | 60.5 | 0.251 | 0.089 |" in text
    # Published names are never in bold, measured ones always.
    for line in text.splitlines():
        assert line.startswith("| **") == (
            "measured" in line.split("|")[2] if "|" in line else False
        )
    records = json.loads((tmp_path / "report.json").read_text())
    table = list(csv.DictReader((tmp_path / "report.csv").read_text().splitlines()))
    assert [row["value"] for row in table] == [str(row["value"]) for row in records]
    assert {row["source"].split(",")[0].split(";")[0] for row in records} == {
        "measured",
        "published",
    }


def test_ranks_over_benchmarks(tmp_path: Path) -> None:
    for benchmark, ours, theirs in (("Booster", 0.99, 0.01), ("ETH3D", 0.99, 0.50)):
        write_rows(tmp_path, benchmark, "best", [{"delta1": ours}])
        write_rows(tmp_path, benchmark, "worst", [{"delta1": theirs}])
    lines = markdown(gather(tmp_path)).split("## Average rank by δ1 % ↑")[1].splitlines()
    assert "| **best** | measured | 99.0 | 99.0 | 1.0 | 2 |" in lines
    # Booster: 1 of 10 systems has less than 1 % (0.01): it is last. ETH3D: 50 % is 4th, after best,
    # Metric3D v2 (87.7) and PatchFusion (51.8).
    assert "| **worst** | measured | 1.0 | 50.0 | 7.0 | 2 |" in lines
    assert "ZeroDepth" not in "".join(lines)  # out of memory on both


def test_one_system_twice_is_two_rows(tmp_path: Path) -> None:
    write_rows(tmp_path, "Booster", "Depth Pro", [{"delta1": 0.4}])
    systems = [(row.system, row.source[:9]) for row in gather(tmp_path)]
    assert systems.count(("Depth Pro", "measured,")) == 1
    assert systems.count(("Depth Pro", "published")) == 1
    assert [row.system for row in from_paper("booster")].count("Depth Pro") == 1


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    path = write_rows(tmp_path, "Toys", "ours", [{"delta1": 1.0}, {"delta1": 0.0}])
    path.write_text(path.read_text()[:-5])
    assert [row["delta1"] for row in read_rows(path)] == [1.0]
