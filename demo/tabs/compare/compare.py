"""A second depth beside that of the photo at work, and how the two differ.

The first depth is a, the second one b. What both know and neither takes for sky is compared.
"""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray

from demo.pipeline import Analysis, Predictor
from demo.screen import SKY_M
from demo.tabs.sharpness.truth import Truth
from depthpro.export import fit_size
from depthpro.metrics import align_depth, depth_metrics
from depthpro.viz import DepthRange, colorize, depth_range

SIDE = 800
"""Longer side, in pixels, of the maps that are compared."""
SHOWN_SIDE = 640
"""Longer side, in pixels, of each of the two pictures."""

Kind = Literal["photo", "weights", "file"]

_UNKNOWN = 128  # grey, which no colour of the map is


@dataclass(frozen=True, eq=False)
class Other:
    """What the photo at work is compared with."""

    kind: Kind
    title: str
    """For visitors: a photo's name, the weights' or the file's."""
    analysis: Analysis
    """The other photo, or the same one with another depth."""
    file: Truth | None = None
    """The depth of a file as it was read, with what it does not know."""


class Agreement(NamedTuple):
    """How near b is to a; not symmetric, as a is taken for the truth."""

    median_ratio: float
    """Median of b / a."""
    delta1: float
    """Share of pixels, in [0, 1], where the two are within a factor of 1.25."""
    abs_rel: float
    """Mean of |b - a| / a."""
    aligned_delta1: float
    """The same two after b is scaled so that its median is that of a."""
    aligned_abs_rel: float
    pixels: int
    """How many pixels were compared."""


class Maps(NamedTuple):
    """Two depths of one photo at one size."""

    a: Float[ndarray, "h w"]
    b: Float[ndarray, "h w"]
    mask: Bool[ndarray, "h w"]
    """Where both are known and not sky."""


class Pictures(NamedTuple):
    """Two depths in colours of one range."""

    a: UInt8[ndarray, "h w 3"]
    b: UInt8[ndarray, "H W 3"]
    span: DepthRange


def with_weights(model: Predictor, analysis: Analysis) -> Analysis:
    """Return the same photo by another network, at the same focal length where one is given."""
    given = None if analysis.source == "network" else analysis.f_px
    prediction = model.infer(analysis.rgb, given).to("cpu")
    return replace(analysis, prediction=prediction, provenance=model.provenance)


def at_focal(other: Other, f_px: float) -> Other:
    """Return the same with another focal length in pixels."""
    moved = replace(other.analysis, prediction=other.analysis.prediction.with_focal(f_px))
    return replace(other, analysis=moved)


def of_file(analysis: Analysis, file: Truth) -> Other:
    """Return the depth of a file for the photo; what it does not know counts as sky."""
    rows, columns = (
        ((np.arange(SIDE) + 0.5) * size / SIDE).astype(int) for size in file.depth.shape
    )
    depth = np.where(file.solid, file.depth, np.inf)[np.ix_(rows, columns)]
    prediction = analysis.prediction
    scale_m = prediction.f_px.item() / prediction.width
    canonical = torch.from_numpy((scale_m / depth).astype(np.float32))[None]
    same = replace(prediction, canonical_inverse_depth=canonical)
    return Other("file", file.title, replace(analysis, prediction=same), file)


def maps(analysis: Analysis, other: Other) -> Maps:
    """Return both depths of one photo: at the size of the file, or at `SIDE` pixels."""
    prediction = analysis.prediction
    size = fit_size(prediction.height, prediction.width, SIDE)
    if other.file is None:
        a, b = (_depth(each, size) for each in (analysis, other.analysis))
        known = np.ones(size, bool)
    else:
        a, known = _depth(analysis, other.file.depth.shape), other.file.solid
        b = np.where(known, other.file.depth, 1).astype(np.float32)
    return Maps(a, b, known & (a < SKY_M) & (b < SKY_M))


def agreement(maps: Maps) -> Agreement | None:
    """Return how near b is to a; None if there is no pixel to compare."""
    if not maps.mask.any():
        return None
    plain = depth_metrics(maps.b, maps.a, maps.mask)
    scaled = depth_metrics(maps.b, maps.a, maps.mask, alignment="median_scale")
    return Agreement(
        median_ratio=float(np.median(maps.b[maps.mask] / maps.a[maps.mask])),
        delta1=float(plain.delta1),
        abs_rel=float(plain.abs_rel),
        aligned_delta1=float(scaled.delta1),
        aligned_abs_rel=float(scaled.abs_rel),
        pixels=int(maps.mask.sum()),
    )


def difference(maps: Maps, aligned: bool) -> Float[ndarray, "h w"]:
    """Return (b - a) / a, NaN where they are not compared; `aligned` gives b the median of a."""
    alignment = "median_scale" if aligned else "none"
    b = np.asarray(align_depth(maps.b, maps.a, maps.mask, alignment=alignment))
    share = b / np.where(maps.mask, maps.a, 1) - 1
    return np.where(maps.mask, share, np.nan).astype(np.float32)


def pictures(analysis: Analysis, other: Other | None) -> Pictures:
    """Return both depths in the same colours; b is empty without another one."""
    sides = [analysis] if other is None else [analysis, other.analysis]
    depths = [
        _depth(each, fit_size(each.prediction.height, each.prediction.width, SHOWN_SIDE))
        for each in sides
    ]
    solid = np.concatenate([depth[depth < SKY_M] for depth in depths])
    span = depth_range(solid[None] if solid.size else depths[0])
    drawn = [colorize(depth, span) for depth in depths]
    if other is None:
        return Pictures(drawn[0], np.zeros((0, 0, 3), np.uint8), span)
    if other.file is not None:
        rows, columns = (
            (np.arange(shown) * full // shown)
            for shown, full in zip(depths[1].shape, other.file.mask.shape, strict=True)
        )
        drawn[1][~other.file.mask[np.ix_(rows, columns)]] = _UNKNOWN
    return Pictures(drawn[0], drawn[1], span)


def _depth(analysis: Analysis, size: tuple[int, ...]) -> Float[ndarray, "h w"]:
    return analysis.prediction.depth_at(*size)[0].numpy()
