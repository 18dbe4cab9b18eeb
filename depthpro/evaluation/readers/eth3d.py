"""ETH3D, high-resolution multi-view: photos of a laser-scanned place (eth3d.net/documentation).

The thirteen training scenes, 454 photos of 6048 x 4032 in all. `ROOT/<scene>/` holds, unpacked
from the archives `*_dslr_jpg.7z` and `*_dslr_depth.7z`,

    images/dslr_images/DSC_0654.JPG               the photo as the camera made it, distorted
    ground_truth_depth/dslr_images/DSC_0654.JPG   no JPEG: float32 in rows, infinite where unknown

Depth is in metres along the optical axis, for the distorted photo pixel by pixel.
"""

from functools import partial
from pathlib import Path

import numpy as np

from depthpro.data.frames import naming, read_rgb
from depthpro.evaluation.readers.case import Benchmark, Case, existing, listed
from depthpro.image import read_focal_px

RANGE_M = (0.1, 200.0)


def eth3d(root: str | Path) -> Benchmark:
    """List the photos of all scenes in a folder.

    A case is a photo as it is stored, without its orientation tag, because its depth is stored so.
    As in the paper, its focal length is the one in its metadata. Its principal point is unknown;
    its distortion is not used, since no measure takes a distorted camera.

    Raises:
        ValueError: If files are missing; from a case, if one is broken.

    Source: Appendix C.6; FACTS 6.1.
    """
    cases = {}
    for photo in sorted(Path(root).glob("*/images/dslr_images/[!.]*.JPG")):
        scene = photo.parents[2]
        depth = existing(scene / "ground_truth_depth/dslr_images" / photo.name)
        cases[f"{scene.name}/{photo.stem}"] = partial(_read_case, photo, depth)
    benchmark = Benchmark("ETH3D", cases, ("depth", "cloud"), RANGE_M)
    return listed(benchmark, root, "*_dslr_jpg.7z and *_dslr_depth.7z")


def _read_case(photo: Path, dump: Path) -> Case:
    rgb = read_rgb(photo)
    with naming(dump):
        depth = np.fromfile(dump, "<f4").reshape(rgb.shape[:2])
    known = np.isfinite(depth) & (depth > 0)
    depth[~known] = np.inf
    return Case(rgb, depth, known, f_px=read_focal_px(photo))
