"""What the training rows make the layers of a model see: their inputs, and the gradients of the loss.

The model computes as its base does: an adapter that is there already is passed over. A matrix per layer is held for as
many layers at a time as there is room for, and the rows pass the model once for each such part of it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

import torch
from torch import nn

from sft.exceptions import UserError
from sft.prompts.train_row import IGNORED, HeadRow, TrainRow
from sft.runs.progress import beat

BATCH_ROWS = 8
ROOM = 2**31
"""Bytes of matrices that are held at a time."""

Batch = dict[str, torch.Tensor]
Add = Callable[[torch.Tensor], None]
Watch = Callable[[nn.Module, Add], Any]
"""Has a layer hand over a matrix each time that it runs; gives the handle that ends it."""


class MeasuredLayer(Protocol):
    """A layer with an adapter, as far as measuring goes."""

    @property
    def name(self) -> str:
        """Module name within the model."""

    @property
    def base(self) -> nn.Module:
        """The layer that the adapter is added to."""

    @property
    def inputs(self) -> int:
        """How many numbers it reads of a token."""

    @property
    def outputs(self) -> int:
        """How many numbers it gives for a token."""


Layer = TypeVar("Layer", bound=MeasuredLayer)


@dataclass(frozen=True)
class Measurement:
    """One matrix of each layer, summed over the training rows."""

    bytes_of: Callable[[MeasuredLayer], int]
    """How large the matrix of a layer is."""

    watching: Callable[[], Watch]
    """Made anew for each pass."""

    run: Callable[[Any, Sequence[TrainRow]], None]
    """Has the rows pass a model in eval mode."""


def measured(
    model: Any, layers: Sequence[Layer], measurement: Measurement, rows: Sequence[TrainRow]
) -> Iterator[tuple[Layer, torch.Tensor | None]]:
    """Each layer, in its order, with its matrix; None where no row passes it.

    Args:
        model: a `PeftModel` with an adapter on each of the layers; it is left in eval mode.
        layers: those to be measured.
        measurement: what of them.
        rows: the training rows.

    Raises:
        UserError: kind model: there are numbers in a matrix that are not finite.
    """
    for part in _parts(layers, measurement.bytes_of):
        sums = _summed(model, part, measurement, rows)
        for layer in part:
            matrix = sums.pop(layer.name, None)
            if matrix is not None and not bool(torch.isfinite(matrix).all()):
                raise UserError(
                    f"layer {layer.name}: the training rows give numbers that are not finite", kind="model"
                )
            yield layer, matrix


def batches(model: Any, rows: Sequence[TrainRow], size: int) -> Iterator[Batch]:
    """Batches of rows, padded on the right; what is padded is masked and has no loss.

    Of rows of a model with a head, `labels` are the places of the right ones, (rows,), or (rows, labels) floats where
    rows have any number of labels, by which the model's own loss tells them apart.
    """
    device = next(model.parameters()).device
    for start in range(0, len(rows), size):
        chosen = rows[start : start + size]
        shape = (len(chosen), max(len(row.input_ids) for row in chosen))
        answers = [row.labels for row in chosen if isinstance(row, HeadRow)]
        are_sets = bool(answers) and len(answers[0]) > 1
        targets = torch.tensor(answers).float() if are_sets else torch.tensor([one[0] for one in answers])
        # by it the head of a decoder finds where a row ends
        padding = (model.config.get_text_config().pad_token_id or 0) if answers else 0
        batch = {
            "input_ids": torch.full(shape, padding),
            "attention_mask": torch.zeros(shape, dtype=torch.long),
            "labels": targets if answers else torch.full(shape, IGNORED),
        }
        for number, row in enumerate(chosen):
            length = len(row.input_ids)
            batch["input_ids"][number, :length] = torch.tensor(row.input_ids)
            batch["attention_mask"][number, :length] = 1
            if not answers:
                batch["labels"][number, :length] = torch.tensor(row.labels)
        beat()
        yield {key: value.to(device) for key, value in batch.items()}


def forward(model: Any, rows: Sequence[TrainRow]) -> None:
    """One row at a time, so that every token that a layer sees is one of the row, and none is padding."""
    with torch.no_grad():
        for batch in batches(model, rows, 1):
            model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])


def _backward(model: Any, rows: Sequence[TrainRow]) -> None:
    """The mean loss of each batch, averaged over the batches; what is frozen passes the gradient on."""
    count = -(-len(rows) // BATCH_ROWS)
    begun = model.get_input_embeddings().register_forward_hook(lambda module, args, output: output.requires_grad_())
    try:
        with torch.enable_grad():
            for batch in batches(model, rows, BATCH_ROWS):
                (model(**batch).loss / count).backward()
    finally:
        begun.remove()
        model.zero_grad(set_to_none=True)


def _watching_inputs() -> Watch:
    """X^T X of the inputs; of layers that get the same tensor one after the other it is computed once."""
    last: list[Any] = [None, None]

    def watch(layer: nn.Module, add: Add) -> Any:
        def seen(module: nn.Module, args: tuple[Any, ...]) -> None:
            if args[0] is not last[0]:
                inputs = args[0].detach().flatten(0, -2).double()
                last[:] = args[0], inputs.T @ inputs
            add(last[1])

        return layer.register_forward_pre_hook(seen)

    return watch


def _watching_gradients() -> Watch:
    """The gradient of the weights, from the inputs and the gradient of the outputs: any storage has both."""

    def watch(layer: nn.Module, add: Add) -> Any:
        def seen(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            inputs = args[0].detach().flatten(0, -2).float()
            output.register_hook(lambda gradient: add(gradient.flatten(0, -2).float().T @ inputs))

        return layer.register_forward_hook(seen)

    return watch


def _summed(
    model: Any, layers: Sequence[MeasuredLayer], measurement: Measurement, rows: Sequence[TrainRow]
) -> dict[str, torch.Tensor]:
    sums: dict[str, torch.Tensor] = {}
    watch = measurement.watching()
    handles = [watch(layer.base, partial(_add, sums, layer.name)) for layer in layers]
    try:
        with model.disable_adapter():
            measurement.run(model.eval(), rows)
    finally:
        for handle in handles:
            handle.remove()
    return sums


def _add(sums: dict[str, torch.Tensor], name: str, matrix: torch.Tensor) -> None:
    sums[name] = sums[name].add_(matrix) if name in sums else matrix.clone()


def _parts(layers: Sequence[Layer], bytes_of: Callable[[MeasuredLayer], int]) -> Iterator[list[Layer]]:
    """As many layers at a time as there is room for, one at least."""
    part: list[Layer] = []
    held = 0
    for layer in layers:
        size = bytes_of(layer)
        if part and held + size > ROOM:
            yield part
            part, held = [], 0
        part.append(layer)
        held += size
    if part:
        yield part


MEASUREMENTS: Mapping[str, Measurement] = {
    "activations": Measurement(lambda layer: 8 * layer.inputs**2, _watching_inputs, forward),
    "gradients": Measurement(lambda layer: 4 * layer.inputs * layer.outputs, _watching_gradients, _backward),
}
"""What an initialiser may need -> how it is measured."""
