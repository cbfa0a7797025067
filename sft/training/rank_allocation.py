"""What AdaLoRA needs of a training: to be told of each step, and factors that are kept orthogonal.

PEFT adds a penalty to the loss of a model's own forward pass, which the trainer does not take; the same gradient is
added here. The loss that is recorded stays the loss of the rows.
"""

from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback

from sft.exceptions import UserError


def rank_callbacks(model: nn.Module) -> "list[RankCallback]":
    """What tells an adapter of each step that gives its ranks to layers in the training; none for all others."""
    return [RankCallback(model)] if _allocates(model) else []


def penalty(model: Any) -> torch.Tensor | float:
    """A scalar of value zero with the gradient of AdaLoRA's penalty; zero for every other adapter.

    The penalty is the mean of |A A' - 1| and |B' B - 1| over all factors, weighted.
    """
    if not _allocates(model):
        return 0.0
    norms = []
    for name, factor in model.base_model.model.named_parameters():
        if factor.requires_grad and (".lora_A." in name or ".lora_B." in name):
            product = factor @ factor.T if ".lora_A." in name else factor.T @ factor
            norms.append(torch.norm(product - torch.eye(len(product)).to(product)))
    value: torch.Tensor = model.active_peft_config.orth_reg_weight * torch.stack(norms).mean()
    return value - value.detach()


def _allocates(model: nn.Module) -> bool:
    """Whether it is PEFT's AdaLoRA."""
    return getattr(getattr(model, "active_peft_config", None), "peft_type", None) == "ADALORA"


class RankCallback(TrainerCallback):  # type: ignore[misc]
    """Tells the adapter of each step, so that it takes away what is least important."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The number of steps is known.

        Raises:
            UserError: they leave none between the first and the last ones, in which no rank is taken away.
        """
        config = self._model.active_peft_config
        if config.tinit >= state.max_steps - config.tfinal:
            text = f"{config.tinit} and tfinal {config.tfinal} leave none of the {state.max_steps} steps to find ranks"
            raise UserError(f"adapter.tinit {text}; write less, or train longer")
        config.total_step = state.max_steps
        config.rank_pattern = {
            name: (factor.detach().abs().sum(dim=1) > 0).tolist()
            for name, factor in self._model.base_model.model.named_parameters()
            if ".lora_E." in name
        }

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The weights are new, and the gradients are still there."""
        self._model.base_model.update_and_allocate(state.global_step + 1)
