"""The safetensors files that a loaded model came from, read one tensor at a time."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

ATTRIBUTE = "sft_weight_files"
WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"


@dataclass(frozen=True)
class WeightFiles:
    """Those of one model, which are on this machine since it was loaded from them."""

    model: str
    """Folder or hub id."""

    revision: str | None
    """Of a hub id: the pinned commit."""

    def tensor(self, names: Sequence[str]) -> "torch.Tensor | None":
        """The first of these tensors that a file holds; None where no file holds one."""
        from safetensors import safe_open

        whole = self._file(WHOLE)
        index = None if whole is not None else self._file(INDEX)
        places = {} if index is None else json.loads(index.read_text("utf-8"))["weight_map"]
        for name in names:
            file = self._file(places[name]) if name in places else whole
            if file is None:
                continue
            with safe_open(str(file), "pt") as opened:
                if name in set(opened.keys()):
                    found: torch.Tensor = opened.get_tensor(name)
                    return found
        return None

    def _file(self, name: str) -> Path | None:
        """Where a file is here, without a question to the hub."""
        from transformers.utils import cached_file

        faults = ("missing_entries", "connection_errors", "gated_repo")
        told = {f"_raise_exceptions_for_{fault}": False for fault in faults}
        found = cached_file(self.model, name, revision=self.revision, local_files_only=True, **told)
        return None if found is None else Path(found)


def note_weight_files(model: Any, files: WeightFiles) -> None:
    """Keep with a model where it was loaded from."""
    vars(model)[ATTRIBUTE] = files


def weight_files_of(model: Any) -> WeightFiles | None:
    """Where a model was loaded from; None where it was made in memory."""
    noted: WeightFiles | None = getattr(model, ATTRIBUTE, None)
    if noted is not None:
        return noted
    name = getattr(model, "name_or_path", "")
    return WeightFiles(str(name), None) if name else None
