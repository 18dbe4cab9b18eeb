"""The tab "Depth" and the picture component, as a person uses them."""

import re
from pathlib import Path

import numpy as np
import pytest
from browser import ASTRONAUT, PHOTOS, Served, open_tab, shot, upload, wait_for_depth
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from demo import screen
from demo.figures import percent
from demo.tabs.depth import style
from demo.tabs.depth.style import DepthStyle
from depthpro import Prediction, load_image
from depthpro.viz import DepthRange

pytestmark = pytest.mark.browser

STAGE = "#depth-view .stage"
SIZES_M = {"km": 1000, "m": 1, "cm": 0.01, "mi": 1609.344, "ft": 0.3048, "in": 0.0254}


def readout(page: Page) -> dict[str, str]:
    cells = page.locator("#depth-view .readout span").all_inner_texts()
    return dict(re.split(r"\s+", cell, maxsplit=1) for cell in cells)


def metres(text: str) -> float:
    number, unit = text.split()
    return float(number) * SIZES_M[unit]


def point_at(page: Page, x: float, y: float) -> dict[str, str]:
    """Move the mouse over the picture, to shares of its width and height."""
    box = page.locator(STAGE).bounding_box()
    page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    expect(page.locator("#depth-view .readout span").first).to_be_visible()
    return readout(page)


def drawn(page: Page) -> str:
    return page.locator("#depth-view .over").get_attribute("src")


def redrawn(page: Page, before: str) -> None:
    expect(page.locator("#depth-view .over")).not_to_have_attribute("src", before)


def choose(page: Page, group: str, name: str) -> None:
    """Choose in a radio, and wait for what follows."""
    before = drawn(page)
    page.locator(f"#{group}").get_by_text(name, exact=True).click()
    redrawn(page, before)


def below(page: Page) -> float:
    """Return how far below the picture the controls are, in pixels of the screen."""
    stage, choices = (page.locator(name).bounding_box() for name in (STAGE, ".choices"))
    return choices["y"] - stage["y"]


def field(page: Page, name: str) -> Locator:
    return page.locator(f"#{name} input")


def check_reading(page: Page, prediction: Prediction, x: float, y: float) -> None:
    read = point_at(page, x, y)
    column, row = (int(number) for number in read["pixel"].split(", "))
    assert abs(column - (x * prediction.width - 0.5)) < 1.1
    assert abs(row - (y * prediction.height - 0.5)) < 1.1
    z, f_px = prediction.depth[0, row, column].item(), prediction.f_px.item()
    right, down = column - (prediction.width - 1) / 2, row - (prediction.height - 1) / 2
    assert metres(read["depth"]) == pytest.approx(z, rel=1e-3)
    ray = z * np.sqrt(1 + (right / f_px) ** 2 + (down / f_px) ** 2)
    assert metres(read["distance"]) == pytest.approx(ray, rel=1e-3)
    across, along = read["from"].removeprefix("the axis").strip().split(", ")
    for text, offset, names in ((across, right, "left right"), (along, down, "up down")):
        number, name = text.rsplit(" ", 1)
        assert metres(number) == pytest.approx(abs(offset) * z / f_px, rel=6e-3)
        assert name == names.split()[offset > 0]


def test_readout_is_the_prediction(page: Page, expected: Prediction, served: Served) -> None:
    calls = len(served.calls)
    upload(page, ASTRONAUT)
    wait_for_depth(page)
    places = [(0.001, 0.001), (0.999, 0.999), (0.31, 0.62), (0.7, 0.2), (0.9, 0.55), (0.45, 0.1)]
    for place in places:
        check_reading(page, expected, *place)
    page.locator("#units").get_by_text("feet").click()
    expect(page.locator("#near")).to_contain_text("Near (ft)")
    check_reading(page, expected, 0.6, 0.4)
    near = field(page, "near").input_value()
    open_tab(page, "Focal length")
    expect(field(page, "f-px")).not_to_have_value("")  # what is typed before would be replaced
    field(page, "f-px").fill("2000")
    field(page, "f-px").press("Enter")
    expect(page.locator(".cards")).to_contain_text("2000 px")
    open_tab(page, "Depth")
    page.wait_for_function("document.querySelector('#depth-view .stage').clientHeight > 100")
    redone = expected.with_focal(2000.0)
    expect(field(page, "near")).not_to_have_value(near)
    check_reading(page, redone, 0.6, 0.4)
    choose(page, "kind", "ray")
    assert list(point_at(page, 0.2, 0.2))[:2] == ["distance", "depth"]
    assert len(served.calls) == calls + 1


def test_choices_draw_what_they_say(page: Page, expected: Prediction, tmp_path: Path) -> None:
    upload(page, ASTRONAUT)
    wait_for_depth(page)
    photo = page.locator("#depth-view .photo").get_attribute("src")
    place = below(page)
    depth = expected.depth[0].numpy()
    automatic = style.draw(depth, expected.f_px.item(), DepthStyle()).span
    shown = tuple(float(field(page, end).input_value()) for end in ("near", "far"))
    assert shown == style.typed_range(automatic)
    choose(page, "scale", "log")
    choose(page, "kind", "ray")
    before = drawn(page)
    page.locator("#cmap input").click()
    page.get_by_role("option", name="Cividis").click()
    redrawn(page, before)
    span = DepthRange(*(round(end, 2) for end in np.quantile(depth, (0.2, 0.7))))
    field(page, "near").fill(str(span.near_m))
    field(page, "far").fill(str(span.far_m))
    before = drawn(page)
    field(page, "far").press("Enter")
    redrawn(page, before)
    expect(page.locator("#range").get_by_label("fixed")).to_be_checked()
    wanted = style.draw(depth, expected.f_px.item(), DepthStyle("cividis", "log", "ray", span))
    expect(page.locator(".legend")).to_contain_text(f"{percent(wanted.nearer)} nearer than")
    expect(page.locator(".legend")).to_contain_text(f"{percent(wanted.farther)} farther than")
    assert drawn(page) == screen.picture_uri(wanted.rgb, "JPEG")
    shot(page, "depth-fixed")
    before = drawn(page)
    page.get_by_label("Mark sky").uncheck()
    redrawn(page, before)
    choose(page, "range", "automatic")
    ray = style.ray_distance(depth, expected.f_px.item())
    assert float(field(page, "far").input_value()) == pytest.approx(
        style.draw(ray, 1e9, DepthStyle()).span.far_m, rel=0.01
    )
    # Only the coloured depth was sent, and nothing moved.
    assert page.locator("#depth-view .photo").get_attribute("src") == photo
    assert below(page) == place


def test_impossible_range_is_explained_and_changes_nothing(page: Page) -> None:
    upload(page, ASTRONAUT)
    wait_for_depth(page)
    before, usual = drawn(page), field(page, "near").input_value()
    field(page, "near").fill("900")
    field(page, "near").press("Tab")
    expect(page.get_by_role("alert")).to_contain_text("Near must be smaller than far")
    expect(page.locator("#range").get_by_label("automatic")).to_be_checked()
    assert drawn(page) == before
    field(page, "far").fill("1000")
    field(page, "far").press("Tab")
    redrawn(page, before)
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.locator(".legend")).to_contain_text("100% nearer than 900 m")
    # A fixed range stays, in the other unit too, and with another photo.
    page.locator("#units").get_by_text("feet").click()
    expect(field(page, "near")).to_have_value("2950")
    upload(page, PHOTOS / "coffee.png")
    expect(page.locator(".cards")).to_contain_text("coffee")
    expect(field(page, "near")).to_have_value("2950")
    choose(page, "range", "automatic")
    assert field(page, "near").input_value() != usual


def test_sky_is_hatched_and_read_as_such(page: Page, served: Served, tmp_path: Path) -> None:
    photo = load_image(PHOTOS / "rocket.jpg").rgb
    prediction = served.model.infer(photo)
    # So long a lens that half of the photo is farther than 1 km.
    f_px = 1000 / prediction.with_focal(1.0).depth.median().item()
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = round(f_px * np.hypot(36, 24) / np.hypot(*photo.shape[:2]))
    exif[0x0112] = 1
    Image.fromarray(photo).save(tmp_path / "far.png", exif=exif)
    upload(page, tmp_path / "far.png")
    wait_for_depth(page)
    legend = re.compile("^(49|50|51)% sky, or farther than 1 km$")
    expect(page.locator(".legend span").first).to_have_text(legend)
    row, column = np.argwhere(prediction.with_focal(f_px).depth[0].numpy() > 1100)[0]
    read = point_at(page, (column + 0.5) / prediction.width, (row + 0.5) / prediction.height)
    assert read["depth"] == "sky, or over 1 km"
    shot(page, "depth-sky")


def test_divider_and_crosshair_by_mouse_and_keyboard(page: Page) -> None:
    upload(page, ASTRONAUT)
    wait_for_depth(page)
    stage, divider = page.locator(STAGE), page.locator("#depth-view .divider")
    box = stage.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] - 200, middle, steps=4)  # beyond the edge
    expect(divider).to_have_attribute("aria-valuenow", "0")
    expect(page.locator("#depth-view .cross")).to_be_hidden()
    page.mouse.move(box["x"] + 0.75 * box["width"], middle, steps=4)
    page.mouse.up()
    page.mouse.move(box["x"] + 0.4 * box["width"], middle)
    expect(divider).to_have_attribute("aria-valuenow", "75")
    divider.focus()
    divider.press("ArrowLeft")
    expect(divider).to_have_attribute("aria-valuenow", "73")
    divider.press("Home")
    expect(divider).to_have_attribute("aria-valuenow", "0")
    page.mouse.move(0, 0)
    expect(page.locator("#depth-view .readout")).to_contain_text("Point at the picture")
    stage.focus()
    stage.press("Shift+ArrowRight")
    assert readout(page)["pixel"] == "257, 256"
    for _ in range(40):
        stage.press("ArrowDown")  # 8 pixels each, up to the edge
    assert readout(page)["pixel"] == "257, 511"
    stage.press("Escape")
    expect(page.locator("#depth-view .cross")).to_be_hidden()


def test_a_finger_reads_and_what_it_read_stays(browser: Browser, served: Served) -> None:
    phone = {"width": 390, "height": 800}
    context = browser.new_context(viewport=phone, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(served.url)
    upload(page, ASTRONAUT)
    wait_for_depth(page)
    stage = page.locator(STAGE)
    stage.scroll_into_view_if_needed()
    place, box = below(page), stage.bounding_box()
    page.touchscreen.tap(box["x"] + 0.25 * box["width"], box["y"] + 0.5 * box["height"])
    column, row = (int(number) for number in readout(page)["pixel"].split(", "))
    assert abs(column - 128) <= 2
    assert abs(row - 256) <= 2
    assert below(page) == pytest.approx(place, abs=2)  # nothing jumps
    shot(page, "depth-finger")
    context.close()
