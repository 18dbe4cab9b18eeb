"""How far depth is off on pictures that the weights never saw, and the ± that follows from it.

An error of a single picture is mostly one factor: all of it is too near or too far. What is left
differs from place to place. So there are two relative errors, which a length meets in quadrature.
`depthpro.evaluation.calibrate` measures them, and they are stored with the weights.
"""

import dataclasses
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray


@dataclass(frozen=True)
class DepthError:
    """Relative errors of depth; true depth lies within both about two times in three."""

    scale: float
    """Of all depths of a picture together."""
    point: float
    """Of the depth of one point, beside the error of its picture."""
    coverage: float
    """Share of random pairs of points, on other pictures, whose true distance lies within the ±."""

    def __post_init__(self) -> None:
        """Refuse what is no error."""
        for name, value in dataclasses.asdict(self).items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"expected a number for {name}, got {value!r}")
            if not 0 <= value < (1.000001 if name == "coverage" else math.inf):
                raise ValueError(f"{name} is out of range: {value}")

    @property
    def depth(self) -> float:
        """Of the depth of one point."""
        return math.hypot(self.scale, self.point)

    def to_json(self) -> str:
        """Return the errors as text, for the metadata of weights."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "DepthError":
        """Return the errors from `to_json`; a ValueError for anything else."""
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise ValueError(f"expected errors of depth, got {text[:80]!r}: {error}") from None


def propagate(
    positions: Float[ndarray, "p ... 3"],
    nearer: Float[ndarray, "p ..."],
    farther: Float[ndarray, "p ..."],
    value: Callable[[Float[ndarray, "p ... 3"]], Any],
) -> Any:
    """Return the ± of a value of some points, whose depths are uncertain one by one.

    Each point is moved along its ray to `nearer` and `farther` times its depth, the two changes of
    the value are averaged, and those of all points add in quadrature.
    """
    middle, squares = value(positions), 0.0
    for number, factors in enumerate(zip(nearer, farther, strict=True)):
        change = 0.0
        for factor in factors:
            moved = positions.copy()
            moved[number] *= factor[..., None]
            change = change + abs(value(moved) - middle) / 2
        squares = squares + change**2
    return np.sqrt(squares)


def distance_plus_minus(
    error: DepthError, ends: Float[ndarray, "2 n 3"]
) -> tuple[Float[ndarray, " n"], Float[ndarray, " n"]]:
    """Return the distances of n pairs of points in metres, and their ±."""

    def distance(ends: Float[ndarray, "2 n 3"]) -> Float[ndarray, " n"]:
        return np.linalg.norm(ends[1] - ends[0], axis=1)

    middle = distance(ends)
    nearer, farther = (np.full(ends.shape[:2], 1.0 + p) for p in (-error.point, error.point))
    return middle, np.hypot(error.scale * middle, propagate(ends, nearer, farther, distance))
