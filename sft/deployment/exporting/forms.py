"""The forms in which a merged model is written, and how each is read again."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sft.config.training import SaveMethod
from sft.exceptions import StageFailure
from sft.runs.file_systems import equal_modes
from sft.wording import size_text

CONFIG, STATE_DICT, PICKLED = "config.json", "pytorch_model.bin", "model.pt"
SPARE = 64 << 20
"""Bytes for what lies beside the weights."""


@dataclass(frozen=True)
class Form:
    """How the weights of a model are written beside its configuration."""

    write: Callable[[Any, Path], None]
    read: Callable[[Any, Path, Mapping[str, Any]], Any]
    """Of the class that loads such models, the folder and the arguments of `from_pretrained`: the model."""


def write_form(model: Any, form: SaveMethod, folder: Path) -> None:
    """Write a model, its configuration and its generation settings to a new folder.

    Raises:
        StageFailure: kind disk_full: there is no room, and nothing was written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    _require_room(model, folder)
    folder.mkdir()
    FORMS[form].write(model, folder)
    equal_modes(folder, CONFIG)  # safetensors are written for their owner only, whatever the umask says


def read_form(loader: Any, form: SaveMethod, folder: Path, arguments: Mapping[str, Any]) -> Any:
    """The model of a folder that `write_form` wrote, in eval mode.

    Args:
        loader: the transformers Auto class.
        form: in which it was written.
        folder: that folder.
        arguments: of `from_pretrained`.
    """
    return FORMS[form].read(loader, folder, arguments).eval()


def _require_room(model: Any, folder: Path) -> None:
    tensors = {tensor.data_ptr(): tensor for tensor in (*model.parameters(), *model.buffers())}
    needed = SPARE + sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    free = shutil.disk_usage(folder.parent).free
    if free < needed:
        text = f"the exported model takes {size_text(needed)}, and {size_text(free)} are free on its file system"
        raise StageFailure(f"{text}; free space, or take the form 'adapter'", kind="disk_full")


def _write_merged(model: Any, folder: Path) -> None:
    model.save_pretrained(folder)


def _write_safetensors(model: Any, folder: Path) -> None:
    model.save_pretrained(folder, max_shard_size=1 << 62)


def _write_settings(model: Any, folder: Path) -> None:
    model.config.architectures = [type(model).__name__]
    model.config.dtype = str(model.dtype).removeprefix("torch.")
    model.config.save_pretrained(folder)
    if model.can_generate():
        model.generation_config.save_pretrained(folder)


def _write_state_dict(model: Any, folder: Path) -> None:
    _write_settings(model, folder)
    torch.save(model.state_dict(), folder / STATE_DICT)


def _write_pickle(model: Any, folder: Path) -> None:
    _write_settings(model, folder)
    torch.save(model, folder / PICKLED)


def _from_safetensors(loader: Any, folder: Path, arguments: Mapping[str, Any]) -> Any:
    return loader.from_pretrained(str(folder), use_safetensors=True, **arguments)


def _from_state_dict(loader: Any, folder: Path, arguments: Mapping[str, Any]) -> Any:
    return loader.from_pretrained(str(folder), use_safetensors=False, **arguments)


def _from_pickle(_loader: Any, folder: Path, _arguments: Mapping[str, Any]) -> Any:
    return torch.load(folder / PICKLED, weights_only=False)  # written by this process a moment ago


FORMS: Mapping[SaveMethod, Form] = {
    "merged": Form(_write_merged, _from_safetensors),
    "safetensors": Form(_write_safetensors, _from_safetensors),
    "state_dict": Form(_write_state_dict, _from_state_dict),
    "full_model": Form(_write_pickle, _from_pickle),
}
