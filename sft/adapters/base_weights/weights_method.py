"""What methods share whose trained tensors are weights of the base model."""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from sft.adapters.own_method import ATTACHED, OwnMethod
from sft.exceptions import UserError


class WeightsMethod(OwnMethod):
    """A subclass says which weights are trained; they take the place of those of the base."""

    trains_head = True
    trainer_defaults: Mapping[str, Any] = {"learning_rate": 2e-5}

    def with_head(self, options: Mapping[str, Any], head: Sequence[str]) -> NoReturn:
        """Always an error: it is among the weights that are trained."""
        raise UserError(f"method {self.name} trains the head already; leave it out")

    def unmergeable(self, options: Mapping[str, Any], storage: str) -> str | None:
        """What is trained is the base's own."""
        return None

    def merge(self, model: Any) -> Any:
        """The model as it is: a plain one of its class with other weights."""
        del vars(model)[ATTACHED]
        return model
