"""What methods share whose trained tensors are weights of the base model."""

from collections.abc import Mapping
from typing import Any

from sft.adapters.own_method import ATTACHED, OwnMethod


class WeightsMethod(OwnMethod):
    """A subclass says which weights are trained; they take the place of those of the base."""

    trainer_defaults: Mapping[str, Any] = {"learning_rate": 2e-5}

    def unmergeable(self, options: Mapping[str, Any], storage: str) -> str | None:
        """What is trained is the base's own."""
        return None

    def merge(self, model: Any) -> Any:
        """The model as it is: a plain one of its class with other weights."""
        del vars(model)[ATTACHED]
        return model
