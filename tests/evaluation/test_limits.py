"""The time of a picture goes to the part and the kind of operation that took it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import TINY, make_model
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from depthpro.__main__ import main
from depthpro.evaluation import cost, limits

OPERATIONS = [
    limits.Operation("aten::linear", ((2, 5, 8), (16, 8), (16,)), "[]"),
    limits.Operation("aten::conv2d", ((1, 4, 9, 9), (6, 2, 3, 3)), "[[2, 2], [1, 1], [1, 1], 2]"),
    limits.Operation(
        "aten::conv_transpose2d",
        ((1, 4, 9, 9), (4, 6, 2, 2)),
        "[[2, 2], [0, 0], [0, 0], 1, [1, 1]]",
    ),
    limits.Operation("aten::scaled_dot_product_attention", ((1, 2, 9, 8),) * 3, "[]"),
]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operations_are_counted_as_torch_counts_them(operation: limits.Operation) -> None:
    x, weight, *_ = (torch.empty(shape, device="meta") for shape in operation.shapes)
    with FlopCounterMode(display=False) as counter:
        match operation.name:
            case "aten::linear":
                F.linear(x, weight)
            case "aten::conv2d":
                F.conv2d(x, weight, stride=2, padding=1, groups=2)
            case "aten::conv_transpose2d":
                F.conv_transpose2d(x, weight, stride=2)
            case _:
                F.scaled_dot_product_attention(x, weight, weight)
    assert limits.count_flops(operation) == counter.get_total_flops()
    assert 0 < limits.time_alone(operation, torch.float32) < 1


@pytest.mark.parametrize("stem", ["patch", "efficientnet_lite0"])
def test_every_part_has_its_share(
    stem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = make_model(replace(TINY, stem=stem))
    weights, out = model.save_pretrained(tmp_path / "tiny.safetensors"), tmp_path / "out.json"
    given = ["benchmark", "--limits", "--dtype", "float32", "--weights", "float16"]
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
