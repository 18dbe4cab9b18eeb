"""Sizes of a Depth Pro network; everything about its shape follows from these numbers."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

Stem = Literal["patch", "efficientnet_lite0"]

# Scale of the image and overlap of neighbouring windows, finest level first.
# Source: Table 16 gives 25 %; the published network uses 50 % at the middle scale (FACTS 1.2).
_PYRAMID = ((1.0, 0.25), (0.5, 0.5), (0.25, 0.0))
_PATCH = 16
_SCALE_OF_IMAGE = 4  # the network's input is four windows wide: 4 x 384 = 1536


class PyramidLevel(NamedTuple):
    """One scale of the image pyramid and how windows tile it."""

    side: int
    """Side of the resized image, in pixels."""
    stride: int
    """Distance between neighbouring windows, in pixels."""
    grid: int
    """Windows along a side; the level has `grid**2` of them."""
    trim: int
    """Tokens that merging cuts from each inner edge of a window: half of the overlap."""


@dataclass(frozen=True)
class DepthProConfig:
    """Sizes of the network; the defaults are the published one (951,991,330 parameters).

    Args:
        window: Side of one window, in pixels; a multiple of `8 * patch`, so that overlaps and
            trims are whole tokens.
        patch: Side of one token, in pixels; always 16, since necks and heads double the
            resolution four times.
        dim: Channels of the three vision transformers.
        depth: Blocks of each transformer.
        heads: Attention heads; must divide `dim`.
        taps: The two blocks (0-based, ascending) whose outputs also feed the decoder; unused with
            a convolutional stem, whose maps at strides 4 and 8 take their place.
        neck_dims: Channels after the necks of the second tap and the three scales, fine to coarse.
        decoder_dim: Channels of the decoder; a multiple of 8, since the heads halve it three times.
        fov: Whether there is a field-of-view encoder and head.
        stem: How a window becomes tokens: "patch" projects patches, as published;
            "efficientnet_lite0" is the convolutional stem of `depthpro.stem`.

    Raises:
        ValueError: If the numbers do not fit together.

    Source: Section 3.1 and Table 16; FACTS 1.
    """

    window: int = 384
    patch: int = 16
    dim: int = 1024
    depth: int = 24
    heads: int = 16
    taps: tuple[int, int] = (5, 11)
    neck_dims: tuple[int, int, int, int] = (256, 512, 1024, 1024)
    decoder_dim: int = 256
    fov: bool = True
    stem: Stem = "patch"

    def __post_init__(self) -> None:
        """Refuse sizes that no network can have."""
        if not (_is_tuple(self.taps, 2) and _is_tuple(self.neck_dims, 4)):
            raise ValueError(
                f"taps must be a tuple of two whole numbers, neck_dims one of four; got {self}"
            )
        sizes = (self.window, self.dim, self.depth, self.heads, self.decoder_dim, *self.neck_dims)
        if not all(type(size) is int and size > 0 for size in sizes):
            raise ValueError(f"sizes must be positive whole numbers, got {self}")
        first, second = self.taps
        rules = {
            "patch": (self.patch == _PATCH, f"{_PATCH}, the pixels per token of the decoder"),
            "window": (self.window % (8 * _PATCH) == 0, f"a multiple of {8 * _PATCH} pixels"),
            "heads": (self.dim % self.heads == 0, f"a divisor of dim={self.dim}"),
            "decoder_dim": (self.decoder_dim % 8 == 0, "a multiple of 8"),
            "taps": (
                0 <= first < second < self.depth or self.stem != "patch",
                f"two ascending block numbers below depth={self.depth}",
            ),
            "stem": (self.stem in get_args(Stem), f"one of {get_args(Stem)}"),
            "fov": (isinstance(self.fov, bool), "True or False"),
        }
        for name, (fits, expected) in rules.items():
            if not fits:
                raise ValueError(f"{name} must be {expected}; got {getattr(self, name)!r}")

    @classmethod
    def small(cls) -> "DepthProConfig":
        """Return the embedded network: 10.9 M parameters, 512-pixel input."""
        return cls(
            window=128,
            dim=192,
            depth=6,
            heads=3,
            neck_dims=(64, 96, 128, 128),
            decoder_dim=32,
            stem="efficientnet_lite0",
        )

    @property
    def image_size(self) -> int:
        """Side of the square image that the network reads, in pixels."""
        return _SCALE_OF_IMAGE * self.window

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
        return PyramidLevel(
            side=side,
            stride=stride,
            grid=(side - self.window) // stride + 1,
            trim=round(self.tokens * overlap / 2),
        )

    def to_json(self) -> str:
        """Return the config as JSON, as weights files store it."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "DepthProConfig":
        """Return the config from the JSON of `to_json`.

        Raises:
            ValueError: If the text is not a JSON object of this class's fields.
        """
        fields = {field.name for field in dataclasses.fields(cls)}
        try:
            values = json.loads(text)
        except json.JSONDecodeError:
            raise ValueError(f"expected a config as a JSON object, got {text[:80]!r}") from None
        if not isinstance(values, dict) or not set(values) <= fields:
            raise ValueError(
                f"expected a config with fields {sorted(fields)}, got {text[:200]!r}; "
                "was it written by a newer version?"
            )
        for name in {"taps", "neck_dims"} & set(values):
            if isinstance(values[name], list):
                values[name] = tuple(values[name])  # JSON has no tuples
        return cls(**values)


def _is_tuple(value: object, length: int) -> bool:
    return isinstance(value, tuple) and [type(entry) for entry in value] == [int] * length
