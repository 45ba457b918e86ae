"""Everything that a report shows, read from a project's folder into plain tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from akd.errors import InputError
from akd.io import read_json, read_json_lines
from akd.report.record import Record, read_record

_CONFUSION = pl.Schema({"actual": pl.String, "predicted": pl.String})
_RELIABILITY = pl.Schema(
    {"model": pl.String, "confidence": pl.Float64, "accuracy": pl.Float64, "articles": pl.Int64}
)
_CALLS = pl.Schema({"call": pl.Float64, "score": pl.Float64, "best": pl.Float64})
_LOSS = pl.Schema({"step": pl.Float64, "loss": pl.Float64})
_DOMAINS = pl.Schema(
    {
        "step": pl.Float64,
        "domain": pl.String,
        "weight": pl.Float64,
        "student_loss": pl.Float64,
        "teacher_loss": pl.Float64,
    }
)
_KEPT = pl.Schema({"articles": pl.Int64, "kept": pl.Int64, "kept_share": pl.Float64})
_ERRORS = pl.Schema(
    {
        "id": pl.String,
        "gold": pl.String,
        "teacher": pl.String,
        "student": pl.String,
        "confidence": pl.Float64,
        "domain": pl.String,
        "language": pl.String,
    }
)
_TEXT = ("title", "text")


@dataclass(frozen=True)
class Run:
    """What the last run left behind; a table that it did not write is None or empty.

    Attributes:
        metrics: each JSON file of `metrics/` by its stem.
        confusion: actual and predicted label of each gold article.
        reliability: confidence, accuracy and size of each model's bins.
        calls: score and best score of the prompt search after each call.
        losses: step, loss, and what each loss adds before it is weighted, of each phase.
        domains: weight and losses of each domain at each step, for each phase.
        kept: articles and kept ones by domain, by language.
        errors: the student's mistakes, with title and text where the clean articles have them.
        tree: one object for each prompt that the search scored.
        prompt: the prompt that it chose.
        record: parameters and hashes.
    """

    metrics: Mapping[str, Any]
    confusion: pl.DataFrame | None
    reliability: pl.DataFrame | None
    calls: pl.DataFrame | None
    losses: Mapping[str, pl.DataFrame]
    domains: Mapping[str, pl.DataFrame]
    kept: Mapping[str, pl.DataFrame]
    errors: pl.DataFrame | None
    tree: list[dict[str, Any]]
    prompt: Mapping[str, Any]
    record: Record


def load(project: Path) -> Run:
    """Read what the stages of a project wrote.

    Args:
        project: the folder that holds `metrics/`, `data/`, `dvc.lock` and `params.yaml`.

    Raises:
        InputError: if there are no metrics yet, or a file is not as its stage writes it.
    """
    metrics, data = project / "metrics", project / "data"
    files = sorted(metrics.glob("*.json"))
    if not files:
        raise InputError(f"{metrics} holds no metrics yet: run `dvc repro` first")
    record = read_record(project / "dvc.lock", project / "params.yaml")
    tree, prompt = data / "prompt" / "tree.jsonl", data / "prompt" / "prompt.json"
    gold = data / "tasks" / str(record.value("task")) / "gold.jsonl"
    return Run(
        metrics={file.stem: _metrics(file) for file in files},
        confusion=_table(metrics / "confusion.csv", _CONFUSION),
        reliability=_table(metrics / "reliability.csv", _RELIABILITY),
        calls=_table(metrics / "prompt" / "search.csv", _CALLS),
        losses=_tables(metrics / "loss", _LOSS, pl.Float64()),
        domains=_tables(metrics / "domains", _DOMAINS),
        kept=_kept(metrics / "kept"),
        errors=_errors(metrics / "errors.csv", data / "clean" / "articles", gold),
        tree=read_json_lines(tree) if tree.is_file() else [],
        prompt=read_json(prompt)["prompt"] if prompt.is_file() else {},
        record=record,
    )


def _metrics(file: Path) -> dict[str, Any]:
    found = read_json(file)
    if not isinstance(found, dict):
        raise InputError(f"{file} is not a JSON object: run the stage that writes it again")
    return found


def _table(file: Path, schema: pl.Schema, rest: pl.DataType | None = None) -> pl.DataFrame | None:
    """Return the columns of the schema, or None where there is no file or it has no row.

    Further columns follow as `rest`, or are left out where that is None.
    """
    if not file.is_file():
        return None
    try:
        text = pl.read_csv(file, infer_schema=False)
        columns = [pl.col(name).cast(kind) for name, kind in schema.items()]
        further = [] if rest is None else [pl.exclude(schema.names()).cast(rest)]
        frame = text.select(columns + further)
    except pl.exceptions.NoDataError:
        return None
    except (pl.exceptions.PolarsError, UnicodeDecodeError):
        names = ", ".join(schema.names())
        raise InputError(
            f"{file} is not a table of {names}: run the stage that writes it again"
        ) from None
    return frame.with_columns(pl.col(pl.String).fill_null("")) if frame.height else None


def _tables(
    folder: Path, schema: pl.Schema, rest: pl.DataType | None = None
) -> dict[str, pl.DataFrame]:
    found = {file.stem: _table(file, schema, rest) for file in sorted(folder.glob("*.csv"))}
    return {name: frame for name, frame in found.items() if frame is not None}


def _kept(folder: Path) -> dict[str, pl.DataFrame]:
    """Return each table of kept articles; its first column is named like its file."""
    found = {}
    for file in sorted(folder.glob("*.csv")):
        frame = _table(file, pl.Schema([(file.stem, pl.String), *_KEPT.items()]))
        if frame is not None:
            found[file.stem] = frame
    return found


def _errors(file: Path, clean: Path, gold: Path) -> pl.DataFrame | None:
    """Return the errors, joined with texts that no file under `metrics/` may hold."""
    errors = _table(file, _ERRORS)
    if errors is None:
        return None
    texts = pl.DataFrame(schema=dict.fromkeys(("id", *_TEXT), pl.String))
    if shards := sorted(clean.glob("part-*.parquet")):
        wanted = pl.scan_parquet(shards).filter(pl.col("id").is_in(errors["id"].to_list()))
        texts = wanted.select("id", *_TEXT).collect(engine="streaming")
    if gold.is_file():  # an annotated example may bring its own text
        own = [row for row in read_json_lines(gold) if row.get("text")]
        rows = [(row.get("id"), *(str(row.get(name, "")) for name in _TEXT)) for row in own]
        brought = pl.DataFrame(rows, schema=texts.schema, orient="row")
        texts = pl.concat([brought, texts]).unique("id", keep="first")
    return errors.join(texts, on="id", how="left", maintain_order="left").with_columns(
        pl.col(_TEXT).fill_null("")
    )
