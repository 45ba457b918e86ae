"""How the teacher labels (`label` of params.yaml)."""

from akd.specs.base import Frozen, Positive
from akd.specs.engines import Engine


class LabelParams(Frozen):
    """How the teacher labels, and through which engine it is asked."""

    engine: Engine
    article_tokens: Positive
    batch_size: Positive
    shard_articles: Positive
