"""Weights to compare with: those that this machine has, and a visitor's file."""

import dataclasses
import functools
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from demo.pipeline import EMBEDDED, Predictor
from depthpro import DepthPro, DepthProConfig, checkpoint

PUBLISHED = {"apple/DepthPro": "depth_pro.pt", "apple/DepthPro-hf": "model.safetensors"}
"""Files of the published weights by their names on the hub."""
MAX_MB = 100
"""Larger files are refused."""

_MOST_WINDOW = DepthProConfig().window  # larger pictures take memory that no size of file limits


def choices(model: Predictor) -> list[str]:
    """Return the names of weights that can be loaded at once, but the ones at work.

    The published network takes minutes on a CPU, where all other visitors would wait for it.
    """
    names = [EMBEDDED]
    if model.device.type != "cpu":
        names += [name for name in PUBLISHED if _cached(name)]
    return [name for name in names if name != model.provenance.name]


@functools.lru_cache(maxsize=1)  # of a machine's memory the published ones fill a good part
def load(name: str, device: str) -> DepthPro:
    """Return one of `choices`, without asking the hub."""
    folder = _cached(name) if name in PUBLISHED else None
    model = DepthPro.from_pretrained(folder or name, device=device)
    model.provenance = dataclasses.replace(model.provenance, name=name)
    return model


def load_file(path: Path, device: str) -> DepthPro:
    """Return the network of a visitor's file, which is deleted.

    Raises:
        ValueError: If the file was not written by `save_pretrained`, is too large, or its network
            takes more memory than a page can spare.
    """
    try:
        megabytes = path.stat().st_size / 1e6
        if path.suffix.lower() != ".safetensors" or megabytes > MAX_MB:
            raise ValueError(
                f"Expected weights as .safetensors of at most {MAX_MB} MB, written by "
                f"DepthPro.save_pretrained; got {path.name!r} of {megabytes:.0f} MB. Save them so."
            )
        config = checkpoint.load(path).config
        if config.window > _MOST_WINDOW:
            raise ValueError(
                f"Expected windows of at most {_MOST_WINDOW} pixels; {path.name!r} has "
                f"{config.window}. Choose a smaller network."
            )
        return DepthPro.from_pretrained(path, device=device)
    finally:
        path.unlink(missing_ok=True)


def _cached(name: str) -> Path | None:
    """Return the folder of the hub's cache with published weights, if they are complete."""
    found = try_to_load_from_cache(name, PUBLISHED[name])
    return Path(found).parent if isinstance(found, str) else None
