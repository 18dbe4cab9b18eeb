"""Measurements as a drawing over the photo, as tables, sentences and CSV."""

import csv
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from flat_scenes import HEIGHT, SIZE, WIDTH, analysis_of, pixel, plane, predict

from demo.ground import Ground
from demo.tabs.measure import table as measure_table
from demo.tabs.measure.drawing import draw
from demo.tabs.measure.measure import Result, locate, measure, measure_all
from demo.units import with_spread
from depthpro.checkpoint import PUBLISHED_LICENCE, Provenance
from depthpro.depth_error import DepthError

SVG = "{http://www.w3.org/2000/svg}"
CORNERS = [(300.0, 200.0), (700.0, 200.0), (700.0, 500.0), (300.0, 500.0)]
WALL = predict(plane((0, 0, 1 / 4)))
GROUND = Ground(np.array([0.0, -1.0, 0.0]), 1.5, 0.5)


def parse(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def texts(root: ElementTree.Element, name: str) -> list[str]:
    found = [text for text in root.iter(f"{SVG}text") if text.get("class") == name]
    return ["".join(text.itertext()) for text in found]


def paths(root: ElementTree.Element, name: str = "light") -> list[str]:
    return [path.get("d", "") for path in root.iter(f"{SVG}path") if name in path.get("class", "")]


@pytest.mark.parametrize("kind", ["distance", "height", "angle", "area"])
def test_points_are_numbered_where_they_are_and_values_written(kind: str) -> None:
    points = locate(WALL, CORNERS)
    results = measure(points, kind, GROUND)
    root = parse(draw(points, kind, results, GROUND, "ft"))
    assert root.get("viewBox") == f"-0.5 -0.5 {WIDTH} {HEIGHT}"
    rings = [(float(c.get("cx")), float(c.get("cy"))) for c in root.iter(f"{SVG}circle")]
    assert set(CORNERS) <= set(rings)
    assert texts(root, "number") == ["1", "2", "3", "4"]
    written = [r for r in results if r.what not in ("total", "perimeter")]
    assert written
    values = [with_spread(r.value, r.plus_minus, r.unit, "ft") for r in written]
    assert texts(root, "value") == values
    assert len(paths(root, "dark")) == len(paths(root, "light"))  # a halo for each


def test_only_areas_are_closed_and_filled() -> None:
    points = locate(WALL, CORNERS)
    for kind in ("distance", "area"):
        root = parse(draw(points, kind, measure(points, kind)))
        outline = paths(root)[0]
        assert outline.startswith("M300.0 200.0 L700.0 200.0 L700.0 500.0 L300.0 500.0")
        assert outline.endswith("Z") == (kind == "area") == bool(paths(root, "inside"))
    assert not paths(parse(draw(locate(WALL, CORNERS[:2]), "area", ())), "inside")
    assert draw(locate(WALL, []), "distance", ()) == ""


def test_plumb_lines_end_on_the_ground() -> None:
    points = locate(WALL, [(599.5, 449.5)])
    root = parse(draw(points, "height", measure(points, "height", GROUND), GROUND))
    foot = pixel((0, 1.5, 4))
    assert paths(root) == [f"M599.5 449.5 L{foot[0]:.1f} {foot[1]:.1f}"]
    without = parse(draw(points, "height", ()))
    assert paths(without) == [] and texts(without, "number") == ["1"]


def test_angles_have_an_arc_between_their_arms() -> None:
    points = locate(WALL, CORNERS[:3])
    arc = paths(parse(draw(points, "angle", measure(points, "angle"))))[1]
    start, end = arc.split(" A")[0][1:], " ".join(arc.split()[-2:])
    assert float(start.split()[0]) < 700 and float(start.split()[1]) == 200
    assert float(end.split()[0]) == 700 and float(end.split()[1]) > 200


@pytest.mark.parametrize("size", [SIZE, (900, 1200), (4000, 3000), (3000, 300), (64, 64)])
def test_text_stays_in_the_photo_and_is_as_large_on_any(size: tuple[int, int]) -> None:
    width, height = size
    prediction = predict(plane((0, 0, 1 / 4)), size)
    points = locate(prediction, [(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)])
    root = parse(draw(points, "distance", measure(points, "distance")))
    wide, phone = map(float, re.findall(r"--\w+: ([\d.]+)px", root.get("style", "")))
    assert wide == pytest.approx(max(width / 46, height / 42), rel=1e-3)
    assert phone == pytest.approx(max(width / 25, height / 42), rel=1e-3)
    for text in root.iter(f"{SVG}text"):
        x = float(text.get("x")) + float(text.get("dx")[:-2]) * phone
        y = float(text.get("y")) + float(text.get("dy")[:-2]) * phone
        assert 0 < x < width and 0 < y < height


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


def test_truth_is_a_column_where_there_is_one() -> None:
    known = Result("distance", (1, 2), 2.0, 0.5, "m", 2.513)
    table = measure_table.table([known, Result("distance", (2, 3), 3.0, None, "m")])
    cells = re.findall("<td>(.*?)</td>", table)
    assert cells[2:4] == ["2.00 ± 0.50 m", "2.51 m"]
    assert cells[6:] == ["3.00 m", "–"]
    assert measure_table.headline([known]) == "Distance 1 – 2: 2.00 ± 0.50 m, in truth 2.51 m"


def test_weights_without_errors_have_no_plus_minus() -> None:
    analysis = analysis_of(WALL)
    points = locate(WALL, CORNERS)
    text = measure_table.csv_text(analysis, points, measure_all(points, None))
    assert "# plus_minus: none" in text
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    assert {row["plus_minus"] for row in rows} == {""}
    assert "±" not in draw(points, "distance", measure(points, "distance"))
    assert "There is no ±" in measure_table.precision(analysis)
    made = replace(analysis.provenance, depth_error=DepthError(0.3, 0.1, 0.66))
    assert "66% of true distances" in measure_table.precision(replace(analysis, provenance=made))


def test_hints_count_what_is_missing() -> None:
    hints = [measure_table.hint("angle", count) for count in range(4)]
    assert hints[:3] == ["Choose 3 points.", "Choose 2 more points.", "Choose 1 more point."]
    assert "second of three" in hints[3]


def test_rims_and_crossed_outlines_are_warned_of() -> None:
    rim = predict(lambda rays: np.where(rays[..., 0] < 0, 2.0, 6.0))
    points = locate(rim, [(400, 450), (598, 450)])
    warning = measure_table.warning(points, "distance", "ft")
    assert "point 2 depth jumps from 6.56 ft to 19.7 ft" in warning
    crossed = locate(WALL, [CORNERS[index] for index in (0, 2, 1, 3)])
    assert "crosses itself" in measure_table.warning(crossed, "area")
    assert measure_table.warning(crossed, "distance") == ""
    assert measure_table.warning(locate(WALL, CORNERS), "area") == ""


@pytest.mark.parametrize(("units", "metre"), [("m", 1.0), ("ft", 1 / 0.3048)])
def test_csv_has_everything_with_its_conditions(units: str, metre: float) -> None:
    published = Provenance("apple/DepthPro", PUBLISHED_LICENCE)
    analysis = analysis_of(predict(plane((0.01, 0, 1 / 4))), "my\nhouse", provenance=published)
    points = locate(analysis.prediction, CORNERS, DepthError(0.3, 0.1, 1))
    results = [replace(each, true=2 * each.value) for each in measure_all(points, GROUND)]
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
        assert float(row["true"]) == pytest.approx(2 * float(row["value"]), rel=1e-5)
        assert row["points"] == " ".join(map(str, result.points))


@pytest.mark.parametrize(
    ("value", "plus_minus", "unit", "metric", "feet"),
    [
        (2.3127, 0.0457, "m", "2.31 ± 0.05 m", "7.59 ± 0.15 ft"),
        (2.7123, 1.2345, "m", "2.7 ± 1.3 m", "8.9 ± 4.1 ft"),
        (2.3127, None, "m", "2.31 m", "7.59 ft"),
        (0.0, None, "°", "0.00°", "0.00°"),
        (9.999, 0.0996, "m", "10.0 ± 0.1 m", "32.8 ± 0.4 ft"),
        (-0.052, 0.004, "m", "-5.20 ± 0.40 cm", "-2.05 ± 0.16 in"),
        (1.58, 0.00691, "m", "1.58 ± 0.01 m", "5.18 ± 0.03 ft"),
        (2.31, 0.0003, "m", "2.31 ± 0.01 m", "7.58 ± 0.01 ft"),
        (2.0, 1e-7, "m", "2.00 ± 0.00 m", "6.56 ± 0.00 ft"),
        (2.0, 150.0, "m", "0 ± 150 m", "10 ± 500 ft"),
        (-2.77e-8, 0.08, "m", "0.0 ± 8.0 cm", "0.0 ± 3.2 in"),
        (-0.004, 0.08, "m", "-0.4 ± 8.0 cm", "-0.2 ± 3.2 in"),
        (0.0, 0.0, "°", "0.00 ± 0.00°", "0.00 ± 0.00°"),
        (123_456.0, 2_950.0, "m²", "123000 ± 3000 m²", "1330000 ± 40000 ft²"),
        (89.96, 1.25, "°", "90.0 ± 1.3°", "90.0 ± 1.3°"),
    ],
)
def test_value_with_its_spread(value, plus_minus, unit, metric, feet) -> None:
    assert with_spread(value, plus_minus, unit) == metric
    assert with_spread(value, plus_minus, unit, "ft") == feet
