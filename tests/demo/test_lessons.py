"""The lessons on the page: one card for each notebook, with its picture and its link."""

from pathlib import Path

import pytest

from demo.lessons import cards


def test_on_a_space_links_open_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_ID", "somebody/depth")
    address = "https://huggingface.co/spaces/somebody/depth/blob/main/notebooks/"
    assert f'href="{address}01_a_photo_in_metres.ipynb" target="_blank"' in cards()


def test_without_notebooks_there_are_no_lessons(tmp_path: Path) -> None:
    assert cards(tmp_path) == ""
