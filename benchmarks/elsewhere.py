"""Labelled data sets from elsewhere, which a folder on this machine may hold; none is shipped.

A file has one JSON object a line, with id, lang, title, text and a label:

- `masakhanews.jsonl`: news in eight languages (en, fr, sw, ha, pcm, am, so, yo), the test splits of
  MasakhaNEWS (Adelani et al. 2023; masakhane-io/masakhane-news, AFL-3.0), texts cut at 1,500
  characters; `label` is the topic that people gave.
- `crisislex_2012.jsonl`: posts of the crises of 2012 out of CrisisLexT26 (Olteanu et al. 2015;
  sajao/CrisisLex, MIT); `crisis3` is the label of the task `crisis` to which the paid label was
  mapped: affected individuals, infrastructure and utilities are risk and warning, caution and
  advice is itself, what is not labeled is safe and harmless (mostly off topic); null for all other
  labels, and for a tenth of these, which no label fits.
"""

from pathlib import Path
from typing import Any

from akd import params
from akd.corpus.duplicates import NearDuplicateIndex
from akd.io import read_json_lines

LABELS = {"masakhanews": "label", "crisislex_2012": "crisis3"}
"""In which field each file has its labels."""

Rows = list[dict[str, Any]]


def labelled_rows(folder: Path, name: str) -> Rows:
    """Return the rows of a file that have a label and are no near copy of an earlier one.

    Posts are often posted again: with one copy among the shots, another would be no test.

    Raises:
        InputError: if the file is missing or damaged.
    """
    settings = params.load()
    near = settings.clean.duplicates
    index = NearDuplicateIndex(
        near.permutations, near.shingle, settings.filter.held_out_similarity, settings.seed
    )
    found = []
    for row in read_json_lines(folder / f"{name}.jsonl"):
        if row[LABELS[name]] and index.find(text_of(row)) is None:
            index.add(text_of(row))
            found.append(row)
    return found


def text_of(row: dict[str, Any]) -> str:
    """Return title and text of a row."""
    return f"{row['title']}\n{row['text']}".strip()
