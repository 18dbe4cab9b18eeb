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
from demo.pipeline import borrow_gpu

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
def loan(monkeypatch: pytest.MonkeyPatch) -> Loan:
    loan = Loan()
    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=loan.GPU))
    return loan


def test_each_call_of_the_network_borrows_a_gpu(loan, monkeypatch, tmp_path) -> None:
    photo = tmp_path / "photo.png"
    Image.effect_noise((40, 30), 80).convert("RGB").save(photo)
    model = make_model()
    wanted = pipeline.analyse(model, photo)
    assert loan == []
    forward = model.forward
    monkeypatch.setattr(model, "forward", lambda image: loan.append("network") or forward(image))
    assert borrow_gpu(model) is model
    analysis = pipeline.analyse(model, photo)
    pipeline.with_source(analysis, "hand", 20.0)
    assert loan == ["borrowed", "network", "given back"]
    torch.testing.assert_close(analysis.prediction.depth, wanted.prediction.depth)
    with pytest.raises(ValueError, match="f_px must be positive"):
        model.infer(Image.new("RGB", (4, 4)), -1.0)


def test_elsewhere_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spaces", None)  # as if it were not installed
    model = make_model()
    infer = model.infer
    assert borrow_gpu(model).infer == infer


def test_the_app_has_spaces_before_torch() -> None:
    first = re.findall(r"^ *(?:import|from) (\w+)", APP, re.MULTILINE)
    assert first.index("spaces") < first.index("demo")
    assert set(first[: first.index("spaces")]) <= set(sys.stdlib_module_names)
    assert "build_page(borrow_gpu(model)" in APP
