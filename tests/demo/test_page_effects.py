"""The tab "Play" as a person uses it: what is shown and saved equals the functions' values."""

import base64
import io
import time
from pathlib import Path

import av
import numpy as np
import pytest
from browser import ASTRONAUT, shot, upload, wait_for_depth
from PIL import Image
from playwright.sync_api import Page, expect

from demo import screen
from demo.tabs.effects import air, lens, stereo, views
from demo.tabs.effects.files import on_squares
from demo.tabs.effects.scene import Scene, scene_of
from depthpro import Prediction, load_image

pytestmark = pytest.mark.browser


@pytest.fixture
def scene(expected: Prediction) -> Scene:
    return scene_of(load_image(ASTRONAUT).rgb, expected, 1280)


def start(page: Page) -> None:
    upload(page, ASTRONAUT)
    wait_for_depth(page)
    tab = page.get_by_role("tab", name="Play", exact=True)
    if tab.is_visible():
        tab.click()
    else:  # on a phone, in the menu of further tabs
        page.locator(".overflow-menu > button").click()
        page.locator(".overflow-dropdown button", has_text="Play").click()
    expect(page.locator("#play-note p")).to_contain_text("full-frame")


def choose(page: Page, effect: str) -> None:
    page.locator("#play-effect").get_by_label(effect, exact=True).check()


def number(page: Page, control: str) -> float:
    return float(page.locator(f"#play-{control} input[type=number]").input_value())


def enter(page: Page, control: str, value: float) -> None:
    field = page.locator(f"#play-{control} input[type=number]")
    field.fill(str(value))
    field.press("Enter")


def decoded(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))).astype(float)


def expect_picture(page: Page, wanted: np.ndarray, selector: str = "#play-view img.over") -> None:
    """Wait until a picture is shown, as a JPEG."""
    as_jpeg = decoded(screen.picture_uri(wanted, "JPEG"))
    error = np.inf
    for _ in range(150):
        source = page.locator(selector).get_attribute("src") or ""
        if source.startswith("data:image/jpeg"):
            shown = decoded(source)
            error = np.abs(shown - as_jpeg).mean() if shown.shape == wanted.shape else np.inf
            if error < 0.5:
                return
        time.sleep(0.1)
    raise AssertionError(f"the picture is off by {error} in the mean")


def save(page: Page) -> Path:
    with page.expect_download() as download:
        page.locator("#play-save").click()
    path = download.value.path()
    return path.rename(path.with_name(download.value.suggested_filename))


def test_refocus_by_tapping_and_a_moved_camera(page: Page, served, scene: Scene) -> None:
    start(page)
    calls = len(served.calls)
    expect_picture(page, lens.refocus(scene, number(page, "distance"), 1.4))
    stage = page.locator("#play-view .stage")
    box = stage.bounding_box()
    assert box
    for x, y in ((0.75, 0.2), (0.45, 0.9)):  # the wall, the suit
        before = number(page, "distance")
        stage.click(position={"x": x * box["width"], "y": y * box["height"]})
        depth = 1 / scene.inverse[int(y * 512), int(x * 512)]
        field = page.locator("#play-distance input[type=number]")
        expect(field).not_to_have_value(f"{before:g}")
        focus_m = number(page, "distance")
        assert focus_m == pytest.approx(depth, rel=0.02)
        expect_picture(page, lens.refocus(scene, focus_m, 1.4))
    shot(page, "play-refocus")
    enter(page, "f-number", 0.7)
    expect_picture(page, lens.refocus(scene, focus_m, 0.7))
    choose(page, "Move the camera")
    expect(page.locator("#play-f-number")).to_be_hidden()
    right = number(page, "right") / 100
    assert right > 0
    expect_picture(page, views.moved(scene, views.Camera((right, 0, 0))))
    page.get_by_text("feet", exact=True).click()
    expect(page.locator("#play-right")).to_contain_text("To the right (in)")
    assert number(page, "right") == pytest.approx(right / 0.0254, abs=0.06)
    assert number(page, "distance") == pytest.approx(focus_m / 0.3048, abs=0.06)
    enter(page, "forward", -10)
    page.get_by_label("Dolly zoom", exact=True).check()
    moves = number(page, "right") * 0.0254, 0.0, -0.254
    zoom = views.dolly_zoom(-0.254, number(page, "distance") * 0.3048).zoom
    expect_picture(page, views.moved(scene, views.Camera(moves, zoom=zoom)))
    assert len(served.calls) == calls


def test_fog_cut_out_and_stereo_and_their_files(page: Page, scene: Scene) -> None:
    start(page)
    choose(page, "Fog")
    expect(page.locator("#play-note p")).to_contain_text("One can see")
    wanted = air.fog(scene, number(page, "visibility"), (200, 208, 216))
    expect_picture(page, wanted)
    choose(page, "Cut out")
    expect(page.locator("#play-save")).to_have_text("Download PNG")
    enter(page, "near", 1.2)
    cut = air.cut_out(scene, 1.2, number(page, "far"))
    expect_picture(page, on_squares(cut))
    with Image.open(save(page)) as image:
        assert (image.format, image.mode) == ("PNG", "RGBA")
        np.testing.assert_array_equal(np.asarray(image), cut)
    choose(page, "Stereo")
    expect(page.locator("#play-note p")).to_contain_text("true sizes")
    pair = stereo.eyes(scene, 63, number(page, "distance"))
    expect_picture(page, stereo.anaglyph(*pair))
    page.get_by_label("Side by side").check()
    expect_picture(page, stereo.side_by_side(*pair), "#play-other img")
    path = save(page)
    assert path.name == "astronaut_stereo.jpg"
    with Image.open(path) as image:
        assert (image.format, image.size) == ("JPEG", (1024, 512))
        assert image.info["comment"]


def test_the_wiggle_plays_and_is_saved_as_mp4_and_gif(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    start(page)
    choose(page, "Wiggle")
    expect(page.locator("#play-note p")).to_contain_text("sways")
    film = page.locator("#play-other video")  # waits, since this visitor wants less motion
    page.wait_for_function("() => document.querySelector('#play-other video').readyState > 2")
    expect(film).to_have_js_property("paused", True)
    film.evaluate("film => film.play()")
    page.wait_for_function("() => document.querySelector('#play-other video').currentTime > 0.2")
    shot(page, "play-390")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    with av.open(str(save(page))) as film:
        stream = film.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        first = next(film.decode(stream))
        assert (first.width, first.height) == (512, 512)
    page.get_by_label("GIF", exact=True).check()
    expect(page.locator("#play-save")).to_have_text("Download GIF")
    with Image.open(save(page)) as image:
        assert (image.format, image.n_frames, image.info["loop"]) == ("GIF", stereo.FRAMES, 0)
    choose(page, "Refocus")  # what was hidden is there again
    expect(page.locator("#play-view .stage img.over")).to_be_visible()
    old = page.locator("#play-note p").inner_text()
    page.locator("#play-view .stage").focus()
    for key in (*["ArrowUp"] * 20, *["ArrowRight"] * 20, "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#play-note p")).not_to_have_text(old)
