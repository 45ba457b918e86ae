"""Language filter and MinHash deduplication with datatrove, run in an environment of its own.

    python -P datatrove_pipeline.py <input> <output> <lid.176.ftz> --workers 2

Started by `benchmarks.datatrove_clean`, which says what is compared and how. The four stages are
those of datatrove's example of MinHash; the language filter stands in the first of them, so that
the texts are read once before the signatures, and not twice. There is one task for each process:
each loads its models once. `report.json` in the output gets the wall seconds of each stage.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.filters import LanguageFilter
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import ParquetWriter
from datatrove.utils.lid import FT176LID

LANGUAGES = ["en", "zh"]
"""What the corpus is written in; the threshold stays as datatrove ships it."""

TOKENIZER = "eng_Latn"
"""One run of MinHash has one tokenizer, and nine in ten articles are English."""

CONFIG = MinhashConfig(n_grams=3, num_buckets=16, hashes_per_bucket=8, seed=42)


def main() -> None:
    """Run the stages one after the other."""
    parser = argparse.ArgumentParser()
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--workers", type=int, required=True)
    given = parser.parse_args()
    seconds: dict[str, float] = {}
    for name, steps, tasks in _stages(given.input, given.output, given.model, given.workers):
        logs = str(given.output / "logs" / name)
        stage = LocalPipelineExecutor(steps, tasks, given.workers, logs)
        start = time.perf_counter()
        stage.run()
        seconds[name] = time.perf_counter() - start
    (given.output / "report.json").write_text(json.dumps(seconds))


def _stages(
    source: Path, out: Path, model: Path, workers: int
) -> Sequence[tuple[str, list[Any], int]]:
    """Return name, steps and number of tasks of each stage."""
    fit, signatures, pairs, clusters = (
        str(out / name) for name in ("fit", "signatures", "pairs", "clusters")
    )
    by_language = LanguageFilter(LANGUAGES, exclusion_writer=_writer(out / "other_language"))
    by_language.model = FT176LID(LANGUAGES)
    by_language.model.MODEL_URL = str(model)  # else it downloads a larger one
    prepare = [
        ParquetReader(str(source), read_metadata=False),
        by_language,
        _writer(out / "fit"),
        MinhashDedupSignature(signatures, CONFIG, TOKENIZER),
    ]
    remove = [
        ParquetReader(fit),
        MinhashDedupFilter(clusters, _writer(out / "dropped"), load_cluster_ids=True),
        _writer(out / "kept"),
    ]
    return [
        ("language_and_signatures", prepare, workers),
        ("buckets", [MinhashDedupBuckets(signatures, pairs, config=CONFIG)], CONFIG.num_buckets),
        ("clusters", [MinhashDedupCluster(pairs, clusters, CONFIG, save_cluster_id=True)], 1),
        ("filter", remove, workers),
    ]


def _writer(folder: Path) -> Any:
    return ParquetWriter(str(folder), compression="zstd", expand_metadata=True)


if __name__ == "__main__":
    main()
