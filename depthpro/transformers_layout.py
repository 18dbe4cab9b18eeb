"""The names that Hugging Face transformers gives to the tensors of Depth Pro, and its config."""

import re

import torch
from torch import Tensor

from depthpro.config import DepthProConfig

# Each is tried once, in this order, on the name of a tensor.
_RENAMES = [
    # the three ViTs
    (r"^depth_pro\.encoder\.(patch|image)_encoder\.model\.", r"encoder.\1_encoder."),
    (r"^fov_model\.fov_encoder\.model\.", "fov.encoder.0."),
    (r"\bembeddings\.cls_token", "cls_token"),
    (r"\bembeddings\.position_embeddings", "pos_embed"),
    (r"\bembeddings\.patch_embeddings\.projection", "patch_embed.proj"),
    (r"\bencoder\.layer\.", "blocks."),
    (r"\battention\.attention\.(query|key|value)\b", r"attn.\1"),
    (r"\battention\.output\.dense", "attn.proj"),
    (r"\blayer_scale(\d)\.lambda1", r"ls\1.gamma"),
    (r"\blayernorm\b", "norm"),
    # the encoder's necks
    (r"^depth_pro\.neck\.feature_upsample\.image_block\.layers\.0", "encoder.upsample_lowres"),
    (r"^depth_pro\.neck\.feature_upsample\.scaled_images\.0\.layers", "encoder.upsample2"),
    (r"^depth_pro\.neck\.feature_upsample\.scaled_images\.1\.layers", "encoder.upsample1"),
    (r"^depth_pro\.neck\.feature_upsample\.scaled_images\.2\.layers", "encoder.upsample0"),
    (r"^depth_pro\.neck\.feature_upsample\.intermediate\.0\.layers", "encoder.upsample_latent1"),
    (r"^depth_pro\.neck\.feature_upsample\.intermediate\.1\.layers", "encoder.upsample_latent0"),
    (r"^depth_pro\.neck\.fuse_image_with_low_res", "encoder.fuse_lowres"),
    # the decoder, which transformers counts from the coarsest level
    (r"^depth_pro\.neck\.feature_projection\.projections\.0", "decoder.convs.4"),
    (r"^depth_pro\.neck\.feature_projection\.projections\.1", "decoder.convs.3"),
    (r"^depth_pro\.neck\.feature_projection\.projections\.2", "decoder.convs.2"),
    (r"^depth_pro\.neck\.feature_projection\.projections\.3", "decoder.convs.1"),
    (r"^fusion_stage\.intermediate\.0", "decoder.fusions.4"),
    (r"^fusion_stage\.intermediate\.1", "decoder.fusions.3"),
    (r"^fusion_stage\.intermediate\.2", "decoder.fusions.2"),
    (r"^fusion_stage\.intermediate\.3", "decoder.fusions.1"),
    (r"^fusion_stage\.final", "decoder.fusions.0"),
    (r"\bresidual_layer(\d)\.convolution1", r"resnet\1.residual.1"),
    (r"\bresidual_layer(\d)\.convolution2", r"resnet\1.residual.3"),
    (r"^(decoder\.fusions\.\d)\.projection", r"\1.out_conv"),
    # the heads
    (r"^head\.layers", "head"),
    (r"^fov_model\.fov_encoder\.neck", "fov.encoder.1"),
    (r"^fov_model\.conv", "fov.downsample.0"),
    (r"^fov_model\.head\.layers", "fov.head"),
]
_PROJECTION = "depth_pro.encoder.patch_encoder.model.embeddings.patch_embeddings.projection.weight"
_LAYER = re.compile(r"depth_pro\.encoder\.patch_encoder\.model\.encoder\.layer\.(\d+)\.")


def from_transformers(
    settings: dict, tensors: dict[str, Tensor]
) -> tuple[DepthProConfig, dict[str, Tensor]]:
    """Return this package's config and tensors for those of `DepthProForDepthEstimation`.

    Args:
        settings: Values of its config.json; those that are left out have transformers' defaults.
        tensors: Tensors of its model.safetensors.

    Raises:
        ValueError: If it is another model, or a variant of the published network.
    """
    if settings.get("model_type") != "depth_pro" or _PROJECTION not in tensors:
        raise ValueError(
            "expected the transformers layout of Depth Pro (model_type 'depth_pro'), got "
            f"model_type {settings.get('model_type')!r} with tensors {sorted(tensors)[:3]} …"
        )
    config = _config(settings, tensors)
    _refuse_variants(settings, config)
    return config, _renamed(tensors)


def _config(settings: dict, tensors: dict[str, Tensor]) -> DepthProConfig:
    dim, _, patch, _ = tensors[_PROJECTION].shape
    dims = settings.get("scaled_images_feature_dims", (1024, 1024, 512))
    hooks = settings.get("intermediate_hook_ids", (11, 5))
    if (len(dims), len(hooks)) != (3, 2):
        raise ValueError(
            "expected 3 scaled_images_feature_dims and 2 intermediate_hook_ids as published, got "
            f"{dims} and {hooks}"
        )
    (coarse, middle, fine), (late, early) = dims, hooks
    return DepthProConfig(
        window=settings.get("patch_size", 384),
        patch=patch,
        dim=dim,
        depth=1 + max(int(match[1]) for name in tensors if (match := _LAYER.match(name))),
        heads=(settings.get("patch_model_config") or {}).get("num_attention_heads", 12),
        taps=(early, late),
        neck_dims=(settings.get("intermediate_feature_dims", (256,))[0], fine, middle, coarse),
        decoder_dim=settings.get("fusion_hidden_size", 256),
        fov=settings.get("use_fov_model", False),
    )


def _refuse_variants(settings: dict, config: DepthProConfig) -> None:
    """Raise for settings under which the same tensors would mean another network."""
    as_published = {
        "scaled_images_ratios": [0.25, 0.5, 1],
        "scaled_images_overlap_ratios": [0.0, 0.5, 0.25],
        "merge_padding_value": config.pyramid[0].trim,
        "num_fov_head_layers": 2,
        "use_batch_norm_in_fusion_residual": False,
        "use_bias_in_fusion_residual": True,
    }
    for name, value in as_published.items():
        if settings.get(name, value) != value:
            raise ValueError(f"{name} must be {value} as published, got {settings[name]}")


def _renamed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors by our names, query, key and value joined as timm has them."""
    renamed = {}
    for name, tensor in tensors.items():
        if name.endswith("embeddings.mask_token"):
            continue  # used in DINOv2's own training only
        for pattern, replacement in _RENAMES:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    for query in [name for name in renamed if ".attn.query." in name]:
        parts = [query.replace(".query.", f".{part}.") for part in ("query", "key", "value")]
        if all(part in renamed for part in parts):  # else the strict check names what is missing
            joined = torch.cat([renamed.pop(part) for part in parts])
            renamed[query.replace(".query.", ".qkv.")] = joined
    return renamed
