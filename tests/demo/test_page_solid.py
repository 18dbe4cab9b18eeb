"""The tab "3D" in the real page."""

import re
from pathlib import Path

import numpy as np
import pytest
import trimesh
from browser import ASTRONAUT, open_tab, pixels, shot, upload, wait_for_depth
from PIL import Image
from playwright.sync_api import Page, ViewportSize, expect

from demo.pipeline import analyse
from demo.tabs.view3d.space import held_pixels, unproject_level
from depthpro.export import surface_size
from depthpro.viz import depth_range, grey

pytestmark = pytest.mark.browser

SMALL: ViewportSize = {"width": 780, "height": 560}  # less to draw without a GPU
STAGE = "#surface .stage"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    with Image.open(ASTRONAUT) as image:  # likewise
        image.resize((192, 192)).save(tmp_path / "small.png")
    return tmp_path / "small.png"


def open_view(page: Page, photo: Path) -> None:
    page.set_viewport_size(SMALL)
    upload(page, photo)
    wait_for_depth(page)
    open_tab(page, "3D")
    page.wait_for_function(f"document.querySelector('{STAGE}').dataset.pose")


def pose(page: Page) -> np.ndarray:
    """Return yaw and pitch of the eye in degrees, its metres from the middle, and its lens."""
    return np.array(page.locator(STAGE).get_attribute("data-pose").split(), float)


def settled(page: Page) -> np.ndarray:
    """Return the pose when what was asked for last is drawn."""
    page.wait_for_timeout(700)
    return pose(page)


def press(page: Page, label: str) -> None:
    """Click at once: a picture in 3D without a GPU leaves no still frame to wait for."""
    page.get_by_label(label, exact=True).dispatch_event("click")


def behind(page: Page, folder: Path) -> np.ndarray:
    """Return the colour around the photo: of the middle of the lowest row, far zoomed out."""
    picture = pixels(page, STAGE, folder)
    return picture[-6, picture.shape[1] // 2]


def projected(points: np.ndarray, seen: np.ndarray, middle: np.ndarray, size: tuple) -> np.ndarray:
    """Return column, row and depth of points as an eye sees them that looks at the middle."""
    (yaw, pitch), (distance, tan) = np.radians(seen[:2]), seen[2:]
    back = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    right = np.cross(-back, [0, 1, 0])
    right /= np.linalg.norm(right)
    away = points - (middle + distance * back)
    z = away @ -back
    across, up = away @ right / z / tan, away @ np.cross(right, -back) / z / tan
    height, width = size
    return np.stack([(width + height * across) / 2, height * (1 - up) / 2, z], axis=-1)


def test_it_sways_until_it_is_touched_and_shows_the_points_where_they_are(
    page: Page, served, photo: Path, tmp_path: Path
) -> None:
    page.emulate_media(reduced_motion="no-preference")
    open_view(page, photo)
    first = pose(page)
    for _ in range(40):
        page.wait_for_timeout(100)
        if np.abs(pose(page) - first)[:2].max() > 1:
            break
    else:
        raise AssertionError("it does not sway")
    page.locator(STAGE).focus()
    page.keyboard.press("Home")
    start = settled(page)
    np.testing.assert_array_equal(settled(page), start)
    shot(page, "solid")
    # Not the photo's own view, which is 15 and 7 degrees away, or less than a degree of rounding.
    analysis = analyse(served.model, photo)
    space = unproject_level(analysis, *surface_size(analysis.prediction, 512))
    up = [1, -1, -1]
    middle = space.rotation[:, 2] * space.middle_m * up
    axis = -middle / np.linalg.norm(middle)
    own = np.degrees([np.arctan2(axis[0], axis[2]), np.arcsin(axis[1])])
    np.testing.assert_allclose(start[:2] - own, [15, 7], atol=0.01)
    # Points of the picture have the photo's colours where nothing nearer hides them.
    picture = pixels(page, f"{STAGE} canvas", tmp_path)
    height, width = picture.shape[:2]
    held = held_pixels(space)
    column, row, z = projected(space.points[held] * up, start, middle, (height, width)).T
    inside = (column > 2) & (column < width - 3) & (row > 50) & (row < height - 50)
    cell = (row[inside] // 4 * width + column[inside] // 4).astype(int)
    nearest = np.full(cell.max() + 1, np.inf)
    np.minimum.at(nearest, cell, z[inside])
    seen = z[inside] < 1.01 * nearest[cell]
    there = picture[row[inside][seen].astype(int), column[inside][seen].astype(int)]
    wanted = analysis.rgb[held][inside][seen].astype(float)
    assert len(wanted) > 5000
    assert np.median(np.abs(there - wanted).max(axis=1)) < 12
    assert np.median(np.abs(there - wanted[::-1]).max(axis=1)) > 50
    # The bar is whole, and as long as it says at the middle.
    bar, box = page.locator(f"{STAGE} .scale").bounding_box(), page.locator(STAGE).bounding_box()
    assert box["x"] < bar["x"] < bar["x"] + bar["width"] < box["x"] + box["width"]
    assert bar["y"] + bar["height"] < box["y"] + box["height"]
    number, unit = page.locator(f"{STAGE} .scale").inner_text().split()
    metres = float(number) * {"km": 1000, "m": 1, "cm": 0.01, "mm": 0.001}[unit]
    assert bar["width"] == pytest.approx(metres * height / 2 / start[3] / start[2], abs=1.5)


def test_it_keeps_the_view_and_follows_choices_and_theme(page, served, photo, tmp_path) -> None:
    open_view(page, photo)
    calls, stage = len(served.calls), page.locator(STAGE)
    stage.hover(force=True)
    page.mouse.wheel(0, 20)  # who scrolls past stops it, and zooms nothing
    before = settled(page)
    box = stage.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 120, middle[1], steps=2)
    page.mouse.up()
    turned = settled(page)
    assert turned[0] < before[0] - 10
    np.testing.assert_array_equal(turned[2:], before[2:])
    surface = pixels(page, f"{STAGE} canvas", tmp_path)
    shown = {}
    for view in ("Points", "Normals"):
        press(page, view)
        np.testing.assert_allclose(settled(page), turned)
        for _ in range(100):
            shown[view] = pixels(page, f"{STAGE} canvas", tmp_path)
            if np.abs(shown[view] - surface).mean() > 5:
                break
            page.wait_for_timeout(200)
        assert np.abs(shown[view] - surface).mean() > 5
        shot(page, f"solid-{view}")
    page.locator("#cut input[type=number]").fill("30")
    open_tab(page, "Depth")
    open_tab(page, "3D")
    np.testing.assert_allclose(settled(page), turned)
    stage.click(force=True)
    for _ in range(8):
        page.mouse.wheel(0, 100)  # it has been clicked: now it zooms
    assert settled(page)[2] > 3 * turned[2]
    light = behind(page, tmp_path)
    page.evaluate("document.body.classList.add('dark')")
    assert light.min() > 200 > 80 > behind(page, tmp_path).max()
    page.get_by_role("button", name="Back to the first view").click()
    assert settled(page)[2] == before[2]
    press(page, "Map")
    expect(page.locator("svg.plan")).to_be_visible()
    expect(page.locator("#parts")).to_be_hidden()
    press(page, "feet")
    expect(page.locator("svg.plan")).to_contain_text("ft")
    press(page, "Chart with axes")
    page.wait_for_function("document.querySelector('#chart canvas')?.width > 100", polling=300)
    shot(page, "chart")
    press(page, "Surface")
    expect(page.locator(f"{STAGE} .scale")).to_have_text(re.compile(r"\d (ft|in)"))
    assert len(served.calls) == calls


def test_who_wants_less_motion_sees_none(page: Page, photo: Path) -> None:
    page.emulate_media(reduced_motion="reduce")
    open_view(page, photo)
    first = settled(page)
    page.wait_for_timeout(1000)
    np.testing.assert_array_equal(pose(page), first)


def test_a_button_for_each_file(page: Page, served, photo: Path, tmp_path: Path) -> None:
    open_view(page, photo)
    page.locator("#relief-width input").fill("5")
    page.locator("#file-stl").dispatch_event("click")
    expect(page.get_by_test_id("toast-body")).to_contain_text("must be 20 to 500 mm, got 5")
    page.locator("#relief-width input").fill("60")
    files = {}
    for kind in ("stl", "grey-png", "glb"):
        with page.expect_download() as download:
            page.locator(f"#file-{kind}").dispatch_event("click")
        files[kind] = tmp_path / download.value.suggested_filename
        download.value.save_as(files[kind])
    assert [file.name for file in files.values()] == [
        "small_relief.stl", "small_grey.png", "small.glb",
    ]  # fmt: skip
    np.testing.assert_allclose(trimesh.load(files["stl"]).bounds[1], [60, 60, 14], atol=1e-3)
    depth = analyse(served.model, photo).prediction.depth[0].numpy()
    np.testing.assert_array_equal(Image.open(files["grey-png"]), grey(depth, depth_range(depth)))
