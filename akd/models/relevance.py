"""The scorers of the filter: from the name of one to the logits that it gives."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal, assert_never

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from akd.corpus.relevance.scores import (
    Groups,
    Logits,
    embedding_similarity,
    keyword_similarity,
    standardised,
)
from akd.models.architecture import depth_to_layer
from akd.models.embedding import MiddleLayerEmbedder
from akd.models.entailment import entailment_logits
from akd.models.load import load_teacher
from akd.models.questions import question_logits
from akd.specs.adapters import Quantization
from akd.specs.relevance import EmbeddingParams, FilterParams, ScorerKind

Step = Literal["domain", "signal"]


def logits_of(
    kind: ScorerKind,
    step: Step,
    groups: Groups,
    reference: Sequence[str],
    *,
    settings: FilterParams,
    teacher: Path,
    quantization: Quantization,
    batch_size: int,
) -> Logits:
    """Return the logits of a filter step; `keywords` loads no model, `nli` its own.

    Args:
        kind: of the scorer.
        step: which question is asked.
        groups: the domains with their keywords, or the tenses with their phrases.
        reference: a sample of the corpus, against which similarities are measured.
        settings: of all scorers.
        teacher: folder of the resolved teacher, which `embedding` and `teacher` load.
        quantization: of that teacher.
        batch_size: texts in one forward pass.
    """
    match kind:
        case "keywords":
            return standardised(keyword_similarity(reference, groups), reference)
        case "embedding":
            embed = _embedder(settings.embedding, teacher, quantization, batch_size).embed
            return standardised(embedding_similarity(embed, reference, groups), reference)
        case "nli":
            nli = settings.nli
            hypothesis = nli.domain_hypothesis if step == "domain" else nli.signal_hypothesis
            return entailment_logits(
                nli.model, groups, hypothesis=hypothesis, batch_size=batch_size
            )
        case "teacher":
            asked = settings.question
            return question_logits(
                *_loaded(teacher, quantization),
                reference,
                groups,
                question=asked.domain if step == "domain" else asked.signal,
                text_tokens=asked.tokens,
                batch_size=batch_size,
            )
        case _:
            assert_never(kind)


@cache
def _loaded(
    teacher: Path, quantization: Quantization
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load the teacher once for both steps, if it is asked in both."""
    return load_teacher(teacher, quantization)


def _embedder(
    settings: EmbeddingParams, teacher: Path, quantization: Quantization, batch_size: int
) -> MiddleLayerEmbedder:
    model, tokenizer = load_teacher(teacher, quantization)
    return MiddleLayerEmbedder(
        model,
        tokenizer,
        layers=depth_to_layer(settings.depth, model.config.num_hidden_layers),
        text_tokens=settings.tokens,
        batch_size=batch_size,
    )
