"""The benchmark says what it measured, and the ways that it compares do the same work."""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY, make_model
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from depthpro import DepthPro
from depthpro.__main__ import COMMANDS, main
from depthpro.boundary import boundary_recall
from depthpro.evaluation import cost, speed, timing
from depthpro.evaluation.rivals import dense_edges, recall_by_loop, transformers_way
from depthpro.image import load_image

CPU = torch.device("cpu")
COMPARABLE = replace(TINY, neck_dims=(16, 20, 24, 40), decoder_dim=16)


@pytest.fixture
def weights(tmp_path: Path) -> str:
    return str(make_model().save_pretrained(tmp_path / "tiny.safetensors"))


@pytest.fixture
def comparable(tmp_path: Path) -> str:
    model = timing.random_network(COMPARABLE, CPU)
    return str(model.save_pretrained(tmp_path / "comparable.safetensors"))


def measured(path: Path) -> list[dict]:
    """Return the results in a report that says on which machine they were measured."""
    report = json.loads(path.read_text())
    assert report["machine"]["torch"] == torch.__version__
    assert report["machine"]["threads"] == torch.get_num_threads()
    return report["results"]


# --- photos ---------------------------------------------------------------------------------------


def test_a_photo_is_timed_part_by_part(
    weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, out = str(Path(__file__).parents[2] / "demo" / "page.jpg"), tmp_path / "report.json"
    given = ["benchmark", photo, "--model", weights, "--runs", "2", "--out", str(out)]
    assert main([*given, "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    for part in ("load", "preprocess", "forward", "postprocess", "export GLB", "peak memory"):
        assert part in said
    result, exports = measured(out)
    parts = result["seconds"]["depthpro"]
    assert set(parts) == set(timing.Times._fields)
    for summary in [*parts.values(), *exports["exports"].values()]:
        assert 0 < summary["fastest"] <= summary["median"]
        assert summary["runs"] == 2
    assert (result["device"], result["precision"], result["batch"]) == ("cpu", "float32", 1)
    height, width = load_image(photo).rgb.shape[:2]
    assert result["photo"] == [width, height]
    assert result["peak_memory"]["megabytes"] > 100


def test_batch_size_precision_and_size_of_the_photo_are_as_asked(
    weights: str, tmp_path: Path
) -> None:
    out = tmp_path / "report.json"
    given = [
        "--runs",
        "1",
        "--batch",
        "1",
        "2",
        "--size",
        "64x48",
        "--dtype",
        "bfloat16",
        "--device",
        "cpu",
        "--out",
    ]
    assert main(["benchmark", "--model", weights, *given, str(out)]) == 0
    one, two, _ = measured(out)
    assert (one["batch"], two["batch"]) == (1, 2)
    for result in (one, two):
        assert result["photo"] == [64, 48]
        assert result["precision"] == result["weights_kept_in"] == "bfloat16"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--runs", "0"], "--runs must be at least 1, got 0"),
        (["--batch", "2", "0"], "--batch must be at least 1, got 0"),
        (["photo.jpg", "--size", "64x48"], "--size is of the JPEG that is made"),
        (["--size", "64"], "expected WIDTHxHEIGHT as 1920x1080, got '64'"),
        (["--device", "abacus"], "--device abacus cannot be used here"),
        (["no_photo.jpg", "--device", "cpu"], "no_photo.jpg"),
        (["photo.jpg", "--cost"], "photo has no use with --cost"),
        (["--cost", "--device", "cpu"], "--device has no use with --cost"),
        (["--thinning", "--vs", "transformers"], "--vs has no use with --thinning"),
        (["--training", "--batch", "2"], "--batch has no use with --training"),
        (["--training", "--full"], "--full has no use with --training"),
        (["--training", "--size", "64x48"], "--size has no use with --training"),
        (["--cost", "--dtype", "float16"], "--dtype has no use with --cost"),
        (["--cost", "--runs", "3"], "--runs has no use with --cost"),
        (["--thinning", "--model", "tiny.pt"], "--model has no use with --thinning"),
    ],
)
def test_what_cannot_be_is_refused(
    given: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["benchmark", *given])
    assert stopped.value.code == 2
    assert expected in capsys.readouterr().err


def test_the_gpu_of_a_mac_is_taken_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for mps, expected in ((False, ["cpu"]), (True, ["cpu", "mps"])):
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: mps)
        devices = speed._devices(argparse.Namespace(device=None))
        assert [device.type for device in devices] == expected


class Slow(nn.Module):
    """A network that lets an hour pass."""

    def __init__(self, pass_hours: Callable[[float], None]) -> None:
        """Take what lets hours pass."""
        super().__init__()
        self.pass_hours = pass_hours

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.pass_hours(1)
        return image


def test_time_goes_to_the_part_that_took_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hours, turns = [0.0], []

    def pass_hours(number: float) -> None:
        hours[0] += number

    def way(name: str) -> timing.Way:
        network = Slow(pass_hours)

        def to_depth(photos: list[np.ndarray]) -> torch.Tensor:
            turns.append(name)
            pass_hours(3)
            depth = network(torch.ones(len(photos), 2, 2))
            pass_hours(5)
            return depth

        return timing.Way(name, network, to_depth)

    monkeypatch.setattr(timing, "now", lambda device: hours[0])
    photo = timing.sample_photo(tmp_path, 8, 8)
    times, depths = timing.time_ways([way("a"), way("b")], photo, 2, 3, CPU)
    assert times == {"a": [(0, 3, 1, 5, 9, 9)] * 3, "b": [(0, 3, 1, 5, 9, 9)] * 3}
    assert sorted(turns) == ["a", "a", "a", "b", "b", "b"]
    assert turns[0] != turns[2]  # who comes first changes
    assert depths["a"].shape == (2, 2, 2)


def test_medians_and_minima() -> None:
    assert timing.summarize([5.0, 1.0, 3.0]) == (3.0, 1.0, 3)
    taken = timing.time_call(lambda: time.sleep(0.002), 3, CPU)
    assert 0.002 <= taken.fastest <= taken.median
    assert taken.runs == 3


def test_the_photo_that_is_made_has_the_size_and_detail(tmp_path: Path) -> None:
    photo = timing.sample_photo(tmp_path, 403, 302)
    assert load_image(photo).rgb.shape == (302, 403, 3)
    assert load_image(photo).rgb.std() > 10


# --- the same work by transformers ----------------------------------------------------------------


def test_transformers_does_the_same_work(
    comparable: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(speed, "DepthProConfig", lambda: COMPARABLE)  # in place of the full one
    out = tmp_path / "report.json"
    given = ["--full", "--runs", "2", "--batch", "2", "--size", "320x240", "--device", "cpu"]
    given += ["--model", comparable, "--vs", "transformers", "--out", str(out)]
    assert main(["benchmark", *given]) == 0
    assert capsys.readouterr().out.count("inverse depths agree") == 2
    given_weights, _, full, _ = measured(out)
    assert given_weights["network"] == "comparable.safetensors"
    assert full["network"] == "random weights of 512 pixels"
    for result in (given_weights, full):
        assert result["agree"]
        assert result["difference"] < 1e-5
        ours, theirs = (result["seconds"][name] for name in ("depthpro", "transformers"))
        for part, ratio in result["ratios"].items():
            assert ratio == pytest.approx(theirs[part]["median"] / ours[part]["median"])


def test_other_depths_are_noticed(
    comparable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def other_way(model: DepthPro, dtype: torch.dtype) -> timing.Way:
        with torch.no_grad():
            way = transformers_way(model, dtype)
            way.network.head.layers[4].bias.add_(0.01)
        return way

    monkeypatch.setattr(speed, "transformers_way", other_way)
    given = ["--vs", "transformers", "--runs", "1", "--size", "64x48", "--device", "cpu"]
    assert main(["benchmark", "--model", comparable, *given]) == 1
    assert "inverse depths DISAGREE" in capsys.readouterr().out


def test_a_network_that_transformers_has_not_is_refused(weights: str) -> None:
    model = DepthPro.from_pretrained(weights, device="cpu")
    with pytest.raises(ValueError, match="neck_dims"):
        transformers_way(model, torch.float32)


def test_random_networks_say_something_to_compare() -> None:
    model = timing.random_network(COMPARABLE, CPU)
    picture = torch.rand(1, 3, COMPARABLE.image_size, COMPARABLE.image_size) * 2 - 1
    with torch.inference_mode():
        inverse, fov_deg = model(picture)
    assert inverse.min() > 0
    assert inverse.std() > 0.02 * inverse.mean()
    assert 40 < fov_deg < 70


# --- parameters, arithmetic, thinning, training ---------------------------------------------------


def test_costs_of_the_published_network(
    weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report.json"
    assert main(["benchmark", "--cost", "--model", weights, "--out", str(out)]) == 0
    tiny, published = measured(out)
    assert (tiny["network"], published["network"]) == ("tiny.safetensors", "published")
    parts = {part["name"]: part for part in published["cost"]}
    # FACTS 1.7
    assert [part["parameters"] for part in parts.values()] == [
        303_739_904, 303_739_904, 20_187_136, 19_667_200, 397_633, 303_739_904 + 519_649,
        951_991_330,
    ]  # fmt: skip
    # A token passes 12 d² weights a block; it meets every token twice; a patch has 3 · 16² values.
    tokens, dim, depth = 577, 1024, 24
    products = depth * (12 * tokens * dim**2 + 2 * tokens**2 * dim) + (tokens - 1) * dim * 768
    assert parts["image encoder"]["flops"] == 2 * products
    assert parts["patch encoder"]["flops"] == 35 * 2 * products
    said = capsys.readouterr().out
    assert "951,991,330" in said
    assert "504 M parameters and 4370 GFLOPs" in said
    assert "341 ms a photo on a V100" in said


def test_costs_of_parts_add_up() -> None:
    with torch.device("meta"):
        model = DepthPro(TINY)
        image = torch.empty(1, 3, TINY.image_size, TINY.image_size)
    with FlopCounterMode(display=False) as counter:
        model(image)
    everything = cost.total(cost.count(TINY))
    assert everything.flops == counter.get_total_flops()
    assert everything.parameters == sum(each.numel() for each in model.parameters())


def test_thinning_by_a_loop_is_the_same() -> None:
    depth, mask = dense_edges(30, 40)
    ratio = depth[:, 1:] / depth[:, :-1]
    contours = np.maximum(ratio, 1 / ratio) > 1.05
    assert 0.3 < contours.mean() < 1  # dense
    assert recall_by_loop(depth, mask) == pytest.approx(float(boundary_recall(depth, mask)))


def test_thinning_is_timed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "report.json"
    given = ["--thinning", "--size", "40x30", "--runs", "2", "--device", "cpu", "--out"]
    assert main(["benchmark", *given, str(out)]) == 0
    assert "equal" in capsys.readouterr().out
    (result,) = measured(out)
    assert result["ratio"] == result["loop_seconds"] / result["seconds"]["median"]


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
