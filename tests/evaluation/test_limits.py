"""The time of a picture goes to the part and the kind of operation that took it."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import TINY, make_model
from torch.nn import functional as F

from depthpro.__main__ import main
from depthpro.evaluation import cost, limits


@pytest.mark.parametrize(
    ("function", "shapes", "settings", "products"),
    [
        (F.linear, [(2, 5, 8), (16, 8), (16,)], {}, 2 * 5 * 8 * 16),
        # 6 channels of 5 x 5, each of 3 x 3 values of 2 channels.
        (F.conv2d, [(1, 4, 9, 9), (6, 2, 3, 3)], {"stride": 2, "padding": 1, "groups": 2},
         6 * 25 * 9 * 2),
        (F.conv_transpose2d, [(1, 4, 9, 9), (4, 6, 2, 2)], {"stride": 2}, 4 * 81 * 6 * 4),
        # Queries with keys, and weights with values.
        (F.scaled_dot_product_attention, [(1, 2, 9, 8)] * 3, {}, 2 * 2 * 9 * 9 * 8),
    ],
)  # fmt: skip
def test_operations_are_counted_and_timed(
    function: Callable, shapes: list, settings: dict, products: int
) -> None:
    tensors = [torch.empty(shape, device="meta") for shape in shapes]
    operation = limits.Operation(function, tensors, settings)
    assert limits.count_flops(operation) == 2 * products
    assert 0 < limits.time_alone(operation) < 1
    assert math.isfinite(limits.product_rate(8, 9, 10, torch.float32))


@pytest.mark.parametrize(
    ("stem", "precision"), [("patch", "bfloat16"), ("efficientnet_lite0", "float32")]
)
def test_every_part_has_its_share(
    stem: str, precision: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = make_model(replace(TINY, stem=stem))
    weights, out = model.save_pretrained(tmp_path / "tiny.safetensors"), tmp_path / "out.json"
    given = ["benchmark", "--limits", "--dtype", precision, "--weights", "float16"]
    given += ["--model", str(weights)]
    assert main([*given, "--out", str(out)]) == 0
    (result,) = json.loads(out.read_text())["results"]
    flops: dict[str, float] = {}
    for row in result["rows"]:
        assert (row["kind"] == "other") == (row["gflops"] == row["limit_s"] == 0)
        flops[row["part"]] = flops.get(row["part"], 0) + row["gflops"] * 1e9
    expected = {part.name: part.flops for part in cost.count(model.config)}
    assert {part: round(count) for part, count in flops.items() if count} == expected
    assert all(row["seconds"] > 0 for row in result["rows"])
    assert "GFLOP/s" in capsys.readouterr().out
