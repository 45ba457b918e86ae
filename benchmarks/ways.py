"""Three ways to label: the project's engine, a plain loop, and a pipeline of Hugging Face."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    ZeroShotClassificationPipeline,
)

from akd.models.load import compute_dtype, load_tokenizer
from akd.models.truncation import excerpts, truncated
from akd.params import Params
from akd.prompts.template import Prompt, label_tokens, render, render_text
from akd.records import Scores
from akd.teacher.transformers import transformers_teacher

MODEL = Path("data/models/teacher")


def _causal(dtype: torch.dtype) -> Any:
    return AutoModelForCausalLM.from_pretrained(MODEL, dtype=dtype, local_files_only=True)


def engine(
    prompt: Prompt,
    settings: Params,
    dtype: torch.dtype | None = None,
    batch_size: int | None = None,
) -> Callable[[Sequence[str]], Scores]:
    """Return the project's engine, in the dtype in which this machine labels or another."""
    return transformers_teacher(
        _causal(dtype or compute_dtype()),
        load_tokenizer(MODEL),
        prompt=prompt,
        text_tokens=settings.label.article_tokens,
        batch_size=batch_size or settings.label.batch_size,
        layers=[],
    ).score


def plain(
    prompt: Prompt, settings: Params, dtype: torch.dtype = torch.float32
) -> Callable[[Sequence[str]], list[Any]]:
    """Return a loop of one forward pass a document."""
    model, tokenizer = _causal(dtype), load_tokenizer(MODEL)
    before, after = render(prompt, tokenizer)
    words = label_tokens(prompt, tokenizer)

    @torch.inference_mode()
    def label(texts: Sequence[str]) -> list[Any]:
        found = []
        for tokens in truncated(texts, tokenizer, settings.label.article_tokens):
            logits = model(torch.tensor([before + tokens + after])).logits[0, -1].float()
            found.append(logits.log_softmax(-1)[words].numpy())
        return found

    return label


def zero_shot(prompt: Prompt, settings: Params) -> Callable[[Sequence[str]], Any]:
    """Return the zero-shot pipeline of Hugging Face in the engine's dtype, in batches."""
    tokenizer = load_tokenizer(MODEL)
    model = AutoModelForSequenceClassification.from_pretrained(
        MODEL,
        dtype=compute_dtype(),
        id2label={0: "contradiction", 1: "entailment"},
        label2id={"contradiction": 0, "entailment": 1},
        pad_token_id=tokenizer.pad_token_id,
        local_files_only=True,
    )
    build = cast(Callable[..., Callable[..., Any]], ZeroShotClassificationPipeline)
    classify = build(model=model, tokenizer=tokenizer)
    head, cue = render_text(prompt)

    def label(texts: Sequence[str]) -> Any:
        read = excerpts(texts, tokenizer, settings.label.article_tokens)
        return classify(
            [f"{head}{found.text}" for found in read],
            candidate_labels=list(prompt.words),
            hypothesis_template=f"{cue} {{}}",
            batch_size=settings.label.batch_size,
        )

    return label
