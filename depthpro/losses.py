"""The training objectives on canonical inverse depth, and the one on the field of view.

Each loss is a mean over the valid pixels of a picture, and over scales and components where there
are any; then a mean over the pictures of the batch.

Invalid pixels may hold NaN. A picture without a valid pixel has loss 0 and a gradient of zeros, and
counts in the mean over the batch. Losses are computed in float32 (float64 for float64) whatever the
input and autocast; targets get no gradient.
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

SCALES = 6
"""Scales of the derivative losses: of 512 pixels, the coarsest has 16."""
TRIM = 0.2
"""Share of a real picture's pixels, those with the largest errors, that stage 1 leaves out."""
LEAST_SHARE = 0.1
"""Least deviation of a prediction in stage 1, as a share of its target's. Divided by less, a nearly
constant map has gradients so large that clipping leaves nothing of all other losses."""
MIN_SCALE = 1e-4
"""Least mean absolute deviation that `ssi_normalize` divides by: C at 10 km when f_px = width."""

SMOOTH, SLOPE = (3 / 16, 10 / 16, 3 / 16), (-1 / 2, 0.0, 1 / 2)  # their product is Scharr / 32
CURVATURE = (1.0, -2.0, 1.0)
BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def mae(prediction: Maps, target: Maps, mask: Mask | None = None, trim: float = 0.0) -> Loss:
    """Return the mean absolute error without the largest errors of each picture.

    Args:
        prediction: Canonical inverse depth, as it is or from `ssi_normalize`.
        target: The same, measured.
        mask: True where the target is valid; None for everywhere.
        trim: Of n valid pixels, the floor(trim n) with the largest errors are left out; in [0, 1).
            Ties at the threshold are weighted equally.

    Source: Section 3.2; FACTS 2.
    """
    prediction, target, mask = _comparable(prediction, target, mask)
    error = (prediction - target).abs()
    return _mean(error, _trimmed_weights(error, mask, trim)).mean()


def mse(prediction: Maps, target: Maps, mask: Mask | None = None) -> Loss:
    """Return the mean squared error; arguments as for `mae`.

    Source: Table 17, Appendix B.5.
    """
    prediction, target, mask = _comparable(prediction, target, mask)
    return _mean((prediction - target).square(), _weights(mask.to(prediction.dtype))).mean()


def ssi_normalize(
    values: Maps, mask: Mask | None = None, least: Float[Tensor, " b"] | float = MIN_SCALE
) -> Maps:
    """Return (values - median) / mean absolute deviation from it, 0 at invalid pixels.

    Both statistics are of a picture's valid pixels; of an even number, the median is the lower
    middle one. The gradient flows through both. A deviation below `least` counts as `least`, so
    that a flat wall stays near 0.

    Source: Section 3.2 after MiDaS; FACTS 12.
    """
    values, _, mask = _comparable(values, values, mask)
    centred, deviation = _centred(values, mask)
    return centred / deviation.clamp(min=least)[:, None, None]


def _centred(values: Maps, mask: Mask) -> tuple[Maps, PerPicture]:
    """Return values less their median, 0 at invalid pixels, and their mean absolute deviation."""
    median = torch.where(mask, values, torch.nan).flatten(1).nanmedian(1).values
    centred = torch.where(mask, values - median[:, None, None], 0.0)  # NaN for an empty mask
    return centred, _mean(centred.abs(), _weights(mask.to(values.dtype)))


def mage(prediction: Maps, target: Maps, mask: Mask | None = None, scales: int = SCALES) -> Loss:
    """Return the mean absolute gradient error (Scharr) over all scales.

    Args:
        prediction: As for `mae`.
        target: As for `mae`.
        mask: As for `mae`; a derivative counts where all 3x3 pixels around it are valid.
        scales: M, the number of scales: the full resolution, half of it, and so on. One smaller
            than 3x3, or with no 3x3 valid pixels, contributes 0; M stays what it is.

    Source: Section 3.2, L_{S,1,M}; kernels, pyramid and masks as in FACTS 12.
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
    """Return the first stage's loss, which depends on the kind of each picture.

    | picture | loss |
    |---|---|
    | metric, synthetic | MAE + SSI-MAGE |
    | metric, real | MAE without the 20 % largest errors |
    | not metric, synthetic | SSI-MAE + SSI-MAGE |
    | not metric, real | SSI-MAE without the 20 % largest errors |

    Args:
        prediction: Canonical inverse depth.
        target: The same, measured; in any unit and from any zero where not `metric`.
        mask: True where the target is valid; None for everywhere.
        metric: Which pictures' targets are metric.
        synthetic: Which pictures are rendered, so that their edges are exact.
        ssi: "own" normalises both maps by their own deviations, as the paper does; "truth" divides
            the difference in SSI-MAGE by the target's deviation where the target is metric, so that
            wrong contrast costs.
        mage_weight: Weight of SSI-MAGE; 0 leaves it out (ablation 1A).
        scales: Of SSI-MAGE, as in `mage`.

    Source: Table 17; weights as in FACTS 12.
    """
    prediction, target, mask = _comparable(prediction, target, mask)
    for flags in (metric, synthetic):
        fit = flags.shape == mask.shape[:1] and flags.dtype == torch.bool
        _require(fit, f"a boolean for each of {len(mask)} pictures", flags)
    metric, synthetic = metric[:, None, None], synthetic[:, None, None]
    difference = prediction - target
    centred, deviation = _centred(target, mask)
    deviation = deviation.clamp(min=MIN_SCALE)
    least = (LEAST_SHARE * deviation).clamp(min=MIN_SCALE)
    ssi_difference = ssi_normalize(prediction, mask, least) - centred / deviation[:, None, None]
    if ssi == "truth":
        ssi_difference = torch.where(metric, difference / deviation[:, None, None], ssi_difference)
    error = torch.where(metric, difference, ssi_difference).abs()
    every_pixel = _weights(mask.to(error.dtype))
    loss = _mean(error, torch.where(synthetic, every_pixel, _trimmed_weights(error, mask, TRIM)))
    if mage_weight:
        loss = loss + _derivative_loss(ssi_difference, mask & synthetic, scales, mage=mage_weight)
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
    """Return MAE + MSE + MAGE + MALE + MSGE, the second stage's loss, a mean over the batch.

    Terms of weight 0 are not computed. All 1 is ablation 2A; 2B is without MALE, 2C also without
    MSGE, 2D is MAE + MSE and 2E is MAE.

    Source: Table 17, Appendix B.5; weights as in FACTS 12.
    """
    prediction, target, mask = _comparable(prediction, target, mask)
    difference = prediction - target
    pixels = _weights(mask.to(difference.dtype))
    loss = difference.new_zeros(len(difference))
    if mae_weight:
        loss = loss + mae_weight * _mean(difference.abs(), pixels)
    if mse_weight:
        loss = loss + mse_weight * _mean(difference.square(), pixels)
    if any(weights := (mage_weight, male_weight, msge_weight)):
        loss = loss + _derivative_loss(difference, mask, scales, *weights)
    return loss.mean()


def fov_loss(
    fov_deg: Float[Tensor, " b"],
    target_deg: Float[Tensor, " b"],
    weight: Float[Tensor, " b"] | None = None,
) -> Loss:
    """Return the squared error of the field of view in degrees, over 100, a mean over the batch.

    10 degrees off costs 1. Weights make it a weighted mean.

    Source: Section 3.3; the factor as in FACTS 12.
    """
    _require(fov_deg.shape == target_deg.shape, "angles of one shape (b,)", fov_deg, target_deg)
    dtype = torch.promote_types(fov_deg.dtype, torch.float32)
    squares = (fov_deg.to(dtype) - target_deg.detach().to(dtype)).square() / 100
    return squares.mean() if weight is None else (weight * squares).sum() / weight.sum()


def _comparable(
    prediction: Tensor, target: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return both maps as `_zeroed` makes them, the target without gradient, and the mask."""
    if mask is None:
        mask = torch.ones_like(prediction, dtype=torch.bool)
    fit = prediction.shape == target.shape == mask.shape and mask.dtype == torch.bool
    _require(fit, "two maps and a boolean mask of one shape (b, h, w)", prediction, target, mask)
    prediction = _zeroed(prediction, mask)
    return prediction, _zeroed(target.detach(), mask).to(prediction.dtype), mask


def _require(met: bool, what: str, *tensors: Tensor) -> None:
    if not met:
        came = " and ".join(f"{tuple(tensor.shape)} of {tensor.dtype}" for tensor in tensors)
        raise ValueError(f"the loss takes {what}; got {came}; reshape or convert before the call")


def _zeroed(values: Tensor, mask: Tensor) -> Tensor:
    """Return at least float32, and 0 at invalid pixels, so that NaN there meets no arithmetic."""
    dtype = torch.promote_types(values.dtype, torch.float32)
    return torch.where(mask, values.to(dtype), 0.0)


def _weights(valid: Maps) -> Maps:
    """Return each pixel's weight in its picture's mean: 1/N for each of N valid ones, else 0."""
    return valid / valid.sum((1, 2), keepdim=True).clamp(min=1)


def _mean(values: Maps, weights: Maps) -> PerPicture:
    return (values * weights).sum((1, 2))


def _trimmed_weights(error: Maps, mask: Mask, trim: float) -> Maps:
    """Return weights as `_weights`, but 0 for the floor(trim n) largest of a picture's n errors."""
    if not 0 <= trim < 1:
        raise ValueError(f"trim must be in [0, 1), the share of pixels to leave out; got {trim}")
    if trim == 0:
        return _weights(mask.to(error.dtype))
    count = mask.sum((1, 2), keepdim=True)
    dropped = (trim * count.double() + 1e-6).floor()  # 0.29 of 100 pixels are 29, not 28
    kept = count - dropped.long()
    ranked = error.detach().where(mask, torch.inf).flatten(1).sort(1).values
    largest = ranked.gather(1, kept.flatten(1).clamp(min=1) - 1)[..., None]
    below, tied = mask & (error < largest), mask & (error == largest)
    places = (kept - below.sum((1, 2), keepdim=True)).to(error.dtype)
    weights = below + tied * places / tied.sum((1, 2), keepdim=True).clamp(min=1)
    return weights / kept.clamp(min=1)


def _derivative_loss(
    difference: Maps, mask: Mask, scales: int, mage: float = 0, male: float = 0, msge: float = 0
) -> PerPicture:
    """Return (1/M) sum_j (1/N_j) sum_i |D C_i^j - D C'_i^j|^p of each picture, weighted and added.

    Blur, stride and derivatives are linear and both maps have one mask, so all is computed on the
    difference C - C'. The two components of a gradient are averaged.
    """
    if scales < 1:
        raise ValueError(f"scales must be at least 1, the full resolution; got {scales}")
    valid = mask.to(difference.dtype)
    loss = difference.new_zeros(len(difference))
    for scale in range(scales):
        if scale > 0:
            difference, valid = _halve(difference, valid)
        pixels = _weights(_whole(valid))
        if mage or msge:
            for slope in (_scharr(difference), _scharr(difference.mT).mT):
                if mage:
                    loss = loss + mage / 2 * _mean(slope.abs(), pixels)
                if msge:
                    loss = loss + msge / 2 * _mean(slope.square(), pixels)
        if male:
            loss = loss + male * _mean(_laplace(difference).abs(), pixels)
    return loss / scales


def _halve(difference: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Return the next scale and where it is valid: where any pixel under the kernel was."""
    weight = _blur(valid)
    blurred = _blur(difference) / weight.clamp(min=1 / 256)  # the least weight of one valid pixel
    return blurred, (weight > 0).to(valid.dtype)


def _blur(maps: Tensor) -> Tensor:
    """Return every second pixel, the first included, of blurred maps with zeros around them."""
    maps = _correlate(F.pad(maps, (2, 2, 2, 2)), BINOMIAL, stride=2)
    return _correlate(maps.mT, BINOMIAL, stride=2).mT


def _whole(valid: Tensor) -> Tensor:
    """Return 1 for each 3x3 square without an invalid pixel, else 0 (b h-2 w-2)."""
    rows = valid[:, 2:] * valid[:, 1:-1] * valid[:, :-2]
    return rows[:, :, 2:] * rows[:, :, 1:-1] * rows[:, :, :-2]


def _scharr(maps: Tensor) -> Tensor:
    """Return the slope along the last axis in 1/pixel (b h-2 w-2)."""
    return _correlate(_correlate(maps.mT, SMOOTH).mT, SLOPE)


def _laplace(maps: Tensor) -> Tensor:
    """Return the sum of both second derivatives in 1/pixel^2 (b h-2 w-2)."""
    across = _correlate(maps[:, 1:-1], CURVATURE)
    return across + _correlate(maps[:, :, 1:-1].mT, CURVATURE).mT


def _correlate(maps: Tensor, taps: tuple[float, ...], stride: int = 1) -> Tensor:
    """Return the correlation along the last axis where the kernel fits; empty on a small map.

    A sum of slices: `conv2d` is several times slower on a CPU, and rounds to TF32 on CUDA and to
    bfloat16 under autocast.
    """
    places = max(maps.shape[-1] - len(taps) + 1, 0)
    first, *others = (tap * maps[..., k : k + places : stride] for k, tap in enumerate(taps) if tap)
    return sum(others, first)
