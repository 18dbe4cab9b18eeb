"""Own pictures as benchmarks: photos, held-out shards, training sets; one of scikit-image."""

import os
import sys
from functools import partial
from pathlib import Path

import numpy as np

from depthpro.data.open import open_dataset
from depthpro.data.sample import Sample
from depthpro.evaluation.paper_tables import published_of
from depthpro.evaluation.readers.case import Benchmark, Case, with_camera
from depthpro.evaluation.readers.stereo import RANGE_M, depth_from_disparity
from depthpro.image import load_image, read_focal_px

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".heic", ".heif")


def held_out(spec: str) -> Benchmark:
    """Return what `depthpro.data.open.open_dataset` opens, as a benchmark named by its folder."""
    samples, name = open_dataset(spec), Path(spec.partition(":")[2] or spec).name
    title = f"{name} (own)" if published_of(name) else name  # the paper's rows are not for it
    cases = {f"{n:06d}": lambda n=n: of_sample(samples[n]) for n in range(len(samples))}
    return Benchmark(title, cases, ("depth", "boundary", "focal"))


def motorcycle() -> Benchmark:
    """Return Motorcycle of Middlebury 2014, a real picture with measured depth, 741 x 500.

    Depth counts as in Middlebury of Table 18, from 0.001 to 10 m, and all of it is in that range.

    Source: scikit-image's `stereo_motorcycle`: means of 4 x 4 pixels of Motorcycle-perfect, whose
    2000 rows make 500; the rectification of 1988 rows has another calibration. Its docstring gives
    a quarter of the set's. With pixel centres at integers, as in `stereo`, a centre c
    becomes (c + 0.5) / 4 - 0.5, which is 0.375 px less than c / 4.
    """

    def read() -> Case:
        from skimage.data import stereo_motorcycle  # takes longer to load than the rest

        left, _, disparity = stereo_motorcycle()
        f_px, cx_px, cy_px = 994.978, 311.193 - 0.375, 254.877 - 0.375
        depth = depth_from_disparity(disparity, f_px, baseline_m=0.193001, offset_px=31.086)
        matrix = np.array([[f_px, 0, cx_px], [0, f_px, cy_px], [0, 0, 1]])
        return with_camera(np.ascontiguousarray(left), depth, np.isfinite(depth), matrix)

    return Benchmark("Motorcycle", {"motorcycle": read}, ("depth", "cloud", "focal"), RANGE_M)


def of_sample(sample: Sample) -> Case:
    """Return a sample as a case, without the flags of its losses."""
    names = ("rgb", "depth", "mask", "f_px", "fy_px", "cx_px", "cy_px", "family")
    return Case(**{name: getattr(sample, name) for name in names})


def photos(root: str | Path) -> Benchmark:
    """List the photos in a folder and below whose metadata has the focal length.

    FiveK, RAISE, PPR10K, SPAQ, ZOOM and DPDD of the paper are such folders, some of them as camera
    raw files: develop those first, into files that keep their metadata. The title is the folder's
    name. A warning on stderr counts photos without focal length; other files are ignored.

    Raises:
        ValueError: If no photo has a focal length, one is broken, or two differ by suffix alone.

    Source: Section 4, Table 3. The paper's choice of photos is not published.
    """
    root, cases, unknown = Path(root), {}, []
    for path in sorted(root.rglob("*")):
        file = path.relative_to(root).as_posix()
        if "/." in f"/{file}" or path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        name = Path(file).with_suffix("").as_posix()
        if read_focal_px(path) is None:
            unknown.append(file)
        elif name in cases:
            raise ValueError(f"{root} has two photos called {name}: take one of them away")
        else:
            cases[name] = partial(_read_photo, path)
    left_out = f"{len(unknown)} photos have no focal length in their metadata"
    if not cases:
        raise ValueError(
            f"photos ({' '.join(SUFFIXES)}) with a focal length were expected in {root}, but "
            f"{left_out}, and there are no others: take the originals"
        )
    if unknown and os.environ.get("RANK", "0") == "0":  # once for all processes
        print(f"{root}: left out: {left_out}, such as {unknown[0]}", file=sys.stderr)
    return Benchmark(root.resolve().name, cases, ("focal",))


def _read_photo(path: Path) -> Case:
    photo = load_image(path)
    return Case(photo.rgb, f_px=photo.f_px)
