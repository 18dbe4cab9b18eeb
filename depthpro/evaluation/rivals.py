"""The same work done otherwise: by transformers, and by plain loops. The package is timed by it."""

import tempfile
from pathlib import Path
from typing import cast

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from safetensors.torch import load_file
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from depthpro.boundary import NEAREST, THRESHOLDS
from depthpro.config import DepthProConfig
from depthpro.evaluation.timing import Way
from depthpro.model import DepthPro
from depthpro.transformers_layout import from_transformers


def transformers_way(model: DepthPro, dtype: torch.dtype) -> Way:
    """Return the way of `transformers.DepthProForDepthEstimation` with a model's own weights.

    Its processor works on the network's device, its weights are kept in the type of the model's,
    and it computes in `dtype`. What the network says is postprocessed in float32.

    Raises:
        ValueError: If transformers is not installed, or has no network of this config.
    """
    try:
        from transformers import DepthProImageProcessor
    except ImportError as error:
        raise ValueError(
            f"--vs transformers needs transformers ({error}): pip install 'transformers>=5.0'"
        ) from None
    theirs = as_transformers(model)
    device, side = model.device, model.config.image_size
    kept = next(model.parameters()).dtype
    processor = DepthProImageProcessor(size={"height": side, "width": side})

    @torch.inference_mode()
    def to_depth(photos: list[ndarray]) -> Tensor:
        pixels = processor(images=photos, device=device, return_tensors="pt")["pixel_values"]
        with torch.autocast(device.type, dtype=dtype, enabled=dtype != kept):
            said = theirs(pixels.to(device, kept))
        said.predicted_depth = said.predicted_depth.float()
        said.field_of_view = said.field_of_view.float()
        sizes = [photo.shape[:2] for photo in photos]
        found = processor.post_process_depth_estimation(said, target_sizes=sizes)
        return torch.stack([cast(Tensor, each["predicted_depth"]) for each in found]).cpu()

    return Way("transformers", theirs, to_depth)


def as_transformers(model: DepthPro) -> nn.Module:
    """Return transformers' network with a model's weights, on its device and in its type.

    Raises:
        ValueError: If transformers has no network of this config.
    """
    from transformers import DepthProForDepthEstimation

    kept = next(model.parameters()).dtype
    config = model.config
    settings = _transformers_config(config)
    with model.device:
        theirs = DepthProForDepthEstimation(settings).eval()
    state = theirs.state_dict()
    names = list(state)
    # Numbers go the way of the weights, through their files' names to ours, and come out where
    # the weights have to come from.
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(
            folder, state_dict={n: torch.tensor([i]) for i, n in enumerate(names)}
        )
        numbers = load_file(Path(folder) / "model.safetensors")
    for name in numbers:
        if "patch_embeddings" in name and name.endswith("weight"):  # the config is read from these
            numbers[name] = numbers[name].expand(config.dim, 3, config.patch, config.patch)
    _, renamed = from_transformers(settings.to_dict(), numbers)
    ours = model.state_dict()
    assert set(renamed) == set(ours)
    for name, sources in renamed.items():
        indices = sources.unique().tolist()  # query, key and value in this order, or one
        for i, part in zip(indices, ours[name].chunk(len(indices)), strict=True):
            state[names[i]].copy_(part)
    return cast(nn.Module, theirs).to(kept)


def _transformers_config(config: DepthProConfig):
    from transformers import DepthProConfig as TheirConfig

    early, late = config.taps
    latent, fine, middle, coarse = config.neck_dims
    if latent != config.decoder_dim or not config.fov:
        raise ValueError(
            "transformers has networks with neck_dims[0] equal to decoder_dim, and is compared "
            f"with a field of view; got {latent}, {config.decoder_dim} and fov={config.fov}"
        )
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
        intermediate_feature_dims=[latent, latent],
        scaled_images_feature_dims=[coarse, middle, fine],
        merge_padding_value=config.pyramid[0].trim,
        use_fov_model=True,
        image_model_config=dict(vit),
        patch_model_config=dict(vit),
        fov_model_config=dict(vit),
    )


def dense_edges(height: int, width: int) -> tuple[Float[ndarray, "h w"], Bool[ndarray, "h w"]]:
    """Return depth in which most pairs of pixels are a contour, and a mask with long outlines."""
    rng = np.random.default_rng(0)
    depth = np.exp(0.25 * rng.standard_normal((height, width), np.float32))
    return depth, gaussian_filter(rng.standard_normal((height, width), np.float32), 4) > 0


def recall_by_loop(depth: Float[ndarray, "h w"], mask: Bool[ndarray, "h w"]) -> float:
    """Return `boundary_recall` of a depth map and a mask, with a loop over runs of contours."""
    inverse = 1 / np.clip(depth, NEAREST, None)
    rates = np.zeros(len(THRESHOLDS))
    first, last = np.s_[:, :-1], np.s_[:, 1:]
    for lines, foreground in ((inverse, mask), (np.ascontiguousarray(inverse.T), mask.T)):
        for near, far in ((first, last), (last, first)):
            ratio, outline = lines[near] / lines[far], foreground[near] & ~foreground[far]
            for k, threshold in enumerate(THRESHOLDS):
                hits = (_thin_by_loop(ratio, threshold) & outline).sum()
                rates[k] += hits / max(outline.sum(), 1) / 4
    return float(rates @ THRESHOLDS / THRESHOLDS.sum())


def _thin_by_loop(ratio: Float[ndarray, "h w"], threshold: float) -> Bool[ndarray, "h w"]:
    """Return where a ratio is the first largest of its run above a threshold, line by line."""
    kept = np.zeros(ratio.shape, bool)
    for line, marks in zip(ratio, kept, strict=True):
        ends = np.flatnonzero(np.diff(line > threshold, prepend=False, append=False)).tolist()
        for start, end in zip(ends[::2], ends[1::2], strict=True):
            marks[start + line[start:end].argmax()] = True
    return kept
