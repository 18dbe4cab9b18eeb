"""The paper's benchmarks as their authors ship them, and our own held-out samples."""

from collections.abc import Callable
from pathlib import Path

from depthpro.evaluation.readers.case import Benchmark, Case, IbimsTruth, Layout, Measure
from depthpro.evaluation.readers.mattes import AM2K, P3M10K, dis5k
from depthpro.evaluation.readers.metres import ETH3D, SINTEL
from depthpro.evaluation.readers.nuscenes import nuscenes
from depthpro.evaluation.readers.rooms import IBIMS, sunrgbd
from depthpro.evaluation.readers.samples import held_out, motorcycle, photos
from depthpro.evaluation.readers.stereo import BOOSTER, MIDDLEBURY, SPRING

__all__ = ["READERS", "Benchmark", "Case", "IbimsTruth", "Layout", "Measure", "open_benchmark"]

READERS: dict[str, Callable[[str], Benchmark]] = {
    "booster": BOOSTER.open,
    "eth3d": ETH3D.open,
    "ibims": IBIMS.open,
    "middlebury": MIDDLEBURY.open,
    "nuscenes": nuscenes,
    "sintel": SINTEL.open,
    "spring": SPRING.open,
    "sunrgbd": sunrgbd,
    "am2k": AM2K.open,
    "dis5k": dis5k,
    "p3m10k": P3M10K.open,
    "photos": photos,
}


def open_benchmark(spec: str) -> Benchmark:
    """Return the benchmark that a spec names.

    Args:
        spec: KIND:FOLDER with a kind of `READERS`; `motorcycle`, which comes with scikit-image; or
            what `depthpro.data.open.open_dataset` takes, such as a folder of shards.

    Raises:
        ValueError: If there is no such benchmark, or it is not as its authors ship it.
    """
    kind, colon, folder = spec.partition(":")
    if colon and kind in READERS:
        if not Path(folder).is_dir():
            raise ValueError(f"there is no folder {folder} for {kind}: get the benchmark first")
        return READERS[kind](folder)
    if spec == "motorcycle":
        return motorcycle()
    try:
        return held_out(spec)
    except ValueError as error:
        raise ValueError(
            f"{error}; benchmarks are motorcycle, or {':FOLDER, '.join(READERS)}:FOLDER"
        ) from error
