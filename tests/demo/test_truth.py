"""True depth: of the examples, and of files, friendly and hostile."""

import io
import pickle
import tracemalloc
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image

from demo.tabs.sharpness import truth
from demo.tabs.sharpness.truth import known, read_truth
from depthpro import load_image
from depthpro.export import write_depth_png, write_npz

HEIGHT, WIDTH = 30, 40
DEPTH = np.linspace(1, 9, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)


def test_rendered_examples_are_recognised_with_their_focal_length() -> None:
    for name, lens_mm in zip(truth.RENDERED, (24, 24, 28), strict=True):
        photo = load_image(truth.EXAMPLES / name)
        assert photo.f_px == pytest.approx(lens_mm * 720 / 36)  # the film's diagonal has 3 : 2, too
        loaded = known(photo.rgb)
        assert loaded is not None
        assert loaded.depth.shape == photo.rgb.shape[:2] == (480, 720)
        assert loaded.mask.all()
        assert 0.1 < loaded.depth.min() < 10
        stem = name.removesuffix(".jpg")
        files = list(truth.EXAMPLES.glob(f"{stem}.*"))
        assert len(files) == 3
        assert sum(path.stat().st_size for path in files) <= 300_000


def test_motorcycle_is_recognised_and_other_photos_are_not() -> None:
    folder = Path(skimage.__file__).parent / "data"
    rgb = load_image(folder / "motorcycle_left.png").rgb
    loaded = known(rgb)
    assert loaded is not None
    assert "Middlebury" in loaded.title
    assert 0.9 < loaded.mask.mean() < 0.95  # as Motorcycle's disparity says
    assert np.isfinite(loaded.depth[loaded.mask]).all()
    assert 1.5 < loaded.depth[loaded.mask].min() < 3
    other = rgb.copy()
    other[0, 0, 0] ^= 1
    assert known(other) is None
    assert known(load_image(folder / "astronaut.png").rgb) is None


def test_what_the_page_exports_comes_back(tmp_path: Path) -> None:
    write_npz(tmp_path / "a.npz", DEPTH, 50.0, "notice")
    write_depth_png(tmp_path / "a.PNG", DEPTH, 50.0, "notice")
    for name, error_m in (("a.npz", 0), ("a.PNG", 0.00051)):  # half a step of 1 mm
        loaded = read_truth(tmp_path / name, HEIGHT, WIDTH)
        np.testing.assert_allclose(loaded.depth, DEPTH, atol=error_m, rtol=1e-6)
        assert loaded.mask.all()
        assert loaded.title == f"{name}, 40 × 30 pixels"


def test_whole_numbers_take_the_scale_that_is_typed(tmp_path: Path) -> None:
    millimetres = np.round(1000 * DEPTH).astype(np.uint16)
    Image.fromarray(millimetres).save(tmp_path / "a.png")
    np.save(tmp_path / "a.npy", millimetres)
    for name in ("a.png", "a.npy"):
        loaded = read_truth(tmp_path / name, HEIGHT, WIDTH, scale_m=0.001)
        np.testing.assert_allclose(loaded.depth, DEPTH, atol=0.00051)
        with pytest.raises(ValueError, match=r"'a.*whole numbers.*how many metres.*Type it"):
            read_truth(tmp_path / name, HEIGHT, WIDTH)
        for scale_m in (0.0, -1.0, float("nan"), float("inf")):
            with pytest.raises(ValueError, match="metres above 0"):
                read_truth(tmp_path / name, HEIGHT, WIDTH, scale_m)


def test_a_scale_in_the_file_goes_first_and_its_largest_value_is_unknown(tmp_path: Path) -> None:
    far = DEPTH.copy()
    far[1:3, 1:4] = 500  # beyond 65.535 m in steps of 1 mm
    write_depth_png(tmp_path / "a.png", far, 50.0, "notice")
    loaded = read_truth(tmp_path / "a.png", HEIGHT, WIDTH, scale_m=7.0)
    np.testing.assert_array_equal(loaded.mask, far < 100)
    np.testing.assert_allclose(loaded.depth[loaded.mask], far[loaded.mask], atol=0.00051)


def test_what_is_not_a_depth_is_unknown(tmp_path: Path) -> None:
    odd = DEPTH.copy()
    odd[0, :4] = [0, -1, np.nan, np.inf]
    np.save(tmp_path / "a.npy", odd)
    loaded = read_truth(tmp_path / "a.npy", HEIGHT, WIDTH)
    np.testing.assert_array_equal(np.flatnonzero(~loaded.mask), [0, 1, 2, 3])
    assert np.isinf(loaded.depth[0, :4]).all()


def test_large_depth_is_thinned_out_and_never_mixed(tmp_path: Path) -> None:
    values = np.arange(1, 1200 * 2400 + 1, dtype=np.float32).reshape(1200, 2400)
    np.save(tmp_path / "a.npy", values)
    loaded = read_truth(tmp_path / "a.npy", 600, 1200)
    assert loaded.depth.shape == (400, 800)
    np.testing.assert_array_equal(loaded.depth, values[1::3, 1::3])  # the middle of 3 x 3


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((40, 30), "40 × 30, at any size; 'a.npy' is 30 × 40. Choose the file of this photo"),
        ((30, 40, 2), r"cannot read a.npy \(a map \(h, w\) was expected"),
        ((1200,), r"cannot read a.npy \(a map \(h, w\) was expected"),
    ],
)
def test_other_shapes_are_refused(tmp_path: Path, shape: tuple[int, ...], words: str) -> None:
    np.save(tmp_path / "a.npy", np.ones(shape, np.float32))
    with pytest.raises(ValueError, match=words):
        read_truth(tmp_path / "a.npy", HEIGHT, WIDTH)
    np.save(tmp_path / "near.npy", np.ones((341, 512), np.float32))  # 341.33 rows would be exact
    assert read_truth(tmp_path / "near.npy", 400, 600).depth.shape == (341, 512)


def test_a_scale_typed_upside_down_is_refused(tmp_path: Path) -> None:
    Image.fromarray((1000 * DEPTH).astype(np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"farther than 20 km.*0\.001 for millimetres"):
        read_truth(tmp_path / "a.png", HEIGHT, WIDTH, 1000)


def test_kinds_and_broken_files_are_refused_without_their_folder(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1 2 3")
    (tmp_path / "a.npz").write_bytes(b"PK not a zip")
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY")
    (tmp_path / "a.png").write_bytes(b"no picture")
    whole = io.BytesIO()
    np.save(whole, DEPTH)
    (tmp_path / "cut.npy").write_bytes(whole.getvalue()[:-100])
    Image.new("RGB", (WIDTH, HEIGHT), "red").save(tmp_path / "colour.png")
    np.savez(tmp_path / "two.npz", a=DEPTH, b=DEPTH)
    np.save(tmp_path / "empty.npy", np.zeros_like(DEPTH))
    for name, words in (
        ("a.txt", "Expected depth as .npz, .npy, .*; got 'a.txt'"),
        ("a.npz", "Expected depth in 'a.npz'"),
        ("a.npy", "Expected depth in 'a.npy'"),
        ("a.png", "Expected depth in 'a.png'"),
        ("cut.npy", "Expected depth in 'cut.npy': it is cut off"),
        ("colour.png", "a map .*got uint8"),
        ("two.npz", "'depth' or a single one was expected"),
        ("empty.npy", "only 0 of 1200 pixels"),
    ):
        with pytest.raises(ValueError, match=words) as refused:
            read_truth(tmp_path / name, HEIGHT, WIDTH)
        assert str(tmp_path) not in str(refused.value)


def packed(path: Path, compression: int, content: bytes, count: int = 1) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for number in range(count):
            archive.writestr(f"{number}.npy", content)
    return path


def header(shape: tuple[int, ...], kind: str = "|u1") -> bytes:
    start = io.BytesIO()
    values = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(start, values)
    return start.getvalue()


def test_what_would_fill_the_memory_is_refused_before_it_does(tmp_path: Path) -> None:
    small, large = header((30, 40)) + bytes(1200), header((6000, 8000)) + bytes(48_000_000)
    paths = [
        packed(tmp_path / "bomb.npz", zipfile.ZIP_DEFLATED, large),
        packed(tmp_path / "other.npz", zipfile.ZIP_BZIP2, small),
        packed(tmp_path / "many.npz", zipfile.ZIP_DEFLATED, small, count=40),
        packed(tmp_path / "lie.npz", zipfile.ZIP_DEFLATED, header((10**6, 10**6), "<f8")),
        packed(tmp_path / "short.npz", zipfile.ZIP_DEFLATED, header((4000, 5000), "<f8")),
        tmp_path / "lie.npy",
        tmp_path / "large.png",
    ]
    assert paths[0].stat().st_size < 100_000
    paths[5].write_bytes(header((10**6, 10**6), "<f8"))
    Image.new("I;16", (6000, 5000)).save(paths[6])
    for path in paths:
        tracemalloc.start()
        with pytest.raises(ValueError, match=rf"(?s)Expected.*{path.name}"):
            read_truth(path, HEIGHT, WIDTH)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 3_000_000, path.name


@dataclass
class Trap:
    folder: Path

    def __reduce__(self) -> tuple:
        """Make a folder when it is unpickled."""
        return Path.mkdir, (self.folder,)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    trapped = tmp_path / "trapped"
    np.save(tmp_path / "a.npy", np.array([Trap(trapped)], object), allow_pickle=True)
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Trap(trapped)))
    np.savez(tmp_path / "a.npz", depth=np.array([[Trap(trapped)]], object))
    for name in ("a.npy", "b.npy", "a.npz"):
        with pytest.raises(ValueError, match=f"Expected depth in '{name}'"):
            read_truth(tmp_path / name, HEIGHT, WIDTH)
    assert not trapped.exists()
