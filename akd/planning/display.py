"""A plan for a person: sizes in GB, and the GPU that each part of the run fits."""

from rich.table import Table

from akd.planning.memory import Footprint
from akd.planning.plan import CARDS, PROMPT_TOKENS, Method, Plan, card_for, trained_share

_METHODS: dict[Method, str] = {"adapter": "{}", "adapter_nf4": "{} on NF4", "full": "all weights"}


def tables(plan: Plan) -> tuple[Table, Table]:
    """Return the table of what is done once, and that of one training step in three ways."""
    return _once(plan), _training(plan)


def notes(plan: Plan) -> list[str]:
    """Return what the figures rest on, one sentence each."""
    work, teacher = plan.work, plan.teacher
    asked = "teacher-label asks a server, and holds no teacher here"
    if teacher.total:
        asked = f"teacher-label needs {_gb(teacher.total)}: {_verdict(teacher.total)}"
    chosen, name = plan.methods[plan.chosen], _name(plan, plan.chosen)
    length = work.article_tokens + PROMPT_TOKENS[work.student_prompt]
    return [
        asked,
        f"distill with params.yaml as it is ({name}) needs {_gb(chosen.total)}: "
        f"{_verdict(chosen.total)}",
        f"in {work.dtype}, {work.student_batch} texts of at most {length} tokens a step: smaller "
        "optimizer.batch_size or label.article_tokens lower the activations; GB are 10^9 bytes",
        "activations are counted tensor by tensor (Korthikanti et al. 2022, section 4.1; attention "
        "fused), without gradient checkpointing; a card keeps 8 % for itself",
    ]


def _once(plan: Plan) -> Table:
    teacher, signals = plan.teacher, plan.signals
    table = Table(title=f"pair {plan.pair}", show_header=False, title_justify="left")
    table.add_column("what")
    table.add_column("size", justify="right")
    rows = {
        "teacher, parameters": f"{teacher.parameters:,}",
        "teacher, on disk": _gb(teacher.disk),
        "teacher at work: weights": _gb(teacher.weights),
        "teacher at work: keys and values": _gb(teacher.cache),
        "teacher at work: workspace": _gb(teacher.workspace),
        "signals, one document": f"{(signals.output + signals.kept) / 1e3:,.1f} kB",
        f"signals, {signals.documents:,} documents": _gb(signals.total),
        "student, parameters": f"{plan.student_parameters:,}",
        "student, on disk": _gb(plan.student_disk),
    }
    for what, size in rows.items():
        table.add_row(what, size)
    return table


def _training(plan: Plan) -> Table:
    table = Table(title="one training step of the student", title_justify="left")
    table.add_column("what")
    for method in plan.methods:
        mark = " *" if method == plan.chosen else ""
        table.add_column(_name(plan, method) + mark, justify="right")
    for what, cells in _training_rows(plan).items():
        table.add_row(what, *cells)
    table.caption = "* what params.yaml chooses"
    return table


def _training_rows(plan: Plan) -> dict[str, list[str]]:
    needs = list(plan.methods.values())
    parts = ("weights", "adapter", "gradients", "optimizer", "activations", "workspace", "total")
    sizes = {part: [_gb(getattr(each, part)) for each in needs] for part in parts}
    return {
        "trained parameters": [f"{each.trainable:,}" for each in needs],
        "their share": [f"{trained_share(plan, method):.2%}" for method in plan.methods],
        **sizes,
        "GPU": [_card(each) for each in needs],
    }


def _name(plan: Plan, method: Method) -> str:
    return _METHODS[method].format(plan.adapter)


def _card(needs: Footprint) -> str:
    card = card_for(needs.total)
    return f"more than {CARDS[-1]} GB" if card is None else f"{card} GB"


def _verdict(total: int) -> str:
    card = card_for(total)
    return f"more than {CARDS[-1]} GB" if card is None else f"fits a card of {card} GB"


def _gb(count: int) -> str:
    return f"{count / 1e9:,.2f} GB"
