"""The teacher behind any OpenAI-compatible server: top log-probabilities, no hidden states.

Requests are those of OpenAI's API reference, POST /completions and, for chat prompts, POST
/chat/completions, which vLLM, llama.cpp and others serve too.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
from openai import APIConnectionError, APIStatusError, AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam
from pydantic import SecretStr

from akd.errors import InputError
from akd.prompts.template import Prompt, beginning, render_text
from akd.records import Scores
from akd.teacher.answers import (
    LabelScores,
    NoAnswerError,
    billed_tokens,
    label_scores,
    read_answer,
)
from akd.teacher.ledger import Ledger
from akd.teacher.server import Server
from akd.teacher.store import RefusedError, UnfinishedError

_OF_ONE_TEXT = (400, 413, 422)  # status codes that may blame the text alone


class OpenAITeacher:
    """Scores texts by asking a server for one token of answer to each.

    The server cuts the whole prompt into tokens, so that the seam between prompt and article can
    fall otherwise than in the transformers engine. In a chat the server begins the answer, so that
    the cue ends the user's message.

    Args:
        base_url: of the API, such as http://127.0.0.1:8000/v1.
        model: its name on the server.
        api_key: see `key_from_environment`; it goes to the server and nowhere else.
        prompt: what stands around each text.
        read: from texts to what is read of each.
        top_log_probabilities: how many alternatives are asked for; most servers allow 20.
        concurrency: requests under way at once.
        ledger: books every answer against the budget; the engines of several prompts share it.
        timeout: of one request, in seconds.
        retries: of a request after a timeout, a lost connection, or status 408, 409, 429 or 5xx;
            the client waits as long as Retry-After says, else longer each time; where that says
            more than two minutes, it gives up.

    Raises:
        InputError: if the URL is none, or one label word is the beginning of another.
    """

    def __init__(
        self,
        *,
        base_url: str,
        model: str,
        api_key: str,
        prompt: Prompt,
        read: Callable[[Sequence[str]], Sequence[str]],
        top_log_probabilities: int,
        concurrency: int,
        ledger: Ledger,
        timeout: float,
        retries: int,
    ) -> None:
        if found := beginning(prompt.words):
            word, other = found
            raise InputError(
                f"label word {word!r} begins {other!r}: choose other verbalizers in task.yaml"
            )
        self._server = Server(base_url, model, SecretStr(api_key), timeout, retries)
        self._prompt, self._read, self._ledger = prompt, read, ledger
        self._top, self._concurrency = top_log_probabilities, concurrency

    def score(self, texts: Sequence[str]) -> Scores:
        """Score the texts; decision and states have width 0.

        Raises:
            RefusedError: with all other answers, if the server refuses some of the texts.
            UnfinishedError: with the answers until then, if the next request could exceed a
                budget, the server cannot be used, or an answer holds no log-probabilities.
        """
        before, after = render_text(self._prompt)
        prompts = [f"{before}{text}{after}" for text in self._read(texts)]
        answers: dict[int, LabelScores] = {}
        refused: dict[int, str] = {}
        try:
            asyncio.run(self._ask_all(prompts, answers, refused))
        except InputError as error:
            raise UnfinishedError(str(error), sorted(answers), self._scores(answers)) from None
        if refused:
            told = {texts[row]: refused[row] for row in sorted(refused)}
            raise RefusedError(self._server.name, told, sorted(answers), self._scores(answers))
        return self._scores(answers)

    def _scores(self, answers: Mapping[int, LabelScores]) -> Scores:
        labels = [answers[row].log_probabilities for row in sorted(answers)]
        return Scores(
            np.array(labels, np.float32).reshape(len(labels), len(self._prompt.words)),
            np.empty((len(labels), 0), np.float32),
            np.empty((len(labels), 0, 0), np.float32),
        )

    async def _ask_all(
        self, prompts: Sequence[str], answers: dict[int, LabelScores], refused: dict[int, str]
    ) -> None:
        """Ask in order, several at once, and enter each answer, or why a text has none.

        The first failure that is not of one text ends them all.
        """
        waiting = deque(enumerate(prompts))
        running: dict[asyncio.Task[None], str] = {}
        async with self._server.connect() as client:
            try:
                while waiting or running:
                    while self._may_ask(waiting, running.values()):
                        row, prompt = waiting.popleft()
                        task = asyncio.create_task(self._ask(client, row, prompt, answers, refused))
                        running[task] = prompt
                    if not running:
                        raise InputError(f"{self._server.name}: {self._ledger.exhausted()}")
                    done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        task.result()  # raises what the request raised
                        del running[task]
            except asyncio.CancelledError:  # by the user
                for task in running:
                    task.cancel()
                raise
            finally:
                # What ended the loop is on its way up; what the others bring is paid for as well.
                await asyncio.gather(*running, return_exceptions=True)

    def _may_ask(self, waiting: Sequence[tuple[int, str]], running: Collection[str]) -> bool:
        """Say whether the next request has a place, and fits in with those under way."""
        if not waiting or len(running) >= self._concurrency:
            return False
        return self._ledger.allows((waiting[0][1], *running))

    async def _ask(
        self,
        client: AsyncOpenAI,
        row: int,
        prompt: str,
        answers: dict[int, LabelScores],
        refused: dict[int, str],
    ) -> None:
        try:
            answers[row] = await self._answer(client, prompt)
        except NoAnswerError as error:
            refused[row] = str(error)

    async def _answer(self, client: AsyncOpenAI, prompt: str) -> LabelScores:
        try:
            if self._prompt.chat:
                body = await self._chat(client, prompt)
            else:
                body = await self._complete(client, prompt)
        except (APIConnectionError, APIStatusError) as error:
            # Without its cause: that holds the request, and the request the key.
            if isinstance(error, APIStatusError) and error.status_code in _OF_ONE_TEXT:
                raise NoAnswerError(self._server.reason(error)) from None
            raise InputError(f"{self._server.name} {self._server.complaint(error)}") from None
        self._ledger.bill(prompt, billed_tokens(body))
        scores = label_scores(read_answer(body, self._server.name), self._prompt.words)
        self._ledger.note(scores)
        return scores

    async def _complete(self, client: AsyncOpenAI, prompt: str) -> bytes:
        response = await client.completions.with_raw_response.create(
            model=self._server.model, prompt=prompt, max_tokens=1, temperature=0, logprobs=self._top
        )
        return response.http_response.content

    async def _chat(self, client: AsyncOpenAI, prompt: str) -> bytes:
        messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": prompt}]
        if self._prompt.system:
            messages.insert(0, {"role": "system", "content": self._prompt.system})
        response = await client.chat.completions.with_raw_response.create(
            model=self._server.model,
            messages=messages,
            max_tokens=1,
            temperature=0,
            logprobs=True,
            top_logprobs=self._top,
        )
        return response.http_response.content
