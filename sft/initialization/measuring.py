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
from sft.initialization.row_batches import batches
from sft.prompts.train_row import TrainRow

BATCH_ROWS = 8
ROOM = 2**31
"""Bytes of matrices that are held at a time."""

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


def forward(model: Any, rows: Sequence[TrainRow]) -> None:
    """One row at a time, so that every token that a layer sees is one of the row, and none is padding."""
    with torch.no_grad():
        for batch in batches(model, rows, 1):
            batch.run(model)


def _backward(model: Any, rows: Sequence[TrainRow]) -> None:
    """The mean loss of each batch, averaged over the batches; what is frozen passes the gradient on."""
    count = -(-len(rows) // BATCH_ROWS)
    begun = [
        embeddings.register_forward_hook(lambda module, args, output: output.requires_grad_())
        for embeddings in _embeddings(model)
    ]
    try:
        with torch.enable_grad():
            for batch in batches(model, rows, BATCH_ROWS):
                loss: Any = batch.loss(model) / count
                loss.backward()
    finally:
        for handle in begun:
            handle.remove()
        model.zero_grad(set_to_none=True)


def _embeddings(model: Any) -> list[nn.Module]:
    """The modules that tokens come in by: one, or in encoder-decoders perhaps one of each part."""
    base = model.get_base_model()
    parts = [base, base.get_encoder(), base.get_decoder()] if base.config.is_encoder_decoder else [base]
    return list({id(found): found for found in (part.get_input_embeddings() for part in parts)}.values())


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
