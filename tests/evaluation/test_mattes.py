"""Mask sets as their authors ship them, small: levels of alpha, parts, a listing, broken files."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from planes import SIZE, picture, save

from depthpro.evaluation.readers.case import Benchmark
from depthpro.evaluation.readers.mattes import am2k, dis5k, p3m10k

BIKE = "17#Non-motor Vehicle#2#Bicycle#4245936196_fdf812dcb7_o"
FLAG = "21#Tool#4#Flag#507752845_ef852100f0_o"
PARTS = ["DIS-TE1", "DIS-TE2", "DIS-TE3", "DIS-TE4", "DIS-TR", "DIS-VD"]
AM2K, FACES, NO_FACES = "validation/original", "validation/P3M-500-P", "validation/P3M-500-NP"


def levels() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, SIZE, dtype=np.uint8)


def write(root: Path, photos: str, mattes: str, stem: str, matte: np.ndarray | None = None) -> Path:
    """Write a photo and its matte, and return the matte's path."""
    save(root / photos / f"{stem}.jpg", picture())
    path = root / mattes / f"{stem}.png"
    save(path, levels() if matte is None else matte)
    return path


def write_am2k(root: Path) -> Path:
    write(root, "train/original", "train/mask", "m_aaaa0000")
    write(root, AM2K, "validation/mask", "m_ffff1111")
    save(root / "validation/trimap/m_0b1c2d3e.png", levels())
    return write(root, AM2K, "validation/mask", "m_0b1c2d3e")


def write_p3m10k(root: Path) -> Path:
    write(root, "train/blurred_image", "train/mask", "p_aaaa0000")
    write(root, f"{FACES}/blurred_image", f"{FACES}/mask", "p_0b1c2d3e")
    save(root / FACES / "facemask/p_0b1c2d3e.png", levels())
    return write(root, f"{NO_FACES}/original_image", f"{NO_FACES}/mask", "p_0b1c2d3e")


def write_dis5k(root: Path) -> Path:
    paths = [write(root, f"{part}/im", f"{part}/gt", BIKE) for part in PARTS]
    write(root, "DIS-TE1/im", "DIS-TE1/gt", FLAG)
    return paths[-1]


class MaskSet(NamedTuple):
    """A set's reader, what writes a small one, and what the reader makes of it."""

    reader: Callable[[Path], Benchmark]
    write: Callable[[Path], Path]
    title: str
    names: list[str]


SETS = [
    MaskSet(am2k, write_am2k, "AM-2k", ["validation/m_0b1c2d3e", "validation/m_ffff1111"]),
    MaskSet(p3m10k, write_p3m10k, "P3M-10k", [f"{FACES}/p_0b1c2d3e", f"{NO_FACES}/p_0b1c2d3e"]),
    MaskSet(
        dis5k,
        write_dis5k,
        "DIS-5k",
        [f"{part}/{name}" for part in PARTS for name in (BIKE, FLAG)[: 1 + (part == "DIS-TE1")]],
    ),
]
each_set = pytest.mark.parametrize("masks", SETS, ids=[masks.title for masks in SETS])


@each_set
def test_mattes_are_alpha(tmp_path: Path, masks: MaskSet) -> None:
    masks.write(tmp_path)
    benchmark = masks.reader(tmp_path)
    assert list(benchmark.cases) == masks.names
    assert (benchmark.title, benchmark.measures) == (masks.title, ("recall",))
    for read in benchmark.cases.values():
        case = read()
        assert case.rgb.shape == (*SIZE, 3)
        assert case.alpha is not None
        assert case.alpha.dtype == np.float32
        np.testing.assert_array_equal(np.round(case.alpha * 255), levels())
        assert case.alpha.max() == levels().max() / np.float32(255)


@each_set
def test_what_is_missing_or_broken_is_named(tmp_path: Path, masks: MaskSet) -> None:
    def fails(message: str) -> None:
        with pytest.raises(ValueError, match=message):
            for read in masks.reader(tmp_path).cases.values():
                read()

    fails(r"no pictures of .* in .*: unpack")
    path = masks.write(tmp_path)
    content = path.read_bytes()
    save(path, np.zeros((2, 3), np.uint8))
    fails(rf"{path.name} .*\(24, 32\) was expected for its picture, got \(2, 3\)")
    save(path, np.zeros(SIZE, np.uint16))
    fails(rf"{path.name} .*8 bits were expected, got I")
    path.write_bytes(content[:-200])
    fails(f"cannot read .*{path.name}")
    path.unlink()
    fails(f"{path.name} is missing: unpack it again")


@pytest.mark.parametrize(
    "matte", [np.stack([levels()] * 3, axis=-1), np.stack([levels()] * 4, axis=-1), levels() > 99]
)
def test_mattes_of_other_modes(tmp_path: Path, matte: np.ndarray) -> None:
    write(tmp_path, AM2K, "validation/mask", "m_0b1c2d3e", matte)
    alpha = am2k(tmp_path).cases["validation/m_0b1c2d3e"]().alpha
    assert alpha is not None
    expected = 255 * matte if matte.dtype == bool else levels()
    np.testing.assert_array_equal(np.round(alpha * 255), expected)


def test_dis5k_takes_what_is_listed(tmp_path: Path) -> None:
    for part, name in (("DIS-TE1", FLAG), ("DIS-TE4", BIKE), ("DIS-TE4", FLAG)):
        write(tmp_path, f"{part}/im", f"{part}/gt", name)
    listing = tmp_path / "dis5k_sample_list.txt"
    listing.write_text(f"DIS5K/DIS-TE4/im/{BIKE}.jpg \nDIS5K/DIS-TE1/im/{FLAG}.jpg")
    cases = dis5k(tmp_path).cases
    assert list(cases) == [f"DIS-TE4/{BIKE}", f"DIS-TE1/{FLAG}"]
    assert all(read().alpha is not None for read in cases.values())
    (tmp_path / f"DIS-TE4/im/{BIKE}.jpg").unlink()
    with pytest.raises(ValueError, match=rf"im/{BIKE}\.jpg is missing"):
        dis5k(tmp_path)
    listing.write_text("\n")
    with pytest.raises(ValueError, match="no pictures of DIS-5k"):
        dis5k(tmp_path)
