"""Processes that render shards, and may crash.

The renderer aborts its process on an error. A shard whose process died is rendered again, which
gives the same bytes; a scene in which that happens twice is left out. Each shard has a process of
its own, since the driver's memory grows with every scene. (In a `ProcessPoolExecutor` one death
ends all workers, and nothing says whose scene it was.)
"""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, NamedTuple

from depthpro.data.sample import Sample
from depthpro.data.shards import write_shard
from depthpro.scenes.engine import Engine, require_renderer
from depthpro.scenes.sample import VIEWS, render_scene

_CANNOT_WRITE = 3  # exit status of a worker whose disk is full, say: no scene is to blame


class ShardJob(NamedTuple):
    """A shard to render: some scenes of a run, without those to `skip`."""

    path: Path
    seed: int
    size: int
    scenes: range
    skip: frozenset[int] = frozenset()


class _Worker(NamedTuple):
    job: ShardJob
    process: Any
    begun: Any  # scenes begun, shared with the process; one more when all are rendered
    log: Path

    def done(self) -> int:
        return VIEWS * max(self.begun.value - 1, 0)


def run_jobs(
    jobs: list[ShardJob], workers: int, progress: Callable[[int], object]
) -> dict[int, str]:
    """Render shards in worker processes and return the scenes left out, with the renderer's words.

    Args:
        jobs: The shards.
        workers: How many processes at a time.
        progress: Called with the number of samples rendered since its last call; negative when a
            shard is rendered again.

    Raises:
        ValueError: If the renderer cannot start.
        OSError: If a shard cannot be written.
    """
    require_renderer()
    waiting, running, finished, shown = jobs[::-1], list[_Worker](), 0, 0
    crashed, skipped = set[tuple[Path, int]](), dict[int, str]()
    with tempfile.TemporaryDirectory() as logs:
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    running.append(_start(waiting.pop(), Path(logs), workers))
                wait([worker.process.sentinel for worker in running], timeout=0.5)
                for worker in [w for w in running if w.process.exitcode is not None]:
                    running.remove(worker)
                    if worker.process.exitcode == 0:
                        finished += worker.done()
                    else:
                        waiting.append(_again(worker, crashed, skipped))
                done = finished + sum(worker.done() for worker in running)
                progress(done - shown)
                shown = done
        finally:
            for worker in running:
                worker.process.kill()
                worker.process.join()
    return skipped


def _start(job: ShardJob, logs: Path, workers: int) -> _Worker:
    for leftover in job.path.parent.glob(f".{job.path.stem}.*{job.path.suffix}"):
        leftover.unlink()  # of a worker that died
    # A Vulkan device does not survive a fork of this process, and a fresh interpreter takes
    # seconds to import PyTorch: workers are forks of a server that has only imported it.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    begun, log = context.Value("i", 0, lock=False), logs / f"{job.path.stem}.log"
    log.touch()
    threads = max(1, (os.cpu_count() or 1) // workers)
    process = context.Process(target=_work, args=(job, begun, log, threads), daemon=True)
    process.start()
    return _Worker(job, process, begun, log)


def _again(worker: _Worker, crashed: set[tuple[Path, int]], skipped: dict[int, str]) -> ShardJob:
    """Return the job of a worker that died, without the scene if it crashed there before."""
    job, begun = worker.job, worker.begun.value
    words = "\n".join(worker.log.read_text(errors="replace").splitlines()[-6:])
    if worker.process.exitcode == _CANNOT_WRITE:
        raise OSError(f"{job.path}: {words}")
    if (job.path, begun) not in crashed:
        crashed.add((job.path, begun))
        print(f"\n{job.path.name}: the renderer crashed and starts again", file=sys.stderr)
        return job
    if begun == 0:
        raise ValueError(f"the renderer does not start:\n{words}")
    scene = job.scenes[min(begun, len(job.scenes)) - 1]
    skipped[scene] = words
    return job._replace(skip=job.skip | {scene})


def _work(job: ShardJob, begun: Any, log: Path, threads: int) -> None:
    """Render and write a shard; what the renderer prints goes to `log`."""
    os.environ.setdefault("LP_NUM_THREADS", str(threads))  # on the CPU: else one for every core
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    engine = Engine(job.size)

    def samples() -> Iterator[Sample]:
        for scene in job.scenes:
            begun.value += 1
            if scene not in job.skip:
                yield from render_scene(engine, job.seed, scene)
        begun.value += 1

    try:
        write_shard(job.path, samples())
    except OSError as error:
        print(error, file=sys.stderr)
        sys.exit(_CANNOT_WRITE)
