"""How sharp and how well placed the edges of a depth map are: boundary precision, recall, F1.

Two neighbouring pixels are a contour where one is more than t times as far as the other, for ten
thresholds t from 1.05 to 1.25. Only ratios count: the measures are blind to scale. There are four
directions, by the side of the nearer pixel. A validity mask leaves out every pair with an invalid
pixel; none of them is a contour, so they also end a run.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

from depthpro.arrays import Maps, Mask, Scores, as_batch, as_given

Variant = Literal["reference", "paper"]

THRESHOLDS = np.linspace(1.05, 1.25, 10)
"""Ratios of depth above which two neighbours are a contour."""
LEVELS = len(THRESHOLDS) + 1
"""A pair's level is the number of thresholds that its ratio exceeds."""
FOREGROUND = 0.1
"""A pixel of a soft mask is foreground above this. Source: Section 3.2."""
NEAREST = 1e-6
"""Depth below this counts as this, as in the published evaluator."""


@dataclass(frozen=True)
class BoundaryCurve:
    """Precision, recall and F1 by threshold, which is the last axis.

    The single numbers of the paper's tables are sums over it, weighted by `weights`.
    """

    thresholds: Float[ndarray, " t"]
    weights: Float[ndarray, " t"]
    precision: Scores
    recall: Scores
    f1: Scores


def boundary_f1(
    prediction: Maps, target: Maps, mask: Mask | None = None, variant: Variant = "reference"
) -> Scores:
    """Return the boundary F1 of each picture, in [0, 1]: its weighted mean over thresholds.

    Arguments, errors and variants are those of `boundary_precision_recall`.

    Source: Section 3.2; FACTS 5, 12.
    """
    curve = _curve(_f1_counts(prediction, target, mask, variant), variant)
    return as_given(_weighted(curve.f1, variant), prediction)


def boundary_recall(
    prediction: Maps, alpha: Maps | Mask, mask: Mask | None = None, variant: Variant = "reference"
) -> Scores:
    """Return which share of a mask's outline the depth has as contour, in [0, 1], a picture.

    The outline is where the nearer pixel of a pair is foreground and the farther one is not. The
    prediction is thinned: of a run of contours along its direction only the one with the largest
    ratio remains, the first one among equals, so that a blurred edge has to hit the outline.
    "reference" averages the recalls of four directions; "paper" counts all pairs together, and
    weighs threshold t by t - 1 instead of t.

    Args:
        prediction: Depth in any unit, positive; infinite is sky.
        alpha: Soft mask in [0, 1], foreground above 0.1, or boolean; of the same shape.
        mask: True where both are valid; None for everywhere.
        variant: "reference" for the published evaluator, "paper" for the text.

    Raises:
        ValueError: Shapes or kinds differ, alpha is outside [0, 1], or a valid pixel is NaN.

    Source: Section 3.2, Appendix C.6; FACTS 5, 12.
    """
    depth, soft, valid = as_batch(prediction, alpha * 1.0, mask)  # of booleans, 0 and 1
    if not (((soft >= 0) & (soft <= 1)) | ~valid).all():
        raise ValueError(
            f"alpha must be boolean or in [0, 1]; it spans {soft.min():g} to {soft.max():g}; "
            "divide a mask of bytes by 255"
        )
    sides = zip(_pairs(soft > FOREGROUND), _pairs(valid), strict=True)
    outlines = (near & ~far & both[0] & both[1] for (near, far), both in sides)
    ratios = _ratios(depth, valid)
    counts = [
        _thinned_counts(ratio, outline.int() * (LEVELS - 1))
        for ratio, outline in zip(ratios, outlines, strict=True)
    ]
    curve = _curve(torch.stack(counts), variant)
    return as_given(_weighted(curve.recall, variant), prediction)


def boundary_precision_recall(
    prediction: Maps, target: Maps, mask: Mask | None = None, variant: Variant = "reference"
) -> BoundaryCurve:
    """Return boundary precision, recall and F1 of each picture by threshold.

    | | "reference" | "paper" |
    |---|---|---|
    | prediction | as it is | thinned as in `boundary_recall` |
    | four directions | mean of their precisions, mean of their recalls | counted together |
    | weight of threshold t | in proportion to t, 0.091 to 0.109 | to t - 1, 0.033 to 0.167 |

    0/0, as the recall of a flat target, counts as 0. The paper thins a map named as the target in
    one formula and as the prediction in its purpose; it is the prediction here, as in the
    published recall. A thinned prediction that equals a target of steep slopes is below 1.

    Args:
        prediction: Depth in any unit, positive; infinite is sky.
        target: The same, measured. Unknown depth has to be masked, or it makes false contours.
        mask: True where the target is valid; None for everywhere.
        variant: "reference" for the published evaluator, "paper" for the text.

    Raises:
        ValueError: Shapes or kinds differ, or a valid pixel is NaN.

    Source: Section 3.2, Appendix C.6; FACTS 5, 12.
    """
    curve = _curve(_f1_counts(prediction, target, mask, variant), variant)
    precision, recall, f1 = (
        as_given(rate, prediction) for rate in (curve.precision, curve.recall, curve.f1)
    )
    return BoundaryCurve(curve.thresholds, curve.weights, precision, recall, f1)


def occluding_contours(depth: Maps, ratio: float, mask: Mask | None = None) -> Mask:
    """Return where contours are: the nearer pixel of each pair, True at one ratio of depth.

    Args:
        depth: In any unit, positive; infinite is sky.
        ratio: The other pixel is more than so many times as far; above 1.
        mask: True where depth is known; None for everywhere.

    Raises:
        ValueError: The ratio is not above 1, shapes or kinds differ, or a valid pixel is NaN.
    """
    if not ratio > 1:
        raise ValueError(f"ratio must be above 1, such as 1.1 for contours of 10 %; got {ratio}")
    first, _, valid = as_batch(depth, depth, mask)
    found = torch.zeros_like(valid)
    right, left, below, above = (each > ratio for each in _ratios(first, valid))
    found[..., :-1] |= right
    found[..., 1:] |= left
    found[..., :-1, :] |= below.mT
    found[..., 1:, :] |= above.mT
    found = found if depth.ndim == 3 else found[0]
    return found if isinstance(depth, Tensor) else found.numpy()


def _f1_counts(prediction: Maps, target: Maps, mask: Mask | None, variant: Variant) -> Tensor:
    first, second, valid = as_batch(prediction, target, mask)
    count = _thinned_counts if variant == "paper" else _plain_counts
    ratios = zip(_ratios(first, valid), _ratios(second, valid), strict=True)
    return torch.stack([count(ours, _levels(theirs)) for ours, theirs in ratios])


def _curve(counts: Tensor, variant: Variant) -> BoundaryCurve:
    """Return rates (b, t) from counts (direction, 3, b, t) of contours in both, ours and theirs."""
    if variant == "paper":
        counts = counts.sum(0, keepdim=True)
    both, ours, theirs = counts.double().unbind(1)
    precision = (both / ours.clamp(min=1)).mean(0)
    recall = (both / theirs.clamp(min=1)).mean(0)
    f1 = 2 * precision * recall / (precision + recall).where(precision + recall > 0, 1)
    return BoundaryCurve(THRESHOLDS, _weights(variant), precision, recall, f1)


def _weights(variant: Variant) -> Float[ndarray, " t"]:
    if variant not in get_args(Variant):
        raise ValueError(f'variant must be "reference" or "paper"; got {variant!r}')
    weights = THRESHOLDS - 1 if variant == "paper" else THRESHOLDS
    return weights / weights.sum()


def _weighted(rates: Tensor, variant: Variant) -> Tensor:
    return rates @ torch.from_numpy(_weights(variant)).to(rates)


def _pairs(maps: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield nearer and farther neighbours in four directions, each along the last axis."""
    for lines in (maps, maps.mT.contiguous()):
        yield lines[..., :-1], lines[..., 1:]
        yield lines[..., 1:], lines[..., :-1]


def _ratios(depth: Tensor, valid: Tensor) -> Iterator[Tensor]:
    """Yield farther over nearer depth in four directions, 0 where there is no valid pair.

    As ratios of inverse depths, so that every bit is that of the published evaluator.
    """
    if (depth.isnan() & valid).any():
        raise ValueError("depth is NaN at a valid pixel; pass a mask that is False there")
    inverse = 1 / depth.clamp(min=NEAREST)
    for (near, far), both in zip(_pairs(inverse), _pairs(valid), strict=True):
        ratio = near / far  # between two pixels of sky 0/0
        yield ratio.where(both[0] & both[1] & ~ratio.isnan(), 0)


def _floors(like: Tensor) -> Tensor:
    """Return the thresholds rounded down to a tensor's type: it exceeds these where it does those.

    NumPy compares a float32 ratio with a float64 threshold exactly.
    """
    exact = torch.from_numpy(THRESHOLDS).to(like.device)
    rounded = exact.to(like.dtype)
    below = torch.nextafter(rounded, torch.zeros_like(rounded))
    return torch.where(rounded > exact, below, rounded)


def _levels(ratio: Tensor) -> Tensor:
    return torch.bucketize(ratio, _floors(ratio), out_int32=True)


def _plain_counts(ratio: Tensor, theirs: Tensor) -> Tensor:
    """Return how many contours (3, b, t) both maps have, ours has and theirs has.

    From one histogram of the levels of both maps, which holds the counts of all thresholds.
    """
    batch = torch.arange(len(ratio), device=ratio.device)[:, None, None]
    cell = (batch * LEVELS + _levels(ratio)) * LEVELS + theirs
    cells = torch.bincount(cell.flatten(), minlength=len(ratio) * LEVELS**2)
    at_least = cells.view(-1, LEVELS, LEVELS).flip(1, 2).cumsum(1).cumsum(2).flip(1, 2)
    both = at_least.diagonal(dim1=1, dim2=2)[:, 1:]
    return torch.stack([both, at_least[:, 1:, 0], at_least[:, 0, 1:]])


def _thinned_counts(ratio: Tensor, theirs: Tensor) -> Tensor:
    """Return counts as `_plain_counts` does, of our contours after thinning."""
    size = ratio[0].numel()
    counts = _plain_counts(ratio, theirs)
    place, height, valley = _peaks(ratio)
    cell = place // size * LEVELS
    # A peak is the highest of its run above t where its height exceeds t and its saddle does not.
    first, last = _levels(_saddles(height, valley)), _levels(height)
    for row, end in enumerate((last.minimum(theirs.flatten()[place]), last)):
        changes = [
            torch.bincount(cell + at, minlength=len(ratio) * LEVELS)
            for at in (first, end.maximum(first))
        ]
        counts[row] = (changes[0] - changes[1]).view(-1, LEVELS).cumsum(1)[:, :-1]
    return counts


def _peaks(ratio: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return place, height and the lowest ratio before the next one of all peaks along lines.

    A peak is higher than its left neighbour, no lower than its right one, and above the first
    threshold. The highest of a run, the first among equals, is one whatever the threshold.
    """
    low, size = _floors(ratio)[0], ratio.shape[-1]
    flat = F.pad(ratio, (1, 1)).flatten()  # zeros between lines, where no run goes on
    peak = (flat[1:-1] > flat[:-2]) & (flat[1:-1] >= flat[2:]) & (flat[1:-1] > low)
    padded = peak.nonzero()[:, 0] + 1
    height = flat[padded]
    owner = peak.cumsum(0)  # the last peak before or at a place, counted from 1
    valley = height.new_full((len(height) + 1,), torch.inf)
    valley = valley.scatter_reduce(0, owner, flat[1:-1], "amin")[1:]
    line, column = padded // (size + 2), padded % (size + 2) - 1
    return line * size + column, height, valley


def _saddles(height: Tensor, valley: Tensor) -> Tensor:
    """Return how low one has to go from each peak to reach one that beats it; 0 if none does.

    A higher one beats it, of equal ones the first. A peak whose higher valley leads to a neighbour
    that beats it leaves with that valley as its saddle; what is left becomes neighbours, across the
    lowest valley between. The highest valley of all lets one leave, so every round ends some. What
    is below the first threshold is as good as 0.
    """
    low = _floors(height)[0]
    saddle, left_over = torch.zeros_like(height), torch.arange(len(height), device=height.device)
    right = valley.clone()
    right[-1:] = 0
    while len(left_over):
        left = F.pad(right[:-1], (1, 0))
        rises = height[1:] > height[:-1]
        beaten = (right >= left) & F.pad(rises, (0, 1))
        beaten |= (left >= right) & F.pad(~rises, (1, 0))
        highest = left.maximum(right)
        beaten &= highest > low
        saddle[left_over[beaten]] = highest[beaten]
        stays = ~beaten & (highest > low)
        owner = stays.cumsum(0)  # the last one before or at a place that stays, counted from 1
        left_over, height = left_over[stays], height[stays]
        right = right.new_full((len(left_over) + 1,), torch.inf).scatter_reduce(
            0, owner, right, "amin"
        )[1:]
    return saddle
