"""The loop: phases in order, resuming after SIGKILL, two processes, budgets, what is refused."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from conftest import TINY, make_model
from PIL import Image
from safetensors.torch import load_file
from training import joined, make_recipe, make_samples

from depthpro import DepthPro
from depthpro.__main__ import main
from depthpro.data.augmentation import Augmentation
from depthpro.data.open import open_dataset
from depthpro.data.shards import write_shard
from depthpro.training.log import read_log
from depthpro.training.loop import (
    RunOptions,
    make_loader,
    rate,
    save_checkpoint,
    share_done,
    start_phase,
    train,
    train_phase,
)
from depthpro.training.phases import DepthNetwork, average_weights
from depthpro.training.recipe import Phase, Recipe, paper
from depthpro.training.train import first_model, mixed_precision

ENVIRONMENT = os.environ | {"CUDA_VISIBLE_DEVICES": ""}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_shard(folder / "a.tar", make_samples(4))
    write_shard(folder / "b.tar", make_samples(2))
    return folder


def log(out: Path, key: str = "loss") -> list[dict]:
    return [line for line in read_log(out) if key in line]


def losses(out: Path) -> list[tuple[str, int, float]]:
    return [(line["phase"], line["step"], line["loss"]) for line in log(out)]


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of all phases."""
    out = tmp_path_factory.mktemp("run")
    (out / "recipe.json").write_text(make_recipe(TINY).to_json())
    assert main(arguments(out, data, "--validation", str(data), "--validation-samples", "2")) == 0
    return out


def arguments(out: Path, data: Path, *more: str) -> list[str]:
    recipe = ["--recipe", str(out / "recipe.json")] if (out / "recipe.json").exists() else []
    given = ["--data", str(data), "--out", str(out), "--workers", "0", "--precision", "float32"]
    return ["train", *given, *recipe, *more]


def test_a_run_leaves_weights_log_pictures_and_record(finished: Path) -> None:
    phases = ["encoders", "coarse", "stage1", "stage2", "fov"]
    assert [(p, s) for p, s, _ in losses(finished)] == [
        (p, s + 1) for p, n in zip(phases, (3, 2, 3, 2, 2), strict=True) for s in range(n)
    ]
    scores = {line["phase"]: line["validation"] for line in log(finished, "validation")}
    assert set(scores) == set(phases)
    assert {"delta1", "delta1_scaled", "abs_rel", "boundary_f1"} <= set(scores["stage2"])
    assert set(scores["fov"]) == {"focal25"}
    for phase in phases:
        assert DepthPro.from_pretrained(finished / f"{phase}.safetensors").config == TINY
        with Image.open(finished / f"{phase}.jpg") as picture:
            assert picture.width > 256
    record = json.loads((finished / "run.json").read_text())
    assert Recipe.from_json(json.dumps(record["recipe"])) == make_recipe(TINY)
    assert not [path for path in finished.iterdir() if path.name.startswith(".")]


def test_each_phase_trains_its_own_part_and_starts_from_the_one_before(finished: Path) -> None:
    before, after = (load_file(finished / f"{p}.safetensors") for p in ("stage2", "fov"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("fov.") for name in changed)
    for earlier, later in (("encoders", "coarse"), ("coarse", "stage1")):
        before, after = (load_file(finished / f"{p}.safetensors") for p in (earlier, later))
        changed = {n.split(".")[0] for n in before if not torch.equal(before[n], after[n])}
        assert changed == {"encoder", "decoder"} | ({"head"} if later == "stage1" else set())


def test_a_folder_holds_one_run_which_is_not_trained_again(
    finished: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (finished / "log.jsonl").read_text()
    assert main(arguments(finished, data)) == 0
    record = (finished / "run.json").read_text()
    with pytest.raises(SystemExit) as stopped:
        main(arguments(finished, data, "--seed", "1"))
    assert stopped.value.code == 2
    assert "holds a run with seed 0" in capsys.readouterr().err
    assert (finished / "run.json").read_text() == record
    assert (finished / "log.jsonl").read_text() == before


@pytest.mark.slow
def test_killed_and_resumed_has_the_losses_of_one_that_was_not(
    finished: Path, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "recipe.json").write_text(make_recipe(TINY).to_json())
    command = [sys.executable, "-m", "depthpro", *arguments(tmp_path, data, "--save-minutes", "0")]
    process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    try:
        _wait_for_line(tmp_path / "log.jsonl", '"stage1", "step": 2', process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (tmp_path / "stage1.safetensors").exists()
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"phase": "stage1", "st')  # as if killed while writing
    assert main(arguments(tmp_path, data)) == 0
    assert losses(tmp_path) == losses(finished)
    ours, theirs = (load_file(folder / "fov.safetensors") for folder in (tmp_path, finished))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def _wait_for_line(path: Path, text: str, process: subprocess.Popen) -> None:
    end = time.monotonic() + 240
    while not (path.exists() and text in path.read_text()):
        assert process.poll() is None, "training ended before it could be killed"
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
def test_two_processes_are_one_at_the_same_batch(
    finished: Path, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "recipe.json").write_text(make_recipe(TINY).to_json())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = ["torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)]
    command = [sys.executable, "-m", *launcher, "-m", "depthpro", *arguments(tmp_path, data)]
    environment = ENVIRONMENT | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    assert [line[:2] for line in losses(tmp_path)] == [line[:2] for line in losses(finished)]
    for ours, theirs in zip(losses(tmp_path), losses(finished), strict=True):
        assert ours[2] == pytest.approx(theirs[2], rel=2e-4)


def train_losses(recipe: Recipe, out: Path, **options: object) -> list[float]:
    torch.manual_seed(0)
    samples = joined(make_samples(6))
    train(first_model(recipe, None), recipe, RunOptions(out, samples, [], **options))
    return [line[2] for line in losses(out)]


def test_accumulated_parts_are_one_batch(tmp_path: Path) -> None:
    values = []
    for parts in (1, 2):
        recipe = make_recipe(TINY, batch=4, accumulation=parts)
        recipe = replace(recipe, phases=(replace(recipe.phase("stage1"), steps=2),))
        values.append(train_losses(recipe, tmp_path / str(parts), seed=1))
    assert values[0] == pytest.approx(values[1], rel=1e-3)


def test_bfloat16_is_close_to_float32(tmp_path: Path) -> None:
    recipe, values = make_recipe(TINY), []
    recipe = replace(recipe, phases=recipe.phases[:1])
    for precision in ("no", "bf16"):
        AcceleratorState._reset_state(True)  # a process has one precision, but here
        values.append(train_losses(recipe, tmp_path / precision, precision=precision))
    AcceleratorState._reset_state(True)
    assert values[0] != values[1]
    assert values[0] == pytest.approx(values[1], rel=0.05)


def test_a_run_goes_on_from_its_last_complete_checkpoint(tmp_path: Path) -> None:
    recipe, folder = make_recipe(TINY), tmp_path / ".coarse"
    phase, model = replace(recipe.phase("coarse"), steps=3), first_model(recipe, None)
    options = RunOptions(tmp_path, joined(make_samples(4)), [])
    run = start_phase(model, recipe, phase, options)
    for run.step in (1, 2):
        save_checkpoint(run)
        assert [path.name for path in folder.iterdir()] == [f"step-00000000{run.step}"]
    (folder / ".step-000000003").mkdir()  # killed while it was written
    shutil.copytree(folder / "step-000000002", folder / "step-000000001")
    (folder / "step-000000001/model.safetensors").unlink()  # killed while it was deleted
    # The optimiser's groups come back with a checkpoint, with the rates that were true then.
    phase = replace(phase, decoder_lr=5e-5, encoder_lr=2e-5, weight_decay=0.2)
    run = start_phase(model, recipe, phase, options)
    assert run.step == 2
    assert {group["initial_lr"] for group in run.optimizer.param_groups} == {5e-5, 2e-5}
    assert {group["weight_decay"] for group in run.optimizer.param_groups} == {0.2, 0.0}
    run.step = 3
    save_checkpoint(run)
    assert [path.name for path in folder.iterdir()] == ["step-000000003"]
    train_phase(model, recipe, phase, options)
    assert (tmp_path / "coarse.safetensors").exists() and not folder.exists()


def test_the_decoder_takes_several_steps_for_each_encoded_batch(tmp_path, monkeypatch) -> None:
    recipe, model = make_recipe(TINY), make_model()
    phase = replace(recipe.phase("stage1"), steps=5, encoder_lr=0.0, reuse=3)
    encoder = model.encoder.patch_encoder
    before = {name: value.clone() for name, value in model.state_dict().items()}
    calls = []
    monkeypatch.setattr(
        DepthNetwork,
        "read_windows",
        lambda self, image: calls.append(1) or self.model.encoder.read_windows(image),
    )
    train_phase(model, recipe, phase, RunOptions(tmp_path, joined(make_samples(4)), []))
    assert len(calls) == 4  # two pictures for steps 1 to 3, two for the others
    changed = {name for name, value in model.state_dict().items() if (value != before[name]).any()}
    assert any(name.startswith("decoder.") for name in changed)
    assert not any(name.startswith("encoder.patch_encoder.") for name in changed)
    assert not any(p.requires_grad for p in encoder.parameters())


def test_the_average_forgets_where_it_began() -> None:
    # With a plain decay of 0.998, a run of 250 steps keeps 60 % of the weights it began with.
    network = torch.nn.Linear(1, 1)
    average = average_weights(network, Phase("stage1", steps=1, ema=0.998))
    for step in range(250):
        with torch.no_grad():
            network.weight.fill_(float(step >= 25))
        average.update_parameters(network)
    assert float(average.module.weight) > 0.99


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("stage1", {}, [512, 0, 1]),
        ("coarse", {"finest": 3}, [512, 0, 1]),
        ("coarse", {"finest": 4}, [128, 0, 1]),
        ("fov", {}, [128, 1, 1]),
        ("fov", {"crop": 0.2}, [128, 1, 0.2]),
    ],
)
def test_a_phase_gets_pictures_as_it_reads_them(name, changes, expected) -> None:
    chances = Augmentation(colour=0, blur=0, crop=1.0, centred=0.0, stretch=0.4)
    recipe = replace(make_recipe(TINY), augmentation=chances)
    options = RunOptions(Path(), joined(make_samples(4)), [])
    stream = make_loader(recipe, replace(recipe.phase(name), **changes), options, 0).dataset
    assert [stream.side, stream.augmentation.centred, stream.augmentation.crop] == expected


def test_auto_is_bfloat16_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    for has in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda has=has: has)
        assert mixed_precision("auto") == ("bf16" if has else "no")
    assert mixed_precision("bfloat16") == "bf16"


def test_a_minute_budget_ends_a_phase(tmp_path: Path) -> None:
    recipe = make_recipe(TINY)
    # The rate falls from the first tenth on: how far a busy machine comes is not known.
    phase = replace(recipe.phase("encoders"), steps=10**9, constant=0.1, decay="linear")
    recipe = replace(recipe, phases=(phase,))
    options = RunOptions(tmp_path, joined(make_samples(4)), [], minutes=0.02)
    train_phase(first_model(recipe, None), recipe, phase, options)
    assert log(tmp_path)[-1]["seconds"] >= 1.2
    assert log(tmp_path)[-1]["rate"] < 1
    assert (tmp_path / "encoders.safetensors").exists()


def test_minutes_are_divided_among_the_phases_by_their_steps() -> None:
    recipe = make_recipe(TINY)  # 3, 2, 3, 2 and 2 steps
    for phase, minutes in zip(recipe.phases, (3, 2, 3, 2, 2), strict=True):
        assert share_done(1, 30.0 * minutes, recipe, phase, 12) == 0.5
        assert share_done(1, 30.0 * minutes, recipe, phase, None) == 1 / phase.steps


def test_the_rate_is_the_papers() -> None:
    phase = Phase("stage1", steps=1000)
    assert rate(0.005, phase) == pytest.approx(0.5)
    assert [rate(share, phase) for share in (0.01, 0.5, 0.809)] == [1, 1, 1]
    assert [rate(share, phase) for share in (0.811, 1.0)] == [0.1, 0.1]
    linear = replace(phase, decay="linear")
    assert rate(0.81 + 0.095, linear) == pytest.approx(0.55)
    assert rate(1.0, linear) == pytest.approx(0.1)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    recipe = make_recipe(TINY)
    model, options = first_model(recipe, None), RunOptions(tmp_path, joined(make_samples(2)), [])
    torch.nn.init.constant_(model.head[4].weight, torch.inf)
    with pytest.raises(ValueError, match=r"the loss of step 1 of stage1 is nan: lower"):
        train_phase(model, recipe, recipe.phase("stage1"), options)
    assert not (tmp_path / "stage1.safetensors").exists()


def test_stage2_takes_only_metric_synthetic_data(tmp_path: Path) -> None:
    recipe = make_recipe(TINY)
    phase = recipe.phase("stage2")
    samples = [*make_samples(2, synthetic=False), *make_samples(2), *make_samples(1, metric=False)]
    write_shard(tmp_path / "a.tar", samples)
    opened = RunOptions(tmp_path, open_dataset(str(tmp_path)), [])
    chosen = make_loader(recipe, phase, opened, 0).dataset.samples
    assert [(one.metric, one.synthetic) for one in chosen] == [(True, True)] * 2
    write_shard(tmp_path / "a.tar", samples[:2])
    opened = RunOptions(tmp_path, open_dataset(str(tmp_path)), [])
    with pytest.raises(ValueError, match="stage 2 needs data that is metric and synthetic"):
        make_loader(recipe, phase, opened, 0)


@pytest.mark.parametrize(
    ("more", "part"),
    [
        ([], "--data is needed"),
        (["--data", "gone"], "gone"),
        (["--data", "DATA", "--steps", "0"], "--steps must be above 0"),
        (["--data", "DATA", "--preset", "paper", "--phases", "encoders"], "phases stage1, stage2"),
        (["--data", "DATA", "--recipe", "gone.json"], "gone.json"),
    ],
)
def test_wrong_use_is_explained(
    more: list[str], part: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["train", "-o", str(tmp_path), *(str(data) if m == "DATA" else m for m in more)])
    assert stopped.value.code == 2
    assert part in capsys.readouterr().err
    assert not list(tmp_path.glob("*.safetensors"))


def test_a_recipe_can_be_printed_and_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--preset", "paper", "--show-recipe"]) == 0
    assert Recipe.from_json(capsys.readouterr().out) == paper()
