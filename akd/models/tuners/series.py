"""Series adapters (Houlsby et al. 2019, figure 2) as a PEFT tuner; PEFT has none of its own."""

from dataclasses import dataclass, field
from typing import Any, cast

import torch
from peft import PeftConfig
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from torch import nn
from transformers.pytorch_utils import Conv1D

from akd.models.tuners.registration import register


@dataclass
class SeriesConfig(PeftConfig):
    """Configuration of series adapters; PEFT wants defaults, `akd.models.adapters` sets them all.

    Args:
        r: width of the bottleneck.
        dropout: of what goes into the bottleneck.
        target_modules: linear layers on whose output an adapter stands.
    """

    r: int = 1
    dropout: float = 0.0
    target_modules: list[str] | set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = SERIES
        self.target_modules = set(self.target_modules)


class SeriesLayer(nn.Module, BaseTunerLayer):
    """A linear layer followed by the bottlenecks of the active adapters: h + up(gelu(down(h))).

    `up` begins at zero, so that at first nothing is changed. The parts stand in dictionaries of
    their own since PEFT looks for an adapter's name in the place before the last of a key.
    """

    adapter_layer_names = ("series_down", "series_up", "series_dropout")

    def __init__(self, base_layer: nn.Module, adapter_name: str, config: SeriesConfig) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.series_down = nn.ModuleDict()
        self.series_up = nn.ModuleDict()
        self.series_dropout = nn.ModuleDict()
        self._active_adapter = adapter_name
        self.update_layer(adapter_name, config)

    def update_layer(self, adapter_name: str, config: SeriesConfig) -> None:
        """Add the bottleneck of an adapter."""
        base = self.get_base_layer()
        width = cast(int, base.nf if isinstance(base, Conv1D) else base.out_features)
        up = nn.Linear(config.r, width)
        nn.init.zeros_(up.weight)
        nn.init.zeros_(up.bias)
        self.series_down[adapter_name] = nn.Linear(width, config.r)
        self.series_up[adapter_name] = up
        self.series_dropout[adapter_name] = nn.Dropout(config.dropout)
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def forward(self, hidden: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return the layer's output (batch, length, width), adapted unless that is disabled."""
        states: torch.Tensor = self.base_layer(hidden, *args, **kwargs)
        if not self.disable_adapters:
            for name in self.active_adapters:
                if name in self.series_down:
                    states = states + self._change(states, name)
        return states

    def _change(self, states: torch.Tensor, name: str) -> torch.Tensor:
        down, up = self.series_down[name], self.series_up[name]
        inside: torch.Tensor = self.series_dropout[name](states).to(down.weight.dtype)
        change: torch.Tensor = up(nn.functional.gelu(down(inside)))
        return change.to(states.dtype)


class SeriesModel(BaseTuner):
    """Puts a bottleneck behind each target module."""

    prefix = "series_"
    tuner_layer_cls = SeriesLayer

    def _create_and_replace(
        self,
        peft_config: Any,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,  # noqa: ARG002
        parameter_name: str | None = None,  # noqa: ARG002
    ) -> None:
        if isinstance(target, SeriesLayer):
            target.update_layer(adapter_name, peft_config)
        else:
            layer = SeriesLayer(target, adapter_name, peft_config)
            self._replace_module(parent, target_name, layer, target)


SERIES = register("series", SeriesConfig, SeriesModel)
