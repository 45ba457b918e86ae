"""The teacher, as the search of a prompt asks it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from akd.errors import InputError
from akd.models.architecture import depths_to_layers
from akd.models.truncation import check_room
from akd.prompts.rewrites import NearestWords
from akd.prompts.template import Prompt, label_paths, render
from akd.records import Scores
from akd.specs.prompts import Calibration

ScorePrompt = Callable[[Prompt, Sequence[str], Sequence[int]], Scores]
"""From a prompt, texts and block numbers to scores with the states of those blocks."""


@dataclass(frozen=True)
class Asked:
    """A teacher that waits for the prompts of a search.

    Attributes:
        score: what it says.
        tokenizer: its tokenizer.
        tells_apart: whether it can tell label words apart; others are left out.
        chats: the forms of prompt that it takes, the first one to begin with.
        local: whether its prompts are written as tokens here, and not by a server.
        layers: how many blocks have states that it can give.
        text_tokens: how many tokens of an article are read.
        context: how many tokens it can read; None where that is not known.
        nearest: the words most like another to it; None where they are not at hand.
    """

    score: ScorePrompt
    tokenizer: PreTrainedTokenizerBase
    tells_apart: Callable[[Sequence[str]], bool]
    chats: Sequence[bool]
    local: bool
    layers: int
    text_tokens: int
    context: int | None
    nearest: NearestWords | None

    def layers_of(self, calibration: Calibration) -> list[int]:
        """Return the 1-based numbers of the blocks whose states a calibration reads, rising."""
        if not calibration.reads_states:
            return []
        return depths_to_layers(calibration.layers, self.layers)

    def fits(self, prompt: Prompt) -> bool:
        """Return whether the tokenizer can write the prompt, and it leaves room for an article."""
        if not self.local:
            return True
        try:
            before, after = render(prompt, self.tokenizer)
            deepest = max(map(len, label_paths(prompt, self.tokenizer))) - 1
            check_room(len(before), self.text_tokens, len(after) + deepest, self.context)
        except InputError:
            return False
        return True

    def check_form(self, prompt: Prompt) -> None:
        """Refuse a prompt of a form that the teacher does not take.

        Raises:
            InputError: if it is a chat and the teacher takes none, or the other way round.
        """
        if prompt.chat not in self.chats:
            raise InputError(
                f"the prompt has `chat: {str(prompt.chat).lower()}`, and the teacher takes "
                f"`chat: {str(self.chats[0]).lower()}` alone: change that part of the prompt "
                "(`akd prompt pin`), or `label.engine`"
            )
