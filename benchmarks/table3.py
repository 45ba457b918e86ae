"""Table 3 of the paper beside what `akd plan` counts, as a page of the documentation.

The paper's figures are those that could be read of it: totals of training in 16 and in 4 bits, and
two shares. Each is held against an arithmetic that might have given it; whether it does is
computed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from akd.io import write_text
from akd.params import load
from akd.planning.inventory import Inventory
from akd.planning.lookup import inventories_of
from akd.planning.memory import footprint
from akd.planning.training import trainable_parameters
from akd.specs.adapters import Adapter


@dataclass(frozen=True)
class Student:
    """A student of the paper: its nominal size, and its totals of table 3 in GB as printed."""

    name: str
    pair: str
    nominal: float
    sixteen_bits: str
    four_bits: str


STUDENTS = (
    Student("LLaMA-2 7B", "llama2", 7e9, "84", "3.9"),
    Student("OPT-1.3B", "opt", 1.3e9, "15.6", "0.85"),
    Student("GPT-2 124M", "gpt2", 0.124e9, "1.48", "0.067"),
)
ATTENTION = {
    "q and v": ["q_proj", "v_proj"],
    "q, k, v and o": ["q_proj", "k_proj", "v_proj", "o_proj"],
}
_FULL, _STATES, _ADAPTER = 12, 8, 10  # bytes a parameter, see the page


def write_page(path: Path) -> None:
    """Write the page."""
    rows = [*_sixteen_bits(), *_four_bits(), *_shares()]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    write_text(path, _HEAD + table + "\n" + _optimizer() + _TAIL)


def follows(printed: str, value: float) -> str:
    """Say whether a printed figure is a value, rounded or cut off at its last digit."""
    digits = len(printed.partition(".")[2])
    unit = 10**-digits
    nearest = abs(value - float(printed)) <= unit / 2 + 1e-9
    cut_off = 0 <= value - float(printed) < unit
    return "yes" if nearest else "yes, cut off" if cut_off else "no"


def lora(r: int, targets: str | list[str] = "all-linear") -> Adapter:
    """Return a LoRA adapter of rank r."""
    return load().adapter.model_copy(
        update={"kind": "lora", "r": r, "targets": targets, "dropout": 0.0, "frozen_share": 0.0}
    )


def student_of(pair: str) -> Inventory:
    """Return the inventory of a pair's student."""
    nowhere = Path("/nonexistent")
    return inventories_of(pair, load().pairs[pair], nowhere, nowhere)[1]


def sixteen_bits(pair: str) -> float:
    """Return the bytes of the paper's arithmetic for the exact count of parameters, in GB."""
    return _FULL * student_of(pair).parameters / 1e9


def four_bits(pair: str) -> float:
    """Return weights in NF4, adapter, gradients and optimizer states in GB; no activations."""
    needs = footprint(
        student_of(pair), lora(16), quantised=True, dtype="bfloat16", length=1, batch=1
    )
    return (needs.total - needs.activations - needs.workspace) / 1e9


def _sixteen_bits() -> Iterator[list[str]]:
    for student in STUDENTS:
        value = _FULL * student.nominal / 1e9
        yield [
            f"{student.name}, total in 16 bits",
            f"{student.sixteen_bits} GB",
            f"{_FULL} B x {student.nominal / 1e9:g} x 10^9 = {value:.4g} GB",
            follows(student.sixteen_bits, value),
            f"{sixteen_bits(student.pair):.2f} GB",
        ]


def _four_bits() -> Iterator[list[str]]:
    for student in STUDENTS:
        trained = trainable_parameters(student_of(student.pair), lora(16))
        value = (0.5 * student.nominal + _ADAPTER * trained) / 1e9
        weights = f"0.5 B x {student.nominal / 1e9:g} x 10^9"
        yield [
            f"{student.name}, total in 4 bits",
            f"{student.four_bits} GB",
            f"{weights} + {_ADAPTER} B x {trained:,} = {value:.3g} GB",
            follows(student.four_bits, value),
            f"{four_bits(student.pair):.2f} GB",
        ]


def _shares() -> Iterator[list[str]]:
    llama = student_of("llama2")
    ours = 100 * (1 - four_bits("llama2") / sixteen_bits("llama2"))
    yield _share("LLaMA-2 7B, memory saved", "95.24", "1 - 4 / 84", 100 * (1 - 4 / 84), ours)
    trained = trainable_parameters(llama, lora(16))
    exact = 100 * (1 - trained / llama.parameters)
    what = "LLaMA-2 7B, parameters not trained"
    sizes = f"1 - 0.08 GB / 14 GB (r = 16 on all linear layers: {trained:,} x 2 B)"
    yield _share(what, "99.43", sizes, 100 * (1 - 0.08 / 14), exact)
    for name, targets in ATTENTION.items():
        trained = trainable_parameters(llama, lora(64, targets))
        value = 100 * (1 - trained / llama.parameters)
        yield _share(what, "99.43", f"r = 64 on {name}: {trained:,} trained", value, value)


def _share(what: str, printed: str, arithmetic: str, value: float, ours: float) -> list[str]:
    shown = f"{arithmetic} = {value:.2f} %"
    return [what, f"{printed} %", shown, follows(printed, value), f"{ours:.2f} %"]


def _optimizer() -> str:
    sizes = [f"{s.name} {_STATES * student_of(s.pair).parameters / 1e9:.2f} GB" for s in STUDENTS]
    return _OPTIMIZER.format(ours=", ".join(sizes))


_HEAD = """\
# Table 3 of the paper beside ours

Written by `python -m benchmarks.plan --table docs/table3.md`; do not edit. The paper is Saxena,
Janzen, Maass, "Streamlining LLMs: Adaptive Knowledge Distillation for Tailored Language Models",
NAACL 2025 Student Research Workshop ([2025.naacl-srw.43](https://aclanthology.org/2025.naacl-srw.43)).

GB are 10^9 bytes. *Follows* says whether the arithmetic gives the printed figure, rounded or cut
off at its last digit. *Ours* is counted from the exact model, activations left out: in 16 bits
weights, gradients and both moments of AdamW at 2 + 2 + 8 bytes a parameter (`adapter.kind: full`
trains in float32 beside the frozen weights, 18 bytes); in 4 bits what `akd plan` says of NF4 with
double quantisation, what is not quantised in float32, and an adapter of rank 16 on all linear
layers with gradients and moments in float32.

| cell | paper | arithmetic | follows | ours |
|---|---|---|---|---|
"""
_OPTIMIZER = """
The paper's rows for the optimizer are half of what 32-bit AdamW keeps, which is two moments of 4
bytes, 8 bytes a parameter (ours, all weights trained:
{ours}). They do not add up to its own
totals either: 2 (weights) + 2 (gradients) + 8 (moments) are the 12 bytes a parameter that the
totals in 16 bits follow from, while 2 + 2 + 4 would be 8.

"""
_TAIL = """\
What this says:

- **In 16 bits** all three totals are 12 bytes times the nominal size, which leaves nothing for
  activations.
- **In 4 bits** half a byte a weight, and 10 bytes (weights in 16 bits, moments in 32) for each
  parameter of an adapter of rank 16 on all linear layers, give the LLaMA cell. The same does not
  give the other two. All three lie below ours: embeddings, output layer and norms are not
  quantised, and PEFT makes them float32 before it trains.
- **95.24 %** follows from 4 GB of 84 GB; the table's own 3.9 GB would make it 95.36 %.
- **99.43 %** is an adapter of 0.08 GB beside weights of 14 GB, both in 16 bits: r = 16 on all seven
  linear layers. The r = 64 on self-attention that the text names trains another share, whichever
  projections are meant.

Cells of table 3 that are not listed here are not compared.
"""
