"""The lessons of notebooks/ as cards with links."""

import html
import os
import re
from pathlib import Path
from urllib.parse import quote

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"

_ROW = re.compile(r"^\| !\[\]\((.+?)\) \| \[(\d+)\]\((.+?)\) \| (.+?): (.+?) \|$", re.M)


def cards(folder: Path = NOTEBOOKS) -> str:
    """Return a card for each lesson in the index README.md of a folder; empty without an index.

    On a Space the link shows the notebook on the hub, elsewhere the page serves it.
    """
    index = folder / "README.md"
    if not index.exists():  # the page was copied without its notebooks
        return ""
    space = os.environ.get("SPACE_ID")
    hub = f"https://huggingface.co/spaces/{space}/blob/main/notebooks"
    items = []
    for picture, number, notebook, title, about in _ROW.findall(index.read_text("utf-8")):
        address = f"{hub}/{notebook}" if space else _served(folder / notebook)
        target = 'target="_blank" rel="noopener"' if space else "download"
        items.append(
            f'<li><a href="{html.escape(address)}" {target}>'
            f'<img src="{_served(folder / picture)}" alt="" loading="lazy">'
            f"<b>{number} {html.escape(title)}</b>"
            f"<span>{html.escape(about[:1].upper() + about[1:])}</span></a></li>"
        )
    return f'<ul class="lessons">{"".join(items)}</ul>'


def _served(path: Path) -> str:
    return f"gradio_api/file={quote(str(path))}"  # below the page, wherever that is
