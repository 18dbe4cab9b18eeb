"""The lessons of notebooks/, as the page offers them."""

import html
import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"

_ROW = re.compile(r"^\| !\[\]\((.+?)\) \| \[(\d+)\]\((.+?)\) \| (.+?): (.+?) \|$", re.M)


class Lesson(NamedTuple):
    """A row of the index."""

    number: str
    title: str
    about: str
    notebook: Path
    picture: Path


def lessons(folder: Path = NOTEBOOKS) -> list[Lesson]:
    """Return the lessons that the index in a folder's README.md names; none if there is none."""
    index = folder / "README.md"
    if not index.exists():  # the page was copied without its notebooks
        return []
    return [
        Lesson(number, title, about, folder / notebook, folder / picture)
        for picture, number, notebook, title, about in _ROW.findall(index.read_text("utf-8"))
    ]


def cards(found: list[Lesson]) -> str:
    """Return the lessons as HTML: each a picture, what it is about, and a link.

    On a Space the link shows the notebook on the hub, elsewhere it downloads it. Pictures and
    notebooks are served by the page (`gradio.set_static_paths`).
    """
    items = "".join(
        f'<li><a href="{html.escape(_address(lesson))}"{_how()}>'
        f'<img src="{_served(lesson.picture)}" alt="" loading="lazy">'
        f"<b>{lesson.number} {html.escape(lesson.title)}</b>"
        f"<span>{html.escape(lesson.about[:1].upper() + lesson.about[1:])}</span></a></li>"
        for lesson in found
    )
    return f'<ul class="lessons">{items}</ul>'


def _address(lesson: Lesson) -> str:
    space = os.environ.get("SPACE_ID")
    if space:
        return f"https://huggingface.co/spaces/{space}/blob/main/notebooks/{lesson.notebook.name}"
    return _served(lesson.notebook)


def _how() -> str:
    return ' target="_blank" rel="noopener"' if os.environ.get("SPACE_ID") else " download"


def _served(path: Path) -> str:
    return f"/gradio_api/file={quote(str(path))}"
