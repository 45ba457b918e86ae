"""What a prompt is adapted on: the texts of the shots, and a sample of the relevant articles."""

from pathlib import Path

from akd.corpus.examples import balanced, with_texts
from akd.corpus.sampling import sample
from akd.io import read_table
from akd.prompts.demonstrations import Shot
from akd.records import FILTERED
from akd.specs.prompts import PromptParams
from akd.task import Task, load_examples


def read_shots(
    folder: Path, task: Task, clean: Path, settings: PromptParams, max_characters: int
) -> list[Shot]:
    """Return the shots of a task's folder with their texts, as many as the settings ask for.

    Raises:
        InputError: if a shot has no article, or breaks the schema.
    """
    names = task.label_names
    examples = balanced(load_examples(folder / "shots.jsonl", names), settings.shots)
    table = with_texts(examples, clean, max_characters)
    rows = table.select("id", "text", "label").rows()
    return [Shot(key, text, names.index(label)) for key, text, label in rows]


def read_unlabelled(filtered: Path, settings: PromptParams) -> list[str]:
    """Return the sample of relevant articles on which prompts are scored and calibrated."""
    texts = read_table(filtered / "articles", FILTERED)["text"].to_list()
    size = max(settings.calibration.articles, settings.unlabelled)
    return [texts[row] for row in sample(texts, size)]
