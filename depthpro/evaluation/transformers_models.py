"""Depth networks of Hugging Face transformers, each as its documentation says to run it.

| model_type | says |
|---|---|
| `zoedepth`, `glpn` | metres |
| `depth_anything` | metres or relative, by `depth_estimation_type` |
| `dpt` | relative, as trained for MiDaS |
| `depth_pro` | metres and a focal length |

Relative is inverse depth up to scale and shift. Described in huggingface.co/docs/transformers,
model_doc/ of each; which DPT says what, in github.com/isl-org/DPT/issues/10.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, UInt8
from numpy import ndarray

from depthpro.geometry import MIN_DEPTH_M
from depthpro.model import default_device, usable_device

# Never called, and left out of the published DPT: the coarsest level has nothing to be added to it.
_UNUSED = re.compile(r"neck\.fusion_stage\.layers\.0\.residual_layer1\.")


class TransformersDepth(NamedTuple):
    """A network with its processor."""

    network: Any
    processor: Any
    relative: bool
    """Whether it says inverse depth up to scale and shift, instead of metres."""

    @property
    def estimates_focal(self) -> bool:
        """Whether it estimates the focal length and can do with a given one."""
        return self.network.config.model_type == "depth_pro"

    @torch.inference_mode()
    def infer(self, rgb: UInt8[ndarray, "h w 3"]) -> tuple[Float[ndarray, "h w"], float | None]:
        """Return metres, or inverse depth >= 0 if `relative`, and an estimated focal length.

        The processor's interpolation can overshoot: what falls below 0.1 mm, or inverse depth
        below 0, which no network says, is raised to that.
        """
        inputs = self.processor(images=rgb, return_tensors="pt").to(self.network.device)
        sizes = [rgb.shape[:2]]
        options = {"target_sizes": sizes}
        if self.network.config.model_type == "zoedepth":
            options["source_sizes"] = sizes  # of what its processor pads, and here cuts again
        said = self.processor.post_process_depth_estimation(self.network(**inputs), **options)[0]
        values = said["predicted_depth"].clamp(min=0 if self.relative else MIN_DEPTH_M)
        f_px = said["focal_length"].item() if self.estimates_focal else None
        return values.cpu().numpy(), f_px


def load(name: str, device: str | None = None) -> TransformersDepth:
    """Return a depth network of transformers, in float32.

    Args:
        name: On the hub, or a folder with config.json, preprocessor_config.json and weights.
        device: None takes CUDA or MPS where there is one, else the CPU.

    Raises:
        ValueError: If it cannot be had, lacks weights, or does not say what its numbers mean.
    """
    transformers = _transformers(name)
    target = default_device() if device is None else usable_device(device)
    config = _config(transformers, name)
    relative = _is_relative(name, config)
    try:
        processor = transformers.AutoImageProcessor.from_pretrained(name, trust_remote_code=False)
        network, found = transformers.AutoModelForDepthEstimation.from_pretrained(
            name, dtype=torch.float32, output_loading_info=True, trust_remote_code=False
        )
    except Exception as error:  # the client, its HTTP library and the readers each have their own
        raise _unavailable(name, error) from error
    missing = sorted(key for key in found["missing_keys"] if not _UNUSED.match(key))
    if missing:  # transformers makes them up and goes on
        raise ValueError(
            f"the weights of {name!r} lack {len(missing)} tensors, such as {missing[0]}: "
            "download them again"
        )
    return TransformersDepth(network.to(target).eval(), processor, relative)


def model_type(name: str) -> str:
    """Return what a model on the hub calls its kind, such as "depth_pro" or "dpt".

    Raises:
        ValueError: If it cannot be had.
    """
    return _config(_transformers(name), name).model_type


def _transformers(name: str) -> Any:
    try:
        import transformers
    except ImportError as error:
        raise ValueError(
            f"{name!r} is run by transformers ({error}): pip install 'transformers>=5.0'"
        ) from None
    return transformers


def _config(transformers: Any, name: str) -> Any:
    try:
        return transformers.AutoConfig.from_pretrained(name, trust_remote_code=False)
    except Exception as error:
        raise _unavailable(name, error) from error


def _is_relative(name: str, config: Any) -> bool:
    kind, backbone = config.model_type, getattr(config, "backbone_config", None)
    if kind in ("zoedepth", "glpn") or (kind == "depth_pro" and config.use_fov_model):
        return False
    if kind == "depth_anything":
        return config.depth_estimation_type == "relative"
    # DPT on DINOv2 is published for NYU and KITTI, in metres, and its config does not say so.
    if kind == "dpt" and not getattr(backbone, "model_type", "").startswith("dinov2"):
        return True
    raise ValueError(
        f"expected zoedepth, glpn, depth_anything, dpt as in MiDaS, or depth_pro with its field of "
        f"view; {name!r} is {kind!r} and does not say whether its numbers are metres: save them, "
        "and pass the folder as predictions"
    )


def _unavailable(name: str, error: Exception) -> ValueError:
    reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    if Path(name).is_dir():
        return ValueError(f"transformers cannot load the folder {name!r} ({reason})")
    return ValueError(
        f"{name!r} is no file or folder here, and transformers cannot have it from the hub or its "
        f"cache ({reason}): check the name, or download all its files where there is a network "
        "and pass the folder's path"
    )
