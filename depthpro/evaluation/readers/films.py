"""Sintel and Spring: frames of two rendered films.

MPI Sintel (sintel.is.tue.mpg.de). `ROOT` holds, as MPI-Sintel-training_images.zip and
MPI-Sintel-depth-training-20150305.zip unpack,

    training/final/alley_1/frame_0001.png           1024 x 436
    training/depth/alley_1/frame_0001.dpt           a tag; width and height, int32; metres, float32
    training/camdata_left/alley_1/frame_0001.cam    a tag; camera matrix 3 x 3, pose 3 x 4, float64

all little-endian, as sintel_io.py reads them, which comes with the depth.

Spring (spring-benchmark.org). `ROOT` is `spring`, which the archives of the left camera unpack,

    train/0001/frame_left/frame_left_0001.png     1920 x 1080
    train/0001/disp1_left/disp1_left_0001.dsp5    HDF5: `disparity`, 3840 x 2160
    train/0001/cam_data/intrinsics.txt            a row for each frame: fx fy cx cy

all in pixels of the picture, disparity too, as pointcloud.py of the authors' own
github.com/cv-stuttgart/spring_utils reads them.
"""

import re
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from depthpro.data.frames import naming, read_rgb
from depthpro.evaluation.readers.case import Benchmark, Case
from depthpro.evaluation.readers.stereo import depth_from_disparity

SINTEL_RANGE_M = (0.01, 80.0)
SINTEL_FILES = ("final/{}/frame_{}.png", "depth/{}/frame_{}.dpt", "camdata_left/{}/frame_{}.cam")
SPRING_FILES = ("{}/frame_left/frame_left_{}.png", "{}/disp1_left/disp1_left_{}.dsp5")
TAG = b"PIEH"
"""What Sintel's binary files begin with: 202021.25 as float32."""
BASELINE_M = 0.065
"""Between Spring's cameras."""


def sintel(root: str | Path) -> Benchmark:
    """List the frames of all training scenes in the pass "final", 1064 of 23 scenes.

    "final" is the film as it was shown, with blur and mist, which "clean" lacks. No file says what
    is sky: its depth is finite and far beyond the range. Pixels have their centres at integers:
    the axis is at (511.5, 217.5).

    Raises:
        ValueError: If there are no frames, or one lacks its picture, depth or camera; from a case,
            if one of its files is broken.

    Source: FACTS 6.1. The paper says 1064 pictures, as many as each pass has, and not which pass.
    """
    base = Path(root) / "training"
    frames = _list_frames(base, SINTEL_FILES)
    if not frames:
        raise ValueError(
            f"no frames ({SINTEL_FILES[0].format('*', '*')}) in {base}: unpack "
            f"MPI-Sintel-training_images.zip and MPI-Sintel-depth-training-20150305.zip in {root}"
        )
    cases = {
        f"{scene}/frame_{number}": partial(_read_sintel, *paths)
        for (scene, number), paths in frames.items()
    }
    return Benchmark("Sintel", cases, ("depth", "cloud", "boundary"), SINTEL_RANGE_M)


def spring(root: str | Path) -> Benchmark:
    """List the left frames of all training scenes, 5000 of 37 scenes.

    Depth has the size of disparity, twice the picture's. Where disparity is 0, depth is infinite,
    which is sky; where it is no number, depth is unknown. The set's maps of sky are not needed: an
    outline before sky is a contour as one before what is very far.

    Raises:
        ValueError: If there are no frames, or one lacks its picture, disparity or camera; from a
            case, if one of its files is broken.

    Source: Table 2; FACTS 5.4. Which frames the paper took, and at which size, is unknown.
    """
    base = Path(root) / "train"
    cases = {}
    for (scene, number), paths in _list_frames(base, SPRING_FILES).items():
        camera = base / scene / "cam_data/intrinsics.txt"
        if not camera.is_file():
            raise ValueError(f"{camera} is missing: unpack train_cam_data.zip")
        cases[f"{scene}/frame_left_{number}"] = partial(_read_spring, *paths, camera, number)
    if not cases:
        raise ValueError(
            f"no frames ({SPRING_FILES[0].format('*', '*')}) in {base}: unpack "
            "train_frame_left.zip, train_disp1_left.zip and train_cam_data.zip, and give the "
            "folder spring"
        )
    return Benchmark("Spring", cases, ("boundary",))


def _list_frames(base: Path, kinds: tuple[str, ...]) -> dict[tuple[str, ...], list[Path]]:
    """Return the files of each frame, one of each kind, by scene and number.

    Args:
        base: Folder that `kinds` are in.
        kinds: Paths with {} for the scene and {} for the number.

    Raises:
        ValueError: If a frame lacks one.
    """
    found = []
    for kind in kinds:
        pattern = re.compile(kind.format("(.+)", "(.+)"))
        names = (path.relative_to(base).as_posix() for path in base.glob(kind.format("*", "*")))
        found.append({match.groups() for match in map(pattern.fullmatch, names) if match})
    frames = {}
    for frame in sorted(set().union(*found)):
        for kind, listed in zip(kinds, found, strict=True):
            if frame not in listed:
                raise ValueError(f"{base / kind.format(*frame)} is missing: unpack it again")
        frames[frame] = [base / kind.format(*frame) for kind in kinds]
    return frames


def _read_sintel(picture: Path, depth: Path, camera: Path) -> Case:
    rgb = read_rgb(picture)
    with naming(depth):
        content = _read_tagged(depth)
        width, height = np.frombuffer(content, "<i4", 2).tolist()
        metres = np.frombuffer(content, "<f4", offset=8).reshape(height, width).astype(np.float32)
        if (height, width) != rgb.shape[:2]:
            raise ValueError(f"{rgb.shape[:2]} was expected, as its picture's, got {metres.shape}")
    with naming(camera):
        matrix = np.frombuffer(_read_tagged(camera), "<f8", 9).reshape(3, 3)
    (f_px, _, cx_px), (_, fy_px, cy_px), _ = matrix.tolist()
    return Case(rgb, metres, metres > 0, f_px=f_px, fy_px=fy_px, cx_px=cx_px, cy_px=cy_px)


def _read_tagged(path: Path) -> bytes:
    content = path.read_bytes()
    if not content.startswith(TAG):
        raise ValueError(f"{TAG!r} was expected at its beginning, got {content[:4]!r}")
    return content[len(TAG) :]


def _read_spring(picture: Path, disparity: Path, camera: Path, number: str) -> Case:
    rgb = read_rgb(picture)
    pixels = _read_disparity(disparity, rgb)
    with naming(camera):
        rows = [line.split() for line in camera.read_text().splitlines() if line.strip()]
        if not 1 <= int(number) <= len(rows):
            raise ValueError(f"a row for frame {number} was expected, got {len(rows)} rows")
        f_px, fy_px, cx_px, cy_px = (float(value) for value in rows[int(number) - 1])
    depth = depth_from_disparity(pixels, f_px, BASELINE_M)
    known = np.isfinite(pixels) & (pixels >= 0)
    return Case(rgb, depth, known, f_px=f_px, fy_px=fy_px, cx_px=cx_px, cy_px=cy_px)


def _read_disparity(path: Path, rgb: UInt8[ndarray, "h w 3"]) -> Float[ndarray, "2*h 2*w"]:
    try:
        import h5py
    except ImportError as error:
        raise ValueError("Spring's HDF5 files need h5py: pip install h5py") from error
    with naming(path), h5py.File(path, "r") as file:
        pixels = np.asarray(file["disparity"], np.float32)
        height, width = rgb.shape[:2]
        if pixels.shape != (2 * height, 2 * width):
            raise ValueError(
                f"{(2 * height, 2 * width)} was expected, twice its picture's size, got "
                f"{pixels.shape}"
            )
    return pixels
