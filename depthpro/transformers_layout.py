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
    # the encoder's necks and the decoder, which transformers counts from the coarsest level
    (r"^depth_pro\.neck\.(feature_)?", ""),
    (r"^upsample\.image_block\.layers\.0", "encoder.upsample_lowres"),
    *((rf"^upsample\.scaled_images\.{i}\.layers", f"encoder.upsample{2 - i}") for i in range(3)),
    (r"^upsample\.intermediate\.0\.layers", "encoder.upsample_latent1"),
    (r"^upsample\.intermediate\.1\.layers", "encoder.upsample_latent0"),
    (r"^fuse_image_with_low_res", "encoder.fuse_lowres"),
    *((rf"^projection\.projections\.{i}", f"decoder.convs.{4 - i}") for i in range(4)),
    *((rf"^fusion_stage\.intermediate\.{i}", f"decoder.fusions.{4 - i}") for i in range(4)),
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

    Settings that its config.json leaves out have transformers' defaults.
    """
    if settings.get("model_type") != "depth_pro" or _PROJECTION not in tensors:
        got = settings.get("model_type")
        raise ValueError(f"expected the weights and config of model_type 'depth_pro'; got {got!r}")
    dim, _, patch, _ = tensors[_PROJECTION].shape
    coarse, middle, fine = settings.get("scaled_images_feature_dims", (1024, 1024, 512))
    late, early = settings.get("intermediate_hook_ids", (11, 5))
    config = DepthProConfig(
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
    return config, _renamed(tensors)


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
        if all(part in renamed for part in parts):  # else the strict check lists the missing ones
            joined = torch.cat([renamed.pop(part) for part in parts])
            renamed[query.replace(".query.", ".qkv.")] = joined
    return renamed
