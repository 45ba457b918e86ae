"""A teacher whose understanding is known: what the tests of the prompt search ask."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from transformers import PreTrainedTokenizerBase

from akd.prompts.asked import Asked
from akd.prompts.demonstrations import Shot, demonstration_sets
from akd.prompts.operators import Moves
from akd.prompts.template import Prompt, tells_apart
from akd.records import Scores
from akd.specs.prompts import Pin, PromptParams
from akd.task import PromptSeeds

SEEDS = PromptSeeds(
    systems=[""],
    instructions=["", "Say {labels}."],
    articles=["News: "],
    cues=["\nIt is", "\nAnswer:"],
    verbalizers=[["mist", "fog"], ["bad", "good"]],
)
SHOTS = [Shot(f"n{n}", f"{'bad' if n % 2 == 0 else 'good'} news {n}", n % 2) for n in range(8)]
PIN = Pin(
    chat=False,
    system="",
    instruction="Read: {labels}?",
    article="Text: ",
    cue="\nAnswer:",
    words=["bad", "good"],
    order=[1, 0],
    shots=["n3", "n0"],
)
FREE = [f"{word} text" for word in ("bad", "good", "bad", "good")]
OPERATORS = (
    "verbalizer",
    "shots",
    "paraphrase",
    "response_format",
    "label_order",
    "chat_template",
    "system_message",
    "keyword",
    "article_mark",
)


class Oracle:
    """Understands only the words bad and good, best after the cue `Answer:`."""

    def __init__(self) -> None:
        self.asked: list[Prompt] = []
        self.texts: list[Sequence[str]] = []

    def __call__(self, prompt: Prompt, texts: Sequence[str], _layers: Sequence[int] = ()) -> Scores:
        self.asked.append(prompt)
        self.texts.append(texts)
        power = 1.0 * (prompt.words[0] == "bad") + 1.0 * (prompt.cue == "\nAnswer:")
        power = power if prompt.words[0] == "bad" else 0.0
        logits = np.array([[power, 0.0] if "bad" in text else [0.0, power] for text in texts])
        log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        return Scores(
            log_p.astype(np.float32),
            np.zeros((len(texts), 4), np.float32),
            np.zeros((len(texts), 0, 4), np.float32),
        )


def moves(operators: Sequence[str] = OPERATORS, **changes: object) -> Moves:
    """Return what a search over the seeds above may change."""
    given = {
        "operators": operators,
        "seeds": SEEDS,
        "demonstrations": demonstration_sets(SHOTS, range(8), 2, 5, 20),
        "chats": (False,),
        "nearest": None,
        "keyword_neighbours": 2,
        "near_copy": 0.9,
        "fits": lambda prompt: True,
    }
    return Moves(**{**given, **changes})  # type: ignore[arg-type]


def teacher(oracle: Oracle, tokenizer: PreTrainedTokenizerBase) -> Asked:
    """Return the oracle as a teacher that reads at most 250 tokens."""
    apart = partial(tells_apart, tokenizer=tokenizer)
    return Asked(oracle, tokenizer, apart, (False, True), True, 0, 20, 250, None)


def settings(
    kind: str = "batch", shares: Mapping[str, float] | None = None, **changes: object
) -> PromptParams:
    """Return small settings of a search."""
    grid = {"articles": 4, "layers": [0.5], "strengths": [0.1], "weights": [1.0]}
    given = {
        "pins": {},
        "shots": 8,
        "unlabelled": 4,
        "budget": 8,
        "beam": 2,
        "agreement_weight": 2.0,
        "mutual_information_weight": 1.0,
        "operators": OPERATORS,
        "keyword_neighbours": 2,
        "near_copy": 0.9,
        "shown": 5,
        "shown_characters": 20,
        "calibration": {"kind": kind, "temperature": 1.0, "shares": shares or {}, **grid},
    }
    return PromptParams.model_validate({**given, **changes})
