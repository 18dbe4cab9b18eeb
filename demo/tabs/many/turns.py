"""How the page goes on with a job: turn by turn, with other visitors' work in between."""

import secrets
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gradio as gr
from gradio.components import Component

from demo.session import NETWORK, PARALLEL, PRIVATE
from demo.tabs.many.job import Job

_PAUSE_S = 2


def take_turns(
    job: gr.State,
    inputs: Sequence[Component],
    outputs: Sequence[Component],
    show: Callable[..., list[Any]],
) -> list[gr.State]:
    """Return two states; a job goes on when one of them has the job's next turn.

    The first is for steps that call the network, which takes one visitor at a time, the second for
    all others. After each turn `show(job, *inputs)` returns one update for each output. The browser
    asks for every turn: when the page is closed, the work stops.
    """
    turns = [gr.State(""), gr.State("")]
    for network, state in zip((True, False), turns, strict=True):
        options = NETWORK if network else {"concurrency_limit": PARALLEL}
        event = state.change(
            partial(_take_turn, show, len(outputs), network),
            [job, state, *inputs],
            [*turns, *outputs],
            **options,
            **PRIVATE,
        )
        event.failure(_go_on, [job], turns, queue=False, **PRIVATE)
    return turns


def begin(job: Job) -> list[Any]:
    """Return updates of the two states that start a job."""
    job.turn = secrets.token_hex(8)
    return _next(job)


def _take_turn(
    show: Callable[..., list[Any]],
    count: int,
    network: bool,
    job: Job | None,
    turn: str,
    *values: Any,
) -> list[Any]:
    # Late turns: of a job that was cancelled, or of the one before.
    if job is None or turn != job.turn or job.over:
        return [gr.skip()] * (2 + count)
    job.take_turn(network)
    return [*_next(job), *show(job, *values)]


def _go_on(job: Job | None) -> list[Any]:
    """Ask for another turn after one that failed, as when too many visitors wait."""
    if job is None or job.over:
        return [gr.skip(), gr.skip()]
    time.sleep(_PAUSE_S)
    return begin(job)


def _next(job: Job) -> list[Any]:
    if job.step is None:
        return [gr.skip(), gr.skip()]
    return [job.turn, gr.skip()] if job.step.network else [gr.skip(), job.turn]
