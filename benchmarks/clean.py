"""Cleaning at the size of the paper's corpus: time, memory, duplicates, against a plain loop.

    python -m benchmarks.clean

The corpus is put together from real news with known duplicates, see `benchmarks.corpus`. The plain
loop is what one would write first: the same cleaning, langdetect on each whole text, and a
dictionary of text hashes, which finds exact duplicates only. It runs on the first rows, in one
process; ratios are articles a second and process.
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

from akd.corpus.clean import clean
from akd.corpus.cleaning import clean_text
from akd.corpus.language import Backend
from akd.corpus.preparation import Preparation
from benchmarks.clone import write_result
from benchmarks.corpus import build

WORKERS = 2
SIMILARITY = 0.7
SEED = 42


def main(
    rows: Annotated[int, typer.Option(help="Articles, as many as the paper has.")] = 219_292,
    many: Annotated[int, typer.Option(help="Articles on which memory is measured.")] = 1_000_000,
    plain: Annotated[int, typer.Option(help="Articles that the plain loop gets.")] = 2_000,
) -> None:
    """Write benchmarks/results/clean.json."""
    with tempfile.TemporaryDirectory() as folder:
        raw, out = Path(folder) / "raw", Path(folder) / "out"
        build(rows, raw, SEED)
        langdetect_s, _ = _measured(raw, out, "langdetect")
        cascade_s, peak = _measured(raw, out, "cascade")
        planted = pl.read_parquet(raw / "*.parquet", columns=["id", "source"])
        report = _duplicates(planted, out)
        texts = pl.read_parquet(raw / "part-00000.parquet")["text"].to_list()[:plain]
        plain_rate = len(texts) / _plain_loop(texts)
        shutil.rmtree(raw)
        build(many, raw, SEED)
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
        "n": 1,
        "seed": SEED,
    }
    command = f"python -m benchmarks.clean --rows {rows} --many {many} --plain {plain}"
    write_result("clean", command, result)


def _measured(raw: Path, out: Path, backend: Backend) -> tuple[float, float]:
    """Return seconds and the largest sum of resident memory over all processes, in GiB."""
    settings = Preparation(
        min_characters=80,
        max_characters=2000,
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


def _duplicates(planted: pl.DataFrame, out: Path) -> dict[str, float]:
    """Compare the rejected duplicates with the planted ones, as pairs of a row and its origin."""
    origin = pl.when(pl.col("source") == "").then("id").otherwise("source")
    groups = dict(planted.select("id", origin.alias("origin")).rows())
    rejected = pl.read_parquet(out / "rejected" / "*.parquet", columns=["id", "reason", "detail"])
    found = rejected.filter(pl.col("reason").str.ends_with("duplicate"))
    right = sum(groups[row] == groups[kept] for row, _, kept in found.rows())
    return {
        "planted_duplicates": planted.filter(pl.col("source") != "").height,
        "duplicate_recall": round(right / planted.filter(pl.col("source") != "").height, 4),
        "duplicate_precision": round(right / max(found.height, 1), 4),
    }


def _plain_loop(texts: list[str]) -> float:
    DetectorFactory.seed = 0
    seen: dict[str, int] = {}
    start = time.perf_counter()
    for row, text in enumerate(texts):
        cleaned = clean_text(text)
        detect(cleaned)
        seen.setdefault(hashlib.md5(cleaned.encode()).hexdigest(), row)
    return time.perf_counter() - start


if __name__ == "__main__":
    typer.run(main)
