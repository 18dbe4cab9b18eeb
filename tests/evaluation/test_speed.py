"""The benchmark reports what it measured, and the backends that it compares do the same work."""

import importlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY, make_model
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from depthpro import DepthPro, DepthProConfig
from depthpro.__main__ import COMMANDS, main
from depthpro.evaluation import backends, cost, gpu, speed
from depthpro.image import load_image

CPU = torch.device("cpu")


@pytest.fixture
def weights(tmp_path: Path) -> str:
    return str(make_model().save_pretrained(tmp_path / "tiny.safetensors"))


def benchmark(tmp_path: Path, given: str, exit_status: int = 0) -> list[dict]:
    """Run the command and return its results."""
    out = tmp_path / "report.json"
    assert main(["benchmark", *given.split(), "--out", str(out)]) == exit_status
    report = json.loads(out.read_text())
    assert report["machine"]["torch"] == torch.__version__
    assert report["machine"]["threads"] == torch.get_num_threads()
    return report["results"]


def test_photos_are_timed_part_by_part(
    weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = "--runs 2 --batch 1 2 --size 64x48 --dtype bfloat16 --device cpu"
    results = benchmark(tmp_path, f"{given} --model {weights}")
    for result, batch in zip(results, (1, 2), strict=True):
        seconds = result["seconds"]["depthpro"]
        assert list(seconds) == [*speed.PARTS, "photo to metres", "file to metres"]
        assert min(seconds.values()) > 0
        assert (result["device"], result["precision"]) == ("cpu", "bfloat16")
        assert (result["batch"], result["photo"]) == (batch, [64, 48])
        assert result["peak_memory_mb"] > 100
    assert capsys.readouterr().out.count("peak memory") == 2


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--runs", "0"], "--runs must be at least 1, got 0"),
        (["--batch", "2", "0"], "--batch must be at least 1, got 0"),
        (["--size", "64"], "argument --size: invalid _size value: '64'"),
        (["--device", "abacus"], "device 'abacus' cannot be used here"),
        (["no_photo.jpg", "--device", "cpu"], "no_photo.jpg"),
    ],
)
def test_wrong_arguments_are_refused(
    given: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["benchmark", *given])
    assert stopped.value.code == 2
    assert expected in capsys.readouterr().err


def test_time_goes_to_the_part_that_took_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clock, turns = [0.0], []

    class Slow(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            clock[0] += 1
            return image

    def slow_backend(name: str) -> backends.Backend:
        network = Slow()

        def estimate_depth(photos: Sequence[np.ndarray]) -> torch.Tensor:
            turns.append(name)
            clock[0] += 3
            depth = network(torch.ones(len(photos), 2, 2))
            clock[0] += 5
            return depth

        return backends.Backend(name, network, estimate_depth)

    monkeypatch.setattr(speed.time, "perf_counter", lambda: clock[0])
    photo = speed.write_sample_photo(tmp_path / "photo.jpg", 403, 302)
    rgb = load_image(photo).rgb
    assert rgb.shape == (302, 403, 3) and rgb.std() > 10
    both = [slow_backend("a"), slow_backend("b")]
    runs, depths = speed.take_turns(both, photo, 2, 2, CPU)
    for name in ("a", "b"):
        assert [list(seconds.values()) for seconds in runs[name]] == [[0, 3, 1, 5, 9, 9]] * 2
    assert turns == ["a", "b", "b", "a", "a", "b"]  # the first run is not counted
    assert [depth.shape for depth in depths] == [(2, 2, 2)] * 2


def test_medians_and_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = [{"step": 1.0}, {"step": 5.0}, {"step": 2.0}], [{"step": 3.0}]
    medians = speed.print_medians({"ours": ours, "theirs": theirs})
    assert medians == {"ours": {"step": 2.0}, "theirs": {"step": 3.0}}
    printed = capsys.readouterr().out.splitlines()
    assert [line.split() for line in printed[1:]] == [
        ["ours", "theirs", "theirs", "/", "ours"],
        ["step", "2.0", "3.0", "1.5"],
    ]


@pytest.mark.parametrize("stem", ["patch", "efficientnet_lite0"])
def test_transformers_does_the_same_work(
    stem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = replace(DepthProConfig.small(), dim=48, depth=4, stem=stem, taps=(0, 2))
    weights = make_model(config).save_pretrained(tmp_path / "weights.safetensors")
    monkeypatch.setattr(speed, "DepthProConfig", lambda: TINY)  # in place of the full one
    given = "--full --vs transformers --runs 1 --batch 2 --size 320x240 --device cpu"
    small, full = benchmark(tmp_path, f"{given} --model {weights}")
    assert capsys.readouterr().out.count("inverse depths agree") == 2
    for result in (small, full):
        assert result["network"] == "random weights of 512 pixels"
        assert list(result["seconds"]) == ["depthpro", "transformers"]
        assert result["difference"] < 1e-5


def test_int8_is_compared_with_float(weights: str, tmp_path: Path) -> None:
    given = f"--vs transformers --runs 1 --size 64x48 --device cpu --model {weights}"
    (result,) = benchmark(tmp_path, f"{given} --weights int8 --dtype float32")
    assert 1e-5 < result["median"] < result["percentile_99"] < 0.05


def test_other_depths_are_noticed(
    weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unequal(*given) -> list[backends.Backend]:
        ours, theirs = backends.random_backends(*given)
        with torch.no_grad():
            theirs.network.head.layers[4].bias.add_(0.01)
        return [ours, theirs]

    monkeypatch.setattr(speed, "random_backends", unequal)
    given = f"--vs transformers --runs 1 --size 64x48 --device cpu --model {weights}"
    (result,) = benchmark(tmp_path, given, exit_status=1)
    assert not result["agree"]


@pytest.mark.slow
def test_all_of_a_gpu_in_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(speed, "DepthProConfig", lambda: TINY)  # in place of the published one
    monkeypatch.setattr(gpu, "BATCHES", (2,))
    monkeypatch.setattr(gpu, "RUNS", (1, 1))
    monkeypatch.setattr(gpu, "PHOTO", (64, 48))
    monkeypatch.setattr(gpu, "LARGE_PHOTO", (64, 48))
    compiled: list[nn.Module] = []
    monkeypatch.setattr(nn.Module, "compile", lambda block, **_: compiled.append(block))
    full, *half, limit, _, row, latency, again = benchmark(tmp_path, "--gpu --device cpu")
    assert full["precision"] == "float32"
    assert full["largest"] < 1e-5
    assert [each["what"] for each in half] == ["depthpro", "transformers"]
    assert half[0]["agree"]
    for each in half:
        assert 1e-5 < each["largest"] < 0.05  # half precision was at work
    assert 0 < limit["limit_s"] < 60
    assert (row["compiled"], latency["compiled"], again["compiled"]) == (False, True, True)
    ours, theirs = row["depthpro_network_s"], row["transformers_network_s"]
    assert row["network_ratio"] == pytest.approx(theirs / ours)
    assert row["times_limit"] == pytest.approx(ours / 2 / limit["limit_s"])
    assert latency["depthpro"] > 0
    assert len(compiled) == 2 * 3 * TINY.depth  # three encoders each
    assert "agrees with transformers in float32" in capsys.readouterr().out


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8])
def test_a_random_network_is_stored_as_a_trained_one(dtype: torch.dtype) -> None:
    model = backends.random_network(TINY, CPU, dtype)
    kept = torch.float16 if dtype == torch.int8 else dtype
    assert next(model.parameters()).dtype == kept
    assert next(model.head.parameters()).dtype == torch.float32
    assert model.infer(torch.rand(1, 3, 96, 128)).depth.shape == (1, 96, 128)


def test_costs_of_the_published_network(
    weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny, published = benchmark(tmp_path, f"--cost --model {weights}")
    assert (tiny["network"], published["network"]) == ("tiny.safetensors", "published")
    parts = {part["name"]: part for part in published["cost"]}
    assert [part["parameters"] for part in parts.values()] == [
        303_739_904, 303_739_904, 20_187_136, 19_667_200, 397_633, 303_739_904 + 519_649,
        951_991_330,
    ]  # fmt: skip
    # A token passes 12 d² weights a block; it meets every token twice; a patch has 3 · 16² values.
    tokens, dim, depth = 577, 1024, 24
    products = depth * (12 * tokens * dim**2 + 2 * tokens**2 * dim) + (tokens - 1) * dim * 768
    assert parts["image encoder"]["flops"] == 2 * products
    assert parts["patch encoder"]["flops"] == 35 * 2 * products
    printed = capsys.readouterr().out
    assert "951,991,330" in printed
    assert "504 M parameters and 4370 GFLOPs" in printed


def test_costs_of_parts_add_up() -> None:
    with torch.device("meta"):
        model = DepthPro(TINY)
        image = torch.empty(1, 3, TINY.image_size, TINY.image_size)
    with FlopCounterMode(display=False) as counter:
        model(image)
    everything = cost.total(cost.count(TINY))
    assert everything.flops == counter.get_total_flops()
    assert everything.parameters == sum(each.numel() for each in model.parameters())


def test_commands_that_need_more_packages_say_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'accelerate'", name="accelerate")

    monkeypatch.setattr(importlib, "import_module", missing)
    for command in COMMANDS:
        with pytest.raises(SystemExit) as stopped:
            main([command])
        assert stopped.value.code == 2
        assert "needs accelerate, which is not installed: pip install" in capsys.readouterr().err
