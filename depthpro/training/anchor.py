"""An anchor for the finer levels: they add details to what the coarsest level knows, and no more.

On photos the coarsest level alone orders depth better than the whole embedded network does that was
trained on rendered scenes by losses of depth: what finer windows learn about depth itself is about
the renderings. So the finer levels first learn to interpolate the coarsest one (the phase
`interpolation`), without which its cells show as a grid: deconvolutions without overlap repeat what
they read. Then they learn the truth's details around what the coarsest level predicts. Gradients
alone do not teach them: of an edge whose place is uncertain, the likeliest gradient is none.
"""

from pathlib import Path
from typing import Any, NamedTuple, cast

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
LEAST = 1e-4  # inverse depth, and so the sky, that has no details
MOST = 4.0  # largest ratio of a detail to its surroundings
LARGEST_STEP = 0.3, 0.05  # of the head's scale and offset


class Fit(NamedTuple):
    """Scale and offset of predictions."""

    scale: Float[Tensor, ""]
    offset: Float[Tensor, ""]

    @torch.no_grad()
    def fold_into(self, model: DepthPro) -> None:
        """Change the head's last convolution so that it predicts what was fitted."""
        last = cast(nn.Conv2d, model.head[-2])
        most, far = LARGEST_STEP
        scale = self.scale.clamp(1 - most, 1 + most)
        last.weight.mul_(scale)
        cast(Tensor, last.bias).mul_(scale).add_(self.offset.clamp(-far, far))


class Anchor:
    """The coarsest level as its phase has left it, with the head that only training has."""

    def __init__(self, folder: Path) -> None:
        """Read the level from a run's folder."""
        weights = folder / "coarse.safetensors"
        if not (weights.is_file() and (folder / HEAD).is_file()):
            raise ValueError(
                f"expected {weights.name} and {HEAD} in {folder}: an anchor needs the phase "
                f"coarse, of the coarsest level alone (finest={COARSEST}), in the same folder"
            )
        model = DepthPro.from_pretrained(weights, device="cpu")
        self.network = DepthNetwork(model, COARSEST).requires_grad_(False).eval()
        cast(nn.Conv2d, self.network.coarse_head).load_state_dict(load_file(folder / HEAD))

    @torch.no_grad()
    def predict(self, pictures: Tensor | list[Tensor]) -> Float[Tensor, "b 1 l l"]:
        """Return the level's canonical inverse depth, for images or the maps of frozen encoders."""
        maps = pictures if isinstance(pictures, list) else self.network.read_windows(pictures)
        return self.network(maps[-2:])[:, None]  # of the coarsest windows and the whole image


def details_around(coarse: Float[Tensor, "b 1 l l"], batch: Batch) -> Batch:
    """Return a batch with the level's inverse depth and the details of the true one.

    The prediction is multiplied by the truth's ratio to itself, both blurred to two cells.
    """
    side = batch.mask.shape[-1]
    cell = 2 * side // coarse.shape[-1]
    valid, truth = batch.mask[:, None], batch.inverse.float()[:, None]
    truth = truth.where(valid, 0.0)
    share = F.avg_pool2d(valid.float(), cell).clamp(min=1 / cell**2)
    blurred = _enlarged(F.avg_pool2d(truth, cell) / share, side)
    ratio = torch.where(blurred > LEAST, truth / blurred.clamp(min=LEAST), 1.0)
    smooth = F.avg_pool2d(_enlarged(coarse.clamp(min=0), side), cell)
    return batch._replace(inverse=(_enlarged(smooth, side) * ratio.clamp(max=MOST))[:, 0])


def fit(
    predicted: Float[Tensor, "b h h"], coarse: Tensor, side: int, crops: FineCrops | None
) -> Fit:
    """Return the scale and offset that bring a batch's predictions next to the level's.

    A decoder without normalisation swings in both from step to step, by more than its details
    change. With this fit they have no gradient, and `Fit.fold_into` brings the weights along.
    Predictions are of pictures with this `side` in pixels, or of their crops; `coarse` is the
    level's of whole pictures.
    """
    wanted = _where_predicted(coarse, predicted, side, crops)
    cell = 2 * side // coarse.shape[-1] * predicted.shape[-1] // (crops.side if crops else side)
    x, y = F.avg_pool2d(predicted.float()[:, None], cell), F.avg_pool2d(wanted, cell)
    weight = _weight(coarse).square().expand_as(x)
    weight = weight / weight.sum()
    mean_x, mean_y = (weight * x).sum(), (weight * y).sum()
    spread = (weight * (x - mean_x).square()).sum()
    scale = (weight * (x - mean_x) * (y - mean_y)).sum() / spread
    return Fit(scale, mean_y - scale * mean_x)


def interpolation_loss(
    predicted: Float[Tensor, "b h h"], coarse: Tensor, side: int, crops: FineCrops | None
) -> Float[Tensor, ""]:
    """Return how far predictions and their gradients are off from the smoothed level.

    Arguments are those of `fit`. Gradients are taken at five scales, from a pixel on.
    """
    line = torch.tensor([0.25, 0.5, 0.25], device=coarse.device)
    coarse = F.pad(coarse, (1, 1, 1, 1), mode="replicate")
    coarse = F.conv2d(coarse, torch.outer(line, line)[None, None])
    wanted = _where_predicted(coarse, predicted, side, crops)
    difference = (predicted.float()[:, None] - wanted) * _weight(coarse)
    loss = difference.abs().mean()
    for scale in GRADIENT_SCALES:
        blurred = F.avg_pool2d(difference, scale)
        loss = loss + 2 * sum(blurred.diff(dim=axis).abs().mean() for axis in (2, 3))
    return loss


def _where_predicted(
    coarse: Tensor, predicted: Float[Tensor, "b h h"], side: int, crops: FineCrops | None
) -> Float[Tensor, "b 1 h h"]:
    """Return the level's prediction where and as fine as the network's."""
    wanted = _enlarged(coarse, side)
    wanted = crops.cut(wanted) if crops else wanted
    return F.avg_pool2d(wanted, wanted.shape[-1] // predicted.shape[-1])


def _weight(coarse: Float[Tensor, "b 1 l l"]) -> Float[Tensor, "b 1 1 1"]:
    """Return what makes differences relative to the pictures' means."""
    return 1 / (coarse.clamp(min=0).mean((1, 2, 3), keepdim=True) + 0.1)


def _enlarged(maps: Float[Tensor, "b 1 _h _h"], side: int) -> Float[Tensor, "b 1 s s"]:
    return F.interpolate(maps, size=(side, side), mode="bilinear")


def loss_with_anchor(
    predicted: Any,
    pictures: Tensor | list[Tensor],
    batch: Batch,
    phase: Phase,
    anchor: Anchor | None,
    crops: FineCrops | None,
) -> tuple[Float[Tensor, ""], Fit | None]:
    """Return the loss that a phase minimises, and the fit of what was predicted to an anchor."""
    if anchor is None:
        return phase_loss(predicted, batch, phase, crops), None
    coarse, side = anchor.predict(pictures), batch.mask.shape[-1]
    if phase.name == "interpolation":
        return interpolation_loss(predicted, coarse, side, crops), None
    fitted = fit(predicted, coarse, side, crops)
    predicted = fitted.scale * predicted.float() + fitted.offset
    return phase_loss(predicted, details_around(coarse, batch), phase, crops), fitted


def save_head(network: DepthNetwork, folder: Path) -> None:
    """Keep the coarsest level's head for `Anchor`, if the network ends there."""
    if network.coarse_head is not None and network.finest == COARSEST:
        save_file(network.coarse_head.state_dict(), folder / HEAD)
