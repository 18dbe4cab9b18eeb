"""Two depths in one range, their difference in colours, and numbers, as HTML."""

import html

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from demo import figures, screen
from demo.pipeline import Analysis
from demo.screen import picture_uri
from demo.tabs.compare.compare import Agreement, Other, Pictures
from demo.tabs.depth.style import depth_stats
from demo.tabs.sharpness import sharpness
from demo.tabs.sharpness.drawing import DIVERGING, coloured, legend, limit_of
from demo.tabs.sharpness.sharpness import Comparison
from demo.tabs.sharpness.truth import Truth
from demo.units import Units, length

_ROWS = ("Median depth", "Field of view", "Weights")


def side(analysis: Analysis, rgb: UInt8[ndarray, "h w 3"], title: str, units: Units) -> dict:
    """Return the picture component's value for one depth in colours, with the read-out."""
    view = screen.photo(analysis) | screen.readout(units)
    alt = f"Depth of {analysis.name} in colours: {title}"
    return view | {"photo": picture_uri(rgb, "PNG"), "photoAlt": alt}


def heading(letter: str, title: str) -> str:
    """Return the heading of one side."""
    title = html.escape(title)
    return f'<p class="side" title="{title}"><b>{letter}</b> {title}</p>'


def range_bar(pictures: Pictures, units: Units) -> str:
    """Return the colour bar of both sides."""
    return figures.colour_bar(pictures.span, units=units)


def difference_layer(
    share: Float[ndarray, "h w"], aligned: bool
) -> tuple[UInt8[ndarray, "h w 4"], str]:
    """Return (b - a) / a in colours, transparent where it is unknown, and the legend."""
    known = np.isfinite(share)
    limit = limit_of(np.abs(share[known]))
    layer = coloured((np.where(known, share, 0) / limit + 1) / 2, DIVERGING)
    layer[~known] = 0
    ticks = [(0.0, f"&minus;{limit:.0%}"), (0.5, "the same"), (1.0, f"+{limit:.0%}")]
    scaled = ", scaled to the median of A," if aligned else ""
    text = f"<span>Blue: B{scaled} is nearer than A. Red: it is farther.</span>"
    unknown = 1 - float(known.mean())
    if unknown > 0.0005:
        text += f"<span>{figures.percent(unknown)} is sky or unknown, and shows the photo.</span>"
    label = f"Colours from B {limit:.0%} nearer than A to {limit:.0%} farther"
    return layer, legend(DIVERGING, ticks, label, text)


def cards(agreement: Agreement | None) -> str:
    """Return how near B is to A."""
    if agreement is None:
        return '<p class="hint">No pixel has depth in both, so there is nothing to compare.</p>'
    ratio = agreement.median_ratio
    by = f"{abs(ratio - 1):.0%} {'farther' if ratio > 1 else 'nearer'} than A"
    return figures.cards(
        [
            ("B / A, median", f"×&nbsp;{ratio:.3g}", "the same" if abs(ratio - 1) < 0.005 else by),
            (
                "δ1: within 25 %",
                f"{agreement.delta1:.1%}",
                f"B scaled to A's median: {agreement.aligned_delta1:.1%}",
            ),
            (
                "AbsRel: mean difference",
                f"{agreement.abs_rel:.3f}",
                f"B scaled to A's median: {agreement.aligned_abs_rel:.3f}",
            ),
        ]
    )


def facts(analysis: Analysis, other: Other, scores: list[Comparison | None], units: Units) -> str:
    """Return a table of both sides: depth, camera, weights, and scores against true depth."""
    columns = [_facts(each, units) for each in (analysis, other.analysis)]
    if other.file is not None:
        columns[1] = [columns[1][0], "–", "–"]
    rows = [[name, *values] for name, *values in zip(_ROWS, *columns, strict=True)]
    if any(score is not None for score in scores):
        named = [_scores(score) for score in scores]
        names = ("δ1 against truth", "… scaled", "AbsRel against truth", "… scaled", "Boundary F1")
        rows += [[name, *values] for name, *values in zip(names, *named, strict=True)]
    body = "".join(
        f'<tr><th scope="row">{name}</th>{"".join(f"<td>{value}</td>" for value in values)}</tr>'
        for name, *values in rows
    )
    head = "".join(f'<th scope="col">{name}</th>' for name in ("", "A", "B"))
    return f'<table class="lab"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def score(analysis: Analysis, truth: Truth | None) -> Comparison | None:
    """Return the scores of a photo's depth, if its true depth is known."""
    return None if truth is None else sharpness.compare(analysis.prediction, truth)


def _facts(analysis: Analysis, units: Units) -> list[str]:
    median_m = depth_stats(analysis.prediction).median_m
    fov_deg = analysis.prediction.fov_deg.item()
    return [length(median_m, units), f"{fov_deg:.1f}°", html.escape(analysis.provenance.name)]


def _scores(score: Comparison | None) -> list[str]:
    if score is None:
        return ["–"] * 5
    metric, scaled = score.metric, score.scaled
    return [
        f"{metric.delta1:.1%}",
        f"{scaled.delta1:.1%}",
        f"{metric.abs_rel:.3f}",
        f"{scaled.abs_rel:.3f}",
        "–" if score.f1 is None else f"{score.f1:.3f}",
    ]
