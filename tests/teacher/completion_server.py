"""A server on loopback that speaks the completion API of OpenAI, with a real tiny model behind it.

The answers have the shapes of OpenAI's API reference; the log-probabilities are computed.
"""

import json
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from akd.teacher.ledger import Ledger
from akd.teacher.openai import OpenAITeacher
from tests.conftest import PROMPT

KEY = "sk-only-for-the-server-4711"
MODEL = "tiny"
VOCABULARY = 512
# A newline before the article, so that no token spans the seam that a server does not see.
PLAIN = PROMPT.model_copy(update={"article": "News:\n", "instruction": "Say {labels}."})


class CompletionServer(ThreadingHTTPServer):
    """Answers from a model, unless a fault is due.

    Attributes:
        faults: one for each request to come, None for a sound answer.
        bodies: the requests in the order of their arrival.
        arrivals: when they came, in seconds.
        delay: longest random wait before an answer, in seconds.
        most: how many requests were under way at once, at the most.
    """

    daemon_threads = True

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model, self.tokenizer = model, tokenizer
        self.faults: list[Callable[[_Handler], None] | None] = []
        self.bodies: list[dict[str, Any]] = []
        self.arrivals: list[float] = []
        self.delay = 0.0
        self.under_way = self.most = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report what goes wrong here, but not an engine that hangs up."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @contextmanager
    def under_way_once_more(self) -> Iterator[None]:
        with self.lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        yield
        with self.lock:
            self.under_way -= 1

    def next_fault(self, body: dict[str, Any]) -> "Callable[[_Handler], None] | None":
        with self.lock:
            self.bodies.append(body)
            self.arrivals.append(time.monotonic())
            return self.faults.pop(0) if self.faults else None

    def alternatives(self, text: str, count: int) -> tuple[int, list[tuple[str, float]]]:
        """Return the tokens of the prompt, and the most probable next ones."""
        tokens = self.tokenizer(text, add_special_tokens=False).input_ids
        with self.lock, torch.inference_mode():
            logits = self.model(torch.tensor([tokens])).logits[0, -1].float()
        words = logits[: len(self.tokenizer)]  # the others are padding
        top = words.log_softmax(-1).topk(min(count, len(words)))
        pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
        return len(tokens), [(self.tokenizer.decode([token]), value) for token, value in pairs]


class _Handler(BaseHTTPRequestHandler):
    server: CompletionServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.under_way_once_more():  # until the answer, after which the next may come
            fault = self.server.next_fault(body)
            if self.server.delay:
                time.sleep(random.uniform(0, self.server.delay))
        if fault is not None:
            fault(self)
        elif self.headers["Authorization"] != f"Bearer {KEY}":
            self.refuse(401, f"Incorrect API key provided: {self.headers['Authorization']}")
        elif body["model"] != MODEL:
            self.refuse(404, f"The model `{body['model']}` does not exist")
        elif self.path == "/v1/completions":
            self.send(200, self.completion(body))
        elif self.path == "/v1/chat/completions":
            self.send(200, self.chat_completion(body))
        else:
            self.refuse(404, "Not Found")

    def completion(self, body: dict[str, Any]) -> dict[str, Any]:
        assert (body["max_tokens"], body["temperature"]) == (1, 0)
        length, top = self.server.alternatives(body["prompt"], body["logprobs"])
        logprobs = {
            "tokens": [top[0][0]],
            "token_logprobs": [top[0][1]],
            "top_logprobs": [dict(reversed(top))],  # tokens of one text share a place
            "text_offset": [len(body["prompt"])],
        }
        choice = {"index": 0, "text": top[0][0], "logprobs": logprobs, "finish_reason": "length"}
        return self._frame("text_completion", choice, length)

    def chat_completion(self, body: dict[str, Any]) -> dict[str, Any]:
        assert (body["max_tokens"], body["temperature"], body["logprobs"]) == (1, 0, True)
        text = self.server.tokenizer.apply_chat_template(
            body["messages"], tokenize=False, add_generation_prompt=True
        )
        length, top = self.server.alternatives(text, body["top_logprobs"])
        entries = [
            {"token": token, "logprob": value, "bytes": list(token.encode())}
            for token, value in top
        ]
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": top[0][0], "refusal": None},
            "logprobs": {"content": [{**entries[0], "top_logprobs": entries}], "refusal": None},
            "finish_reason": "length",
        }
        return self._frame("chat.completion", choice, length)

    def _frame(self, kind: str, choice: dict[str, Any], length: int) -> dict[str, Any]:
        usage = {"prompt_tokens": length, "completion_tokens": 1, "total_tokens": length + 1}
        head = {"id": "cmpl-1", "object": kind, "created": 1, "model": MODEL}
        return {**head, "choices": [choice], "usage": usage}

    def refuse(self, status: int, message: str, **headers: str) -> None:
        self.send(status, {"error": {"message": message, "type": "t", "code": None}}, **headers)

    def send(self, status: int, answer: Any, cut: int = 0, **headers: str) -> None:
        """Send JSON; `cut` leaves its last bytes out."""
        data = json.dumps(answer).encode()
        data = data[: len(data) - cut]
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def close_connection_early(self) -> None:
        """Promise more bytes than come."""
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"{")
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep quiet: the base class writes to stderr."""


@contextmanager
def serving(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> Iterator[CompletionServer]:
    """Run a server in a thread."""
    with CompletionServer(model, tokenizer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ledger(token_budget: int = 10**6, cost_budget: float = 1.0) -> Ledger:
    """Open a ledger with ample limits."""
    return Ledger(token_budget, cost_budget, price=0.5)


def teacher_at(url: str, **changes: Any) -> OpenAITeacher:
    """Build an engine with ample limits; changes come on top."""
    settings: dict[str, Any] = {
        "base_url": url,
        "model": MODEL,
        "api_key": KEY,
        "prompt": PLAIN,
        "read": list,
        "top_log_probabilities": VOCABULARY,
        "concurrency": 4,
        "ledger": ledger(),
        "timeout": 10.0,
        "retries": 1,
    }
    return OpenAITeacher(**{**settings, **changes})
