"""The measures of held-out samples: known answers, baselines, the table, the real picture."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import make_model
from training import make_samples

from depthpro import DepthPro
from depthpro.__main__ import main
from depthpro.evaluate import baseline, compare, measure, motorcycle, ordinal_accuracy, table
from depthpro.shards import write_shard


def test_a_perfect_depth_scores_perfectly() -> None:
    sample = make_samples(1)[0]
    scores = compare(np.nan_to_num(sample.depth, posinf=1e4), sample)
    assert scores == pytest.approx(
        {"delta1": 1, "abs_rel": 0, "delta1_scaled": 1, "abs_rel_aligned": 0, "ordinal": 1,
         "boundary_f1": 1}, abs=1e-6,
    )  # fmt: skip


def test_half_the_depth_is_right_only_up_to_scale() -> None:
    sample = make_samples(1)[0]
    scores = compare(np.nan_to_num(sample.depth, posinf=1e4) / 2, sample)
    assert scores["delta1"] == 0
    assert scores["abs_rel"] == pytest.approx(0.5, abs=1e-6)
    assert (scores["delta1_scaled"], scores["ordinal"]) == (1, 1)
    assert scores["abs_rel_aligned"] == pytest.approx(0, abs=1e-5)


def test_order_of_pairs_by_hand() -> None:
    # Pairs of different depth: of (1, 2), (1, 4), (2, 4) the prediction has the first wrong.
    target = np.array([[1.0, 2.0, 4.0]], np.float32)
    everywhere = np.ones((1, 3), bool)
    wrong = np.array([[2.0, 1.0, 3.0]], np.float32)
    assert ordinal_accuracy(wrong, target, everywhere) == pytest.approx(2 / 3, abs=0.02)
    assert ordinal_accuracy(target, target, everywhere) == 1
    assert ordinal_accuracy(1 / target, target, everywhere) == 0
    assert ordinal_accuracy(np.full((1, 3), 3, np.float32), target, everywhere) == 0.5
    assert ordinal_accuracy(wrong, target, np.array([[True, False, True]])) == 1
    assert ordinal_accuracy(wrong, target, ~everywhere) == 0
    close = np.array([[1.0, 1.04, 1.02]], np.float32)  # no pair 5 % apart
    assert ordinal_accuracy(wrong, close, everywhere) == 0


def test_the_ramp_is_a_level_ground_seen_from_eye_height() -> None:
    sample = make_samples(1)[0]
    height = sample.depth.shape[0]
    ramp = baseline("ramp", sample)
    # 48 rows below the horizon at 40 % of the height, at f = f_px: depth = f 1.5 m / rows.
    row = round(0.4 * height) + 48
    assert ramp[row, 7] == pytest.approx(sample.fy_px * 1.5 / (row - 0.4 * height), rel=1e-5)
    assert (ramp[: int(0.4 * height)] == ramp[0, 0]).all()
    assert (baseline("constant", sample) == 3).all()


def test_a_wrong_focal_length_shows_in_metric_depth_only(tiny_model: DepthPro) -> None:
    sample = make_samples(1)[0]
    (network, constant, ramp) = measure(tiny_model, [sample])
    assert [row["system"] for row in (network, constant, ramp)] == ["network", "constant", "ramp"]
    said = tiny_model.infer(sample.rgb)
    ratio = float(said.f_px) / sample.f_px
    assert network["focal_error"] == pytest.approx(abs(ratio - 1), rel=1e-5)
    true = tiny_model.infer(sample.rgb, f_px=sample.f_px).depth[0].numpy()
    assert network["delta1_focal"] == pytest.approx(compare(true, sample)["delta1"], abs=1e-3)


def test_a_table_has_means_of_systems_and_families(tiny_model: DepthPro) -> None:
    samples = [
        replace(sample, family=name) for sample, name in zip(make_samples(2), "ab", strict=True)
    ]
    rows = list(measure(tiny_model, samples))
    lines = table(rows).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == [
        "**network**", "**constant**", "**ramp**", "network, a", "network, b",
    ]  # fmt: skip
    mean = np.mean([row["ordinal"] for row in rows if row["system"] == "network"])
    column = [cell.strip() for cell in lines[0].split("|")].index("ordinal")
    assert lines[2].split("|")[column].strip() == f"{mean:.3f}"


def test_motorcycle_is_a_real_picture_with_metres() -> None:
    sample = motorcycle()
    assert sample.rgb.shape == (500, 741, 3)
    assert sample.metric
    assert not sample.synthetic
    assert sample.mask is not None
    known = sample.depth[sample.mask]
    # The rig stood a few metres away: depth = baseline f / (disparity + offset).
    assert 1.5 < known.min() < known.max() < 7
    assert 0.5 < sample.mask.mean() < 1


def test_the_command_writes_rows_and_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shard(tmp_path / "data" / "a.tar", make_samples(2))
    make_model().save_pretrained(tmp_path / "tiny.safetensors")
    command = ["evaluate", "--data", str(tmp_path / "data"), "--model",
               str(tmp_path / "tiny.safetensors"), "-o", str(tmp_path / "out")]  # fmt: skip
    assert main(command) == 0
    rows = [json.loads(line) for line in (tmp_path / "out/samples.jsonl").read_text().splitlines()]
    assert len(rows) == 6
    assert table(rows) in (tmp_path / "out/report.md").read_text()
    assert "**network**" in capsys.readouterr().out
    for wrong in (["--data", str(tmp_path / "gone")], ["--data", "motorcycle", "--samples", "0"]):
        with pytest.raises(SystemExit) as stopped:
            main(["evaluate", *wrong])
        assert stopped.value.code == 2
