"""What a Depth Pro network is made of. Every size of the network follows from these numbers."""

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
        patch: Side of the pixels that make one token; 16, since necks and heads double the
            resolution four times.
        dim: Channels of the three vision transformers.
        depth: Blocks of each transformer.
        heads: Attention heads; must divide `dim`.
        taps: The two blocks (0-based, ascending) whose outputs also feed the decoder; unused with
            a convolutional stem, whose maps at strides 4 and 8 take their place.
        neck_dims: Channels after the necks of the second tap and the three scales, fine to coarse.
        decoder_dim: Channels of the decoder; a multiple of 8, since the heads halve it three times.
        fov: Whether the field-of-view encoder and head are built.
        stem: What makes tokens of a window: "patch" projects patches, as published;
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
        """Refuse sizes that no network can have, before anything is built."""
        for name in ("window", "patch", "dim", "depth", "heads", "decoder_dim"):
            value = getattr(self, name)
            if not _is_count(value):
                raise ValueError(f"{name} must be a positive whole number, got {value!r}")
        if self.patch != _PATCH:
            raise ValueError(
                f"patch must be {_PATCH}, the pixels a token that the decoder gives back; "
                f"got {self.patch}"
            )
        if self.window % (8 * self.patch):
            raise ValueError(
                f"window must be a multiple of 8 patches ({8 * self.patch} pixels), so that "
                f"overlaps are whole tokens; got {self.window}"
            )
        if self.dim % self.heads:
            raise ValueError(f"heads must divide dim, got dim={self.dim}, heads={self.heads}")
        if self.decoder_dim % 8:
            raise ValueError(f"decoder_dim must be a multiple of 8, got {self.decoder_dim}")
        taps = self.taps
        if self.stem not in get_args(Stem):
            raise ValueError(f"stem must be one of {get_args(Stem)}, got {self.stem!r}")
        tapped = _is_tuple(taps, 2, at_least=0) and taps[0] < taps[1] < self.depth
        if self.stem == "patch" and not tapped:
            raise ValueError(
                "taps must be a tuple of two ascending block numbers below "
                f"depth={self.depth}, got {taps!r}"
            )
        if not _is_tuple(self.neck_dims, 4, at_least=1):
            raise ValueError(
                f"neck_dims must be a tuple of four positive numbers, got {self.neck_dims!r}"
            )
        if not isinstance(self.fov, bool):
            raise ValueError(f"fov must be True or False, got {self.fov!r}")

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
        """Return the config as a JSON object, as it is stored beside weights."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "DepthProConfig":
        """Return the config that `to_json` wrote.

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


def _is_count(value: object, at_least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= at_least


def _is_tuple(value: object, length: int, at_least: int) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == length
        and all(_is_count(entry, at_least) for entry in value)
    )
