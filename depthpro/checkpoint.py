"""Weights in and out: embedded, a file, a folder, or the hub; strict about every tensor."""

import contextlib
import json
import re
import textwrap
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import huggingface_hub
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from depthpro.config import DepthProConfig
from depthpro.depth_error import DepthError
from depthpro.files import whole_file
from depthpro.transformers_layout import from_transformers
from depthpro.version import __version__

EMBEDDED = Path(__file__).parent / "weights" / "small.safetensors"
OWN_LICENCE = "Apache-2.0"
PUBLISHED_LICENCE = "apple-amlr: the published Depth Pro weights are for research purposes only"

_HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_PICKLE = "depth_pro.pt"
_HUB_S = 10.0  # for the hub to answer; its client would wait for ever


@dataclass(frozen=True)
class Provenance:
    """Origin and licence of weights."""

    name: str  # "small", or that of a file, a folder or on the hub
    licence: str
    record: str = ""  # how they were made, from their file
    depth_error: DepthError | None = None  # measured on held-out pictures; None if it was not

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

    The config is for files that do not hold one; None means the published sizes.

    Raises:
        ValueError: If they cannot be found or read, or have another config.
    """
    path, shown = _find(name)
    read = _read_safetensors if path.suffix.lower() == ".safetensors" else _read_pickle
    weights = read(path, config, shown)
    if config not in (None, weights.config):
        raise ValueError(f"the weights {shown!r} have a config, another one: leave config= out")
    _check(weights)
    return weights


def _check(weights: Weights) -> None:
    """Refuse what no network computes with, before one is built."""
    shown, blocks = weights.provenance.name, weights.config.depth
    if blocks > max(100, len(weights.tensors)):  # building them could take for ever
        count = len(weights.tensors)
        raise ValueError(f"the weights {shown!r} have {count} tensors for {blocks} blocks")
    for name, tensor in weights.tensors.items():
        if not tensor.is_floating_point():
            raise ValueError(f"expected floats in the weights {shown!r}; {name} is {tensor.dtype}")
        if not tensor.sum(dtype=torch.float32).isfinite():
            raise ValueError(
                f"expected finite numbers in the weights {shown!r}; {name} has NaN or infinity: "
                "the training that made them has diverged, or the file is damaged"
            )


def assign(model: nn.Module, weights: Weights) -> None:
    """Give the model these tensors, or raise a ValueError that lists those that do not fit."""
    try:
        model.load_state_dict(weights.tensors, assign=True)
    except RuntimeError as error:
        raise ValueError(
            f"the weights {weights.provenance.name!r} do not fit this network. If they belong to "
            "another config, pass it as config=. " + textwrap.shorten(str(error), 1500)
        ) from None
    model.requires_grad_(True)  # folding BatchNorm has made biases without


def save(
    model: nn.Module, path: str | Path, config: DepthProConfig, provenance: Provenance
) -> Path:
    """Write weights, config and provenance as safetensors; return the file that was written."""
    path = Path(path)
    if str(path) == "small" or path.suffix in (".pt", ".pth"):  # "small" is the embedded file
        raise ValueError(f"weights are written to a .safetensors file or a folder, not to {path}")
    if path.suffix != ".safetensors":
        path = path / "model.safetensors"
    made = {"licence": provenance.licence, "record": provenance.record}
    if provenance.depth_error is not None:
        made["depth_error"] = provenance.depth_error.to_json()
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    with whole_file(path) as temporary:
        save_file(tensors, temporary, {"config": config.to_json(), **made})
    return path


def store_depth_error(name: str | Path, error: DepthError) -> Path:
    """Store errors of depth in a file that `save` has written; return it.

    Raises:
        ValueError: If the weights are in another format.
    """
    path, shown = _find(name)
    tensors, metadata = _open(path) if path.suffix.lower() == ".safetensors" else ({}, {})
    if "config" not in metadata:
        raise ValueError(
            f"the weights {shown!r} cannot hold their errors of depth: write them by "
            "DepthPro.save_pretrained first"
        )
    with whole_file(path) as temporary:
        save_file(tensors, temporary, {**metadata, "depth_error": error.to_json()})
    return path


def _find(name: str | Path) -> tuple[Path, str]:
    """Return the file of weights, and the name to show for it."""
    if str(name) == "small":
        return EMBEDDED, "small"
    path = Path(name).expanduser()
    if path.is_file():
        return path, path.name
    if str(name) and path.is_dir():
        folder, shown = path, path.resolve().name
    elif is_on_hub(name):
        folder, shown = download(str(name)), str(name)
    else:
        raise ValueError(
            f"no weights at {str(name)!r}: expected 'small', a .safetensors or .pt file, a folder "
            "with model.safetensors, or a name on the hub such as 'apple/DepthPro'"
        )
    for file in (folder / "model.safetensors", folder / _PICKLE):
        if file.is_file():
            return file, shown
    raise ValueError(f"expected model.safetensors or {_PICKLE} in the folder {shown!r}")


def is_on_hub(name: str | Path) -> bool:
    """Return whether a name is one of the hub: the form of one, and nothing here has it."""
    path = Path(name).expanduser()
    weights = path.suffix in (".pt", ".pth", ".safetensors", ".onnx")
    return not (weights or path.exists()) and bool(_HUB_NAME.fullmatch(str(name)))


def download(name: str, progress: type | None = None) -> Path:
    """Return the folder of the standard cache that holds the weights of a name on the hub.

    `progress` takes the place of `tqdm`. A hub that does not answer counts as none.

    Raises:
        ValueError: If neither the hub nor the cache has them.
    """
    files = [_PICKLE] if name == "apple/DepthPro" else ["config.json", "model.safetensors"]
    try:
        with contextlib.suppress(LocalEntryNotFoundError):
            folder = _snapshot(name, files, local_files_only=True)
            if all((folder / file).is_file() for file in files):  # else a download was cut off
                return folder
        huggingface_hub.model_info(name, timeout=_HUB_S)
        return _snapshot(name, files, tqdm_class=progress)
    except Exception as error:  # errors of the client's HTTP library and of the disk
        raise ValueError(
            f"there is no file or folder {name!r} here, and neither the hub nor its cache has it "
            f"({type(error).__name__}). Check the name, or fetch {' and '.join(files)} from "
            f"{huggingface_hub.constants.ENDPOINT}/{name}/tree/main on a machine that is online, "
            "put it into a folder, and pass the folder's path instead"
        ) from None


def _snapshot(name: str, files: list[str], **options: Any) -> Path:
    return Path(huggingface_hub.snapshot_download(name, allow_patterns=files, **options))


def _read_safetensors(path: Path, config: DepthProConfig | None, name: str) -> Weights:
    """Return weights from `save`, by our names without metadata, or of transformers."""
    tensors, metadata = _open(path)
    if any(key.startswith("depth_pro.") for key in tensors):
        config, tensors = from_transformers(_read_settings(path), tensors)
    elif "config" in metadata:
        config = DepthProConfig.from_json(metadata["config"])
    # Without a licence they may be the published weights, whose licence is the narrower.
    licence = metadata.get("licence", PUBLISHED_LICENCE)
    error = metadata.get("depth_error")
    provenance = Provenance(
        name, licence, metadata.get("record", ""), DepthError.from_json(error) if error else None
    )
    return Weights(config or DepthProConfig(), tensors, provenance)


def _open(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return tensors and metadata of a safetensors file."""
    try:
        with safe_open(path, "pt") as file:
            tensors = {key: file.get_tensor(key) for key in list(file.keys())}
            return tensors, file.metadata() or {}
    except (SafetensorError, OSError):
        raise _unreadable(path, "a safetensors file") from None


def _read_settings(path: Path) -> dict:
    """Return the config.json of transformers, which lies beside its weights."""
    try:
        return dict(json.loads(path.with_name("config.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # no file, no JSON, or no object
        raise ValueError(
            f"{path.name!r} is in the layout of transformers: put its config.json beside it"
        ) from None


def _read_pickle(path: Path, config: DepthProConfig | None, name: str) -> Weights:
    """Return weights in the published file's format: a state dict, pickled by torch."""
    try:
        mmap = zipfile.is_zipfile(path)  # files from before torch 1.6 cannot be mapped
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception:  # a broken pickle can raise anything
        raise _unreadable(path, "a state dict saved by torch.save") from None
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise ValueError(f"expected a dict of tensors in {path.name!r}, got something else")
    return Weights(config or DepthProConfig(), tensors, Provenance(name, PUBLISHED_LICENCE))


def _unreadable(path: Path, expected: str) -> ValueError:
    """Return an error that describes a file that is not weights."""
    return ValueError(
        f"expected {expected} in {path.name!r}, got {path.stat().st_size:,} bytes, truncated or of "
        "another kind: download it again, or run `git lfs pull` if it is a Git LFS pointer"
    )
