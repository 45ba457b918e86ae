"""The small vocabulary of all pictures: elements, scales, ticks, axes.

Pictures are inline SVG in the colours of the page's style sheet, so that one picture is right in
light and dark; a plotting library would fix the colours when it draws.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from unicodedata import east_asian_width
from xml.etree import ElementTree

from markupsafe import Markup

from akd.report.blocks import Heading

Element = ElementTree.Element
WIDTH = 340
"""Of every picture, in its own units: about one pixel of a phone, so that texts stay legible."""

_TEXT_ROW = 14


@dataclass(frozen=True)
class Scale:
    """A linear map from values to places."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the place of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def picture(heading: Heading, height: float) -> Element:
    """Return an empty picture that says what it is to those who do not see it."""
    title, description = f"{heading.key}-title", f"{heading.key}-description"
    svg = ElementTree.Element(
        "svg",
        {
            "class": "picture",
            "viewBox": f"0 0 {WIDTH} {_places(height)}",
            "role": "img",
            "aria-labelledby": f"{title} {description}",
        },
    )
    for tag, key, words in (
        ("title", title, heading.title),
        ("desc", description, heading.description),
    ):
        ElementTree.SubElement(svg, tag, {"id": key}).text = words
    return svg


def draw(parent: Element, tag: str, kind: str, **places: float | str) -> Element:
    """Add an element of a class of the style sheet; an underscore in a name is a hyphen."""
    attributes = {name.replace("_", "-"): _places(place) for name, place in places.items()}
    return ElementTree.SubElement(parent, tag, {"class": kind, **attributes})


def write(
    parent: Element, words: str, x: float, y: float, kind: str = "", anchor: str = "start"
) -> None:
    """Add a line of text."""
    draw(parent, "text", kind, x=x, y=y, text_anchor=anchor).text = words


def markup(svg: Element) -> Markup:
    """Return a picture as HTML; the serialiser has escaped all texts in it."""
    return Markup(ElementTree.tostring(svg, encoding="unicode"))


def path(points: Sequence[tuple[float, float]]) -> str:
    """Return the path through points."""
    return "M" + "L".join(f"{_places(x)} {_places(y)}" for x, y in points)


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return at most about `count` round values from low to high (steps of 1, 2 or 5)."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * nice for nice in (1, 2, 5, 10) if power * nice >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def span(values: Sequence[float], pad: float = 0.05) -> tuple[float, float]:
    """Return lowest and highest value with room around them, never the same."""
    low, high = min(values), max(values)
    room = (high - low) * pad if high > low else abs(high) * 0.1 or 1.0
    return low - room, high + room


def short(value: float) -> str:
    """Return a tick's label."""
    return f"{round(value, 10):g}".replace("-", "−")


def length(words: str) -> float:
    """Return about how long a text is drawn in the widest of the usual fonts."""
    return sum(
        11.5 if east_asian_width(letter) in "WF" else 9 if letter.isupper() else 6.8
        for letter in words
    )


def clipped(words: str, room: float) -> str:
    """Return words that fit; the table beside the picture has them whole."""
    if length(words) <= room:
        return words
    fitting = [end for end in range(len(words)) if length(words[:end]) + 9 <= room]
    return words[: max(fitting, default=0)] + "…"


def x_axis(svg: Element, scale: Scale, top: float, bottom: float, name: str) -> None:
    """Draw a grid of vertical lines with their values, and the axis' name, under `bottom`."""
    for value in ticks(scale.low, scale.high, 5):
        draw(svg, "line", "grid", x1=scale(value), x2=scale(value), y1=top, y2=bottom)
        write(svg, short(value), scale(value), bottom + _TEXT_ROW, "tick", "middle")
    write(svg, name, (scale.start + scale.end) / 2, bottom + 2 * _TEXT_ROW, "tick", "middle")


def y_axis(svg: Element, scale: Scale, left: float, right: float, name: str) -> None:
    """Draw a grid of horizontal lines with their values, and the axis' name above it."""
    for value in ticks(scale.low, scale.high, 4):
        draw(svg, "line", "grid", x1=left, x2=right, y1=scale(value), y2=scale(value))
        write(svg, short(value), left - 6, scale(value) + 4, "tick", "end")
    write(svg, name, 0, scale.end - 10, "tick")


def marker(parent: Element, number: int, x: float, y: float, radius: float) -> None:
    """Draw the mark of a series, which differs by shape as well as by colour."""
    kind, r = f"mark series-{number}", radius
    match number % 4:
        case 0:
            draw(parent, "circle", kind, cx=x, cy=y, r=r)
        case 1:
            draw(parent, "rect", kind, x=x - 0.9 * r, y=y - 0.9 * r, width=1.8 * r, height=1.8 * r)
        case 2:
            corners = [(x, y - 1.3 * r), (x + 1.3 * r, y), (x, y + 1.3 * r), (x - 1.3 * r, y)]
            draw(parent, "path", kind, d=path(corners) + "Z")
        case _:
            corners = [(x, y - 1.2 * r), (x + 1.2 * r, y + r), (x - 1.2 * r, y + r)]
            draw(parent, "path", kind, d=path(corners) + "Z")


def legend(svg: Element, names: Mapping[int, str], y: float) -> None:
    """Write the names of series beside their marks, in as many lines as they need."""
    x = 6.0
    for number, name in names.items():
        if x > 6 and x + 9 + length(name) > WIDTH:
            x, y = 6.0, y + _TEXT_ROW
        marker(svg, number, x, y - 4, 4)
        write(svg, name, x + 9, y)
        x += 24 + length(name)


def _places(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
