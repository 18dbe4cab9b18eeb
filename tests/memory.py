"""How the page's memory grows: `python tests/memory.py` shows it 50 photos and prints megabytes."""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import skimage
from gradio_client import Client, handle_file
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright
from startup import PORT, ROOT, answers

URL = f"http://127.0.0.1:{PORT}"


def main() -> None:
    """Start the page, show it photos of 12 megapixels, and print its memory now and then."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=50)
    parser.add_argument("--visitors", action="store_true", help="each photo by another visitor")
    parser.add_argument("--programs", action="store_true", help="over HTTP instead of the page")
    options = parser.parse_args()
    show = by_programs if options.programs else by_visitors if options.visitors else by_one_visitor
    with tempfile.TemporaryDirectory() as name, served() as server:
        print(f"at the start: {megabytes(server):.0f} MB")
        for number in show(photos(Path(name), options.photos)):
            if number in (1, 2, 5) or number % 10 == 0:
                print(f"after {number} photos: {megabytes(server):.0f} MB", flush=True)


@contextmanager
def served() -> Iterator[subprocess.Popen]:
    """Serve the page in a process of its own."""
    command = [sys.executable, "app.py", "--model", "small", "--port", str(PORT)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as server:
        try:
            while not answers():
                if server.poll() is not None:
                    sys.exit("the page did not start")
                time.sleep(0.2)
            yield server
        finally:
            server.terminate()


def megabytes(server: subprocess.Popen) -> float:
    """Return the resident memory of the page."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(next(s for s in status.splitlines() if s.startswith("VmRSS")).split()[1]) / 1000


def photos(folder: Path, count: int) -> Iterator[Path]:
    """Make photos of 4000 x 3000 pixels, no two alike."""
    picture = Image.open(Path(skimage.__file__).parent / "data" / "coffee.png").resize((4000, 3000))
    pixels = np.asarray(picture.convert("RGB"))
    for number in range(1, count + 1):
        path = folder / f"photo-{number}.jpg"
        Image.fromarray(np.roll(pixels, 37 * number, axis=1)).save(path, quality=85)
        yield path
        path.unlink()


def by_one_visitor(paths: Iterator[Path]) -> Iterator[int]:
    """Show one photo after the other in one window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.goto(URL)
        for number, path in enumerate(paths, 1):
            look(page, path)
            yield number


def by_visitors(paths: Iterator[Path]) -> Iterator[int]:
    """Show each photo in a window of its own, which is then closed."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for number, path in enumerate(paths, 1):
            context = browser.new_context()
            page = context.new_page()
            page.goto(URL)
            look(page, path)
            context.close()
            yield number


def look(page: Page, path: Path) -> None:
    """Upload a photo, and wait until its figures are said."""
    if page.locator("#photo img").count():
        page.get_by_label("Remove Image").click()
    page.locator("#photo input[type=file]").set_input_files(path)
    expect(page.locator(".cards")).to_contain_text(path.stem, timeout=120_000)


def by_programs(paths: Iterator[Path]) -> Iterator[int]:
    """Estimate, rescale, and fetch everything."""
    client = Client(URL, verbose=False)
    for number, path in enumerate(paths, 1):
        said = client.predict(handle_file(path), api_name="/estimate")
        said = client.predict(said["token"], fov_deg=60, api_name="/rescale")
        client.predict(said["token"], "glb", api_name="/export")
        yield number


if __name__ == "__main__":
    main()
