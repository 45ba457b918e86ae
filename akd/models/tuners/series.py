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


class Bottleneck(nn.Module):
    """h + up(gelu(down(h))), where `up` begins at zero: at first nothing is changed."""

    def __init__(self, width: int, r: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.down = nn.Linear(width, r)
        self.up = nn.Linear(r, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return adapted states (batch, length, width) in the dtype in which they came."""
        states = self.dropout(hidden.to(self.down.weight.dtype))
        change: torch.Tensor = self.up(nn.functional.gelu(self.down(states)))
        return hidden + change.to(hidden.dtype)


class SeriesLayer(nn.Module, BaseTunerLayer):
    """A linear layer followed by the bottlenecks of the active adapters."""

    adapter_layer_names = ("series_bottleneck",)

    def __init__(self, base_layer: nn.Module, adapter_name: str, config: SeriesConfig) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.series_bottleneck = nn.ModuleDict()
        self._active_adapter = adapter_name
        self.update_layer(adapter_name, config)

    def update_layer(self, adapter_name: str, config: SeriesConfig) -> None:
        """Add the bottleneck of an adapter."""
        base = self.get_base_layer()
        width = cast(int, base.nf if isinstance(base, Conv1D) else base.out_features)
        self.series_bottleneck[adapter_name] = Bottleneck(width, config.r, config.dropout)
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def forward(self, hidden: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return the layer's output (batch, length, width), adapted unless that is disabled."""
        states: torch.Tensor = self.base_layer(hidden, *args, **kwargs)
        if not self.disable_adapters:
            for name in self.active_adapters:
                if name in self.series_bottleneck:
                    states = self.series_bottleneck[name](states)
        return states


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
