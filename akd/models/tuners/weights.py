"""A student's own weights, or its biases alone, trained beside the frozen ones, as a PEFT tuner.

BitFit and full fine-tuning change the base in place. Here each trained parameter stands beside the
one that it replaces, so that such an adapter is saved, loaded, swapped and disabled as any other
one, and the base keeps its bytes. The price is that `full` holds the weights twice.
"""

from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, cast

import torch
from peft import PeftConfig
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from torch import nn

from akd.models.tuners.registration import register


@dataclass
class WeightsConfig(PeftConfig):
    """Configuration; PEFT wants defaults, `akd.models.adapters` sets them all.

    Args:
        biases: train the biases alone.
        target_modules: modules whose own parameters are trained.
    """

    biases: bool = False
    target_modules: list[str] | set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = WEIGHTS
        self.target_modules = set(self.target_modules)


class WeightsLayer(nn.Module, BaseTunerLayer):
    """A module computed with the trained parameters of the active adapter.

    Attributes:
        twins: of a parameter that is tied to one of an earlier module, that module and the name.
    """

    adapter_layer_names = ("weights_trained",)

    def __init__(self, base_layer: nn.Module, adapter_name: str) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.weights_trained = nn.ModuleDict()
        self.twins: dict[str, tuple[WeightsLayer, str]] = {}
        self._active_adapter = adapter_name

    def update_layer(
        self, adapter_name: str, trained: dict[str, nn.Parameter], *, train: bool
    ) -> None:
        """Add the parameters of an adapter, by their names in the base module."""
        self.weights_trained[adapter_name] = nn.ParameterDict(trained)
        self.set_adapter(self.active_adapters, inference_mode=not train)

    def trained(self, adapter_name: str) -> nn.ParameterDict:
        """Return the parameters of an adapter by their names; none if this module has none."""
        if adapter_name not in self.weights_trained:
            return nn.ParameterDict()
        return cast(nn.ParameterDict, self.weights_trained[adapter_name])

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the module returns, with trained parameters unless that is disabled."""
        names = {name for adapter in self.active_adapters for name in self.trained(adapter)}
        parameters = {name: self._current(name) for name in names | self.twins.keys()}
        return torch.func.functional_call(self.base_layer, parameters, args, kwargs)

    @property
    def weight(self) -> torch.Tensor:
        """The weight in use: the method reads label rows off the head."""
        return self._current("weight")

    @property
    def bias(self) -> torch.Tensor:
        """The bias in use."""
        return self._current("bias")

    def _current(self, name: str) -> torch.Tensor:
        if name in self.twins:
            layer, other = self.twins[name]
            return layer._current(other)
        base: torch.Tensor = getattr(self.base_layer, name)
        if not self.disable_adapters:
            for adapter in self.active_adapters:
                if name in self.trained(adapter):
                    return cast(torch.Tensor, self.trained(adapter)[name].to(base.dtype))
        return base


class WeightsModel(BaseTuner):
    """Wraps each target module; parameters that are tied in the base are tied in the adapter."""

    prefix = "weights_"
    tuner_layer_cls = WeightsLayer

    def _check_tied_modules(self, model: nn.Module, peft_config: WeightsConfig) -> None:
        """Warn of nothing: a tied parameter has one trained copy, see `_twin`."""

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
        layer = target
        if not isinstance(layer, WeightsLayer):
            layer = WeightsLayer(target, adapter_name)
            self._replace_module(parent, target_name, layer, target)
        trained = {}
        for name, parameter in layer.base_layer.named_parameters(recurse=False):
            if name == "bias" or not peft_config.biases:
                twin = self._twin(parameter, layer)
                if twin is not None:
                    layer.twins[name] = twin
                else:  # in float32, in which small steps are not rounded away
                    trained[name] = nn.Parameter(parameter.detach().float().clone())
        layer.update_layer(adapter_name, trained, train=not peft_config.inference_mode)

    def _twin(
        self, parameter: nn.Parameter, layer: WeightsLayer
    ) -> tuple[WeightsLayer, str] | None:
        """Return the earlier layer that holds the same parameter of the base, and its name."""
        earlier = takewhile(lambda module: module is not layer, self.model.modules())
        for other in earlier:
            if isinstance(other, WeightsLayer):
                for name, found in other.base_layer.named_parameters(recurse=False):
                    if found is parameter:
                        return other, name
        return None


WEIGHTS = register("weights", WeightsConfig, WeightsModel)
