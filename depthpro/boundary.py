"""Boundary precision, recall and F1: how sharp and how well placed the edges of a depth map are.

Two neighbouring pixels are a contour where one is more than t times as far as the other, for ten
thresholds t from 1.05 to 1.25. Only ratios count, so the scale of depth does not matter. There are
four directions, by the side of the nearer pixel. A pair with an invalid pixel is no contour.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

Maps = Float[Tensor, "*b h w"] | Float[ndarray, "*b h w"]  # one map (h, w) or a batch (b, h, w)
Mask = Bool[Tensor, "*b h w"] | Bool[ndarray, "*b h w"]  # True where a pixel counts
PerPicture = Any  # one value a picture: a tensor for tensors, else an array or a number
Variant = Literal["reference", "paper"]

THRESHOLDS = np.linspace(1.05, 1.25, 10)  # ratios of depth above which neighbours are a contour
FOREGROUND = 0.1  # a pixel of a soft mask is foreground above this (Section 3.2)
NEAREST = 1e-6  # depth below this counts as this, as in the published evaluator


@dataclass(frozen=True)
class BoundaryCurve:
    """Precision, recall and F1 by threshold, which is the last axis.

    The single numbers of the paper's tables are sums over it, weighted by `weights`.
    """

    thresholds: Float[ndarray, " t"]
    weights: Float[ndarray, " t"]
    precision: PerPicture
    recall: PerPicture
    f1: PerPicture


def boundary_f1(
    prediction: Maps, target: Maps, mask: Mask | None = None, variant: Variant = "reference"
) -> PerPicture:
    """Return each picture's boundary F1, in [0, 1]: weighted over `boundary_precision_recall`'s."""
    weights, _, _, f1 = _curve(*as_batch(prediction, target, mask), variant)
    return as_given(f1 @ weights, prediction)


def boundary_recall(
    prediction: Maps, alpha: Maps | Mask, mask: Mask | None = None, variant: Variant = "reference"
) -> PerPicture:
    """Return the share of a mask's outline where the depth has a contour, in [0, 1], a picture.

    The outline of alpha, a boolean mask or a soft one in [0, 1], is where the nearer pixel of a
    pair is foreground (above 0.1) and the farther one is not. The prediction is thinned: of a run
    of contours along its direction only the one with the largest ratio remains, the first one among
    equals, so that a blurred edge has to hit the outline.

    Other arguments, errors and variants are those of `boundary_precision_recall`.
    """
    depth, soft, valid = as_batch(prediction, alpha * 1.0, mask)  # of booleans, 0 and 1
    if not (((soft >= 0) & (soft <= 1)) | ~valid).all():
        raise ValueError(
            f"alpha must be boolean or in [0, 1]; it spans {soft.min():g} to {soft.max():g}; "
            "divide a mask of bytes by 255"
        )
    outline = torch.where(soft > FOREGROUND, 1.0, 2.0)  # a depth map whose contours are the outline
    weights, _, recall, _ = _curve(depth, outline, valid, variant, thinned=True)
    return as_given(recall @ weights, prediction)


def boundary_precision_recall(
    prediction: Maps, target: Maps, mask: Mask | None = None, variant: Variant = "reference"
) -> BoundaryCurve:
    """Return boundary precision, recall and F1 of each picture by threshold.

    | | "reference" | "paper" |
    |---|---|---|
    | prediction | as it is | thinned as in `boundary_recall` |
    | four directions | mean of their precisions, mean of their recalls | counted together |
    | weight of threshold t | in proportion to t, 0.091 to 0.109 | to t - 1, 0.033 to 0.167 |

    0/0, as the recall of a flat target, counts as 0. The paper's formula thins the target and its
    text the prediction; here it is the prediction, as in the published recall.

    Args:
        prediction: Depth in any unit, positive; infinite is sky.
        target: The same, measured.
        mask: True where the target is valid; None for everywhere. Unknown depth has to be masked.
        variant: "reference" for the published evaluator, "paper" for Section 3.2.

    Raises:
        ValueError: Shapes or types do not fit, or a valid pixel is NaN.
    """
    weights, *rates = _curve(*as_batch(prediction, target, mask), variant)
    given = (as_given(rate, prediction) for rate in rates)
    return BoundaryCurve(THRESHOLDS, weights.cpu().numpy(), *given)


def occluding_contours(depth: Maps, ratio: float, mask: Mask | None = None) -> Mask:
    """Return True at the nearer pixel of neighbours of which one is more than `ratio` times as far.

    The ratio is above 1; other arguments and errors as in `boundary_precision_recall`.
    """
    if not ratio > 1:
        raise ValueError(f"ratio must be above 1, such as 1.1 for contours of 10 %; got {ratio}")
    maps, _, valid = as_batch(depth, depth, mask)
    contours = torch.zeros_like(valid)
    right, left, below, above = (each > ratio for each in _ratios(maps, valid))
    contours[..., :-1] |= right
    contours[..., 1:] |= left
    contours[..., :-1, :] |= below.mT
    contours[..., 1:, :] |= above.mT
    return as_given(contours, depth)


def _curve(
    depth: Tensor, truth: Tensor, valid: Tensor, variant: Variant, thinned: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return weights (t), precision, recall and F1 (b, t) of contours of depth against truth's."""
    if variant not in get_args(Variant):
        raise ValueError(f'variant must be "reference" or "paper"; got {variant!r}')
    weights = torch.from_numpy(THRESHOLDS - 1 if variant == "paper" else THRESHOLDS)
    weights = (weights / weights.sum()).to(depth.device)
    counts, thinned = [], thinned or variant == "paper"
    for ours, theirs in zip(_ratios(depth, valid), _ratios(truth, valid), strict=True):
        for threshold in THRESHOLDS.tolist():
            predicted = _thin(ours, threshold) if thinned else ours > threshold
            true = theirs > threshold
            counts.append(torch.stack([predicted & true, predicted, true]).sum((-2, -1)))
    counts = torch.stack(counts, -1).unflatten(-1, (4, -1)).double()  # (3, b, direction, t)
    if variant == "paper":
        counts = counts.sum(2, keepdim=True)
    hits, of_depth, of_truth = counts
    precision = (hits / of_depth.clamp(min=1)).mean(1)
    recall = (hits / of_truth.clamp(min=1)).mean(1)
    f1 = 2 * precision * recall / (precision + recall).where(precision + recall > 0, 1)
    return weights, precision, recall, f1


def _ratios(depth: Tensor, valid: Tensor) -> Iterator[Tensor]:
    """Yield farther over nearer depth along the last axis in four directions; 0 for invalid pairs.

    They are divided in the map's precision, from inverse depths, and compared with thresholds in
    float64, as by the published evaluator.
    """
    if (depth.isnan() & valid).any():
        raise ValueError("depth is NaN at a valid pixel; pass a mask that is False there")
    inverse = 1 / depth.clamp(min=NEAREST)
    for lines, known in ((inverse, valid), (inverse.mT.contiguous(), valid.mT.contiguous())):
        one, next_one = lines[..., :-1], lines[..., 1:]
        both_known = known[..., :-1] & known[..., 1:]
        for ratio in (one / next_one, next_one / one):  # NaN between two pixels of sky
            yield ratio.where(both_known & ~ratio.isnan(), 0).double()


def _thin(ratio: Tensor, threshold: float) -> Tensor:
    """Return True at the largest ratio of each run above a threshold, the first among equals."""
    padded = F.pad(ratio, (0, 1))  # a 0 behind each line ends its last run
    place = (padded > threshold).flatten().nonzero()[:, 0]
    above = padded.flatten()[place]
    run = (F.pad(place, (1, 0), value=-1).diff() > 1).cumsum(0)  # a gap starts the next run
    largest = above.new_zeros(len(place) + 1).scatter_reduce(0, run, above, "amax")
    peak = above == largest[run]
    first = F.pad(run[peak], (1, 0), value=-1).diff() > 0
    kept = torch.zeros_like(padded, dtype=torch.bool)
    kept.view(-1)[place[peak][first]] = True
    return kept[..., :-1]


def as_batch(maps: Any, other: Any, mask: Any = None) -> tuple[Tensor, Tensor, Tensor]:
    """Return two maps and a mask as tensors (b, h, w); a mask of None is True everywhere."""
    first, second = as_tensor(maps), as_tensor(other)
    valid = torch.ones_like(first, dtype=torch.bool) if mask is None else as_tensor(mask)
    one_shape = first.shape == second.shape == valid.shape and first.ndim in (2, 3)
    if not one_shape or valid.dtype != torch.bool:
        came = ", ".join(f"{tuple(each.shape)} of {each.dtype}" for each in (first, second, valid))
        raise ValueError(
            "expected two maps and a boolean mask of one shape (h, w) or (b, h, w); "
            f"got {came}; convert before the call"
        )
    first, second, valid = (each.reshape(-1, *each.shape[-2:]) for each in (first, second, valid))
    return first, second, valid


def as_given(values: Tensor, given: Any) -> PerPicture:
    """Return a tensor for a tensor, else an array or a number; without the axis b for one map."""
    values = values[0] if given.ndim == 2 else values
    if isinstance(given, Tensor):
        return values
    return values.numpy() if values.ndim else values.item()


def as_tensor(values: Any) -> Tensor:
    """Return a copy of an array, or a tensor without gradient; numbers are at least float32."""
    tensor = values.detach() if isinstance(values, Tensor) else torch.from_numpy(np.array(values))
    if tensor.dtype == torch.bool:
        return tensor
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
