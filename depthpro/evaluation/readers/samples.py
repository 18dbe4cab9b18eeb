"""Samples as benchmarks: held-out shards, training sets, and a real picture from scikit-image."""

from functools import partial
from pathlib import Path

import numpy as np

from depthpro.data.open import open_dataset
from depthpro.data.sample import Sample
from depthpro.evaluation.paper_tables import published_of
from depthpro.evaluation.readers.case import Benchmark, Case, with_camera
from depthpro.evaluation.readers.stereo import RANGE_M, depth_from_disparity


def held_out(spec: str) -> Benchmark:
    """Return what `depthpro.data.open.open_dataset` opens, as a benchmark named by its folder.

    Raises:
        ValueError: If it cannot be opened.
    """
    samples, name = open_dataset(spec), Path(spec.partition(":")[2] or spec).name

    def read(number: int) -> Case:
        return of_sample(samples[number])

    return Benchmark(
        title=f"{name} (own)" if published_of(name) else name,  # the paper's rows are not for it
        cases={f"{number:06d}": partial(read, number) for number in range(len(samples))},
        measures=("depth", "boundary", "focal"),
    )


def motorcycle() -> Benchmark:
    """Return Motorcycle of Middlebury 2014, a real picture with measured depth, 741 x 500.

    Depth counts as in Middlebury of Table 18, from 0.001 to 10 m, and all of it is in that range.

    Raises:
        ValueError: If scikit-image, which brings it, is not installed.

    Source: scikit-image's `stereo_motorcycle`: means of 4 x 4 pixels of Motorcycle-perfect, whose
    2000 rows make 500; the rectification of 1988 rows has another calibration. Its docstring gives
    a quarter of the set's. With pixel centres at integers, as in `stereo`, a centre c
    becomes (c + 0.5) / 4 - 0.5, which is 0.375 px less than c / 4.
    """
    try:
        from skimage.data import stereo_motorcycle
    except ImportError as error:
        raise ValueError("motorcycle comes with scikit-image: pip install scikit-image") from error

    def read() -> Case:
        left, _, disparity = stereo_motorcycle()
        f_px, cx_px, cy_px = 994.978, 311.193 - 0.375, 254.877 - 0.375
        depth = depth_from_disparity(disparity, f_px, baseline_m=0.193001, offset_px=31.086)
        matrix = np.array([[f_px, 0, cx_px], [0, f_px, cy_px], [0, 0, 1]])
        return with_camera(np.ascontiguousarray(left), depth, np.isfinite(depth), matrix)

    return Benchmark("Motorcycle", {"motorcycle": read}, ("depth", "cloud", "focal"), RANGE_M)


def of_sample(sample: Sample) -> Case:
    """Return a sample as a case, without the flags of its losses."""
    return Case(
        rgb=sample.rgb,
        depth=sample.depth,
        mask=sample.mask,
        f_px=sample.f_px,
        fy_px=sample.fy_px,
        cx_px=sample.cx_px,
        cy_px=sample.cy_px,
        family=sample.family,
    )
