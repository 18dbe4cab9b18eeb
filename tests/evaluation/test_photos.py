"""Folders of photos with and without focal length in their metadata."""

from math import hypot
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from depthpro.evaluation.readers.photos import photos
from depthpro.image import load_image, read_focal_px

ORIENTATION, EXIF_IFD = 0x0112, 0x8769
FOCAL_MM, FOCAL_35MM, WIDTH, HEIGHT = 0x920A, 0xA405, 0xA002, 0xA003
PLANE_X, PLANE_UNIT = 0xA20E, 0xA210
LENS = {FOCAL_MM: 8.0, PLANE_X: 100.0, PLANE_UNIT: 4, WIDTH: 64, HEIGHT: 48}  # 800 px
Lens = dict[int, float] | None


def shoot(path: Path, f_35mm: int | None = None, turn: int = 1, lens: Lens = None) -> Path:
    """Write 64 x 48 pixels, stored so whatever their turn."""
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    if f_35mm is not None:
        exif.get_ifd(EXIF_IFD)[FOCAL_35MM] = f_35mm
    exif.get_ifd(EXIF_IFD).update(lens or {})
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
    assert (benchmark.title, benchmark.measures, benchmark.range_m) == ("RAISE", ("focal",), None)
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
    first, second = capsys.readouterr().err.splitlines()
    assert "left out 7 photos without a focal length" in first
    assert first.endswith(": x/0.jpg, x/1.jpg, x/2.jpg, x/3.jpg, x/4.jpg, …")
    assert "left out 1 files that are not photos" in second and second.endswith(": raw.NEF")
    monkeypatch.setenv("RANK", "1")  # of a run of several processes the first one says it
    assert list(photos(tmp_path).cases) == ["known"]
    assert capsys.readouterr().err == ""
    (tmp_path / "known.jpg").unlink()
    with pytest.raises(ValueError, match="got 7 photos without and 1 files of other kinds"):
        photos(tmp_path)


def test_broken_photos_and_equal_names_are_refused(tmp_path: Path) -> None:
    path = shoot(tmp_path / "a.jpg", 24)
    whole = path.read_bytes()
    path.write_bytes(whole[:-500])
    cases = photos(tmp_path).cases  # which reads no pixels yet
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
@pytest.mark.parametrize("turn", [1, 3, 6])
@pytest.mark.parametrize("resized", [1, 2])
def test_focal_length_without_pixels(tmp_path: Path, suffix: str, turn: int, resized: int) -> None:
    lens = {**LENS, WIDTH: 64 * resized, HEIGHT: 48 * resized}
    path = shoot(tmp_path / f"x.{suffix}", turn=turn, lens=lens)
    assert read_focal_px(path) == pytest.approx(800 / resized)
    assert read_focal_px(path) == load_image(path).f_px


def test_listing_decodes_no_pixel(tmp_path: Path, monkeypatch) -> None:
    for name in ("a.jpg", "b.png", "c.tif"):
        shoot(tmp_path / name, 24)

    def fail(self) -> None:
        raise AssertionError("pixels are read")

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    assert len(photos(tmp_path).cases) == 3
