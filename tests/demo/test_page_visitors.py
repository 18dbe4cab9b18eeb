"""Several visitors, impatient ones among them: each sees the own photo, and its depth."""

import gc
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from browser import ASTRONAUT, PHOTOS, upload, wait_for_depth
from flat_scenes import analysis_of
from PIL import Image
from pillow_heif import from_pillow
from playwright.sync_api import Page, expect
from startup import answers

from demo import pipeline
from demo.session import Session
from depthpro import Prediction

pytestmark = pytest.mark.browser


@pytest.fixture
def slow_network(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let the network take its time, as the published one does on a CPU; return when it began."""
    analyse, begun = pipeline.analyse, threading.Event()

    def slowly(*values: object) -> pipeline.Analysis:
        begun.set()
        time.sleep(2)
        return analyse(*values)

    monkeypatch.setattr(pipeline, "analyse", slowly)
    return begun


def shown(page: Page, name: str) -> None:
    """Wait until the figures and the picture in the tab are those of a photo."""
    expect(page.locator(".cards")).to_contain_text(name)
    expect(page.locator("#depth-view img").first).to_have_attribute("alt", f"The photo {name}")


def test_two_visitors_at_once_never_see_each_others_photo(browser, served, slow_network) -> None:
    contexts = [browser.new_context() for _ in range(2)]
    pages = [context.new_page() for context in contexts]
    names = ("astronaut", "coffee")
    for page in pages:
        page.goto(served.url)
    for page, name in zip(pages, names, strict=True):
        upload(page, PHOTOS / f"{name}.png")  # while the other waits
    for page, name, other in zip(pages, names, names[::-1], strict=True):
        shown(page, name)
        wait_for_depth(page)
        assert other not in page.locator("#tabs").inner_text()
    figures = [page.locator(".cards").inner_text() for page in pages]
    pages[0].get_by_text("feet", exact=True).click()
    expect(pages[0].locator(".cards")).to_contain_text("ft")
    assert pages[1].locator(".cards").inner_text() == figures[1]
    for context in contexts:
        context.close()


def test_who_takes_another_photo_before_the_first_is_done_sees_the_other(
    page: Page, slow_network: threading.Event, tmp_path: Path
) -> None:
    # What browsers cannot show comes back as a picture, and must not when it is too late.
    from_pillow(Image.open(ASTRONAUT).convert("RGB")).save(tmp_path / "astronaut.heic")
    slow_network.clear()
    upload(page, tmp_path / "astronaut.heic")
    assert slow_network.wait(60)
    upload(page, PHOTOS / "coffee.png")
    shown(page, "coffee")
    page.wait_for_timeout(1500)  # nothing comes late
    shown(page, "coffee")
    size = page.locator("#depth-view .photo").evaluate(
        "image => [image.naturalWidth, image.naturalHeight]"
    )
    assert size == [600, 400]


def test_what_the_network_cannot_do_is_said_and_nothing_of_before_stays(page, monkeypatch) -> None:
    upload(page, ASTRONAUT)
    wait_for_depth(page)

    def fails(*_: object) -> None:
        raise RuntimeError("CUDA error: the device is gone")

    monkeypatch.setattr(pipeline, "analyse", fails)
    upload(page, PHOTOS / "coffee.png")
    expect(page.get_by_role("alert")).to_contain_text("the device is gone")
    expect(page.locator(".cards")).to_have_count(0)
    expect(page.locator("#depth-view .empty")).to_be_visible()
    expect(page.locator("#prepare")).to_be_hidden()


def test_files_go_with_the_last_reference_to_the_session(expected: Prediction) -> None:
    session = Session(analysis_of(expected))
    folder = session.folder
    (folder / "surface.glb").write_bytes(b"glTF")
    late = session  # a handler that is still at work
    del session
    assert folder.is_dir()
    del late
    gc.collect()
    assert not folder.exists()


def test_a_server_that_is_stopped_leaves_no_file_of_a_visitor(browser, tmp_path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    root = Path(__file__).parents[2]
    command = [sys.executable, "app.py", "--model", "small", "--device", "cpu", "--port", str(port)]
    folders = {"TMPDIR": str(tmp_path), "GRADIO_TEMP_DIR": str(tmp_path / "gradio")}
    with subprocess.Popen(command, cwd=root, env=os.environ | folders) as server:
        try:
            page = browser.new_page()
            deadline = time.monotonic() + 120
            while not answers(port):
                assert server.poll() is None and time.monotonic() < deadline
                time.sleep(0.1)
            page.goto(f"http://127.0.0.1:{port}")
            upload(page, Path(shutil.copy(ASTRONAUT, tmp_path.parent / "mine.png")))
            wait_for_depth(page)
            page.close()
            assert list(tmp_path.rglob("mine*"))
            assert list(tmp_path.glob("depthpro-*"))
        finally:
            server.terminate()
            assert server.wait(20) == 0
    assert list(tmp_path.rglob("mine*")) == []  # Gradio's copies of the examples stay
    assert list(tmp_path.glob("depthpro-*")) == []
