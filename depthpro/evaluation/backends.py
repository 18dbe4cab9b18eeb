"""The networks that `benchmark` times: this package's, and the same one in transformers."""

import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor, nn

from depthpro.config import DepthProConfig
from depthpro.evaluation.transformers_models import import_transformers
from depthpro.model import DepthPro, for_inference
from depthpro.precision import Precision


class Backend(NamedTuple):
    """A network, and the whole call from photos to depth that uses it."""

    name: str
    network: nn.Module
    estimate_depth: Callable[[list[ndarray]], Tensor]  # uint8 (h, w, 3) to metres (b, h, w) on CPU


def our_backend(model: DepthPro, precision: Precision) -> Backend:
    """Return this package's backend."""

    def estimate_depth(photos: list[ndarray]) -> Tensor:
        return model.infer(np.stack(photos), precision=precision).depth.cpu()

    return Backend("depthpro", model, estimate_depth)


def random_network(
    config: DepthProConfig, device: torch.device, dtype: torch.dtype = torch.float32
) -> DepthPro:
    """Return a network with the weights that training starts from, stored as trained ones are."""
    with device:
        return for_inference(DepthPro(config), device, dtype)


def random_backends(
    config: DepthProConfig, device: torch.device, dtype: torch.dtype, precision: Precision
) -> list[Backend]:
    """Return our backend and that of transformers, of networks with the same random weights.

    transformers has neither a convolutional stem nor a second tap's neck of its own width: a ViT of
    the same sizes and a neck of the decoder's width take their place.
    """
    transformers = import_transformers("--vs transformers")
    with device:
        theirs = transformers.DepthProForDepthEstimation(_transformers_config(config)).eval()
    _randomize(theirs)
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder, max_shard_size="100GB")
        ours = DepthPro.from_pretrained(folder, device=device, dtype=dtype)
    theirs = theirs.to(getattr(torch, precision) if dtype == torch.int8 else dtype)
    return [our_backend(ours, precision), transformers_backend(theirs, precision)]


def _transformers_config(config: DepthProConfig):
    from transformers import DepthProConfig as TheirConfig

    has_vit = config.stem == "patch"
    early, late = config.taps if has_vit else (config.depth // 4 - 1, config.depth // 2 - 1)
    vit = {
        "model_type": "dinov2",
        "hidden_size": config.dim,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.heads,
        "image_size": config.window,
        "patch_size": config.patch,
    }
    return TheirConfig(
        patch_size=config.window,
        fusion_hidden_size=config.decoder_dim,
        intermediate_hook_ids=[late, early],
        intermediate_feature_dims=[config.decoder_dim, config.decoder_dim],
        scaled_images_feature_dims=list(config.neck_dims[:0:-1]),
        merge_padding_value=config.pyramid[0].trim,
        use_fov_model=True,
        image_model_config=dict(vit),
        patch_model_config=dict(vit),
        fov_model_config=dict(vit),
    )


def transformers_backend(network: Any, precision: Precision) -> Backend:
    """Return the backend of a `DepthProForDepthEstimation`; its postprocessing is in float32."""
    from transformers import DepthProImageProcessor

    side = 4 * network.config.patch_size
    processor = DepthProImageProcessor(size={"height": side, "width": side})
    device, dtype = network.device, getattr(torch, precision)

    @torch.inference_mode()
    def estimate_depth(photos: list[ndarray]) -> Tensor:
        pixels = processor(images=photos, device=device, return_tensors="pt")["pixel_values"]
        with torch.autocast(device.type, dtype=dtype, enabled=dtype != network.dtype):
            outputs = network(pixels.to(device, network.dtype))
        outputs.predicted_depth = outputs.predicted_depth.float()
        outputs.field_of_view = outputs.field_of_view.float()
        sizes = [photo.shape[:2] for photo in photos]
        results = processor.post_process_depth_estimation(outputs, target_sizes=sizes)
        return torch.stack([cast(Tensor, each["predicted_depth"]) for each in results]).cpu()

    return Backend("transformers", network, estimate_depth)


@torch.no_grad()
def _randomize(network: Any) -> None:
    """Fill a network of transformers with weights that keep the size of signals in each layer.

    C is then around 1 and the field of view around 55 degrees; with the weights that training
    starts from, neither would vary, and a wrong network would agree with a right one.
    """
    for name, weight in network.named_parameters():
        if weight.dim() > 1:
            nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
        else:  # norms and LayerScale are not called bias
            nn.init.constant_(weight, 0.0 if name.endswith("bias") else 1.0)
    nn.init.constant_(network.head.layers[4].bias, 1.0)
    nn.init.constant_(network.fov_model.head.layers[4].bias, 55.0)
