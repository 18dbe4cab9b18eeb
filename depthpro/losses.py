"""The training objectives on canonical inverse depth, and the one on the field of view.

Each loss is a mean over the valid pixels of a picture, and over scales and components where there
are any; then a mean over the pictures of the batch: one number, ready for `backward`.

Invalid pixels never enter the arithmetic, so they may hold NaN. A picture without a valid pixel
has a loss of exactly 0, a gradient of zeros, and still counts in the mean over the batch. What is
computed is float32 (float64 for float64), whatever the input and autocast; targets get no
gradient.
"""

from fractions import Fraction
from typing import Any, Literal

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
"""Share of the pixels of a real picture that stage 1 leaves out, those with the largest errors."""
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
        prediction: Canonical inverse depth, or what `ssi_normalize` makes of it.
        target: The same, measured.
        mask: True where the target is valid; None for everywhere.
        trim: Of n valid pixels, the floor(trim n) with the largest errors are left out; a
            fraction in [0, 1) with a denominator up to 1000. Pixels that tie for the last places
            share them equally: the value is exact, and no pixel is preferred in the gradient.

    Source: Section 3.2; FACTS 2.
    """
    prediction, target, mask = _comparable(prediction, target, mask)
    error = (prediction - target).abs()
    return _mean(error, _trimmed_shares(error, mask, trim)).mean()


def mse(prediction: Maps, target: Maps, mask: Mask | None = None) -> Loss:
    """Return the mean squared error; arguments as for `mae`.

    Source: Table 17, Appendix B.5.
    """
    prediction, target, mask = _comparable(prediction, target, mask)
    return _mean((prediction - target).square(), _shares(mask.to(prediction.dtype))).mean()


def ssi_normalize(
    values: Maps, mask: Mask | None = None, least: Float[Tensor, " b"] | float = MIN_SCALE
) -> Maps:
    """Return (values - median) / mean absolute deviation from it, 0 at invalid pixels.

    Both statistics are of a picture's valid pixels; of an even number, the median is the lower
    middle one. The gradient flows through both, so that it is blind to scale and shift as the
    result is. A deviation below `least` counts as `least`: a flat wall stays near 0.

    Source: Section 3.2 after MiDaS; FACTS 12.
    """
    values, _, mask = _comparable(values, values, mask)
    centred, deviation = _centred(values, mask)
    return centred / deviation.clamp(min=least)[:, None, None]


def _centred(values: Maps, mask: Mask) -> tuple[Maps, PerPicture]:
    """Return values less their median, 0 at invalid pixels, and their mean absolute deviation."""
    median = torch.where(mask, values, torch.nan).flatten(1).nanmedian(1).values
    centred = torch.where(mask, values - median[:, None, None], 0.0)  # NaN for an empty mask
    return centred, _mean(centred.abs(), _shares(mask.to(values.dtype)))


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
    """Return the first stage's loss, a mean over the batch of what each picture can teach.

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
        ssi: What the difference in SSI-MAGE is made of: "own" normalises both maps by their own
            deviations, as the paper does; "truth" divides the difference by the target's deviation
            where the target is metric, so that a map of wrong contrast is pulled to the right one.
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
    every_pixel = _shares(mask.to(error.dtype))
    loss = _mean(error, torch.where(synthetic, every_pixel, _trimmed_shares(error, mask, TRIM)))
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

    What has weight 0 is not computed. All 1 is ablation 2A; 2B is without MALE, 2C also without
    MSGE, 2D is MAE + MSE and 2E is MAE.

    Source: Table 17, Appendix B.5; weights as in FACTS 12.
    """
    prediction, target, mask = _comparable(prediction, target, mask)
    difference = prediction - target
    shares = _shares(mask.to(difference.dtype))
    loss = difference.new_zeros(len(difference))
    if mae_weight:
        loss = loss + mae_weight * _mean(difference.abs(), shares)
    if mse_weight:
        loss = loss + mse_weight * _mean(difference.square(), shares)
    if any(weights := (mage_weight, male_weight, msge_weight)):
        loss = loss + _derivative_loss(difference, mask, scales, *weights)
    return loss.mean()


def fov_loss(fov_deg: Float[Tensor, " b"], target_deg: Float[Tensor, " b"]) -> Loss:
    """Return the squared error of the field of view in degrees, over 100, a mean over the batch.

    10 degrees off costs 1.

    Source: Section 3.3; the factor as in FACTS 12.
    """
    _require(fov_deg.shape == target_deg.shape, "angles of one shape (b,)", fov_deg, target_deg)
    dtype = torch.promote_types(fov_deg.dtype, torch.float32)
    return (fov_deg.to(dtype) - target_deg.detach().to(dtype)).square().mean() / 100


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


def _shares(valid: Maps) -> Maps:
    """Return each pixel's weight in its picture's mean: 1/N for each of N valid ones, else 0."""
    return valid / valid.sum((1, 2), keepdim=True).clamp(min=1)


def _mean(values: Maps, shares: Maps) -> PerPicture:
    return (values * shares).sum((1, 2))


def _trimmed_shares(error: Maps, mask: Mask, trim: float) -> Maps:
    """Return weights as `_shares`, but 0 for the floor(trim n) largest errors of a picture.

    The largest error to keep is found by `kthvalue`, whose rank is one number for all pictures,
    although their numbers of valid pixels differ: enough of the invalid pixels count as infinite
    errors to bring each picture's cut to that rank, the others as -infinite ones.
    """
    part = Fraction(trim).limit_denominator(1000)  # exact: 0.29 of 100 pixels are 29, not 28
    if not 0 <= part < 1:
        raise ValueError(f"trim must be in [0, 1), the share of pixels to leave out; got {trim}")
    valid = mask.to(error.dtype)
    if part == 0:
        return _shares(valid)
    error, mask = error.detach().flatten(1), mask.flatten(1)
    pixels, count = mask.shape[1], mask.sum(1, keepdim=True)
    cut = pixels * part.numerator // part.denominator
    dropped = count * part.numerator // part.denominator
    infinite = (~mask).cumsum(1) <= cut - dropped
    ranked = error.where(mask, torch.where(infinite, torch.inf, -torch.inf))
    largest = ranked.kthvalue(pixels - cut, dim=1, keepdim=True).values
    below, tied = mask & (error < largest), mask & (error == largest)
    room = (count - dropped - below.sum(1, keepdim=True)).to(error.dtype)
    kept = below + tied * (room / tied.sum(1, keepdim=True).clamp(min=1))
    return (kept / (count - dropped).clamp(min=1)).view_as(valid)


def _derivative_loss(
    difference: Maps, mask: Mask, scales: int, mage: float = 0, male: float = 0, msge: float = 0
) -> PerPicture:
    """Return (1/M) sum_j (1/N_j) sum_i |D C_i^j - D C'_i^j|^p of each picture, weighted and added.

    Blur, stride and derivatives are linear and both maps have one mask: all is done once, on the
    difference C - C'. The two components of a gradient are averaged.
    """
    if scales < 1:
        raise ValueError(f"scales must be at least 1, the full resolution; got {scales}")
    valid = mask.to(difference.dtype)
    loss = difference.new_zeros(len(difference))
    for scale in range(scales):
        if scale > 0:
            difference, valid = _halve(difference, valid)
        shares = _shares(_whole(valid))
        for dim in (1, 2) if mage or msge else ():
            slope = _scharr(difference, dim)
            if mage:
                loss = loss + mage / 2 * _mean(slope.abs(), shares)
            if msge:
                loss = loss + msge / 2 * _mean(slope.square(), shares)
        if male:
            loss = loss + male * _mean(_laplace(difference).abs(), shares)
    return loss / scales


def _halve(difference: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Return the next scale and where it is valid: where any pixel under the kernel was."""
    weight = _blur(valid)
    blurred = _blur(difference) / weight.clamp(min=1 / 256)  # the least weight of one valid pixel
    return blurred, (weight > 0).to(valid.dtype)


def _blur(maps: Tensor) -> Tensor:
    """Return every second pixel, the first included, of blurred maps with zeros around them."""
    maps = F.pad(maps, (2, 2, 2, 2))
    return _correlate(_correlate(maps, BINOMIAL, 1, stride=2), BINOMIAL, 2, stride=2)


def _whole(valid: Tensor) -> Tensor:
    """Return 1 for each 3x3 square without an invalid pixel, else 0 (b h-2 w-2)."""
    rows = valid[:, 2:] * valid[:, 1:-1] * valid[:, :-2]
    return rows[:, :, 2:] * rows[:, :, 1:-1] * rows[:, :, :-2]


def _scharr(maps: Tensor, dim: int) -> Tensor:
    """Return the slope along `dim` in 1/pixel (b h-2 w-2)."""
    return _correlate(_correlate(maps, SMOOTH, 3 - dim), SLOPE, dim)


def _laplace(maps: Tensor) -> Tensor:
    """Return the sum of both second derivatives in 1/pixel^2 (b h-2 w-2)."""
    return _correlate(maps[:, :, 1:-1], CURVATURE, 1) + _correlate(maps[:, 1:-1], CURVATURE, 2)


def _correlate(maps: Tensor, taps: tuple[float, ...], dim: int, stride: int = 1) -> Tensor:
    """Return the correlation along `dim` where the kernel fits whole; on a small map, nowhere."""
    places = max(maps.shape[dim] - len(taps) + 1, 0)
    before = (slice(None),) * dim
    parts = [(tap, (*before, slice(k, k + places, stride))) for k, tap in enumerate(taps) if tap]
    return _WeightedSum.apply(maps, parts)


class _WeightedSum(torch.autograd.Function):
    """The sum of equally large parts of maps, each times its weight.

    Added up in place, forward and backward. On a CPU, stage 2 takes 1.4 times as long with slices
    as PyTorch derives them, and 7 times with `conv2d`, which also rounds: to TF32 on CUDA, to
    bfloat16 under autocast.
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor, parts: list[tuple[float, Any]]) -> Tensor:
        ctx.shape, ctx.parts = maps.shape, parts
        (weight, part), *others = parts
        total = weight * maps[part]
        for weight, part in others:
            total.add_(maps[part], alpha=weight)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].new_zeros(ctx.shape)
        for weight, part in ctx.parts:
            total[part].add_(gradients[0], alpha=weight)
        return total, None
