"""The tab "Focal length" as a visitor uses it."""

import numpy as np
import pytest
from browser import ASTRONAUT, card, open_tab, shot, upload, wait_for_depth
from playwright.sync_api import Locator, Page, Route, expect

from demo.tabs.focal.focal import calibrate
from demo.tabs.measure.measure import locate, measure
from depthpro import Prediction

pytestmark = pytest.mark.browser


@pytest.fixture
def lab(page: Page, expected: Prediction) -> Page:
    """Return the page with the astronaut, at this tab, once its numbers are there."""
    upload(page, ASTRONAUT)
    wait_for_depth(page)
    open_tab(page, "Focal length")
    expect(field(page, "f-px")).to_have_value(f"{expected.f_px.item():.1f}")
    return page


def field(page: Page, name: str) -> Locator:
    return page.locator(f"#{name} input")


def type_in(page: Page, name: str, value: str) -> None:
    field(page, name).fill(value)
    field(page, name).press("Enter")


def source(page: Page, name: str) -> Locator:
    return page.get_by_role("radio", name=name)


def choose_point(page: Page, x: float, y: float, number: int) -> None:
    """Click on a place of the photo, in shares of its width and height; it becomes this point."""
    stage = page.locator("#ruler-view .stage")
    stage.scroll_into_view_if_needed()
    expect(stage.locator("img.photo")).to_be_visible()
    box = stage.bounding_box()
    assert box is not None
    stage.click(position={"x": x * box["width"], "y": y * box["height"]})
    expect(page.locator("#ruler-view circle.light")).to_have_count(number)


def test_every_way_to_say_it_rescales_without_the_network(lab, served, expected) -> None:
    page, f_px, estimated = lab, field(lab, "f-px"), f"{expected.f_px.item():.1f}"
    calls = len(served.calls)
    type_in(page, "fov-deg", "90")
    # 90 degrees on 512 columns is 256 px, and depth is proportional to the focal length.
    expect(f_px).to_have_value("256")
    # 256 px of a diagonal of 512 sqrt(2): 256 * 43.267 / 724.08 = 15.30 mm
    expect(field(page, "f-35mm")).to_have_value("15.3")
    median = np.median(expected.with_focal(256.0).depth_at(384, 384).numpy())
    expect(page.locator("#summary")).to_contain_text(f"{median:.3g} m")
    assert card(page, "Focal length") == "256 px"
    expect(source(page, "By hand")).to_be_checked()
    expect(page.locator(".sources .used")).to_contain_text("90.0°")
    expect(page.locator(".from-above .rim")).to_have_count(2)
    expect(page.locator(".from-above .rim.used.hand")).to_have_count(1)
    shot(page, "focal")
    field(page, "f-35mm").fill("50")  # who goes on to another field has not pressed Enter
    field(page, "true-length").focus()
    expect(field(page, "fov-deg")).to_have_value("34.02")
    source(page, "Network's estimate").check()
    expect(f_px).to_have_value(estimated)
    source(page, "By hand").check()  # what was typed last is not lost
    expect(field(page, "fov-deg")).to_have_value("34.02")
    type_in(page, "f-px", "-3")
    expect(page.locator("#focal-problem")).to_contain_text("positive number of pixels, not -3")
    expect(field(page, "fov-deg")).to_have_value("34.02")
    expect(f_px).not_to_have_value("-3")
    type_in(page, "f-px", "1e-30")
    expect(page.locator("#focal-problem")).to_contain_text("175 to 1 degrees")
    f_px.fill("")
    f_px.press("Enter")
    expect(f_px).not_to_have_value("")
    expect(page.locator("#focal-problem")).to_have_text("")
    assert len(served.calls) == calls


def test_sources_are_chosen_with_the_keyboard(lab: Page, expected: Prediction) -> None:
    type_in(lab, "f-px", "700")
    expect(source(lab, "By hand")).to_be_checked()
    expect(lab.locator(".sources .none")).to_contain_text("has none")  # the photo's metadata
    source(lab, "By hand").focus()
    lab.keyboard.press("ArrowUp")
    expect(field(lab, "f-px")).to_have_value(f"{expected.f_px.item():.1f}")
    expect(source(lab, "Network's estimate")).to_be_focused()
    lab.keyboard.press("ArrowDown")
    expect(field(lab, "f-px")).to_have_value("700")


def test_leaving_a_field_late_does_not_undo_the_next_choice(
    lab: Page, expected: Prediction
) -> None:
    type_in(lab, "f-px", "700")
    expect(field(lab, "fov-deg")).to_have_value("40.18")  # 2 atan(256 / 700)
    expect(source(lab, "By hand")).to_be_checked()
    held: list[Route] = []
    lab.route(
        "**/run/predict*", lambda route: held.append(route) if not held else route.continue_()
    )
    field(lab, "f-px").blur()
    source(lab, "Network's estimate").check()
    expect(field(lab, "f-px")).to_have_value(f"{expected.f_px.item():.1f}")
    with lab.expect_response("**/run/predict*"):
        held[0].continue_()
    open_tab(lab, "Depth")
    open_tab(lab, "Focal length")  # drawn anew
    expect(field(lab, "f-px")).to_have_value(f"{expected.f_px.item():.1f}")
    expect(source(lab, "Network's estimate")).to_be_checked()


def test_a_known_length_tells_the_focal_length(lab: Page, expected: Prediction) -> None:
    note = lab.locator("#ruler-note")
    expect(note).to_contain_text("Choose two points")
    depth = expected.depth_at(16, 16)[0].numpy()
    ends = [np.unravel_index(int(find(depth)), depth.shape) for find in (np.argmin, np.argmax)]
    places = [((column + 0.5) / 16, (row + 0.5) / 16) for row, column in ends]
    choose_point(lab, *places[0], number=1)
    expect(note).to_contain_text("second point")
    choose_point(lab, *places[1], number=2)
    expect(note).to_contain_text("Type the true distance")
    expect(lab.locator("#use-ruler")).to_be_disabled()
    points = locate(expected, [(512 * x - 0.5, 512 * y - 0.5) for x, y in places])
    (measured,) = measure(points, "distance")
    true = round(1.1 * measured.value, 3)
    calibration = calibrate(points, true)
    assert calibration.verdict == "focal length"
    type_in(lab, "true-length", str(true))
    expect(note).to_contain_text("9.1% too short")  # 1 - 1 / 1.1
    shot(lab, "focal-lab")
    lab.locator("#use-ruler").click()
    expect(note).to_contain_text("the length is right")
    expect(source(lab, "By hand")).to_be_checked()
    f_px = float(field(lab, "f-px").input_value())
    assert f_px == pytest.approx(calibration.f_px, rel=0.02)  # a click hits a pixel, not a point
    lab.locator("#units").get_by_text("feet").click()
    expect(field(lab, "true-length")).to_have_value(f"{true / 0.3048:.6g}")
    lab.locator("#clear-ruler").click()
    expect(note).to_contain_text("Choose two points")
    expect(lab.locator("#ruler-view circle")).to_have_count(0)
