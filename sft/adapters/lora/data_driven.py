"""PEFT's LoRA initialisations that look at training rows: CorDA and LoRA-GA.

They see the training rows as training will: activations for CorDA (arXiv:2406.05223), gradients of the loss on the
answers for LoRA-GA (arXiv:2407.05000).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sft.initialization.apply import no_rows
from sft.initialization.measuring import BATCH_ROWS, forward
from sft.initialization.row_batches import batches
from sft.prompts.train_row import TrainRow

if TYPE_CHECKING:
    from peft import LoraConfig


def add_settings(config: "LoraConfig", name: str) -> None:
    """Give a config the settings of its initialisation, at PEFT's defaults, where the user wrote none."""
    from peft.tuners.lora.config import CordaConfig, LoraGAConfig

    kinds = {"corda": CordaConfig, "lora_ga": LoraGAConfig}
    key = f"{name}_config"
    written = getattr(config, key)
    if not isinstance(written, kinds[name]):
        setattr(config, key, kinds[name](**(written or {})))


def measure(model: Any, config: "LoraConfig", name: str, rows: Sequence[TrainRow]) -> None:
    """Measure what an initialisation needs on the base model, before the adapter is there.

    Raises:
        UserError: there are no training rows.
    """
    from peft.tuners.lora.corda import preprocess_corda
    from peft.tuners.lora.loraga import preprocess_loraga
    from peft.tuners.tuners_utils import _maybe_include_all_linear_layers

    if not rows:
        raise no_rows(name)
    _maybe_include_all_linear_layers(config, model)
    if name == "corda":
        preprocess_corda(model, config, run_model=lambda: forward(model, rows))
    else:
        preprocess_loraga(model, config, lambda: _backward(model, rows))
        model.zero_grad(set_to_none=True)


def _backward(model: Any, rows: Sequence[TrainRow]) -> None:
    """Sum the gradients of the loss over the rows, which is what LoRA-GA decomposes."""
    for batch in batches(model, rows, BATCH_ROWS):
        loss: Any = batch.loss(model)
        loss.backward()
