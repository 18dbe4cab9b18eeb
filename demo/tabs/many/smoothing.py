"""Depth of a film without flicker: exponential smoothing of its maps over time."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

STILL, MOVED = 0.05, 0.15
"""Relative changes of a pixel up to which it is the same point, and from which it is another."""
MOST = 0.95
"""The greatest strength."""
_SAME_SCENE = 0.25  # share of pixels that must still be the same point
_LEAST = 1e-4  # canonical inverse depth of what is as far as sky


def smooth(
    new: Float[ndarray, "h w"], past: Float[ndarray, "h w"], strength: float
) -> Float[ndarray, "h w"]:
    """Return canonical inverse depth of a frame, given the smoothed map of the frame before.

    With s the scale that brings the new map C to the past M, it is

        (1 - a + a s) C + a w (M - s C),  a = strength in [0, 1), 0 for no smoothing.

    Where the scene stands still, w = 1 and this is a M + (1 - a) C: exponential smoothing. Where
    something moves, w = 0 and only the scale, which flickers most, is smoothed: nothing leaves a
    trail. After a cut the new map is returned as it is. A lasting change is followed
    a / (1 - a) frames late.

    Source: this project's choice.
    """
    if strength == 0:
        return new
    scale = scale_between(new, past)
    aligned = scale * new
    change = np.abs(past - aligned) / np.maximum(np.maximum(past, aligned), _LEAST)
    if np.mean(change < MOVED) < _SAME_SCENE:
        return new
    still = np.clip((MOVED - change) / (MOVED - STILL), 0, 1)
    return (1 - strength + strength * scale) * new + strength * still * (past - aligned)


def check_strength(strength: float) -> float:
    """Return the strength of the smoothing, or refuse it."""
    if not isinstance(strength, int | float) or not 0 <= strength <= MOST:
        raise ValueError(f"Expected smoothing between 0 and {MOST}; got {strength!r}.")
    return float(strength)


def scale_between(new: Float[ndarray, "h w"], past: Float[ndarray, "h w"]) -> float:
    """Return the median ratio of two maps without their sky; 1 if there is nothing else.

    A median, since things that come and go change it little. There is no shift: it would move the
    sky, and depth in metres flickers by a factor.
    """
    both = (new > _LEAST) & (past > _LEAST)
    return float(np.median(past[both] / new[both])) if both.any() else 1.0
