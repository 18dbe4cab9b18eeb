"""Files that appear whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from depthpro.files import whole_file


def test_file_appears_with_its_content_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "mesh.ply"
    with whole_file(target) as temporary:
        assert temporary.suffix == ".ply"
        assert temporary.parent == target.parent  # one file system, so that replacing is atomic
        temporary.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_failure_keeps_the_old_file_and_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "depth.npz"
    target.write_text("old")
    with pytest.raises(KeyboardInterrupt), whole_file(target) as temporary:
        temporary.write_text("half of the n")
        raise KeyboardInterrupt
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_an_old_file_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "depth.npz"
    target.write_text("old")
    with target.open() as reader:
        with whole_file(str(target)) as temporary:
            temporary.write_text("new")
        assert reader.read() == "old"  # who has opened it keeps the whole old file
    assert target.read_text() == "new"


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_file_has_the_mode_that_open_would_give_it(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with whole_file(tmp_path / "a.txt") as temporary:
            temporary.write_text("a")
        (tmp_path / "b.txt").write_text("b")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a.txt", "b.txt")]
    assert modes[0] == modes[1]


def test_two_writers_of_one_name_do_not_meet(tmp_path: Path) -> None:
    target = tmp_path / "depth.npz"
    with whole_file(target) as first, whole_file(target) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert target.read_text() == "first"  # the outer block ends last
    assert list(tmp_path.iterdir()) == [target]
