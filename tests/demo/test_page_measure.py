"""Measuring as a person does it: by mouse and by keyboard, in the page."""

import csv
import math
import re
from collections.abc import Sequence

import numpy as np
import pytest
from browser import ASTRONAUT, open_tab, shot, upload, wait_for_depth
from flat_scenes import analysis_of, predict
from playwright.sync_api import Page, expect

from demo.ground import ground_of
from demo.page import measure as tab
from demo.session import Session
from demo.tabs.measure import table as measure_table
from demo.tabs.measure.measure import Kind, locate, measure
from demo.units import Units
from depthpro import Prediction, checkpoint

STAGE = "#measure-view .stage"
ERROR = checkpoint.load("small").provenance.depth_error
MIDDLE, STEP = 255.5, 8  # of the astronaut: where the crosshair starts, and what an arrow moves


def start(page: Page) -> None:
    upload(page, ASTRONAUT)
    wait_for_depth(page)
    open_tab(page, "Measure")
    expect(page.locator("#measure-note")).to_contain_text("Choose 2 points.")
    expect(page.locator(f"{STAGE} img").first).to_be_visible()
    expect(page.get_by_role("tab", selected=True)).to_have_text(["Measure"])


def expect_points(page: Page, count: int) -> None:
    numbers = [str(number + 1) for number in range(count)]
    expect(page.locator("#measure-view svg .number")).to_have_text(numbers)


def drawn_points(page: Page) -> list[tuple[float, float]]:
    """Return where the rings are, to a tenth of a pixel."""
    rings = page.locator("#measure-view svg circle.dark")
    places = rings.evaluate_all("all => all.map(c => [c.cx.baseVal.value, c.cy.baseVal.value])")
    return [(round(x, 1), round(y, 1)) for x, y in places]


def rows(
    prediction: Prediction,
    points: Sequence[tuple[float, float]],
    kind: Kind = "distance",
    units: Units = "m",
) -> list[str]:
    """Return the cells of the table as the functions have them."""
    ground = ground_of(prediction).ground
    if kind == "height" and ground is None:
        return []
    results = measure(locate(prediction, points, ERROR), kind, ground)
    return [cell for row in measure_table.rows(results, units) for cell in row]


@pytest.mark.browser
def test_keyboard_kinds_units_and_focal_length(page, served, expected) -> None:
    start(page)
    calls = len(served.calls)
    stage, cells = page.locator(STAGE), page.locator("#measure-table td")
    stage.focus()
    for number, key in enumerate(("ArrowRight", "ArrowDown", "ArrowLeft")):
        for _ in range(8):
            page.keyboard.press(key)
        page.keyboard.press("Enter")
        expect_points(page, number + 1)
    far = MIDDLE + 8 * STEP
    points = drawn_points(page)
    np.testing.assert_allclose(points, [(far, MIDDLE), (far, far), (MIDDLE, far)], atol=1)
    expect(cells).to_have_text(rows(expected, points))
    headline = "Total 1 to 3: " + rows(expected, points)[-1]
    expect(page.locator("#measure-note .headline")).to_have_text(headline)
    for kind in ("angle", "area", "height"):
        page.get_by_role("radio", name=kind.capitalize()).check()
        expect(cells).to_have_text(rows(expected, points, kind))
    shot(page, "measure-height")
    page.get_by_role("radio", name="feet").check()
    expect(cells).to_have_text(rows(expected, points, "height", "ft"))
    page.get_by_role("radio", name="Distance").check()
    open_tab(page, "Focal length")
    focal = page.locator("#f-px input")
    expect(focal).to_have_value(f"{expected.f_px.item():.1f}")
    focal.fill("900")
    focal.press("Enter")
    expect(page.locator(".cards")).to_contain_text("900 px")
    open_tab(page, "Measure")
    expect(cells).to_have_text(rows(expected.with_focal(900), points, "distance", "ft"))
    assert len(served.calls) == calls


@pytest.mark.browser
def test_mouse_undo_clear_and_csv(page: Page, expected: Prediction) -> None:
    start(page)
    stage = page.locator(STAGE)
    box = stage.bounding_box()
    assert box
    shares = [(0.25, 0.25), (0.75, 0.3), (0.7, 0.8)]
    for x, y in shares:  # faster than the answers come
        stage.click(position={"x": x * box["width"], "y": y * box["height"]})
    expect_points(page, len(shares))
    shot(page, "measure-distance")
    with page.expect_download() as download:
        page.locator("#measure-csv").click()
    assert download.value.suggested_filename == "astronaut_measurements.csv"
    lines = download.value.path().read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# photo: astronaut, 512 x 512 px"
    table = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    at = {(row["what"], row["points"]): float(row["value"]) for row in table}
    points = [(at["column", number], at["row", number]) for number in "123"]
    np.testing.assert_allclose(points, np.array(shares) * 512 - 0.5, atol=1.5)
    for result in measure(locate(expected, points), "distance"):
        name = " ".join(map(str, result.points))
        # Points are written to a tenth of a pixel.
        assert at[result.what, name] == pytest.approx(result.value, rel=1e-3)
    page.get_by_role("button", name="Undo").click()
    expect_points(page, 2)
    expect(page.locator("#measure-table td")).to_have_count(3)
    page.get_by_role("button", name="Clear").click()
    expect_points(page, 0)
    expect(page.locator("#measure-table td")).to_have_count(0)
    expect(page.locator("#measure-csv")).to_be_disabled()
    stage.click()
    expect_points(page, 1)
    upload(page, ASTRONAUT)  # a photo starts anew
    expect_points(page, 0)


@pytest.mark.browser
def test_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    upload(page, ASTRONAUT)
    wait_for_depth(page)
    open_tab(page, "Measure")
    stage = page.locator(STAGE)
    expect(page.locator(f"{STAGE} img").first).to_be_visible()
    for number, x in enumerate((60, 280)):
        stage.click(position={"x": x, "y": 150})
        expect_points(page, number + 1)
    label = page.locator("#measure-view svg .value")
    expect(label).to_have_text(re.compile(r"\d ± .* m"))
    scale = label.evaluate("text => text.getScreenCTM().a")
    size = label.evaluate("text => parseFloat(getComputedStyle(text).fontSize)") * scale
    assert size > 12.5  # pixels of the screen
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shot(page, "measure-390")


def test_points_that_cannot_be_measured_are_refused_by_a_sentence() -> None:
    photo = Session(analysis_of(predict(lambda rays: np.where(rays[..., 1] < 0, np.inf, 5.0))))
    for point, kind, sentence in (
        ((600.0, 100.0), "distance", "There is sky at point 1"),
        ((600.0, 800.0), "height", "No ground was found"),
        ((600.0, 800.0), "distance", "point 1 already"),
        ((math.nan, 5.0), "distance", "Choose points in the photo"),
    ):
        _, text, *_ = tab._add(point, photo, "m", kind)
        assert sentence in text
    assert photo.points == ((600.0, 800.0),)
