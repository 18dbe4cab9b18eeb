"""A map of the network and of what surrounds it: each block leads to a lesson."""

import html
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from demo.lessons import Lesson


class _Block(NamedTuple):
    lines: tuple[str, ...]
    lesson: int


class _Layout(NamedTuple):
    """Places of the blocks, and the lines between them; the units are pixels at full size."""

    name: str
    size: tuple[int, int]
    boxes: Mapping[str, tuple[int, int, int, int]]
    """Left, top, width, height."""
    arrows: Sequence[Sequence[tuple[int, int]]]
    """Corners of each; the head is at the last."""
    frame: tuple[int, int, int, int]
    """Around the network."""


BLOCKS = {
    "photo": _Block(("Photo",), 1),
    "windows": _Block(("35 windows", "at three scales"), 2),
    "patch": _Block(("Patch", "encoder"), 2),
    "image": _Block(("Image", "encoder"), 2),
    "merge": _Block(("Merge",), 2),
    "decoder": _Block(("Decoder",), 2),
    "head": _Block(("Head",), 2),
    "inverse": _Block(("Canonical", "inverse depth C"), 3),
    "fov": _Block(("Field-of-view", "head"), 7),
    "focal": _Block(("Focal", "length"), 3),
    "depth": _Block(("Depth in", "metres"), 1),
    "uses": _Block(("Refocus, new views,", "lengths, 3D"), 9),
    "data": _Block(("Scenes with", "true depth"), 6),
    "losses": _Block(("Losses",), 4),
    "training": _Block(("Training",), 6),
    "boundary": _Block(("Boundary", "metrics"), 5),
    "scores": _Block(("Scores", "and ranks"), 8),
}

LIT: dict[int, frozenset[str]] = {
    1: frozenset({"photo", "inverse", "focal", "depth"}),
    2: frozenset({"windows", "patch", "image", "merge", "decoder", "head"}),
    3: frozenset({"inverse", "focal", "depth"}),
    4: frozenset({"losses"}),
    5: frozenset({"boundary"}),
    6: frozenset({"data", "losses", "training", "decoder", "head"}),
    7: frozenset({"fov", "focal"}),
    8: frozenset({"data", "scores"}),
    9: frozenset({"depth", "uses"}),
}
"""Blocks that each lesson is about."""

_WIDE = _Layout(
    "wide",
    (960, 312),
    {
        "photo": (8, 20, 86, 52),
        "windows": (124, 20, 138, 52),
        "patch": (284, 20, 122, 52),
        "merge": (432, 20, 84, 52),
        "decoder": (542, 20, 92, 52),
        "head": (660, 20, 80, 52),
        "inverse": (796, 20, 156, 52),
        "image": (284, 106, 122, 52),
        "fov": (600, 106, 140, 52),
        "focal": (770, 106, 72, 52),
        "depth": (868, 106, 84, 52),
        "data": (8, 226, 114, 52),
        "losses": (148, 226, 90, 52),
        "training": (264, 226, 100, 52),
        "boundary": (440, 226, 106, 52),
        "scores": (572, 226, 106, 52),
        "uses": (772, 226, 180, 52),
    },
    (
        ((94, 46), (124, 46)),
        ((262, 46), (284, 46)),
        ((406, 46), (432, 46)),
        ((516, 46), (542, 46)),
        ((634, 46), (660, 46)),
        ((740, 46), (796, 46)),
        ((66, 72), (66, 132), (284, 132)),
        ((406, 132), (560, 132), (560, 72)),
        ((617, 72), (617, 106)),
        ((36, 72), (36, 180), (670, 180), (670, 158)),
        ((740, 132), (770, 132)),
        ((842, 132), (868, 132)),
        ((910, 72), (910, 106)),
        ((910, 158), (910, 226)),
        ((122, 252), (148, 252)),
        ((238, 252), (264, 252)),
        ((314, 226), (314, 194)),
        ((65, 278), (65, 298), (493, 298), (493, 278)),
        ((493, 298), (625, 298), (625, 278)),
    ),
    (114, 8, 642, 186),
)

_TALL = _Layout(
    "tall",
    (366, 740),
    {
        "photo": (130, 6, 106, 36),
        "windows": (14, 72, 156, 46),
        "image": (206, 72, 140, 46),
        "patch": (14, 136, 156, 46),
        "merge": (14, 200, 156, 36),
        "decoder": (14, 254, 156, 36),
        "head": (14, 322, 156, 46),
        "fov": (206, 322, 140, 46),
        "inverse": (14, 396, 156, 46),
        "focal": (206, 396, 140, 46),
        "depth": (108, 470, 150, 46),
        "uses": (90, 534, 186, 46),
        "data": (4, 602, 108, 46),
        "losses": (136, 602, 86, 46),
        "training": (246, 602, 100, 46),
        "boundary": (58, 672, 126, 46),
        "scores": (208, 672, 126, 46),
    },
    (
        ((160, 42), (160, 56), (92, 56), (92, 72)),
        ((206, 42), (206, 56), (262, 56), (262, 72)),
        ((92, 118), (92, 136)),
        ((92, 182), (92, 200)),
        ((92, 236), (92, 254)),
        ((262, 118), (262, 272), (170, 272)),
        ((72, 290), (72, 322)),
        ((130, 290), (130, 306), (250, 306), (250, 322)),
        ((236, 24), (356, 24), (356, 306), (310, 306), (310, 322)),
        ((92, 368), (92, 396)),
        ((276, 368), (276, 396)),
        ((92, 442), (92, 456), (150, 456), (150, 470)),
        ((276, 442), (276, 456), (216, 456), (216, 470)),
        ((183, 516), (183, 534)),
        ((112, 625), (136, 625)),
        ((222, 625), (246, 625)),
        ((346, 625), (359, 625), (359, 380)),
        ((28, 648), (28, 732), (121, 732), (121, 718)),
        ((121, 732), (271, 732), (271, 718)),
    ),
    (4, 62, 358, 318),
)


def diagram(lessons: Sequence[Lesson], lit: Collection[str] = ()) -> str:
    """Return the map as HTML, with these blocks lit: drawn twice, for wide and narrow screens.

    Links are relative to the folder of the lessons.
    """
    by_number = {lesson.number: lesson for lesson in lessons}
    drawings = "".join(_draw(layout, by_number, lit) for layout in (_WIDE, _TALL))
    return f'<nav class="map" aria-label="Map of the network">{drawings}</nav>'


def _draw(layout: _Layout, lessons: Mapping[int, Lesson], lit: Collection[str]) -> str:
    width, height = layout.size
    left, top, across, down = layout.frame
    parts = [
        f'<rect class="frame" x="{left}" y="{top}" width="{across}" height="{down}" rx="12"/>',
        *map(_arrow, layout.arrows),
    ]
    for name, box in layout.boxes.items():
        block = BLOCKS[name]
        lesson = lessons.get(block.lesson)
        parts.append(_box(name, block, box, lesson, name in lit))
    return f'<svg class="{layout.name}" viewBox="0 0 {width} {height}">{"".join(parts)}</svg>'


def _arrow(corners: Sequence[tuple[int, int]]) -> str:
    (x0, y0), (x1, y1) = corners[-2:]
    length = abs(x1 - x0) + abs(y1 - y0)
    ux, uy = (x1 - x0) // length, (y1 - y0) // length  # along an axis
    head = f"{x1 - 7 * ux - 4 * uy},{y1 - 7 * uy - 4 * ux} {x1},{y1} "
    head += f"{x1 - 7 * ux + 4 * uy},{y1 - 7 * uy + 4 * ux}"
    line = " ".join(f"{x},{y}" for x, y in corners)
    return f'<polyline points="{line}"/><polygon points="{head}"/>'


def _box(
    name: str, block: _Block, box: tuple[int, int, int, int], lesson: Lesson | None, lit: bool
) -> str:
    left, top, width, height = box
    middle, first = left + width / 2, top + height / 2 + 5 - 9 * (len(block.lines) - 1)
    words = "".join(
        f'<tspan x="{middle:g}" y="{first + 18 * line:g}">{html.escape(text)}</tspan>'
        for line, text in enumerate(block.lines)
    )
    drawn = f'<rect x="{left}" y="{top}" width="{width}" height="{height}" rx="7"/>'
    drawn += f"<text>{words}</text>"
    look = f'class="block{" lit" if lit else ""}" data-block="{name}"'
    if lesson is None:
        return f"<g {look}>{drawn}</g>"
    title = html.escape(f"{' '.join(block.lines)}: lesson {lesson.number}, {lesson.title}")
    return f'<a {look} href="{lesson.name}" aria-label="{title}"><title>{title}</title>{drawn}</a>'
