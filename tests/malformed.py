"""What the page does with broken files: `python tests/malformed.py` uploads 1,000 and counts.

Every file must be refused in words or read; the server may print no traceback, leave no file when
the time that it keeps them is over (here a minute), and must come back to the memory it had.
"""

import argparse
import io
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pillow_heif
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from startup import PORT, memory_mb, served

KEEP_S = 60
SUFFIXES = (".jpg", ".png", ".webp", ".tif", ".heic", ".gif", ".svg", ".zip", ".pdf", "")


def main() -> None:
    """Serve the page, upload, and print what became of the files, the temporary ones and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    originals = whole_files(rng)
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as uploads:
        log = Path(name, "server.log")
        with (
            log.open("w") as errors,
            served(errors, {"GRADIO_TEMP_DIR": uploads}, KEEP_S) as server,
        ):
            client = Client(f"http://127.0.0.1:{PORT}", verbose=False)
            examples = files_below(uploads)
            outcomes, memory = Counter[str](), 0.0
            for number in range(options.files):
                kind, path = broken_file(rng, originals, Path(name))
                outcomes[f"{kind}: {outcome(client, path)}"] += 1
                path.unlink()
                if number == options.files // 10:
                    memory = memory_mb(server)
            time.sleep(3 * KEEP_S)
            grown = memory_mb(server) / memory - 1
            left = files_below(uploads) - examples
        print(*(f"{count:5d}  {key}" for key, count in sorted(outcomes.items())), sep="\n")
        tracebacks = log.read_text().count("Traceback")
        print(f"tracebacks {tracebacks}, files left {len(left)}, memory {grown:+.1%}")
        sys.exit(bool(tracebacks or left or grown > 0.1 or any("BUG" in key for key in outcomes)))


def files_below(folder: str) -> set[Path]:
    """Return all files in a folder and in those below it."""
    return {path for path in Path(folder).rglob("*") if path.is_file()}


def outcome(client: Client, path: Path) -> str:
    """Upload a file to /estimate and return what the page made of it."""
    try:
        client.predict(handle_file(str(path)), api_name="/estimate")
    except AppError as error:
        return "refused" if str(error).startswith("Expected") else f"BUG {str(error)[:200]}"
    return "read"


def whole_files(rng: np.random.Generator) -> dict[str, bytes]:
    """Return small photos in every format that the page reads."""
    pillow_heif.register_heif_opener()
    image = Image.fromarray(rng.integers(0, 255, (48, 64, 3), np.uint8)).resize((320, 240))
    files = {}
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "HEIF"):
        buffer = io.BytesIO()
        image.save(buffer, kind)
        files[kind] = buffer.getvalue()
    return files


def broken_file(
    rng: np.random.Generator, originals: dict[str, bytes], folder: Path
) -> tuple[str, Path]:
    """Write a file that is broken in one of many ways, and return the way and its path."""
    ways: dict[str, Callable[[bytes], bytes]] = {
        "cut": lambda data: data[: int(rng.integers(0, len(data)))],
        "bits flipped": lambda data: flip(rng, data, int(rng.integers(1, 200))),
        "header flipped": lambda data: flip(rng, data[:512], 20) + data[512:],
        "wrong suffix": lambda data: data,
        "noise": lambda data: rng.bytes(int(rng.integers(0, 5000))),
        "photo and ZIP": lambda data: data + b"PK\x03\x04" + rng.bytes(200),
        "ZIP bomb": lambda data: b"PK\x03\x04" + zlib.compress(bytes(20_000_000)),
        "PNG bomb": lambda data: png(20_000, 20_000, zlib.compress(bytes(20_000_000))),
        "65535 x 65535": lambda data: png(65_535, 65_535, zlib.compress(bytes(1000))),
        "SVG": lambda data: b'<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>',
        "HTML in a photo": lambda data: data[:200] + b"<script>alert(1)</script>" + data[200:],
    }
    way = str(rng.choice(list(ways)))
    kind = str(rng.choice(list(originals)))
    path = folder / f"file-{rng.integers(1e9)}{rng.choice(SUFFIXES)}"
    path.write_bytes(ways[way](originals[kind]))
    return way, path


def flip(rng: np.random.Generator, data: bytes, count: int) -> bytes:
    """Return data with bits flipped at random places."""
    values = np.frombuffer(data, np.uint8).copy()
    at = rng.integers(0, len(values), count)
    values[at] ^= 1 << rng.integers(0, 8, count).astype(np.uint8)
    return values.tobytes()


def png(width: int, height: int, pixels: bytes) -> bytes:
    """Return a PNG whose header says a size that its pixels need not have."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    body = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


if __name__ == "__main__":
    main()
