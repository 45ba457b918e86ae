"""A meter of training: when optimisation steps end, and memory above what was held before.

It runs in every environment that is compared, and so needs nothing of the project.
"""

import time
from pathlib import Path
from statistics import median
from typing import Any

from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook


class Meter:
    """Watches all optimisers from now on, in a process that does nothing else.

    Args:
        models: that are loaded; their weights are not counted to a step.
    """

    def __init__(self, *models: nn.Module) -> None:
        for weight in (weight for model in models for weight in model.parameters()):
            weight.sum()  # a weight may lie in a file until it is read
        self._ends: list[float] = []
        self._held = status("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak of loading
        register_optimizer_step_post_hook(self._end)

    def _end(self, *_step: Any) -> None:
        self._ends.append(time.perf_counter())

    def median_rate(self, batch_size: int) -> float:
        """Return documents per second of the median step: what lies between phases is left out."""
        pairs = zip(self._ends[1:], self._ends[:-1], strict=True)
        return batch_size / median(end - begin for end, begin in pairs)

    def figures(self, batch_size: int) -> dict[str, float]:
        """Return documents per second, and GiB held before the first step and above that.

        Timed are whole steps, but the first, which also builds what the later ones find.
        """
        timed = len(self._ends) - 1
        return {
            "documents_per_second": timed * batch_size / (self._ends[-1] - self._ends[0]),
            "peak_gib_above_model": (status("VmHWM") - self._held) / 2**30,
            "held_gib": self._held / 2**30,
            "timed_steps": timed,
        }


def status(name: str) -> int:
    """Return a line of /proc/self/status in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
