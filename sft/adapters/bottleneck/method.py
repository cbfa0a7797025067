"""Bottleneck adapters: a small network of one hidden layer after attention, after the feed-forward part, or both."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sft.adapters.method import OptionFinding
from sft.adapters.own_method import OwnMethod

HIDDEN = ("hidden_size", "n_embd", "d_model")


class BottleneckOptions(BaseModel):
    """The options of `bottleneck`."""

    model_config = ConfigDict(frozen=True, strict=True, use_attribute_docstrings=True)

    after: Literal["both", "attention", "feed_forward"] = "both"
    """Where they are: `both` as Houlsby et al., `feed_forward` as Pfeiffer et al., `attention`; default both."""

    reduction_factor: Annotated[float, Field(ge=1)] = 16
    """Units of the model per hidden unit of an adapter; default 16."""

    non_linearity: Literal["relu", "gelu", "silu", "tanh"] = "relu"
    """Function between the two layers of an adapter; default relu."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of an adapter's hidden units that is dropped in training; default 0."""

    scaling: Annotated[float, Field(gt=0)] = 1.0
    """Factor of what an adapter adds; default 1."""


class Bottleneck(OwnMethod):
    """Bottleneck adapters (arXiv:1902.00751, arXiv:2005.00247): x + up(f(down(x))) after a part of each block."""

    name = "bottleneck"
    options: type[BaseModel] = BottleneckOptions
    trainer_defaults: Mapping[str, Any] = {"learning_rate": 1e-3}

    def check_on_model(self, options: Mapping[str, Any], config: Mapping[str, Any]) -> list[OptionFinding]:
        """Adapters of less than one hidden unit."""
        size = next((config[key] for key in HIDDEN if isinstance(config.get(key), int)), None)
        factor = options.get("reduction_factor")
        if size is None or factor is None or factor <= size:
            return []
        return [OptionFinding("reduction_factor", f"{factor} is more than the {size} units of the model")]

    def unmergeable(self, options: Mapping[str, Any], storage: str) -> str | None:
        """There is a non-linear function in between."""
        return "a bottleneck adapter is not linear, so that no weight can hold it"

    def build(self, model: Any, options: Mapping[str, Any]) -> Any:
        """Adapters whose second layer is 0."""
        from sft.adapters.bottleneck.tuner import attach_bottlenecks

        return attach_bottlenecks(model, options)


METHOD = Bottleneck()
