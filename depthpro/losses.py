"""The training objectives on canonical inverse depth, and the one on the field of view.

Each loss is a mean over the valid pixels of a picture, then over the pictures of the batch. Invalid
pixels may hold NaN. A picture without a valid pixel has loss 0 and a gradient of zeros, and counts
in the mean over the batch. Losses are computed in float32 (float64 for float64), also under
autocast; targets get no gradient.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

Maps = Float[Tensor, "b h w"]
Mask = Bool[Tensor, "b h w"]
PerPicture = Float[Tensor, " b"]
Loss = Float[Tensor, ""]

SCALES = 6  # of the derivative losses: of 512 pixels, the coarsest has 16
TRIM = 0.2  # share of a real picture's pixels with the largest errors that stage 1 leaves out
MIN_SCALE = 1e-4  # least mean absolute deviation to divide by: C at 10 km when f_px = width
LEAST_SHARE = 0.1
"""Least deviation of a prediction in stage 1, as a share of its target's. Divided by less, a nearly
constant map has gradients so large that clipping leaves nothing of all other losses."""
BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def mae(prediction: Maps, target: Maps, mask: Mask | None = None, trim: float = 0.0) -> Loss:
    """Return the mean absolute error without the largest errors of each picture.

    Maps hold canonical inverse depth, as it is or from `ssi_normalize`. The mask is True where the
    target is valid; None is everywhere. `trim` is the share of the valid pixels, those with the
    largest errors, to leave out; in [0, 1).
    """
    if not 0 <= trim < 1:
        raise ValueError(f"trim must be in [0, 1), the share of pixels to leave out; got {trim}")
    prediction, target, mask = _comparable(prediction, target, mask)
    error = (prediction - target).abs()
    return (_trimmed_mean(error, mask, trim) if trim else _mean(error, mask)).mean()


def mse(prediction: Maps, target: Maps, mask: Mask | None = None) -> Loss:
    """Return the mean squared error (Table 17); arguments as for `mae`."""
    prediction, target, mask = _comparable(prediction, target, mask)
    return _mean((prediction - target).square(), mask).mean()


def ssi_normalize(
    values: Maps, mask: Mask | None = None, least: Float[Tensor, " b"] | float = MIN_SCALE
) -> Maps:
    """Return (values - median) / mean absolute deviation from it, 0 at invalid pixels.

    Both are of a picture's valid pixels; of an even number, the median is the lower middle one. A
    deviation below `least` counts as `least`: a flat wall stays near 0. Source: Section 3.2, MiDaS.
    """
    values, _, mask = _comparable(values, values, mask)
    centred, deviation = _centred(values, mask)
    return centred / deviation.clamp(min=least)[:, None, None]


def mage(prediction: Maps, target: Maps, mask: Mask | None = None, scales: int = SCALES) -> Loss:
    """Return the mean absolute gradient error (Scharr) over full, half, quarter … resolution.

    Arguments as for `mae`. A derivative counts where all 3x3 pixels around it are valid; a scale
    without such a place adds 0. Source: Section 3.2, L_{S,1,M}; kernels, pyramid and masks are this
    project's choice.
    """
    prediction, target, mask = _comparable(prediction, target, mask)
    return _derivative_loss(prediction - target, mask, scales, mage=1).mean()


def male(prediction: Maps, target: Maps, mask: Mask | None = None, scales: int = SCALES) -> Loss:
    """Return the mean absolute Laplace error, L_{L,1,M}; else as `mage`."""
    prediction, target, mask = _comparable(prediction, target, mask)
    return _derivative_loss(prediction - target, mask, scales, male=1).mean()


def msge(prediction: Maps, target: Maps, mask: Mask | None = None, scales: int = SCALES) -> Loss:
    """Return the mean squared gradient error (Scharr), L_{S,2,M}; else as `mage`."""
    prediction, target, mask = _comparable(prediction, target, mask)
    return _derivative_loss(prediction - target, mask, scales, msge=1).mean()


def stage1_loss(
    prediction: Maps,
    target: Maps,
    mask: Mask | None = None,
    *,
    metric: Bool[Tensor, " b"],
    synthetic: Bool[Tensor, " b"],
    ssi: Literal["own", "truth"] = "own",
    mage_weight: float = 1.0,
    scales: int = SCALES,
) -> Loss:
    """Return the first stage's loss, which depends on the kind of each picture (Table 17).

    | picture | loss |
    |---|---|
    | metric, synthetic | MAE + SSI-MAGE |
    | metric, real | MAE without the 20 % largest errors |
    | not metric, synthetic | SSI-MAE + SSI-MAGE |
    | not metric, real | SSI-MAE without the 20 % largest errors |

    Maps and mask are as for `mae`, but targets that are not `metric` may be in any unit and from
    any zero. `synthetic` pictures are rendered, so that their edges are exact. `ssi="own"` divides
    both maps by their own deviations, as the paper does; "truth" divides the difference in SSI-MAGE
    by the target's deviation where the target is metric, so that wrong contrast costs. A
    `mage_weight` of 0 leaves SSI-MAGE out (ablation 1A).
    """
    prediction, target, mask = _comparable(prediction, target, mask)
    fit = metric.shape == synthetic.shape == mask.shape[:1]
    _require(fit, f"flags for each of {len(mask)} pictures", metric, synthetic)
    difference = prediction - target
    centred, deviation = _centred(target, mask)
    deviation = deviation.clamp(min=MIN_SCALE)
    least = (LEAST_SHARE * deviation).clamp(min=MIN_SCALE)
    ssi_difference = ssi_normalize(prediction, mask, least) - centred / deviation[:, None, None]
    is_metric = metric[:, None, None]
    if ssi == "truth":
        scaled = difference / deviation[:, None, None]
        ssi_difference = torch.where(is_metric, scaled, ssi_difference)
    error = torch.where(is_metric, difference, ssi_difference).abs()
    loss = torch.where(synthetic, _mean(error, mask), _trimmed_mean(error, mask, TRIM))
    if mage_weight:
        exact = mask & synthetic[:, None, None]
        loss = loss + _derivative_loss(ssi_difference, exact, scales, mage=mage_weight)
    return loss.mean()


def stage2_loss(
    prediction: Maps,
    target: Maps,
    mask: Mask | None = None,
    *,
    mae_weight: float = 1.0,
    mse_weight: float = 1.0,
    mage_weight: float = 1.0,
    male_weight: float = 1.0,
    msge_weight: float = 1.0,
    scales: int = SCALES,
) -> Loss:
    """Return MAE + MSE + MAGE + MALE + MSGE (Table 17); terms of weight 0 are not computed."""
    prediction, target, mask = _comparable(prediction, target, mask)
    difference = prediction - target
    loss = difference.new_zeros(len(difference))
    if mae_weight:
        loss = loss + mae_weight * _mean(difference.abs(), mask)
    if mse_weight:
        loss = loss + mse_weight * _mean(difference.square(), mask)
    if any(weights := (mage_weight, male_weight, msge_weight)):
        loss = loss + _derivative_loss(difference, mask, scales, *weights)
    return loss.mean()


def fov_loss(
    fov_deg: Float[Tensor, " b"],
    target_deg: Float[Tensor, " b"],
    weight: Float[Tensor, " b"] | None = None,
) -> Loss:
    """Return the (weighted) mean squared error in degrees, over 100: 10 degrees off cost 1."""
    _require(fov_deg.shape == target_deg.shape, "angles of one shape (b,)", fov_deg, target_deg)
    squares = (fov_deg - target_deg.detach()).square() / 100
    return squares.mean() if weight is None else (weight * squares).sum() / weight.sum()


def _comparable(
    prediction: Tensor, target: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return both maps in at least float32, 0 where invalid, the target without gradient; mask."""
    if mask is None:
        mask = torch.ones_like(prediction, dtype=torch.bool)
    fit = prediction.shape == target.shape == mask.shape and mask.dtype == torch.bool
    _require(fit, "two maps and a boolean mask of one shape (b, h, w)", prediction, target, mask)
    dtype = torch.promote_types(prediction.dtype, torch.float32)
    prediction, target = (
        torch.where(mask, maps.to(dtype), 0.0) for maps in (prediction, target.detach())
    )
    return prediction, target, mask


def _require(met: bool, what: str, *tensors: Tensor) -> None:
    if not met:
        came = " and ".join(f"{tuple(tensor.shape)} of {tensor.dtype}" for tensor in tensors)
        raise ValueError(f"the loss takes {what}; got {came}; reshape or convert before the call")


def _mean(values: Maps, valid: Maps | Mask) -> PerPicture:
    """Return the mean over a picture's valid pixels, 0 without any."""
    return (values * valid).sum((1, 2)) / valid.sum((1, 2)).clamp(min=1)


def _trimmed_mean(error: Maps, mask: Mask, trim: float) -> PerPicture:
    """Return the mean without the largest errors; one that is not finite still makes it NaN."""
    count = mask.sum((1, 2))
    kept = count - (trim * count).floor()
    ascending = error.where(mask, torch.finfo(error.dtype).max).flatten(1).sort(1).values
    smallest = torch.arange(ascending.shape[1], device=error.device) < kept[:, None]
    return (ascending * smallest).sum(1) / kept.clamp(min=1)


def _centred(values: Maps, mask: Mask) -> tuple[Maps, PerPicture]:
    """Return values less their median, 0 at invalid pixels, and their mean absolute deviation."""
    median = torch.where(mask, values, torch.nan).flatten(1).nanmedian(1).values
    centred = torch.where(mask, values - median[:, None, None], 0.0)  # NaN for an empty mask
    return centred, _mean(centred.abs(), mask)


def _derivative_loss(
    difference: Maps, mask: Mask, scales: int, mage: float = 0, male: float = 0, msge: float = 0
) -> PerPicture:
    """Return the weighted sum of losses 1/M sum_j 1/N_j sum_i |D C_i^j - D C'_i^j|^p.

    Blur and derivatives are linear, so they are taken of the difference C - C'. The two components
    of a gradient are averaged.
    """
    if scales < 1:
        raise ValueError(f"scales must be at least 1, the full resolution; got {scales}")
    valid = mask.to(difference.dtype)
    loss = difference.new_zeros(len(difference))
    for scale in range(scales):
        if scale > 0:
            difference, valid = _halve(difference, valid)
        if min(difference.shape[1:]) < 3:
            break
        inside = -F.max_pool2d(-valid, 3, stride=1)  # 1 where all 3x3 pixels are valid
        if mage or msge:
            for slope in (_scharr(difference), _scharr(difference.mT).mT):
                if mage:
                    loss = loss + mage / 2 * _mean(slope.abs(), inside)
                if msge:
                    loss = loss + msge / 2 * _mean(slope.square(), inside)
        if male:
            loss = loss + male * _mean(_laplace(difference).abs(), inside)
    return loss / scales


def _halve(difference: Maps, valid: Maps) -> tuple[Tensor, Tensor]:
    """Return the next scale and where it is valid: where any pixel under the kernel was."""
    weight = _blur(valid)
    blurred = _blur(difference) / weight.clamp(min=1 / 256)  # the least weight of one valid pixel
    return blurred, (weight > 0).to(valid.dtype)


def _blur(maps: Maps) -> Tensor:
    """Return every second pixel, the first included, of blurred maps with zeros around them.

    A sum of slices: `conv2d` is several times slower for one channel on a CPU, and rounds to TF32
    on CUDA and to bfloat16 under autocast.
    """
    for _ in range(2):  # along rows, then along columns
        padded, width = F.pad(maps, (2, 2)), maps.shape[-1]
        parts = [tap * padded[..., k : k + width : 2] for k, tap in enumerate(BINOMIAL)]
        maps = sum(parts[1:], parts[0]).mT
    return maps


def _scharr(maps: Maps) -> Tensor:
    """Return the slope along the last axis in 1/pixel (b h-2 w-2)."""
    slope = (maps[:, :, 2:] - maps[:, :, :-2]) / 2
    return (3 * slope[:, 2:] + 10 * slope[:, 1:-1] + 3 * slope[:, :-2]) / 16


def _laplace(maps: Maps) -> Tensor:
    """Return the sum of both second derivatives in 1/pixel^2 (b h-2 w-2)."""
    beside = maps[:, 1:-1, 2:] + maps[:, 1:-1, :-2] + maps[:, 2:, 1:-1] + maps[:, :-2, 1:-1]
    return beside - 4 * maps[:, 1:-1, 1:-1]
