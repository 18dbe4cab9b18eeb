"""Worker processes that render shards, and may crash.

The renderer ends its process on an error, so each worker is watched: one that dies is replaced and
its shard begun anew, which gives the same bytes. A scene that a worker dies on twice is left out.
"""

import contextlib
import multiprocessing
import os
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

from depthpro.data.sample import Sample
from depthpro.data.shards import write_shard
from depthpro.scenes.engine import Engine, require_renderer
from depthpro.scenes.sample import VIEWS, render_scene

DONE = "done"
MAX_FAILED_STARTS = 3


class Task(NamedTuple):
    """One shard: some scenes of a run, without those to `skip`."""

    path: Path
    seed: int
    size: int
    scenes: range
    skip: frozenset[int] = frozenset()


class Report(NamedTuple):
    """What a run did."""

    skipped: dict[int, str]
    """Scenes that were left out, because workers died on each of them twice, and the last words."""
    restarts: int
    """Workers that died."""


def render_shard(task: Task, tell: Callable[[int], None] = lambda scene: None) -> None:
    """Render and write one shard, on an engine of its own, so that its bytes follow from the task.

    Args:
        task: What to render.
        tell: Is called with the number of each scene before it is begun, and of the one after the
            last at the end.
    """
    engine = Engine(task.size)

    def samples() -> Iterator[Sample]:
        for scene in task.scenes:
            tell(scene)
            if scene not in task.skip:
                yield from render_scene(engine, task.seed, scene)
        tell(task.scenes.stop)

    write_shard(task.path, samples())


def run_tasks(tasks: list[Task], workers: int, progress: Callable[[int], object]) -> Report:
    """Render all shards in worker processes.

    Args:
        tasks: The shards.
        workers: How many processes.
        progress: Is called with the number of samples done since the last call; negative when a
            shard has to be begun anew.

    Raises:
        ValueError: If the renderer cannot start, with what it said.
        OSError: If a shard cannot be written.
    """
    require_renderer()
    for task in tasks:
        _clean_up(task)
    waiting, deaths, report, failed_starts = deque(tasks), Counter[int](), Report({}, 0), 0
    running: dict[Any, _Worker] = {}
    threads = max(1, (os.cpu_count() or 1) // workers)
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                worker = _Worker(waiting.popleft(), threads)
                running[worker.pipe] = worker
            for pipe in wait(list(running)):
                worker, message = running[pipe], running[pipe].receive()
                if isinstance(message, int):
                    failed_starts = 0
                    progress(worker.advance(message))
                    continue
                words = running.pop(pipe).stop()
                if message == DONE:
                    continue
                if message is not None:
                    raise OSError(f"{worker.task.path}: {message}")
                report = report._replace(restarts=report.restarts + 1)
                failed_starts += worker.scene is None
                if failed_starts == MAX_FAILED_STARTS:
                    raise ValueError(f"the renderer does not start. It said:\n{words}")
                progress(-worker.done)
                waiting.appendleft(_again(worker, deaths, report, words))
    finally:
        for worker in running.values():
            worker.stop()
    return report


def _clean_up(task: Task) -> None:
    """Remove what a killed process left of the shard."""
    for leftover in task.path.parent.glob(f".{task.path.stem}.*{task.path.suffix}"):
        leftover.unlink()


def _again(worker: "_Worker", deaths: Counter[int], report: Report, words: str) -> Task:
    """Return the dead worker's task, without the scene if it was the second death on it."""
    task, scene = worker.task, worker.scene
    _clean_up(task)
    if scene is None:
        return task
    deaths[scene] += 1
    if deaths[scene] < 2:
        return task
    report.skipped[scene] = words
    return task._replace(skip=task.skip | {scene})


class _Worker:
    """A process that renders one shard, and what is known of it.

    A process for each shard, since what the driver keeps of every scene would add up.
    """

    def __init__(self, task: Task, threads: int) -> None:
        self.task, self.done = task, 0
        self.scene: int | None = None
        self._log = tempfile.NamedTemporaryFile(suffix=".log")  # noqa: SIM115 (closed by stop)
        # Children of a server that has imported everything: neither this process's threads nor a
        # Vulkan device survive a fork, and a fresh interpreter takes seconds to import PyTorch.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self.pipe, theirs = context.Pipe()
        arguments = theirs, self._log.name, task, threads
        self._process = context.Process(target=_work, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def receive(self) -> int | str | None:
        """Return a scene that is begun, `DONE`, an error in words, or None if the process died."""
        with contextlib.suppress(EOFError, OSError):
            return self.pipe.recv()
        return None

    def advance(self, scene: int) -> int:
        """Note that a scene is begun, and return how many samples were made since the last one."""
        made = 0 if self.scene is None else (scene - self.scene) * VIEWS
        self.scene, self.done = scene, self.done + made
        return made

    def stop(self) -> str:
        """End the process, and return the last lines that it wrote."""
        self.pipe.close()
        self._process.join(timeout=0.5)
        self._process.kill()
        self._process.join()
        with self._log:
            return "\n".join(Path(self._log.name).read_text(errors="replace").splitlines()[-6:])


def _work(pipe: Connection, log: str, task: Task, threads: int) -> None:
    """Render a shard; what the renderer prints goes to `log`."""
    # On the CPU each worker would take a thread for every core, and they would fight for them.
    os.environ.setdefault("LP_NUM_THREADS", str(threads))
    with Path(log).open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        render_shard(task, pipe.send)
        pipe.send(DONE)
    except (BrokenPipeError, ConnectionResetError):
        pass  # nobody waits for it any more
    except OSError as error:  # a full disk, say: no scene is to blame
        pipe.send(str(error))
