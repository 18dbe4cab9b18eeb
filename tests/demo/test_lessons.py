"""The lessons on the page: one card for each notebook, with its picture and its link."""

import re
from pathlib import Path

import pytest

from demo.lessons import NOTEBOOKS, cards


def test_every_notebook_has_a_card_with_a_picture() -> None:
    text = cards()
    linked = re.findall(r'href="/gradio_api/file=([^"]+)" download', text)
    assert linked == [str(path) for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))]
    pictures = re.findall(r'<img src="/gradio_api/file=([^"]+)"', text)
    assert len(pictures) == len(linked)
    assert all(Path(picture).stat().st_size > 1000 for picture in pictures)


def test_on_a_space_links_open_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_ID", "somebody/depth")
    address = "https://huggingface.co/spaces/somebody/depth/blob/main/notebooks/"
    assert f'href="{address}01_a_photo_in_metres.ipynb" target="_blank"' in cards()


def test_without_notebooks_there_are_no_lessons(tmp_path: Path) -> None:
    assert cards(tmp_path) == ""
