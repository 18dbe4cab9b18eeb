"""The paper's benchmarks as their authors ship them, and our own held-out samples."""

from collections.abc import Callable
from pathlib import Path

from depthpro.evaluation.readers.case import Benchmark, Case, Measure
from depthpro.evaluation.readers.mattes import am2k, dis5k, p3m10k
from depthpro.evaluation.readers.metres import eth3d, sintel
from depthpro.evaluation.readers.nuscenes import nuscenes
from depthpro.evaluation.readers.rooms import ibims, sunrgbd
from depthpro.evaluation.readers.samples import held_out, motorcycle, photos
from depthpro.evaluation.readers.stereo import booster, middlebury, spring

__all__ = ["READERS", "Benchmark", "Case", "Measure", "open_benchmark"]

_READERS = (booster, eth3d, ibims, middlebury, nuscenes, sintel, spring, sunrgbd)
_READERS += (am2k, dis5k, p3m10k, photos)
READERS: dict[str, Callable[[str], Benchmark]] = {read.__name__: read for read in _READERS}


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
        known = f"motorcycle, or {':FOLDER, '.join(READERS)}:FOLDER"
        raise ValueError(f"{error}; benchmarks are {known}") from error
