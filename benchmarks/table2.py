"""The rows of the paper's table 2 as DVC experiments of the active pair, and their page.

    make table2                                # both tasks that ship
    python -m benchmarks.table2 --task mine    # one of your own

Each task has two experiments, `table2-<task>-akd` and `table2-<task>-kd`. They run in temporary
folders, with what git tracks as the workspace has it, and leave the workspace alone; a stage that
has run before on the same inputs comes out of DVC's cache. The page is written of what
`dvc exp show` says.
"""

import shlex
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer
from dvc.repo import Repo

from akd import params
from akd.io import write_text
from akd.params import Params
from benchmarks.clone import ROOT, run
from benchmarks.methods import METHODS, Change
from benchmarks.topics import COMMON

TASKS = {"crisis": ["task=crisis"], "bbc-topics": COMMON}
PAGE = ROOT / "docs" / "table2.md"
ROWS = {
    "teacher": ("akd", "teacher"),
    "student as it is": ("akd", "student_base"),
    "kd": ("kd", "student"),
    "**akd**": ("akd", "student"),
    "TF-IDF + logistic regression on the teacher's labels": ("akd", "tfidf"),
}
"""Of which experiment and which model each row is; the paper has the first four."""
METRICS = {
    "accuracy": "accuracy",
    "macro F1": "macro_f1",
    "macro sensitivity": "sensitivity",
    "macro specificity": "specificity",
}
Report = Mapping[str, Any]
"""metrics/evaluate.json of an experiment."""


def main(
    task: Annotated[list[str] | None, typer.Option(help="A task; may be repeated.")] = None,
) -> None:
    """Run the experiments of each task, and write docs/table2.md."""
    settings = params.load()
    tasks = task or list(TASKS)
    commands = [
        command(settings, name, method, METHODS[method])
        for name in tasks
        for method in ("akd", "kd")
    ]
    for words in commands:
        _remove(words[words.index("--name") + 1])
        run(ROOT, words)
    write_text(PAGE, page(settings, tasks, commands, _shown()))
    print(f"table 2: {PAGE}")


def command(settings: Params, task: str, method: str, change: Change) -> list[str]:
    """Return the command that runs an experiment; the name of it follows `--name`."""
    changes = [*TASKS.get(task, [f"task={task}"]), *overrides(settings, change)]
    options = [part for each in changes for part in ("-S", each)]
    return ["dvc", "exp", "run", "--temp", "--name", f"table2-{task}-{method}", *options]


def overrides(settings: Params, change: Change) -> list[str]:
    """Return what `dvc exp run -S` must be told to change the settings like this."""
    before = settings.model_dump(mode="json")
    after = settings.model_dump(mode="json")
    change(after)
    return list(_differences(before, after, ""))


def _differences(before: Mapping[str, Any], after: Mapping[str, Any], above: str) -> Iterator[str]:
    """Yield `~key` for what is gone, `+key=value` for what is new, `key=value` for the rest."""
    yield from (f"~{above}{key}" for key in before if key not in after)
    for key, value in after.items():
        old, place = before.get(key, {}), f"{above}{key}"
        if isinstance(value, Mapping):
            yield from _differences(old, value, f"{place}.")
        elif key not in before:
            yield f"+{place}={value}"
        elif value != old:
            yield f"{place}={value}"


def _remove(name: str) -> None:
    """Let go of an experiment of this name, so that another one may have it."""
    with Repo(str(ROOT)) as repo:
        if name in {found for names in repo.experiments.ls().values() for found, _ in names}:
            repo.experiments.remove([name])


def _shown() -> dict[str, Report]:
    """Return metrics/evaluate.json of each experiment on this commit."""
    with Repo(str(ROOT)) as repo:
        states = repo.experiments.show(hide_queued=True, hide_failed=True, hide_workspace=True)
    found = {each.name: each.revs[0] for state in states for each in state.experiments or []}
    return {
        name: state.data.metrics["metrics/evaluate.json"]["data"]
        for name, state in found.items()
        if name.startswith("table2-")
    }


def page(
    settings: Params, tasks: list[str], commands: list[list[str]], reports: Mapping[str, Report]
) -> str:
    """Return the page: one table for each task, the commands, and what is wrong in the paper's."""
    tables = "\n".join(_table(task, settings.pair, reports) for task in tasks)
    made = "make table2" if tasks == list(TASKS) else _own_command(tasks)
    return _PAGE.format(
        made=made,
        confidence=f"{100 * settings.evaluate.confidence:g}",
        seed=settings.seed,
        tables=tables,
        commands="\n".join(f"    {shlex.join(words)}" for words in commands),
    )


def _own_command(tasks: list[str]) -> str:
    return " ".join(["python -m benchmarks.table2", *(f"--task {task}" for task in tasks)])


def _table(task: str, pair: str, reports: Mapping[str, Report]) -> str:
    found = {method: reports[f"table2-{task}-{method}"] for method in ("akd", "kd")}
    lines = [
        f"## Task `{task}`, pair `{pair}`, n = {found['akd']['n']} gold articles",
        "",
        f"| row | {' | '.join(METRICS)} |",
        f"|---{'|---' * len(METRICS)}|",
    ]
    for row, (method, model) in ROWS.items():
        figures = found[method][model]
        cells = " | ".join(_cell(figures, metric) for metric in METRICS.values())
        lines.append(f"| {row} | {cells} |")
    return "\n".join([*lines, ""])


def _cell(figures: Report, metric: str) -> str:
    low, high = (figures["interval"][metric][end] for end in ("low", "high"))
    return f"{figures[metric]:.3f} [{low:.3f}, {high:.3f}]"


_PAGE = """\
# Table 2 of the paper, run with what ships

Written by `{made}` out of `dvc exp show`; do not edit. What has changed since these figures were
taken stands in [results.md](results.md). The paper is Saxena, Janzen, Maass,
"Streamlining LLMs: Adaptive Knowledge Distillation for Tailored Language Models", NAACL 2025
Student Research Workshop ([2025.naacl-srw.43](https://aclanthology.org/2025.naacl-srw.43)).

Brackets hold {confidence} % bootstrap intervals over the gold articles. Each student is one run
with seed {seed}; what another seed would do is not in them. The rows of a task are of the same
articles, so that the difference of two rows is surer than their intervals look.

{tables}
- *teacher* and *student as it is*: the models of the pair, the student before anything is learnt.
- *kd*: all weights are trained, half on the teacher's most probable label and half on the
  Kullback-Leibler divergence from its probabilities of the labels: an answer is a single word, so
  that the word-level divergence is that of the labels. The student sees as many documents as in
  *akd*, drawn at random, with the teacher's probabilities as they are and a learning rate of its
  own (see the commands). As in *akd*, and not in the paper, its classes are read off pooled states
  by a readout that begins in closed form.
- *akd*: the recipe of params.yaml, an adapter in phases from simple to complex.
- *TF-IDF*: not in the paper; what a user would try first, on the same labels of the teacher.

The experiments, each of which `dvc exp show` lists with all its parameters and metrics:

{commands}

## The paper's own figures

They are of other models and other articles, and are not repeated here, because they do not hold
together:

- In 11 of the 12 rows macro specificity lies below macro sensitivity. Where each article has one
  label that cannot happen: an article of class j that is taken for class c costs sensitivity its
  share of class j, and specificity its share of all articles that are not of class c, which are at
  least as many. Above, as it must, no specificity lies below its sensitivity.
- No accuracy is k / 319 with a whole k, as it would be on the 319 articles of its test set.
- In all three families *kd* has a higher F1 than the paper's own method.
"""


if __name__ == "__main__":
    typer.run(main)
