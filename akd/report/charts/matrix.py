"""The picture of a confusion matrix."""

import textwrap
from collections.abc import Mapping, Sequence

from akd.report.blocks import Heading
from akd.report.charts import svg
from akd.report.charts.svg import WIDTH, draw, write

DEEPEST = 0.4
"""Opacity of a full cell: the page's text stays legible on it, in light and dark."""

_LEFT, _TOP = 94, 78
_ROOM = 94  # for a label that stands alone
_LINE = 13


def confusion(
    heading: Heading, labels: Sequence[str], counts: Mapping[tuple[str, str], int]
) -> svg.Element:
    """Return actual labels (rows) by predicted labels (columns).

    A cell is as deep as its share of its row, so that labels of different sizes compare; it holds
    the count, and below it the share, where there is room.
    """
    side = (WIDTH - _LEFT) / len(labels)
    high = min(side, 64)
    picture = svg.picture(heading, _TOP + high * len(labels) + 2)
    write(picture, "actual ↓", 0, 11, "tick")
    write(picture, "predicted →", 0, 24, "tick")
    _columns(picture, labels, side)
    for row, actual in enumerate(labels):
        y = _TOP + row * high
        lines = _lines(actual, _ROOM, int(high // _LINE))
        _written(picture, lines, _LEFT - 8, y + high / 2, "end")
        total = sum(counts.get((actual, predicted), 0) for predicted in labels)
        for column, predicted in enumerate(labels):
            count = counts.get((actual, predicted), 0)
            x = _LEFT + column * side
            _cell(picture, (x, y, side, high), count, total, row == column)
    return picture


def _columns(picture: svg.Element, labels: Sequence[str], side: float) -> None:
    """Write the labels over their columns: in lines, or slanted where a word is too wide."""
    words = [word for label in labels for word in label.split()]
    if all(svg.length(word) <= side * 1.1 for word in words):
        for column, label in enumerate(labels):
            lines = _lines(label, side * 1.1, 3)
            middle = _TOP - 8 - _LINE * len(lines) / 2
            _written(picture, lines, _LEFT + (column + 0.5) * side, middle, "middle")
        return
    for column, label in enumerate(labels):
        x, y = _LEFT + (column + 0.5) * side + 3, _TOP - 6
        turned = f"rotate({35 if side > 24 else 90} {x:.1f} {y})"
        slanted = draw(picture, "g", "", transform=turned)
        write(slanted, svg.clipped(label, _ROOM), x, y, "small", "end")


def _cell(
    picture: svg.Element,
    place: tuple[float, float, float, float],
    count: int,
    total: int,
    diagonal: bool,
) -> None:
    x, y, side, high = place
    share = count / total if total else 0.0
    inside = {"x": x + 1, "y": y + 1, "width": side - 2, "height": high - 2, "rx": 2}
    draw(picture, "rect", "track", **inside)
    draw(picture, "rect", "cell", **inside, fill_opacity=share * DEEPEST)
    middle, roomy = x + side / 2, high > 40
    if svg.length(str(count)) < side:
        base = y + high / 2 + (-2 if roomy else 4)
        write(picture, str(count), middle, base, "strong" if diagonal else "", "middle")
    if roomy:
        write(picture, f"{share:.0%}", middle, y + high / 2 + 14, "small", "middle")


def _lines(words: str, room: float, most: int) -> list[str]:
    if most < 2:
        return [svg.clipped(words, room)]
    letters = int(room * len(words) / svg.length(words)) if words else 0
    return textwrap.wrap(words, max(letters, 2), max_lines=most, placeholder="…")


def _written(
    picture: svg.Element, lines: Sequence[str], x: float, middle: float, anchor: str
) -> None:
    for number, line in enumerate(lines):
        y = middle + _LINE * (number - (len(lines) - 1) / 2) + 4
        write(picture, line, x, y, "small", anchor)
