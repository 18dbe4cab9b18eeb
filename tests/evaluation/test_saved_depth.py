"""Depth maps in files: every shape and type in which one map is saved."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from depthpro.evaluation.saved_depth import read_map

STEPS = np.arange(12 * 16).reshape(12, 16)
DEPTH = (STEPS / 8 + 1).astype(np.float32)
GREY = STEPS.astype(np.uint8)


def array(values: np.ndarray) -> Callable[[Path], None]:
    return lambda path: np.save(path, values)


def picture(values: np.ndarray) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(values).save(path)


@pytest.mark.parametrize(
    ("name", "save", "expected"),
    [
        ("a.npy", array(DEPTH[None]), DEPTH),
        ("a.npy", array(DEPTH[..., None]), DEPTH),
        ("a.npy", array(DEPTH[None, None]), DEPTH),
        ("a.NPY", array(np.asfortranarray(DEPTH)), DEPTH),
        ("a.npy", array(STEPS.astype(">u2")), STEPS),
        ("a.npy", array(DEPTH[:1]), DEPTH[:1]),
        ("a.npz", lambda path: np.savez(path, predicted_depth=DEPTH[None]), DEPTH),
        ("a.png", picture(GREY), GREY),
        ("a.png", picture(np.dstack([GREY] * 3)), GREY),
        ("a.tif", picture(DEPTH), DEPTH),
        ("a.TIFF", picture(STEPS.astype(np.uint16)), STEPS),
    ],
)
def test_one_map_is_read_in_every_shape(
    tmp_path: Path, name: str, save: Callable[[Path], None], expected: np.ndarray
) -> None:
    save(tmp_path / name.lower())
    path = (tmp_path / name.lower()).rename(tmp_path / name)
    np.testing.assert_array_equal(read_map(path)[0], expected)


@pytest.mark.parametrize(
    ("name", "save", "problem"),
    [
        ("a.npy", array(np.stack([DEPTH] * 2)), r"a map .*\(2, 12, 16\)"),
        ("a.npy", array(DEPTH > 1), "a map .*bool"),
        ("a.npy", array(DEPTH * 1j), "a map .*complex"),
        ("a.png", picture(np.dstack([GREY, GREY, GREY + 1])), r"a map .*\(12, 16, 3\)"),
        ("a.png", lambda path: Image.fromarray(GREY).convert("P").save(path), "palette"),
    ],
)
def test_what_is_not_one_map_is_refused(
    tmp_path: Path, name: str, save: Callable[[Path], None], problem: str
) -> None:
    save(tmp_path / name)
    with pytest.raises(ValueError, match=problem):
        read_map(tmp_path / name)
