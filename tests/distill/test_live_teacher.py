"""The stage distill: no phase asks for the teacher's weights but one with minillm."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import polars as pl
import pytest
import torch
import yaml
from transformers import PreTrainedTokenizerFast

from akd.distill.progress import Progress
from akd.errors import InputError
from akd.io import file_hashes, read_json, read_table, write_json, write_table
from akd.models import adapters, load
from akd.prompts import store
from akd.prompts.calibration import Calibrator
from akd.prompts.store import AdaptedPrompt
from akd.records import FILTERED, RATIONALE, SIGNAL
from akd.specs.adapters import Quantization
from akd.specs.distillation import LossName
from akd.task import load_task
from akd.teacher.folder import model_fingerprint, write_signals
from stages import distill
from tests.conftest import PROMPT, ROOT, article, clean_articles, tiny_model
from tests.distill.tiny_phase import LABELS, TEXTS, blocks_of, lessons

TASK = ROOT / "data/tasks/crisis/task.yaml"
WITHOUT_TEACHER = sorted(set(get_args(LossName)) - {"minillm"})


@pytest.fixture
def project(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """What the stages before distill leave behind, and a teacher that labelled, in `moved`."""
    monkeypatch.chdir(tmp_path)
    for name, model in (
        ("moved", tiny_model("llama", layers=4, seed=9, width=48)),
        ("student", tiny_model("llama")),
    ):
        model.save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
    labels = load_task(TASK).label_names
    adapted = AdaptedPrompt(
        PROMPT, Calibrator(np.zeros(3), 1.0, [], 1.0, np.zeros(3)), [1, 4], labels
    )
    store.save(adapted, tmp_path / "prompt")
    rows = [article(f"n{number:03d}", text) for number, text in enumerate(TEXTS)]
    frame = clean_articles(*rows).with_columns(domain_score=0.5, signal_score=0.5)
    write_table(tmp_path / "filtered" / "articles", frame.match_to_schema(FILTERED), FILTERED)
    adapters.write_empty(tmp_path / "start")
    _write_signals(tmp_path, tokenizer, labels)
    return tmp_path


def _write_signals(project: Path, tokenizer: PreTrainedTokenizerFast, labels: list[str]) -> None:
    told = dict(zip(LABELS, labels, strict=True))
    frame = lessons().select(SIGNAL.names())
    reason = tokenizer(" people left.", add_special_tokens=False).input_ids
    said = {
        "text": tokenizer.decode(reason),
        "tokens": reason,
        "top_tokens": [[token, 7] for token in reason],
        "top_log_probabilities": [[-0.05, -4.0]] * len(reason),
        "tail_mass": [0.03] * len(reason),
    }
    means, layers, depth = blocks_of()
    write_signals(
        project / "signals",
        frame.with_columns(label=frame["label"].replace(told)),
        torch.randn(8, 48, generator=torch.Generator().manual_seed(1)).half(),
        labels=labels,
        blocks=depth,
        model=model_fingerprint(file_hashes(project / "moved", "*")),
        fingerprint="f" * 32,
        means=(means, layers),
        rationales=pl.DataFrame([{"id": key, **said} for key in frame["id"]], schema=RATIONALE),
    )


def _distill(
    project: Path,
    losses: dict[str, float],
    teacher: str,
    *,
    epochs: int = 1,
    quantization: str = "none",
) -> None:
    raw: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["label"]["article_tokens"] = 12
    raw["label"]["states"], raw["label"]["rationales"]["share"] = [0.5], 1.0
    raw["optimizer"]["batch_size"] = 4
    raw["distill"]["sampling"]["kind"] = "proportional"
    raw["distill"]["phases"]["phase-1"].update(epochs=epochs, targets="classes", losses=losses)
    raw["quantization"]["kind"] = quantization
    (project / "params.yaml").write_text(yaml.safe_dump(raw))
    names = ("filtered", "signals", "prompt", "student", "start", "out")
    distill.main(
        phase="phase-1",
        task=TASK,
        teacher=project / teacher,
        metrics=project / "metrics.json",
        plot=project / "plot.csv",
        domains=project / "domains.csv",
        **{name: project / name for name in names},
    )


@pytest.mark.parametrize("loss", WITHOUT_TEACHER)
def test_no_other_phase_needs_the_teacher(project: Path, loss: str) -> None:
    _distill(project, {loss: 1.0}, "nowhere")
    assert (project / "out" / "adapter_model.safetensors").is_file()


def test_minillm_says_that_it_loads_the_teacher(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _distill(project, {"minillm": 1.0}, "moved")
    assert (project / "out" / "readout.safetensors").is_file()
    assert "minillm: the teacher is loaded" in capsys.readouterr().err


@pytest.mark.parametrize("teacher", ["nowhere", "student"])
def test_minillm_refuses_any_other_teacher(project: Path, teacher: str) -> None:
    with pytest.raises(
        InputError, match=f"{teacher} does not hold the teacher that gave .*signals"
    ):
        _distill(project, {"minillm": 1.0}, teacher)


def test_a_student_in_4_bits_leaves_its_teacher_whole(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, str] = {}
    whole = load._load

    def note(folder: Path, quantization: Quantization, placement: Any) -> Any:
        asked[folder.name] = quantization.kind
        return whole(folder, Quantization(kind="none"), placement)

    monkeypatch.setattr(load, "_load", note)
    _distill(project, {"minillm": 1.0}, "moved", quantization="nf4")
    assert asked == {"student": "nf4", "moved": "none"}


def test_an_interrupted_stage_goes_on_where_it_was(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    add, stop_at = Progress.add, 3

    def noted(progress: Progress, step: int, losses: dict[str, float]) -> None:
        if step == stop_at:
            raise KeyboardInterrupt
        steps.append(step)
        add(progress, step, losses)

    monkeypatch.setattr(Progress, "add", noted)
    with pytest.raises(KeyboardInterrupt):
        _distill(project, {"soft_cross_entropy": 1.0}, "nowhere", epochs=6)
    assert not (project / "out").exists()
    stop_at = -1
    _distill(project, {"soft_cross_entropy": 1.0}, "nowhere", epochs=6)
    whole = list(range(steps[-1] + 1))
    assert steps == whole, "each step once: the second run began with the fourth"
    assert steps[-1] > 3
    parts = file_hashes(project / "out", "*")
    shutil.rmtree(project / "out")
    _distill(project, {"soft_cross_entropy": 1.0}, "nowhere", epochs=6)
    assert steps == 2 * whole, "what is finished leaves no checkpoint"
    assert file_hashes(project / "out", "*") == parts


@pytest.mark.parametrize(
    ("told", "value", "sentence"),
    [
        ("ACCELERATE_USE_FSDP", "true", "launch without FSDP"),
        ("ACCELERATE_USE_DEEPSPEED", "true", "launch without DeepSpeed"),
        ("ACCELERATE_MIXED_PRECISION", "bf16", "launch with --mixed_precision=no"),
        ("ACCELERATE_DYNAMO_BACKEND", "INDUCTOR", "launch with --dynamo_backend=no"),
    ],
)
def test_no_phase_shards_a_student_or_computes_otherwise_than_it_measures(
    told: str, value: str, sentence: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(told, value)
    with pytest.raises(InputError, match=sentence):
        _distill(project, {"soft_cross_entropy": 1.0}, "moved")
    assert not (project / "out").exists()


def test_processes_share_a_batch_or_are_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    three = SimpleNamespace(num_processes=3)
    monkeypatch.setattr("akd.distill.processes.PartialState", lambda: three)
    with pytest.raises(InputError, match="3 processes cannot share batches of 4 articles: set"):
        _distill(project, {"soft_cross_entropy": 1.0}, "moved")


def test_signals_of_another_label_set_are_refused(project: Path) -> None:
    manifest = project / "signals" / "manifest.json"
    told = read_json(manifest)
    write_json(manifest, {**told, "labels": ["storm", *told["labels"][1:]]})
    with pytest.raises(InputError, match="holds signals of the labels storm, .*, and the task has"):
        _distill(project, {"soft_cross_entropy": 1.0}, "moved")


def test_signals_of_articles_that_the_filter_dropped_are_refused(project: Path) -> None:
    kept = read_table(project / "filtered" / "articles", FILTERED)
    write_table(project / "filtered" / "articles", kept.tail(5), FILTERED)
    with pytest.raises(InputError, match="holds 3 articles that .*filtered does not"):
        _distill(project, {"soft_cross_entropy": 1.0}, "moved")


def test_two_texts_behind_the_cue_are_one_too_many(project: Path) -> None:
    with pytest.raises(InputError, match="phase-1: rationale and minillm both stand behind"):
        _distill(project, {"minillm": 1.0, "rationale": 1.0}, "moved")
