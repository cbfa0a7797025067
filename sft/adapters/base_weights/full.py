"""The method `full`: every weight of the base is trained."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from sft.adapters.base_weights.weights_method import WeightsMethod
from sft.models.objective import Objective
from sft.models.stored_kinds import PLAIN


class FullOptions(BaseModel):
    """There are none."""

    model_config = ConfigDict(frozen=True)


class Full(WeightsMethod):
    """Full fine-tuning; a weight that two layers share stays shared, and is saved once."""

    name = "full"
    options: type[BaseModel] = FullOptions

    def supports(self, options: Mapping[str, Any], storage: str, objective: Objective) -> str | None:
        """Weights that are stored as codes and scales have no gradient."""
        return (
            None
            if storage == PLAIN
            else f"full trains the weights themselves, and those stored as {storage} are fixed"
        )

    def build(self, model: Any, options: Mapping[str, Any]) -> Any:
        """The model, every weight of which that a text passes is trained."""
        from sft.adapters.base_weights.parts import Part, passed_weights, require_plain, train_only

        require_plain(self.name, [Part("", model)])
        train_only(model, passed_weights(model))
        return model


METHOD = Full()
