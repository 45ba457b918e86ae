"""Mining of key phrases from the articles that are there, without any model ([ANON] 3.1).

Articles near a domain's seeds vote for the phrases that set them apart (Rocchio 1971).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from akd.corpus.relevance.scores import is_unspaced, runs

_NEAR_SHARE = 0.05  # of the articles vote for a domain
_COMMON_SHARE = 0.1  # of the articles hold a word that is no keyword of anything
_RARE_ARTICLES = 3  # at least so many hold a phrase
_COVERED = 0.7  # of a phrase's weight: then the longer phrase around it says the same


def mine(
    texts: Sequence[str], seeds: Mapping[str, Sequence[str]], *, per_domain: int, words: int
) -> dict[str, list[tuple[str, float]]]:
    """Return the phrases that set the articles near each domain's seeds apart from all articles.

    A phrase's score is its mean TF-IDF weight in the articles nearest to the seeds (cosine) minus
    that in all articles. In scripts without spaces, phrases are runs of 2 to 4 characters.

    Args:
        texts: articles (n), at least one.
        seeds: keywords of each domain.
        per_domain: how many phrases of each domain.
        words: of the longest phrase.
    """
    common = _common_words(texts)
    vectorizer = TfidfVectorizer(
        analyzer=lambda text: list(_phrases(text, words, common)),
        sublinear_tf=True,
        min_df=min(_RARE_ARTICLES, len(texts)),
    )
    try:
        vectors = vectorizer.fit_transform(texts)
    except ValueError:  # no phrase is in several articles
        return {name: [] for name in seeds}
    names = vectorizer.get_feature_names_out()
    everywhere = np.asarray(vectors.mean(axis=0)).ravel()
    found = {}
    for name, keywords in seeds.items():
        near = np.asarray(
            (vectors @ vectorizer.transform(["\n".join(keywords)]).T).todense()
        ).ravel()
        voters = np.argsort(-near, kind="stable")[: max(1, round(_NEAR_SHARE * len(texts)))]
        voters = voters[near[voters] > 0]
        gain = np.asarray(vectors[voters].mean(axis=0)).ravel() - everywhere if len(voters) else 0
        known = {keyword.casefold() for keyword in keywords}
        found[name] = list(_best(names, np.broadcast_to(gain, len(names)), known, per_domain))
    return found


def _best(
    names: NDArray[np.str_], gain: NDArray[np.float64], known: set[str], count: int
) -> Iterator[tuple[str, float]]:
    """Yield the best phrases, none of which is a part of another that says the same."""
    order = [row for row in np.lexsort((names, -gain))[: 20 * count] if gain[row] > 0]
    chosen = {str(names[row]): float(gain[row]) for row in order}
    yielded = 0
    for phrase, score in chosen.items():
        around = [s for longer, s in chosen.items() if phrase != longer and _inside(phrase, longer)]
        within = [shorter for shorter in chosen if phrase != shorter and _inside(shorter, phrase)]
        is_covered = any(s >= _COVERED * score for s in around)
        is_padded = any(score < _COVERED * chosen[shorter] for shorter in within)
        if phrase in known or is_covered or is_padded:
            continue
        yield phrase, score
        yielded += 1
        if yielded == count:
            return


def _inside(shorter: str, longer: str) -> bool:
    if is_unspaced(longer):
        return shorter in longer
    return f" {shorter} " in f" {longer} "


def _common_words(texts: Sequence[str]) -> set[str]:
    """Return the words that so many articles hold that no phrase begins or ends with one."""
    articles = Counter(word for text in texts for word in set(runs(text.casefold())))
    return {word for word, count in articles.items() if count > max(1, _COMMON_SHARE * len(texts))}


def _phrases(text: str, words: int, common: AbstractSet[str]) -> Iterator[str]:
    """Yield the phrases of a text: runs of words on one line, runs of characters where none are."""
    for line in text.casefold().splitlines():
        plain: list[str] = []
        for run in [*runs(line), ""]:
            if run and not is_unspaced(run):
                plain.append(run)
                continue
            for window in _windows(plain, 1, words):
                edges = (window[0], window[-1])
                if all(word.isalpha() and word not in common for word in edges):
                    yield " ".join(window)
            yield from map("".join, _windows(run, 2, 4))
            plain = []


def _windows(tokens: Sequence[str], shortest: int, longest: int) -> Iterator[Sequence[str]]:
    for size in range(shortest, longest + 1):
        yield from (tokens[start : start + size] for start in range(len(tokens) - size + 1))
