"""Evaluation and alerts (`evaluate`, `signal` of params.yaml)."""

from typing import Annotated

from pydantic import Field

from akd.specs.base import Frozen, Positive


class EvaluateParams(Frozen):
    """Bins of the calibration error, resamples and confidence of the intervals."""

    bins: Positive
    resamples: Positive
    confidence: Annotated[float, Field(gt=0, lt=1)]


class SignalParams(Frozen):
    """How many newest articles become alerts."""

    articles: Positive
