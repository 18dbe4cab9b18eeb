"""`python -m depthpro render`: resumable, deterministic, with workers that may crash."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image
from vulkan import needs_vulkan

from depthpro.__main__ import main
from depthpro.data.sample import Sample
from depthpro.data.shards import open_shards
from depthpro.scenes import workers

pytestmark = needs_vulkan


def command(out: Path, *more: str) -> list[str]:
    options = ["--samples", "12", "--shard-samples", "6", "--size", "32", "--seed", "3"]
    return ["render", "-o", str(out), *options, *more]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of two shards, rendered by two undisturbed workers."""
    out = tmp_path_factory.mktemp("rendered")
    assert main(command(out)) == 0
    return out


def shards_of(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.glob("*.tar") if not path.name.startswith("."))
    return {path.name: path.read_bytes() for path in sorted(found)}


@pytest.mark.slow
def test_a_killed_run_leaves_no_process_and_is_completed(rendered: Path, tmp_path: Path) -> None:
    out, sheet = tmp_path / "out", tmp_path / "sheet.png"
    run = psutil.Popen([sys.executable, "-m", "depthpro", *command(out, "--workers", "1")])
    while not (out / "shard-000000.tar").exists() or not list(out.glob(".shard-000001.*.tar")):
        assert run.poll() is None
        time.sleep(0.02)
    stamp, processes = (out / "shard-000000.tar").stat().st_mtime_ns, run.children(recursive=True)
    run.kill()
    deadline = time.monotonic() + 120
    while any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert len(processes) >= 2  # the server of workers and a worker
    assert not (out / "shard-000001.tar").exists()
    # The next start makes what is missing, with the same bytes, and removes what is half done.
    assert main(command(out, "--sheet", str(sheet))) == 0
    assert shards_of(out) == shards_of(rendered)
    assert not list(out.glob(".*"))
    assert (out / "shard-000000.tar").stat().st_mtime_ns == stamp
    assert len({sample.seed for sample in open_shards(out)}) == 12
    # One row of 4 scenes: a picture and its depth of 200 px each, under titles of 18 px.
    pixels = np.asarray(Image.open(sheet))
    assert pixels.shape == (218, 1600, 3)
    assert all(pixels[:18, left : left + 200].min() < 128 for left in range(0, 1600, 200))


def test_render_refuses_a_folder_of_another_run(
    rendered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(command(rendered, "--seed", "4"))
    assert "seed 3 → 4" in capsys.readouterr().err
    assert len(shards_of(rendered)) == 2


@pytest.mark.parametrize("name", ["samples", "seed", "size", "workers", "shard-samples"])
def test_render_names_an_option_out_of_range(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    with pytest.raises(SystemExit):
        main(command(tmp_path, f"--{name}", "-1"))
    assert f"--{name} must be at least" in capsys.readouterr().err


def _die_in_scene_1(job: workers.ShardJob, *rest: Any) -> None:
    """Render a shard in a process that is killed in scene 1 as often as a file `deaths` has x."""

    def render_scene(engine: Any, seed: int, scene: int) -> Iterator[Sample]:
        deaths = job.path.parent / "deaths"
        if scene == 1 and (left := deaths.read_text()):
            deaths.write_text(left[1:])
            os.kill(os.getpid(), signal.SIGKILL)
        return render(engine, seed, scene)

    render, workers.render_scene = workers.render_scene, render_scene
    workers._work(job, *rest)


@pytest.mark.slow
@pytest.mark.parametrize("deaths", ["x", "xx"])
def test_a_shard_whose_worker_died_is_rendered_again_and_has_the_same_bytes(
    rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaths: str
) -> None:
    (tmp_path / "deaths").write_text(deaths)
    monkeypatch.setattr(workers, "_work", _die_in_scene_1)
    if deaths == "xx":  # twice: that ends the run, and the next start goes on
        with pytest.raises(SystemExit):
            main(command(tmp_path, "--workers", "1"))
        assert not list(tmp_path.glob("*.tar"))
    assert main(command(tmp_path)) == 0
    assert (tmp_path / "deaths").read_text() == ""
    assert shards_of(tmp_path) == shards_of(rendered)
    assert not list(tmp_path.glob(".*"))


def test_an_error_of_python_stops_the_run_at_once(tmp_path: Path) -> None:
    job = workers.ShardJob(tmp_path / "a.tar", 3, 10**6, range(1))  # of too many pixels
    with pytest.raises(OSError, match=r"(?s)a\.tar:.*Error"):
        workers.run_jobs([job], 1, print)
    assert not list(tmp_path.iterdir())
