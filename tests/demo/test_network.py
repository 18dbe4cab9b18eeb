"""The network that the page is waiting for: what it says of itself, and what takes its place."""

import pickle
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from conftest import make_model
from PIL import Image

from demo import examples, network, pipeline
from demo.network import Network
from demo.pipeline import borrow_gpu
from depthpro import DepthPro, checkpoint


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


def wait(check, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_download_is_told_in_gigabytes_and_seconds(tiny_model: DepthPro) -> None:
    go = [threading.Event() for _ in range(3)]

    def load(bar):
        go[0].wait()
        download = bar(total=2_000_000_000, unit="B")
        download.start_t -= 10  # it began ten seconds ago
        download.update(500_000_000)
        files = bar(total=1)  # is no download
        go[1].wait()
        download.update(1_500_000_000)
        go[2].wait()
        download.close()
        files.close()
        return tiny_model, ""

    loading = Network("apple/DepthPro", load)
    assert loading.provenance.name == "apple/DepthPro"
    assert loading.provenance.licence == checkpoint.PUBLISHED_LICENCE
    assert loading.loading() == (None, "The network apple/DepthPro starts")
    go[0].set()
    wait(lambda: loading.loading()[0])
    share, text = loading.loading()
    assert share == 0.25
    assert "downloaded: 0.50 of 2.00 GB, about 30 s to go" in text
    go[1].set()
    wait(lambda: loading.loading()[0] is None)
    assert loading.loading() == (None, "The weights apple/DepthPro are read")
    assert not loading.ready
    go[2].set()
    wait(lambda: loading.ready)
    assert loading.provenance == tiny_model.provenance


def test_an_example_is_worked_out_once_and_warms_up_the_network(monkeypatch) -> None:
    model, calls = make_model(), []
    model.register_forward_hook(lambda *_: calls.append(1))
    ready = network.loaded(model)
    first = ready.example(examples.FIRST)
    assert ready.example(examples.FIRST) is first
    assert calls == [1]
    again = pipeline.analyse(model, examples.path(examples.FIRST))
    torch.testing.assert_close(first.prediction.depth, again.prediction.depth)
    with pytest.raises(ValueError, match=r"an example of room, .*; got '\.\./secret'"):
        ready.example("../secret")


def test_published_weights_are_tried_on_cuda_and_the_page_says_if_they_fail(
    monkeypatch: pytest.MonkeyPatch, tiny_model: DepthPro
) -> None:
    asked = []

    def load(name: str, **options: object) -> DepthPro:
        asked.append((name, options.get("dtype")))
        return tiny_model

    def download(name: str, bar: type) -> None:
        raise ValueError(f"no {name} to download")

    monkeypatch.setattr(DepthPro, "from_pretrained", load)
    monkeypatch.setattr(checkpoint, "download", download)
    monkeypatch.setattr(network, "usable_device", torch.device)  # as if there were one
    fallen = network.start(None, "cuda")
    wait(lambda: fallen.ready)
    assert fallen.note == (
        "The weights apple/DepthPro could not be loaded: no apple/DepthPro to download"
    )
    monkeypatch.setattr(checkpoint, "download", lambda name, bar: None)
    wait(lambda: network.start(None, "cuda").ready)
    assert network.start(None, "cpu").note == ""
    assert asked[0][0] == "small"
    assert ("apple/DepthPro", None) in asked
    assert asked[-1] == ("small", None)
    wait(lambda: network.start("apple/DepthPro", "cpu").ready)
    assert asked[-1] == ("apple/DepthPro", None)


def test_weights_that_are_not_there_are_told_before_the_page_opens() -> None:
    with pytest.raises(ValueError, match=r"no weights at 'my/own\.safetensors'"):
        network.start("my/own.safetensors", "cpu")
    for options, reason in (
        ({"device": "abacus"}, "device 'abacus' cannot be used here"),
        ({"device": "meta", "int8": True}, "int8 is for the CPU, got 'meta'"),
    ):
        with pytest.raises(ValueError, match=reason):
            network.start("apple/DepthPro", **options)


def test_zero_gpu_gives_to_visitors_alone(loan: list[str]) -> None:
    model, calls = make_model(), []
    model.register_forward_hook(lambda *_: calls.append(1))
    ready = network.loaded(model)
    assert loan == calls == []
    ready.example("astronaut")
    assert loan == ["borrowed", "given back"]
    assert calls == [1]
