"""Writing: a language model goes on with a text, and what it weighed at each token is kept."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from akd.models.architecture import finished
from akd.models.batching import batches_of_width
from akd.models.continuation import Passage, Prefix, stepped_rows
from akd.models.load import vocabulary_of
from akd.models.scoring import context_of
from akd.models.truncation import check_room, sentence_end, truncated
from akd.records import Written


class SentenceWriter:
    """Writes one sentence after each text by greedy decoding.

    A sentence ends where the text does: with a line, with a special token of the model, or with a
    full stop (or its like) after which something else begins. As with `TextScorer`, what a text
    gets depends on nothing else in the list: its width follows from its own length, and every
    batch has the same number of rows, whatever the machine's `batch_size` (on CUDA: that many).

    Args:
        model: a causal language model in evaluation mode.
        tokenizer: its tokenizer.
        before: tokens before each text.
        longest_after: how many tokens stand after a text, at most.
        text_tokens: how many tokens of a text are read.
        new_tokens: how many are written, at most.
        top: how many alternatives are kept for each token.
        batch_size: texts in one forward pass on CUDA.

    Raises:
        InputError: if all of it does not fit into the model's context.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        before: Sequence[int],
        longest_after: int,
        text_tokens: int,
        new_tokens: int,
        top: int,
        batch_size: int,
    ) -> None:
        self._model, self._tokenizer = model, tokenizer
        self._text_tokens, self._new_tokens, self._top = text_tokens, new_tokens, top
        self._rows = stepped_rows(batch_size)
        context = context_of(model.config)
        written = {"label.rationales.tokens": new_tokens}
        check_room(len(before), text_tokens, longest_after, context, written)
        self._widest = None if context is None else context - len(before) - new_tokens
        self._prefix = Prefix(model, before, int(tokenizer.pad_token_id))
        self._ends = end_tokens(tokenizer)
        self._vocabulary = vocabulary_of(tokenizer)

    @torch.inference_mode()
    def write(self, texts: Sequence[str], after: Sequence[Sequence[int]]) -> Written:
        """Write a sentence after each text and the tokens that follow it, each as if it were alone.

        Args:
            texts: what is read (n).
            after: tokens between each text and its sentence (n).
        """
        read = truncated(texts, self._tokenizer, self._text_tokens)
        sequences = [[*tokens, *more] for tokens, more in zip(read, after, strict=True)]
        written = Written.blank(len(texts), self._new_tokens, self._top)
        for width, rows in batches_of_width(sequences, self._rows, self._widest):
            filled = rows + rows[-1:] * (self._rows - len(rows))
            passage = self._prefix.read([sequences[row] for row in filled], width)
            self._write(passage, rows, written)
        return written

    def _write(self, passage: Passage, rows: list[int], written: Written) -> None:
        """Go on until each sentence has ended, then wipe out what stands beyond its end."""
        open_rows, states = set(rows), passage.last
        for step in range(self._new_tokens):
            tokens, log_probabilities, tail = self._most_probable(states)
            written.top_tokens[rows, step] = tokens[: len(rows)].cpu().numpy()
            written.top_log_probabilities[rows, step] = log_probabilities[: len(rows)].cpu().numpy()
            written.tail_mass[rows, step] = tail[: len(rows)].cpu().numpy()
            for row in sorted(open_rows):
                end = self._end(written.top_tokens[row, : step + 1, 0].tolist())
                if end is not None:
                    written.lengths[row], written.ended[row] = end, True
                    open_rows.remove(row)
            if not open_rows:
                break
            states = passage.step(tokens[:, 0], range(step))
        written.lengths[sorted(open_rows)] = self._new_tokens
        for row in rows:
            end = int(written.lengths[row])
            for part in (written.top_tokens, written.top_log_probabilities, written.tail_mass):
                part[row, end:] = 0

    def _most_probable(
        self, states: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return tokens and log-probabilities (rows, top), and the mass of all others (rows,)."""
        head = self._model.get_output_embeddings()
        logits = finished(self._model, head(states)[:, : self._vocabulary])
        said = logits.log_softmax(-1)
        log_probabilities, tokens = said.topk(self._top)
        others = said.scatter(-1, tokens, -torch.inf)
        return tokens, log_probabilities, others.logsumexp(-1).exp()

    def _end(self, tokens: list[int]) -> int | None:
        """Return how many of the tokens make the sentence; None if it goes on."""
        stopped = tokens[-1] in self._ends
        said = tokens[:-1] if stopped else tokens
        text = self.text(said)
        end = sentence_end(text, whole=stopped)
        if end is None:
            return len(said) if stopped else None
        # The last character may have come in several tokens.
        return next(n for n in range(len(said) + 1) if self.text(said[:n])[:end] == text[:end])

    def text(self, tokens: Sequence[int]) -> str:
        """Return tokens as text, every blank as it was written."""
        return str(self._tokenizer.decode(list(tokens), clean_up_tokenization_spaces=False))


def end_tokens(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Return the tokens with which a text ends: all that are no part of a text."""
    added = tokenizer.added_tokens_decoder.items()
    return {*tokenizer.all_special_ids, *(key for key, token in added if token.special)}


def line_ends(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Return the tokens after which a line is over: those of `end_tokens`, and line breaks."""
    tokens = range(vocabulary_of(tokenizer))
    texts = tokenizer.batch_decode([[token] for token in tokens])
    breaks = {token for token, text in zip(tokens, texts, strict=True) if "\n" in text}
    return end_tokens(tokenizer) | breaks
