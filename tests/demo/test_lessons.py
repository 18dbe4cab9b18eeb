"""The lessons as the page offers them: the index, what it names, and the links."""

from pathlib import Path

import pytest

from demo.lessons import NOTEBOOKS, cards, lessons


def test_the_index_names_every_lesson_and_its_picture() -> None:
    found = lessons()
    assert [lesson.notebook for lesson in found] == sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
    assert [lesson.number for lesson in found] == [each.notebook.name[:2] for each in found]
    assert all(lesson.picture.stat().st_size > 1000 for lesson in found)
    assert "canonical inverse depth" in next(each.about for each in found if each.number == "03")


def test_links_download_here_and_open_the_hub_on_a_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACE_ID", raising=False)
    here = cards(lessons()[:1])
    assert f'href="/gradio_api/file={NOTEBOOKS}/01_a_photo_in_metres.ipynb" download>' in here
    monkeypatch.setenv("SPACE_ID", "somebody/depth")
    there = cards(lessons()[:1])
    address = "https://huggingface.co/spaces/somebody/depth/blob/main/notebooks/"
    assert f'href="{address}01_a_photo_in_metres.ipynb" target="_blank"' in there


def test_without_notebooks_there_are_no_lessons(tmp_path: Path) -> None:
    assert lessons(tmp_path) == []
