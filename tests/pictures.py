"""The pictures of the page, in README and of links: `python tests/pictures.py` draws them anew.

`demo/page.gif` shows the page at work, `demo/page.jpg` four of its tabs, `demo/preview.jpg` a
rendered wood and its depth; all with the embedded weights.
"""

import io
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded, as in app.py
sys.path.insert(0, str(Path(__file__).parents[1]))

import matplotlib
import numpy as np
from browser import FLAGS, choose_example, find_chromium, open_tab, wait_for_depth
from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Page, expect, sync_playwright

from demo.page import build_page, launch_options
from demo.preview import SIZE
from depthpro import DepthPro, load_image
from depthpro.viz import colorize

ROOT = Path(__file__).parents[1]
SCREEN = {"width": 1440, "height": 1120}
SMALL = (960, 747)  # of a picture in the film
DEPTH, SOLID, MEASURE, PLAY = "#depth-view .stage", "#surface .stage", "#measure-view", "#play-view"


def main() -> None:
    model = DepthPro.from_pretrained("small", device="cpu")
    draw_preview(model)
    served = build_page(model)
    _, url, _ = served.launch(prevent_thread_lock=True, quiet=True, **launch_options())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        page = browser.new_page(viewport=SCREEN, reduced_motion="reduce")
        page.set_default_timeout(60_000)
        page.goto(f"{url}?__theme=light")
        wait_for_depth(page)
        page.evaluate("window.before = document.querySelector('#depth-view .photo')?.src")
        choose_example(page, "Nature")
        wait_for_depth(page)
        film = [*depth(page), *solid(page), *measured(page), *effects(page)]
        browser.close()
    served.close(verbose=False)
    frames = [frame.resize(SMALL, Image.Resampling.LANCZOS) for frame, _ in film]
    colours = Image.fromarray(np.hstack(frames[::2])).quantize(255)
    frames = [
        frame.quantize(palette=colours, dither=Image.Dither.FLOYDSTEINBERG) for frame in frames
    ]
    times = [milliseconds for _, milliseconds in film]
    frames[0].save(
        ROOT / "demo/page.gif", save_all=True, append_images=frames[1:], duration=times, loop=0
    )
    tabs = [film[i][0].resize(SMALL, Image.Resampling.LANCZOS) for i in (0, 7, -4, -2)]
    rows = [np.hstack(tabs[:2]), np.hstack(tabs[2:])]
    Image.fromarray(np.vstack(rows)).save(ROOT / "demo/page.jpg", quality=85)


def seen(page: Page, milliseconds: int) -> tuple[Image.Image, int]:
    """Return what the page shows, and for how long the film does."""
    page.wait_for_timeout(700)
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB"), milliseconds


def at(page: Page, selector: str, x: float, y: float) -> tuple[float, float]:
    """Return a place of the page, by shares of an element's width and height."""
    box = page.locator(selector).bounding_box()
    assert box is not None
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def depth(page: Page) -> list[tuple[Image.Image, int]]:
    film = [seen(page, 1600)]
    page.mouse.move(*at(page, DEPTH, 0.5, 0.5))
    page.mouse.down()
    for x in (0.35, 0.2, 0.06):
        page.mouse.move(*at(page, DEPTH, x, 0.5))
        film.append(seen(page, 150))
    page.mouse.up()
    for place in ((0.3, 0.6), (0.69, 0.5)):
        page.mouse.move(*at(page, DEPTH, *place))
        film.append(seen(page, 1000))
    return film


def solid(page: Page) -> list[tuple[Image.Image, int]]:
    open_tab(page, "3D")
    page.wait_for_function(f"document.querySelector('{SOLID}').dataset.pose")
    page.mouse.move(*at(page, SOLID, 0.5, 0.5))
    page.mouse.down()
    film = []
    for x in (0.5, 0.56, 0.62, 0.56, 0.5, 0.44, 0.38):
        page.mouse.move(*at(page, SOLID, x, 0.5 + (x - 0.5) / 3), steps=2)
        film.append(seen(page, 250))
    page.mouse.up()
    return film


def measured(page: Page) -> list[tuple[Image.Image, int]]:
    open_tab(page, "Measure")
    expect(page.locator(f"{MEASURE} .stage img").first).to_be_visible()
    page.wait_for_timeout(1500)
    film = []
    for number, place in enumerate(((0.08, 0.86), (0.69, 0.82)), start=1):
        page.mouse.click(*at(page, f"{MEASURE} .stage", *place))
        expect(page.locator(f"{MEASURE} svg .number")).to_have_count(number)
        film.append(seen(page, 1200))
    return film


def effects(page: Page) -> list[tuple[Image.Image, int]]:
    open_tab(page, "Play")
    expect(page.locator("#play-note p")).to_contain_text("full-frame")
    film = [seen(page, 1200)]
    for effect, words in (("Fog", "One can see"), ("Cut out", "of the photo")):
        page.locator("#play-effect").get_by_label(effect, exact=True).check()
        expect(page.locator("#play-note p")).to_contain_text(words)
        page.wait_for_timeout(2500)
        film.append(seen(page, 1400))
    return film


def draw_preview(model: DepthPro) -> None:
    """Draw a wood and its depth under a divider, with the project's name."""
    width, height = SIZE
    image = load_image(ROOT / "demo/examples/nature.jpg")
    found = model.infer(image.rgb, image.f_px).depth[0].numpy()
    photo, coloured = (Image.fromarray(np.asarray(x)) for x in (image.rgb, colorize(found)))
    tall = round(width * photo.height / photo.width)
    top = max(0, (tall - height) // 2)
    size, box = (width, tall), (0, top, width, top + height)
    photo, coloured = (
        x.resize(size, Image.Resampling.LANCZOS).crop(box) for x in (photo, coloured)
    )
    photo.paste(coloured.crop((width // 2, 0, width, height)), (width // 2, 0))
    shade = Image.new("RGB", (width, 134), (16, 20, 30))
    photo.paste(shade, (0, height - 134), Image.new("L", shade.size, 200))
    draw = ImageDraw.Draw(photo)
    draw.line([(width // 2, 0), (width // 2, height - 134)], "white", 4)
    fonts = Path(matplotlib.get_data_path()) / "fonts/ttf"
    bold = ImageFont.truetype(fonts / "DejaVuSans-Bold.ttf", 50)
    plain = ImageFont.truetype(fonts / "DejaVuSans.ttf", 28)
    draw.text((44, height - 120), "Depth Pro", "white", bold)
    draw.text((44, height - 52), "One photo in, depth in metres out, without any camera data",
              (215, 220, 228), plain)  # fmt: skip
    photo.save(ROOT / "demo/preview.jpg", quality=88)


if __name__ == "__main__":
    main()
