"""The plan of a run: what teacher, signals and student will need, before anything is downloaded."""

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

from akd.planning.inventory import Inventory
from akd.planning.memory import BYTES, Footprint, footprint, weight_bytes
from akd.specs.adapters import Adapter

Method = Literal["adapter", "adapter_nf4", "full"]
"""The adapter on weights as loaded, the same on weights in NF4, and all weights trained."""

CARDS = (8, 12, 16, 24, 32, 48, 80)
"""Memory of usual GPUs, in GiB."""

PROMPT_TOKENS = {"bare": 16, "same": 512}
"""Assumed before a tokenizer is there: the cue alone; instruction and a demonstration a label."""

_SPARE = 0.92  # what CUDA's context and fragmentation leave of a card
_ID = 16  # characters of an article's own id


@dataclass(frozen=True)
class Work:
    """What a run asks of the models.

    Attributes:
        dtype: in which both models compute.
        engine: who asks the teacher; only `transformers` gives hidden states.
        articles: that the teacher labels.
        article_tokens: that are read of each.
        labels: of the task.
        read_states: blocks of the teacher whose mean states `.akd/` keeps.
        kept_states: those that stand in the output too (`label.states`).
        teacher_quantised: the teacher labels in NF4.
        teacher_batch, student_batch: texts in a forward pass, and in a step.
        student_prompt: `bare` or `same`.
    """

    dtype: str
    engine: str
    articles: int
    article_tokens: int
    labels: int
    read_states: int
    kept_states: int
    teacher_quantised: bool
    teacher_batch: int
    student_batch: int
    student_prompt: str


@dataclass(frozen=True)
class TeacherNeeds:
    """Bytes of the teacher on disk and at work; none at work where a server is asked."""

    parameters: int
    disk: int
    weights: int
    cache: int
    workspace: int

    @property
    def total(self) -> int:
        """What is in memory at once."""
        return self.weights + self.cache + self.workspace


@dataclass(frozen=True)
class SignalNeeds:
    """Bytes on disk of what the teacher says, for each document: the output, and `.akd/`."""

    documents: int
    output: int
    kept: int

    @property
    def total(self) -> int:
        """Bytes of all documents."""
        return self.documents * (self.output + self.kept)


@dataclass(frozen=True)
class Plan:
    """What a pair needs with the adapter of params.yaml, and which method that chooses."""

    pair: str
    work: Work
    teacher: TeacherNeeds
    signals: SignalNeeds
    student_parameters: int
    student_disk: int
    adapter: str
    chosen: Method
    methods: dict[Method, Footprint]


def make_plan(
    pair: str,
    teacher: Inventory,
    student: Inventory,
    work: Work,
    adapter: Adapter,
    *,
    quantised: bool,
) -> Plan:
    """Return the plan of a pair.

    Args:
        quantised: the student is trained in NF4.

    Raises:
        InputError: if the adapter's targets are not in the student.
    """
    length = work.article_tokens + PROMPT_TOKENS[work.student_prompt]
    step = partial(footprint, student, dtype=work.dtype, length=length, batch=work.student_batch)
    all_weights = adapter.model_copy(update={"kind": "full", "frozen_share": 0.0})
    methods: dict[Method, Footprint] = {
        "adapter": step(adapter, quantised=False),
        **({} if adapter.kind == "full" else {"adapter_nf4": step(adapter, quantised=True)}),
        "full": step(all_weights, quantised=False),
    }
    return Plan(
        pair=pair,
        work=work,
        teacher=teacher_needs(teacher, work),
        signals=signal_needs(teacher, work),
        student_parameters=student.parameters,
        student_disk=student.parameters * BYTES[student.shape.dtype],
        adapter=adapter.kind,
        chosen="adapter_nf4" if quantised else "adapter",
        methods=methods,
    )


def teacher_needs(teacher: Inventory, work: Work) -> TeacherNeeds:
    """Return what labelling needs: weights, and keys and values of a batch.

    Keys and values are 2 x layers x width of all key heads for each token of prompt and article;
    the workspace is one block's MLP and three states of the model's width.
    """
    shape, size = teacher.shape, BYTES[work.dtype]
    disk = teacher.parameters * BYTES[shape.dtype]
    if work.engine == "openai":
        return TeacherNeeds(teacher.parameters, disk, weights=0, cache=0, workspace=0)
    tokens = work.teacher_batch * (work.article_tokens + PROMPT_TOKENS["same"])
    read = work.teacher_batch * work.article_tokens  # the prompt is read once, before
    return TeacherNeeds(
        parameters=teacher.parameters,
        disk=disk,
        weights=weight_bytes(
            teacher, work.dtype, quantised=work.teacher_quantised, rest=work.dtype
        ),
        cache=2 * shape.layers * shape.key * size * tokens,
        workspace=(3 * shape.intermediate + 3 * shape.width) * size * read,
    )


def signal_needs(teacher: Inventory, work: Work) -> SignalNeeds:
    """Return what one document takes on disk, before compression.

    The output is a row of `records.SIGNAL` (4 + 8 bytes a label, 24 for three numbers, id and
    label) and float16 states: at the decision position, perhaps means of blocks; `.akd/` keeps
    a hash and float32 scores and states.
    """
    width = teacher.shape.width if work.engine == "transformers" else 0
    row = work.labels * (4 + 8) + 3 * 8 + 2 * _ID
    states = 1 + work.kept_states
    kept = 32 + 4 * work.labels + 4 * width * (1 + work.read_states)
    return SignalNeeds(documents=work.articles, output=row + 2 * width * states, kept=kept)


def card_for(total: int) -> int | None:
    """Return the smallest usual GPU, in GiB, that holds so many bytes; None where none does."""
    return next((card for card in CARDS if total <= card * 2**30 * _SPARE), None)


def trained_share(plan: Plan, method: Method) -> float:
    """Return the share of trained parameters among all; one that replaces another counts once."""
    trained = plan.methods[method].trainable
    replaces = method == "full" or plan.adapter in ("full", "bitfit")
    return trained / (plan.student_parameters + (0 if replaces else trained))


def as_json(plan: Plan) -> dict[str, Any]:
    """Return the plan as plain values, in bytes, with totals and the GPU in GiB that each fits."""
    methods = {
        name: {
            **asdict(needs),
            "trainable_share": round(trained_share(plan, name), 6),
            "total": needs.total,
            "fits_gpu_gib": card_for(needs.total),
        }
        for name, needs in plan.methods.items()
    }
    at_work = {"total": plan.teacher.total, "fits_gpu_gib": card_for(plan.teacher.total)}
    return {
        **asdict(plan),
        "teacher": {**asdict(plan.teacher), **at_work},
        "signals": {**asdict(plan.signals), "total": plan.signals.total},
        "methods": methods,
        "prompt_tokens_assumed": PROMPT_TOKENS,
    }
