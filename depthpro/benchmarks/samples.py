"""Samples as benchmarks: held-out shards, training sets, and a real picture that needs no file."""

from functools import partial
from pathlib import Path

import numpy as np

from depthpro.benchmarks.case import Benchmark, Case
from depthpro.datasets import open_dataset
from depthpro.sample import Sample


def held_out(spec: str) -> Benchmark:
    """Return what `depthpro.datasets.open_dataset` opens, as a benchmark named by its folder.

    Raises:
        ValueError: If it cannot be opened.
    """
    samples = open_dataset(spec)

    def read(number: int) -> Case:
        return of_sample(samples[number])

    return Benchmark(
        title=Path(spec.partition(":")[2] or spec).name,
        cases={f"{number:06d}": partial(read, number) for number in range(len(samples))},
        measures=("depth", "boundary", "focal"),
    )


def motorcycle() -> Benchmark:
    """Return Motorcycle of Middlebury 2014, a real picture with measured depth, 741 x 500.

    Depth counts as in Middlebury of Table 18, up to 10 m; all of it is.

    Raises:
        ValueError: If scikit-image, which brings it, is not installed.

    Source: scikit-image's `stereo_motorcycle`; calibration of the set, halved four times.
    """
    try:
        from skimage.data import stereo_motorcycle
    except ImportError as error:
        raise ValueError("motorcycle comes with scikit-image: pip install scikit-image") from error

    def read() -> Case:
        left, _, disparity = stereo_motorcycle()
        known = np.isfinite(disparity)
        f_px, baseline_m, offset_px = 994.978, 0.193001, 31.086
        depth = baseline_m * f_px / (np.where(known, disparity, 0) + offset_px)
        return Case(
            rgb=np.ascontiguousarray(left),
            depth=depth.astype(np.float32),
            mask=known,
            f_px=f_px,
            fy_px=f_px,
        )

    measures = ("depth", "cloud", "focal")
    return Benchmark("Motorcycle", {"motorcycle": read}, measures, range_m=(0.001, 10))


def of_sample(sample: Sample) -> Case:
    """Return a sample as a case."""
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
