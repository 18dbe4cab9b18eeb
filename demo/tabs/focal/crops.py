"""What the network says about crops: their focal length, which a crop leaves as it is.

A crop around the centre keeps the camera and the size of its pixels, so its focal length in pixels
is that of the whole photo. How far the estimate moves says how far to trust it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from demo.pipeline import Analysis
from demo.tabs.focal.focal import Opinion
from depthpro import DepthPro
from depthpro.geometry import fov_from_focal
from depthpro.preprocess import resize_bytes

CROPS = (1.0, 0.85, 0.7, 0.55, 0.4)
"""Shares of the photo's width and height that are kept, around the centre."""
CALLS = 2
"""How often the network is called; the whole photo is known already."""

_GREY, _TEXT = "rgba(128, 128, 128, 0.4)", "#8391a5"  # can be seen on light pages and on dark ones
_NAMES = {"metadata": "the photo's metadata", "network": "the whole photo", "hand": "by hand"}
_COLOURS = {"metadata": "#d97706", "network": "#0d9488", "hand": "#8b5cf6"}


@dataclass(frozen=True)
class CropEstimate:
    """What the network says about a crop around the centre."""

    share: float
    """Of the photo's width and height."""
    width: int
    """Columns of the crop."""
    height: int
    """Rows of the crop."""
    f_px: float
    """Estimated focal length in pixels, which are those of the photo."""

    @property
    def fov_deg(self) -> float:
        """Estimated horizontal field of view of the crop."""
        return fov_from_focal(self.f_px, self.width)


def crop(rgb: UInt8[ndarray, "h w 3"], share: float) -> UInt8[ndarray, "h2 w2 3"]:
    """Return the middle of a picture, about this share of its width and height.

    As much is cut away on the left as on the right, and above as below, to the pixel.
    """
    (top, rows), (left, columns) = (
        ((size - kept) // 2, kept) for size in rgb.shape[:2] for kept in [_kept(size, share)]
    )
    return rgb[top : top + rows, left : left + columns]


def crop_estimates(
    model: DepthPro, analysis: Analysis, tell: Callable[[int, int], object] = lambda *_: None
) -> tuple[CropEstimate, ...]:
    """Return what the network says about a photo's crops, the whole first.

    Args:
        model: It is called `CALLS` times, each time with half of the crops.
        analysis: The photo.
        tell: Told how many calls are done, and of how many, before each and after the last.

    Raises:
        ValueError: If the network estimates no focal length.
        MemoryError: If the device has too little memory.
    """
    whole = analysis.estimated_f_px
    if whole is None:
        raise ValueError("This network estimates no focal length, of crops neither.")
    height, width = analysis.rgb.shape[:2]
    found = [CropEstimate(1.0, width, height, whole)]
    shares, side = CROPS[1:], model.config.image_size
    each = -(-len(shares) // CALLS)
    for call in range(CALLS):
        tell(call, CALLS)
        chosen = shares[call * each : (call + 1) * each]
        parts = [crop(analysis.rgb, share) for share in chosen]
        squares = torch.cat([_as_the_network_reads(part, side) for part in parts])
        estimated = model.infer(squares).to("cpu").estimated_f_px
        assert estimated is not None
        for share, part, f_px in zip(chosen, parts, estimated.tolist(), strict=True):
            rows, columns = part.shape[:2]
            # The squares are stretched crops: their pixels have another width.
            found.append(CropEstimate(share, columns, rows, f_px * columns / side))
    tell(CALLS, CALLS)
    return tuple(found)


def summary(estimates: Sequence[CropEstimate]) -> str:
    """Return what the estimates show, as a sentence of HTML."""
    whole = estimates[0].f_px
    least, most = (end(each.f_px for each in estimates) for end in (min, max))
    if most < 1.1 * least:
        verdict = "The estimates agree within 10 %: the network reads the same camera in each."
    else:
        verdict = (
            f"The largest estimate is {most / least:.2f} times the least, and so would depth be. "
            "Prefer the metadata's focal length, or calibrate with a known length."
        )
    return (
        '<p class="hint">A crop around the centre leaves the focal length in pixels as it is, so '
        f"the ideal is a level line. The whole photo says {whole:.0f} px. {verdict}</p>"
    )


def crop_table(estimates: Sequence[CropEstimate]) -> str:
    """Return the estimates as an HTML table."""
    whole = estimates[0].f_px
    rows = ""
    for each in estimates:
        level = fov_from_focal(whole, each.width)
        rows += (
            f'<tr><th scope="row">{each.share:.0%}<small>{each.width} × {each.height}</small></th>'
            f"<td>{each.f_px:.0f} px</td><td>{each.f_px / whole - 1:+.1%}</td>"
            f"<td>{each.fov_deg:.1f}°<small>level line: {level:.1f}°</small></td></tr>"
        )
    heads = ("Crop", "Estimate", "Change", "Its field of view")
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    return f'<table class="lab"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def crop_chart(estimates: Sequence[CropEstimate], known: Sequence[Opinion] = ()) -> go.Figure:
    """Return the estimates over the size of the crop, and level lines of what is known.

    Args:
        estimates: The whole photo first.
        known: Level lines: what would be right for every crop.
    """
    figure = go.Figure()
    shares = [100 * each.share for each in estimates]
    for opinion in known:
        figure.add_scatter(
            x=[shares[0], shares[-1]],
            y=[opinion.f_px, opinion.f_px],
            name=_NAMES[opinion.source],
            mode="lines",
            line={"color": _COLOURS[opinion.source], "width": 2, "dash": "dash"},
            hovertemplate=f"{_NAMES[opinion.source]}: %{{y:.0f}} px<extra></extra>",
        )
    figure.add_scatter(
        x=shares,
        y=[each.f_px for each in estimates],
        name="estimates",
        mode="lines+markers",
        line={"color": _COLOURS["network"], "width": 4},
        marker={"size": 9},
        hovertemplate="%{x:.0f} % kept: %{y:.0f} px<extra></extra>",
    )
    highest = max([each.f_px for each in estimates] + [each.f_px for each in known])
    axis = {"gridcolor": _GREY, "zerolinecolor": _GREY, "fixedrange": True}
    title = {"text": "kept of the photo's width and height (%)"}
    figure.update_layout(
        xaxis={**axis, "title": title, "tickvals": shares, "range": [103, shares[-1] - 3]},
        yaxis={**axis, "title": {"text": "focal length (px)"}, "range": [0, 1.1 * highest]},
        margin={"l": 60, "r": 12, "t": 34, "b": 44},
        height=280,
        legend={"orientation": "h", "y": 1.18, "x": 0},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": _TEXT},
    )
    return figure


def _kept(size: int, share: float) -> int:
    """Return how many of so many pixels are kept, so that the rest can be halved."""
    return max(2 - size % 2, size - 2 * round(size * (1 - share) / 2))


def _as_the_network_reads(rgb: UInt8[ndarray, "h w 3"], side: int) -> Float[Tensor, "1 3 s s"]:
    """Return a picture stretched to the network's square as `infer` does it, in [0, 1]."""
    pixels = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None]
    return (resize_bytes(pixels, side) / 255).clamp(0, 1)
