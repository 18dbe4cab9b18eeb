"""Downloads of weights, from a hub on this machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

from hub import Hub, asked_hub

_DOWNLOAD = """
import json, time, tqdm
from depthpro import checkpoint
bars = []
class Bar(tqdm.tqdm):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        bars.append(self)
start = time.monotonic()
try:
    path, error = str(checkpoint.download("apple/DepthPro", Bar) / "depth_pro.pt"), None
except ValueError as problem:
    path, error = None, str(problem)
most = max((bar.n for bar in bars if bar.unit == "B"), default=0)
print(json.dumps([path, error, most, time.monotonic() - start]))
"""


def test_a_download_shows_its_progress_and_is_made_once(tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    command = [sys.executable, "-c", _DOWNLOAD]
    with asked_hub(Hub(content), tmp_path) as environment:
        answer = subprocess.run(command, env=environment, capture_output=True, check=True)
    path, error, most, _ = json.loads(answer.stdout)
    assert error is None
    assert Path(path).read_bytes() == content
    assert most == len(content)
    again = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert json.loads(again.stdout)[0] == path  # the hub has gone


def test_a_hub_that_never_answers_is_given_up_after_ten_seconds(tmp_path: Path) -> None:
    with asked_hub(Hub(b"", silent=True), tmp_path) as environment:
        command = [sys.executable, "-c", _DOWNLOAD]
        answer = subprocess.run(command, env=environment, capture_output=True, check=True)
    path, error, _, seconds = json.loads(answer.stdout)
    assert path is None
    assert "neither the hub nor its cache has it (ReadTimeout)" in error
    assert 9 < seconds < 20
