"""An anchor for the finer levels: they add edges to what the coarsest level knows, and no more.

On photos the coarsest level alone orders depth better than the whole embedded network does that was
trained on rendered scenes by losses of depth: what finer windows learn about depth itself is about
the renderings. With an anchor they start from nothing, and learn gradients alone.
"""

import copy
from pathlib import Path
from typing import cast

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from depthpro.model import DepthPro
from depthpro.training.fine_crop import FineCrops
from depthpro.training.phases import DepthNetwork

HEAD = "coarse_head.safetensors"
COARSEST = 4


class Anchor:
    """The coarsest level as its phase has left it, with the head that only training has."""

    def __init__(self, model: DepthPro, folder: Path) -> None:
        """Keep a copy of the level, and let the model's finer levels start from nothing."""
        if not (folder / HEAD).is_file():
            raise ValueError(
                f"expected {HEAD} in {folder}: an anchor needs a phase that trains the coarsest "
                f"level alone (finest={COARSEST}) in the same folder"
            )
        self.network = DepthNetwork(copy.deepcopy(model), COARSEST).requires_grad_(False).eval()
        cast(nn.Conv2d, self.network.coarse_head).load_state_dict(load_file(folder / HEAD))
        start_from_coarsest(model)

    def loss(
        self,
        predicted: Float[Tensor, "b h h"],
        pictures: Tensor | list[Tensor],
        side: int,
        crops: FineCrops | None,
    ) -> Float[Tensor, ""]:
        """Return how far predictions are off, blurred to two cells of the level.

        Args:
            predicted: Canonical inverse depth of pictures, or of their `crops`.
            pictures: Images, or the maps of frozen encoders.
            side: Of the pictures, in pixels.
            crops: What was predicted, if not all.
        """
        with torch.no_grad():
            maps = pictures if isinstance(pictures, list) else self.network.read_windows(pictures)
            coarse = self.network(maps[-2:])  # of the coarsest windows and of the whole image
            wanted = F.interpolate(coarse[:, None], size=(side, side), mode="bilinear")[:, 0]
            wanted = crops.cut(wanted) if crops else wanted
            weight = 1 / (coarse.clamp(min=0).mean((1, 2), keepdim=True) + 0.1)
        scale = wanted.shape[-1] // predicted.shape[-1]
        wanted = F.avg_pool2d(wanted[:, None], scale)[:, 0]
        cells = 2 * side // (coarse.shape[-1] * scale)
        return F.avg_pool2d(((predicted.float() - wanted) * weight)[:, None], cells).abs().mean()


def save_head(network: DepthNetwork, folder: Path) -> None:
    """Keep the coarsest level's head for `Anchor`, if the network ends there."""
    if network.coarse_head is not None and network.finest == COARSEST:
        save_file(network.coarse_head.state_dict(), folder / HEAD)


@torch.no_grad()
def start_from_coarsest(model: DepthPro) -> None:
    """Let the finer levels add nothing at first: their projections are 0, and learn from there."""
    for projection in [*model.decoder.convs][1:COARSEST]:
        cast(nn.Conv2d, projection).weight.zero_()
    cast(nn.Module, model.encoder.upsample_latent0[-1]).get_parameter("weight").zero_()
    for fusion in [*model.decoder.fusions][:COARSEST]:
        for name in ("weight", "bias"):
            fusion.get_parameter(f"resnet1.residual.3.{name}").zero_()
