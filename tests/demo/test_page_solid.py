"""The tab "3D" in the real page."""

import json
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import trimesh
from browser import ASTRONAUT, open_tab, pixels, shot, upload, wait_for_depth
from PIL import Image
from playwright.sync_api import Page, Request, ViewportSize, expect

from demo.formats import has_usd

pytestmark = pytest.mark.browser

SMALL: ViewportSize = {"width": 780, "height": 560}  # less to draw without a GPU


def wait_for_drawing(page: Page, folder: Path) -> np.ndarray:
    """Wait until the viewer shows more than its background, and return what."""
    for _ in range(200):
        picture = pixels(page, "#surface canvas", folder)[40:]  # below the label
        if picture.std(axis=(0, 1)).max() > 20:
            return picture
        page.wait_for_timeout(300)
    raise AssertionError("the viewer has drawn nothing")


def press(page: Page, label: str) -> None:
    """Click at once: a picture in 3D without a GPU leaves no still frame to wait for."""
    page.get_by_label(label, exact=True).dispatch_event("click")


def until(page: Page, cameras: list, count: int) -> None:
    """Wait until the server was sent so many cameras."""
    end = time.monotonic() + 60
    while len(cameras) < count and time.monotonic() < end:
        page.wait_for_timeout(100)
    assert len(cameras) >= count


def test_views_follow_the_choices_and_the_camera_stays(page, served, tmp_path) -> None:
    cameras: list[list[float]] = []

    def note(request: Request) -> None:
        if "queue/join" in request.url and "camera_position" in (request.post_data or ""):
            data = json.loads(request.post_data or "{}")["data"]
            cameras.append(next(v for v in data if isinstance(v, dict))["camera_position"])

    page.set_viewport_size(SMALL)
    page.on("request", note)
    with Image.open(ASTRONAUT) as photo:  # likewise: fewer vertices
        photo.resize((192, 192)).save(tmp_path / "small.png")
    upload(page, tmp_path / "small.png")
    wait_for_depth(page)
    calls = len(served.calls)
    open_tab(page, "3D")
    # Whether a portrait has a ground that levels it is for the weights to say.
    expect(page.locator("#solid-note")).to_contain_text("Scale bar")
    first = wait_for_drawing(page, tmp_path)
    shot(page, "solid")
    box = page.locator("#surface canvas").bounding_box()
    assert box
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 120, middle[1], steps=2)
    page.mouse.up()
    page.wait_for_timeout(1500)  # the viewer's camera swings on for a while
    press(page, "Scale bar")
    until(page, cameras, 1)
    expect(page.locator("#solid-note")).not_to_contain_text("Scale bar")
    page.locator("#cut input[type=number]").fill("30")
    until(page, cameras, 2)
    press(page, "Points")
    until(page, cameras, 3)
    page.wait_for_timeout(1000)
    turned = wait_for_drawing(page, tmp_path)
    assert np.abs(turned - first).mean() > 5
    # Turned away from the front, which is at 90 degrees, and there it stays.
    assert abs(cameras[0][0] - 90) > 5
    np.testing.assert_allclose(cameras[1:], [cameras[0]] * 2, rtol=1e-3)
    open_tab(page, "Depth")
    open_tab(page, "3D")
    page.wait_for_timeout(1000)
    press(page, "Camera")
    until(page, cameras, 4)
    np.testing.assert_allclose(cameras[3], cameras[0], rtol=1e-3)
    press(page, "Map")
    expect(page.locator("svg.plan")).to_be_visible()
    expect(page.locator("svg.plan")).to_contain_text("2 m")
    expect(page.locator("#parts")).to_be_hidden()
    press(page, "feet")
    expect(page.locator("svg.plan")).to_contain_text("ft")
    press(page, "Chart with axes")
    page.wait_for_function("document.querySelector('#chart canvas')?.width > 100", polling=300)
    shot(page, "chart")
    assert len(served.calls) == calls


def test_single_files(page: Page, tmp_path: Path) -> None:
    page.set_viewport_size(SMALL)
    upload(page, ASTRONAUT)
    wait_for_depth(page)
    open_tab(page, "3D")
    press(page, "STL, relief to print")
    page.locator("#relief-width input").fill("5")
    page.locator("#prepare-file").dispatch_event("click")
    expect(page.get_by_test_id("toast-body")).to_contain_text("must be 20 to 500 mm, got 5")
    page.locator("#relief-width input").fill("60")
    with page.expect_download() as download:
        page.locator("#prepare-file").dispatch_event("click")
    assert download.value.suggested_filename == "astronaut_relief.stl"
    download.value.save_as(tmp_path / "relief.stl")
    solid = trimesh.load(tmp_path / "relief.stl")
    assert solid.is_watertight
    np.testing.assert_allclose(solid.bounds[1], [60, 60, 14], atol=1e-3)
    if has_usd():
        press(page, "USDZ, for iPhone and Mac")
        expect(page.locator("#relief-width")).to_be_hidden()
        with page.expect_download() as download:
            page.locator("#prepare-file").dispatch_event("click")
        assert download.value.suggested_filename == "astronaut.usdz"
        with zipfile.ZipFile(download.value.path()) as archive:
            assert archive.testzip() is None
