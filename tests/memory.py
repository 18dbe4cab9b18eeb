"""How the page's memory grows: `python tests/memory.py` shows it 50 photos and prints megabytes."""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import skimage
from gradio_client import Client, handle_file
from PIL import Image
from playwright.sync_api import expect, sync_playwright
from startup import PORT, ROOT, memory_mb, served

sys.path.insert(0, str(ROOT))
from browser import FLAGS, find_chromium

URL = f"http://127.0.0.1:{PORT}"


def main() -> None:
    """Start the page, show it photos of 12 megapixels, and print its memory now and then."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=50)
    parser.add_argument("--programs", action="store_true", help="over HTTP instead of the page")
    options = parser.parse_args()
    show = by_programs if options.programs else by_visitors
    with tempfile.TemporaryDirectory() as name, served() as server:
        print(f"at the start: {memory_mb(server):.0f} MB")
        for number in show(photos(Path(name), options.photos)):
            if number in (1, 2, 5) or number % 10 == 0:
                print(f"after {number} photos: {memory_mb(server):.0f} MB", flush=True)


def photos(folder: Path, count: int) -> Iterator[Path]:
    """Make photos of 4000 x 3000 pixels, no two alike."""
    picture = Image.open(Path(skimage.__file__).parent / "data" / "coffee.png").resize((4000, 3000))
    pixels = np.asarray(picture.convert("RGB"))
    for number in range(1, count + 1):
        path = folder / f"photo-{number}.jpg"
        Image.fromarray(np.roll(pixels, 37 * number, axis=1)).save(path, quality=85)
        yield path
        path.unlink()


def by_visitors(paths: Iterator[Path]) -> Iterator[int]:
    """Show each photo in a window of its own, which is then closed."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        for number, path in enumerate(paths, 1):
            page = browser.new_page()
            page.goto(URL)
            page.locator("#photo input[type=file]").set_input_files(path)
            expect(page.locator(".cards")).to_contain_text(path.stem, timeout=120_000)
            page.close()
            yield number


def by_programs(paths: Iterator[Path]) -> Iterator[int]:
    """Estimate, rescale, and fetch a surface."""
    client = Client(URL, verbose=False)
    for number, path in enumerate(paths, 1):
        estimate = client.predict(handle_file(path), api_name="/estimate")
        estimate = client.predict(estimate["token"], fov_deg=60, api_name="/rescale")
        client.predict(estimate["token"], "glb", api_name="/export")
        yield number


if __name__ == "__main__":
    main()
