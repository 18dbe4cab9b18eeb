"""Lessons, their index and the source files they teach, as whole HTML pages."""

import base64
import html
import io
import json
import posixpath
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

import demo
import depthpro
from demo.learn.diagram import LIT, diagram
from demo.learn.markup import Heading, code, to_html
from demo.lessons import NOTEBOOKS, Lesson, cards, read_index

PAGE = "http://127.0.0.1:7860/"
"""The page's address in the notebooks; here it is the page that serves the lessons."""
TITLE = "How Depth Pro works"
HEAD = "<!-- head -->"

_SOURCES = {
    path.relative_to(root.parent).as_posix(): path
    for root in (Path(package.__path__[0]) for package in (depthpro, demo))
    for path in root.rglob("*")
    if path.suffix in {".py", ".js", ".css", ".html", ".md"} and path.is_file()
}
"""Every file that is shown, by its name: nothing else can be asked for."""
_LANGUAGES = {".py": "python", ".js": "javascript", ".css": "css", ".html": "html"}
_FIGURES = {"image/svg+xml": "svg", "image/png": "png", "image/jpeg": "jpg"}


class Figure(NamedTuple):
    """A figure of a lesson as a file."""

    type: str
    content: bytes


class Page(NamedTuple):
    """A page with `HEAD` where its title and its preview belong, and the figures that it shows."""

    html: str
    title: str
    about: str
    figures: Sequence[Figure] = ()


@cache
def index() -> Page | None:
    """Return the contents; None if there are no lessons."""
    lessons = read_index()
    if not lessons:
        return None
    body = (
        f"<main><h1>{TITLE}</h1><p>Nine lessons take Depth Pro apart and put it together again: "
        "notebooks that run in under a minute each, shown here as they ran. Choose a block of the "
        f"network, or begin with lesson 1.</p>{diagram(lessons)}{cards('')}</main>"
    )
    return _page(TITLE, "Depth Pro in nine lessons that run.", body, depth=1)


def lesson(name: str) -> Page | None:
    """Return a lesson by the name in its address; None if there is none of this name."""
    names = [each.name for each in read_index()]
    return _lesson(names.index(name)) if name in names else None


def source(name: str) -> Page | None:
    """Return a source file of the packages by its name; None for any other file."""
    return _source(name) if name in _SOURCES else None


def notebook(name: str) -> Path | None:
    """Return the file of a lesson, for the download."""
    return next((each.notebook for each in read_index() if each.name == name), None)


def picture(number: int) -> Path | None:
    """Return the picture on a lesson's card."""
    return next((each.picture for each in read_index() if each.number == number), None)


@cache  # below the check of names, or strangers could fill the memory
def _lesson(at: int) -> Page:
    lessons = read_index()
    chosen, headings, figures = lessons[at], list[Heading](), list[Figure]()
    notebook = json.loads(chosen.notebook.read_text("utf-8"))
    first, *cells = notebook["cells"]
    top = [_markdown(part, headings) for part in "".join(first["source"]).split("\n\n", 2)]
    rest = "".join(_cell(cell, chosen, headings, figures) for cell in cells)
    contents = _contents(headings)
    article = (
        f"{top[0]}{top[1]}{diagram(lessons, LIT[chosen.number])}"
        f'<details class="contents narrow"><summary>In this lesson</summary>{contents}</details>'
        f"{''.join(top[2:])}{rest}"
    )
    body = (
        f'<div class="columns"><nav class="contents" aria-label="In this lesson">'
        f"<b>In this lesson</b>{contents}</nav>"
        f"<main><article>{article}</article>{_around(lessons, at)}</main></div>"
    )
    return _page(f"{chosen.number} · {chosen.title}", chosen.about, body, 1, figures)


@cache
def _source(name: str) -> Page:
    path, depth = _SOURCES[name], 2 + name.count("/")
    text = path.read_text("utf-8")
    if path.suffix == ".md":
        here = posixpath.dirname(name)
        body = to_html(text, lambda to: _link_between(to, here, "../" * (depth - 1)))
    else:
        body = f'<h1 class="file">{html.escape(name)}</h1>{code(text, _LANGUAGES[path.suffix])}'
    return _page(name, f"{name} of Depth Pro, as it runs.", f"<main>{body}</main>", depth)


def _page(title: str, about: str, body: str, depth: int, figures: Sequence[Figure] = ()) -> Page:
    """Return a page that lies `depth` folders below the page of the network."""
    up, learn = "../" * depth, "../" * (depth - 1) or "./"
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{HEAD}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="{up}favicon.ico"><link rel="stylesheet" href="{learn}style.css">'
        f'</head><body><header><a href="{up}">Depth Pro</a><a href="{learn}">Lessons</a></header>'
        f"{body}</body></html>"
    )
    return Page(page, f"{title} – Depth Pro", about, figures)


def _contents(headings: Sequence[Heading]) -> str:
    links = "".join(
        f'<li><a href="#{each.id}">{each.title}</a></li>' for each in headings if each.level == 2
    )
    return f"<ol>{links}</ol>"


def _around(lessons: Sequence[Lesson], at: int) -> str:
    """Return links to the lessons before and after, and the download."""
    before = lessons[at - 1] if at else None
    after = lessons[at + 1] if at + 1 < len(lessons) else None
    links = [
        f'<a rel="{rel}" href="{each.name}"><small>{word}</small>'
        f"{each.number} · {html.escape(each.title)}</a>"
        for rel, word, each in (("prev", "Previous", before), ("next", "Next", after))
        if each is not None
    ]
    file = lessons[at].notebook.name
    return (
        f'<nav class="around" aria-label="Other lessons">{"".join(links)}</nav>'
        f'<p class="take"><a href="notebooks/{file}" download="{file}">Download the notebook</a> '
        "to run it yourself, change it, and check your own answers.</p>"
    )


def _markdown(text: str, headings: list[Heading]) -> str:
    return to_html(text, lambda to: _link_between(to, "notebooks", ""), headings)


def _cell(
    cell: dict[str, Any], lesson: Lesson, headings: list[Heading], figures: list[Figure]
) -> str:
    text, tags = "".join(cell["source"]), cell["metadata"].get("tags", [])
    if cell["cell_type"] == "markdown":
        return _markdown(text, headings)
    if "check" in tags:
        return f"<details><summary>How it is checked</summary>{code(text)}</details>"
    section = headings[-1].title if headings else lesson.title
    outputs = [_output(each, lesson, section, figures) for each in cell["outputs"]]
    return code(text) + "".join(outputs)


def _output(output: dict[str, Any], lesson: Lesson, section: str, figures: list[Figure]) -> str:
    if output["output_type"] == "stream":
        return f'<pre class="output" tabindex="0">{html.escape("".join(output["text"]))}</pre>'
    kind = next((kind for kind in _FIGURES if kind in output.get("data", {})), None)
    if kind is None:
        words = html.escape("".join(output.get("data", {}).get("text/plain", "")))
        return f'<pre class="output" tabindex="0">{words}</pre>'
    content = "".join(output["data"][kind])
    figures.append(
        Figure(kind, content.encode() if kind == "image/svg+xml" else base64.b64decode(content))
    )
    return (
        f'<img src="figures/{lesson.name}/{len(figures)}.{_FIGURES[kind]}" loading="lazy" '
        f'alt="Figure: {html.escape(section, quote=True)}"'
        f"{_size(output.get('metadata', {}).get(kind, {}), figures[-1])}>"
    )


def _size(metadata: dict[str, Any], figure: Figure) -> str:
    """Return the attributes of a figure's size, so that the text does not jump when it comes."""
    if figure.type == "image/svg+xml":
        return ""
    width, height = Image.open(io.BytesIO(figure.content)).size
    width, height = metadata.get("width", width), metadata.get("height", height)
    return f' width="{width}" height="{height}"'


def _link_between(target: str, folder: str, learn: str) -> str | None:
    """Return where a link leads that was written in a file of a folder of the repository.

    `learn` leads from the page that shows the file to the folder of the lessons. Links to files
    that are not shown are left out.
    """
    if target.startswith(PAGE):
        return f"{learn}../{target.removeprefix(PAGE)}"
    if target.startswith(("https://", "#")):
        return target
    path, _, anchor = target.partition("#")
    name = posixpath.normpath(posixpath.join(folder, path))
    if name in _SOURCES:
        return f"{learn}source/{name}"
    if name == "notebooks/README.md":
        return learn or "./"
    lessons = {f"notebooks/{each.notebook.name}": each.name for each in read_index(NOTEBOOKS)}
    return f"{learn}{lessons[name]}{'#' * bool(anchor)}{anchor}" if name in lessons else None
