"""The command line, as a person types it."""

import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import make_model
from PIL import Image

from depthpro import DepthPro, load_image
from depthpro.__main__ import main
from depthpro.predict import find_jobs


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model().save_pretrained(tmp_path_factory.mktemp("weights"))


def predict(*sources: Path, out: Path, weights: Path, options: tuple[str, ...] = ()) -> int:
    arguments = [*map(str, sources), "-o", str(out), "--model", str(weights), "--device", "cpu"]
    return main(["predict", *arguments, *options])


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Return a folder of photos, some with the same name, one broken, and a text."""
    rng = np.random.default_rng(0)
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 35
    for name in ("a.png", "trip/b.JPG", "trip/b.png", "trip/day 2/c.jpg"):
        path = tmp_path / "album" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 255, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path, exif=exif if name.endswith("c.jpg") else Image.Exif())
    (tmp_path / "album" / "trip" / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    (tmp_path / "album" / "notes.txt").write_text("not a photo, and not meant to be one")
    return tmp_path / "album"


def test_folder_keeps_names_and_reports_the_bad_file_last(
    album: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert predict(album, out=out, weights=weights, options=("--formats", "npz", "depth-png")) == 1
    made = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert made == sorted(
        [
            "a.png.npz", "a.png_depth.png",
            "trip/b.JPG.npz", "trip/b.JPG_depth.png", "trip/b.png.npz", "trip/b.png_depth.png",
            "trip/day 2/c.jpg.npz", "trip/day 2/c.jpg_depth.png",
        ]
    )  # fmt: skip
    last = capsys.readouterr().err.strip().splitlines()[-2:]
    assert last[0] == "1 of 5 photos failed:"
    assert "broken.jpg: expected" in last[1]


def test_results_are_those_of_infer(album: Path, weights: Path, tmp_path: Path) -> None:
    assert predict(album / "a.png", out=tmp_path, weights=weights) == 0
    prediction = DepthPro.from_pretrained(weights, device="cpu").infer(
        load_image(album / "a.png").rgb
    )
    with np.load(tmp_path / "a.png.npz") as file:
        np.testing.assert_array_equal(file["depth"], prediction.depth[0].numpy())
        assert file["f_px"] == prediction.f_px.item()


@pytest.mark.parametrize(
    ("options", "f_px"),
    [
        # 35 mm on a 40 x 30 picture: the diagonal is 50 px for 43.27 mm.
        ([], 35 * 50 / np.hypot(36, 24)),
        (["--f-px", "77"], 77.0),
        (["--fov-deg", "90"], 20.0),
    ],
)
def test_given_focal_length_beats_metadata(
    album: Path, weights: Path, tmp_path: Path, options: list[str], f_px: float
) -> None:
    photo, options = album / "trip" / "day 2" / "c.jpg", ("--formats", "npz", *options)
    assert predict(photo, out=tmp_path, weights=weights, options=options) == 0
    with np.load(tmp_path / "c.jpg.npz") as file:
        assert file["f_px"] == pytest.approx(f_px)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nowhere.jpg"], "no such file or folder: 'nowhere.jpg'"),
        ([".", "--f-px", "-3"], "--f-px must be a positive number of pixels, got -3"),
        ([".", "--fov-deg", "180"], "--fov-deg must be between 0 and 180 degrees"),
        (["."], "no photos in"),
        (["a.png", "-o", "a.png"], "--out must be a folder, got the file 'a.png'"),
        (["a.png", "--device", "abacus"], "device 'abacus' cannot be used here"),
        (["a.png", "--model", "weights.pt"], "weights.pt"),
    ],
)
def test_wrong_usage_is_one_sentence_and_status_2(
    tmp_path: Path, monkeypatch, capsys, arguments: list[str], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if arguments[0] == "a.png":
        Image.new("RGB", (9, 9)).save("a.png")
    with pytest.raises(SystemExit) as caught:
        main(["predict", "-o", "out", *arguments])
    assert caught.value.code == 2
    assert reason in capsys.readouterr().err
    assert not Path("out").exists()


def test_results_inside_the_source_are_not_photos(weights: Path, tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), "teal").save(tmp_path / "a.png")
    for _ in range(2):
        assert predict(tmp_path, out=tmp_path / "out", weights=weights) == 0
    assert not list(tmp_path.glob("out/out*"))
    assert len(list((tmp_path / "out").iterdir())) == 5


def test_a_fault_of_ours_costs_one_photo_only(
    album: Path, weights: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    def write(folder: Path, stem: str, *_: object) -> None:
        if stem == "a.png":
            raise KeyError("materials")

    monkeypatch.setattr("depthpro.predict.write_prediction", write)
    assert predict(album, out=tmp_path / "out", weights=weights) == 1
    captured = capsys.readouterr()
    assert "2 of 5 photos failed" in captured.err
    assert "KeyError: 'materials'" in captured.err
    assert "c.jpg: " in captured.out + captured.err


def test_no_photo_overwrites_another(tmp_path: Path) -> None:
    names = ["a.jpg", "a.png", "a.jpg.png", "B.jpg", "b.JPG", "c.webp"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "._c.webp").touch()  # what some systems leave beside photos
    (tmp_path / "a.jpg_depth.png").touch()  # results, from wherever
    (tmp_path / "a.jpg_colour.png").touch()
    jobs = find_jobs([tmp_path], tmp_path / "out")
    assert jobs == {tmp_path / name: tmp_path / "out" / name for name in names}


def test_photos_and_folders_side_by_side(album: Path, tmp_path: Path) -> None:
    out, trip = tmp_path / "out", album / "trip"
    jobs = find_jobs([album / "a.png", trip, trip / "b.png", album / "a.png"], out)
    assert {str(target.relative_to(out)) for target in jobs.values()} == {
        "a.png", "b.JPG", "b.png", "broken.jpg", "day 2/c.jpg"
    }  # fmt: skip
    (album / "old").mkdir()
    (album / "old" / "a.png").touch()
    with pytest.raises(ValueError, match="photos of the same name in two sources"):
        find_jobs([album / "a.png", album / "old"], out)
    (album / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no photos in .*empty"):
        find_jobs([album, album / "empty"], out)


def test_a_missing_package_is_named_with_the_command(monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    for name in [name for name in sys.modules if name.startswith("depthpro.training.")]:
        monkeypatch.delitem(sys.modules, name)  # another test may have imported them
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    error = capsys.readouterr().err
    assert "train needs accelerate, which is not installed: pip install -e '.[train" in error
