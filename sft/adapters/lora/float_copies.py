"""PEFT's own initialisations on weights that PEFT does not read, or rounds anew: they see a float copy of each layer.

A plain fp32 layer of the same weights takes the layer's place while its factors are made, one layer at a time. What
they add is taken off as with an initialiser of the project's own, so that a quantised base stays as it is stored.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from sft.adapters.lora.initialization import InitChoice
from sft.exceptions import UserError
from sft.initialization.apply import initialize_from, no_rows, write_factors
from sft.initialization.factors import Factors
from sft.initialization.layers import ADAPTER, AdapterLayer, adapter_layers
from sft.initialization.measuring import MEASUREMENTS, Add, Measurement, Watch, forward, measured
from sft.initialization.utils import dequantize
from sft.models.library_warnings import note_warning
from sft.prompts.train_row import TrainRow
from sft.runs.progress import beat

if TYPE_CHECKING:
    from peft import LoraConfig

OF_PLAIN_WEIGHTS = ("cache_file", "covariance_file", "use_float16_for_covariance")
"""Settings of CorDA that nothing reads here."""


def begin_on_copies(model: Any, choice: InitChoice, rows: Sequence[TrainRow]) -> None:
    """Fill the adapter of a freshly attached model as PEFT does on the weights that the base stands for.

    Args:
        model: a `PeftModel` with one LoRA adapter whose B is 0, on the untouched base.
        choice: an initialisation of PEFT's that reads weights.
        rows: the training rows, for those that look at them.

    Raises:
        UserError: there are no rows to look at, or a setting has no effect here.
    """
    config = copy.deepcopy(model.peft_config[ADAPTER])
    config.init_lora_weights, config.fan_in_fan_out, config.use_dora = choice.name, False, False
    layers = adapter_layers(model)
    factors, unknown = {}, 0
    for layer, matrix in _looked_at(model, layers, config, rows):
        beat()
        if matrix is None and choice.reads_rows:
            unknown += 1
            factors[layer.name] = layer.copied_factors()
            continue
        factors[layer.name] = _factors(layer, config, matrix)
    if unknown:
        note_warning(f"init_lora_weights {choice.name} leaves {unknown} layers that no training row passes")
    if choice.moves_base:
        initialize_from(model, factors)
        return
    for layer in layers:
        write_factors(layer, factors[layer.name])


def hold_frozen(model: Any) -> None:
    """Freeze the B of an adapter that begins as MiCA's (arXiv:2604.01694), which trains A alone."""
    from peft.tuners.lora.variants import MiCALinearVariant

    for layer in adapter_layers(model):
        MiCALinearVariant.init(layer.module, ADAPTER)


def _looked_at(
    model: Any, layers: Sequence[AdapterLayer], config: "LoraConfig", rows: Sequence[TrainRow]
) -> Iterator[tuple[AdapterLayer, torch.Tensor | None]]:
    """The layers, each with what the initialisation needs of the training rows."""
    name = config.init_lora_weights
    found = {"corda": COVARIANCES, "lora_ga": MEASUREMENTS["gradients"]}.get(str(name))
    if found is None:
        yield from ((layer, None) for layer in layers)
        return
    if not rows:
        raise no_rows(str(name))
    for key in OF_PLAIN_WEIGHTS if name == "corda" else ():
        if getattr(config.corda_config, key):
            raise UserError(f"corda_config.{key} has no effect on quantised weights; leave it out")
    for layer, matrix in measured(model, layers, found, rows):
        yield layer, matrix if matrix is None or name != "corda" else matrix / len(rows)


def _factors(layer: AdapterLayer, config: "LoraConfig", matrix: torch.Tensor | None) -> Factors:
    """A0 and B0 that PEFT makes of a plain layer with the weights of this one."""
    from peft.tuners.lora.layer import Linear

    plain: Any = nn.Linear(layer.inputs, layer.outputs, bias=False, device="meta")
    plain.weight = nn.Parameter(dequantize(layer.base), requires_grad=False)
    if config.init_lora_weights == "corda":
        plain.eigens = _eigens(plain, config, layer.rank, matrix)
    elif matrix is not None:
        plain._peft_loraga_grad = matrix
    try:
        begun = Linear(plain, ADAPTER, config, r=layer.rank, lora_alpha=layer.module.lora_alpha[ADAPTER])
    except ValueError as error:
        raise UserError(f"init_lora_weights {config.init_lora_weights}, layer {layer.name}: {error}") from error
    a, b = layer.weights()
    return Factors(begun.lora_A[ADAPTER].weight.data.to(a), begun.lora_B[ADAPTER].weight.data.to(b))


def _eigens(plain: Any, config: "LoraConfig", rank: int, covariance: torch.Tensor | None) -> Any:
    """What CorDA decomposes a layer into, the first or the last parts of it."""
    from peft.tuners.lora.corda import collect_eigens_for_layer

    plain.covariance_matrix = covariance
    eigens = collect_eigens_for_layer(plain, config)
    kept = slice(None, rank) if config.corda_config.corda_method == "ipm" else slice(-rank, None)
    device = plain.weight.device
    eigens.S_WC = eigens.S_WC[kept].clone()
    eigens.U_WC, eigens.V_WC = (part[:, kept].clone().to(device) for part in (eigens.U_WC, eigens.V_WC))
    return eigens


def _watching_covariances() -> Watch:
    """As `peft.tuners.lora.corda` takes them: of the inputs of a row, divided by the largest of them."""

    def watch(layer: nn.Module, add: Add) -> Any:
        def seen(module: nn.Module, args: tuple[Any, ...]) -> None:
            inputs = args[0].detach().flatten(0, -2).float()
            inputs = inputs / inputs.max().abs()
            add(inputs.T @ inputs)

        return layer.register_forward_pre_hook(seen)

    return watch


COVARIANCES = Measurement(lambda layer: 4 * layer.inputs**2, _watching_covariances, forward)
