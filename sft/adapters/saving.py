"""Trained adapters on disk: written by their method, all or nothing, and read by the method whose file is there."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from sft.adapters import adapter_registry
from sft.adapters.head_labels import take_head_labels, write_head_labels
from sft.adapters.method import AdapterMethod, adapter_method
from sft.adapters.own_method import METHOD_FILE, TENSORS_FILE, read_method
from sft.adapters.peft.folder import CONFIG, WEIGHTS, adapter_config
from sft.exceptions import UserError
from sft.models.reading import weights_fault
from sft.runs.fence import require_in_place

WEIGHTS_BESIDE = {CONFIG: WEIGHTS, METHOD_FILE: TENSORS_FILE}
"""The file by which a folder is known -> that of the tensors, where they are not in the same."""


def save_adapter(model: Any, method: str, folder: Path, *, has_head: bool = False) -> dict[str, Any]:
    """Write the trained adapter of a model to `folder`, all or nothing; what is there is replaced.

    Args:
        model: the model that was trained.
        method: name of the adapter method it was attached by.
        folder: the folder of the adapter alone.
        has_head: whether a head with one output for each label was trained with it.

    Returns:
        What the record of the training says of it beside its curves.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tmp-", dir=folder.parent) as temporary:
        written = Path(temporary) / "adapter"
        facts = adapter_method(method).save(model, written)
        if has_head:
            write_head_labels(model, written)
        _replace(written, folder)
    return facts


def load_adapter(model: Any, folder: Path) -> Any:
    """The untouched base `model` with the adapter saved in `folder`, in eval mode.

    Raises:
        UserError: there is no adapter, or it does not fit the model.
    """
    method = method_of(folder)
    if method is None:
        raise UserError(f"model.adapter: {folder} holds no trained adapter: it has no {adapter_files()}", kind="model")
    take_head_labels(model, folder)
    return method.load(model, folder)


def method_of(folder: Path) -> AdapterMethod | None:
    """The method whose trained adapter a folder holds; None where it holds none of any known method.

    Raises:
        UserError: the file that names the method is damaged, or names one that is not known.
    """
    if (folder / METHOD_FILE).is_file():
        name = read_method(folder).method
        if name not in adapter_registry:
            text = f"model.adapter: {folder / METHOD_FILE} names the adapter method {name!r}, which is not known here"
            raise UserError(f"{text}; install what adds it, or copy the folder again", kind="model")
        return adapter_method(name)
    if (folder / CONFIG).is_file():
        name = str(adapter_config(folder).get("peft_type", "")).lower()
        return adapter_method(name if name in adapter_registry else "lora")
    return next((method for method in _saving_methods() if (folder / method.saved_as).is_file()), None)


def wrong_kind(name: str, folder: Path) -> str | None:
    """Why a method cannot go on with a folder that another one wrote, where their files differ; else None.

    Args:
        name: of the method that is to go on.
        folder: of a trained adapter.

    Raises:
        UserError: the file that names the method is damaged, or names one that is not known.
    """
    found = method_of(folder)
    if found is None or found.saved_as == adapter_method(name).saved_as:
        return None
    writer = next(other for other in adapter_registry if adapter_method(other) is found)
    return f"{folder} is a {writer} adapter, not {name}"


def adapter_fault(name: str, config_folder: Path) -> str | None:
    """Why there is no whole trained adapter, as far as the header of its weights tells; None where it may be whole.

    Args:
        name: of its folder, as the user wrote it.
        config_folder: what that is relative to.

    Raises:
        UserError: the file that names the method is damaged, or names one that is not known.
    """
    folder = config_folder / name
    method = method_of(folder)
    if method is None:
        return f"{name!r}: no {adapter_files()} there; name an adapter's folder"
    weights = folder / WEIGHTS_BESIDE.get(method.saved_as, method.saved_as)
    if weights.suffix != ".safetensors":
        return None
    return weights_fault(weights) if weights.is_file() else f"{folder} has no {weights.name}; copy it again"


def adapter_files() -> str:
    """The names of the files by which the folder of an adapter is known, in words."""
    return " or ".join(dict.fromkeys(method.saved_as for method in _saving_methods()))


def _saving_methods() -> list[AdapterMethod]:
    return [method for name in adapter_registry if (method := adapter_method(name)).saved_as]


def _replace(written: Path, folder: Path) -> None:
    require_in_place(folder)
    if folder.exists():
        shutil.rmtree(folder)
    written.rename(folder)
