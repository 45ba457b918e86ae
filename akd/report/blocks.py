"""What a page is made of: sections of tables, figures and errors, all of them plain values."""

import re
from dataclasses import dataclass

from markupsafe import Markup

_NUMBER = re.compile(r"(|[+−]?[\d,]+(\.\d+)?( %)?( \[.*\])?)")


@dataclass(frozen=True)
class Table:
    """A table of texts whose first column names the rows."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def numeric(self, column: int) -> bool:
        """Return whether all cells of a column are numbers, which are set to the right."""
        return column > 0 and all(_NUMBER.fullmatch(row[column]) for row in self.rows)


@dataclass(frozen=True)
class Heading:
    """What a picture is called and shows; the key is unique on the page."""

    key: str
    title: str
    description: str


@dataclass(frozen=True)
class Figure:
    """A picture, and the same figures as a table for those who do not see it."""

    heading: Heading
    picture: Markup
    table: Table


@dataclass(frozen=True)
class Mistake:
    """An article of which the student says something else than gold."""

    title: str
    text: str
    language: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Section:
    """A part of the page: words first, then tables, figures, mistakes, and tables to unfold."""

    key: str
    title: str
    lead: str
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    folded: tuple[Table, ...] = ()
