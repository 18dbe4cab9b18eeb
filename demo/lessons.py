"""The lessons of notebooks/: their index, and the cards on the page that lead to them."""

import html
import re
from pathlib import Path
from typing import NamedTuple

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"

_ROW = re.compile(r"^\| !\[\]\((.+?)\) \| \[(\d+)\]\((.+?)\) \| (.+?): (.+?) \|$", re.M)


class Lesson(NamedTuple):
    """One row of the index."""

    number: int
    title: str
    about: str
    """What it teaches, in one sentence."""
    notebook: Path
    picture: Path

    @property
    def name(self) -> str:
        """The name in the address of its page."""
        return self.notebook.stem


def read_index(folder: Path = NOTEBOOKS) -> list[Lesson]:
    """Return the lessons in the README.md of a folder; none if the page came without notebooks."""
    index = folder / "README.md"
    if not index.exists():
        return []
    return [
        Lesson(int(number), title, about[:1].upper() + about[1:] + ".", folder / file, folder / pic)
        for pic, number, file, title, about in _ROW.findall(index.read_text("utf-8"))
    ]


def entry() -> str:
    """Return a link to the lessons in Markdown; empty without lessons."""
    return "[Learn how it works](learn/)" if read_index() else ""


def cards(root: str = "learn/", folder: Path = NOTEBOOKS) -> str:
    """Return a card for each lesson, with links relative to `root`; empty without lessons."""
    items = [
        f'<li><a href="{root}{each.name}">'
        f'<img src="{root}pictures/{each.number}" alt="" loading="lazy">'
        f"<b>{each.number} {html.escape(each.title)}</b>"
        f"<span>{html.escape(each.about)}</span></a></li>"
        for each in read_index(folder)
    ]
    return f'<ul class="lessons">{"".join(items)}</ul>' if items else ""
