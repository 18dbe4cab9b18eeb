"""Metres and feet as people read them."""

from typing import Literal

from depthpro.viz import metres

Units = Literal["m", "ft"]

FEET_PER_METRE = 1 / 0.3048
_INCHES_PER_METRE = 1 / 0.0254


def length(value_m: float, units: Units = "m") -> str:
    """Return a length in metres as three significant digits with the unit that fits."""
    if units == "m":
        return metres(value_m)
    if value_m < 0.3048:
        return f"{value_m * _INCHES_PER_METRE:.3g} in"
    feet = value_m * FEET_PER_METRE
    return f"{feet:.3g} ft" if feet < 999.5 else f"{feet / 5280:.3g} mi"


def area(value_m2: float, units: Units = "m") -> str:
    """Return an area in square metres as three significant digits with the unit that fits."""
    if units == "m":
        return f"{value_m2:.3g} m²" if value_m2 >= 0.01 else f"{1e4 * value_m2:.3g} cm²"
    square_feet = value_m2 * FEET_PER_METRE**2
    return f"{square_feet:.3g} ft²" if square_feet >= 0.1 else f"{144 * square_feet:.3g} in²"
