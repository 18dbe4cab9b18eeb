"""The benchmark runs and says what it measured."""

from pathlib import Path

import pytest
from conftest import make_model

from depthpro.__main__ import COMMANDS, main


@pytest.fixture
def weights(tmp_path: Path) -> str:
    return str(make_model().save_pretrained(tmp_path / "tiny.safetensors"))


def test_a_photo_is_timed_part_by_part(weights: str, capsys: pytest.CaptureFixture[str]) -> None:
    photo = str(Path(__file__).parents[1] / "demo" / "page.jpg")
    assert main(["benchmark", photo, "--model", weights, "--runs", "1"]) == 0
    said = capsys.readouterr().out
    for part in ("read the photo", "network", "depth at the photo's size", "peak memory"):
        assert part in said


def test_a_training_step_is_timed_with_its_loss(
    weights: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["benchmark", "--training", "--model", weights, "--runs", "2"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert 0 < float(line.split("%")[0].split()[-1]) < 100


def test_commands_that_need_more_packages_say_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import importlib

    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'accelerate'", name="accelerate")

    monkeypatch.setattr(importlib, "import_module", missing)
    for command in COMMANDS:
        with pytest.raises(SystemExit) as stopped:
            main([command])
        assert stopped.value.code == 2
        assert "needs accelerate, which is not installed: pip install" in capsys.readouterr().err
