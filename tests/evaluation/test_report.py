"""The report: means by hand, published rows beside measured ones, ranks as the paper's."""

import csv
import json
from pathlib import Path
from zlib import crc32

import pytest

from depthpro.evaluation.paper_tables import TABLES, published, published_of
from depthpro.evaluation.report import (
    METRICS,
    from_paper,
    gather,
    markdown,
    read_rows,
    write_report,
)

SUMS = {
    1: [274.3, 320.3, 362.6, 445.6, 159.6, 574.0, 42.8],
    2: [2.160, 0.298, 1.035, 0.554, 0.701, 0.300],
    3: [95.6, 202.0, 157.2, 265.2, 137.2, 261.4, 220.6, 325.0, 189.2, 299.8, 135.8, 223.4],
    4: [30.909, 10.858, 3273.111, 3927.892, 998.402, 978.769, 5.639, 3.618],
    5: [4615.0, 5.09, 92927.7, 99703.8, 127105.8, 24996.0],
    6: [805.645, 125.085, 69.262, 20.741, 171.969, 1.115, 229.593],
}
"""Of each published table's columns, in the order of their first numbers."""
CHECKSUMS = [664208667, 3813285481, 2198812746, 1087657186, 3265667623, 1380727118]
DOMAIN = "published, Table 1 (one model or crop for each domain)"


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


def test_the_papers_numbers_are_as_printed() -> None:
    # Each row was compared with FACTS 4 to 7 before; a checksum sees two numbers that are swapped.
    for table, checksum in zip(TABLES, CHECKSUMS, strict=True):
        columns: dict[str, float] = {}
        for row in published(table):
            name = row.metric if table == 4 else f"{row.benchmark} {row.metric}"
            columns[name] = columns.get(name, 0) + row.value
        assert list(columns.values()) == pytest.approx(SUMS[table], abs=1e-6), table
        assert crc32(repr([tuple(row) for row in published(table)]).encode()) == checksum, table


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
    # Shares come in percent, as they are printed here: the largest of a column is above 1.
    columns: dict[tuple[str, str], list[float]] = {}
    for row in (row for table in (1, 3, 4, 6) for row in published(table)):
        if row.metric != "rank" and METRICS[row.metric].factor == 100:
            columns.setdefault((row.benchmark, row.metric), []).append(row.value)
    assert len(columns) == 6 + 12 + 6 * 2 + 3  # of Tables 1, 3, 4 and 6
    for values in columns.values():
        assert min(values) >= 0
        assert 1 < max(values) <= 100


def test_means_by_hand(tmp_path: Path) -> None:
    write_rows(tmp_path, "Toys", "ours", [
        {"delta1": 0.5, "abs_rel": 0.2, "family": "a"},
        {"delta1": 1.0, "family": "b"},
        {"boundary_f1": 0.25, "family": "b", "error_by_depth": [1.0]},
    ], focal="true focal length", note="research only")  # fmt: skip
    (result,) = gather(tmp_path)
    # A case without a measure does not count for it.
    assert result.means == {"delta1": 75.0, "abs_rel": 0.2, "boundary_f1": 0.25}
    assert {name: part.means for name, part in result.families.items()} == {
        "a": {"delta1": 50.0, "abs_rel": 0.2},
        "b": {"delta1": 100.0, "boundary_f1": 0.25},
    }
    text, told = markdown([result]), "true focal length, research only"
    assert f"| **ours** | measured, 3 pictures, {told} | 75.0 | 0.200 |" in text
    assert f"| **ours, b** | measured, 2 pictures, {told} | 100.0 |" in text
    write_report(tmp_path)
    records = json.loads((tmp_path / "report.json").read_text())
    assert {(row["system"], row["family"], row["source"]) for row in records} == {
        ("ours", "", f"measured, 3 pictures, {told}"),
        ("ours", "a", f"measured, 1 picture, {told}"),
        ("ours", "b", f"measured, 2 pictures, {told}"),
    }


def test_published_rows_stand_beside_measured_ones_and_are_marked(tmp_path: Path) -> None:
    write_rows(tmp_path, "Middlebury", "ours", [{"delta1": 0.7, "abs_rel": 0.1}],
               alignment="median_scale")  # fmt: skip
    text = write_report(tmp_path)
    assert text == (tmp_path / "report.md").read_text()
    assert "| **ours** | measured, 1 picture, aligned by median scale | 70.0 | 0.100 |" in text
    assert "| Depth Pro | published, Table 1, Table 4 | 60.5 | 0.251 | 0.089 |" in text
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
    assert "| **best** | measured, 1 + 1 pictures | 99.0 | 99.0 | 1.0 | 2 |" in lines
    # Booster: 1 of 10 systems has less than 1 % (0.01): it is last. ETH3D: 50 % is 4th, after best,
    # Metric3D v2 (87.7) and PatchFusion (51.8).
    assert "| **worst** | measured, 1 + 1 pictures | 1.0 | 50.0 | 7.0 | 2 |" in lines
    assert "ZeroDepth" not in "".join(lines)  # out of memory on both


def test_ranks_tell_what_a_measure_rests_on(tmp_path: Path) -> None:
    both = [{"delta1": 0.5, "boundary_f1": 0.3}]
    write_rows(tmp_path, "Sintel", "ours", both * 3, alignment="scale", focal="true focal length")
    write_rows(tmp_path, "ETH3D", "ours", both, focal="true focal length")
    write_rows(tmp_path, "iBims", "ours", both, alignment="scale")
    report = markdown(gather(tmp_path))
    by_depth, by_edges = (part.splitlines() for part in report.split("## Average rank by")[1:])
    # The paper has no delta1 of iBims, so it does not count for that rank.
    assert by_depth[2].startswith("| system | source | ETH3D | Sintel | average rank |")
    (ours,) = (line for line in by_depth if "**ours**" in line)
    assert "| measured, 1 + 3 pictures, true focal length, aligned by scale on Sintel |" in ours
    assert any(line.startswith(f"| Depth Anything | {DOMAIN} | 9.3 |") for line in by_depth)
    # Boundaries are measured before alignment.
    assert by_edges[2].startswith("| system | source | Sintel | iBims | average rank |")
    (ours,) = (line for line in by_edges if "**ours**" in line)
    assert "| measured, 3 + 1 pictures, true focal length on Sintel |" in ours
    relative = "| Depth Anything | published, Table 2 (relative depth) | 0.261 | 0.127 |"
    assert any(line.startswith(relative) for line in by_edges)


def test_each_note_is_of_its_table(tmp_path: Path) -> None:
    write_rows(tmp_path, "Sintel", "ours", [{"delta1": 0.5}])
    text = write_report(tmp_path)
    assert f"| Depth Anything | {DOMAIN}, Table 2 (relative depth), Table 4 | 6.9 |" in text
    assert "| UniDepth | published, Table 1, Table 2, Table 4 | 16.5 |" in text
    records = json.loads((tmp_path / "report.json").read_text())
    sources = {row["metric"]: row["source"] for row in records if row["system"] == "Depth Anything"}
    assert sources["delta1"] == DOMAIN
    assert sources["boundary_f1"] == "published, Table 2 (relative depth)"
    assert sources["abs_rel"] == "published, Table 4"


def test_only_what_is_aligned_is_marked(tmp_path: Path) -> None:
    aligned = {"alignment": "scale_and_shift", "fitted": "scale and shift of depth"}
    write_rows(tmp_path, "AM-2k", "relative", [{"boundary_recall": 0.1}], **aligned)
    write_rows(tmp_path, "Spring", "relative", [{"boundary_f1": 0.1, "ordinal": 0.9}], **aligned)
    write_rows(tmp_path, "iBims", "relative", [{"dde_0": 0.9}], **aligned)
    text = markdown(gather(tmp_path))
    fitted = "fitted to each truth by scale and shift of depth, relative depth"
    assert "| **relative** | measured, 1 picture, relative depth | 0.100 |" in text
    assert f"| **relative** | measured, 1 picture, {fitted} | 90.0 | 0.100 |" in text
    assert f"| measured, 1 picture, aligned by scale and shift, {fitted} |" in text
    assert "Boundaries and the order of pairs are measured before alignment." in text


def test_focal_lengths_rest_on_nothing_but_the_picture(tmp_path: Path) -> None:
    write_rows(tmp_path, "Toys", "told", [{"delta1": 0.5, "delta25": 1.0}],
               focal="true focal length", fitted="scale", note="research only")  # fmt: skip
    write_report(tmp_path)
    records = json.loads((tmp_path / "report.json").read_text())
    sources = {row["metric"]: row["source"] for row in records}
    assert sources["delta25"] == "measured, 1 picture, research only"
    told = "fitted to each truth by scale, relative depth, true focal length"
    assert sources["delta1"] == f"measured, 1 picture, {told}, research only"


def test_hidden_rows_are_left_alone(tmp_path: Path) -> None:
    write_rows(tmp_path, "Toys", "v2", [{"delta1": 0.5}])
    write_rows(tmp_path, "Toys", "v2.0", [{"delta1": 0.6}])
    orphan = tmp_path / "Toys/.v2.x7q.jsonl"  # of a report that was killed; it has no record
    orphan.write_text('{"case": "0", "family": "", "delta1": 0}\n')
    results = gather(tmp_path)
    assert {row.system: row.means["delta1"] for row in results} == {"v2": 50, "v2.0": 60}
    write_report(tmp_path)
    assert orphan.is_file()


def test_one_system_twice_is_two_rows(tmp_path: Path) -> None:
    write_rows(tmp_path, "Booster", "Depth Pro", [{"delta1": 0.4}])
    systems = [(row.system, row.pictures) for row in gather(tmp_path)]
    assert systems.count(("Depth Pro", 1)) == 1
    assert systems.count(("Depth Pro", None)) == 1
    assert [row.system for row in from_paper("booster")].count("Depth Pro") == 1


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    path = write_rows(tmp_path, "Toys", "ours", [{"delta1": 1.0}, {"delta1": 0.0}])
    path.write_text(path.read_text()[:-5])
    assert [row["delta1"] for row in read_rows(path)] == [1.0]
