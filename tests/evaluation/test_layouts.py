"""Benchmarks as their authors ship them, small: a plane in their formats, mattes, broken files."""

import re
from collections.abc import Callable
from math import hypot
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from planes import CAMERA, HEIGHT, SIZE, WIDTH, camera_of, picture, plane, save

from depthpro.evaluation.readers import READERS, Case, open_benchmark
from depthpro.evaluation.readers.stereo import depth_from_disparity
from depthpro.image import load_image

F_PX, FY_PX, CX_PX, CY_PX = CAMERA
RECTIFIED = (F_PX, F_PX, CX_PX, CY_PX)
ORIENTATION, EXIF_IFD, FOCAL_35MM = 0x0112, 0x8769, 0xA405
KNOWN = np.ones(SIZE, bool)
KNOWN[0] = False
"""Where the writers below give depth."""


def parents(*paths: Path) -> list[Path]:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    return list(paths)


def assert_plane(case: Case, camera: tuple[float, ...]) -> None:
    assert case.depth is not None and case.depth.dtype == np.float32
    np.testing.assert_array_equal(case.mask, KNOWN)
    np.testing.assert_allclose(case.depth[1:], plane(camera)[1:], rtol=1e-6)
    assert np.isposinf(case.depth[0]).all()


# --- ETH3D ----------------------------------------------------------------------------------------


def write_eth3d(root: Path, scene: str, stem: str, turn: int = 1) -> list[Path]:
    photo, depth = parents(
        root / f"{scene}/images/dslr_images/{stem}.JPG",
        root / f"{scene}/ground_truth_depth/dslr_images/{stem}.JPG",
    )
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    exif.get_ifd(EXIF_IFD)[FOCAL_35MM] = 20
    Image.fromarray(picture()).save(photo, "JPEG", exif=exif)
    values = plane().astype("<f4")
    values[0] = np.resize([np.inf, np.nan, 0, -1], WIDTH)
    values.tofile(depth)
    return [photo, depth]


def check_eth3d(case: Case, _: str) -> None:
    assert_plane(case, CAMERA)
    # 20 mm on film of 36 mm x 24 mm, diagonals set equal.
    assert case.f_px == pytest.approx(20 * hypot(WIDTH, HEIGHT) / hypot(36, 24))
    assert camera_of(case)[1:] == (None, None, None)


def test_a_photo_of_eth3d_stays_as_its_depth_is(tmp_path: Path) -> None:
    path, _ = write_eth3d(tmp_path, "pipes", "DSC_0001", turn=6)
    case = open_benchmark(f"eth3d:{tmp_path}").cases["pipes/DSC_0001"]()
    photo = load_image(path)
    assert photo.rgb.shape == (WIDTH, HEIGHT, 3) and case.rgb.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(case.rgb, np.rot90(photo.rgb))
    assert case.f_px == photo.f_px


# --- Sintel ---------------------------------------------------------------------------------------


def write_sintel(root: Path, scene: str, number: str) -> list[Path]:
    name = f"training/{{}}/{scene}/frame_{number}.{{}}"
    sets = ("final", "png"), ("depth", "dpt"), ("camdata_left", "cam")
    final, depth, camera = parents(*(root / name.format(*each) for each in sets))
    save(final, picture(int(number)))
    save(root / name.format("clean", "png"), picture(100))
    metres, tag = plane().astype("<f4"), np.array(202021.25, "<f4").tobytes()
    metres[0] = 1e11  # sky
    depth.write_bytes(tag + np.array([WIDTH, HEIGHT], "<i4").tobytes() + metres.tobytes())
    matrix = np.array([[F_PX, 0, CX_PX], [0, FY_PX, CY_PX], [0, 0, 1]], "<f8")
    camera.write_bytes(tag + matrix.tobytes() + np.full((3, 4), 7, "<f8").tobytes())
    return [final, depth, camera]


def check_sintel(case: Case, name: str) -> None:
    np.testing.assert_array_equal(case.rgb, picture(int(name[-4:])))  # of the pass "final"
    assert case.depth is not None and case.mask is not None and case.mask.all()
    np.testing.assert_array_equal(case.depth[1:], plane()[1:].astype(np.float32))
    assert (case.depth[0] == np.float32(1e11)).all()
    assert camera_of(case) == CAMERA


# --- Booster and Middlebury -----------------------------------------------------------------------

STORAGE = """<?xml version="1.0"?>
<opencv_storage>
<mtxL type_id="opencv-matrix"><rows>3</rows><cols>3</cols><dt>d</dt><data>
    99. 0. 9. 0. 99. 9. 0. 0. 1.</data></mtxL>
<proj_matL type_id="opencv-matrix"><rows>3</rows><cols>4</cols><dt>d</dt><data>
    30. 0. 17. 0. 0. 30. 1.0500000000000000e+01
    0. 0. 0. 1. 0.</data></proj_matL>
<baselineLR>1.9300100000000000e+02</baselineLR>
</opencv_storage>
"""
CALIBRATION = """cam0=[30 0 17; 0 30 10.5; 0 0 1]
cam1=[30 0 18.125; 0 30 10.5; 0 0 1]
doffs=1.125
baseline=193.001
width=32
"""


def disparity(unknown: float, offset_px: float = 0) -> np.ndarray:
    """Return columns by which the plane's points move between the pictures, unknown in a row."""
    pixels = F_PX * 0.193001 / plane(RECTIFIED) - offset_px
    pixels[0] = unknown
    return pixels.astype(np.float32)


def write_booster(root: Path, scene: str, light: str) -> list[Path]:
    folder = root / "train/balanced" / scene
    left = folder / f"camera_00/im{light}.png"
    save(left, picture(int(light)))
    save(folder / f"camera_02/im{light}.png", picture(100))
    (folder / "camera_00/._im9.png").touch()
    np.save(folder / "disp_00.npy", disparity(0))
    np.save(folder / "disp_02.npy", -disparity(0))
    (folder / "calib_00-02.xml").write_text(STORAGE)
    return [left, folder / "disp_00.npy", folder / "calib_00-02.xml"]


def write_middlebury(root: Path, scene: str, scale: str) -> list[Path]:
    folder = root / "trainingF" / scene
    for path in (folder / "im0.png", root / "testF/Bicycle2/im0.png"):
        save(path, picture())
    save(folder / "im1.png", picture(100))
    # A PFM's rows go from the bottom up, little-endian if the scale is negative.
    pixels = disparity(np.inf, offset_px=1.125)[::-1].astype("<f4" if scale[0] == "-" else ">f4")
    header = f"Pf\n{WIDTH} {HEIGHT}\n{scale}\n"
    (folder / "disp0GT.pfm").write_bytes(header.encode() + pixels.tobytes())
    (folder / "calib.txt").write_text(CALIBRATION)
    return [folder / name for name in ("im0.png", "disp0GT.pfm", "calib.txt")]


def check_stereo(case: Case, name: str) -> None:
    number = re.search(r"/im(\d+)", name)
    np.testing.assert_array_equal(case.rgb, picture(int(number[1]) if number else 0))
    assert_plane(case, RECTIFIED)
    assert camera_of(case) == RECTIFIED


@pytest.mark.parametrize(("offset_px", "depth"), [(0, 5.0), (10, 4.0)])
def test_depth_is_in_metres(offset_px: float, depth: float) -> None:
    # 1000 px times 0.2 m over 40 px is 5 m; over 40 + 10 px, 4 m.
    pixels = np.array([[40.0, 0.0, -1.0, np.nan, np.inf]], np.float32)
    metres = depth_from_disparity(pixels, 1000, 0.2, offset_px)
    np.testing.assert_array_equal(metres, [[depth] + 4 * [np.inf]])


# --- Spring ---------------------------------------------------------------------------------------


def write_spring(root: Path, scene: str, number: str) -> list[Path]:
    """Write a frame, zooming in; its first row is sky, and the second is unknown."""
    folder, zoom = root / "train" / scene, int(number)
    left, path, camera = parents(
        folder / f"frame_left/frame_left_{number}.png",
        folder / f"disp1_left/disp1_left_{number}.dsp5",
        folder / "cam_data/intrinsics.txt",
    )
    save(left, picture(zoom))
    save(folder / f"frame_right/frame_right_{number}.png", picture(100))
    pixels = zoom * F_PX * 0.065 / plane()
    pixels[:2] = [[0], [np.nan]]
    with h5py.File(path, "w") as file:
        doubled = pixels.repeat(2, 0).repeat(2, 1).astype(np.float32)
        file.create_dataset("disparity", data=doubled, compression="gzip", compression_opts=5)
    rows = [f"{n * F_PX:.6f} {n * FY_PX:.6f} {CX_PX:.6f} {CY_PX:.6f}\n" for n in (1, 2)]
    camera.write_text("".join(rows))
    return [left, path, camera]


def check_spring(case: Case, name: str) -> None:
    zoom = int(name[-4:])
    np.testing.assert_array_equal(case.rgb, picture(zoom))
    assert case.depth is not None and case.mask is not None
    assert case.depth.shape == (2 * HEIGHT, 2 * WIDTH) and case.depth.dtype == np.float32
    for half in (case.depth[::2, ::2], case.depth[1::2, 1::2]):
        np.testing.assert_allclose(half[2:], plane()[2:], rtol=1e-6)
    assert np.isposinf(case.depth[:4]).all()
    assert case.mask[:2].all() and not case.mask[2:4].any() and case.mask[4:].all()
    assert camera_of(case) == (zoom * F_PX, zoom * FY_PX, CX_PX, CY_PX)


# --- mattes ---------------------------------------------------------------------------------------


def levels() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, SIZE, dtype=np.uint8)


def write_mattes(root: Path, folders: str, stem: str) -> list[Path]:
    photos, mattes = folders.split()
    files = [root / f"{photos}/{stem}.jpg", root / f"{mattes}/{stem}.png"]
    save(files[0], picture())
    save(files[1], levels())
    save(root / f"train/original/{stem}.jpg", picture())
    return files


def check_matte(case: Case, _: str) -> None:
    assert case.rgb.shape == (*SIZE, 3)
    assert case.alpha is not None and case.alpha.dtype == np.float32
    np.testing.assert_array_equal(case.alpha, levels() / np.float32(255))


@pytest.mark.parametrize(
    "matte", [np.stack([levels()] * 3, axis=-1), np.stack([levels()] * 4, axis=-1), levels() > 99]
)
def test_mattes_of_other_modes(tmp_path: Path, matte: np.ndarray) -> None:
    _, path = write_mattes(tmp_path, "validation/original validation/mask", "m_0b1c2d3e")
    save(path, matte)
    alpha = open_benchmark(f"am2k:{tmp_path}").cases["validation/m_0b1c2d3e"]().alpha
    assert alpha is not None
    expected = 255 * matte if matte.dtype == bool else levels()
    np.testing.assert_array_equal(np.round(alpha * 255), expected)
    save(path, np.zeros(SIZE, np.uint16))
    with pytest.raises(ValueError, match=rf"{path.name} .*8 bits were expected, got I"):
        open_benchmark(f"am2k:{tmp_path}").cases["validation/m_0b1c2d3e"]()


def test_dis5k_takes_what_is_listed(tmp_path: Path) -> None:
    for part, name in (("DIS-TE1", FLAG), ("DIS-TE4", BIKE), ("DIS-TE4", FLAG)):
        write_mattes(tmp_path, f"{part}/im {part}/gt", name)
    listing = tmp_path / "dis5k_sample_list.txt"
    listing.write_text(f"DIS5K/DIS-TE4/im/{BIKE}.jpg \nDIS5K/DIS-TE1/im/{FLAG}.jpg")
    cases = open_benchmark(f"dis5k:{tmp_path}").cases
    assert list(cases) == [f"DIS-TE4/{BIKE}", f"DIS-TE1/{FLAG}"]
    assert all(read().alpha is not None for read in cases.values())
    (tmp_path / f"DIS-TE4/im/{BIKE}.jpg").unlink()
    for text, message in ((listing.read_text(), f"no 'DIS-TE4/{BIKE}'"), ("\n", "no photo")):
        listing.write_text(text)
        with pytest.raises(ValueError, match=rf"dis5k_sample_list\.txt .*{message}"):
            open_benchmark(f"dis5k:{tmp_path}")


# --- all of them ----------------------------------------------------------------------------------

BIKE = "17#Non-motor Vehicle#2#Bicycle#4245936196_fdf812dcb7_o"
FLAG = "21#Tool#4#Flag#507752845_ef852100f0_o"
FACES, NO_FACES = "validation/P3M-500-P", "validation/P3M-500-NP"
AM2K = "validation/original validation/mask"


Writer = Callable[[Path, str, str], list[Path]]
BENCHMARKS: dict[str, tuple[Writer, Callable[[Case, str], None], dict[str, tuple[str, str]]]] = {
    "eth3d": (write_eth3d, check_eth3d, {
        f"{scene}/{stem}": (scene, stem)
        for scene, stem in (("relief", "DSC_0655"), ("relief", "DSC_0900"), ("relief_2", "DSC_06"))
    }),
    "sintel": (write_sintel, check_sintel, {
        f"{scene}/frame_{number}": (scene, number)
        for scene, number in (("alley_1", "0001"), ("alley_1", "0002"), ("alley_2", "0001"))
    }),
    "booster": (write_booster, check_stereo, {
        f"{scene}/im{light}": (scene, light)
        for scene, light in (("Bathroom", "0"), ("Bathroom", "1"), ("Bathroom", "10"), ("Cup", "0"))
    }),
    "middlebury": (write_middlebury, check_stereo, {
        "Adirondack": ("Adirondack", "-0.003922"), "ArtL": ("ArtL", "1.0"),
    }),
    "spring": (write_spring, check_spring, {
        f"{scene}/frame_left_{number}": (scene, number)
        for scene, number in (("0001", "0001"), ("0001", "0002"), ("0005", "0001"))
    }),
    "am2k": (write_mattes, check_matte, {
        f"validation/{stem}": (AM2K, stem) for stem in ("m_0b1c2d3e", "m_ffff1111")
    }),
    "p3m10k": (write_mattes, check_matte, {
        f"{half}/p_0b1c2d3e": (f"{half}/{kind}_image {half}/mask", "p_0b1c2d3e")
        for half, kind in ((NO_FACES, "original"), (FACES, "blurred"))
    }),
    "dis5k": (write_mattes, check_matte, {
        f"DIS-{part}/{stem}": (f"DIS-{part}/im DIS-{part}/gt", stem)
        for part, stem in (("TE1", BIKE), ("TE1", FLAG), ("TE4", BIKE), ("TR", FLAG))
    }),
}  # fmt: skip
"""Writer and check of a small copy of each benchmark; the writer's arguments by names of cases."""
each_benchmark = pytest.mark.parametrize("kind", BENCHMARKS)


@each_benchmark
def test_each_case_has_its_truth(tmp_path: Path, kind: str) -> None:
    write, check, names = BENCHMARKS[kind]
    for given in reversed(names.values()):
        write(tmp_path, *given)
    benchmark = open_benchmark(f"{kind}:{tmp_path}")
    assert list(benchmark.cases) == list(names)
    for name, read in benchmark.cases.items():
        check(read(), name)


@each_benchmark
def test_missing_and_broken_files_are_named(tmp_path: Path, kind: str) -> None:
    (write, _, names), read = BENCHMARKS[kind], READERS[kind]
    files = write(tmp_path, *next(iter(names.values())))
    with pytest.raises(ValueError, match=r"no pictures .* in .*empty: unpack"):
        read(str(tmp_path / "empty"))
    for path in files:
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 4 + 2])
        (case,) = read(str(tmp_path)).cases.values()  # which reads no file yet
        with pytest.raises(ValueError, match=f"cannot read {re.escape(str(path))}"):
            case()
        path.unlink()
        missing = "no pictures" if path == files[0] else f"{path.name} is missing: unpack it"
        with pytest.raises(ValueError, match=missing):
            read(str(tmp_path))
        path.write_bytes(whole)
    save(files[0], picture()[:12])
    (case,) = read(str(tmp_path)).cases.values()
    size = "24, ?64" if kind == "spring" else "12, ?32"
    with pytest.raises(ValueError, match=rf"cannot read {re.escape(str(files[1]))} .*{size}"):
        case()
