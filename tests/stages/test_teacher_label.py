"""teacher-label: killed again and again it ends with the bytes of a run that nobody disturbed."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from transformers import PreTrainedTokenizerFast

from akd.io import write_table
from akd.models.load import load_teacher
from akd.prompts import store
from akd.prompts.calibration import Calibrator
from akd.prompts.store import AdaptedPrompt
from akd.records import FILTERED
from akd.teacher.folder import read_hidden, read_mean_states, read_rationales
from akd.teacher.transformers import transformers_teacher
from akd.teacher.verification import first_fault
from stages import teacher_label
from tests.conftest import (
    PROMPT,
    ROOT,
    SENTENCES,
    article,
    clean_articles,
    make_wordy,
    tiny_model,
)

KILLS = 12
ARTICLES = 300
REASONS = 30
LABELS = ["a", "b", "c"]


@pytest.fixture
def project(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> Path:
    """What the stages before teacher-label leave behind, with shards of two articles."""
    teacher = tiny_model("llama", seed=1)
    make_wordy(teacher, tokenizer)
    teacher.save_pretrained(tmp_path / "models" / "teacher")
    tokenizer.save_pretrained(tmp_path / "models" / "teacher")
    adapted = AdaptedPrompt(
        PROMPT, Calibrator(np.zeros(3), 1.0, [], 1.0, np.zeros(3)), [1, 3], LABELS
    )
    store.save(adapted, tmp_path / "prompt")
    rows = [article(f"n{n:03}", f"{n} {SENTENCES[n % 5] * (n % 3 + 1)}") for n in range(ARTICLES)]
    scores = {"domain_score": 0.5, "signal_score": 0.5}
    frame = clean_articles(*rows).with_columns(**scores).match_to_schema(FILTERED)
    write_table(tmp_path / "filtered" / "articles", frame, FILTERED)
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["label"].update(article_tokens=24, batch_size=2, shard_articles=2, states=[0.5, 1.0])
    raw["label"]["rationales"] = {"share": REASONS / ARTICLES, "tokens": 12, "top": 4}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
    return tmp_path


def _label(project: Path, root: str) -> None:
    """Run the stage in this process."""
    os.chdir(project)
    os.environ.update(DVC_ROOT=root, AKD_DTYPE="float32", OMP_NUM_THREADS="1")
    names = ("filtered", "models", "prompt")
    teacher_label.main(
        task=ROOT / "data/tasks/crisis/task.yaml",
        **{name: Path(name) for name in names},
        out=Path(root) / "signals",
        metrics=Path(root) / "m.json",
    )


def _tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def start() -> Callable[[Path, str], multiprocessing.process.BaseProcess]:
    """Start the stage in a process of its own, forked from one that has imported it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["stages.teacher_label"])

    def begin(project: Path, root: str) -> multiprocessing.process.BaseProcess:
        process = context.Process(target=_label, args=(project, root))
        process.start()
        return process

    return begin


@pytest.mark.parametrize("read", [[1, 3], []])
def test_states_and_reasons_lie_beside_the_scores(
    project: Path, monkeypatch: pytest.MonkeyPatch, read: list[int]
) -> None:
    """Kept are the blocks of params.yaml, whichever the calibration reads."""
    monkeypatch.chdir(project)
    for name in ("DVC_ROOT", "AKD_DTYPE", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "")  # so that it is undone
    frame = pl.read_parquet(project / "filtered" / "articles")[:30]
    write_table(project / "filtered" / "articles", frame, FILTERED)
    raw = yaml.safe_load((project / "params.yaml").read_text())
    raw["label"]["rationales"]["share"] = 0.5
    (project / "params.yaml").write_text(yaml.safe_dump(raw))
    adapted = AdaptedPrompt(
        PROMPT, Calibrator(np.zeros(3), 1.0, [], 1.0, np.zeros(3)), read, LABELS
    )
    store.save(adapted, project / "prompt")
    _label(project, "here")
    signals = project / "here" / "signals"
    assert first_fault(signals) is None
    means, layers = read_mean_states(signals)
    model, tokenizer = load_teacher(project / "models" / "teacher")
    teacher = transformers_teacher(
        model, tokenizer, prompt=PROMPT, text_tokens=24, batch_size=2, layers=[2, 3]
    )
    scores = teacher.score(frame["text"].to_list())
    assert layers == [2, 3]
    np.testing.assert_allclose(means, scores.states, atol=2e-3)
    np.testing.assert_allclose(read_hidden(signals), scores.decision, atol=2e-3)
    reasons = read_rationales(signals)
    told = json.loads((project / "here" / "m.json").read_text())
    assert told["rationales"]["kept"] == told["articles_with_a_reason"] == reasons.height > 0
    assert told["rationales"]["asked"] == 15
    assert set(reasons["id"]) < set(frame["id"])


def test_killed_at_random_moments_it_ends_with_the_same_bytes(
    project: Path, start: Callable[[Path, str], multiprocessing.process.BaseProcess]
) -> None:
    for _ in range(2):  # the first run also waits for the imports
        shutil.rmtree(project / "whole", ignore_errors=True)
        began = time.monotonic()
        undisturbed = start(project, "whole")
        undisturbed.join()
        seconds = time.monotonic() - began
        assert undisturbed.exitcode == 0
    draw, kills, kept = random.Random(), 0, set()
    while kills < KILLS:
        process = start(project, "cut")
        process.join(draw.uniform(0.3, 0.8) * seconds)
        process.kill()
        process.join()
        if process.exitcode == 0:  # it was done before: begin again
            shutil.rmtree(project / "cut")
            continue
        assert process.exitcode == -signal.SIGKILL
        kills += 1
        kept.add(len(list((project / "cut").glob(".akd/*/*.safetensors"))))
    last = start(project, "cut")
    last.join()
    assert last.exitcode == 0
    assert len({number for number in kept if 0 < number < (ARTICLES + REASONS) // 2}) > 1, kept
    assert read_rationales(project / "whole" / "signals").height > 0
    assert _tree(project / "cut" / "signals") == _tree(project / "whole" / "signals")
    assert (project / "cut" / "m.json").read_bytes() == (project / "whole" / "m.json").read_bytes()
    assert not list(project.glob("cut/.signals.partial"))
