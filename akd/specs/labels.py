"""How the teacher labels (`label` of params.yaml)."""

from typing import Literal

from akd.specs.base import Frozen, Positive, Probability
from akd.specs.engines import Engine


class RationaleParams(Frozen):
    """For which share of the articles the teacher also writes a reason, and what is kept of it.

    `tokens` is the room for one sentence; `top` alternatives are kept for each of its tokens.
    """

    share: Probability
    tokens: Positive
    top: Positive


class LabelParams(Frozen):
    """How the teacher labels, through which engine it is asked, and what of it is kept.

    `states`: the decision state alone, or also the mean states that the calibration reads.
    """

    engine: Engine
    article_tokens: Positive
    batch_size: Positive
    shard_articles: Positive
    states: Literal["decision", "all"]
    rationales: RationaleParams
