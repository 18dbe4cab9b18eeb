"""Random bytes for everything that reads files: `python tests/fuzz.py image --minutes 30`.

Needs `pip install atheris`, which changes whole files where that reaches new lines of the readers.
A reader may read a file or refuse it with the error that its docstring names; another error stops
the search, and the file that caused it is kept.
"""

import argparse
import contextlib
import importlib
import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

INSTRUMENTED = ["PIL", "depthpro", "demo", "tarfile"]
ROOT = Path(__file__).parents[1]


def main() -> None:
    """Start the search with small whole files of each kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--kept", type=Path, default=Path("runs/fuzz"), help="folder for findings")
    options = parser.parse_args()
    atheris: Any = importlib.import_module("atheris")
    sys.path.insert(0, str(ROOT))
    with atheris.instrument_imports(include=INSTRUMENTED, enable_loader_override=False):
        suffixes, read, allowed = READERS[options.reader]()
    options.kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        seeds, scratch = Path(name, "seeds"), Path(name, "scratch")
        seeds.mkdir()
        scratch.mkdir()
        for number, (suffix, content) in enumerate(whole_files(options.reader)):
            (seeds / str(number)).write_bytes(bytes([suffixes.index(suffix)]) + content)

        def try_one(data: bytes) -> None:
            path = scratch / f"file{suffixes[data[0] % len(suffixes)]}" if data else scratch / "0"
            path.write_bytes(data[1:])
            with contextlib.suppress(*allowed):
                read(path)

        limits = [f"-max_total_time={60 * options.minutes:.0f}", "-rss_limit_mb=4000"]
        limits += ["-timeout=60", "-max_len=40000", f"-artifact_prefix={options.kept}/"]
        atheris.Setup([sys.argv[0], *limits, str(seeds)], try_one)
        atheris.Fuzz()


Reader = tuple[tuple[str, ...], Callable[[Path], object], tuple[type[Exception], ...]]


def image_reader() -> Reader:
    """Return suffixes, function and errors of photos."""
    from depthpro.image import load_image

    return ("",), load_image, (ValueError,)


def truth_reader() -> Reader:
    """Return the same of true depth on the page."""
    from demo.tabs.sharpness.truth import SUFFIXES, read_truth

    return SUFFIXES, lambda path: read_truth(path, 24, 32, 0.001), (ValueError,)


def shard_reader() -> Reader:
    """Return the same of shards."""
    from depthpro.data.shards import Shard

    def read(path: Path) -> None:
        shard = Shard(path)
        for index in range(len(shard)):
            shard.flags(index)
            shard[index]

    return (".tar",), read, (ValueError,)


def checkpoint_reader() -> Reader:
    """Return the same of weights."""
    from depthpro import DepthPro

    def read(path: Path) -> None:
        DepthPro.from_pretrained(path, config=_tiny(), device="cpu")

    return (".safetensors", ".pt"), read, (ValueError,)


READERS: dict[str, Callable[[], Reader]] = {
    "image": image_reader,
    "truth": truth_reader,
    "shard": shard_reader,
    "checkpoint": checkpoint_reader,
}


def _tiny() -> Any:
    from depthpro import DepthProConfig

    sizes = {"window": 128, "dim": 8, "depth": 2, "heads": 2, "taps": (0, 1), "decoder_dim": 8}
    return DepthProConfig(**sizes, neck_dims=(4, 4, 4, 4), fov=False)


def whole_files(reader: str) -> list[tuple[str, bytes]]:
    """Return files to start from, with their suffixes."""
    rng = np.random.default_rng(0)
    depth = rng.uniform(1, 9, (24, 32)).astype(np.float32)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if reader == "image":
            return [("", content) for content in photos(rng)]
        if reader == "truth":
            np.savez(folder / "a.npz", depth=depth)
            np.save(folder / "a.npy", depth)
            Image.fromarray((depth * 1000).astype(np.uint16)).save(folder / "a.png")
        elif reader == "shard":
            from depthpro.data.sample import Sample
            from depthpro.data.shards import write_shard

            rgb = rng.integers(0, 255, (24, 32, 3), np.uint8)
            write_shard(folder / "a.tar", [Sample(rgb, depth, 30.0, 30.0, 15.5, 11.5)] * 2)
        else:
            import torch

            from depthpro import DepthPro

            model = DepthPro(_tiny())
            model.save_pretrained(folder / "a.safetensors")
            torch.save(model.state_dict(), folder / "a.pt")
        return [(path.suffix, path.read_bytes()) for path in sorted(folder.iterdir())]


def photos(rng: np.random.Generator) -> list[bytes]:
    """Return small photos in every format that the readers take."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    image = Image.fromarray(rng.integers(0, 255, (24, 32, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation
    exif.get_ifd(0x8769).update({0xA405: 28, 0x920A: 4.2})
    deep = Image.fromarray(rng.integers(0, 65535, (24, 32), np.uint16))
    variants = [(image, kind) for kind in ("JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF")]
    variants += [(deep, kind) for kind in ("PNG", "TIFF")]
    variants += [(image.convert("CMYK"), "JPEG"), (image.convert("P"), "PNG")]
    files = []
    for picture, kind in variants:
        buffer = io.BytesIO()
        picture.save(buffer, kind, exif=exif)
        files.append(buffer.getvalue())
    return files


if __name__ == "__main__":
    main()
