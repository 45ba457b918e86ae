"""Zero-shot relevance by natural language inference: does a text entail that it is about it?"""

from collections.abc import Sequence

import numpy as np
from scipy.special import logit
from transformers import ZeroShotClassificationPipeline, pipeline

from akd.console import bar
from akd.corpus.relevance.scores import GroupLogits, Groups, Logits, absolute
from akd.errors import InputError, reason_of
from akd.hub import hub_failures
from akd.models.load import compute_dtype, device
from akd.specs.pairs import HubModel, LocalModel

_SMALLEST = 1e-6  # a probability of 0 or 1 has no log-odds


def entailment_logits(
    model: HubModel | LocalModel, groups: Groups, *, hypothesis: str, batch_size: int
) -> Logits:
    """Return logits from a zero-shot pipeline ([MENDEL] used BART and XLM-R trained on NLI).

    Each group is judged for itself: entailment against contradiction of the hypothesis that names
    it. The probabilities are the model's own, not relative to the corpus.

    Args:
        model: a sequence classifier with a label `entailment`.
        groups: of which the names alone are asked for.
        hypothesis: with `{}` where the name of the group stands.
        batch_size: texts in one forward pass.

    Raises:
        InputError: if the model cannot be had, or knows no label `entailment`.
    """
    classify, names = _pipeline(model), [name.replace("_", " ") for name in groups]

    def logits(texts: Sequence[str]) -> GroupLogits:
        rows = []
        with bar(description="entailment", unit="article", total=len(texts)) as progress:
            for start in range(0, len(texts), batch_size):
                answers = classify(
                    list(texts[start : start + batch_size]),
                    candidate_labels=names,
                    hypothesis_template=hypothesis,
                    multi_label=True,
                    batch_size=batch_size,
                )
                for answer in answers:
                    scores = dict(zip(answer["labels"], answer["scores"], strict=True))
                    rows.append([scores[name] for name in names])
                progress.update(len(answers))
        return absolute(logit(np.array(rows).clip(_SMALLEST, 1 - _SMALLEST)))

    return logits


def _pipeline(model: HubModel | LocalModel) -> ZeroShotClassificationPipeline:
    name, revision = _place(model)
    try:
        classify = pipeline(
            "zero-shot-classification",
            model=name,
            revision=revision,
            device=device(),
            dtype=compute_dtype(),
        )
    except hub_failures() as error:
        raise InputError(
            f"filter.nli.model {name} cannot be loaded ({reason_of(error)}): check its name and "
            "the network, or name a `local` folder"
        ) from None
    if classify.entailment_id < 0:
        raise InputError(
            f"filter.nli.model {name} has no label `entailment`: name a model for natural language "
            "inference"
        )
    return classify


def _place(model: HubModel | LocalModel) -> tuple[str, str | None]:
    """Return what the pipeline loads, and its revision."""
    if isinstance(model, LocalModel):
        return str(model.path), None
    return model.id, model.revision
