"""Language detection against human labels, and on short texts, for each backend and language.

    python -m benchmarks.language --news masakhanews.jsonl

The news are JSON lines with `lang` (ISO 639-1 or 639-3) and `text`; a short text is the first 60
characters of one. Only languages that a backend knows are counted for it.
"""

from collections import defaultdict
from pathlib import Path
from typing import Annotated, get_args

import polars as pl
import typer
from langdetect import DetectorFactory
from langdetect.detector_factory import init_factory

from akd.corpus.cleaning.language import Backend, Detect, detector
from akd.corpus.cleaning.text import clean_text
from benchmarks.clone import write_result

SHORT = 60
FASTTEXT_LACKS = {"ha", "pcm"}
"""Languages of African news that lid.176 has no label for."""


def main(
    news: Annotated[Path, typer.Option(help="JSON lines with the fields lang and text.")],
) -> None:
    """Write benchmarks/results/language.json."""
    table = pl.read_ndjson(news).select("lang", "text")
    init_factory()
    known = {
        "langdetect": {code.partition("-")[0] for code in _langdetect_codes()},
        "fasttext": set(table["lang"].unique()) - FASTTEXT_LACKS,
    }
    known["cascade"] = known["fasttext"] | known["langdetect"]
    rows = [(language, clean_text(text)) for language, text in table.rows()]
    result = {
        backend: {
            name: _accuracy(
                detector(backend, characters, 0.8), [r for r in rows if r[0] in known[backend]]
            )
            for name, characters in (("article", 500), ("short", SHORT))
        }
        for backend in get_args(Backend)
    }
    write_result("language", f"python -m benchmarks.language --news {news.name}", result)


def _langdetect_codes() -> list[str]:
    from langdetect import detector_factory

    DetectorFactory.seed = 0
    codes: list[str] = detector_factory._factory.get_lang_list()
    return codes


def _accuracy(detect: Detect, rows: list[tuple[str, str]]) -> dict[str, dict[str, float]]:
    right: dict[str, list[bool]] = defaultdict(list)
    for language, text in rows:
        right[language].append(detect(text).code == language)
    return {
        language: {"accuracy": round(sum(found) / len(found), 4), "n": len(found)}
        for language, found in sorted(right.items())
    }


if __name__ == "__main__":
    typer.run(main)
