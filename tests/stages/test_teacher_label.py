"""teacher-label: killed again and again it ends with the bytes of a run that nobody disturbed."""

import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from akd.io import write_table
from akd.prompts import store
from akd.prompts.calibration import Calibrator
from akd.prompts.store import AdaptedPrompt
from akd.records import FILTERED
from stages import teacher_label
from tests.conftest import PROMPT, ROOT, SENTENCES, article, clean_articles

KILLS = 12
ARTICLES = 400


@pytest.fixture
def project(teacher_folder: Path, tmp_path: Path) -> Path:
    """What the stages before teacher-label leave behind, with shards of two articles."""
    (tmp_path / "models").mkdir()
    teacher_folder.rename(tmp_path / "models" / "teacher")
    adapted = AdaptedPrompt(PROMPT, Calibrator(np.zeros(3), 1.0, [], 1.0), [1], ["a", "b", "c"])
    store.save(adapted, tmp_path / "prompt")
    rows = [article(f"n{n:03}", f"{n} {SENTENCES[n % 5] * (n % 3 + 1)}") for n in range(ARTICLES)]
    scores = {"domain_score": 0.5, "signal_score": 0.5}
    frame = clean_articles(*rows).with_columns(**scores).match_to_schema(FILTERED)
    write_table(tmp_path / "filtered" / "articles", frame, FILTERED)
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["label"].update(article_tokens=24, batch_size=2, shard_articles=2)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
    return tmp_path


def _label(project: Path, root: str) -> None:
    """Run the stage in this process."""
    os.chdir(project)
    os.environ.update(DVC_ROOT=root, AKD_DTYPE="float32", OMP_NUM_THREADS="1")
    names = ("filtered", "models", "prompt")
    teacher_label.main(
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
    assert len({number for number in kept if 0 < number < ARTICLES // 2}) > 1, kept
    assert _tree(project / "cut" / "signals") == _tree(project / "whole" / "signals")
    assert (project / "cut" / "m.json").read_bytes() == (project / "whole" / "m.json").read_bytes()
    assert not list(project.glob("cut/.signals.partial"))
