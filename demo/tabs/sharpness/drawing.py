"""How sharpness and errors look: layers over the photo, their legends, cards, and the curve."""

import base64
import html
import io
import math

import matplotlib
import numpy as np
import plotly.graph_objects as go
from jaxtyping import Bool, Float, Integer, UInt8
from numpy import ndarray
from PIL import Image

from demo.pipeline import EMBEDDED
from demo.tabs.sharpness.sharpness import Comparison, Contours, Difference
from demo.tabs.sharpness.truth import Truth
from depthpro.boundary import BoundaryCurve
from depthpro.checkpoint import Provenance

_OURS, _TRUE, _BOTH, _HALO = (255, 214, 10), (0, 178, 255), (255, 255, 255), (0, 0, 0)
_HALO_ALPHA = 150
_ERRORS, _DIFFERENCES = "coolwarm", "inferno"
_LIMITS = (0.1, 0.25, 0.5, 1.0)
_STOPS = 17
_GREY, _TEXT = "rgba(128, 128, 128, 0.4)", "#8391a5"  # can be seen on light pages and on dark ones


def contour_layer(found: Contours) -> str:
    """Return contours as an SVG picture for the whole photo: bright on a dark seam."""
    lines = found.ours.astype(np.uint8)
    if found.true is not None:
        lines = lines + 2 * found.true.astype(np.uint8)
    lines[_grown(lines > 0) & (lines == 0)] = 4
    image = Image.fromarray(lines)
    image.putpalette([0, 0, 0, *_OURS, *_TRUE, *_BOTH, *_HALO])
    buffer = io.BytesIO()
    alpha = bytes([0, 255, 255, 255, _HALO_ALPHA])
    image.save(buffer, "PNG", transparency=alpha, compress_level=1)
    uri = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return (
        '<svg class="contours" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1" '
        f'preserveAspectRatio="none"><image href="{uri}" width="1" height="1" '
        'preserveAspectRatio="none"/></svg>'
    )


def contour_legend(found: Contours, ratio: float) -> str:
    """Return whose contours have which colour, and what they are."""
    whose = [_swatch(_OURS, "the network's contours")]
    if found.true is not None:
        whose += [_swatch(_TRUE, "true ones"), _swatch(_BOTH, "both, to the pixel")]
    height, width = found.ours.shape
    said = (
        f"<span>Where depth jumps by more than {100 * (ratio - 1):.0f} % from one pixel to the "
        f"next, at {width} × {height} pixels.</span>"
    )
    return f'<p class="legend">{"".join(whose)}{said}</p>'


def error_limit(error: Float[ndarray, "h w"]) -> float:
    """Return the relative error that the strongest colours stand for: most are below it."""
    known = np.abs(error[np.isfinite(error)])
    return _limit(float(np.percentile(known, 90)) if known.size else 0.0)


def error_layer(error: Float[ndarray, "h w"], limit: float) -> UInt8[ndarray, "h w 4"]:
    """Return errors in colours, blue where too near, red where too far; clear where unknown."""
    known = np.isfinite(error)
    level = np.where(known, np.clip((error / limit + 1) * 127.5, 0, 255), 0) + 0.5
    return _coloured(level.astype(np.uint8), _ERRORS, known)


def error_legend(error: Float[ndarray, "h w"], limit: float, scaled: bool) -> str:
    """Return what the colours of errors mean, and what was left out."""
    share = f"{100 * limit:.0f} %"
    ends = [(0.0, f"&minus;{share}"), (0.5, "right"), (1.0, f"+{share}")]
    what = "depth after scaling by the median" if scaled else "metric depth"
    said = f"<span>Error of {what}: blue is too near, red too far.</span>"
    unknown = float(np.isnan(error).mean())
    if unknown > 0.0005:
        said += f"<span>{_percent(unknown)} is sky or unknown, and shows the photo.</span>"
    label = f"Colours from {share} too near to {share} too far"
    return f'{_ramp(_ERRORS, ends, label)}<p class="legend">{said}</p>'


def difference_limit(found: Difference) -> float:
    """Return the difference that the strongest colour stands for."""
    return _limit(found.ninth)


def difference_layer(found: Difference, limit: float) -> UInt8[ndarray, "h w 4"]:
    """Return differences in colours, dark where the mirror image agrees."""
    level = np.minimum(found.share / limit * 255 + 0.5, 255).astype(np.uint8)
    return _coloured(level, _DIFFERENCES, np.ones(level.shape, bool))


def difference_legend(found: Difference, limit: float) -> str:
    """Return what the colours of differences mean."""
    ends = [(at, f"{100 * at * limit:.3g} %") for at in (0.0, 0.5, 1.0)]
    said = (
        f"<span>Median {_percent(found.median)}: how far depth changes when the photo is mirrored. "
        "Where it changes much, trust it little.</span>"
    )
    label = f"Colours from 0 to {100 * limit:.0f} % of difference"
    return f'{_ramp(_DIFFERENCES, ends, label)}<p class="legend">{said}</p>'


def cards(compared: Comparison | None, found: Difference | None) -> str:
    """Return the figures: against truth, and against the mirror image, as far as they are there."""
    shown = []
    if compared is not None:
        metric, scaled = compared.metric, compared.scaled
        by = f"median-scaled (×&nbsp;{compared.factor:.3g}):"
        shown += [
            ("δ1: within 25 %", _percent(metric.delta1), f"{by} {_percent(scaled.delta1)}"),
            ("AbsRel: mean error", f"{metric.abs_rel:.3f}", f"{by} {scaled.abs_rel:.3f}"),
        ]
        f1 = f"{compared.f1:.3f}" if compared.contours else "–"
        why = "1 is perfect; blind to scale" if compared.contours else "the truth has no contours"
        shown.append(("Boundary F1", f1, why))
    if found is not None:
        rest = f"nine pixels in ten below {_percent(found.ninth)}"
        shown.append(("Mirrored: median change", _percent(found.median), rest))
        if found.focal is not None:
            shown.append(
                (
                    "Mirrored: focal length",
                    f"{100 * found.focal:+.1f} %",
                    "of the network's estimate",
                )
            )
    if not shown:
        return ""
    texts = "".join(
        f"<div><dt>{title}</dt><dd>{value}</dd><dd class='from'>{detail}</dd></div>"
        for title, value, detail in shown
    )
    return f'<dl class="cards">{texts}</dl>'


def curve_chart(curve: BoundaryCurve) -> go.Figure:
    """Return boundary F1, recall and precision over the ratio that makes a contour."""
    figure = go.Figure()
    lines = (("F1", curve.f1, "#0d9488", 4), ("recall", curve.recall, "#0284c7", 2),
             ("precision", curve.precision, "#d97706", 2))  # fmt: skip
    for name, values, colour, width in lines:
        figure.add_scatter(
            x=curve.thresholds,
            y=values,
            name=name,
            mode="lines+markers",
            line={"color": colour, "width": width},
            hovertemplate=f"{name} %{{y:.3f}} at t = %{{x:.3f}}<extra></extra>",
        )
    most = max(float(np.max(values)) for _, values, _, _ in lines)
    axis = {"gridcolor": _GREY, "zerolinecolor": _GREY, "fixedrange": True}
    figure.update_layout(
        xaxis={**axis, "title": {"text": "ratio t of neighbouring depths"}},
        yaxis={**axis, "range": [0, 1.08 * max(most, 0.01)]},
        margin={"l": 52, "r": 12, "t": 40, "b": 44},
        height=280,
        legend={"orientation": "h", "yref": "container", "y": 0.98, "yanchor": "top", "x": 0},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": _TEXT},
    )
    return figure


def truth_note(truth: Truth | None, thinning: float = 1.0) -> str:
    """Return where the truth comes from, or how to get some."""
    if truth is None:
        return (
            '<p class="hint">No true depth is known for this photo, so there are no errors to '
            "show. Choose one of the rendered examples or the motorcycle, or upload its depth.</p>"
        )
    text = f"True depth: {html.escape(truth.title)}."
    if thinning > 1.001:
        height, width = truth.depth.shape
        text += f" Compared at {width} × {height} pixels."
    return f'<p class="hint">{text}</p>'


def limits(made: Provenance) -> str:
    """Return what the weights at work cannot do."""
    if made.name != EMBEDDED:
        return ""
    return (
        '<p class="hint">The small embedded network hardly draws edges: on held-out rendered '
        "pictures its boundary F1 is 0.032, where 1 is perfect. Its few contours lie where large "
        "shapes end, softly and often beside the edge. It can show how the measures work, not how "
        "sharp Depth Pro is.</p>"
    )


def _grown(lines: Bool[ndarray, "h w"]) -> Bool[ndarray, "h w"]:
    grown = lines.copy()
    grown[1:] |= lines[:-1]
    grown[:-1] |= lines[1:]
    grown[:, 1:] |= lines[:, :-1]
    grown[:, :-1] |= lines[:, 1:]
    return grown


def _limit(value: float) -> float:
    return next((limit for limit in _LIMITS if value <= limit), _LIMITS[-1])


def _coloured(
    level: Integer[ndarray, "h w"], cmap: str, shown: Bool[ndarray, "h w"]
) -> UInt8[ndarray, "h w 4"]:
    palette = np.round(matplotlib.colormaps[cmap](np.arange(256)) * 255).astype(np.uint8)
    layer = palette[level]
    layer[~shown] = 0
    return layer


def _ramp(cmap: str, ticks: list[tuple[float, str]], label: str) -> str:
    """Return a bar of colours with labels at shares of its length."""
    colours = matplotlib.colormaps[cmap](np.linspace(0, 1, _STOPS))
    stops = ", ".join(f"rgb({r:.0f} {g:.0f} {b:.0f})" for r, g, b in 255 * colours[:, :3])
    marks = "".join(
        f'<span class="tick" style="left: {100 * at:.0f}%">{text}</span>' for at, text in ticks
    )
    return (
        f'<div class="colour-bar" role="img" aria-label="{label}"><div class="ramp" '
        f'style="background: linear-gradient(to right, {stops})"></div>'
        f'<div class="ticks">{marks}</div></div>'
    )


def _swatch(colour: tuple[int, int, int], text: str) -> str:
    red, green, blue = colour
    style = f"background: rgb({red} {green} {blue}); box-shadow: 0 0 2px #000"
    return f'<span><i style="{style}"></i>{text}</span>'


def _percent(share: float) -> str:
    """Return a share with two or three digits."""
    value = 100 * share
    if not math.isfinite(value):
        return "–"
    return f"{value:.0f}&nbsp;%" if value > 99.9 else f"{value:.1f}&nbsp;%"
