"""How the teacher labels (`label` of params.yaml)."""

from akd.specs.base import Frozen, Positive, Probability, Share
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

    `states`: depths of the blocks whose mean states are kept of each article, beside the decision
    state; 1 is the last block.
    """

    engine: Engine
    article_tokens: Positive
    batch_size: Positive
    shard_articles: Positive
    states: list[Share]
    rationales: RationaleParams
