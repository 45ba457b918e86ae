"""The picture of a search: an indented tree with the score of each node beside it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from akd.report.blocks import Heading
from akd.report.charts import svg
from akd.report.charts.svg import WIDTH, Scale, draw, write

_LINE = 24
_LANES = 196
"""Where the scores begin."""


class Node(NamedTuple):
    """A node of a tree; the root's parent is no node."""

    number: int
    parent: int
    name: str
    score: float


def search_tree(
    heading: Heading, nodes: Sequence[Node], chosen: int | None, shown: int
) -> svg.Element:
    """Return the nodes below their parents; the chosen one is bold.

    Args:
        heading: what the picture is called.
        nodes: of the tree, at least one.
        chosen: number of the node that the search ended with.
        shown: of a larger tree, only so many of the best nodes and their ancestors appear.
    """
    kept = _best(nodes, chosen, shown)
    bottom = 8 + _LINE * len(kept)
    picture = svg.picture(heading, bottom + 36)
    scale = Scale(*svg.span([node.score for node in kept], 0.08), _LANES, WIDTH - 8)
    svg.x_axis(picture, scale, 6, bottom, "score")
    places: dict[int, tuple[float, float]] = {}
    for line, (node, depth) in enumerate(_below(kept)):
        x, y = 6.0 + 15 * min(depth, 6), 8 + _LINE * (line + 0.5)
        places[node.number] = (x, y)
        if node.parent in places:
            from_x, from_y = places[node.parent]
            draw(picture, "path", "edge", d=svg.path([(from_x, from_y), (from_x, y), (x, y)]))
        kind = "strong" if node.number == chosen else ""
        name = svg.clipped(f"{node.number} {node.name}", _LANES - x - 9)
        write(picture, name, x + 9, y + 4, kind)
        draw(picture, "line", "lane", x1=_LANES, x2=scale(node.score), y1=y, y2=y)
        mark = "mark series-0" if node.number == chosen else "mark other"
        draw(picture, "circle", mark, cx=scale(node.score), cy=y, r=4.5)
    for x, y in places.values():
        draw(picture, "circle", "node", cx=x, cy=y, r=3.5)
    return picture


def _best(nodes: Sequence[Node], chosen: int | None, shown: int) -> list[Node]:
    """Return the best nodes, the chosen one, and all their ancestors, in their order."""
    known = {node.number: node for node in nodes}
    ranked = sorted(nodes, key=lambda node: -node.score)[:shown]
    waiting = [node.number for node in ranked] + ([] if chosen is None else [chosen])
    kept: set[int] = set()
    while waiting:
        number = waiting.pop()
        if number in known and number not in kept:
            kept.add(number)
            waiting.append(known[number].parent)
    return [node for node in nodes if node.number in kept]


def _below(nodes: Sequence[Node]) -> Iterator[tuple[Node, int]]:
    """Yield each node with its depth, a parent before its children."""
    numbers = {node.number for node in nodes}
    children: Mapping[int, list[Node]] = {number: [] for number in numbers}
    waiting = []
    for node in nodes:
        if node.parent in numbers:
            children[node.parent].append(node)
        else:
            waiting.append((node, 0))
    waiting.reverse()
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        waiting.extend((child, depth + 1) for child in reversed(children[node.number]))
