"""The network's prediction for a photo; another focal length or size is arithmetic on it."""

import dataclasses
import functools
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from depthpro.geometry import fov_from_focal, metric_depth

MAX_FOCAL_RATIO = 1.6


@dataclass(frozen=True, eq=False)
class Prediction:
    """Depth of a batch of pictures of one size, on the device of the network.

    It holds the network's own map; `depth` at the pictures' size is computed on first use.
    """

    canonical_inverse_depth: Float[Tensor, "b s s"]  # float32, of the stretched square picture
    f_px: Float[Tensor, " b"]  # focal length that depth is computed with, in pixels of the picture
    estimated_f_px: Float[Tensor, " b"] | None  # None if the network has no field-of-view head
    height: int  # of the pictures
    width: int

    @property
    def fov_deg(self) -> Float[Tensor, " b"]:
        """Horizontal field of view in degrees, from `f_px`."""
        return fov_from_focal(self.f_px, self.width)

    @functools.cached_property
    def depth(self) -> Float[Tensor, "b h w"]:
        """Metres along the optical axis at the pictures' size, float32, in [1e-4, 1e4] (sky)."""
        return self.depth_at(self.height, self.width)

    def depth_at(self, height: int, width: int) -> Float[Tensor, "b {height} {width}"]:
        """Return depth in metres at another size of the same pictures."""
        return metric_depth(self.canonical_inverse_depth, self.f_px_at(width), height, width)

    def f_px_at(self, width: int) -> Float[Tensor, " b"]:
        """Return the focal length in pixels of the same pictures at another width."""
        return self.f_px * (width / self.width)

    def with_focal(self, f_px: float | Tensor) -> "Prediction":
        """Return the same prediction for another focal length in pixels; no network is called.

        Exact: `infer` with this focal length, one for all pictures or one each, gives the same.

        Raises:
            ValueError: If the focal length is not positive and finite.
        """
        return dataclasses.replace(self, f_px=focal_per_picture(f_px, self.f_px))

    def to(self, device: torch.device | str) -> "Prediction":
        """Return the prediction with its tensors on another device."""
        estimated = None if self.estimated_f_px is None else self.estimated_f_px.to(device)
        canonical, f_px = self.canonical_inverse_depth.to(device), self.f_px.to(device)
        return Prediction(canonical, f_px, estimated, self.height, self.width)


def focals_disagree(f_px: float, estimated_f_px: float) -> bool:
    """Whether the metadata's focal length and the estimate differ by a factor above 1.6."""
    return not 1 / MAX_FOCAL_RATIO <= f_px / estimated_f_px <= MAX_FOCAL_RATIO


def focal_per_picture(f_px: float | Tensor, like: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    """Return one positive focal length a picture, from one for all or one each, in float32."""
    try:
        focal = torch.as_tensor(f_px, dtype=torch.float32).expand(like.shape)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(
            f"f_px must be a number of pixels, or one for each of the {like.numel()} pictures; "
            f"got {f_px!r}"
        ) from None
    if not ((focal > 0) & (focal < math.inf)).all():
        raise ValueError(f"f_px must be positive and finite, in pixels; got {f_px}")
    return focal.clone().to(like.device)  # checked before, as a GPU would be waited for
