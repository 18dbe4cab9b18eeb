"""How long a visitor waits: `python tests/latency.py` prints medians in seconds.

From a photo of 12 megapixels to everything shown, and from another focal length to the page that
follows it; in headless Chromium, on a page of this machine that nobody else uses.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded, as in app.py
sys.path.insert(0, str(Path(__file__).parents[1]))

from browser import FLAGS, PHOTOS, find_chromium, open_tab, upload
from PIL import Image, ImageChops
from playwright.sync_api import Page, expect, sync_playwright

from demo.page import build_page, launch_options
from depthpro import DepthPro

RUNS = 9
_DRAWN = (
    "name => { const all = [...document.querySelectorAll('#depth-view img[src]')];"
    " return document.querySelector('.cards')?.innerText.includes(name) && all.length == 2"
    " && all.every(i => i.src.startsWith('data:') && i.complete && i.naturalWidth)"
    " && all[0].src != window.before; }"
)


def main() -> None:
    served = build_page(DepthPro.from_pretrained("small", device="cpu"))
    _, url, _ = served.launch(prevent_thread_lock=True, quiet=True, **launch_options())
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        # Without motion: a 3D view that sways would take a core where no GPU draws it.
        page = browser.new_page(viewport={"width": 1440, "height": 1000}, reduced_motion="reduce")
        page.goto(url)
        expect(page.locator(".cards")).to_be_visible()
        photos = [_photo(Path(folder), number) for number in range(RUNS + 1)]
        shown = [_seconds(page, lambda photo=photo: _choose(page, photo)) for photo in photos]
        depth = [_seconds(page, lambda f=f: _rescale(page, f)) for f in range(900, 900 + RUNS)]
        print(f"photo to everything shown: {statistics.median(shown[1:]):.2f} s of {RUNS}")
        print(f"focal length to page updated: {statistics.median(depth):.2f} s of {RUNS}")
        browser.close()
    served.close(verbose=False)


def _photo(folder: Path, number: int) -> Path:
    """Return a photo that no other number gives, so that the page can tell which is shown."""
    path = folder / f"photo{number}.jpg"
    coffee = Image.open(PHOTOS / "coffee.png").convert("RGB").resize((4000, 3000))
    ImageChops.offset(coffee, 97 * number, 0).save(path, quality=90)
    return path


def _seconds(page: Page, act: Callable[[], None]) -> float:
    page.wait_for_timeout(500)
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def _choose(page: Page, photo: Path) -> None:
    page.evaluate("window.before = document.querySelector('#depth-view img')?.src")
    upload(page, photo)
    page.wait_for_function(_DRAWN, arg=photo.stem)


def _rescale(page: Page, f_px: int) -> None:
    field = page.locator("#f-px input")
    if not field.is_visible():
        open_tab(page, "Focal length")
        expect(field).not_to_have_value("")
    field.fill(str(f_px))
    field.press("Enter")
    page.wait_for_function(
        f"document.querySelector('.cards').innerText.includes('{f_px} px')"
        f" && document.querySelector('.sources .used').innerText.includes('{f_px}')"
    )


if __name__ == "__main__":
    main()
