"""How long the page takes to start: `python tests/startup.py` prints seconds and memory."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[1]
PORT = 7999


def main() -> None:
    """Start the page, print how long it takes and its memory, and stop it."""
    start = time.perf_counter()
    with served() as server:
        print(f"page answers after {time.perf_counter() - start:.1f} s")
        print(f"peak memory so far: {memory_mb(server, 'VmHWM'):.0f} MB")


@contextmanager
def served(
    errors: IO[str] | None = None,
    environment: dict[str, str] | None = None,
    keep_s: int | None = None,
) -> Iterator[subprocess.Popen]:
    """Serve the page in a process of its own, which writes what it prints to `errors`.

    `keep_s` is the age at which it deletes files, in place of an hour.
    """
    start = ["app.py"]
    if keep_s is not None:
        start = ["-c", f"import demo.session as s; s.KEEP_S = {keep_s}; import app; app.main()"]
    command = [sys.executable, *start, "--model", "small", "--port", str(PORT)]
    streams = {"stdout": errors or subprocess.DEVNULL, "stderr": errors}
    variables = os.environ | (environment or {})
    with subprocess.Popen(command, cwd=ROOT, env=variables, **streams) as server:
        try:
            while not answers():
                if server.poll() is not None:
                    sys.exit("the page did not start")
                time.sleep(0.05)
            yield server
        finally:
            server.terminate()


def memory_mb(server: subprocess.Popen, kind: str = "VmRSS") -> float:
    """Return the resident memory of a process, now or (VmHWM) at its peak."""
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(kind)).split()[1]) / 1000


def answers(port: int = PORT) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=5) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    main()
