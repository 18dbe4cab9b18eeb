"""Metres and feet as people read them."""

import math
from typing import Literal

Units = Literal["m", "ft"]
Unit = Literal["m", "m²", "°"]
"""Unit of a value before it is converted to `Units`."""

PER_METRE: dict[Units, float] = {"m": 1.0, "ft": 1 / 0.3048}
"""Length of a metre in each unit."""


def length(value_m: float, units: Units = "m") -> str:
    """Return a length in metres as three significant digits with the unit that fits."""
    name, size = _fitting(value_m, "m", units)
    return f"{value_m / size:.3g} {name}"


def with_spread(value: float, plus_minus: float | None, unit: Unit, units: Units = "m") -> str:
    """Return a value and its ±, if there is one, in the unit that fits the larger of the two.

    Both end at the same place: the value has three significant digits at most, and the ± two. The
    ± is rounded up.
    """
    largest = max(abs(value), plus_minus or 0.0)
    name, size = ("°", 1.0) if unit == "°" else _fitting(largest, unit, units)
    value, places = value / size, _places(value / size, 3)
    after = name if unit == "°" else f" {name}"
    if plus_minus is None:
        return f"{round(value, places) + 0.0:.{max(0, places)}f}{after}"
    plus_minus = plus_minus / size
    if plus_minus < 1e-5 * abs(value):  # rounding errors of float32
        plus_minus = 0.0
    if plus_minus:
        places = min(places, _places(plus_minus, 2))
    step = 10.0**-places
    spread = math.ceil(plus_minus / step - 1e-6) * step
    value, decimals = round(value, places) + 0.0, max(0, places)  # never -0
    return f"{value:.{decimals}f} ± {spread:.{decimals}f}{after}"


_SIZES: dict[tuple[Unit, Units], tuple[tuple[str, float, float], ...]] = {
    ("m", "m"): (("km", 1000, 999.5), ("m", 1, 0.1), ("cm", 0.01, 0)),
    ("m", "ft"): (("mi", 1609.344, 0.3048 * 999.5), ("ft", 0.3048, 0.3048), ("in", 0.0254, 0)),
    ("m²", "m"): (("km²", 1e6, 999_500), ("m²", 1, 0.01), ("cm²", 1e-4, 0)),
    ("m²", "ft"): (
        ("mi²", 1609.344**2, 0.1 * 1609.344**2),
        ("ft²", 0.3048**2, 0.1 * 0.3048**2),
        ("in²", 0.0254**2, 0),
    ),
}
"""Name, size and least value of each unit, in metres or square metres."""


def _fitting(value: float, unit: Unit, units: Units) -> tuple[str, float]:
    """Return the unit that fits a value, and its size in metres or square metres."""
    return next((name, size) for name, size, least in _SIZES[unit, units] if abs(value) >= least)


def _places(value: float, count: int) -> int:
    """Return the number of decimals that show `count` significant digits; may be negative."""
    exponent = int(f"{value:.{count - 1}e}".split("e")[1])  # of the rounded number
    return count - 1 - exponent
