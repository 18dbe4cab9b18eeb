"""Layers over the photo for contours, errors and differences; their legends and cards."""

import html

import matplotlib
import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from scipy import ndimage

from demo.figures import cards as html_cards
from demo.figures import percent, ramp
from demo.pipeline import EMBEDDED
from demo.screen import picture_uri
from demo.tabs.sharpness.sharpness import Comparison, Contours, Difference
from demo.tabs.sharpness.truth import Truth
from depthpro.checkpoint import Provenance

_PREDICTED, _TRUE, _BOTH = (255, 214, 10), (0, 178, 255), (255, 255, 255)
_LINES = np.array(  # index: 1 for predicted + 2 for true contours; the last one is the outline
    [(0, 0, 0, 0), (*_PREDICTED, 255), (*_TRUE, 255), (*_BOTH, 255), (0, 0, 0, 150)], np.uint8
)
DIVERGING, _DIFFERENCES = "coolwarm", "inferno"
"""Colour maps: DIVERGING has its middle at no difference."""
_LIMITS = (0.1, 0.25, 0.5, 1.0)
_STOPS = 17


def contour_layer(contours: Contours) -> str:
    """Return contours as SVG that covers the photo: bright lines with dark outlines."""
    lines = contours.predicted.astype(np.uint8)
    if contours.true is not None:
        lines = lines + 2 * contours.true.astype(np.uint8)
    lines[ndimage.binary_dilation(lines > 0) & (lines == 0)] = 4
    return (
        '<svg class="contours" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1" '
        f'preserveAspectRatio="none"><image href="{picture_uri(_LINES[lines], "PNG")}" width="1" '
        'height="1" preserveAspectRatio="none"/></svg>'
    )


def contour_legend(contours: Contours, ratio: float) -> str:
    """Return the colours of contours, and their ratio."""
    swatches = _swatch(_PREDICTED, "the network's contours")
    if contours.true is not None:
        swatches += _swatch(_TRUE, "true ones") + _swatch(_BOTH, "both, to the pixel")
    height, width = contours.predicted.shape
    return (
        f'<p class="legend">{swatches}<span>Where depth jumps by more than '
        f"{100 * (ratio - 1):.0f} % from one pixel to the next, at {width} × {height} pixels."
        "</span></p>"
    )


def error_layer(error: Float[ndarray, "h w"], scaled: bool) -> tuple[UInt8[ndarray, "h w 4"], str]:
    """Return relative errors in colours, transparent where they are unknown, and their legend."""
    known = np.isfinite(error)
    limit = limit_of(np.abs(error[known]))
    layer = coloured((np.where(known, error, 0) / limit + 1) / 2, DIVERGING)
    layer[~known] = 0
    ticks = [(0.0, f"&minus;{limit:.0%}"), (0.5, "right"), (1.0, f"+{limit:.0%}")]
    what = "depth after scaling by the median" if scaled else "metric depth"
    text = f"<span>Error of {what}: blue is too near, red too far.</span>"
    unknown = 1 - float(known.mean())
    if unknown > 0.0005:
        text += f"<span>{percent(unknown)} is sky or unknown, and shows the photo.</span>"
    label = f"Colours from {limit:.0%} too near to {limit:.0%} too far"
    return layer, legend(DIVERGING, ticks, label, text)


def difference_layer(difference: Difference) -> tuple[UInt8[ndarray, "h w 4"], str]:
    """Return differences in colours, dark where the mirror image agrees, and their legend."""
    limit = limit_of(difference.share)
    ticks = [(at, f"{100 * at * limit:.3g}%") for at in (0.0, 0.5, 1.0)]
    text = (
        f"<span>Median {percent(difference.median)}: how far depth changes when the photo is "
        "mirrored. Where it changes much, it is unreliable.</span>"
    )
    label = f"Colours from 0 to {limit:.0%} of difference"
    layer = coloured(difference.share / limit, _DIFFERENCES)
    return layer, legend(_DIFFERENCES, ticks, label, text)


def cards(comparison: Comparison | None, difference: Difference | None) -> str:
    """Return the known measures against true depth and against the mirror image."""
    entries = []
    if comparison is not None:
        metric, scaled = comparison.metric, comparison.scaled
        by = f"median-scaled (×&nbsp;{comparison.factor:.3g}):"
        f1, note = "–", "the truth has no contours"
        if comparison.f1 is not None:
            f1, note = f"{comparison.f1:.3f}", "1 is perfect; blind to scale"
        entries += [
            ("δ1: within 25 %", f"{metric.delta1:.1%}", f"{by} {scaled.delta1:.1%}"),
            ("AbsRel: mean error", f"{metric.abs_rel:.3f}", f"{by} {scaled.abs_rel:.3f}"),
            ("Boundary F1", f1, note),
        ]
    if difference is not None:
        detail = f"nine pixels in ten below {percent(difference.p90)}"
        entries.append(("Mirrored: median change", percent(difference.median), detail))
        if difference.focal is not None:
            change = f"{difference.focal:+.1%}"
            entries.append(("Mirrored: focal length", change, "of the network's estimate"))
    return html_cards(entries) if entries else ""


def truth_note(truth: Truth | None) -> str:
    """Return the origin of the true depth, or how to get one."""
    if truth is None:
        return (
            '<p class="hint">No true depth is known for this photo, so there are no errors to '
            "show. Choose one of the rendered examples or the motorcycle, or upload its depth.</p>"
        )
    height, width = truth.depth.shape
    size = f"Compared at {width} × {height} pixels."
    return f'<p class="hint">True depth: {html.escape(truth.title)}. {size}</p>'


def limits(weights: Provenance) -> str:
    """Return the limits of the embedded weights; empty for others."""
    if weights.name != EMBEDDED:
        return ""
    return (
        '<p class="hint">The small embedded network draws soft edges: on held-out rendered '
        "pictures its boundary F1 is 0.077, where 1 is perfect. Its contours are blurred and "
        "often beside the edge. It can show how the measures work, not how sharp Depth Pro is.</p>"
    )


def limit_of(values: Float[ndarray, "*shape"]) -> float:
    """Return a round value for the strongest colour: the 90th percentile or more, at most 1."""
    p90 = np.percentile(values, 90) if values.size else 0.0
    return next((limit for limit in _LIMITS if p90 <= limit), _LIMITS[-1])


def coloured(level: Float[ndarray, "h w"], cmap: str) -> UInt8[ndarray, "h w 4"]:
    """Return levels in [0, 1] in colours."""
    return matplotlib.colormaps[cmap](np.clip(level, 0, 1), bytes=True)


def legend(cmap: str, ticks: list[tuple[float, str]], label: str, text: str) -> str:
    """Return a bar of colours with ticks, and sentences below it."""
    colours = matplotlib.colormaps[cmap](np.linspace(0, 1, _STOPS), bytes=True)[:, :3]
    return f'{ramp(colours, ticks, label)}<p class="legend">{text}</p>'


def _swatch(colour: tuple[int, int, int], text: str) -> str:
    style = f"background: rgb{colour}; box-shadow: 0 0 2px #000"
    return f'<span><i style="{style}"></i>{text}</span>'
