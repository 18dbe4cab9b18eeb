"""How long the page takes to start: `python tests/startup.py` prints seconds and memory."""

import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
PORT = 7999


def main() -> None:
    """Start the page, ask until it answers, print what that took, and stop it."""
    start = time.perf_counter()
    command = [sys.executable, "app.py", "--model", "small", "--port", str(PORT)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as server:
        try:
            while not answers():
                if server.poll() is not None:
                    sys.exit("the page did not start")
                time.sleep(0.05)
            print(f"page answers after {time.perf_counter() - start:.1f} s")
            status = Path(f"/proc/{server.pid}/status").read_text()
            peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
            print(f"peak memory so far: {int(peak.split()[1]) / 1000:.0f} MB")
        finally:
            server.terminate()


def answers(port: int = PORT) -> bool:
    """Return whether the page can be fetched."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=5) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    main()
