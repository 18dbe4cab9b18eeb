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

from typing import Any

import torch
from jaxtyping import Float, UInt8
from numpy import ndarray

from depthpro.geometry import MIN_DEPTH_M
from depthpro.model import default_device, usable_device

# Never called, and left out of the published DPT: the coarsest level has nothing to be added to it.
_UNUSED = "neck.fusion_stage.layers.0.residual_layer1."


@torch.inference_mode()
def infer(
    network: Any, processor: Any, rgb: UInt8[ndarray, "h w 3"]
) -> tuple[Float[ndarray, "h w"], float | None]:
    """Return depth in metres, or inverse depth >= 0, and a focal length if it is estimated.

    The processor's interpolation can overshoot: metres are clamped to at least 0.1 mm.
    """
    inputs = processor(images=rgb, return_tensors="pt").to(network.device)
    options = {"target_sizes": [rgb.shape[:2]]}
    if network.config.model_type == "zoedepth":
        options["source_sizes"] = options["target_sizes"]  # to crop what its processor padded
    (result,) = processor.post_process_depth_estimation(network(**inputs), **options)
    least = 0 if is_relative(network.config) else MIN_DEPTH_M
    focal = result.get("focal_length")
    f_px = None if focal is None else focal.item()
    return result["predicted_depth"].clamp(min=least).cpu().numpy(), f_px


def load(name: str, device: str | None = None) -> tuple[Any, Any]:
    """Return a depth network, in float32, and its processor, by a name on the hub or a folder.

    Raises:
        ValueError: If it cannot be loaded, lacks weights, or has an unknown unit.
    """
    config = from_pretrained("AutoConfig", name)
    if is_relative(config) is None:
        raise ValueError(
            "expected zoedepth, glpn, depth_anything, dpt as in MiDaS, or depth_pro with its field "
            f"of view; {name!r} is {config.model_type!r}, whose unit is unknown: save its maps, and"
            " pass the folder as predictions"
        )
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
    return network.to(target).eval(), processor


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


def is_relative(config: Any) -> bool | None:
    """Return whether a network predicts inverse depth instead of metres; None if unknown."""
    kind, backbone = config.model_type, getattr(config, "backbone_config", None)
    if kind in ("zoedepth", "glpn") or (kind == "depth_pro" and config.use_fov_model):
        return False
    if kind == "depth_anything":
        return config.depth_estimation_type == "relative"
    # DPT on DINOv2 is published for NYU and KITTI, in metres, and its config does not say so.
    in_metres = getattr(backbone, "model_type", "").startswith("dinov2")
    return True if kind == "dpt" and not in_metres else None
