"""Pictures of values over steps: curves, a reliability diagram, a panel for each domain."""

import math
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from akd.report.blocks import Heading
from akd.report.charts import svg
from akd.report.charts.svg import WIDTH, Scale, draw, write
from akd.report.words import decimal

_LEFT = 44
_RIGHT = 10
_POINTS = 240
"""More points than this no screen tells apart."""


class Curve(NamedTuple):
    """A series of points."""

    name: str
    points: Sequence[tuple[float, float]]


class Bins(NamedTuple):
    """The bins of a model: mean confidence and accuracy, and how many articles each holds."""

    name: str
    points: Sequence[tuple[float, float]]
    articles: Sequence[int]


def curve(
    heading: Heading, line: Curve, marked: Curve | None, x_name: str, y_name: str
) -> svg.Element:
    """Return a line, over the marks of another series where there is one.

    Values that are not finite are left out.
    """
    top = 48 if marked else 24
    bottom = top + 152
    points = _thin(_finite(line.points))
    marks = _finite(marked.points) if marked else []
    every = points + marks
    picture = svg.picture(heading, bottom + 36)
    if not every:
        write(picture, "no finite value", WIDTH / 2, bottom / 2, "note", "middle")
        return picture
    x = Scale(*svg.span([point[0] for point in every], 0.02), _LEFT, WIDTH - _RIGHT)
    y = Scale(*svg.span([point[1] for point in every]), bottom, top)
    svg.y_axis(picture, y, _LEFT, WIDTH - _RIGHT, y_name)
    svg.x_axis(picture, x, bottom, bottom, x_name)
    if marked:
        svg.legend(picture, {0: line.name, 1: marked.name}, 14)
    for a, b in marks:
        svg.marker(picture, 1, x(a), y(b), 4)
    _path(picture, "line series-0", [(x(a), y(b)) for a, b in points])
    return picture


def reliability(heading: Heading, found: Sequence[Bins]) -> svg.Element:
    """Return accuracy over confidence with the diagonal on which a calibrated model lies.

    The area of a mark grows with the articles of its bin.
    """
    top, bottom, side = 48, 318, 270
    picture = svg.picture(heading, bottom + 36)
    x = Scale(0, 1, _LEFT, _LEFT + side)
    y = Scale(0, 1, bottom, top)
    svg.y_axis(picture, y, _LEFT, _LEFT + side, "accuracy")
    svg.x_axis(picture, x, top, bottom, "confidence")
    svg.legend(picture, dict(enumerate(bins.name for bins in found)), 14)
    draw(picture, "path", "reference", d=svg.path([(x(0), y(0)), (x(1), y(1))]))
    largest = max(chain.from_iterable(bins.articles for bins in found))
    for number, bins in reversed(list(enumerate(found))):
        places = [(x(a), y(b)) for a, b in bins.points]
        _path(picture, f"line series-{number}", places)
        for (a, b), articles in zip(places, bins.articles, strict=True):
            svg.marker(picture, number, a, b, 2.5 + 5 * math.sqrt(articles / largest))
    return picture


def panels(heading: Heading, found: Mapping[str, Curve], x_name: str) -> svg.Element:
    """Return a small panel for each curve, with all the others in its background.

    Colour tells nothing here, so that any number of curves can be told apart.
    """
    columns, width, height, gap = 3, 104, 58, 14
    lines = math.ceil(len(found) / columns)
    picture = svg.picture(heading, lines * (height + 46) + 8)
    drawn = {name: _thin(_finite(curve.points)) for name, curve in found.items()}
    every = list(chain.from_iterable(drawn.values()))
    x = Scale(*svg.span([a for a, _ in every] or [0], 0), 0, width)
    y = Scale(*svg.span([b for _, b in every] or [0]), height, 0)
    shared = draw(draw(picture, "defs", ""), "g", "", id=f"{heading.key}-all")
    for points in drawn.values():
        _path(shared, "faint", [(x(a), y(b)) for a, b in points])
    for number, (name, points) in enumerate(drawn.items()):
        left = (number % columns) * (width + gap)
        top = (number // columns) * (height + 46) + 20
        panel = draw(picture, "g", "", transform=f"translate({left} {top})")
        write(panel, svg.clipped(name, width + gap / 2), 0, -6)
        draw(panel, "rect", "track", x=0, y=0, width=width, height=height)
        draw(panel, "use", "", href=f"#{heading.key}-all")
        _path(panel, "line series-0", [(x(a), y(b)) for a, b in points])
        if points:
            ends = f"{decimal(points[0][1])} → {decimal(points[-1][1])}"
            write(panel, ends, 0, height + 15, "note")
    write(picture, x_name, WIDTH, lines * (height + 46) + 4, "tick", "end")
    return picture


def _path(parent: svg.Element, kind: str, places: Sequence[tuple[float, float]]) -> None:
    if len(places) > 1:
        draw(parent, "path", kind, d=svg.path(places))
    elif places:
        draw(parent, "circle", f"{kind} lone", cx=places[0][0], cy=places[0][1], r=2)


def _finite(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [point for point in points if all(map(math.isfinite, point))]


def _thin(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return every n-th point and the last one."""
    step = math.ceil(len(points) / _POINTS) or 1
    return [*points[:-1:step], *points[-1:]]
