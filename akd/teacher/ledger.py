"""What a paid teacher has spent and may still spend, and what its answers left open."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from akd.teacher.answers import LabelScores

_TOKENS_PER_BYTE = 1 / 3  # the first guess: more than English needs, about what Chinese does


@dataclass(frozen=True)
class Report:
    """What an engine has asked since it was built.

    Attributes:
        requests: answered ones, one for each article.
        prompt_tokens: as the server counts them.
        cost: of the prompt tokens, in the currency of the price.
        labels_missing: articles by how many of their labels were not among the returned tokens,
            from none to all (labels + 1,).
        mean_missing_mass: probability of the tokens that were not returned, mean over articles.
    """

    requests: int
    prompt_tokens: int
    cost: float
    labels_missing: tuple[int, ...]
    mean_missing_mass: float


class Journal:
    """A file with a line for each answer, the tokens that were billed; processes share it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._total = self._read = 0

    def add(self, tokens: int) -> None:
        """Enter an answer at once."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{tokens}\n")

    def total(self) -> int:
        """Return the tokens of all whole lines; of the file only what is new is read."""
        if self.path.is_file():
            with self.path.open("rb") as file:
                file.seek(self._read)
                lines = file.read().rpartition(b"\n")[0]
            self._read += len(lines) + bool(lines)
            self._total += sum(map(int, lines.split()))
        return self._total


class Ledger:
    """Books every answer against a budget, whatever the prompt, the stage or the run.

    Args:
        token_budget: prompt tokens that may be spent.
        cost_budget: money that may be spent on them.
        price: of a million prompt tokens, in the same currency.
        journal: what it holds has been spent by earlier runs or other processes; None for a budget
            of its own.
    """

    def __init__(
        self, token_budget: int, cost_budget: float, price: float, journal: Journal | None = None
    ) -> None:
        self._labels = 0
        self._token_budget = token_budget
        self._cost_budget = cost_budget
        self._price = price
        self._tokens = 0
        self._journal = journal
        self._tokens_per_byte = _TOKENS_PER_BYTE
        self._missing: Counter[int] = Counter()
        self._missing_mass: list[float] = []

    def allows(self, prompts: Iterable[str]) -> bool:
        """Say whether these prompts together are likely to stay within the budget.

        Their tokens are estimated from their bytes, at the highest rate met so far.
        """
        size = sum(len(prompt.encode()) for prompt in prompts)
        tokens = self._elsewhere() + self._tokens + size * self._tokens_per_byte
        return tokens <= self._token_budget and self._cost(tokens) <= self._cost_budget

    def bill(self, prompt: str, tokens: int) -> None:
        """Count what one answer to this prompt costs, whatever it says."""
        if self._journal is not None:
            self._journal.add(tokens)
        self._tokens += tokens
        self._tokens_per_byte = max(self._tokens_per_byte, tokens / max(len(prompt.encode()), 1))

    def note(self, scores: LabelScores) -> None:
        """Count what one answer says."""
        self._labels = len(scores.log_probabilities)
        self._missing[scores.missing] += 1
        self._missing_mass.append(scores.missing_mass)

    def _elsewhere(self) -> int:
        """Return the tokens that earlier runs and other processes were billed."""
        return 0 if self._journal is None else self._journal.total() - self._tokens

    @property
    def report(self) -> Report:
        """The sums; they do not depend on the order of the answers."""
        requests = len(self._missing_mass)
        return Report(
            requests,
            self._tokens,
            self._cost(self._tokens),
            tuple(self._missing[count] for count in range(self._labels + 1)),
            math.fsum(self._missing_mass) / max(requests, 1),
        )

    def spent(self) -> str:
        """Return the words for what was asked so far."""
        report = self.report
        return (
            f"{report.requests} requests, {report.prompt_tokens} prompt tokens, {report.cost:g} in "
            f"money; {report.mean_missing_mass:.3f} of the probability was not returned, and "
            f"{sum(report.labels_missing[1:])} answers left labels out"
        )

    def exhausted(self) -> str:
        """Return the words for a budget that allows no more."""
        others, where = self._elsewhere(), self._journal and self._journal.path
        earlier = f", {others} tokens in other runs ({where})" * bool(others)
        return (
            f"the budget of {self._token_budget} prompt tokens and {self._cost_budget:g} in money "
            f"does not allow the next request: {len(self._missing_mass)} articles were labelled "
            f"for {self._tokens} tokens and {self._cost(self._tokens):g}{earlier}; raise the "
            "budget and run again, what was answered is kept"
        )

    def _cost(self, tokens: float) -> float:
        return tokens * self._price / 1e6
