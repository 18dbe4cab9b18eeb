"""Many visitors at once: `python tests/crowd.py` lets 32 programs call the page for two minutes.

Each has a photo of its own size and focal length, so that another's answer is noticed. A caller is
served or told that the queue is full; the slowest answer is printed.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from gradio_client.utils import QueueError
from PIL import Image
from startup import PORT, memory_mb, served


def main() -> None:
    """Serve the page, call it from threads, and print counts and times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=120)
    options = parser.parse_args()
    outcomes, times = Counter[str](), list[float]()
    with tempfile.TemporaryDirectory() as name, served() as server:
        end = time.monotonic() + options.seconds
        threads = [
            threading.Thread(target=visit, args=(photo(Path(name), n), n, end, outcomes, times))
            for n in range(options.clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(*(f"{count:5d}  {key}" for key, count in outcomes.most_common()), sep="\n")
        print(f"median {statistics.median(times):.1f} s, slowest {max(times):.1f} s")
        print(f"memory {memory_mb(server):.0f} MB, at its peak {memory_mb(server, 'VmHWM'):.0f} MB")


def photo(folder: Path, number: int) -> Path:
    """Make a photo whose size and focal length no other client has."""
    width = 400 + 8 * number
    noise = np.random.default_rng(number).integers(0, 255, (12, 16, 3), np.uint8)
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 20 + number  # mm, as on 35 mm film
    path = folder / f"{number}.jpg"
    Image.fromarray(noise).resize((width, 300)).save(path, exif=exif)
    return path


def visit(path: Path, number: int, end: float, outcomes: Counter[str], times: list[float]) -> None:
    """Call the page again and again until the end, and note what came."""
    client = Client(f"http://127.0.0.1:{PORT}", verbose=False)
    width = 400 + 8 * number
    f_px = (20 + number) * np.hypot(width, 300) / np.hypot(36, 24)
    while (begin := time.monotonic()) < end:
        try:
            answer = client.predict(handle_file(str(path)), api_name="/estimate")
            mine = answer["width_px"] == width and abs(answer["f_px"] / f_px - 1) < 1e-3
            outcomes["served" if mine else "BUG: another's answer"] += 1
        except QueueError:
            outcomes["told that the queue is full"] += 1
            time.sleep(1)
        except AppError as error:
            outcomes[f"BUG: {error}"] += 1
        times.append(time.monotonic() - begin)


if __name__ == "__main__":
    main()
