"""The picture of a confusion matrix."""

import textwrap
from collections.abc import Mapping, Sequence

from akd.report.blocks import Heading
from akd.report.charts import svg
from akd.report.charts.svg import WIDTH, draw, write

DEEPEST = 0.4
"""Opacity of a full cell: the page's text stays legible on it, in light and dark."""


def confusion(
    heading: Heading, labels: Sequence[str], counts: Mapping[tuple[str, str], int]
) -> svg.Element:
    """Return actual labels (rows) by predicted labels (columns).

    A cell is as deep as its share of its row, so that labels of different sizes compare; it holds
    the count, and below it the share where there is room.
    """
    left, top = 84, 58
    side = (WIDTH - left) / len(labels)
    high = min(side, 64)
    picture = svg.picture(heading, top + high * len(labels) + 2)
    write(picture, "actual ↓  predicted →", 0, 11, "tick")
    for column, label in enumerate(labels):
        _wrapped(picture, label, left + (column + 0.5) * side, 32, side / 6.2, "middle")
    for row, actual in enumerate(labels):
        y = top + row * high
        _wrapped(picture, actual, left - 8, y + high / 2 - 4, 13, "end")
        total = sum(counts.get((actual, predicted), 0) for predicted in labels)
        for column, predicted in enumerate(labels):
            count = counts.get((actual, predicted), 0)
            share = count / total if total else 0.0
            x = left + column * side
            places = {"x": x + 1, "y": y + 1, "width": side - 2, "height": high - 2, "rx": 2}
            draw(picture, "rect", "track", **places)
            draw(picture, "rect", "cell", **places, fill_opacity=share * DEEPEST)
            roomy = high > 40
            middle = (x + side / 2, y + high / 2 + (-2 if roomy else 4))
            write(picture, f"{count}", *middle, "strong" if row == column else "", "middle")
            if roomy:
                write(picture, f"{share:.0%}", middle[0], middle[1] + 16, "small", "middle")
    return picture


def _wrapped(
    picture: svg.Element, words: str, x: float, middle: float, letters: float, anchor: str
) -> None:
    """Write at most three lines around the middle."""
    lines = textwrap.wrap(words, max(int(letters), 3), max_lines=3, placeholder="…")
    for number, line in enumerate(lines):
        y = middle + 13 * (number - (len(lines) - 1) / 2) + 4
        write(picture, line, x, y, "small", anchor)
