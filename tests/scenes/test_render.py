"""The command that renders: resumable, deterministic, with workers that may die."""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from vulkan import needs_vulkan

from depthpro.__main__ import main
from depthpro.data.shards import Shard, read_shards
from depthpro.scenes import render, workers

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
def test_render_fills_a_folder_and_resumes(rendered: Path, tmp_path: Path) -> None:
    samples = list(read_shards(rendered))
    assert len(samples) == 12
    assert len({sample.seed for sample in samples}) == 12
    before = shards_of(rendered)
    # What is there stays, what is missing comes back the same, from another process; what a killed
    # run left goes.
    kept = rendered / "shard-000000.tar"
    stamp = kept.stat().st_mtime_ns
    (rendered / "shard-000001.tar").rename(rendered / ".shard-000001.half.tar")
    sheet = tmp_path / "sheet.png"
    assert main(command(rendered, "--workers", "1", "--sheet", str(sheet))) == 0
    assert shards_of(rendered) == before
    assert kept.stat().st_mtime_ns == stamp
    # A picture of each of 4 scenes, every third one's depth: 6 tiles of 200 px, 8 in a row.
    assert np.asarray(Image.open(sheet)).shape == (200, 1600, 3)


def test_render_refuses_a_folder_of_another_run(
    rendered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(command(rendered, "--seed", "4"))
    assert "seed 3 → 4" in capsys.readouterr().err
    assert len(shards_of(rendered)) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [("samples", "0"), ("seed", "-1"), ("size", "4"), ("workers", "0"), ("shard-samples", "2")],
)
def test_render_names_an_option_out_of_range(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    with pytest.raises(SystemExit):
        main(command(tmp_path, f"--{name}", value))
    assert f"--{name} must be at least" in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_the_bytes_are_the_same(
    rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []
    calls: list[int] = []
    advance = workers._Worker.advance

    def kill_once(worker: workers._Worker, scene: int) -> int:
        if scene == 3 and not killed:
            killed.append(worker._process.pid or 0)
            os.kill(killed[0], signal.SIGKILL)
        return advance(worker, scene)

    monkeypatch.setattr(workers._Worker, "advance", kill_once)
    options = argparse.Namespace(out=tmp_path, samples=12, shard_samples=6, size=32, seed=3)
    report = workers.run_tasks(render.plan(options), 1, calls.append)
    assert report == workers.Report({}, 1)
    assert sum(calls) == 12
    assert min(calls) < 0  # the shard was begun anew
    assert shards_of(tmp_path) == shards_of(rendered)


@pytest.mark.slow
def test_a_run_that_is_killed_is_completed_by_the_next(rendered: Path, tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "depthpro", *command(tmp_path, "--workers", "1")]
    with subprocess.Popen(arguments, stderr=subprocess.DEVNULL) as run:
        while run.poll() is None and not list(tmp_path.glob(".shard-000001.*")):
            time.sleep(0.02)
        run.kill()
    assert list(shards_of(tmp_path)) == ["shard-000000.tar"]  # the other one is not there in part
    assert main(command(tmp_path)) == 0
    assert shards_of(tmp_path) == shards_of(rendered)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
def test_a_scene_that_kills_twice_is_left_out_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun: list[int] = []
    advance = workers._Worker.advance

    def kill_in_scene_1(worker: workers._Worker, scene: int) -> int:
        if scene == 1 and 1 not in worker.task.skip:
            begun.append(scene)
            os.kill(worker._process.pid or 0, signal.SIGKILL)
        return advance(worker, scene)

    monkeypatch.setattr(workers._Worker, "advance", kill_in_scene_1)
    assert main(command(tmp_path, "--samples", "6")) == 1
    assert begun == [1, 1]
    [path] = tmp_path.glob("*.tar")
    assert [sample.seed for sample in Shard(path)] == [(3, 0, view) for view in range(3)]
    assert '"skipped_scenes": [\n    1\n  ]' in (tmp_path / "render.json").read_text()
    assert "scene 1 is left out" in capsys.readouterr().err


def test_a_renderer_that_cannot_start_is_reported(tmp_path: Path) -> None:
    task = workers.Task(tmp_path / "a.tar", seed=3, size=10**6, scenes=range(1))
    with pytest.raises(ValueError, match="renderer does not start"):
        workers.run_tasks([task], 1, lambda samples: None)
    assert not list(tmp_path.iterdir())


def test_a_shard_that_cannot_be_written_stops_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    task = workers.Task(tmp_path / "file" / "a.tar", seed=3, size=32, scenes=range(1))
    with pytest.raises(OSError, match=r"a\.tar"):
        workers.run_tasks([task], 1, lambda samples: None)


def test_without_mujoco_the_command_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mujoco.studio", None)
    with pytest.raises(SystemExit):
        main(command(tmp_path))
    assert "pip install mujoco==4.0.0" in capsys.readouterr().err
