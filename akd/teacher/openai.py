"""The teacher behind any OpenAI-compatible server: top log-probabilities, no hidden states.

Requests are those of OpenAI's API reference, POST /completions and, for chat prompts, POST
/chat/completions, which vLLM, llama.cpp and others serve too.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from urllib.parse import urlsplit

import numpy as np
from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam
from pydantic import SecretStr

from akd.errors import InputError
from akd.prompts.template import Prompt, beginning, render_text
from akd.records import Scores
from akd.teacher.answers import LabelScores, billed_tokens, label_scores, read_answer
from akd.teacher.ledger import Ledger
from akd.teacher.store import UnfinishedError


def key_from_environment() -> str:
    """Return the key in `OPENAI_API_KEY`.

    Raises:
        InputError: if it is not set, or cannot be sent in a header; the key is never shown.
    """
    key = os.environ.get("OPENAI_API_KEY", "").strip()
    if not key:
        raise InputError(
            "OPENAI_API_KEY is not set: export the key of the teacher's server, "
            "or any word if the server wants none"
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise InputError("OPENAI_API_KEY holds characters that no key has: export it again")
    return key


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, an open bracket
        return False


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
            the client waits as long as Retry-After says, else longer each time.

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
        if not _is_address(base_url):
            raise InputError(f"{base_url!r} is no address of a server: begin it with http(s)://")
        if found := beginning(prompt.words):
            word, other = found
            raise InputError(
                f"label word {word!r} begins {other!r}: choose other verbalizers in task.yaml"
            )
        self._base_url, self._model, self._key = base_url, model, SecretStr(api_key)
        self._prompt, self._read = prompt, read
        self._top, self._concurrency = top_log_probabilities, concurrency
        self._timeout, self._retries = timeout, retries
        self._server = f"the teacher {model} at {base_url}"
        self._ledger = ledger

    def score(self, texts: Sequence[str]) -> Scores:
        """Score the texts; decision and states have width 0.

        Raises:
            UnfinishedError: with the answers until then, if the next request could exceed a
                budget, the server cannot be used, or an answer holds no log-probabilities.
        """
        before, after = render_text(self._prompt)
        prompts = [f"{before}{text}{after}" for text in self._read(texts)]
        answers: dict[int, LabelScores] = {}
        try:
            asyncio.run(self._ask_all(prompts, answers))
        except InputError as error:
            raise UnfinishedError(str(error), sorted(answers), self._scores(answers)) from None
        return self._scores(answers)

    def _scores(self, answers: Mapping[int, LabelScores]) -> Scores:
        labels = [answers[row].log_probabilities for row in sorted(answers)]
        return Scores(
            np.array(labels, np.float32).reshape(len(labels), len(self._prompt.words)),
            np.empty((len(labels), 0), np.float32),
            np.empty((len(labels), 0, 0), np.float32),
        )

    async def _ask_all(self, prompts: Sequence[str], answers: dict[int, LabelScores]) -> None:
        """Ask in order, several at once, and enter each answer; the first failure ends them all."""
        waiting = deque(enumerate(prompts))
        running: dict[asyncio.Task[None], str] = {}
        async with self._connect() as client:
            try:
                while waiting or running:
                    while self._may_ask(waiting, running.values()):
                        row, prompt = waiting.popleft()
                        task = asyncio.create_task(self._ask(client, row, prompt, answers))
                        running[task] = prompt
                    if not running:
                        raise InputError(f"{self._server}: {self._ledger.exhausted()}")
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

    def _connect(self) -> AsyncOpenAI:
        return AsyncOpenAI(
            base_url=self._base_url,
            api_key=self._key.get_secret_value(),
            timeout=self._timeout,
            max_retries=self._retries,
        )

    def _may_ask(self, waiting: Sequence[tuple[int, str]], running: Collection[str]) -> bool:
        """Say whether the next request has a place, and fits in with those under way."""
        if not waiting or len(running) >= self._concurrency:
            return False
        return self._ledger.allows((waiting[0][1], *running))

    async def _ask(
        self, client: AsyncOpenAI, row: int, prompt: str, answers: dict[int, LabelScores]
    ) -> None:
        try:
            if self._prompt.chat:
                body = await self._chat(client, prompt)
            else:
                body = await self._complete(client, prompt)
        except (APIConnectionError, APIStatusError) as error:
            # Without its cause: that holds the request, and the request the key.
            raise InputError(f"{self._server} {self._complaint(error)}") from None
        self._ledger.bill(prompt, billed_tokens(body))
        scores = label_scores(read_answer(body, self._server), self._prompt.words)
        self._ledger.note(scores)
        answers[row] = scores

    async def _complete(self, client: AsyncOpenAI, prompt: str) -> bytes:
        response = await client.completions.with_raw_response.create(
            model=self._model, prompt=prompt, max_tokens=1, temperature=0, logprobs=self._top
        )
        return response.http_response.content

    async def _chat(self, client: AsyncOpenAI, prompt: str) -> bytes:
        messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": prompt}]
        if self._prompt.system:
            messages.insert(0, {"role": "system", "content": self._prompt.system})
        response = await client.chat.completions.with_raw_response.create(
            model=self._model,
            messages=messages,
            max_tokens=1,
            temperature=0,
            logprobs=True,
            top_logprobs=self._top,
        )
        return response.http_response.content

    def _complaint(self, error: APIConnectionError | APIStatusError) -> str:
        tried = f"({self._retries} retries)"
        match error:
            case APITimeoutError():
                return f"did not answer within {self._timeout:g} s {tried}: raise the timeout"
            case APIConnectionError():
                return f"refuses or drops the connection {tried}: start it, or check its address"
            case APIStatusError(status_code=401 | 403):
                return "refuses the key in OPENAI_API_KEY: export one that is valid there"
            case APIStatusError(status_code=404):
                return "does not exist: check the model's name and the address (often .../v1)"
            case APIStatusError(status_code=429):
                return f"limits the rate {tried}: lower the concurrency, or check your quota there"
            case APIStatusError(status_code=code) if code >= 500:
                return f"fails with status {code} {tried}: look at its log and run again"
            case APIStatusError(message=message):
                reason = " ".join(message.replace(self._key.get_secret_value(), "***").split())
                return f"refuses a request ({reason}): change what it names"
