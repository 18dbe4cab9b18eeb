"""Shards: what is written comes back, and what is broken is named."""

import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from depthpro.data import shards
from depthpro.data.sample import Sample
from depthpro.data.shards import Shard, decode_sample, encode_sample, open_shards, write_shard


def make_sample(seed: int = 0, height: int = 12, width: int = 20) -> Sample:
    rng = np.random.default_rng(seed)
    depth = np.exp(rng.uniform(np.log(0.05), np.log(3000), (height, width))).astype(np.float32)
    depth[0] = np.inf
    rgb = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    middle = (width - 1) / 2, (height - 1) / 2
    return Sample(rgb, depth, 25.0, 30.0, *middle, family="test", seed=(seed, 1))


def test_a_shard_gives_back_what_was_written(tmp_path: Path) -> None:
    mask = np.random.default_rng(1).random((12, 20)) < 0.7
    samples = [make_sample(0), replace(make_sample(1), mask=mask, metric=False, synthetic=False)]
    assert write_shard(tmp_path / "a.tar", samples) == 2
    for before, after in zip(samples, Shard(tmp_path / "a.tar"), strict=True):
        known = np.ones((12, 20), bool) if before.mask is None else before.mask
        # Half precision: 11 significant bits, so an error of at most 2^-11.
        np.testing.assert_allclose(after.depth[known], before.depth[known], rtol=2**-11 * 1.01)
        assert (np.isinf(after.depth) == np.isinf(before.depth))[known].all()
        for name in ("f_px", "fy_px", "cx_px", "cy_px", "metric", "synthetic", "family", "seed"):
            assert getattr(after, name) == getattr(before, name)
    assert Shard(tmp_path / "a.tar")[0].mask is None
    np.testing.assert_array_equal(Shard(tmp_path / "a.tar")[1].mask, mask)


def test_jpeg_stays_near(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 64).astype(np.uint8)[:, None, None] * np.ones((1, 64, 3), np.uint8)
    sample = replace(make_sample(height=64, width=64), rgb=ramp)
    write_shard(tmp_path / "a.tar", [sample])
    assert np.abs(Shard(tmp_path / "a.tar")[0].rgb.astype(int) - ramp).max() <= 4


def test_shards_are_read_in_any_order(tmp_path: Path) -> None:
    for part in range(2):
        write_shard(tmp_path / f"{part}.tar", [make_sample(3 * part + i) for i in range(3)])
    (tmp_path / ".half.tar").write_bytes(b"by a killed process")
    shard = Shard(tmp_path / "1.tar")
    assert len(shard) == 3
    assert [shard[i].seed[0] for i in (2, 0, -2)] == [5, 3, 4]
    assert [sample.seed[0] for sample in open_shards(tmp_path)] == [0, 1, 2, 3, 4, 5]
    assert open_shards(tmp_path)[-1].seed[0] == 5


def test_a_folder_without_shards_says_how_to_make_some(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="python -m depthpro render"):
        open_shards(tmp_path)


def test_any_tar_program_reads_and_writes_a_shard(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tar", [make_sample()])
    folder = tmp_path / "files"
    with tarfile.open(tmp_path / "a.tar") as archive:
        archive.extractall(folder, filter="data")
    names = {path.name for path in folder.iterdir()}
    assert names == {"000000.inverse_depth.png", "000000.json", "000000.rgb.jpg"}
    with tarfile.open(tmp_path / "b.tar", "w") as archive:
        archive.add(folder, ".")  # members are ".", "./000000.json" and so on
    (sample,) = Shard(tmp_path / "b.tar")
    np.testing.assert_array_equal(sample.depth, Shard(tmp_path / "a.tar")[0].depth)


def test_any_damage_is_a_value_error(tmp_path: Path) -> None:
    path = tmp_path / "damaged.tar"
    write_shard(path, [make_sample(0), make_sample(1)])
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    outcomes = set()
    for number in range(200):
        content = bytearray(whole)
        start = int(rng.integers(len(whole)))
        if number % 2:
            content = content[:start]
        elif number % 4:
            content[start : start + 4] = rng.bytes(4)
        else:  # in a header
            content[start // 512 * 512 :][:512] = rng.bytes(512)
            content[start // 512 * 512 + 124 :][:12] = b"\xff" * 12  # a negative size
        path.write_bytes(content)
        try:
            outcomes.add(len(list(Shard(path))))
        except ValueError as error:
            assert "damaged.tar" in str(error)
            outcomes.add("refused")
    assert outcomes == {2, "refused"}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("f_px", -1.0, "focal lengths above 0"),
        ("cx_px", float("nan"), "a finite centre"),
        ("mask.png", np.ones((3, 4), np.uint8), r"\(12, 20\) was expected"),
        ("inverse_depth.png", np.ones((12, 20), np.uint8), "16-bit grey, got L"),
    ],
)
def test_a_sample_that_makes_no_sense_is_refused(name: str, value: object, message: str) -> None:
    members = encode_sample(make_sample())
    if isinstance(value, np.ndarray):
        members[name] = shards._encode(value)
    else:
        members["json"] = json.dumps(json.loads(members["json"]) | {name: value}).encode()
    with pytest.raises(ValueError, match=message):
        decode_sample(members)


@pytest.mark.usefixtures("unchecked")
def test_parts_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    sample = make_sample()
    with pytest.raises(ValueError, match=r"\(12, 20\) was expected .* \(11, 20\)"):
        write_shard(tmp_path / "a.tar", [replace(sample, depth=sample.depth[1:])])
    for wrong in (0.0, -1.0, np.nan):
        depth = sample.depth.copy()
        depth[5, 5] = wrong
        with pytest.raises(ValueError, match="depth must be positive"):
            write_shard(tmp_path / "a.tar", [replace(sample, depth=depth)])
        mask = np.ones(depth.shape, bool)
        mask[5, 5] = False
        write_shard(tmp_path / "b.tar", [replace(sample, depth=depth, mask=mask)])
    assert not (tmp_path / "a.tar").exists()
