"""The page in headless Chromium: a server for all tests, a new visitor for each."""

import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import skimage
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from demo.page import build_page, launch_options
from depthpro import DepthPro, Prediction, load_image

PHOTOS = Path(skimage.__file__).parent / "data"
ASTRONAUT = PHOTOS / "astronaut.png"
SCREENSHOTS = os.environ.get("SCREENSHOTS")
"""Folder for pictures of the page, if there shall be any: they take half a minute in all."""
FLAGS = (
    "--no-sandbox",  # containers have none
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-unsafe-swiftshader",  # WebGL without a GPU
    "--disable-gpu-compositing",  # or all else is drawn by that, too, at five times the work
)


expect.set_options(timeout=60_000)  # machines may be busy


def find_chromium() -> str | None:
    """Return the system's browser; None is Playwright's own."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


class Served(NamedTuple):
    url: str
    model: DepthPro
    calls: list[int]
    """Grows with every call of the network."""


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the page with the embedded weights, at the first free port."""
    model = DepthPro.from_pretrained("small", device="cpu")
    calls: list[int] = []
    model.register_forward_hook(lambda *_: calls.append(1))
    with pytest.MonkeyPatch.context() as patch:
        # Uploads are named by their content: pages served at once must not share a folder.
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        page = build_page(model)
        _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, **launch_options())
        yield Served(url, model, calls)
        page.close(verbose=False)


@pytest.fixture(scope="session")
def expected(served: Served) -> Prediction:
    return served.model.infer(load_image(ASTRONAUT).rgb)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        # A 3D view that sways would take a core without a GPU.
        for name in ("new_context", "new_page"):
            setattr(browser, name, partial(getattr(browser, name), reduced_motion="reduce"))
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    """Open the page as a new visitor, who must see no script error."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(served.url)
    wait_for_depth(page)  # of the example
    yield page
    context.close()
    assert errors == []


def upload(page: Page, photo: Path) -> None:
    """Choose a photo, another one than is shown."""
    page.wait_for_selector(".cards, #problem .problem", state="attached")  # of the example
    page.evaluate(
        "() => { window.before = document.querySelector('#depth-view .photo')?.src;"
        " window.cardsBefore = document.querySelector('.cards')?.innerText; }"
    )
    page.locator("#photo input[type=file]").set_input_files(photo)


def choose_example(page: Page, name: str) -> None:
    page.locator("#examples").get_by_role("button", name=name).click()


def wait_for_depth(page: Page) -> None:
    """Wait until the photo, its depth and the figures are shown."""
    expect(page.locator(".cards")).to_be_visible()
    page.wait_for_function(
        "() => { const all = [...document.querySelectorAll('#depth-view img[src]')];"
        " return all.length == 2 && all[0].src != window.before"
        " && document.querySelector('.cards').innerText != window.cardsBefore"
        " && all.every(i => i.src.startsWith('data:') && i.naturalWidth && i.clientHeight > 100); }"
    )


def open_tab(page: Page, name: str) -> None:
    """Open a tab, also one in the menu of those that a narrow screen has no place for."""
    tab = page.get_by_role("tab", name=name, exact=True)
    if not tab.is_visible():
        page.locator(".overflow-menu button").first.click()
        tab = page.locator(".overflow-dropdown button", has_text=name)
    tab.click()


def shot(page: Page, name: str) -> None:
    """Keep a picture of the page, for people who ask for it."""
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png", full_page=True)


def card(page: Page, title: str) -> str:
    return page.locator(f".cards > div:has(dt:text-is('{title}')) dd").first.inner_text()


def pixels(page: Page, selector: str, folder: Path) -> np.ndarray:
    page.locator(selector).screenshot(path=folder / "part.png")
    return np.asarray(Image.open(folder / "part.png").convert("RGB")).astype(float)
