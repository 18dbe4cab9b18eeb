"""Folders of photos with and without focal length in their metadata."""

from math import hypot
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from depthpro.evaluation.readers.samples import photos
from depthpro.image import load_image, read_focal_px

ORIENTATION, EXIF_IFD, FOCAL_35MM = 0x0112, 0x8769, 0xA405


def shoot(path: Path, f_35mm: int | None = None, turn: int = 1) -> Path:
    """Write a photo, stored as 64 x 48 pixels."""
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    if f_35mm:
        exif.get_ifd(EXIF_IFD)[FOCAL_35MM] = f_35mm
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, exif=exif.tobytes())
    return path


def test_every_photo_below_the_folder_is_a_case(tmp_path: Path, capsys) -> None:
    root = tmp_path / "RAISE"
    for name, f_35mm in [("b/r1.JPG", 24), ("b/c/r2.tif", 50), ("a.png", 85), ("a b.webp", 17)]:
        shoot(root / name, f_35mm)
    shoot(root / ".trash/old.jpg")
    (root / ".DS_Store").write_bytes(b"Bud1")
    benchmark = photos(root)
    assert benchmark.title == "RAISE"
    assert list(benchmark.cases) == ["a b", "a", "b/c/r2", "b/r1"]
    assert capsys.readouterr().err == ""
    for name, f_35mm in [("b/r1", 24), ("b/c/r2", 50), ("a", 85), ("a b", 17)]:
        case = benchmark.cases[name]()
        assert case.rgb.shape == (48, 64, 3) and case.depth is None
        # The film's diagonal is that of 36 mm x 24 mm, the picture's is 80.
        assert case.f_px == pytest.approx(f_35mm * 80 / hypot(36, 24))


def test_what_cannot_be_measured_is_counted_and_named(tmp_path: Path, capsys, monkeypatch) -> None:
    shoot(tmp_path / "known.jpg", 24)
    for number in range(7):
        shoot(tmp_path / f"x/{number}.jpg")
    (tmp_path / "raw.NEF").write_bytes(b"II*\0")
    assert list(photos(tmp_path).cases) == ["known"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(
        "left out: 7 photos have no focal length in their metadata, such as x/0.jpg"
    )
    monkeypatch.setenv("RANK", "1")  # of a run of several processes only the first one warns
    assert list(photos(tmp_path).cases) == ["known"]
    assert capsys.readouterr().err == ""
    (tmp_path / "known.jpg").unlink()
    with pytest.raises(ValueError, match="7 photos have no focal length in their metadata, and"):
        photos(tmp_path)


def test_broken_photos_and_equal_names_are_refused(tmp_path: Path, monkeypatch) -> None:
    path = shoot(tmp_path / "a.jpg", 24)
    whole = path.read_bytes()
    path.write_bytes(whole[:-500])
    with monkeypatch.context() as patched:
        patched.delattr(ImageFile.ImageFile, "load")  # pixels are not read yet
        cases = photos(tmp_path).cases
    with pytest.raises(ValueError, match=r"'a\.jpg', which is truncated or damaged"):
        cases["a"]()
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"'a\.jpg', which is empty"):
        photos(tmp_path)
    path.write_bytes(whole)
    shoot(tmp_path / "a.png", 24)
    with pytest.raises(ValueError, match="two photos called a"):
        photos(tmp_path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_focal_length_without_pixels(tmp_path: Path, suffix: str) -> None:
    path = shoot(tmp_path / f"x.{suffix}", f_35mm=24, turn=6)
    assert read_focal_px(path) == load_image(path).f_px == pytest.approx(24 * 80 / hypot(36, 24))
