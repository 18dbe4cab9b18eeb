"""What is drawn over a photo: where, and what is written."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from flat_scenes import HEIGHT, SIZE, WIDTH, pixel, plane, predict

from demo.ground import Ground
from demo.tabs.measure.drawing import draw
from demo.tabs.measure.measure import locate, measure
from demo.units import with_spread

SVG = "{http://www.w3.org/2000/svg}"
CORNERS = [(300.0, 200.0), (700.0, 200.0), (700.0, 500.0), (300.0, 500.0)]
WALL = predict(plane((0, 0, 1 / 4)))
GROUND = Ground(np.array([0.0, -1.0, 0.0]), 1.5, 0.5)


def parse(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def texts(root: ElementTree.Element, name: str) -> list[str]:
    return [
        "".join(text.itertext()) for text in root.iter(f"{SVG}text") if text.get("class") == name
    ]


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
    assert texts(root, "value") == [
        with_spread(r.value, r.plus_minus, r.unit, "ft") for r in written
    ]
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
