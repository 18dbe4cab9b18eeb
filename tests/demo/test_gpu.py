"""ZeroGPU: the network alone runs on a borrowed GPU."""

import pickle
import re
import sys
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from conftest import make_model
from PIL import Image

from demo import pipeline
from demo.gpu import borrowing

APP = (Path(__file__).parents[2] / "app.py").read_text()


class Loan(list[str]):
    """Stands for the package `spaces`: arguments and result pass between two processes."""

    def GPU(self, duration: int) -> Callable[[Any], Any]:
        assert 0 < duration <= 60

        def decorate(task: Callable[..., Any]) -> Callable[..., Any]:
            def borrowed(*args: Any, **kwargs: Any) -> Any:
                self.append("borrowed")
                args, kwargs = pickle.loads(ForkingPickler.dumps((args, kwargs)))
                result = pickle.loads(ForkingPickler.dumps(task(*args, **kwargs)))
                self.append("given back")
                return result

            return borrowed

        return decorate


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.effect_noise((40, 30), 80).convert("RGB").save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_each_call_of_the_network_borrows_a_gpu(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loan = Loan()
    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=loan.GPU))
    model = make_model()
    wanted = pipeline.analyse(model, photo)
    assert loan == []
    forward = model.forward
    monkeypatch.setattr(model, "forward", lambda image: loan.append("network") or forward(image))
    assert borrowing(model) is model
    analysis = pipeline.analyse(model, photo)
    assert loan == ["borrowed", "network", "given back"]
    wider = pipeline.with_source(analysis, "hand", 20.0)
    assert len(loan) == 3
    torch.testing.assert_close(analysis.prediction.depth, wanted.prediction.depth)
    assert wider.f_px == 20


def test_tensors_come_back_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[str] = []
    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=lambda duration: lambda f: f))
    on_gpu = SimpleNamespace(to=lambda device: moved.append(device) or "on the CPU")
    model = SimpleNamespace(infer=lambda rgb, f_px=None: on_gpu)
    assert borrowing(model).infer("rgb", f_px=3) == "on the CPU"  # pyright: ignore
    assert moved == ["cpu"]


def test_mistakes_are_told_as_without_a_loan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=Loan().GPU))
    with pytest.raises(ValueError, match="f_px must be positive"):
        borrowing(make_model()).infer(Image.new("RGB", (4, 4)), -1.0)


def test_elsewhere_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spaces", None)  # as if it were not installed
    model = make_model()
    infer = model.infer
    assert borrowing(model).infer == infer


def test_the_app_has_spaces_before_torch() -> None:
    first = re.findall(r"^ *(?:import|from) (\w+)", APP, re.MULTILINE)
    assert first.index("spaces") < first.index("demo")
    assert set(first[: first.index("spaces")]) <= set(sys.stdlib_module_names)
    assert "build_page(borrowing(model)" in APP
