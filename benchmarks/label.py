"""Labelling beside two plain ways: speed, ceiling, store.

Under a prefix of 500 tokens, an instruction and demonstrations, which every article shares; under
`adapted` the same of the prompt that the last `dvc repro` adapted, which may be short: of a prefix
of few tokens there is little to save.

Takes articles and models of the last `dvc repro` (task crisis). `plain` is one forward pass over
prefix and article for each document in float32, with the logits of all positions; `pipeline` is
Hugging Face's zero-shot classification on the same weights, one full pass for each label (its head
is untrained: its speed counts, not its answers) in the engine's dtype, bfloat16 where the hardware
multiplies it. All read the same tokens of the same articles, in turns, and the median of the rounds
is taken. `operations_plain` is how many operations the plain loop has for one of the engine's, and
`gigaflops` how many each does in a second: of the gain, one part is work that is not done twice,
the other how fast the machine is kept at work.

    python -m benchmarks.label
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from akd import params
from akd.io import file_hashes
from akd.models.load import compute_dtype, load_tokenizer
from akd.models.truncation import truncated
from akd.params import Params
from akd.prompts import store
from akd.prompts.calibration import Calibrator
from akd.prompts.demonstrations import Shot, demonstration
from akd.prompts.material import read_shots, read_unlabelled
from akd.prompts.search import seed_prompt
from akd.prompts.template import Prompt, render
from akd.records import Scores
from akd.task import Task, load_task
from akd.teacher.folder import write_signals
from akd.teacher.label import signals
from akd.teacher.store import Store, score_all
from benchmarks.clone import write_result
from benchmarks.gemm import ceiling, labelling_operations
from benchmarks.ways import MODEL, engine, plain, zero_shot

DATA = Path("data")
TASK = DATA / "tasks" / "crisis"
PREFIX_TOKENS = 500


def main(
    documents: Annotated[int, typer.Option(help="Articles that the engine labels a round.")] = 256,
    slow: Annotated[int, typer.Option(help="Those of them for the two plain ways.")] = 32,
    stored: Annotated[int, typer.Option(help="Articles whose scores are kept as a stage does.")] = (
        1000
    ),
    rounds: Annotated[int, typer.Option(help="How often each way has its turn.")] = 3,
) -> None:
    """Write benchmarks/results/label.json."""
    settings, task = params.load(), load_task(TASK / "task.yaml")
    articles = _articles(settings, max(documents, stored))
    texts = articles[:documents]
    shots = read_shots(TASK, task, DATA / "clean", settings.prompt, settings.clean.max_characters)
    prompt = long_prompt(task, shots, settings.prompt.shown_characters)
    compared = _compared(prompt, settings, texts, slow, rounds)
    best = ceiling(compute_dtype()) / 1e9
    result = {
        **compared,
        "gemm_share": round(compared["gigaflops"]["engine"] / best, 4),
        **_store(prompt, settings, articles[:stored], task),
        **_differences(prompt, settings, texts[:slow]),
        "adapted": _compared(store.load(DATA / "prompt").prompt, settings, texts, slow, rounds),
        "dtype": str(compute_dtype()).removeprefix("torch."),
        "gemm_ceiling_gflops": round(best, 1),
        "labels": len(task.labels),
        "article_tokens": round(float(np.mean(_tokens(texts, settings))), 1),
        "n": {
            "engine": len(texts),
            "plain": min(slow, len(texts)),
            "stored": min(stored, len(articles)),
        },
    }
    options = {"documents": documents, "slow": slow, "stored": stored, "rounds": rounds}
    shown = " ".join(f"--{name} {value}" for name, value in options.items())
    write_result("label", f"python -m benchmarks.label {shown}", result)


def _compared(
    prompt: Prompt, settings: Params, texts: Sequence[str], slow: int, rounds: int
) -> dict[str, Any]:
    """Return documents per second of each way under a prompt, and how much faster the engine is."""
    ways = {"engine": engine(prompt, settings), "plain": plain(prompt, settings)}
    ways["pipeline"] = zero_shot(prompt, settings)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, label in ways.items():
            rates[name].append(_rate(label, texts if name == "engine" else texts[:slow]))
    speed = {name: round(median(found), 3) for name, found in rates.items()}
    operations = _operations(prompt, _tokens(texts, settings))
    return {
        "ratio_plain": round(speed["engine"] / speed["plain"], 2),
        "operations_plain": round(operations["plain"] / operations["engine"], 2),
        "ratio_pipeline": round(speed["engine"] / speed["pipeline"], 2),
        "documents_per_second": speed,
        "gigaflops": {way: round(operations[way] * speed[way] / 1e9, 2) for way in operations},
        "prefix_tokens": len(render(prompt, load_tokenizer(MODEL))[0]),
    }


def long_prompt(task: Task, shots: Sequence[Shot], characters: int) -> Prompt:
    """Return instruction and as many demonstrations as it takes to fill the prefix."""
    tokenizer = load_tokenizer(MODEL)
    prompt = seed_prompt(task.prompt, len(task.labels), False)
    prompt = prompt.model_copy(update={"instruction": task.prompt.instructions[-1]})
    for shot in shots:
        if len(render(prompt, tokenizer)[0]) >= PREFIX_TOKENS:
            break
        shown = (*prompt.demonstrations, demonstration(shot, characters))
        prompt = prompt.model_copy(update={"demonstrations": shown})
    return prompt


def _articles(settings: Params, documents: int) -> list[str]:
    calibration = settings.prompt.calibration.model_copy(update={"articles": documents})
    search = settings.prompt.model_copy(update={"calibration": calibration, "unlabelled": 1})
    return read_unlabelled(DATA / "filtered", search)


def _tokens(texts: Sequence[str], settings: Params) -> list[int]:
    """Return how many tokens of each article are read."""
    tokenizer = load_tokenizer(MODEL)
    return [len(found) for found in truncated(texts, tokenizer, settings.label.article_tokens)]


def _operations(prompt: Prompt, read: Sequence[int]) -> dict[str, float]:
    """Return the mean operations of two ways, over articles of so many tokens."""
    before, after = (len(part) for part in render(prompt, load_tokenizer(MODEL)))
    whole = [before + tokens + after for tokens in read]
    own, count = [tokens + after for tokens in read], len(read)
    return {
        "engine": labelling_operations(MODEL, before, own, logits=count) / count,
        "plain": labelling_operations(MODEL, 0, whole, logits=sum(whole)) / count,
    }


def _rate(label: Callable[[Sequence[str]], Any], texts: Sequence[str]) -> float:
    """Return documents per second."""
    start = time.perf_counter()
    label(texts)
    return len(texts) / (time.perf_counter() - start)


def _store(prompt: Prompt, settings: Params, texts: Sequence[str], task: Task) -> dict[str, float]:
    """Return the share of time that resuming costs, and the bytes of a document's signals."""
    score, seconds = engine(prompt, settings), 0.0

    def timed(part: Sequence[str]) -> Scores:
        nonlocal seconds
        start = time.perf_counter()
        found = score(part)
        seconds += time.perf_counter() - start
        return found

    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        kept = Store(Path(scratch) / "store", {"model": file_hashes(MODEL, "*")}, Scores)
        scores = score_all(timed, texts, kept, settings.label.shard_articles)
        whole = time.perf_counter() - start
        ids = [f"{number:016x}" for number in range(len(texts))]
        zeros = np.zeros(len(task.labels))
        flat = Calibrator(zeros, 1.0, [], 1.0, zeros)
        frame, hidden = signals(ids, scores, flat, task.label_names)
        folder = Path(scratch) / "signals"
        write_signals(
            folder,
            frame,
            hidden,
            labels=task.label_names,
            blocks=0,
            model=kept.fingerprint,
            fingerprint=kept.fingerprint,
        )
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {
        "resume_overhead": round((whole - seconds) / seconds, 5),
        "bytes_per_document": round(size / len(texts), 1),
    }


def _differences(prompt: Prompt, settings: Params, texts: Sequence[str]) -> dict[str, Any]:
    """Return the largest differences in a label's log-probability, in nats, for each dtype."""
    exact, rounded = (
        {
            "many": engine(prompt, settings, dtype, 16)(texts).log_probabilities,
            "single": engine(prompt, settings, dtype, 1)(texts).log_probabilities,
            "whole": np.stack(plain(prompt, settings, dtype)(texts)),
        }
        for dtype in (torch.float32, torch.bfloat16)
    )
    both = (("float32", exact), ("bfloat16", rounded))
    return {
        "cached_difference": {name: _largest(of["many"], of["whole"]) for name, of in both},
        "batch_difference": {name: _largest(of["many"], of["single"]) for name, of in both},
        # What bfloat16 rounds away, with the prefix cached and without.
        "rounding_difference": {
            name: _largest(rounded[way], exact["whole"])
            for name, way in (("cached", "many"), ("uncached", "whole"))
        },
    }


def _largest(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return round(float(np.abs(one - other).max()), 7)


if __name__ == "__main__":
    typer.run(main)
