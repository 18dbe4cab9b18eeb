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

from depthpro.scenes.engine import Engine, require_renderer
from depthpro.sample import Sample
from depthpro.scenes.sample import VIEWS, render_scene
from depthpro.shards import write_shard

DONE = "done"
MAX_FAILED_STARTS = 3
_CANNOT_RENDER = (
    "the renderer does not work here; without a GPU driver it needs "
    "`apt-get install -y libvulkan1 mesa-vulkan-drivers`"
)


class Task(NamedTuple):
    """One shard: scenes `first` to `first + count - 1` of a run, without those to `skip`."""

    path: Path
    seed: int
    size: int
    first: int
    count: int
    views: int = VIEWS
    skip: frozenset[int] = frozenset()


class Report(NamedTuple):
    """What a run did."""

    skipped: tuple[int, ...]
    """Scenes that were left out, because a worker died on each of them twice."""
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
        for scene in range(task.first, task.first + task.count):
            tell(scene)
            if scene not in task.skip:
                yield from render_scene(engine, task.seed, scene, views=task.views)
        tell(task.first + task.count)

    write_shard(task.path, samples())


def run_tasks(tasks: list[Task], workers: int, progress: Callable[[int], None]) -> Report:
    """Render all shards in worker processes.

    Args:
        tasks: The shards.
        workers: How many processes.
        progress: Is called with the number of scenes done since the last call; negative when a
            shard has to be begun anew.

    Raises:
        ValueError: If the renderer cannot start, with what it said.
    """
    require_renderer()
    for task in tasks:
        _clean_up(task)
    waiting, deaths, restarts, failed_starts = deque(tasks), Counter[int](), 0, 0
    running: dict[Any, _Worker] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                worker = _Worker()
                running[worker.pipe] = worker
                worker.begin(waiting.popleft())
            for pipe in wait(list(running)):
                worker = running[pipe]
                message = worker.receive()
                if isinstance(message, int):
                    failed_starts = 0
                    progress(worker.advance(message))
                elif message == DONE and waiting:
                    worker.begin(waiting.popleft())
                else:
                    del running[pipe]
                    worker.stop()
                    if message == DONE:
                        continue
                    restarts += 1
                    failed_starts += worker.scene is None
                    if message is not None or failed_starts == MAX_FAILED_STARTS:
                        raise ValueError(f"{_CANNOT_RENDER}. It said:\n{worker.last_words}")
                    progress(-worker.done)
                    _clean_up(worker.task)
                    waiting.appendleft(_again(worker, deaths))
    finally:
        for worker in running.values():
            worker.stop()
    skipped = tuple(sorted(scene for scene, count in deaths.items() if count > 1))
    return Report(skipped, restarts)


def _clean_up(task: Task) -> None:
    """Remove what a killed process left of the shard."""
    for leftover in task.path.parent.glob(f".{task.path.stem}.*{task.path.suffix}"):
        leftover.unlink()


def _again(worker: "_Worker", deaths: Counter[int]) -> Task:
    """Return the dead worker's task, without the scene if it was the second death on it."""
    task, scene = worker.task, worker.scene
    if scene is None:
        return task
    deaths[scene] += 1
    return task._replace(skip=task.skip | {scene}) if deaths[scene] > 1 else task


class _Worker:
    """A process that renders one shard after another, and what is known of it."""

    def __init__(self) -> None:
        self.scene: int | None = None
        self.done = 0
        self.last_words = ""
        self._log = tempfile.NamedTemporaryFile(suffix=".log")  # noqa: SIM115 (closed by stop)
        # Children of a server that has imported everything: neither this process's threads nor a
        # Vulkan device survive a fork, and a fresh interpreter takes seconds to import PyTorch.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, self._log.name), daemon=True)
        self._process.start()
        theirs.close()

    def begin(self, task: Task) -> None:
        """Give the worker a shard to render."""
        self.task, self.scene, self.done = task, None, 0
        with contextlib.suppress(OSError):  # if it has died, the next message says so
            self.pipe.send(task)

    def receive(self) -> int | str | None:
        """Return a scene that is begun, `DONE`, an error in words, or None if the process died."""
        try:
            message = self.pipe.recv()
        except (EOFError, OSError):
            return None
        if isinstance(message, str) and message != DONE:
            self.last_words = message
        return message

    def advance(self, scene: int) -> int:
        """Note that a scene is begun, and return how many were finished since the last one."""
        finished = 0 if self.scene is None else scene - self.scene
        self.scene, self.done = scene, self.done + finished
        return finished

    def stop(self) -> None:
        """End the process, and keep the last lines that it wrote."""
        if self._log.closed:
            return
        self.pipe.close()
        self._process.join(timeout=0.5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        lines = Path(self._log.name).read_text(errors="replace").splitlines()[-6:]
        self.last_words = "\n".join([*lines, self.last_words]).strip()
        self._log.close()


def _work(pipe: Connection, log: str) -> None:
    """Render shards until nobody asks for more; what the renderer prints goes to `log`."""
    with Path(log).open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            task = pipe.recv()
            try:
                render_shard(task, pipe.send)
            except (ValueError, OSError) as error:
                pipe.send(f"{type(error).__name__}: {error}")
                return
            pipe.send(DONE)
