"""Files that appear whole or not at all."""

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
    with whole_file(str(target)) as temporary:  # takes the place of the old one
        temporary.write_text("new")
    assert target.read_text() == "new"
    assert list(target.parent.iterdir()) == [target]


def test_failure_keeps_the_old_file_and_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "depth.npz"
    target.write_text("old")
    with pytest.raises(KeyboardInterrupt), whole_file(target) as temporary:
        temporary.write_text("half of the n")
        raise KeyboardInterrupt
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
