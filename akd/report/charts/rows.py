"""Pictures with a lane for each row: intervals, groups, shares. The name stands above its lane."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from akd.report.blocks import Heading
from akd.report.charts import svg
from akd.report.charts.svg import WIDTH, Scale, draw, write

_LANE = 40
_APART = 8  # series of one lane, which may lie on each other
_EDGE = 8
_AXIS = 36


class Interval(NamedTuple):
    """A value between its bounds; the written form stands beside its name."""

    name: str
    value: float
    low: float
    high: float
    written: str


class Group(NamedTuple):
    """One value of each series for a group of articles, and words about the group."""

    name: str
    note: str
    values: Mapping[int, float]


class Share(NamedTuple):
    """A share of 1 and words about it."""

    name: str
    note: str
    share: float


def intervals(
    heading: Heading, rows: Sequence[Interval], axis: str, zero: bool = False
) -> svg.Element:
    """Return a dot with a whisker for each row; with `zero`, a line at 0 to compare with."""
    bottom = _LANE * len(rows) + 4
    picture = svg.picture(heading, bottom + _AXIS)
    ends = [end for row in rows for end in (row.low, row.high)] + ([0.0] if zero else [])
    scale = Scale(*svg.span(ends), _EDGE, WIDTH - _EDGE)
    svg.x_axis(picture, scale, 6, bottom, axis)
    if zero:
        draw(picture, "line", "reference", x1=scale(0), x2=scale(0), y1=6, y2=bottom)
    for number, row in enumerate(rows):
        y = _lane(picture, _LANE * number, row.name, row.written)
        draw(picture, "line", "whisker", x1=scale(row.low), x2=scale(row.high), y1=y, y2=y)
        svg.marker(picture, 0, scale(row.value), y, 5)
    return picture


def groups(
    heading: Heading, rows: Sequence[Group], series: Mapping[int, str], axis: str
) -> svg.Element:
    """Return the marks of all series below each other for each group, on an axis from 0 to 1."""
    top, lane = 22, _LANE - _APART + _APART * len(series)
    bottom = top + lane * len(rows) + 4
    picture = svg.picture(heading, bottom + _AXIS)
    svg.legend(picture, series, 14)
    scale = Scale(0, 1, _EDGE, WIDTH - _EDGE)
    svg.x_axis(picture, scale, top + 6, bottom, axis)
    for number, row in enumerate(rows):
        y = _lane(picture, top + lane * number, row.name, row.note)
        for place, (mark, value) in enumerate(row.values.items()):
            level = y + _APART * place
            draw(picture, "line", "lane", x1=scale(0), x2=scale(1), y1=level, y2=level)
            svg.marker(picture, mark, scale(value), level, 4)
    return picture


def shares(heading: Heading, rows: Sequence[Share]) -> svg.Element:
    """Return a bar for each row, filled as far as its share."""
    picture = svg.picture(heading, _LANE * len(rows) + 4)
    for number, row in enumerate(rows):
        y = _lane(picture, _LANE * number, row.name, row.note) - 5
        draw(picture, "rect", "track", x=0, y=y, width=WIDTH, height=10, rx=2)
        draw(picture, "rect", "bar", x=0, y=y, width=WIDTH * row.share, height=10, rx=2)
    return picture


def _lane(picture: svg.Element, top: float, name: str, note: str) -> float:
    """Write name and note above a lane and return the height of its middle."""
    base = top + 16
    write(picture, svg.clipped(name, WIDTH - svg.length(note)), 0, base)
    write(picture, note, WIDTH, base, "note", "end")
    return base + 14
