"""What the lessons share: rendered scenes with exact depth, pictures, and exercises.

Import it first: it finds the packages of this repository when they are not installed.
"""

import base64
import io
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib_inline.backend_inline import set_matplotlib_formats
from PIL import Image

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded, as in app.py

from depthpro.data.sample import Sample  # noqa: E402
from depthpro.data.shards import Shard  # noqa: E402
from depthpro.viz import colorize, depth_range  # noqa: E402

plt.rcParams.update(
    {
        "figure.dpi": 80,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "path.simplify_threshold": 0.4,
        "svg.fonttype": "none",  # letters stay letters
        "svg.hashsalt": "depthpro",  # the same names in every run
    }
)
_PHOTO_DPI = 112
"""Of photos inside of figures, whose lines and letters are sharp at any size."""
_MOST_BYTES = 60_000
"""Of a figure in lines; with more, what is drawn inside of its axes becomes a picture."""

_SHORTER = (
    (re.compile(r"<metadata>.*?</metadata>", re.S), ""),
    (re.compile(r"\n\s+"), "\n"),
    (re.compile(r"font-family: [^;\"]*"), "font-family: sans-serif"),
    (re.compile(r' d="[^"]*"'), lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0])),
)
"""What a drawing does not need, and what stands for it."""


def _figure_svg(figure: Figure) -> str:
    """Return a figure as SVG, with the photos in it as JPEG."""

    def draw() -> str:
        buffer = io.BytesIO()
        figure.savefig(
            buffer, format="svg", bbox_inches="tight", dpi=_PHOTO_DPI, metadata={"Date": None}
        )
        drawing = buffer.getvalue().decode()
        for words, shorter in _SHORTER:
            drawing = words.sub(shorter, drawing)
        return drawing

    text = draw()
    if len(re.sub('base64,[^"]*', "", text)) > _MOST_BYTES:
        for axis in figure.axes:
            for drawn in (*axis.collections, *axis.lines, *axis.patches):
                drawn.set_rasterized(True)
        text = draw()
    return re.sub('data:image/png;base64,([^"]*)', _smaller, text)


def _smaller(png: re.Match[str]) -> str:
    """Return a picture as the address of a smaller one: JPEG, or PNG with few colours."""
    picture, buffer = Image.open(io.BytesIO(base64.b64decode(png[1]))).convert("RGBA"), io.BytesIO()
    kind = "png"
    if np.mean(np.asarray(picture)[..., 3] < 255) > 0.05:  # see-through, not just a photo's rim
        picture.quantize(128).save(buffer, "PNG", optimize=True)
    else:
        kind, ground = "jpeg", Image.new("RGBA", picture.size, "white")
        ground.alpha_composite(picture)
        ground.convert("RGB").save(buffer, "JPEG", quality=75, optimize=True)
    smaller = base64.b64encode(buffer.getvalue()).decode()
    return png[0] if len(png[1]) <= len(smaller) else f"data:image/{kind};base64,{smaller}"


set_matplotlib_formats("svg")
_FORMATTER = InteractiveShell.instance().display_formatter
assert _FORMATTER is not None
_FORMATTER.formatters["image/svg+xml"].for_type(Figure, _figure_svg)


def scenes() -> list[Sample]:
    """Return the 24 rendered scenes of the lessons: 512 x 512, exact depth, known focal length.

    No network was trained on them.
    """
    return list(Shard(FOLDER / "scenes.tar"))


def show(
    pictures: Sequence[np.ndarray], titles: Sequence[str], height: float = 3.0, finding: str = ""
) -> None:
    """Show pictures in a row, each with its title: (h, w, 3) colours, or (h, w) as grey.

    The finding stands above all of them.
    """
    widths = [picture.shape[1] / picture.shape[0] for picture in pictures]
    figure, axes = plt.subplots(
        1,
        len(pictures),
        figsize=(height * sum(widths), height * 1.12 + (0.3 if finding else 0)),
        squeeze=False,
        width_ratios=widths,
        layout="constrained",
    )
    for axis, picture, title in zip(axes[0], pictures, titles, strict=True):
        axis.imshow(picture, cmap=None if picture.ndim == 3 else "gray")
        plain(axis, title)
    if finding:
        figure.suptitle(finding, fontsize=11)
    plt.show()


def plain(axis: Axes, title: str) -> None:
    """Take the ticks and the frame away from a picture, and give it a title."""
    axis.set(xticks=[], yticks=[])
    axis.set_title(title, fontsize=10)
    axis.spines[:].set_visible(False)


def coloured(depth: np.ndarray, like: np.ndarray | None = None) -> np.ndarray:
    """Return depth in metres (h, w) in colours, red is near; `like` gives the range."""
    return colorize(depth, depth_range(depth if like is None else like))


def levels(inverse: np.ndarray, top: float) -> np.ndarray:
    """Return canonical inverse depth (h, w) in colours: sky is dark, and `top`, near, is light."""
    return plt.get_cmap("magma")(np.clip(inverse / top, 0, 1))[..., :3]


def check(answer: Any, is_right: Callable[[Any], Any]) -> None:
    """Say whether an exercise is solved: "not tried" while the answer is None.

    Args:
        answer: What the reader wrote.
        is_right: Gets the answer; returns whether it is right (None, from an assertion that held,
            counts as right), or raises.

    Raises:
        AssertionError: If the answer is wrong, with what is wrong where it is known.
    """
    if answer is None:
        print("not tried")
        return
    try:
        right = is_right(answer)
    except Exception as error:
        raise AssertionError(f"not right yet: {error}") from None
    if right is not None and not np.all(right):
        raise AssertionError("not right yet")
    print("right")


def cloud(points: np.ndarray, colours: np.ndarray) -> None:
    """Show points (n, 3) in metres, x right, y down, z forward, with colours (n, 3) of 8 bits.

    To turn with Plotly where the viewer of the notebook can, and as a still picture elsewhere.
    """
    import plotly.graph_objects as go  # slow to load, and few lessons turn points

    x, y, z = points.T
    rgb = [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in colours]
    figure = go.Figure(
        go.Scatter3d(x=x, y=z, z=-y, mode="markers", marker={"size": 2, "color": rgb})
    )
    axes = {"xaxis_title": "x (m)", "yaxis_title": "forward (m)", "zaxis_title": "up (m)"}
    eye = {"x": -0.6, "y": -1.6, "z": 0.5}
    figure.update_layout(
        scene={"aspectmode": "data", "camera": {"eye": eye}, **axes},
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        height=420,
    )
    still, axis = plt.subplots(figsize=(6, 4.5), subplot_kw={"projection": "3d"})
    axis.scatter(x, z, -y, c=colours / 255, s=4, linewidths=0, rasterized=True)
    axis.set(xlabel="x (m)", ylabel="forward (m)", zlabel="up (m)")
    axis.set_aspect("equal")
    axis.locator_params(nbins=5)
    axis.view_init(elev=18, azim=-70)
    picture = _figure_svg(still)
    plt.close(still)
    turned = json.loads(figure.to_json())
    display({"application/vnd.plotly.v1+json": turned, "image/svg+xml": picture}, raw=True)
