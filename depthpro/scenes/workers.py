"""Worker processes that render shards.

The renderer aborts its process on an error, so a shard whose process died is rendered once more,
which gives the same bytes. Each shard has a process of its own, since the driver's memory grows
with every scene. (In a `ProcessPoolExecutor` one death would end all workers.)
"""

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, NamedTuple

from depthpro.data.sample import Sample
from depthpro.data.shards import write_shard
from depthpro.scenes.engine import Engine, require_renderer
from depthpro.scenes.sample import render_scene


class ShardJob(NamedTuple):
    """A shard to render."""

    path: Path
    seed: int
    size: int
    scenes: range


class _Worker(NamedTuple):
    job: ShardJob
    process: Any
    rendered: Any  # samples so far, shared with the process
    log: Path


def run_jobs(jobs: list[ShardJob], workers: int, progress: Callable[[int], object]) -> None:
    """Render shards, `workers` at a time; `progress` gets the number of samples rendered so far.

    Raises:
        ValueError: If MuJoCo or Vulkan is missing.
        OSError: If a shard cannot be written, or the renderer crashed twice at it.
    """
    require_renderer()
    waiting, running, finished, crashed = jobs[::-1], list[_Worker](), 0, set[ShardJob]()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(_start(waiting.pop(), workers))
            wait([worker.process.sentinel for worker in running], timeout=0.5)
            for worker in [w for w in running if w.process.exitcode is not None]:
                job, status = worker.job, worker.process.exitcode
                if status > 0 or (status < 0 and job in crashed):  # Python failed, or the renderer
                    output = worker.log.read_text(errors="replace").splitlines()[-6:]
                    raise OSError("\n".join([f"cannot render {job.path}:", *output]))
                if status == 0:
                    finished += worker.rendered.value
                else:
                    print(f"\n{job.path}: the renderer crashed and starts again", file=sys.stderr)
                    crashed.add(job)
                    waiting.append(job)
                running.remove(worker)
                remove_leftovers(job.path.parent, job.path.stem)
            progress(finished + sum(worker.rendered.value for worker in running))
    finally:
        for worker in running:
            worker.process.kill()
            worker.process.join()
            remove_leftovers(worker.job.path.parent, worker.job.path.stem)


def remove_leftovers(folder: Path, stem: str) -> None:
    """Remove the half-written shards and the logs of workers that died."""
    for leftover in folder.glob(f".{stem}.*"):
        leftover.unlink(missing_ok=True)


def _start(job: ShardJob, workers: int) -> _Worker:
    # A Vulkan device does not survive a fork of this process, and a fresh interpreter takes
    # seconds to import PyTorch: workers are forks of a server that has only imported it.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    rendered, log = context.Value("i", 0, lock=False), job.path.with_name(f".{job.path.stem}.log")
    log.touch()
    threads = max(1, (os.cpu_count() or 1) // workers)
    process = context.Process(target=_work, args=(job, rendered, log, threads), daemon=True)
    process.start()
    return _Worker(job, process, rendered, log)


def _work(job: ShardJob, rendered: Any, log: Path, threads: int) -> None:
    """Render and write a shard; all output goes to `log`."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.setdefault("LP_NUM_THREADS", str(threads))  # on the CPU: else one for every core
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    engine = Engine(job.size)

    def samples() -> Iterator[Sample]:
        for scene in job.scenes:
            for sample in render_scene(engine, job.seed, scene):
                yield sample
                rendered.value += 1

    write_shard(job.path, samples())


def _end_with_parent() -> None:
    """End this process once the one that started it is gone, even if that was killed."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
