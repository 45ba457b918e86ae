"""Language of a text, by langdetect: seeded, and on processes only (it races in threads)."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from langdetect import DetectorFactory, detect_langs
from langdetect.detector_factory import init_factory
from langdetect.lang_detect_exception import LangDetectException

from akd.console import progress

UNKNOWN = "und"
_CHUNK = 64


def detect(texts: Sequence[str], characters: int, workers: int) -> list[tuple[str, float]]:
    """Return language (ISO 639-1, `und` where there is none) and probability of each text.

    Only the first `characters` of a text are read: the same labels 2-3 times faster. Chinese
    scripts are one language, `zh`.
    """
    heads = [text[:characters] for text in texts]
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start) as pool:
        found = pool.map(_detect_one, heads, chunksize=_CHUNK)
        return list(progress(found, description="language", unit="article", total=len(heads)))


def _start() -> None:
    DetectorFactory.seed = 0
    init_factory()


def _detect_one(text: str) -> tuple[str, float]:
    try:
        best = detect_langs(text)[0]
    except LangDetectException:  # it has no letters: there is no language to find
        return UNKNOWN, 0.0
    return best.lang.partition("-")[0], round(best.prob, 6)
