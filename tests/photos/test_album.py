"""Which photos a folder has; `test_predict.py` has the lines that count them."""

from collections import Counter
from pathlib import Path

import pytest

from depthpro.export import FORMATS, result_files
from depthpro.photos.album import PHOTO_SUFFIXES, find_photos


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_every_suffix_in_any_case(tmp_path: Path) -> None:
    names = [f"a{s.upper() if i % 2 else s}" for i, s in enumerate(PHOTO_SUFFIXES)]
    album = find_photos([fill(tmp_path, *names)], tmp_path / "out")
    assert {path.name for path in album.jobs} == set(names)


def test_no_photo_overwrites_another(tmp_path: Path) -> None:
    names = ["a.jpg", "a.png", "a.jpg.png", "B.jpg", "b.JPG", "c.webp"]
    results = [each.name for each in result_files("", "a.jpg", FORMATS).values()]
    results = [name for name in results if name.endswith(".png")]
    # what some systems leave beside photos, and results
    fill(tmp_path, *names, "._c.webp", ".git/x.jpg", *results)
    fill(tmp_path, "out/z.png")
    album = find_photos([tmp_path], tmp_path / "out")
    assert album.jobs == {tmp_path / name: tmp_path / "out" / name for name in names}
    assert not album.left_out


def test_linked_folders_are_searched_once(tmp_path: Path) -> None:
    album, other = fill(tmp_path / "album", "a.jpg"), fill(tmp_path / "other", "day/e.jpg")
    (album / "linked").symlink_to(other)
    (other / "day" / "back").symlink_to(album)  # a circle
    jobs, out = find_photos([album], tmp_path / "out").jobs, tmp_path / "out"
    assert sorted(jobs.values()) == [out / "a.jpg", out / "linked" / "day" / "e.jpg"]


def test_photos_and_folders_side_by_side(tmp_path: Path) -> None:
    album = fill(tmp_path / "album", "a.png", "trip/b.JPG", "trip/b.png", "trip/day 2/c.jpg")
    out, trip = tmp_path / "out", album / "trip"
    found = find_photos([album / "a.png", trip, trip / "b.png", album / "a.png"], out)
    names = ("a.png", "b.JPG", "b.png", "day 2/c.jpg")
    assert set(found.jobs.values()) == {out / name for name in names}
    assert len(found.jobs) == 4  # what is named twice is done once
    with pytest.raises(ValueError, match=r"no such file or folder: .*gone"):
        find_photos([album, album / "gone.jpg"], out)
    (album / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no photos in .*empty"):
        find_photos([album, album / "empty"], out)
    fill(album, "old/a.png")
    with pytest.raises(ValueError, match="photos of the same name in two sources"):
        find_photos([album / "a.png", album / "old" / "a.png"], out)


def test_a_photo_that_is_named_may_have_any_suffix(tmp_path: Path) -> None:
    path, out = fill(tmp_path, "scan.bak", "notes.txt", "README") / "scan.bak", tmp_path / "out"
    assert find_photos([path], out).jobs == {path: out / "scan.bak"}
    fill(tmp_path, "a.jpg")
    assert find_photos([tmp_path], out).left_out == Counter({".bak": 1, ".txt": 1, "": 1})
