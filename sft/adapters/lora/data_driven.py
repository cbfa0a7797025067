"""PEFT's LoRA initialisations that look at training rows: CorDA and LoRA-GA.

They see the training rows as training will: activations for CorDA (arXiv:2406.05223), gradients of the loss on the
answers for LoRA-GA (arXiv:2407.05000).
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sft.exceptions import UserError
from sft.prompts.train_row import IGNORED, TrainRow
from sft.runs.progress import beat

if TYPE_CHECKING:
    import torch
    from peft import LoraConfig

BATCH_ROWS = 8

Batch = dict[str, "torch.Tensor"]


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
        raise UserError(f"init_lora_weights {name} looks at training rows, and there are none")
    _maybe_include_all_linear_layers(config, model)
    if name == "corda":
        preprocess_corda(model, config, run_model=lambda: _forward(model, rows))
    else:
        preprocess_loraga(model, config, lambda: _backward(model, rows))
        model.zero_grad(set_to_none=True)


def _forward(model: Any, rows: Sequence[TrainRow]) -> None:
    import torch

    with torch.no_grad():
        for batch in _batches(model, rows, 1):  # CorDA takes one sequence at a time
            model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])


def _backward(model: Any, rows: Sequence[TrainRow]) -> None:
    """Sum the gradients of the loss over the rows, which is what LoRA-GA decomposes."""
    for batch in _batches(model, rows, BATCH_ROWS):
        model(**batch).loss.backward()


def _batches(model: Any, rows: Sequence[TrainRow], size: int) -> Iterator[Batch]:
    """Batches of rows, padded on the right; what is padded is masked and has no loss."""
    import torch

    device = next(model.parameters()).device
    for start in range(0, len(rows), size):
        chosen = rows[start : start + size]
        shape = (len(chosen), max(len(row.input_ids) for row in chosen))
        batch = {
            "input_ids": torch.zeros(shape, dtype=torch.long),
            "attention_mask": torch.zeros(shape, dtype=torch.long),
            "labels": torch.full(shape, IGNORED),
        }
        for number, row in enumerate(chosen):
            length = len(row.input_ids)
            batch["input_ids"][number, :length] = torch.tensor(row.input_ids)
            batch["attention_mask"][number, :length] = 1
            batch["labels"][number, :length] = torch.tensor(row.labels)
        beat()
        yield {key: value.to(device) for key, value in batch.items()}
