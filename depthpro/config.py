"""Sizes of a Depth Pro network; everything about its shape follows from these numbers."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

Stem = Literal["patch", "efficientnet_lite0"]

# Scale of the image and overlap of neighbouring windows, finest level first.
# Source: Table 16 gives 25 %; the published network uses 50 % at the middle scale.
_PYRAMID = ((1.0, 0.25), (0.5, 0.5), (0.25, 0.0))


class PyramidLevel(NamedTuple):
    """One scale of the image pyramid and how windows tile it."""

    side: int  # of the resized image, in pixels
    stride: int  # distance between neighbouring windows, in pixels
    grid: int  # windows along a side; the level has grid**2 of them
    trim: int  # tokens that merging cuts from each inner edge of a window: half of the overlap


@dataclass(frozen=True)
class DepthProConfig:
    """Sizes of the network; the defaults are the published one (951,991,330 parameters).

    Numbers that do not fit together raise a ValueError. Source: Section 3.1 and Table 16.
    """

    window: int = 384  # side in pixels; a multiple of 128: overlaps and trims are whole tokens
    patch: int = 16  # side of a token; fixed, as necks and heads double the resolution four times
    dim: int = 1024  # channels of the three vision transformers
    depth: int = 24  # blocks of each transformer
    heads: int = 16  # attention heads, a divisor of dim
    taps: tuple[int, int] = (5, 11)  # blocks (0-based) that also feed the decoder, if no conv. stem
    neck_dims: tuple[int, int, int, int] = (256, 512, 1024, 1024)  # 2nd tap, then scales from fine
    decoder_dim: int = 256  # channels of the decoder; the heads halve them three times
    fov: bool = True  # whether there is a field-of-view encoder and head
    stem: Stem = "patch"  # projected patches, as published, or the network in `depthpro.stem`

    def __post_init__(self) -> None:
        """Refuse sizes that no network can have."""
        sizes = (self.window, self.dim, self.depth, self.heads, self.decoder_dim, *self.neck_dims)
        if not all(isinstance(size, int) and size > 0 for size in sizes):
            raise ValueError(f"sizes must be positive whole numbers, got {self}")
        ascending = len(self.taps) == 2 and 0 <= self.taps[0] < self.taps[1] < self.depth
        for name, fits, expected in (
            ("patch", self.patch == 16, "16, the pixels per token of the decoder"),
            ("window", self.window % 128 == 0, "a multiple of 128 pixels"),
            ("heads", self.dim % self.heads == 0, f"a divisor of dim={self.dim}"),
            ("neck_dims", len(self.neck_dims) == 4, "four numbers of channels"),
            ("decoder_dim", self.decoder_dim % 8 == 0, "a multiple of 8"),
            ("stem", self.stem in get_args(Stem), f"one of {get_args(Stem)}"),
            ("taps", ascending or self.stem != "patch",
             f"two ascending block numbers below depth={self.depth}"),
        ):  # fmt: skip
            if not fits:
                raise ValueError(f"{name} must be {expected}; got {getattr(self, name)!r}")

    @classmethod
    def small(cls) -> "DepthProConfig":
        """Return the embedded network: 10.9 M parameters, 512-pixel input."""
        return cls(
            window=128, dim=192, depth=6, heads=3, neck_dims=(64, 96, 128, 128), decoder_dim=32,
            stem="efficientnet_lite0",
        )  # fmt: skip

    @property
    def image_size(self) -> int:
        """Side of the square image that the network reads, in pixels: four windows."""
        return 4 * self.window

    @property
    def tokens(self) -> int:
        """Tokens along a side of one window."""
        return self.window // self.patch

    @property
    def pyramid(self) -> tuple[PyramidLevel, PyramidLevel, PyramidLevel]:
        """The three levels, finest first: 25, 9 and 1 windows."""
        finest, middle, coarse = (self._level(scale, overlap) for scale, overlap in _PYRAMID)
        return finest, middle, coarse

    def _level(self, scale: float, overlap: float) -> PyramidLevel:
        side = round(self.image_size * scale)
        stride = round(self.window * (1 - overlap))
        grid = (side - self.window) // stride + 1
        return PyramidLevel(side, stride, grid, trim=round(self.tokens * overlap / 2))

    def to_json(self) -> str:
        """Return the config as JSON, as weights files store it."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "DepthProConfig":
        """Return the config from the JSON of `to_json`, or raise a ValueError."""
        try:
            values = json.loads(text)
            tuples = {name: tuple(values[name]) for name in ("taps", "neck_dims") if name in values}
            return cls(**(values | tuples))  # JSON has no tuples
        except (TypeError, json.JSONDecodeError) as error:
            raise ValueError(
                f"expected the JSON of a network's config, got {text[:200]!r} ({error}); was it "
                "written by a newer version?"
            ) from None
