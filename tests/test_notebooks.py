"""The lessons: run from the start, their numbers compared, their exercises solved and failed."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "notebooks"))

import execute  # noqa: E402

LESSONS = execute.lessons()
ANSWERS = Path(__file__).parent / "answers"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
TOLERANCE = 0.02  # other processors round otherwise


def tagged(cell: Any, tag: str) -> bool:
    return tag in cell.metadata.get("tags", [])


def printed(cell: Any) -> str:
    return "".join(out.text for out in cell.get("outputs", []) if out.output_type == "stream")


def answers(lesson: Path) -> dict[tuple[int, str], str]:
    """Return code by the number of its exercise and "right" or "wrong"."""
    text = (ANSWERS / f"{lesson.stem}.md").read_text(encoding="utf-8")
    answer = re.compile(r"^## Exercise (\d+), (right|wrong)\n+```python\n(.*?)```", re.M | re.S)
    return {(int(number), kind): code for number, kind, code in answer.findall(text)}


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_lesson_is_committed_as_it_was_run(lesson: Path) -> None:
    notebook = nbformat.read(lesson, as_version=4)
    nbformat.validate(notebook)
    assert lesson.stat().st_size <= 300_000
    assert len(notebook.cells) <= 40
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    for cell in notebook.cells:
        assert cell.cell_type == "markdown" or len(cell.source.splitlines()) <= 20
    assert not any(out.output_type == "error" for cell in code for out in cell.outputs)
    text = lesson.read_text(encoding="utf-8")
    assert str(Path.home()) not in text
    assert str(ROOT) not in text


@pytest.mark.parametrize("number, lesson", list(enumerate(LESSONS, start=1)))
def test_lesson_leads_on_and_shows_the_solutions_that_are_tested(number: int, lesson: Path) -> None:
    cells = [c.source for c in nbformat.read(lesson, as_version=4).cells]
    links = re.findall(r"\]\(([^) ]+)", cells[0])
    around = [each.name for each in LESSONS[max(0, number - 2) : number + 1] if each != lesson]
    assert [link for link in links if link.endswith("ipynb")] == around
    assert "https://arxiv.org/abs/2410.02073" in links
    sources = [link for link in links if link.endswith(".py")]
    assert sources
    for file in (*sources, *around, "README.md"):
        assert file in links
        assert (lesson.parent / file).is_file()
    assert any(link.startswith("http://127.0.0.1:7860/?tab=") for link in links)
    shown = re.findall(
        r"<summary>Solution.*?```python\n(.*?)```\n\n</details>", "\n".join(cells), re.S
    )
    assert shown == [code for (_, kind), code in answers(lesson).items() if kind == "right"]
    assert len(re.findall("<summary>Hint", "\n".join(cells))) == len(shown)


@pytest.fixture(scope="module")
def kernel() -> Iterator[NotebookClient]:
    """Start one kernel for all lessons: to load the packages takes as long as some lessons do."""
    client = execute.client(LESSONS[0])
    with client.setup_kernel():
        yield client


@pytest.fixture
def run(kernel: NotebookClient, lesson: Path) -> NotebookClient:
    """Open a lesson in the kernel, which has forgotten the one before."""
    kernel.nb = execute.client(lesson).nb
    kernel.reset_execution_trackers()
    forget = nbformat.v4.new_code_cell(FORGET)
    kernel.nb.cells.append(forget)
    kernel.execute_cell(forget, len(kernel.nb.cells) - 1)
    kernel.nb.cells.pop()
    return kernel


FORGET = """%reset -f
import torch
from matplotlib import pyplot
torch.set_grad_enabled(True)
pyplot.close("all")
%reset -f"""


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_lesson_runs_and_its_exercises_tell_right_from_wrong(
    lesson: Path, run: NotebookClient
) -> None:
    before = [printed(cell) for cell in run.nb.cells]
    for index, cell in enumerate(run.nb.cells):
        run.execute_cell(cell, index)
        if not tagged(cell, "varies"):
            same_words_and_numbers(printed(cell), before[index])
    exercises = [i for i, cell in enumerate(run.nb.cells) if tagged(cell, "exercise")]
    known = answers(lesson)
    assert sorted(known) == sorted((n + 1, k) for n in range(len(exercises)) for k in KINDS)
    assert exercises
    for number, index in enumerate(exercises, start=1):
        checks = index + 1
        assert tagged(run.nb.cells[checks], "check")
        assert printed(run.nb.cells[checks]) == "not tried\n"
        assert solved(run, index, checks, known[number, "right"]) == "right\n"
        with pytest.raises(CellExecutionError, match="not right yet"):
            solved(run, index, checks, known[number, "wrong"])


KINDS = ("right", "wrong")


def solved(run: NotebookClient, index: int, checks: int, code: str) -> str:
    """Run an answer in the place of an exercise, then its check; return what that prints."""
    for at, source in ((index, code), (checks, run.nb.cells[checks].source)):
        cell = nbformat.v4.new_code_cell(source)
        run.nb.cells[at], kept = cell, run.nb.cells[at]
        try:
            run.execute_cell(cell, at)
        finally:
            run.nb.cells[at] = kept
    return printed(cell)


def same_words_and_numbers(now: str, before: str) -> None:
    assert NUMBER.sub("#", now) == NUMBER.sub("#", before)
    numbers = [[float(value) for value in NUMBER.findall(text)] for text in (now, before)]
    np.testing.assert_allclose(*numbers, rtol=TOLERANCE, atol=2e-3)
