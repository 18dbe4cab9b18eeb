"""Metres and feet as people read them."""

import math
from typing import Literal

Units = Literal["m", "ft"]
Unit = Literal["m", "m²", "°"]
"""Unit of a value before it is converted to `Units`."""

FEET_PER_METRE = 1 / 0.3048


def length(value_m: float, units: Units = "m") -> str:
    """Return a length in metres as three significant digits with the unit that fits."""
    name, size = _fitting(value_m, "m", units)
    return f"{value_m / size:.3g} {name}"


def with_spread(value: float, plus_minus: float, unit: Unit, units: Units = "m") -> str:
    """Return a value of three significant digits and its ± in the unit that fits.

    The ± has two digits, none finer than a tenth of the value's last, and is rounded up.
    """
    name, size = ("°", 1.0) if unit == "°" else _fitting(value, unit, units)
    value, plus_minus = value / size, plus_minus / size
    places = min(_places(plus_minus, 2), _places(value, 3) + 1)
    if plus_minus < 1e-5 * abs(value):  # what float32 leaves
        plus_minus = 0.0
    step = 10.0**-places
    spread = math.ceil(plus_minus / step - 1e-6) * step
    space = "" if unit == "°" else " "
    return f"{_digits(value, 3)} ± {spread:.{max(0, places)}f}{space}{name}"


def in_units(value: float, unit: Unit, units: Units) -> tuple[float, str]:
    """Return a value for programs: metres or feet, their squares, or degrees, and the name."""
    if unit == "°":
        return value, "deg"
    power = 2 if unit == "m²" else 1
    factor = 1.0 if units == "m" else FEET_PER_METRE**power
    return value * factor, units + "2" * (power == 2)


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
"""Name of a unit, its size, and from what value on it fits; metres or square metres."""


def _fitting(value: float, unit: Unit, units: Units) -> tuple[str, float]:
    """Return the unit that a value fits, and its size in metres or square metres."""
    return next((name, size) for name, size, least in _SIZES[unit, units] if abs(value) >= least)


def _digits(value: float, count: int) -> str:
    """Return a number with so many significant digits, and never an exponent."""
    places = _places(value, count)
    return f"{round(value, places):.{max(0, places)}f}"


def _places(value: float, count: int) -> int:
    """Return after how many decimals the last of so many significant digits comes."""
    exponent = int(f"{value:.{count - 1}e}".split("e")[1])  # of the rounded number
    return count - 1 - exponent
