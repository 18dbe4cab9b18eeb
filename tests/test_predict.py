"""The command line, as a person types it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import make_model
from PIL import Image

from depthpro import DepthPro, load_image
from depthpro import predict as command
from depthpro.__main__ import main
from depthpro.export import FORMATS


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model().save_pretrained(tmp_path_factory.mktemp("weights"))


def arguments(source: Path, out: Path, weights: Path, *options: str) -> list[str]:
    given = ["predict", str(source), "-o", str(out), "--model", str(weights), "--device", "cpu"]
    return [*given, *options]


def predict(*given) -> int:
    return main(arguments(*given))


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


def test_folder_keeps_names_and_reports_the_bad_file_last(album, weights, tmp_path, capsys) -> None:
    out = tmp_path / "out"
    assert predict(album, out, weights, "--formats", "npz", "depth-png") == 1
    made = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert made == sorted(
        [
            "a.png.npz", "a.png_depth.png",
            "trip/b.JPG.npz", "trip/b.JPG_depth.png", "trip/b.png.npz", "trip/b.png_depth.png",
            "trip/day 2/c.jpg.npz", "trip/day 2/c.jpg_depth.png",
        ]
    )  # fmt: skip
    last = capsys.readouterr().err.strip().splitlines()[-3:]
    assert last[0] == "1 photo was refused:"
    assert "broken.jpg: expected" in last[1]
    assert last[2] == ("5 photos: 4 done, 1 refused; left out, no photos by their suffix: 1 .txt")


@pytest.mark.parametrize(
    ("options", "f_px"),
    [
        # 35 mm on a 40 x 30 picture: the diagonal is 50 px for 43.27 mm.
        ([], 35 * 50 / np.hypot(36, 24)),
        (["--f-px", "77"], 77.0),
        (["--fov-deg", "90"], 20.0),
    ],
)
def test_given_focal_length_beats_metadata(album, weights, tmp_path, options, f_px) -> None:
    photo = album / "trip" / "day 2" / "c.jpg"
    assert predict(photo, tmp_path, weights, "--formats", "npz", *options) == 0
    with np.load(tmp_path / "c.jpg.npz") as file:
        assert file["f_px"] == pytest.approx(f_px)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nowhere.jpg"], "no such file or folder: 'nowhere.jpg'"),
        ([".", "--f-px", "-3"], "--f-px must be a positive number of pixels, got -3"),
        ([".", "--fov-deg", "180"], "--fov-deg must be 1 to 175, got 180.0"),
        (["a.png", "-o", "a.png"], "--out must be a folder, got the file 'a.png'"),
        (["a.png", "-o", "a.png/out"], "--out must be a folder that can be written to"),
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


def test_a_focal_length_that_no_camera_has_is_refused(album, weights, tmp_path, capsys) -> None:
    assert predict(album / "a.png", tmp_path / "out", weights, "--f-px", "1e-30") == 1
    assert "Expected a focal length f_px of" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())


def test_results_inside_the_source_are_not_photos(weights: Path, tmp_path: Path) -> None:
    name = "n" * 236 + ".jpg"  # the longest: with _colour.png 247 bytes, of 255
    Image.new("RGB", (1, 1), "teal").save(tmp_path / name)
    for _ in range(2):
        assert predict(tmp_path, tmp_path / "out", weights) == 0
    assert not list(tmp_path.glob("out/out*"))
    assert len(list((tmp_path / "out").iterdir())) == 5


def test_a_fault_of_ours_costs_one_photo_only(
    album: Path, weights: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    def write(folder: Path, stem: str, *_: object) -> None:
        if stem == "a.png":
            raise KeyError("materials")

    monkeypatch.setattr("depthpro.predict.write_prediction", write)
    assert predict(album, tmp_path / "out", weights) == 1
    captured = capsys.readouterr()
    assert "5 photos: 3 done, 2 refused" in captured.err
    assert "KeyError: 'materials'" in captured.err
    assert "c.jpg: " in captured.out + captured.err


def test_a_missing_package_is_named_with_the_command(monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    for name in [name for name in sys.modules if name.startswith("depthpro.training.")]:
        monkeypatch.delitem(sys.modules, name)  # another test may have imported them
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    error = capsys.readouterr().err
    assert "train needs accelerate, which is not installed: pip install -e '.[train" in error


def test_a_second_run_resumes(album, weights, tmp_path, monkeypatch, capsys) -> None:
    whole, calls = command._predict, []

    def interrupted(*given: object) -> str:
        calls.append(given)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole(*given)

    monkeypatch.setattr(command, "_predict", interrupted)
    assert predict(album, tmp_path, weights, "--formats", "npz") == 130
    assert capsys.readouterr().err.splitlines()[-1].startswith("5 photos: 2 done, 3 not reached;")
    assert predict(album, tmp_path, weights, "--formats", "npz", "--resume") == 1
    assert "5 photos: 2 done, 1 refused, 2 there already" in capsys.readouterr().err
    assert len(list(tmp_path.rglob("*.npz"))) == 4


def test_files_appear_together_or_not_at_all(album, weights, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("depthpro.export.write_ply", lambda *_, **__: 1 / 0)
    assert predict(album / "a.png", tmp_path / "out", weights) == 1
    assert not list((tmp_path / "out").iterdir())


def test_every_format_and_the_wrong_ones(album, weights, tmp_path, monkeypatch, capsys) -> None:
    pytest.importorskip("pxr")
    photo = album / "a.png"
    assert predict(photo, tmp_path, weights, "--formats", *FORMATS, "--near-m", "0.5") == 0
    ends = (
        ".npz", "_depth.png", "_colour.png", ".glb", ".ply", "_grey.png", "_normals.png",
        "_cutout.png", "_obj.zip", ".usdz", "_relief.stl",
    )  # fmt: skip
    assert all((tmp_path / f"a.png{end}").stat().st_size for end in ends)
    with np.load(tmp_path / "a.png.npz") as file, Image.open(tmp_path / "a.png_cutout.png") as cut:
        seen = np.asarray(cut)[..., 3] == 255
        np.testing.assert_array_equal(seen, file["depth"] >= 0.5)
    with zipfile.ZipFile(tmp_path / "a.png_obj.zip") as archive:
        assert "a_png.obj" in archive.namelist()
    monkeypatch.setitem(sys.modules, "pxr", None)
    for options, remedy in (
        (["--formats", "usdz"], "pip install usd-core"),
        (["--near-m", "3"], "--near-m and --far-m are for cutout-png alone"),
        (["--near-m", "3", "--far-m", "2"], "below --far-m, got 3.0 and 2.0"),
    ):
        with pytest.raises(SystemExit):
            predict(photo, tmp_path, weights, *options)
        assert remedy in capsys.readouterr().err


def test_metadata_and_network_that_disagree_are_named(album, weights, tmp_path, capsys) -> None:
    model = DepthPro.from_pretrained(weights, device="cpu")
    photo = load_image(album / "a.png").rgb
    prediction = model.infer(photo)
    estimated = float(prediction.f_px[0])
    exif = Image.Exif()
    exif[0x0112] = 1  # without a main field Pillow writes none
    exif.get_ifd(0x8769)[0xA405] = round(2 * estimated * np.hypot(36, 24) / 50)
    Image.fromarray(photo).save(tmp_path / "far.png", exif=exif)
    given = (tmp_path / "far.png", tmp_path, weights, "--formats", "npz")
    assert predict(*given) == 0
    assert f"the network estimates {estimated:.0f} px; --ignore-metadata" in capsys.readouterr().out
    assert predict(*given, "--ignore-metadata") == 0
    with np.load(tmp_path / "far.png.npz") as file:
        assert file["f_px"] == estimated
        np.testing.assert_array_equal(file["depth"], prediction.depth[0].numpy())


def test_processes_share_an_album(album, weights, tmp_path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "depthpro", *arguments(album, tmp_path, weights, "--formats", "npz")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stderr.count("5 photos: 4 done, 1 refused") == 1, done.stderr
    assert done.stdout.count(" m, focal length") == 4  # each by one of the two
    assert len(list(tmp_path.rglob("*.npz"))) == 4
