"""ETH3D, high-resolution multi-view: photos of a laser-scanned place (eth3d.net/documentation).

The thirteen training scenes, 454 photos of 6048 x 4032 in all. `ROOT/<scene>/` holds, unpacked
from the archives `*_dslr_jpg.7z` and `*_dslr_depth.7z`,

    images/dslr_images/DSC_0654.JPG               the photo as the camera made it, distorted
    dslr_calibration_jpg/{cameras,images}.txt     COLMAP's text format
    ground_truth_depth/dslr_images/DSC_0654.JPG   no JPEG: float32 in rows, infinite where unknown

Depth is in metres along the optical axis, for the distorted photo pixel by pixel.
"""

from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from depthpro.data.frames import naming, read_rgb
from depthpro.evaluation.readers.case import Benchmark, Case
from depthpro.image import read_focal_px

RANGE_M = (0.1, 200.0)
PHOTOS, DEPTHS = "images/dslr_images", "ground_truth_depth/dslr_images"
CALIBRATION = "dslr_calibration_jpg"


def eth3d(root: str | Path) -> Benchmark:
    """List the photos of all scenes in a folder.

    A case is a photo as it is stored, whatever its orientation tag says, because its depth is
    stored so. As in the paper, its focal length is the one in its metadata, and its axis is not
    known. Where the metadata has none, focal lengths and axis come from the set's calibration. The
    distortion that it has as well is not used: measures know no distorted camera.

    Raises:
        ValueError: If there are no photos, or one has no depth or a depth has no photo; from a
            case, if one of its files is missing or broken.

    Source: Appendix C.6; FACTS 6.1.
    """
    root = Path(root)
    photos, depths = _by_name(root, PHOTOS), _by_name(root, DEPTHS)
    if not photos:
        raise ValueError(
            f"no photos (*/{PHOTOS}/*.JPG) in {root}: unpack ETH3D's *_dslr_jpg.7z and "
            "*_dslr_depth.7z there"
        )
    for name in sorted(photos.keys() ^ depths.keys()):
        scene, stem = name.split("/")
        missing = f"{scene}/{DEPTHS if name in photos else PHOTOS}/{stem}.JPG"
        raise ValueError(f"{root / missing} is missing: unpack it again, or take {scene} away")
    cases = {name: partial(_read_case, path, depths[name]) for name, path in photos.items()}
    return Benchmark("ETH3D", cases, ("depth", "cloud"), RANGE_M)


def _by_name(root: Path, folder: str) -> dict[str, Path]:
    """Return the files of all scenes by scene/stem."""
    paths = sorted(root.glob(f"*/{folder}/[!.]*.JPG"))
    return {f"{path.parents[2].name}/{path.stem}": path for path in paths}


def _read_case(photo: Path, dump: Path) -> Case:
    rgb = read_rgb(photo)
    depth = _read_depth(dump, *rgb.shape[:2])
    known = np.isfinite(depth) & (depth > 0)
    depth[~known] = np.inf
    f_px, fy_px, cx_px, cy_px = read_focal_px(photo), None, None, None
    if f_px is None:
        f_px, fy_px, cx_px, cy_px = _read_calibration(photo.parents[2] / CALIBRATION, photo.name)
    return Case(rgb, depth, known, f_px=f_px, fy_px=fy_px, cx_px=cx_px, cy_px=cy_px)


def _read_depth(path: Path, height: int, width: int) -> Float[ndarray, "h w"]:
    with naming(path):
        values = np.fromfile(path, "<f4")
        if path.stat().st_size != 4 * height * width:
            raise ValueError(
                f"{width} x {height} floats were expected, got {4 * values.size} bytes"
            )
    return values.reshape(height, width)


def _read_calibration(folder: Path, name: str) -> tuple[float, float, float, float]:
    """Return f_px, fy_px, cx_px and cy_px of a photo.

    `images.txt` says which camera took it, in the line that ends "CAMERA NAME"; `cameras.txt` has
    CAMERA, MODEL, WIDTH, HEIGHT, both focal lengths, the axis, and the distortion. Its pixels
    have their corners at integers.
    """
    with naming(folder / "images.txt"), (folder / "images.txt").open() as lines:
        ends = [line.split()[-2:] for line in lines if "dslr_images/" in line]
        number = {end[1]: end[0] for end in ends}[f"dslr_images/{name}"]
    with naming(folder / "cameras.txt"), (folder / "cameras.txt").open() as lines:
        rows = {row[0]: row for row in map(str.split, lines) if row and row[0] != "#"}
        f_px, fy_px, cx_px, cy_px = (float(value) for value in rows[number][4:8])
    return f_px, fy_px, cx_px - 0.5, cy_px - 0.5
