"""The command that renders: resumable, deterministic, with workers that may die."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from vulkan import needs_vulkan

from depthpro.__main__ import main
from depthpro.data.sample import Sample
from depthpro.data.shards import Shard, open_shards
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
def test_render_fills_a_folder_and_resumes(rendered: Path, tmp_path: Path) -> None:
    assert len({sample.seed for sample in open_shards(rendered)}) == 12
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
def test_a_dead_worker_is_replaced_and_the_bytes_are_the_same(
    rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deaths").write_text("x")
    with monkeypatch.context() as patch:
        patch.setattr(workers, "_work", _die_in_scene_1)
        assert main(command(tmp_path, "--workers", "1")) == 0
    assert (tmp_path / "deaths").read_text() == ""
    assert shards_of(tmp_path) == shards_of(rendered)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
def test_a_scene_that_kills_twice_is_left_out_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "deaths").write_text("xx")
    monkeypatch.setattr(workers, "_work", _die_in_scene_1)
    assert main(command(tmp_path, "--samples", "6")) == 1
    [path] = tmp_path.glob("*.tar")
    assert [sample.seed for sample in Shard(path)] == [(3, 0, view) for view in range(3)]
    assert '"skipped_scenes": [\n    1\n  ]' in (tmp_path / "render.json").read_text()
    assert "scene 1 is left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "size", "error", "words"),
    [
        ("a.tar", 10**6, ValueError, "renderer does not start"),
        ("file/a.tar", 32, OSError, r"a\.tar"),
    ],
)
def test_what_no_scene_is_to_blame_for_stops_the_run(
    tmp_path: Path, name: str, size: int, error: type[Exception], words: str
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(error, match=words):
        workers.run_jobs([workers.ShardJob(tmp_path / name, 3, size, range(1))], 1, print)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
