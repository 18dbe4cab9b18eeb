"""The real page: driven in headless Chromium as a person would, and by API as a program would."""

import re
import shutil
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
import pytest
import skimage
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from demo.ui import LAUNCH, build_page
from depthpro import DepthPro, Prediction, load_image

pytestmark = pytest.mark.browser

PHOTOS = Path(skimage.__file__).parent / "data"
ASTRONAUT = PHOTOS / "astronaut.png"
SCREENSHOTS = Path(__file__).parents[1] / "build" / "screenshots"
FLAGS = (
    "--no-sandbox",  # containers have none
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-angle=swiftshader",  # WebGL without a GPU
    "--enable-unsafe-swiftshader",
)


class Served(NamedTuple):
    url: str
    model: DepthPro
    calls: list[int]
    """Grows with every call of the network."""


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """Serve the page with the embedded weights."""
    model = DepthPro.from_pretrained("small", device="cpu")
    calls: list[int] = []
    model.register_forward_hook(lambda *_: calls.append(1))
    page = build_page(model)
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, **LAUNCH)
    yield Served(url, model, calls)
    page.close(verbose=False)


@pytest.fixture(scope="module")
def expected(served: Served) -> Prediction:
    """Return what `infer` says about the astronaut."""
    return served.model.infer(load_image(ASTRONAUT).rgb)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)  # None: Playwright's own
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    """Open the page as a new visitor, who must see no script error."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(30_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(served.url)
    expect(page.locator("#photo")).to_be_visible()
    yield page
    context.close()
    assert errors == []


def upload(page: Page, photo: Path) -> None:
    page.locator("#photo input[type=file]").set_input_files(photo)


def wait_for_depth(page: Page) -> None:
    expect(page.locator(".cards")).to_be_visible()
    page.wait_for_function(
        "() => { const all = [...document.querySelectorAll('#slider img')];"
        " return all.length == 2 && all.every(i => i.complete && i.clientHeight > 100); }"
    )


def shot(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def card(page: Page, title: str) -> str:
    return page.locator(f".cards > div:has(dt:text-is('{title}')) dd").first.inner_text()


def pixels(page: Page, selector: str, folder: Path) -> np.ndarray:
    page.locator(selector).screenshot(path=folder / "part.png")
    return np.asarray(Image.open(folder / "part.png").convert("RGB")).astype(float)


def test_photo_to_depth_3d_and_zip(
    page: Page, served: Served, expected: Prediction, tmp_path: Path
) -> None:
    expect(page.locator(".banner")).to_contain_text("Weights: small (Apache-2.0)")
    expect(page.locator("#prepare")).to_be_hidden()
    shot(page, "empty")
    upload(page, ASTRONAUT)
    wait_for_depth(page)
    assert card(page, "Field of view") == f"{expected.fov_deg.item():.1f}°"
    assert card(page, "Focal length") == f"{expected.f_px.item():.0f} px"
    median = np.median(expected.depth_at(128, 128).numpy())
    assert card(page, "Median depth") == f"{median:.3g} m"
    assert float(page.locator("#f-px input").input_value()) == round(expected.f_px.item(), 1)
    ticks = page.locator(".colour-bar .tick").all_inner_texts()
    assert len(ticks) >= 3
    assert ticks[0].endswith(" m")
    shot(page, "depth")

    page.get_by_role("tab", name="3D").click()
    expect(page.locator("#surface canvas")).to_be_visible()
    deadline = time.monotonic() + 30
    while pixels(page, "#surface canvas", tmp_path).std() < 20:  # one colour until it is drawn
        assert time.monotonic() < deadline, "the surface was not drawn"
        time.sleep(0.5)
    shot(page, "surface")

    with page.expect_download() as download:
        page.locator("#prepare").click()
    assert download.value.suggested_filename == "astronaut_depth.zip"
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None
        with np.load(archive.open("astronaut.npz")) as file:
            np.testing.assert_allclose(file["depth"], expected.depth[0].numpy(), rtol=1e-5)


def test_focal_length_rescales_without_the_network(
    page: Page, served: Served, expected: Prediction
) -> None:
    upload(page, ASTRONAUT)
    wait_for_depth(page)
    calls = len(served.calls)
    page.locator("#fov-deg input").fill("90")
    page.locator("#fov-deg input").press("Enter")
    # 90 degrees on 512 columns is 256 px, and depth is proportional to the focal length.
    expect(page.locator("#f-px input")).to_have_value("256")
    median = np.median(expected.with_focal(256.0).depth_at(128, 128).numpy())
    assert card(page, "Median depth") == f"{median:.3g} m"
    assert page.get_by_label("By hand").is_checked()
    page.get_by_label("Network's estimate").check()
    expect(page.locator("#f-px input")).to_have_value(f"{expected.f_px.item():.1f}")
    page.locator("#f-px input").fill("-3")
    page.locator("#f-px input").press("Enter")
    expect(page.get_by_text("must be positive and finite").first).to_be_visible()
    expect(page.locator("#f-px input")).to_have_value(f"{expected.f_px.item():.1f}")
    assert len(served.calls) == calls


def test_example_metadata_and_heic(page: Page, tmp_path: Path) -> None:
    page.locator(".gallery-item, .gallery button").first.click()
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
    shown = page.locator("#photo img")
    expect(shown).to_be_visible()
    assert shown.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [100, 200]


def test_what_is_no_photo_is_said_in_the_page(page: Page, tmp_path: Path) -> None:
    upload(page, ASTRONAUT)
    wait_for_depth(page)
    (tmp_path / "letter.jpg").write_text("Dear diary")
    upload(page, tmp_path / "letter.jpg")
    expect(page.get_by_text(re.compile("Expected a JPEG, PNG.*letter.jpg"))).to_be_visible()
    expect(page.locator(".hint")).to_be_visible()
    expect(page.locator("#prepare")).to_be_hidden()
    shot(page, "refused")


@pytest.mark.parametrize("width", [390, 820])
def test_narrow_screens_scroll_one_way_only(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    upload(page, ASTRONAUT)
    wait_for_depth(page)
    shot(page, f"depth-{width}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_api_gives_the_same_and_keeps_visitors_apart(
    served: Served, expected: Prediction, tmp_path: Path
) -> None:
    one = Client(served.url, verbose=False, download_files=tmp_path)
    two = Client(served.url, verbose=False, download_files=tmp_path)
    results = one.predict(handle_file(ASTRONAUT), api_name="/estimate")
    two.predict(handle_file(PHOTOS / "coffee.png"), api_name="/estimate")
    assert round(expected.f_px.item(), 1) in results
    for client, name in ((one, "astronaut"), (two, "coffee")):
        update = client.predict(api_name="/bundle")
        with zipfile.ZipFile(update["value"]) as archive:
            assert f"{name}.npz" in archive.namelist()
    assert Path(one.predict(api_name="/surface")["value"]).read_bytes().startswith(b"glTF")
    assert 256 in one.predict(90, api_name="/use_fov_deg")
    (tmp_path / "letter.jpg").write_text("Dear diary")
    with pytest.raises(AppError, match="Expected a JPEG, PNG"):
        one.predict(handle_file(tmp_path / "letter.jpg"), api_name="/estimate")


def test_no_client_can_name_a_file_of_the_server(served: Served) -> None:
    # What the client library would upload, a hostile client just names.
    outside = {"path": str(ASTRONAUT), "meta": {"_type": "gradio.FileData"}}
    call = f"{served.url}gradio_api/call/estimate"
    event = httpx.post(call, json={"data": [outside]}).json()["event_id"]
    answer = httpx.get(f"{call}/{event}", timeout=30).text
    assert "event: error" in answer
    assert "event: complete" not in answer
