"""What ends a command: one sentence, and no traceback, where a person can do something about it."""

import errno

import pytest
import torch

from akd import console


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate\n2 GiB"), "the GPU is full"),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
    ],
)
def test_a_full_gpu_or_disk_is_one_sentence(
    error: Exception, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise error

    with pytest.raises(SystemExit) as caught:
        console.guard(command)
    assert caught.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {told}")


@pytest.mark.parametrize("error", [RuntimeError("a bug"), OSError(errno.EIO, "broken")])
def test_what_nobody_foresaw_stays_what_it_is(error: Exception) -> None:
    def command() -> None:
        raise error

    with pytest.raises(type(error)):
        console.guard(command)
