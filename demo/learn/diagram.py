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
    "patch": _Block(("Patch encoder",), 2),
    "image": _Block(("Image encoder",), 2),
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
        "windows": (130, 20, 128, 52),
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
        ((94, 46), (130, 46)),
        ((258, 46), (284, 46)),
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
    (366, 876),
    {
        "photo": (130, 6, 106, 46),
        "windows": (14, 84, 156, 50),
        "image": (206, 84, 140, 50),
        "patch": (14, 160, 156, 50),
        "merge": (14, 236, 156, 50),
        "decoder": (14, 312, 156, 50),
        "head": (14, 396, 156, 50),
        "fov": (206, 396, 140, 50),
        "inverse": (14, 482, 156, 50),
        "focal": (206, 482, 140, 50),
        "depth": (108, 566, 150, 50),
        "uses": (90, 642, 186, 50),
        "data": (4, 728, 108, 50),
        "losses": (136, 728, 86, 50),
        "training": (246, 728, 100, 50),
        "boundary": (58, 804, 126, 50),
        "scores": (208, 804, 126, 50),
    },
    (
        ((160, 52), (160, 68), (92, 68), (92, 84)),
        ((206, 52), (206, 68), (262, 68), (262, 84)),
        ((92, 134), (92, 160)),
        ((92, 210), (92, 236)),
        ((92, 286), (92, 312)),
        ((262, 134), (262, 337), (170, 337)),
        ((72, 362), (72, 396)),
        ((130, 362), (130, 379), (250, 379), (250, 396)),
        ((236, 29), (356, 29), (356, 379), (310, 379), (310, 396)),
        ((92, 446), (92, 482)),
        ((276, 446), (276, 482)),
        ((92, 532), (92, 549), (150, 549), (150, 566)),
        ((276, 532), (276, 549), (216, 549), (216, 566)),
        ((183, 616), (183, 642)),
        ((112, 753), (136, 753)),
        ((222, 753), (246, 753)),
        ((346, 753), (359, 753), (359, 456)),
        ((28, 778), (28, 868), (121, 868), (121, 854)),
        ((121, 868), (271, 868), (271, 854)),
    ),
    (4, 74, 358, 382),
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
