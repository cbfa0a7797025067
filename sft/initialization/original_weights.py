"""The weights of a quantised layer before it was quantised, from the files of its model.

A model that is quantised while it is loaded keeps no copy of what it was. Its files do, by the names of its modules.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sft.exceptions import UserError
from sft.initialization.layers import OF_BASE, AdapterLayer
from sft.models.layers.weight_files import WeightFiles, weight_files_of
from sft.models.storages import PLAIN_TYPES

ATTRIBUTE = "sft_origin"


@dataclass(frozen=True)
class Origin:
    """Where the weights of one layer came from."""

    files: WeightFiles | None
    """None where the model was made in memory."""

    names: tuple[str, ...]
    """What the tensor may be called, the likeliest first."""


def remember_origins(model: Any, layers: Iterable[AdapterLayer]) -> None:
    """Note with each base layer of a `PeftModel` which tensor of which files it was loaded from."""
    base = model.get_base_model()
    files, prefix = weight_files_of(base), f"{base.base_model_prefix}."
    for layer in layers:
        name = layer.name.removeprefix(OF_BASE)
        names = (name, name.removeprefix(prefix), f"{prefix}{name}")
        vars(layer.base)[ATTRIBUTE] = Origin(files, tuple(f"{each}.weight" for each in names))


def original_weight(layer: nn.Module) -> torch.Tensor:
    """(out, in) the weights of a layer before they were quantised, in the type of the file.

    Raises:
        UserError: kind model: the files hold them under no name that is known, or quantised.
    """
    origin: Origin | None = getattr(layer, ATTRIBUTE, None)
    if origin is None or origin.files is None:
        raise UserError("the model was not loaded from files, which alone hold the weights unquantised", kind="model")
    found = origin.files.tensor(origin.names)
    if found is None or found.dtype not in PLAIN_TYPES:
        text = f"no safetensors file of {origin.files.model} holds {origin.names[0]} in floats"
        raise UserError(f"{text}; take a model that is quantised while it is loaded, or pissa", kind="model")
    source: Any = getattr(layer, "source_cls", None)
    return found.T if source is not None and source.__name__ == "Conv1D" else found
