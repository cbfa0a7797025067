"""The weights of a quantised layer as the model's files hold them, read one layer at a time.

A model that is quantised while it is loaded keeps no copy of what it was. Its safetensors files do, under the names of
its modules; transformers has read them already, so that nothing is fetched.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sft.exceptions import UserError
from sft.initialization.layers import AdapterLayer
from sft.models.storages import PLAIN_TYPES

ATTRIBUTE = "sft_origin"
WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
OF_ADAPTERS = "base_model.model."
"""What PEFT puts before the names of the modules of a base."""
FARTHEST = 0.5
"""Distance between a weight and its quantised form, as a share of its norm, above which they are not of one layer; 4
bits lose about 0.1."""


@dataclass(frozen=True)
class Origin:
    """Where the weights of one layer came from."""

    model: str
    """Folder or hub id; empty where the model was made in memory."""

    commit: str | None
    """Of a hub id."""

    names: tuple[str, ...]
    """What the tensor may be called, the likeliest first."""

    def file(self, name: str) -> Path | None:
        """A file of the model that is on this machine."""
        from transformers.utils import cached_file

        faults = ("missing_entries", "connection_errors", "gated_repo")
        told = {f"_raise_exceptions_for_{fault}": False for fault in faults}
        found = cached_file(self.model, name, revision=self.commit, local_files_only=True, **told)
        return None if found is None else Path(found)


def remember_origins(model: Any, layers: Iterable[AdapterLayer]) -> None:
    """Note with each base layer of a `PeftModel` which tensor of which files it was loaded from."""
    base = model.get_base_model()
    source = str(getattr(base, "name_or_path", "") or "")
    commit = getattr(base.config, "_commit_hash", None)
    for layer in layers:
        name = layer.name.removeprefix(OF_ADAPTERS)
        names = (name, name.removeprefix(f"{base.base_model_prefix}."), f"{base.base_model_prefix}.{name}")
        vars(layer.base)[ATTRIBUTE] = Origin(source, commit, tuple(f"{each}.weight" for each in names))


def original_weight(layer: nn.Module) -> torch.Tensor:
    """(out, in) the weights of a layer before they were quantised, in the type of the file.

    Raises:
        UserError: kind model: the files hold them under no name that is known, or quantised.
    """
    origin: Origin | None = getattr(layer, ATTRIBUTE, None)
    if origin is None or not origin.model:
        raise UserError("the model was not loaded from files, which alone hold the weights unquantised", kind="model")
    found = _tensor(origin)
    if found is None:
        text = f"no safetensors file of {origin.model} holds {origin.names[0]} in floats"
        raise UserError(f"{text}; take a model that is quantised while it is loaded, or pissa", kind="model")
    source: Any = getattr(layer, "source_cls", None)
    return found.T if source is not None and source.__name__ == "Conv1D" else found


def _tensor(origin: Origin) -> torch.Tensor | None:
    from safetensors import safe_open

    index = None if (whole := origin.file(WHOLE)) is not None else origin.file(INDEX)
    places = {} if index is None else json.loads(index.read_text("utf-8"))["weight_map"]
    for name in origin.names:
        file = whole if whole is not None else origin.file(places[name]) if name in places else None
        if file is None:
            continue
        with safe_open(str(file), "pt") as opened:
            if name in set(opened.keys()):
                found: torch.Tensor = opened.get_tensor(name)
                return found if found.dtype in PLAIN_TYPES else None
    return None
