"""Killed at any moment: `python tests/killed.py` stops commands by SIGKILL and starts them again.

Each command is killed at random moments of a run. Every file that it leaves under its own name must
be whole, and the next start with the same options (`predict` with --resume) must go on to the end.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image
from plyfile import PlyData
from safetensors import safe_open
from startup import ROOT

sys.path.insert(0, str(ROOT))

from depthpro.data.shards import Shard

SAMPLES = 12


def main() -> None:
    """Run each command once in peace, then kill it, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=4, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, problems = random.Random(options.seed), 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for command, arguments in commands(folder).items():
            out = folder / command.replace(" ", "-")
            start = time.monotonic()
            run([*arguments, "-o", str(out)])
            seconds, expected = time.monotonic() - start, named_files(out)
            shutil.move(out, folder / f"whole-{out.name}")
            resume = ["--resume"] if command.startswith("predict") else []
            for _ in range(options.kills):
                if not expected - named_files(out):  # it was done before it was killed
                    shutil.rmtree(out)
                after = rng.uniform(0.2, 1) * seconds
                run([*arguments, *resume, "-o", str(out)], after)
                broken = [path for path in named_files(out) if not is_whole(out / path)]
                print(f"{command}: killed after {after:.1f} of {seconds:.1f} s, ", end="")
                print(f"{len(named_files(out))} files, broken {broken}", flush=True)
                problems += len(broken)
            run([*arguments, *resume, "-o", str(out)])
            missing = expected - named_files(out)
            print(f"{command}: went on to the end, missing {sorted(missing)}", flush=True)
            problems += len(missing)
            out.rename(folder / f"killed-{out.name}")
    sys.exit(problems)


def commands(folder: Path) -> dict[str, Sequence[str]]:
    """Return the arguments of each command; photos and scenes are made first."""
    album, data = folder / "album", folder / "data"
    album.mkdir()
    for number in range(4):
        noise = np.random.default_rng(number).integers(0, 255, (6, 8, 3), np.uint8)
        Image.fromarray(noise).resize((1600, 1200)).save(album / f"{number}.jpg")
    render = ["render", "--samples", str(SAMPLES), "--size", "192", "--shard-samples", "3"]
    run([*render, "--seed", "1", "-o", str(data)])
    train = ["train", "--data", str(data), "--phases", "encoders", "coarse", "--steps", "6"]
    return {
        "predict": ["predict", str(album), "--formats", "npz", "depth-png", "colour-png"],
        "predict 3D files": ["predict", str(album), "--formats", "glb", "ply"],
        "render": [*render, "--seed", "2"],
        "train": [*train, "--batch", "2", "--save-minutes", "0.02"],
        "evaluate": ["evaluate", "--data", str(data), "--model", "small", "constant"],
    }


def run(arguments: Sequence[str], kill_after_s: float | None = None) -> None:
    """Run a command with all its processes, to the end or until it is killed."""
    command = [sys.executable, "-m", "depthpro", *arguments]
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True, **streams) as process:
        try:
            _, errors = process.communicate(timeout=kill_after_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        else:
            assert process.returncode == 0, errors[-2000:]


def named_files(folder: Path) -> set[Path]:
    """Return the files below a folder that are not hidden."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path for path in files if not any(part.startswith(".") for part in path.parts)}


def is_whole(path: Path) -> bool:
    """Return whether a file can be read to its end."""
    readers: dict[str, Callable[[Path], object]] = {
        ".npz": lambda path: np.load(path)["depth"],
        ".png": lambda path: Image.open(path).load(),
        ".jpg": lambda path: Image.open(path).load(),
        ".glb": lambda path: trimesh.load(path),
        ".ply": lambda path: PlyData.read(str(path)),
        ".tar": lambda path: [sample for sample in Shard(path)],
        ".json": lambda path: json.loads(path.read_text()),
        # A line that was cut off is left out by whoever reads it.
        ".jsonl": lambda path: [json.loads(x) for x in path.read_text().split("\n")[:-1]],
        ".safetensors": lambda path: safe_open(path, "pt").keys(),
    }
    try:
        readers.get(path.suffix, Path.read_bytes)(path)
    except Exception as error:  # whatever the reader raises
        print(f"{path.name}: {error}")
        return False
    return True


if __name__ == "__main__":
    main()
