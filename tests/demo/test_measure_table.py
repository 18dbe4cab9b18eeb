"""Measurements as text: tables, sentences, units and CSV."""

import csv

import numpy as np
import pytest
from flat_scenes import analysis_of, plane, predict

from demo.ground import Ground
from demo.tabs.measure import table as measure_table
from demo.tabs.measure.measure import Result, locate, measure_all
from demo.units import with_spread
from depthpro.checkpoint import PUBLISHED_LICENCE, Provenance

PLACES = [(300.0, 200.0), (550.0, 200.0), (550.0, 450.0), (300.0, 450.0)]
GROUND = Ground(np.array([0.0, -1.0, 0.0]), 1.5, 0.5)


def test_rows_and_headline() -> None:
    results = [
        Result("distance", (1, 2), 2.0, 0.1, "m"),
        Result("distance", (2, 3), 3.0, 0.1, "m"),
        Result("total", (1, 2, 3), 5.0, 0.14, "m"),
    ]
    assert measure_table.rows(results) == [
        ("Distance", "1 – 2", "2.00 ± 0.10 m"),
        ("Distance", "2 – 3", "3.00 ± 0.10 m"),
        ("Total", "1 to 3", "5.00 ± 0.14 m"),
    ]
    assert measure_table.headline(results) == "Total 1 to 3: 5.00 ± 0.14 m"
    assert measure_table.headline(results[:2]) == "Distance 2 – 3: 3.00 ± 0.10 m"
    assert measure_table.headline([]) == "" == measure_table.table([])
    assert measure_table.table(results, "ft").count("<tr>") == 4
    assert "6.56 ± 0.33 ft" in measure_table.table(results, "ft")


def test_hints_count_what_is_missing() -> None:
    hints = [measure_table.hint("angle", count) for count in range(4)]
    assert hints[:3] == ["Choose 3 points.", "Choose 2 more points.", "Choose 1 more point."]
    assert "second of three" in hints[3]


def test_rims_and_crossed_outlines_are_warned_of() -> None:
    rim = predict(lambda rays: np.where(rays[..., 0] < 0, 2.0, 6.0))
    points = locate(rim, [(400, 450), (598, 450)])
    assert "point 2 depth jumps from 6.56 ft to 19.7 ft" in (
        measure_table.warning(points, "distance", "ft")
    )
    wall = predict(plane((0, 0, 1 / 4)))
    crossed = locate(wall, [PLACES[index] for index in (0, 2, 1, 3)])
    assert "crosses itself" in measure_table.warning(crossed, "area")
    assert measure_table.warning(crossed, "distance") == ""
    assert measure_table.warning(locate(wall, PLACES), "area") == ""


@pytest.mark.parametrize(("units", "metre"), [("m", 1.0), ("ft", 1 / 0.3048)])
def test_csv_has_everything_with_its_conditions(units: str, metre: float) -> None:
    published = Provenance("apple/DepthPro", PUBLISHED_LICENCE)
    analysis = analysis_of(predict(plane((0.01, 0, 1 / 4))), "my\nhouse", provenance=published)
    points = locate(analysis.prediction, PLACES)
    results = measure_all(points, GROUND)
    text = measure_table.csv_text(analysis, points, results, units)
    remarks = [line for line in text.splitlines() if line.startswith("#")]
    assert remarks[0] == "# photo: my house, 1200 x 900 px"
    assert "1000 px, estimated by the network" in remarks[1]
    assert PUBLISHED_LICENCE in remarks[2] and analysis.provenance.notice in remarks[3]
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    assert [row["value"] for row in rows[:2]] == ["300.0", "200.0"]
    assert [row["what"] for row in rows[:5]] == ["column", "row", "x", "y", "z"]
    z = rows[4]
    assert float(z["value"]) == pytest.approx(points.depth_m[0] * metre, rel=1e-5)
    assert float(z["plus_minus"]) == pytest.approx(points.depth_plus_minus_m[0] * metre, rel=1e-2)
    for row, result in zip(rows[-len(results) :], results, strict=True):
        power = {"m": 1, "m²": 2, "°": 0}[result.unit]
        assert row["unit"] == {"m": units, "m²": f"{units}2", "°": "deg"}[result.unit]
        assert float(row["value"]) == pytest.approx(result.value * metre**power, rel=1e-5)
        assert row["points"] == " ".join(map(str, result.points))


@pytest.mark.parametrize(
    ("value", "plus_minus", "unit", "metric", "feet"),
    [
        (2.3127, 0.0457, "m", "2.31 ± 0.046 m", "7.59 ± 0.15 ft"),
        (9.999, 0.0996, "m", "10.0 ± 0.10 m", "32.8 ± 0.33 ft"),
        (-0.052, 0.004, "m", "-5.20 ± 0.40 cm", "-2.05 ± 0.16 in"),
        (1.58, 0.00691, "m", "1.58 ± 0.007 m", "5.18 ± 0.023 ft"),
        (2.31, 0.0003, "m", "2.31 ± 0.001 m", "7.58 ± 0.001 ft"),
        (2.0, 1e-7, "m", "2.00 ± 0.000 m", "6.56 ± 0.000 ft"),
        (2.0, 150.0, "m", "0 ± 150 m", "10 ± 500 ft"),
        (-2.77e-8, 0.08, "m", "0.0 ± 8.0 cm", "0.0 ± 3.2 in"),
        (-0.004, 0.08, "m", "-0.4 ± 8.0 cm", "-0.2 ± 3.2 in"),
        (0.0, 0.0, "°", "0.0 ± 0.0°", "0.0 ± 0.0°"),
        (123_456.0, 2_950.0, "m²", "123000 ± 3000 m²", "1330000 ± 32000 ft²"),
        (89.96, 1.25, "°", "90.0 ± 1.3°", "90.0 ± 1.3°"),
    ],
)
def test_value_with_its_spread(value, plus_minus, unit, metric, feet) -> None:
    assert with_spread(value, plus_minus, unit) == metric
    assert with_spread(value, plus_minus, unit, "ft") == feet
