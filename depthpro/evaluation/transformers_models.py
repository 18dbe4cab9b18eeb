"""Depth networks of Hugging Face transformers, each run as its documentation says.

| model_type | predicts |
|---|---|
| `zoedepth`, `glpn` | metres |
| `depth_anything` | metres or relative, by `depth_estimation_type` |
| `dpt` | relative, as trained for MiDaS |
| `depth_pro` | metres and a focal length |

Relative is inverse depth up to scale and shift. Described in huggingface.co/docs/transformers,
model_doc/ of each; what each DPT predicts, in github.com/isl-org/DPT/issues/10.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, UInt8
from numpy import ndarray

from depthpro.geometry import MIN_DEPTH_M
from depthpro.model import default_device, usable_device

# Never called, and left out of the published DPT: the coarsest level has nothing to be added to it.
_UNUSED = "neck.fusion_stage.layers.0.residual_layer1."


class TransformersDepth(NamedTuple):
    """A network with its processor."""

    network: Any
    processor: Any
    relative: bool
    """Whether it predicts inverse depth up to scale and shift, instead of metres."""

    @property
    def estimates_focal(self) -> bool:
        """Whether it estimates the focal length, and can use a given one instead."""
        return self.network.config.model_type == "depth_pro"

    @torch.inference_mode()
    def infer(self, rgb: UInt8[ndarray, "h w 3"]) -> tuple[Float[ndarray, "h w"], float | None]:
        """Return metres, or inverse depth >= 0 if `relative`, and an estimated focal length.

        The processor's interpolation can overshoot: depth is clamped to at least 0.1 mm.
        """
        inputs = self.processor(images=rgb, return_tensors="pt").to(self.network.device)
        options = {"target_sizes": [rgb.shape[:2]]}
        if self.network.config.model_type == "zoedepth":
            options["source_sizes"] = options["target_sizes"]  # to crop what its processor padded
        outputs = self.network(**inputs)
        (result,) = self.processor.post_process_depth_estimation(outputs, **options)
        values = result["predicted_depth"].clamp(min=0 if self.relative else MIN_DEPTH_M)
        f_px = result["focal_length"].item() if self.estimates_focal else None
        return values.cpu().numpy(), f_px


def load(name: str, device: str | None = None) -> TransformersDepth:
    """Return a depth network, in float32, by its name on the hub or its folder.

    Raises:
        ValueError: If it cannot be loaded, lacks weights, or has an unknown unit.
    """
    relative = _is_relative(name, from_pretrained("AutoConfig", name))
    target = default_device() if device is None else usable_device(device)
    processor = from_pretrained("AutoImageProcessor", name)
    options = {"dtype": torch.float32, "output_loading_info": True}
    network, info = from_pretrained("AutoModelForDepthEstimation", name, **options)
    missing = sorted(key for key in info["missing_keys"] if not key.startswith(_UNUSED))
    if missing:  # transformers fills them with random numbers and goes on
        raise ValueError(
            f"the weights of {name!r} lack {len(missing)} tensors, such as {missing[0]}: "
            "download them again"
        )
    return TransformersDepth(network.to(target).eval(), processor, relative)


def import_transformers(name: str) -> Any:
    """Return the package, which `name` needs; a ValueError says how to install it."""
    try:
        import transformers
    except ImportError as error:
        raise ValueError(
            f"{name!r} is run by transformers ({error}): pip install 'transformers>=5.0'"
        ) from None
    return transformers


def from_pretrained(kind: str, name: str, **options: Any) -> Any:
    """Return a config, processor or network; a ValueError if it cannot be loaded."""
    transformers = import_transformers(name)
    try:
        return getattr(transformers, kind).from_pretrained(name, trust_remote_code=False, **options)
    except Exception as error:  # the client, its HTTP library and the readers each have their own
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise ValueError(
            f"transformers cannot load {name!r} from a folder, the hub or its cache ({reason}): "
            "check the name, or download its files and pass the folder's path"
        ) from error


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
        "expected zoedepth, glpn, depth_anything, dpt as in MiDaS, or depth_pro with its field of "
        f"view; {name!r} is {kind!r}, whose unit is unknown: save its maps, and pass the folder as "
        "predictions"
    )
