"""Cleaning at the size of the paper's corpus: time, memory, duplicates, against two others.

    python -m benchmarks.clean

The corpus is put together from real news with known duplicates, see `benchmarks.corpus`. The plain
loop is what one would write first: the same cleaning, langdetect on each whole text, and a
dictionary of text hashes, which finds exact duplicates only. It runs on the first rows, in one
process. datatrove filters by language and deduplicates by MinHash the same rows in as many
processes; `benchmarks.datatrove_clean` says what is and is not the same. Where it gets fewer rows,
akd cleans those rows once more, so that both are timed on the same. Ratios are articles a second
and process, those of akd with the cascade over those of the other.
"""

import hashlib
import shutil
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import psutil
import typer
from langdetect import DetectorFactory, detect

from akd.corpus.cleaning.clean import clean
from akd.corpus.cleaning.language import Backend
from akd.corpus.cleaning.preparation import Preparation
from akd.corpus.cleaning.text import clean_text
from benchmarks.clone import write_result
from benchmarks.corpus import build
from benchmarks.datatrove_clean import deduplicate

WORKERS = 2
MAX_CHARACTERS = 2_000
SIMILARITY = 0.7
SEED = 42


def main(
    rows: Annotated[int, typer.Option(help="Articles, as many as the paper has.")] = 219_292,
    many: Annotated[int, typer.Option(help="Articles on which memory is measured.")] = 1_000_000,
    plain: Annotated[int, typer.Option(help="Articles that the plain loop gets.")] = 2_000,
    datatrove: Annotated[int, typer.Option(help="Articles that datatrove gets.")] = 219_292,
) -> None:
    """Write benchmarks/results/clean.json."""
    with tempfile.TemporaryDirectory() as folder:
        raw, out = Path(folder) / "raw", Path(folder) / "out"
        build(rows, raw, SEED)
        langdetect_s, _ = _measured(raw, out, "langdetect")
        cascade_s, peak = _measured(raw, out, "cascade")
        report = _duplicates(_planted(raw), _repeats(out))
        plain_rate = _plain_rate(raw, plain)
        if datatrove != rows:
            _rebuild(datatrove, raw)
        akd_s = cascade_s if datatrove == rows else _measured(raw, out, "cascade")[0]
        rival = _datatrove(raw, Path(folder) / "datatrove", akd_s)
        _rebuild(many, raw)
        many_s, many_peak = _measured(raw, out, "cascade")
    result: dict[str, Any] = {
        "rows": rows,
        "workers": WORKERS,
        "langdetect_s": round(langdetect_s, 1),
        "cascade_s": round(cascade_s, 1),
        "peak_gib": round(peak, 2),
        "memory_growth": round(many_peak / peak - 1, 3),
        "memory_growth_rows": [rows, many],
        "cascade_s_of_most_rows": round(many_s, 1),
        "ratio_plain": round(rows / cascade_s / WORKERS / plain_rate, 2),
        "ratio_plain_langdetect": round(rows / langdetect_s / WORKERS / plain_rate, 2),
        "plain_rows": plain,
        **report,
        **rival,
        "n": 1,
        "seed": SEED,
    }
    options = f"--rows {rows} --many {many} --plain {plain} --datatrove {datatrove}"
    write_result("clean", f"python -m benchmarks.clean {options}", result)


def _rebuild(rows: int, raw: Path) -> None:
    shutil.rmtree(raw)
    build(rows, raw, SEED)


def _datatrove(raw: Path, scratch: Path, akd_s: float) -> dict[str, Any]:
    """Run datatrove on the rows that akd has cleaned in `akd_s` seconds, in as many processes."""
    done = deduplicate(raw, scratch, max_characters=MAX_CHARACTERS, workers=WORKERS)
    shutil.rmtree(scratch)
    planted, seconds = _planted(raw), sum(done.stages_s.values())
    source, dropped = pl.col("source"), done.other_language
    reached = planted.filter(~pl.col("id").is_in(dropped)).with_columns(
        pl.when(source.is_in(dropped)).then(pl.lit("")).otherwise(source).alias("source")
    )
    return {
        "ratio_datatrove": round(seconds / akd_s, 2),
        "datatrove_rows": planted.height,
        "datatrove_s": round(seconds, 1),
        "datatrove_stages_s": {name: round(value, 1) for name, value in done.stages_s.items()},
        "datatrove_akd_s": round(akd_s, 1),
        "datatrove_other_language": len(dropped),
        **{f"datatrove_{name}": v for name, v in _duplicates(reached, done.repeats).items()},
    }


def _measured(raw: Path, out: Path, backend: Backend) -> tuple[float, float]:
    """Return seconds and the largest sum of resident memory over all processes, in GiB."""
    settings = Preparation(
        min_characters=80,
        max_characters=MAX_CHARACTERS,
        languages=(),
        backend=backend,
        language_characters=500,
        sure=0.8,
        permutations=128,
        shingle=3,
        seed=SEED,
    )
    start, peak = time.perf_counter(), 0
    process = get_context("spawn").Process(target=_clean, args=(raw, out, settings))
    process.start()
    tree = psutil.Process(process.pid)
    while process.is_alive():
        peak = max(peak, sum(_resident(p) for p in [tree, *_children(tree)]))
        process.join(timeout=0.2)
    if process.exitcode != 0:
        raise SystemExit(f"cleaning ended with exit code {process.exitcode}")
    return time.perf_counter() - start, peak / 2**30


def _clean(raw: Path, out: Path, settings: Preparation) -> None:
    clean(raw, out, settings, similarity=SIMILARITY, workers=WORKERS)


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:  # it ended between two looks
        return []


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _planted(raw: Path) -> pl.DataFrame:
    return pl.read_parquet(raw / "*.parquet", columns=["id", "source"])


def _repeats(out: Path) -> pl.DataFrame:
    """Return the duplicates that akd rejected, each with the id that was kept."""
    rejected = pl.read_parquet(out / "rejected" / "*.parquet", columns=["id", "reason", "detail"])
    found = rejected.filter(pl.col("reason").str.ends_with("duplicate"))
    return found.select("id", pl.col("detail").alias("kept"))


def _duplicates(planted: pl.DataFrame, repeats: pl.DataFrame) -> dict[str, float]:
    """Compare dropped duplicates with the planted ones, as pairs of a row and its origin."""
    copies = pl.col("source") != ""
    origin = pl.when(copies).then("source").otherwise("id")
    groups = dict(planted.select("id", origin.alias("origin")).rows())
    right = sum(groups[row] == groups.get(kept) for row, kept in repeats.rows())
    return {
        "planted_duplicates": planted.filter(copies).height,
        "duplicate_recall": round(right / planted.filter(copies).height, 4),
        "duplicate_precision": round(right / max(repeats.height, 1), 4),
    }


def _plain_rate(raw: Path, rows: int) -> float:
    """Return the articles a second of the plain loop."""
    texts = pl.read_parquet(raw / "part-00000.parquet")["text"].to_list()[:rows]
    DetectorFactory.seed = 0
    seen: dict[str, int] = {}
    start = time.perf_counter()
    for row, text in enumerate(texts):
        cleaned = clean_text(text)
        detect(cleaned)
        seen.setdefault(hashlib.md5(cleaned.encode()).hexdigest(), row)
    return len(texts) / (time.perf_counter() - start)


if __name__ == "__main__":
    typer.run(main)
