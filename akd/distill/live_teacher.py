"""The teacher itself beside its student, for the one loss that asks it: `minillm`."""

from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from akd import console
from akd.errors import InputError
from akd.io import file_hashes
from akd.models.load import load_teacher
from akd.prompts.reading import Reading, reading_of
from akd.specs.distillation import Phase
from akd.specs.engines import teacher_quantization
from akd.specs.labels import LabelParams
from akd.teacher.folder import model_fingerprint, read_manifest


@dataclass(frozen=True)
class LiveTeacher:
    """The teacher itself, and how it is asked."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    reading: Reading


def teacher_for(
    phase: Phase, folder: Path, signals: Path, prompt: Path, label: LabelParams
) -> LiveTeacher | None:
    """Load the teacher, if a loss of the phase asks it.

    Args:
        folder: the pair's teacher, resolved; it is read for `minillm` alone.
        signals: those of the phase.
        prompt: the folder of the teacher's prompt.
        label: how it was asked; its engine says whether it is quantised, never the student.

    Raises:
        InputError: if the folder does not hold the teacher that gave the signals.
    """
    if "minillm" not in phase.losses:
        return None
    if model_fingerprint(file_hashes(folder, "*")) != read_manifest(signals).model:
        raise InputError(
            f"{folder} does not hold the teacher that gave {signals}, which minillm asks again: "
            "run `dvc repro models teacher-label`, or leave minillm out of `distill.phases`"
        )
    console.say("minillm: the teacher is loaded, since it weighs what the student writes")
    model, tokenizer = load_teacher(folder, teacher_quantization(label.engine))
    return LiveTeacher(model, tokenizer, reading_of(prompt, "same", label.article_tokens))
