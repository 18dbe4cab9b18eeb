"""An exported network, computed by ONNX Runtime on the CPU."""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from depthpro.checkpoint import Provenance
from depthpro.config import DepthProConfig
from depthpro.deploy.onnx import INPUT
from depthpro.depth_error import DepthError
from depthpro.model import DepthPro, usable_device


class OnnxNetwork(DepthPro):
    """A file of `python -m depthpro export` in place of PyTorch's network, for `infer` alone.

    It has no weights that training or `save_pretrained` could read.
    """

    def __init__(self, path: Path, device: torch.device | str | None = None) -> None:
        """Open a file; raises a ValueError if it cannot be read, or run here."""
        if device is not None and usable_device(device).type != "cpu":
            raise ValueError(f"ONNX files run on the CPU, got device={str(device)!r}")
        session, made = _open(path)
        with torch.device("meta"):
            super().__init__(DepthProConfig.from_json(made["config"]))
        self.session = session
        self.fov = self.fov if len(session.get_outputs()) > 1 else None
        error = DepthError.from_json(made["depth_error"]) if "depth_error" in made else None
        self.provenance = Provenance(path.name, made["licence"], made["record"], error)
        self.eval()

    def forward(
        self, image: Float[Tensor, "b 3 s s"]
    ) -> tuple[Float[Tensor, "b s s"], Float[Tensor, " b"] | None]:
        """Return what `DepthPro.forward` does, as the file computes it."""
        results = self.session.run(None, {INPUT: image.float().numpy()})
        canonical, *rest = map(torch.from_numpy, results)
        return canonical, rest[0] if rest else None

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Raise a ValueError: the weights are the file's."""
        raise ValueError(
            f"{self.provenance.name!r} is for `infer` alone: take the weights that it was made from"
        )

    def compile(self) -> "OnnxNetwork":  # pyright: ignore[reportIncompatibleMethodOverride]
        """Raise a ValueError: it is compiled already."""
        raise ValueError("ONNX Runtime has compiled this network: leave compile() out")

    @property
    def device(self) -> torch.device:
        """The CPU."""
        return torch.device("cpu")


def _open(path: Path) -> tuple[Any, dict[str, str]]:
    """Return a session and the file's metadata."""
    try:
        import onnxruntime
    except ImportError:
        raise ValueError(
            f"{path.name!r} needs ONNX Runtime, not installed here: pip install onnxruntime"
        ) from None
    if not path.is_file():
        raise ValueError(f"no weights at {str(path)!r}: `depthpro export` writes ONNX files")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Else its threads spin on the cores that torch needs between two photos.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a class for each of its states
        reason = str(error).partition("\n")[0]
        raise ValueError(f"ONNX Runtime cannot read {path.name!r}: {reason}") from None
    made = session.get_modelmeta().custom_metadata_map
    if "config" not in made:
        raise ValueError(f"{path.name!r} is not a file of `python -m depthpro export`")
    return session, made
