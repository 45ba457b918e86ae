"""The gate: is a figure of the workspace worse than at another revision?"""

import math
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from akd.errors import InputError
from akd.specs.gate import GateRule

Changes = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""For each metrics file and each of its keys the `old` and the `new` value."""

_EXPERIMENT = ("task", "pair")
_ROUNDING = 1e-9
"""Metrics have six decimals; their difference has the noise of binary fractions."""


@dataclass(frozen=True)
class Verdict:
    """What a rule says of one figure; `worse` is negative where the figure has become better."""

    file: str
    metric: str
    better: Literal["higher", "lower"]
    old: float
    new: float
    worse: float
    allowed: float
    passed: bool


def judge(base: str, rules: Sequence[GateRule], *, across: bool) -> list[Verdict]:
    """Compare the workspace with a revision, one verdict for each rule, in their order.

    Args:
        base: a branch, tag, commit or experiment.
        rules: of `gate` in params.yaml, as the workspace has them.
        across: whether figures of another task or pair may be compared.

    Raises:
        InputError: if they cannot be compared: an unknown revision, a shallow clone, a metrics file
            that is missing or cannot be read, a figure that is absent or no finite number, another
            task or pair.
    """
    changes = _changes(base)
    if not across:
        _same_experiment(changes, base)
    return [_verdict(rule, changes, base) for rule in rules]


def _changes(base: str) -> Changes:
    """Return all metrics at the revision and in the workspace, as DVC compares them."""
    from dvc.exceptions import NotDvcRepoError  # a second of imports that no other command needs
    from dvc.repo import Repo
    from dvc.scm import NoSCM, RevError, resolve_rev

    try:
        repo = Repo()
    except NotDvcRepoError:
        raise InputError("this is no DVC repository: run from the root of the project") from None
    with repo:
        if isinstance(repo.scm, NoSCM):
            raise InputError("DVC runs without git here: the gate compares revisions of git")
        _whole_history(repo.scm.root_dir)
        try:
            resolve_rev(repo.scm, base)
        except RevError:
            raise InputError(
                f"git knows no revision {base!r}: name a branch, tag, commit or experiment, or "
                "fetch it first"
            ) from None
        result = repo.metrics.diff(base, "workspace", all=True)
    for revision, errors in result.get("errors", {}).items():
        first = next(iter(errors)) if isinstance(errors, dict) else "its metrics"
        raise InputError(
            f"{first} cannot be read in {revision}: run dvc repro there and commit what it writes"
        )
    changes: Changes = result.get("diff", {})
    return changes


def _whole_history(root: str) -> None:
    command = ["git", "rev-parse", "--is-shallow-repository"]
    said = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    if said.strip() == "true":
        raise InputError(
            "this clone is shallow, so that its revisions are not those of the project: run "
            "`git fetch --unshallow` (in CI, check out with fetch-depth 0)"
        )


def _same_experiment(changes: Changes, base: str) -> None:
    for key in _EXPERIMENT:
        found = [values[key] for values in changes.values() if key in values]
        if not found:
            raise InputError(f"no metrics file says of which {key} it is: pass --across to compare")
        for value in found:
            if value["old"] != value["new"]:
                raise InputError(
                    f"{base} is of {key} {value['old']!r}, the workspace of {value['new']!r}: "
                    "compare two of the same, or pass --across"
                )


def _verdict(rule: GateRule, changes: Changes, base: str) -> Verdict:
    values = changes.get(rule.file, {}).get(rule.metric, {})
    old, new = (
        _figure(values.get(key), rule, where)
        for key, where in (("old", base), ("new", "the workspace"))
    )
    worse = old - new if rule.better == "higher" else new - old
    allowed = max(rule.absolute, rule.relative * abs(old))
    return Verdict(
        file=rule.file,
        metric=rule.metric,
        better=rule.better,
        old=old,
        new=new,
        worse=round(worse, 9),
        allowed=round(allowed, 9),
        passed=worse <= allowed + _ROUNDING,
    )


def _figure(value: Any, rule: GateRule, where: str) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value):
        is_ = "is absent" if value is None else f"is {value!r}, no finite number,"
        raise InputError(
            f"{rule.file}: {rule.metric} {is_} in {where}: run dvc repro there, or correct `gate` "
            "in params.yaml"
        )
    return float(value)
