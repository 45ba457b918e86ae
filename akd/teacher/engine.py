"""The teacher's engines: whatever scores text under a prompt, opened once and asked often."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, assert_never

import torch
import transformers
from transformers import AutoConfig, PreTrainedModel, PreTrainedTokenizerBase

from akd.errors import InputError
from akd.io import file_hashes, fingerprint, resume_folder
from akd.models.continuation import filled_rows
from akd.models.load import compute_dtype, device, load_teacher, load_tokenizer
from akd.models.scoring import context_of
from akd.models.synonyms import nearest_words
from akd.models.truncation import check_room, excerpts
from akd.prompts.template import Prompt, beginning, render, tells_apart, tells_apart_in_full
from akd.records import Scores
from akd.specs.engines import (
    Engine,
    OpenAIEngine,
    TransformersEngine,
    VllmEngine,
    teacher_quantization,
)
from akd.teacher.ledger import Journal, Ledger
from akd.teacher.store import Store, open_store, score_all
from akd.teacher.transformers import transformers_teacher
from akd.teacher.vllm import VllmTeacher, load_vllm, vllm_version

_CODE = 2  # raise it with any change of code after which a text gets other scores
_SHARD = 64  # answers that an interruption can cost, of a search or of a paid server


class Teacher(Protocol):
    """Whatever can score texts under one prompt."""

    def score(self, texts: Sequence[str]) -> Scores:
        """Return the scores of the texts, in their order."""


@dataclass(frozen=True)
class OpenEngine:
    """An engine that waits for prompts.

    Attributes:
        model: the teacher itself; None where another program holds it.
        tokenizer: of the pair's teacher.
        tells_apart: whether its answers can tell these label words apart.
        layers: how many blocks have states that it can give; 0 for a black box.
        chats: the forms of prompt that it takes (`Prompt.chat`), the first one to begin with.
        ledger: what a paid server was asked for; None where asking is free.
        decides: returns what decides a score besides text, prompt and blocks, as plain JSON
            values; it reads all weights.
        build: returns the engine under a prompt, with the mean states of these blocks; it asks
            anew, whatever is kept. Raises InputError if the prompt does not fit.
        context: how many tokens it can read; None where that is not known.
        nearest: the words most like another in its embeddings; None where they are not at hand.
    """

    model: PreTrainedModel | None
    tokenizer: PreTrainedTokenizerBase
    tells_apart: Callable[[Sequence[str]], bool]
    layers: int
    chats: Sequence[bool]
    ledger: Ledger | None
    decides: Callable[[], dict[str, Any]]
    build: Callable[[Prompt, Sequence[int]], Teacher]
    context: int | None
    nearest: Callable[[str], Sequence[str]] | None

    @property
    def local(self) -> bool:
        """Return whether this process writes its prompts as tokens; a server does so itself."""
        return self.ledger is None

    def shard(self, articles: int) -> int:
        """Return how many articles are kept at a time, of `articles` that are wished for."""
        return articles if self.local else min(articles, _SHARD)

    def teacher(self, prompt: Prompt, layers: Sequence[int]) -> Teacher:
        """Return the engine under a prompt; what a paid server has answered is not asked again."""
        teacher = self.build(prompt, layers)
        if self.local:
            return teacher
        return _Remembering(teacher, self.store(prompt, layers))

    def store(self, prompt: Prompt, layers: Sequence[int]) -> Store[Scores]:
        """Open the store of what this engine says under a prompt."""
        asked = {"code": _CODE, "prompt": prompt.model_dump(mode="json"), "layers": list(layers)}
        return open_store({**self.decides(), **asked}, Scores)

    def score(self, prompt: Prompt, texts: Sequence[str], layers: Sequence[int]) -> Scores:
        """Score texts under a prompt, as a prompt search asks for it; no text is scored twice."""
        built = cache(lambda: self.build(prompt, layers))
        kept = self.store(prompt, layers)
        return score_all(lambda asked: built().score(asked), texts, kept, _SHARD)


@dataclass(frozen=True)
class _Remembering:
    """A teacher whose answers are kept."""

    teacher: Teacher
    store: Store[Scores]

    def score(self, texts: Sequence[str]) -> Scores:
        return score_all(self.teacher.score, texts, self.store, _SHARD)


def open_engine(spec: Engine, folder: Path, *, text_tokens: int, batch_size: int) -> OpenEngine:
    """Open the engine of params.yaml.

    Args:
        spec: which one.
        folder: the pair's teacher, resolved.
        text_tokens: how many tokens of a text are read.
        batch_size: texts in one forward pass of the transformers engine. It decides nothing,
            except where every batch is filled up to it.

    Raises:
        InputError: if a package or the server's key is missing.
    """
    match spec:
        case TransformersEngine():
            return _open_transformers(spec, folder, text_tokens, batch_size)
        case VllmEngine():
            return _open_vllm(folder, text_tokens)
        case OpenAIEngine():
            return _open_server(spec, folder, text_tokens)
        case _:
            assert_never(spec)


def _open_transformers(
    spec: TransformersEngine, folder: Path, text_tokens: int, batch_size: int
) -> OpenEngine:
    model, tokenizer = load_teacher(folder, teacher_quantization(spec))

    def build(prompt: Prompt, layers: Sequence[int]) -> Teacher:
        return transformers_teacher(
            model,
            tokenizer,
            prompt=prompt,
            text_tokens=text_tokens,
            batch_size=batch_size,
            layers=layers,
        )

    def decides() -> dict[str, Any]:
        return {
            **_local("transformers", folder, text_tokens),
            "device": "+".join(sorted({part.device.type for part in model.parameters()})),
            "quantization": spec.quantization,
            "rows": filled_rows(batch_size),
            "bitsandbytes": None if spec.quantization == "none" else version("bitsandbytes"),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        }

    layers = model.config.num_hidden_layers
    return OpenEngine(
        model,
        tokenizer,
        partial(tells_apart_in_full, tokenizer=tokenizer),
        layers,
        _forms(tokenizer),
        None,
        cache(decides),
        build,
        context_of(model.config),
        nearest_words(model, tokenizer),
    )


def _open_vllm(folder: Path, text_tokens: int) -> OpenEngine:
    model, tokenizer = load_vllm(folder)
    context = context_of(AutoConfig.from_pretrained(folder, local_files_only=True))

    def build(prompt: Prompt, _layers: Sequence[int]) -> Teacher:
        before, after = render(prompt, tokenizer)
        check_room(len(before), text_tokens, len(after), context)
        return VllmTeacher(model, tokenizer, prompt=prompt, text_tokens=text_tokens)

    def decides() -> dict[str, Any]:
        return {**_local("vllm", folder, text_tokens), "vllm": vllm_version()}

    apart, forms = partial(tells_apart, tokenizer=tokenizer), _forms(tokenizer)
    return OpenEngine(None, tokenizer, apart, 0, forms, None, cache(decides), build, context, None)


def _open_server(spec: OpenAIEngine, folder: Path, text_tokens: int) -> OpenEngine:
    if find_spec("openai") is None:
        raise InputError(
            "the engine openai needs a package of that name: pip install 'akd[openai]', or choose "
            "another `label.engine`"
        )
    from akd.teacher.openai import OpenAITeacher
    from akd.teacher.server import key_from_environment

    tokenizer, key, chats = load_tokenizer(folder), key_from_environment(), (spec.chat,)
    account = fingerprint(spec.model_dump(include={"base_url", "model"}))
    journal = Journal(resume_folder() / "spent" / f"{account}.txt")
    ledger = Ledger(spec.token_budget, spec.cost_budget, spec.price, journal)

    def build(prompt: Prompt, _layers: Sequence[int]) -> Teacher:
        return OpenAITeacher(
            base_url=spec.base_url,
            model=spec.model,
            api_key=key,
            prompt=prompt,
            read=lambda texts: [found.text for found in excerpts(texts, tokenizer, text_tokens)],
            top_log_probabilities=spec.top_log_probabilities,
            concurrency=spec.concurrency,
            ledger=ledger,
            timeout=spec.timeout,
            retries=spec.retries,
        )

    def decides() -> dict[str, Any]:
        return {
            "engine": "openai",
            **spec.model_dump(include={"base_url", "model", "top_log_probabilities"}),
            "tokenizer": file_hashes(folder, "tokenizer*"),
            "text_tokens": text_tokens,
        }

    def apart(words: Sequence[str]) -> bool:
        return beginning(words) is None and tells_apart(words, tokenizer)

    return OpenEngine(None, tokenizer, apart, 0, chats, ledger, cache(decides), build, None, None)


def _local(engine: str, folder: Path, text_tokens: int) -> dict[str, Any]:
    return {
        "engine": engine,
        "model": file_hashes(folder, "*"),
        "dtype": str(compute_dtype()),
        "device": device().type,
        "text_tokens": text_tokens,
    }


def _forms(tokenizer: PreTrainedTokenizerBase) -> Sequence[bool]:
    return (False,) if tokenizer.chat_template is None else (False, True)
