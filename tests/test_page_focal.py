"""The tab "Focal length" as a visitor uses it."""

import numpy as np
import pytest
from browser import ASTRONAUT, Served, card, open_tab, shot, upload, wait_for_depth
from playwright.sync_api import Page, expect

from depthpro import Prediction

pytestmark = pytest.mark.browser


def type_in(page: Page, field: str, value: str) -> None:
    page.locator(f"{field} input").fill(value)
    page.locator(f"{field} input").press("Enter")


def test_every_way_to_say_it_rescales_without_the_network(
    page: Page, served: Served, expected: Prediction
) -> None:
    upload(page, ASTRONAUT)
    wait_for_depth(page)
    open_tab(page, "Focal length")
    f_px = page.locator("#f-px input")
    expect(f_px).to_have_value(f"{expected.f_px.item():.1f}")
    calls = len(served.calls)
    type_in(page, "#fov-deg", "90")
    # 90 degrees on 512 columns is 256 px, and depth is proportional to the focal length.
    expect(f_px).to_have_value("256")
    # 256 px of a diagonal of 512 sqrt(2): 256 * 43.267 / 724.08 = 15.30 mm
    expect(page.locator("#f-35mm input")).to_have_value("15.3")
    median = np.median(expected.with_focal(256.0).depth_at(128, 128).numpy())
    expect(page.locator("#summary")).to_contain_text(f"{median:.3g} m")
    assert card(page, "Focal length") == "256 px"
    assert page.get_by_role("radio", name="By hand").is_checked()
    expect(page.locator(".focal-table .used")).to_contain_text("90.0°")
    expect(page.locator(".from-above .used")).to_have_count(1)
    shot(page, "focal")
    type_in(page, "#f-35mm", "50")
    expect(page.locator("#fov-deg input")).to_have_value("34.02")
    page.get_by_role("radio", name="Network's estimate").check()
    expect(f_px).to_have_value(f"{expected.f_px.item():.1f}")
    type_in(page, "#f-px", "-3")
    expect(page.get_by_text("must be positive and finite").first).to_be_visible()
    expect(f_px).to_have_value(f"{expected.f_px.item():.1f}")
    assert len(served.calls) == calls


def test_known_length_and_crops(page: Page, served: Served) -> None:
    upload(page, ASTRONAUT)
    wait_for_depth(page)
    open_tab(page, "Focal length")
    page.get_by_role("button", name="Calibrate with a known length").click()
    stage = page.locator("#ruler-view .stage")
    expect(stage.locator("img.photo")).to_be_visible()
    box = stage.bounding_box()
    assert box is not None
    for x, y in ((0.5, 0.95), (0.55, 0.15)):
        stage.click(position={"x": x * box["width"], "y": y * box["height"]})
        page.wait_for_timeout(300)
    expect(page.locator("#ruler-said")).to_contain_text("true distance")
    type_in(page, "#true-length", "6")
    expect(page.locator("#ruler-said")).to_contain_text("Measured")
    if page.locator("#use-ruler").is_enabled():
        page.locator("#use-ruler").click()
        expect(page.locator("#ruler-said")).to_contain_text("1 times as long")
        assert page.get_by_role("radio", name="By hand").is_checked()
    calls = len(served.calls)
    page.get_by_role("button", name="What the network says about crops").click()
    page.locator("#ask-crops").click()
    expect(page.locator("svg.crops")).to_be_visible()
    assert len(served.calls) == calls + 4
    shot(page, "focal-lab")
