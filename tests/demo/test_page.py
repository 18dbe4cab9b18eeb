"""The real page, driven in headless Chromium as a person would: what belongs to no single tab."""

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from browser import ASTRONAUT, card, choose_example, open_tab, shot, upload, wait_for_depth
from PIL import Image
from playwright.sync_api import Page, expect

from depthpro import Prediction

pytestmark = pytest.mark.browser

TABS = ["Depth", "Focal length", "3D", "Measure", "Play", "Sharpness", "Compare", "Many & video"]


def test_photo_to_depth_and_zip(page: Page, expected: Prediction) -> None:
    shot(page, "first")
    expect(page.get_by_role("button", name="Room")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#weights summary")).to_contain_text("Weights: small")
    expect(page.locator("#weights p")).to_be_hidden()
    page.locator("#weights summary").click()
    expect(page.locator("#weights p")).to_contain_text("Licence: Apache-2.0")
    upload(page, ASTRONAUT)
    wait_for_depth(page)
    expect(page.locator("#examples [aria-pressed=true]")).to_have_count(0)
    assert card(page, "Field of view") == f"{expected.fov_deg.item():.1f}°"
    assert card(page, "Focal length") == f"{expected.f_px.item():.0f} px"
    median = np.median(expected.depth_at(384, 384).numpy())
    assert card(page, "Median depth") == f"{median:.3g} m"
    shot(page, "depth")
    with page.expect_download() as download:
        page.locator("#prepare").click()
    assert download.value.suggested_filename == "astronaut_depth.zip"
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None
        with np.load(archive.open("astronaut.npz")) as file:
            np.testing.assert_allclose(file["depth"], expected.depth[0].numpy(), rtol=1e-5)


def test_example_metadata_and_heic(page: Page, tmp_path: Path) -> None:
    choose_example(page, "Coffee")
    expect(page.locator(".cards")).to_contain_text("coffee")
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 26
    exif[0x0112] = 6
    picture = Image.open(ASTRONAUT).convert("RGB").resize((200, 100))
    from pillow_heif import from_pillow

    heic = from_pillow(picture)
    heic.save(tmp_path / "phone.heic", exif=exif.tobytes())
    upload(page, tmp_path / "phone.heic")
    expect(page.locator(".cards")).to_contain_text("100 × 200")
    expect(page.locator(".cards")).to_contain_text("FocalLengthIn35mmFilm")
    # 26 mm by the diagonal: 26 * sqrt(200² + 100²) / sqrt(36² + 24²) = 134.4 px
    assert card(page, "Focal length") == "134 px"
    # The browser cannot show HEIC, so it shows what was read.
    wait_for_depth(page)
    shown = page.locator("#depth-view .photo")
    assert shown.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [100, 200]


def test_what_is_no_photo_is_said_in_the_page(page: Page, tmp_path: Path) -> None:
    upload(page, ASTRONAUT)
    wait_for_depth(page)
    (tmp_path / "letter.jpg").write_text("Dear diary")
    upload(page, tmp_path / "letter.jpg")
    expect(page.get_by_role("alert")).to_have_text(re.compile("Expected a JPEG, PNG.*letter.jpg"))
    expect(page.locator("#summary .hint")).to_be_visible()
    expect(page.locator("#depth-view .empty")).to_be_visible()
    expect(page.locator("#prepare")).to_be_hidden()
    shot(page, "refused")
    upload(page, ASTRONAUT)
    wait_for_depth(page)
    expect(page.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize("width", [390, 820])
def test_narrow_screens_show_all_tabs_and_scroll_one_way_only(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    upload(page, ASTRONAUT)
    wait_for_depth(page)
    for name in TABS:  # some of them in a menu
        open_tab(page, name)
        page.wait_for_timeout(500)
        shot(page, f"{name.split()[0].lower()}-{width}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
