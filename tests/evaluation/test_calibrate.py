"""The ± of lengths: its parts against draws, how it is stored, and how often the truth is in it."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import make_model
from safetensors.torch import load_file, save_file

from demo.tabs.measure.measure import MAX_POINTS, locate, measure
from demo.tabs.measure.true_lengths import with_truth
from demo.tabs.sharpness.truth import Truth
from depthpro import DepthPro, checkpoint
from depthpro.__main__ import main
from depthpro.data.shards import Shard, write_shard
from depthpro.depth_error import DepthError, distance_plus_minus
from depthpro.evaluation.calibrate import LEVEL, Located, calibrate, coverage, fit

LESSONS = Path(__file__).parents[2] / "notebooks" / "scenes.tar"
"""Of `render --seed 2`, held out; `calibrate` fits on scenes of even number."""


def test_the_truth_lies_within_the_plus_minus_of_held_out_pictures() -> None:
    """Lengths as the page measures them, on pictures that nothing was fitted to."""
    model = DepthPro.from_pretrained("small", device="cpu")
    random, hits, shares = np.random.default_rng(0), [], []
    for sample in (each for each in Shard(LESSONS) if each.seed[1] % 2):
        height, width = sample.rgb.shape[:2]
        # Square pixels, as photos have them; the network stretches them again.
        tall = round(height * sample.f_px / sample.fy_px)
        rgb = torch.nn.functional.interpolate(
            torch.tensor(sample.rgb).movedim(-1, 0)[None].float() / 255,
            (tall, width),
            mode="bilinear",
        )
        prediction = model.infer(rgb)
        camera = sample.f_px, (width - 1) / 2, (tall - 1) / 2
        truth = Truth(sample.depth, np.ones_like(sample.depth, bool), "rendered", camera)
        places = random.uniform((0, 0), (width - 1, tall - 1), (MAX_POINTS, 2))
        solid = places[~locate(prediction, places.tolist()).sky].tolist()
        points = locate(prediction, solid, model.provenance.depth_error)
        for result in with_truth(measure(points, "distance")[:-1], points, truth):
            if result.true is not None and result.true < 1000:
                assert result.plus_minus is not None
                hits.append(abs(result.value - result.true) <= result.plus_minus)
                shares.append(result.plus_minus / result.value)
    assert len(hits) > 400
    assert 0.58 < np.mean(hits) < 0.77, np.mean(hits)
    assert np.median(shares) < 0.7  # and the ± is not simply large


def pictures(scale: float, point: float, count: int = 600, size: int = 100) -> list[Located]:
    """Return points at 2 to 8 m whose depth is wrong by normal errors of these sizes."""
    random, made = np.random.default_rng(0), []
    for _ in range(count):
        ours = np.append(random.uniform(-0.5, 0.5, (size, 2)), np.ones((size, 1)), axis=1)
        ours *= random.uniform(2, 8, (size, 1))
        factors = (1 + scale * random.standard_normal()) * (
            1 + point * random.standard_normal((size, 1))
        )
        made.append(Located(ours, ours * factors))
    return made


def test_errors_are_found_again_and_cover_what_they_say() -> None:
    error = calibrate(pictures(0.2, 0.1))
    # 65 % of a normal distribution are within 0.935 standard deviations.
    assert error.scale == pytest.approx(0.935 * 0.2, rel=0.1)
    assert error.point == pytest.approx(0.935 * 0.1, rel=0.1)
    assert error.coverage == pytest.approx(LEVEL, abs=0.03)
    assert fit(pictures(0.0, 0.1)).scale < 0.02
    assert coverage(pictures(0.2, 0.1), DepthError(0, 0, 1)) < 0.01
    with pytest.raises(ValueError, match="no points with true depth"):
        calibrate([Located(np.zeros((0, 3)), np.zeros((0, 3)))] * 9)


def test_the_plus_minus_of_a_distance_in_closed_form() -> None:
    # From 2 to 6 m on the axis: 4 m, 20 % of it by the scene, 10 % of 2 and of 6 m by the points.
    ends = np.array([[[0, 0, 2]], [[0, 0, 6.0]]])
    distance, plus_minus = distance_plus_minus(DepthError(0.2, 0.1, 1), ends)
    assert distance == pytest.approx(4)
    assert plus_minus == pytest.approx(np.sqrt(0.8**2 + 0.2**2 + 0.6**2))


def test_the_command_stores_errors_with_the_weights(tmp_path: Path, capsys) -> None:
    samples = list(Shard(Path(__file__).parents[1] / "data" / "eight_scenes.tar"))
    write_shard(tmp_path / "data" / "shard.tar", samples)
    weights = make_model().half().save_pretrained(tmp_path / "w.safetensors", record="epoch 3")
    before = load_file(weights)
    assert checkpoint.load(weights).provenance.depth_error is None
    command = ["calibrate", "--data", str(tmp_path / "data"), "--model", str(weights)]
    assert main([*command, "--device", "cpu"]) == 0
    made = checkpoint.load(weights).provenance
    assert made.depth_error is not None
    assert f"{made.depth_error.coverage:.0%} of the distances" in capsys.readouterr().out
    assert made.record == "epoch 3"
    after = load_file(weights)
    assert all(after[name].dtype == torch.float16 for name in before)
    assert all(torch.equal(before[name], after[name]) for name in before)
    # They go on with the weights, and not with what is trained from them or has no config.
    copy = DepthPro.from_pretrained(weights).save_pretrained(tmp_path / "copy")
    assert checkpoint.load(copy).provenance.depth_error == made.depth_error
    save_file(before, tmp_path / "bare.safetensors")
    with pytest.raises(ValueError, match=r"DepthPro\.save_pretrained first"):
        checkpoint.store_depth_error(tmp_path / "bare.safetensors", made.depth_error)


@pytest.mark.parametrize(
    "text",
    ["", "[1, 2, 3]", "{", '{"scale": 1}', '{"scale": -1, "point": 0, "coverage": 1}']
    + [json.dumps({"scale": value, "point": 0, "coverage": 1}) for value in (None, "1", 1e999)],
)
@pytest.mark.usefixtures("unchecked")
def test_other_text_is_no_error_of_depth(text: str) -> None:
    with pytest.raises(ValueError, match="expected errors of depth"):
        DepthError.from_json(text)
    error = DepthError(0.4, 0.2, 0.65)
    assert DepthError.from_json(error.to_json()) == error
    assert dataclasses.replace(error, scale=0.0).depth == 0.2
