"""How the page goes on with a job: turn by turn, with other visitors' work in between."""

import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gradio as gr
from gradio.components import Component

from demo.session import NETWORK, PARALLEL, PRIVATE
from demo.tabs.many.job import Job

_PAUSE_MS = 2000


def take_turns(
    name: str,
    job: gr.State,
    inputs: Sequence[Component],
    outputs: Sequence[Component],
    show: Callable[..., list[Any]],
) -> list[gr.State]:
    """Return two states; a job goes on when one of them has the job's next turn.

    The first is for steps that call the network, which takes one visitor at a time, the second for
    all others. After each turn `show(job, *inputs)` returns one update for each output. The browser
    asks for every turn: when the page is closed, the work stops. After a turn that failed, as when
    too many visitors wait, it asks again by a hidden button, whose id starts with `name`.
    """
    turns = [gr.State(""), gr.State("")]
    again = gr.Button("Go on", visible="hidden", elem_id=f"{name}-again")
    press = f"() => setTimeout(() => document.querySelector('#{name}-again').click(), {_PAUSE_MS})"
    asked = again.click(_go_on, [job], turns, concurrency_limit=PARALLEL, **PRIVATE)
    asked.failure(None, js=press, **PRIVATE)
    for network, state in zip((True, False), turns, strict=True):
        options = NETWORK if network else {"concurrency_limit": PARALLEL}
        event = state.change(
            partial(_take_turn, show, len(outputs), network),
            [job, state, *inputs],
            [*turns, *outputs],
            **options,
            **PRIVATE,
        )
        event.failure(None, js=press, **PRIVATE)
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
    return [gr.skip(), gr.skip()] if job is None or job.over else begin(job)


def _next(job: Job) -> list[Any]:
    if job.step is None:
        return [gr.skip(), gr.skip()]
    return [job.turn, gr.skip()] if job.step.network else [gr.skip(), job.turn]
