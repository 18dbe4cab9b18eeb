"""Weights in and out: embedded, a file, a folder, or the hub; strict about every tensor."""

import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import huggingface_hub
import torch
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError
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
    """Where the weights at work come from, and what they may be used for."""

    name: str
    """What was asked for: "small", a file name or a name on the hub."""
    licence: str
    """Licence of the weights."""
    record: str = ""
    """What the file says about how they were made."""

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
    """Return the weights of that name, on the CPU, in the precision they are stored in.

    Args:
        name: "small", a file, a folder or a name on the hub, as in `DepthPro.from_pretrained`.
        config: Sizes, for files that do not say them; None means the published ones.

    Raises:
        ValueError: If they cannot be found or read, or say that they fit another config.
    """
    weights = _found(name, config)
    if config not in (None, weights.config):
        raise ValueError(
            f"the weights {weights.provenance.name!r} say what they fit, {weights.config}, and "
            f"config= asks for {config}: leave config= out"
        )
    return weights


def _found(name: str | Path, config: DepthProConfig | None) -> Weights:
    """Return the weights of that name from wherever they are."""
    if not str(name):
        raise ValueError("expected a name, a file or a folder with model.safetensors, got ''")
    if str(name) == "small":
        return _read_safetensors(EMBEDDED, config, "small")
    path = Path(name).expanduser()
    if path.is_dir():
        return _read_folder(path, config, path.resolve().name)
    if path.is_file():
        return _read_file(path, config, path.name)
    if path.suffix not in (".pt", ".pth", ".safetensors") and _HUB_NAME.fullmatch(str(name)):
        return _read_folder(_download(str(name)), config, str(name))
    raise ValueError(
        f"no weights at {str(name)!r}: expected 'small', a .safetensors or .pt file, a folder with "
        "model.safetensors, or a name on the hub such as 'apple/DepthPro'"
    )


def assign(model: nn.Module, weights: Weights) -> None:
    """Give the model these tensors; every one must be there, fit, and have a place.

    Raises:
        ValueError: With the names of tensors that are missing, unexpected or misshapen, and their
            count where they are many.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in weights.tensors.items()}
    problems = [
        ("missing", [name for name in expected if name not in given]),
        ("unexpected", [name for name in given if name not in expected]),
        (
            "misshapen",
            [
                f"{name} (expected {expected[name]}, got {given[name]})"
                for name in expected
                if name in given and given[name] != expected[name]
            ],
        ),
    ]
    if any(names for _, names in problems):
        lists = "; ".join(f"{kind}: {_listed(names)}" for kind, names in problems if names)
        raise ValueError(
            f"the weights {weights.provenance.name!r} do not fit this network ({lists}). "
            "If they belong to another config, pass it as config="
        )
    model.load_state_dict(weights.tensors, assign=True)
    model.requires_grad_(True)


def save(model: nn.Module, path: str | Path, config: DepthProConfig, made: Provenance) -> Path:
    """Write weights, config and provenance as safetensors; return the file that was written."""
    if str(path) == "small":
        raise ValueError("'small' names the embedded weights: write to './small' or another folder")
    path = Path(path)
    if path.suffix in (".pt", ".pth"):
        raise ValueError(f"weights are written as .safetensors or into a folder, got {path.name!r}")
    if path.suffix != ".safetensors":
        path = path / "model.safetensors"
    metadata = {"config": config.to_json(), "licence": made.licence, "record": made.record}
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    with whole_file(path) as temporary:
        save_file(tensors, temporary, metadata)
    return path


def _download(name: str) -> Path:
    """Return the folder of the standard cache that holds the files of a name on the hub."""
    files = _HUB_FILES.get(name, _DEFAULT_HUB_FILES)
    neither = f"there is no file or folder {name!r} here"
    try:
        folder = Path(huggingface_hub.snapshot_download(name, allow_patterns=files))
    except (RepositoryNotFoundError, HFValidationError):
        raise ValueError(f"{neither}, and no such model on the hub; check the name") from None
    except Exception as error:  # the client passes on what its HTTP library and the disk raise
        reason = type(error).__name__
    else:
        if (folder / files[-1]).is_file():
            return folder
        reason = f"there is no {files[-1]}"  # or an interrupted download left it out
    raise ValueError(
        f"{neither}, and it cannot be had from the hub ({reason}) or its cache. Fetch "
        f"{' and '.join(files)} from {huggingface_hub.constants.ENDPOINT}/{name}/tree/main on a "
        "machine that is online, put it into a folder, and pass the folder's path instead"
    )


def _read_folder(folder: Path, config: DepthProConfig | None, name: str) -> Weights:
    """Return the weights of a folder in any of the three layouts."""
    tensors, settings = folder / "model.safetensors", folder / "config.json"
    if tensors.is_file() and settings.is_file():
        return _read_transformers(tensors, settings, name)
    for file in (tensors, folder / _PICKLE):
        if file.is_file():
            return _read_file(file, config, name)
    raise ValueError(
        f"expected model.safetensors or {_PICKLE} in the folder {name!r}, found "
        f"{_listed(sorted(entry.name for entry in folder.iterdir())) or 'nothing'}"
    )


def _read_file(path: Path, config: DepthProConfig | None, name: str) -> Weights:
    if path.suffix.lower() == ".safetensors":
        return _read_safetensors(path, config, name)
    return _read_pickle(path, config, name)


def _read_safetensors(path: Path, config: DepthProConfig | None, name: str) -> Weights:
    """Return weights that `save` wrote, or others by our names without config and licence."""
    tensors, metadata = _tensors(path)
    if "config" in metadata:
        config = DepthProConfig.from_json(metadata["config"])
    elif any(tensor.startswith("depth_pro.") for tensor in tensors):
        raise ValueError(
            f"{path.name!r} is in the layout of transformers: put its config.json into the same "
            "folder, the weights as model.safetensors, and pass the folder's path"
        )
    # Weights that do not say are taken for the published ones, whose licence is the narrower.
    made = Provenance(name, metadata.get("licence", PUBLISHED_LICENCE), metadata.get("record", ""))
    return Weights(config or DepthProConfig(), tensors, made)


def _read_pickle(path: Path, config: DepthProConfig | None, name: str) -> Weights:
    """Return weights in the published file's format: a state dict, pickled by torch."""
    try:
        mmap = zipfile.is_zipfile(path)  # what torch wrote before version 1.6 cannot be mapped
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception:  # a broken pickle can raise anything
        raise _unreadable(path, "a state dict saved by torch.save") from None
    found = tensors.values() if isinstance(tensors, dict) else [tensors]
    if others := {type(value).__name__ for value in found if not isinstance(value, Tensor)}:
        got = _listed(sorted(others))
        raise ValueError(f"expected a dict of tensors in {path.name!r}, got {got} in it")
    return Weights(config or DepthProConfig(), tensors, Provenance(name, PUBLISHED_LICENCE))


def _read_transformers(path: Path, settings: Path, name: str) -> Weights:
    """Return weights in the layout of `transformers.DepthProForDepthEstimation`."""
    try:
        values = json.loads(settings.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError):
        values = None
    if not isinstance(values, dict):
        raise ValueError(f"expected a JSON object in {settings.name}, the config of {name!r}")
    tensors, _ = _tensors(path)
    config, renamed = from_transformers(values, tensors)
    return Weights(config, renamed, Provenance(name, PUBLISHED_LICENCE))


def _tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a safetensors file."""
    try:
        with safe_open(path, "pt") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (SafetensorError, OSError):
        raise _unreadable(path, "a safetensors file") from None


def _listed(names: list[str], most: int = 20) -> str:
    """Return names with commas; where there are many, the first and how many follow."""
    text = ", ".join(names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most:,} more"


def _unreadable(path: Path, expected: str) -> ValueError:
    """Return an error that says what a file of weights looks like instead of weights."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(200)
    if start.startswith(b"version https://git-lfs"):
        found = "a Git LFS pointer, not the file itself: run `git lfs pull`"
    elif not start:
        found = "an empty file"
    elif start.isascii() and b"\0" not in start:
        found = f"a text file that starts with {start[:40].decode()!r}"
    else:
        found = f"{size:,} bytes that are truncated or of another kind: download it again"
    return ValueError(f"expected {expected} in {path.name!r}, got {found}")
