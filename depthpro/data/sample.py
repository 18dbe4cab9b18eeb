"""A picture with its depth and its camera: what a network learns from and is measured on."""

from dataclasses import dataclass

from jaxtyping import Bool, Float, UInt8
from numpy import ndarray

from depthpro.geometry import fov_from_focal


@dataclass(frozen=True)
class Sample:
    """A picture with its depth and its camera.

    `rgb` and `depth` may be stretched: pixels need not be square. `f_px` is horizontal, in pixels
    of the width at hand, so the field of view and canonical inverse depth f_px / (w depth) follow
    as for square pixels; `fy_px` is vertical. The optical axis is at (`cx_px`, `cy_px`).
    """

    rgb: UInt8[ndarray, "h w 3"]
    depth: Float[ndarray, "h w"]
    """Metres along the optical axis (any unit if not `metric`); infinite where there is sky."""
    f_px: float
    fy_px: float
    cx_px: float
    cy_px: float
    mask: Bool[ndarray, "h w"] | None = None
    """Where depth is known; everywhere if None. Sky is known."""
    metric: bool = True
    synthetic: bool = True
    family: str = ""
    seed: tuple[int, ...] = ()

    @property
    def fov_deg(self) -> float:
        """Horizontal field of view in degrees."""
        return fov_from_focal(self.f_px, self.rgb.shape[1])
