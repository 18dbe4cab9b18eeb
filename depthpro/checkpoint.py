"""Weights in and out: embedded, a file, a folder, or the hub; strict about every tensor."""

import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import huggingface_hub
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from depthpro.config import DepthProConfig
from depthpro.files import whole_file
from depthpro.transformers_layout import from_transformers
from depthpro.version import __version__

EMBEDDED = Path(__file__).parent / "weights" / "small.safetensors"
OWN_LICENCE = "Apache-2.0"
PUBLISHED_LICENCE = "apple-amlr: the published Depth Pro weights are for research purposes only"

_HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_PICKLE = "depth_pro.pt"
_HUB_FILES = {"apple/DepthPro": [_PICKLE]}
_DEFAULT_HUB_FILES = ["config.json", "model.safetensors"]  # the weights last


@dataclass(frozen=True)
class Provenance:
    """Origin and licence of weights."""

    name: str
    """Name given to `load`: "small", a file, a folder or a name on the hub."""
    licence: str
    record: str = ""
    """How they were made, from their file."""

    @property
    def notice(self) -> str:
        """One line for everything that is made with these weights."""
        return f"Depth by depthpro {__version__}, weights {self.name!r}, licence {self.licence}"


class Weights(NamedTuple):
    """Tensors by the names of this network, and the config that they fit."""

    config: DepthProConfig
    tensors: dict[str, Tensor]
    provenance: Provenance


def load(name: str | Path, config: DepthProConfig | None = None) -> Weights:
    """Load weights by name, file, folder or hub id: on the CPU, in their stored precision.

    Args:
        name: As in `DepthPro.from_pretrained`.
        config: Sizes, for files that do not hold them; None means the published ones.

    Raises:
        ValueError: If they cannot be found or read, or have another config.
    """
    path, shown = _find(name)
    read = _read_safetensors if path.suffix.lower() == ".safetensors" else _read_pickle
    weights = read(path, config, shown)
    if config not in (None, weights.config):
        raise ValueError(
            f"the weights {shown!r} have a config, {weights.config}, which is not the given one, "
            f"{config}: leave config= out"
        )
    return weights


def _find(name: str | Path) -> tuple[Path, str]:
    """Return the file of weights, and the name to show for it."""
    if str(name) == "small":
        return EMBEDDED, "small"
    path = Path(name).expanduser()
    if path.is_file():
        return path, path.name
    if str(name) and path.is_dir():
        return _file_in(path, path.resolve().name), path.resolve().name
    if path.suffix not in (".pt", ".pth", ".safetensors") and _HUB_NAME.fullmatch(str(name)):
        return _file_in(_download(str(name)), str(name)), str(name)
    raise ValueError(
        f"no weights at {str(name)!r}: expected 'small', a .safetensors or .pt file, a folder with "
        "model.safetensors, or a name on the hub such as 'apple/DepthPro'"
    )


def assign(model: nn.Module, weights: Weights) -> None:
    """Give the model these tensors; names and shapes must be the same.

    Raises:
        ValueError: With the tensors that are missing, unexpected or of another shape.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in weights.tensors.items()}
    problems = {
        "missing": [name for name in expected if name not in given],
        "unexpected": [name for name in given if name not in expected],
        "misshapen": [
            f"{name} (expected {shape}, got {given[name]})"
            for name, shape in expected.items()
            if given.get(name, shape) != shape
        ],
    }
    lists = "; ".join(f"{kind}: {_listed(names)}" for kind, names in problems.items() if names)
    if lists:
        raise ValueError(
            f"the weights {weights.provenance.name!r} do not fit this network ({lists}). "
            "If they belong to another config, pass it as config="
        )
    model.load_state_dict(weights.tensors, assign=True)
    model.requires_grad_(True)


def save(
    model: nn.Module, path: str | Path, config: DepthProConfig, provenance: Provenance
) -> Path:
    """Write weights, config and provenance as safetensors; return the file that was written."""
    if str(path) == "small":
        raise ValueError("'small' names the embedded weights: write to './small' or another folder")
    path = Path(path)
    if path.suffix in (".pt", ".pth"):
        raise ValueError(f"weights are written as .safetensors or into a folder, got {path.name!r}")
    if path.suffix != ".safetensors":
        path = path / "model.safetensors"
    metadata = {
        "config": config.to_json(),
        "licence": provenance.licence,
        "record": provenance.record,
    }
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    with whole_file(path) as temporary:
        save_file(tensors, temporary, metadata)
    return path


def _download(name: str) -> Path:
    """Return the folder of the standard cache that holds the files of a name on the hub."""
    files = _HUB_FILES.get(name, _DEFAULT_HUB_FILES)
    try:
        folder = Path(huggingface_hub.snapshot_download(name, allow_patterns=files))
    except Exception as error:  # the client passes on what its HTTP library and the disk raise
        reason = type(error).__name__
    else:
        if (folder / files[-1]).is_file():
            return folder
        reason = f"there is no {files[-1]}"  # or an interrupted download left it out
    raise ValueError(
        f"there is no file or folder {name!r} here, and neither the hub nor its cache has it "
        f"({reason}). Check the name, or fetch {' and '.join(files)} from "
        f"{huggingface_hub.constants.ENDPOINT}/{name}/tree/main on a machine that is online, put "
        "it into a folder, and pass the folder's path instead"
    )


def _file_in(folder: Path, name: str) -> Path:
    """Return the file of weights in a folder of any of the three layouts."""
    for file in (folder / "model.safetensors", folder / _PICKLE):
        if file.is_file():
            return file
    raise ValueError(
        f"expected model.safetensors or {_PICKLE} in the folder {name!r}, found "
        f"{_listed(sorted(entry.name for entry in folder.iterdir())) or 'nothing'}"
    )


def _read_safetensors(path: Path, config: DepthProConfig | None, name: str) -> Weights:
    """Return weights from `save`, by our names without metadata, or of transformers."""
    try:
        with safe_open(path, "pt") as file:
            tensors = {key: file.get_tensor(key) for key in list(file.keys())}
            metadata = file.metadata() or {}
    except (SafetensorError, OSError):
        raise _unreadable(path, "a safetensors file") from None
    if any(key.startswith("depth_pro.") for key in tensors):
        config, tensors = from_transformers(_read_settings(path), tensors)
    elif "config" in metadata:
        config = DepthProConfig.from_json(metadata["config"])
    # Without a licence they may be the published weights, whose licence is the narrower.
    licence = metadata.get("licence", PUBLISHED_LICENCE)
    provenance = Provenance(name, licence, metadata.get("record", ""))
    return Weights(config or DepthProConfig(), tensors, provenance)


def _read_settings(path: Path) -> dict:
    """Return the config.json of transformers, which lies beside its weights."""
    settings = path.with_name("config.json")
    if not settings.is_file():
        raise ValueError(
            f"{path.name!r} is in the layout of transformers: put config.json beside it"
        )
    try:
        values = json.loads(settings.read_text(encoding="utf-8"))
    except ValueError:  # no JSON, or no UTF-8
        values = None
    if not isinstance(values, dict):
        raise ValueError(f"expected a JSON object in config.json beside {path.name!r}")
    return values


def _read_pickle(path: Path, config: DepthProConfig | None, name: str) -> Weights:
    """Return weights in the published file's format: a state dict, pickled by torch."""
    try:
        mmap = zipfile.is_zipfile(path)  # what torch wrote before version 1.6 cannot be mapped
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception:  # a broken pickle can raise anything
        raise _unreadable(path, "a state dict saved by torch.save") from None
    values = tensors.values() if isinstance(tensors, dict) else [tensors]
    if others := {type(value).__name__ for value in values if not isinstance(value, Tensor)}:
        got = _listed(sorted(others))
        raise ValueError(f"expected a dict of tensors in {path.name!r}, got {got} in it")
    return Weights(config or DepthProConfig(), tensors, Provenance(name, PUBLISHED_LICENCE))


def _listed(names: list[str], most: int = 20) -> str:
    """Return names with commas; where there are many, the first and how many follow."""
    text = ", ".join(names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most:,} more"


def _unreadable(path: Path, expected: str) -> ValueError:
    """Return an error that describes a file that is not weights."""
    with path.open("rb") as file:
        start = file.read(200)
    if start.startswith(b"version https://git-lfs"):
        got = "a Git LFS pointer, not the file itself: run `git lfs pull`"
    elif not start:
        got = "an empty file"
    elif start.isascii() and b"\0" not in start:
        got = f"a text file that starts with {start[:40].decode()!r}"
    else:
        got = f"{path.stat().st_size:,} bytes, truncated or of another kind: download it again"
    return ValueError(f"expected {expected} in {path.name!r}, got {got}")
