"""An anchor for the finer levels: they add edges to what the coarsest level knows, and no more.

On photos the coarsest level alone orders depth better than the whole embedded network does that was
trained on rendered scenes by losses of depth: what finer windows learn about depth itself is about
the renderings. So the finer levels first learn to interpolate the coarsest one (the phase
`interpolation`), without which its cells show as a grid: deconvolutions without overlap repeat what
they read. Then they learn gradients, held to the coarsest level.
"""

import copy
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from depthpro.data.batches import Batch
from depthpro.model import DepthPro
from depthpro.training.fine_crop import FineCrops
from depthpro.training.phases import COARSEST, DepthNetwork, phase_loss
from depthpro.training.recipe import Phase

HEAD = "coarse_head.safetensors"
GRADIENT_SCALES = (1, 2, 4, 8, 16)


class Anchor:
    """The coarsest level as its phase has left it, with the head that only training has."""

    def __init__(self, model: DepthPro, folder: Path) -> None:
        """Keep a copy of the level, which the model's training may change."""
        if not (folder / HEAD).is_file():
            raise ValueError(
                f"expected {HEAD} in {folder}: an anchor needs a phase that trains the coarsest "
                f"level alone (finest={COARSEST}) in the same folder"
            )
        self.network = DepthNetwork(copy.deepcopy(model), COARSEST).requires_grad_(False).eval()
        cast(nn.Conv2d, self.network.coarse_head).load_state_dict(load_file(folder / HEAD))

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
        coarse = self._predict(pictures)
        cells = 2 * side // coarse.shape[-1]
        difference = self._difference(predicted, coarse, side, crops)
        scale = (crops.side if crops else side) // predicted.shape[-1]
        return F.avg_pool2d(difference, cells // scale).abs().mean()

    def interpolation_loss(
        self,
        predicted: Float[Tensor, "b h h"],
        pictures: Tensor | list[Tensor],
        side: int,
        crops: FineCrops | None,
    ) -> Float[Tensor, ""]:
        """Return how far predictions and their gradients are off from the smoothed level.

        Arguments are those of `loss`. Gradients are taken at five scales, from a pixel on.
        """
        coarse = F.pad(self._predict(pictures)[:, None], (1, 1, 1, 1), mode="replicate")
        line = torch.tensor([0.25, 0.5, 0.25], device=coarse.device)
        coarse = F.conv2d(coarse, torch.outer(line, line)[None, None])[:, 0]
        difference = self._difference(predicted, coarse, side, crops)
        loss = difference.abs().mean()
        for scale in GRADIENT_SCALES:
            blurred = F.avg_pool2d(difference, scale)
            loss = loss + 2 * sum(blurred.diff(dim=axis).abs().mean() for axis in (2, 3))
        return loss

    @torch.no_grad()
    def _predict(self, pictures: Tensor | list[Tensor]) -> Float[Tensor, "b l l"]:
        """Return the coarsest level's canonical inverse depth."""
        maps = pictures if isinstance(pictures, list) else self.network.read_windows(pictures)
        return self.network(maps[-2:])  # of the coarsest windows and of the whole image

    @staticmethod
    def _difference(
        predicted: Float[Tensor, "b h h"],
        coarse: Float[Tensor, "b l l"],
        side: int,
        crops: FineCrops | None,
    ) -> Float[Tensor, "b 1 h h"]:
        """Return the difference to the level's prediction, relative to the picture's mean."""
        wanted = F.interpolate(coarse[:, None], size=(side, side), mode="bilinear")[:, 0]
        wanted = crops.cut(wanted) if crops else wanted
        wanted = F.avg_pool2d(wanted[:, None], wanted.shape[-1] // predicted.shape[-1])
        weight = 1 / (coarse.clamp(min=0).mean((1, 2)) + 0.1)
        return (predicted.float()[:, None] - wanted) * weight[:, None, None, None]


def loss_with_anchor(
    predicted: Any,
    pictures: Tensor | list[Tensor],
    batch: Batch,
    phase: Phase,
    anchor: Anchor | None,
    crops: FineCrops | None,
) -> Float[Tensor, ""]:
    """Return the loss that a phase minimises: its own, and what an anchor adds."""
    side = batch.mask.shape[-1]
    if anchor and phase.name == "interpolation":
        return anchor.interpolation_loss(predicted, pictures, side, crops)
    loss = phase_loss(predicted, batch, phase, crops)
    return loss + phase.anchor * anchor.loss(predicted, pictures, side, crops) if anchor else loss


def save_head(network: DepthNetwork, folder: Path) -> None:
    """Keep the coarsest level's head for `Anchor`, if the network ends there."""
    if network.coarse_head is not None and network.finest == COARSEST:
        save_file(network.coarse_head.state_dict(), folder / HEAD)
