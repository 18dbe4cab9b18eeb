"""Contours, errors and mirror images as a person looks at them, in the page."""

from pathlib import Path

import numpy as np
import pytest
from browser import Served, card, choose_example, open_tab, shot, upload
from flat_scenes import analysis_of
from PIL import Image
from playwright.sync_api import Page, expect

from demo.figures import percent
from demo.tabs.sharpness import truth
from demo.tabs.sharpness.sharpness import compare, difference, mirrored
from demo.tabs.sharpness.truth import EXAMPLES
from depthpro import load_image

VIEW = "#sharp-view"
STREET = EXAMPLES / "street.jpg"


def start(page: Page, photo: Path) -> None:
    upload(page, photo)
    expect(page.locator("#summary .cards")).to_contain_text(photo.stem)
    open_tab(page, "Sharpness")
    expect(page.locator(f"{VIEW} svg image")).to_have_count(1)


def drawn(page: Page) -> str:
    return page.locator(f"{VIEW} svg image").get_attribute("href") or ""


@pytest.mark.browser
def test_contours_errors_and_a_mirror_of_a_rendered_street(page: Page, served: Served) -> None:
    photo = load_image(STREET)
    exact = truth.known(photo.rgb)
    assert exact is not None
    prediction = served.model.infer(photo.rgb, photo.f_px)
    comparison = compare(prediction, exact)
    choose_example(page, "Street")
    expect(page.locator("#summary .cards")).to_contain_text("street")
    calls = len(served.calls)
    open_tab(page, "Sharpness")
    expect(page.locator("#sharp-cards")).to_contain_text("Boundary F1")
    assert card(page, "δ1: within 25 %") == f"{comparison.metric.delta1:.1%}"
    assert card(page, "AbsRel: mean error") == f"{comparison.metric.abs_rel:.3f}"
    assert card(page, "Boundary F1") == f"{comparison.f1:.3f}"
    expect(page.locator("#truth")).to_contain_text("rendered with the photo, so exact")
    expect(page.locator("#sharp-note")).to_contain_text("its boundary F1 is")
    shot(page, "sharpness-contours")
    before = drawn(page)
    number = page.locator("#ratio input[type=number]")
    number.fill("1.3")
    number.press("Enter")
    expect(page.locator("#sharp-legend")).to_contain_text("more than 30 %")
    assert drawn(page) != before
    page.get_by_label("Error", exact=True).check()
    expect(page.locator("#sharp-legend")).to_contain_text("Error of metric depth")
    expect(page.locator(f"{VIEW} .name.right")).to_have_text("Error")
    expect(page.locator(f"{VIEW} svg")).to_have_count(0)
    metric = page.locator(f"{VIEW} .over").get_attribute("src")
    shot(page, "sharpness-error")
    page.get_by_label("depth scaled by the median").check()
    expect(page.locator("#sharp-legend")).to_contain_text("after scaling by the median")
    assert page.locator(f"{VIEW} .over").get_attribute("src") != metric
    assert len(served.calls) == calls
    page.get_by_label("Flip consistency").check()
    expect(page.locator("#sharp-legend")).to_contain_text("called once more")
    page.locator("#mirror").click()
    expect(page.locator("#sharp-cards")).to_contain_text("Mirrored: median change")
    assert len(served.calls) == calls + 1
    other = mirrored(served.model, analysis_of(prediction, rgb=photo.rgb))
    median = difference(prediction, other).median
    expect(page.locator("#sharp-legend")).to_contain_text(f"Median {percent(median)}")
    expect(page.locator("#mirror")).to_be_hidden()
    shot(page, "sharpness-mirror")


@pytest.mark.browser
def test_depth_of_ones_own(page: Page, served: Served, tmp_path: Path) -> None:
    rgb = load_image(STREET).rgb[:400].copy()  # cropped, so that it is none of the examples
    Image.fromarray(rgb).save(tmp_path / "crop.png")
    depth = served.model.infer(load_image(tmp_path / "crop.png").rgb).depth[0].numpy()
    np.save(tmp_path / "millimetres.npy", (1000 * depth).round().astype(np.uint32))
    page.set_viewport_size({"width": 390, "height": 844})
    upload(page, tmp_path / "crop.png")
    expect(page.locator("#summary .cards")).to_contain_text("crop")
    open_tab(page, "Sharpness")  # all tabs fit on a phone
    page.get_by_label("Error", exact=True).check()
    expect(page.locator("#sharp-legend [role=alert]")).to_contain_text("not known")
    page.get_by_role("button", name="Compare with depth of your own").click()
    page.locator("#truth-file input[type=file]").set_input_files(tmp_path / "millimetres.npy")
    expect(page.locator("#truth-problem [role=alert]")).to_contain_text("Type it: 0.001")
    page.locator("#scale-m input").fill("0.001")
    page.locator("#scale-m input").press("Enter")
    expect(page.locator("#truth")).to_contain_text("millimetres.npy, 720 × 400 pixels")
    expect(page.locator("#truth-problem [role=alert]")).to_have_count(0)
    assert card(page, "AbsRel: mean error") == "0.000"
    assert card(page, "δ1: within 25 %") == "100.0%"
    expect(page.locator("#sharp-legend")).to_contain_text("Error of metric depth")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shot(page, "sharpness-390")
    upload(page, EXAMPLES / "room.jpg")  # a photo starts anew
    expect(page.locator("#truth")).to_contain_text("rendered with the photo")
    expect(page.locator("#truth-file")).not_to_contain_text("millimetres.npy")
